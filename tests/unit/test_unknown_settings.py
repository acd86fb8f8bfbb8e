"""Settings that nobody reads, and schedules that no timer can read: each is named, with what was probably meant."""

import contextlib

import pytest

from shared.config import Settings
from shared.errors import Misconfigured
from shared.settings.hosting import Triggers
from shared.text_forms import check_schedule
from tests.infra.settings import documented_settings

NEEDED = {"DicomWeb__Endpoint": "https://dicom.example.org", "Fhir__Endpoint": "https://fhir.example.org"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Paitent__PatientSystemId", "Patient__PatientSystemId"),
        ("Patient__PatientSystemID2", "Patient__PatientSystemId"),
        ("Fhir__Endpont", "Fhir__Endpoint"),
        ("DicomWeb:PrivatEndpoint", "DicomWeb__PrivateEndpoint"),
        ("DICOMWEB__AUTHENTICATION__AUTHENTICATIONTYP", "DicomWeb__Authentication__AuthenticationType"),
        (
            "Fhir__Authentication__ManagedIdentityCredential__Ressource",
            "Fhir__Authentication__ManagedIdentityCredential__Resource",
        ),
        ("DicomCast__GenerateObservations", "DicomCast__Features__GenerateObservations"),
        ("RetryConfiguration__TotalRetryDurations", "RetryConfiguration__TotalRetryDuration"),
        ("KeyVault__EndPoints", "KeyVault__Endpoint"),
        ("DicomWeb__FormerEndpoint", "DicomWeb__FormerEndpoints"),
        ("SYNC_SCHEDUL", "SYNC_SCHEDULE"),
        ("STUDY_QUEUENAME", "STUDY_QUEUE_NAME"),
    ],
)
def test_a_misspelt_setting_is_named_with_what_was_meant(load, name, meant):
    found = load(Settings, NEEDED | {name: "x"}).unknown_settings
    assert found == (f"{name} is not a setting of this app, and nothing reads it: is {meant} meant?",)


def test_an_unknown_setting_of_a_section_is_named(load):
    found = load(Settings, NEEDED | {"ImagingStudy__Colour": "x", "Fhir__Zzz__Yyy": "x"}).unknown_settings
    assert [text.split()[0] for text in found] == ["Fhir__Zzz__Yyy", "ImagingStudy__Colour"]
    assert not any("meant" in text for text in found)


@pytest.mark.parametrize(
    "name",
    [
        "DICOM__Endpoint",
        "dicomweb:authentication:oauth2userpasswordcredential:username",
        "Fhir__Authentication__OAuth2ClientCredential__Scope",
        "TableStore__ConnectionString",
        "AzureWebJobsStorage__clientId",
        "AzureFunctionsJobHost__logging__logLevel__Function",
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        "WEBSITE_SITE_NAME",
        "PATIENT",
        "PATH",
        "A__B",
        "Logging__LogLevel__Default",
    ],
)
def test_settings_that_somebody_reads_are_not_named(load, name):
    """What a setting's name is like in another program is none of this app's business."""
    value = "UseDevelopmentStorage=true" if "Connection" in name else "x"
    assert load(Settings, NEEDED | {name: value}).unknown_settings == ()


@pytest.mark.parametrize("name", sorted(documented_settings()))
def test_no_documented_setting_is_named(load, name):
    with contextlib.suppress(Misconfigured):  # the value is nonsense for some
        assert load(Settings, NEEDED | {name: "x"}).unknown_settings == ()


def test_an_empty_setting_is_not_set(load):
    assert load(Settings, NEEDED | {"Fhir__Endpont": " "}).unknown_settings == ()


@pytest.mark.parametrize(
    "schedule",
    [
        "every minute",
        "* * *",
        "60 * * * * *",
        "0 0 24 * * *",
        "0 0 0 ? * *",  # of Quartz
        "0 0 0 L * *",
        "0 0 0 * * 7",  # cron's other Sunday
        "0 0 0 * * Monday",
        "0 0 22-2 * * *",  # the host would take it for 2-22
        "0 */0 * * * *",
        "0 5, * * * *",
        "@hourly",
        "00:00:00",
        "25:00:00",
    ],
)
def test_a_schedule_that_no_timer_can_read_is_a_wrong_setting(load, schedule):
    with pytest.raises(Misconfigured) as raised:
        load(Settings, NEEDED | {"SYNC_SCHEDULE": schedule})
    (problem,) = raised.value.problems
    assert problem.startswith("SYNC_SCHEDULE must be ")
    # the timer runs all the same, so that the log names it
    assert Triggers.load().schedule == "0 * * * * *"


@pytest.mark.parametrize(
    "schedule",
    [
        "0 * * * * *",
        "*/2 * * * * *",
        "*/5 * * * *",
        "0 */5 8-17 * * 1-5",
        "0 0 0 1 * MON",
        "0 0 0 1 jan-mar sun",
        "5,35 0-30/10 3/2 * * *",
        "00:10:00",
        "1.00:00:00",
        "%SOME_SETTING%",
    ],
)
def test_a_schedule_that_a_timer_can_read_is_taken(load, schedule):
    assert check_schedule(schedule) == schedule
    load(Settings, NEEDED | {"SYNC_SCHEDULE": schedule})
    assert Triggers.load().schedule == schedule


@pytest.mark.parametrize("system", ["hospital", "1.2.840.1", "urn:oid:1 2", "://x", "patients/x"])
@pytest.mark.parametrize("name", ["Patient__PatientSystemId", "Patient__PartitionSystemIds"])
def test_a_system_of_patient_identifiers_must_be_a_uri(load, name, system):
    value = system if name.endswith("SystemId") else f'{{"clinic-a": "{system}"}}'
    with pytest.raises(Misconfigured) as raised:
        load(Settings, NEEDED | {name: value})
    (problem,) = raised.value.problems
    assert problem.startswith(f"{name} must be ")
    assert "urn:oid:1.2.3" in problem
    assert "hospital " not in problem, "the value is not said"


@pytest.mark.parametrize("system", ["urn:oid:1.2.3", "https://hospital.example.org/patients", "urn:x", "http://a"])
def test_a_uri_is_taken(load, system):
    assert load(Settings, NEEDED | {"Patient__PatientSystemId": system}).patient.patient_system_id == system
