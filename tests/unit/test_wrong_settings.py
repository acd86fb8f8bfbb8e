"""Wrong settings, and what the operator is told of each: the setting's name, what would be right, never a value."""

import os

import pytest

from shared.config import Settings
from shared.errors import Misconfigured

NEEDED = {"DicomWeb__Endpoint": "https://dicom.example.org", "Fhir__Endpoint": "https://fhir.example.org"}
SECRET = "zq-secret"
FHIR = "Fhir__Authentication"
GRANT = f"{FHIR}__OAuth2ClientCredential"
PASSWORD = f"{FHIR}__OAuth2UserPasswordCredential"
BY_IDENTITY = {f"{FHIR}__Enabled": "true", f"{FHIR}__AuthenticationType": "ManagedIdentity"}
BY_GRANT = {
    f"{FHIR}__Enabled": "true",
    f"{FHIR}__AuthenticationType": "OAuth2ClientCredential",
    f"{GRANT}__TokenUri": "https://login.example.org/token",
    f"{GRANT}__ClientId": "app",
    f"{GRANT}__ClientSecret": SECRET,
}
BY_PASSWORD = BY_GRANT | {
    f"{FHIR}__AuthenticationType": "OAuth2UserPasswordCredential",
    f"{GRANT}__Username": "user",
    f"{GRANT}__Password": SECRET,
}
URL = "must be an absolute URL such as https://host/path, without credentials or query"
SECURE = "must begin with https://, unless AllowHttp beside it is true"
SPAN = "must be a time span such as 00:10:00 or 7.00:00:00"
SCHEDULE = "cannot be a timer schedule; set SYNC_SCHEDULE to an NCRONTAB such as 0 */5 * * * * instead"
TYPES = "needs AuthenticationType to be one of ManagedIdentity, OAuth2ClientCredential, OAuth2UserPasswordCredential"
ZONE = "must be a zone such as Europe/Berlin or an offset such as +01:00"

