"""The app starts with the settings that each set of parameters gives it."""

import re

import pytest

from shared.config import Settings
from shared.errors import Misconfigured
from shared.settings.hosting import StorageAccount, Triggers
from tests.infra.bicep import NAMES, Templates

pytestmark = pytest.mark.needs("bicep")

CLIENT_ID = "11111111-1111-1111-1111-111111111111"
# what Azure puts in the place of an expression
KNOWN_TO_AZURE = {
    r"clientId\)?\]$": CLIENT_ID,
    **{rf"primaryEndpoints\.{name}": f"https://st1.{name}.core.windows.net/" for name in ("blob", "queue", "table")},
    r"ConnectionString": "InstrumentationKey=0",
    r"keyvaultDns": "",  # what is in the vault is given below, under the names of app settings
}
FROM_THE_VAULT = {
    "outside": {
        "DicomWeb__Authentication__OAuth2ClientCredential__TokenUri": "https://login.example.org/token",
        "DicomWeb__Authentication__OAuth2ClientCredential__ClientId": "sync",
        "DicomWeb__Authentication__OAuth2ClientCredential__ClientSecret": "from the vault",
        "Fhir__Authentication__Enabled": "false",
    }
}


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    return Templates(tmp_path_factory.mktemp("settings") / "copy")


def by_azure(value):
    if not value.startswith("["):
        return value
    (found,) = [known for pattern, known in KNOWN_TO_AZURE.items() if re.search(pattern, value)]
    return found


def set_as_azure_does(monkeypatch, templates, name):
    given = {name: by_azure(value) for name, value in templates.deployment(name).settings.items()}
    for setting, value in (given | FROM_THE_VAULT.get(name, {})).items():
        monkeypatch.setenv(setting, value)


def test_after_a_first_deployment_the_app_says_what_it_lacks(monkeypatch, templates):
    set_as_azure_does(monkeypatch, templates, "first")
    with pytest.raises(Misconfigured) as raised:
        Settings.load()
    assert set(raised.value.problems) == {
        "DicomWeb__Endpoint is missing",
        "Fhir__Authentication__ManagedIdentityCredential__Resource is missing",
        "Fhir__Endpoint is missing",
    }


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"first"}))
def test_the_app_starts_with_the_settings_of_the_templates(monkeypatch, templates, name):
    set_as_azure_does(monkeypatch, templates, name)
    settings, account = Settings.load(), StorageAccount.load()
    assert settings.dicom_web.endpoint.startswith("https://")
    assert settings.fhir.endpoint.startswith("https://")
    assert settings.fhir.authentication.enabled == (name != "outside")
    assert settings.dicom_web.authentication.enabled
    assert account.queue_service_uri == "https://st1.queue.core.windows.net/"
    assert account.table_service_uri == "https://st1.table.core.windows.net/"
    assert account.client_id == CLIENT_ID
    assert settings.unknown_settings == ()
    assert Triggers.load() == ("*/10 * * * * *" if name == "outside" else "0 * * * * *", "study-changes")
