"""The app reads what the templates set."""

from shared.config import Settings
from shared.settings.hosting import StorageAccount, Triggers
from tests.infra.settings import app_settings
from tests.infra.template import Infra

# what Azure would put in the place of expressions, for Azure Health Data Services and without a vault
EXAMPLES = {
    "AzureWebJobsStorage__blobServiceUri": "https://st1.blob.core.windows.net/",
    "AzureWebJobsStorage__queueServiceUri": "https://st1.queue.core.windows.net/",
    "AzureWebJobsStorage__tableServiceUri": "https://st1.table.core.windows.net/",
    "DicomWeb__Endpoint": "https://hw1-dicom.dicom.azurehealthcareapis.com",
    "DicomWeb__Authentication__Enabled": "true",
    "DicomWeb__Authentication__AuthenticationType": "ManagedIdentity",
    "DicomWeb__Authentication__ManagedIdentityCredential__Resource": "https://dicom.healthcareapis.azure.com",
    "DicomWeb__Authentication__ManagedIdentityCredential__ClientId": "11111111-1111-1111-1111-111111111111",
    "Fhir__Endpoint": "https://hw1-fhir.fhir.azurehealthcareapis.com",
    "Fhir__Authentication__Enabled": "true",
    "Fhir__Authentication__AuthenticationType": "ManagedIdentity",
    "Fhir__Authentication__ManagedIdentityCredential__Resource": "https://hw1-fhir.fhir.azurehealthcareapis.com",
    "Fhir__Authentication__ManagedIdentityCredential__ClientId": "11111111-1111-1111-1111-111111111111",
    "STUDY_QUEUE_NAME": "study-changes",
    "SYNC_SCHEDULE": "",
    "KeyVault__Endpoint": "",
    "AzureWebJobsStorage__clientId": "11111111-1111-1111-1111-111111111111",
}


def test_the_app_starts_with_the_settings_of_the_template(monkeypatch):
    names = set(app_settings(Infra.read()))
    assert set(EXAMPLES) <= names
    for name, value in EXAMPLES.items():
        monkeypatch.setenv(name, value)
    settings, account = Settings.load(), StorageAccount.load()
    assert settings.dicom_web.endpoint == EXAMPLES["DicomWeb__Endpoint"]
    assert settings.fhir.endpoint == EXAMPLES["Fhir__Endpoint"]
    assert settings.fhir.authentication.enabled
    assert str(settings.dicom_web.authentication.authentication_type).lower() == "managedidentity"
    assert account.queue_service_uri == EXAMPLES["AzureWebJobsStorage__queueServiceUri"]
    assert account.table_service_uri == EXAMPLES["AzureWebJobsStorage__tableServiceUri"]
    assert account.client_id == EXAMPLES["AzureWebJobsStorage__clientId"]
    assert settings.unknown_settings == ()
    assert Triggers.load() == ("0 * * * * *", "study-changes")