# what is set beside NEEDED (None takes away), and what is said
WRONG = [
    ({"DicomWeb__Endpoint": None}, ["DicomWeb__Endpoint is missing"]),
    ({"Fhir__Endpoint": " "}, ["Fhir__Endpoint is missing"]),
    (
        {"DicomWeb__Endpoint": None, "Fhir__Endpoint": None},
        ["DicomWeb__Endpoint is missing", "Fhir__Endpoint is missing"],
    ),
    ({"Fhir__Endpoint": "fhir.example.org"}, [f"Fhir__Endpoint {URL}"]),
    ({"Fhir__Endpoint": f"https://user:{SECRET}@fhir.example.org"}, [f"Fhir__Endpoint {URL}"]),
    ({"Fhir__Endpoint": f"https://fhir.example.org?code={SECRET}"}, [f"Fhir__Endpoint {URL}"]),
    ({"Fhir__Endpoint": "ftp://fhir.example.org"}, [f"Fhir__Endpoint {URL}"]),
    ({"Fhir__Endpoint": "http://fhir.example.org"}, [f"Fhir__Endpoint {SECURE}"]),
    ({"DicomWeb__Endpoint": "http://10.0.0.4:8080"}, [f"DicomWeb__Endpoint {SECURE}"]),
    ({"DicomWeb__PrivateEndpoint": "http://10.0.0.4:8080"}, [f"DicomWeb__PrivateEndpoint {SECURE}"]),
    ({"DicomWeb__DefaultTimeZone": "Mars/Olympus"}, [f"DicomWeb__DefaultTimeZone {ZONE}"]),
    ({"DicomWeb__AllowHttp": "yes"}, ["DicomWeb__AllowHttp must be true or false"]),
    ({f"{FHIR}__Enabled": "1"}, [f"{FHIR}__Enabled must be true or false"]),
    ({f"{FHIR}__Enabled": "true"}, [f"{FHIR} {TYPES}"]),
    ({f"{FHIR}__Enabled": "true", f"{FHIR}__AuthenticationType": "Kerberos"}, [f"{FHIR} {TYPES}"]),
    (BY_IDENTITY, [f"{FHIR}__ManagedIdentityCredential__Resource is missing"]),
    (BY_GRANT | {f"{GRANT}__TokenUri": None}, [f"{GRANT}__TokenUri is missing"]),
    (BY_GRANT | {f"{GRANT}__ClientId": None}, [f"{GRANT}__ClientId is missing"]),
    (BY_GRANT | {f"{GRANT}__ClientSecret": None}, [f"{GRANT}__ClientSecret is missing"]),
    (
        BY_GRANT | {f"{GRANT}__TokenUri": "http://login.example.org/token"},
        [f"{GRANT}__TokenUri must begin with https://"],
    ),
    (BY_GRANT | {f"{GRANT}__TokenUri": "login"}, [f"{GRANT}__TokenUri {URL}"]),
    (BY_PASSWORD | {f"{GRANT}__Username": None}, [f"{PASSWORD}__Username is missing"]),
    (BY_PASSWORD | {f"{GRANT}__Password": None}, [f"{PASSWORD}__Password is missing"]),
    ({"DicomCastWorker__PollInterval": "soon"}, [f"DicomCastWorker__PollInterval {SPAN}"]),
    ({"DicomCastWorker__PollInterval": "00:07:00"}, [f"DicomCastWorker__PollInterval {SCHEDULE}"]),
    ({"RetryConfiguration__TotalRetryDuration": "7 days"}, [f"RetryConfiguration__TotalRetryDuration {SPAN}"]),
    ({"Patient__IsIssuerIdUsed": "maybe"}, ["Patient__IsIssuerIdUsed must be true or false"]),
    ({"Patient__Demographics": "Always"}, ["Patient__Demographics must be Sync or CreateOnly"]),
    ({"ImagingStudy__Instances": "Some"}, ["ImagingStudy__Instances must be All or None"]),
    (
        {"ImagingStudy__MostInstances": "5,000"},
        ["ImagingStudy__MostInstances must be a whole number from 1 to 999999999"],
    ),
    ({"ImagingStudy__MostInstances": "0"}, ["ImagingStudy__MostInstances must be a whole number from 1 to 999999999"]),
    (
        {"TableStore__TableNamePrefix": "my-"},
        ["TableStore__TableNamePrefix must be up to 31 letters and digits, a letter first"],
    ),
    (
        {"STUDY_QUEUE_NAME": "Study_Changes"},
        ["STUDY_QUEUE_NAME must be 3 to 56 lower-case letters, digits and single hyphens"],
    ),
    (
        {"DicomCast__Features__GenerateObservations": "on"},
        ["DicomCast__Features__GenerateObservations must be true or false"],
    ),
    ({"KeyVault__Endpoint": "vault"}, [f"KeyVault__Endpoint {URL}"]),
    ({"KeyVault__Endpoint": "http://vault.example.org"}, ["KeyVault__Endpoint must begin with https://"]),
    (
        {"Fhir__Endpoint": None, "DicomWeb__Endpoint": "x", "Patient__IsIssuerIdUsed": "x"},
        [f"DicomWeb__Endpoint {URL}", "Fhir__Endpoint is missing", "Patient__IsIssuerIdUsed must be true or false"],
    ),
]


@pytest.mark.parametrize(
    ("settings", "problems"), WRONG, ids=lambda one: "+".join(one) if isinstance(one, dict) else ""
)
def test_wrong_settings_are_named(monkeypatch, settings, problems):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in (NEEDED | settings).items():
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as raised:
        Settings.load()
    assert list(raised.value.problems) == problems
    assert str(raised.value) == "settings: " + "; ".join(problems)
    assert SECRET not in str(raised.value)
    assert len(WRONG) >= 30
