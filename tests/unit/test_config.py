"""Settings: names and text forms of DICOM Cast, all problems at once, no value in any message."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import Demographics, Settings
from shared.errors import Misconfigured
from shared.settings.hosting import StorageAccount, Triggers
from shared.text_forms import parse_time_span, schedule_for

DICOM, FHIR = "https://dicom.example.org", "https://fhir.example.org/fhir/R4"
NEEDED = {"DicomWeb__Endpoint": DICOM, "Fhir__Endpoint": FHIR}
SECRET = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0"


def _problems(load, settings, model=Settings):
    with pytest.raises(Misconfigured) as raised:
        load(model, settings)
    assert (raised.value.code, str(raised.value)) == ("settings", "settings: " + "; ".join(raised.value.problems))
    return raised.value.problems


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(NEEDED, id="app settings"),
        pytest.param({name.replace("__", ":"): value for name, value in NEEDED.items()}, id="colons"),
        pytest.param({name.upper(): value for name, value in NEEDED.items()}, id="upper case"),
        pytest.param({name.lower(): value for name, value in NEEDED.items()}, id="lower case"),
        pytest.param({"DICOM__Endpoint": DICOM, "Fhir__Endpoint": FHIR}, id="DICOM--Endpoint of the how-to"),
        pytest.param({"Dicom:Endpoint": DICOM, "Fhir__Endpoint": FHIR}, id="the same with a colon"),
        pytest.param(NEEDED | {"DICOM__Endpoint": "https://other.example.org"}, id="DicomWeb beats DICOM"),
        pytest.param({name: f" {value} " for name, value in NEEDED.items()}, id="padded"),
        pytest.param(
            NEEDED | {"PATH": "/bin", "DICOM": "x", "A__B": "c", "A": "b", "__X": "y", "Z__": "z"}, id="noise"
        ),
    ],
)
def test_endpoints(load, settings):
    loaded = load(Settings, settings)
    assert (loaded.dicom_web.endpoint, loaded.fhir.endpoint) == (DICOM, FHIR)


SYSTEMS = {"a-1": "urn:a", "b": "urn:b"}
FORMER = ("http://a", "https://b/c")


@pytest.mark.parametrize(
    "text",
    ["x", "[]", '"a"', '{"a": 1}', '{"a": ""}', '{"a b": "urn:a"}', '{"a": "urn:a", "A": "urn:b"}', "[" * 100_000],
)
def test_systems_of_partitions_that_are_wrong(load, text):
    (problem,) = _problems(load, NEEDED | {"Patient__PartitionSystemIds": text})
    assert problem.startswith("Patient__PartitionSystemIds must ")
    assert "urn:a" not in problem


@pytest.mark.parametrize(
    "text", ["x", "{}", '"https://secret"', "[1]", "[null]", '["urn:a b", "secret"]', "[" * 100_000]
)
@pytest.mark.parametrize("name", ["DicomWeb__FormerEndpoints", "Patient__FormerSystemIds"])
def test_lists_that_are_wrong(load, name, text):
    (problem,) = _problems(load, NEEDED | {name: text})
    assert problem.startswith(f"{name} must be a JSON list of ")
    assert "secret" not in problem


@pytest.mark.parametrize("name", ["DicomWeb__FormerEndpoints", "Patient__FormerSystemIds"])
def test_lists_as_dotnet_has_them(load, name):
    (problem,) = _problems(load, NEEDED | {f"{name}__0": "secret"})
    assert problem.startswith(f"{name} must be a JSON list of ")
    assert "secret" not in problem


@pytest.mark.parametrize("text", ['["old.example.org"]', '[""]', '["https://a?b"]', '["https://u:secret@a"]'])
def test_former_endpoints_that_are_no_urls(load, text):
    (problem,) = _problems(load, NEEDED | {"DicomWeb__FormerEndpoints": text})
    assert problem.startswith("DicomWeb__FormerEndpoints must be a JSON list of absolute URLs")
    assert "secret" not in problem


def test_defaults_are_those_of_dicom_cast(load):
    loaded = load(Settings, NEEDED)
    features = loaded.dicom_cast.features
    assert (
        loaded.dicom_web.private_endpoint,
        loaded.dicom_web.authentication.enabled,
        loaded.fhir.authentication.enabled,
        features.enforce_validation_of_tag_values,
        features.generate_observations,
        features.ignore_json_parsing_errors,
        loaded.patient.patient_system_id,
        loaded.patient.is_issuer_id_used,
        loaded.patient.demographics,
        loaded.retry_configuration.total_retry_duration,
        loaded.table_store.table_name_prefix,
        loaded.table_store.connection_string,
        loaded.study_queue_name,
    ) == (
        None,
        False,
        False,
        False,
        True,
        False,
        "",
        False,
        Demographics.SYNC,
        timedelta(days=7),
        "",
        None,
        "study-changes",
    )


def _at(settings, path):
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("DicomWeb__PrivateEndpoint", "https://10.0.0.4", "dicom_web.private_endpoint", "https://10.0.0.4"),
        ("DicomWeb__DefaultTimeZone", "Europe/Berlin", "dicom_web.default_time_zone", "Europe/Berlin"),
        ("DicomWeb__DefaultTimeZone", "+01:00", "dicom_web.default_time_zone", "+01:00"),
        ("DicomWeb__DefaultTimeZone", "-0330", "dicom_web.default_time_zone", "-0330"),
        ("Patient__PatientSystemId", "urn:x", "patient.patient_system_id", "urn:x"),
        ("Patient__IsIssuerIdUsed", "True", "patient.is_issuer_id_used", True),
        ("Patient__Demographics", "CreateOnly", "patient.demographics", Demographics.CREATE_ONLY),
        ("Patient__Demographics", "sync", "patient.demographics", Demographics.SYNC),
        ("Patient__PartitionSystemIds", '{"A-1": "urn:a", "b": "urn:b"}', "patient.partition_system_ids", SYSTEMS),
        ("Patient__FormerSystemIds", '["", "urn:a"]', "patient.former_system_ids", ("", "urn:a")),
        ("DicomWeb__FormerEndpoints", '["http://a", "https://b/c"]', "dicom_web.former_endpoints", FORMER),
        ("DicomWeb__FormerEndpoints", "[]", "dicom_web.former_endpoints", ()),
        ("RetryConfiguration__TotalRetryDuration", "7.00:00:00", "retry_configuration.total_retry_duration", None),
        ("TableStore__TableNamePrefix", "cast", "table_store.table_name_prefix", "cast"),
        ("STUDY_QUEUE_NAME", "studies-2", "study_queue_name", "studies-2"),
        ("DicomCast__Features__GenerateObservations", "FALSE", "dicom_cast.features.generate_observations", False),
    ],
)
def test_setting(load, name, text, path, value):
    expected = timedelta(days=7) if value is None else value
    assert _at(load(Settings, NEEDED | {name: text}), path) == expected


@pytest.mark.parametrize("value", ["", " "], ids=["empty", "spaces"])
def test_empty_means_not_set(load, value):
    settings = NEEDED | {"DicomWeb__PrivateEndpoint": value, "RetryConfiguration__TotalRetryDuration": value}
    assert load(Settings, settings) == load(Settings, NEEDED)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("TRUE", True), ("false", False), ("FALSE", False), (" true ", True)],
)
def test_boolean(load, text, value):
    settings = NEEDED | {"DicomCast__Features__EnforceValidationOfTagValues": text}
    assert load(Settings, settings).dicom_cast.features.enforce_validation_of_tag_values is value


@pytest.mark.parametrize("text", ["1", "0", "yes", "on", "wahr", "truefalse"])
def test_text_that_is_no_boolean(load, text):
    settings = NEEDED | {"DicomCast__Features__EnforceValidationOfTagValues": text}
    assert _problems(load, settings) == ("DicomCast__Features__EnforceValidationOfTagValues must be true or false",)


SPAN = "RetryConfiguration__TotalRetryDuration"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("00:10:00", timedelta(minutes=10), id="hh:mm:ss"),
        pytest.param("7.00:00:00", timedelta(days=7), id="d.hh:mm:ss"),
        pytest.param("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4), id="all parts"),
        pytest.param("23:59:59", timedelta(hours=23, minutes=59, seconds=59), id="largest parts"),
        pytest.param("1:2:3", timedelta(hours=1, minutes=2, seconds=3), id="h:m:s"),
        pytest.param("06:30", timedelta(hours=6, minutes=30), id="hh:mm"),
        pytest.param("7", timedelta(days=7), id="days"),
        pytest.param("00:00:01.0000000", timedelta(seconds=1), id="seven fractional digits"),
        pytest.param(" 00:10:00 ", timedelta(minutes=10), id="padded"),
    ],
)
def test_time_span(load, text, value):
    assert load(Settings, NEEDED | {SPAN: text}).retry_configuration.total_retry_duration == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("soon", id="word"),
        pytest.param("24:00:00", id="hour 24"),
        pytest.param("00:60:00", id="minute 60"),
        pytest.param("00:00:60", id="second 60"),
        pytest.param("-00:10:00", id="negative"),
        pytest.param("1.5", id="decimal"),
        pytest.param("P7D", id="ISO 8601"),
        pytest.param("10675200", id="more days than .NET has"),
        pytest.param("9999999999", id="more days than there are"),
        pytest.param("9999999999.00:00:00", id="more days than there are, and hours"),
    ],
)
def test_text_that_is_no_time_span(load, text):
    assert _problems(load, NEEDED | {SPAN: text}) == (f"{SPAN} must be a time span such as 00:10:00 or 7.00:00:00",)


@given(st.timedeltas(timedelta(0), timedelta(days=10_000)))
def test_time_spans_as_dotnet_prints_them(span):
    span = timedelta(days=span.days, seconds=span.seconds)
    hours, rest = divmod(span.seconds, 3600)
    days = f"{span.days}." if span.days else ""
    assert parse_time_span(f"{days}{hours:02}:{rest // 60:02}:{rest % 60:02}") == span


URL_PROBLEM = "must be an absolute URL such as https://host/path, without credentials or query"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("dicom.example.org", id="no scheme"),
        pytest.param("ftp://dicom.example.org", id="other scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("/dicom", id="path"),
        pytest.param("https://topsecret@dicom.example.org", id="user"),
        pytest.param("https://user:topsecret@dicom.example.org", id="user and password"),
        pytest.param("https://:topsecret@dicom.example.org", id="password alone"),
        pytest.param("https://dicom.example.org?code=topsecret", id="query"),
        pytest.param("https://dicom.example.org#topsecret", id="fragment"),
        pytest.param("https://dicom.example.org:port", id="port a word"),
        pytest.param("https://dicom.example.org:99999", id="port too large"),
        pytest.param("https://dicom example.org", id="space in the host"),
    ],
)
@pytest.mark.parametrize("name", ["DicomWeb__Endpoint", "DicomWeb__PrivateEndpoint", "Fhir__Endpoint"])
def test_url_that_cannot_be_used(load, name, url):
    assert _problems(load, NEEDED | {name: url}) == (f"{name} {URL_PROBLEM}",)


def test_everything_that_is_missing_is_named(load):
    assert _problems(load, {}) == ("DicomWeb__Endpoint is missing", "Fhir__Endpoint is missing")


def test_everything_that_is_wrong_is_named_at_once_and_never_by_value(load):
    value = "Topsecret"
    names = {
        "DicomCastWorker__PollInterval",
        "DicomCast__Features__EnforceValidationOfTagValues",
        "DicomCast__Features__GenerateObservations",
        "DicomCast__Features__IgnoreJsonParsingErrors",
        "DicomWeb__Authentication__Enabled",
        "DicomWeb__DefaultTimeZone",
        "DicomWeb__Endpoint",
        "DicomWeb__PrivateEndpoint",
        "Fhir__Authentication__Enabled",
        "Fhir__Endpoint",
        "Patient__Demographics",
        "Patient__IsIssuerIdUsed",
        "Patient__PartitionSystemIds",
        "Patient__FormerSystemIds",
        "DicomWeb__FormerEndpoints",
        "RetryConfiguration__TotalRetryDuration",
        "STUDY_QUEUE_NAME",
        "TableStore__TableNamePrefix",
    }
    problems = _problems(load, dict.fromkeys(names, value) | {"TableStore__TableNamePrefix": "1" + value})
    assert {problem.split(" ")[0] for problem in problems} == names
    assert value not in " ".join(problems)


@pytest.mark.parametrize("name", ["DicomWeb", "Fhir"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_stray_variable_with_the_name_of_a_section_breaks_nothing(load, name, first):
    stray, needed = {name: "x"}, {"DICOM__Endpoint": "https://other.example.org"} | NEEDED
    assert load(Settings, stray | needed if first else needed | stray) == load(Settings, NEEDED)


def test_connection_string_is_in_no_text(load):
    settings = load(Settings, NEEDED | {"TableStore__ConnectionString": SECRET})
    account = load(StorageAccount, {"AzureWebJobsStorage": SECRET})
    for model in (settings, account):
        assert "c2VjcmV0" not in f"{model!r} {model} {model.model_dump()} {model.model_dump_json()}"
    assert settings.table_store.connection_string.get_secret_value() == SECRET
    assert account.connection_string.get_secret_value() == SECRET


def test_connection_string_is_in_no_problem(load):
    problems = _problems(load, {"TableStore__ConnectionString": SECRET, "TableStore__TableNamePrefix": "1"})
    assert "c2VjcmV0" not in " ".join(problems)


QUEUE, TABLE = "https://a.queue.core.windows.net", "https://a.table.core.windows.net"


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"AzureWebJobsStorage__accountName": "a"}, id="account name"),
        pytest.param(
            {"AzureWebJobsStorage__queueServiceUri": QUEUE, "AzureWebJobsStorage__tableServiceUri": TABLE}, id="URIs"
        ),
        pytest.param(
            {"AZUREWEBJOBSSTORAGE:QUEUESERVICEURI": QUEUE, "AZUREWEBJOBSSTORAGE:TABLESERVICEURI": TABLE},
            id="colons, upper case",
        ),
    ],
)
def test_storage_account_by_identity(load, settings):
    account = load(StorageAccount, settings | {"AzureWebJobsStorage__clientId": "c"})
    found = (account.queue_service_uri, account.table_service_uri, account.client_id, account.connection_string)
    assert found == (QUEUE, TABLE, "c", None)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"AzureWebJobsStorage": " "}, id="empty"),
        pytest.param({"AzureWebJobsStorage__queueServiceUri": QUEUE}, id="no table"),
        pytest.param({"AzureWebJobsStorage__tableServiceUri": TABLE}, id="no queue"),
        pytest.param(
            {"AzureWebJobsStorage__queueServiceUri": "topsecret", "AzureWebJobsStorage__tableServiceUri": TABLE},
            id="no URL",
        ),
    ],
)
def test_storage_account_that_cannot_be_used(load, settings):
    [problem] = _problems(load, settings, StorageAccount)
    assert problem.startswith("AzureWebJobsStorage")
    assert "topsecret" not in problem


SCHEDULES = [
    pytest.param("00:00:01", "*/1 * * * * *", id="a second"),
    pytest.param("00:00:05", "*/5 * * * * *", id="5 seconds"),
    pytest.param("00:00:30", "*/30 * * * * *", id="half a minute"),
    pytest.param("00:01:00", "0 */1 * * * *", id="a minute, DICOM Cast's own"),
    pytest.param("00:05:00", "0 */5 * * * *", id="5 minutes"),
    pytest.param("01:00:00", "0 0 */1 * * *", id="an hour"),
    pytest.param("12:00:00", "0 0 */12 * * *", id="half a day"),
    pytest.param("1.00:00:00", "0 0 0 * * *", id="a day"),
]
NO_SCHEDULES = [
    pytest.param("00:00:00", id="zero"),
    pytest.param("00:00:07", id="7 seconds"),
    pytest.param("00:01:30", id="a minute and a half"),
    pytest.param("00:07:00", id="7 minutes"),
    pytest.param("01:30:00", id="an hour and a half"),
    pytest.param("05:00:00", id="5 hours"),
    pytest.param("2.00:00:00", id="2 days"),
    pytest.param("00:00:05.5000000", id="5.5 seconds"),
]


@pytest.mark.parametrize(("interval", "schedule"), SCHEDULES)
def test_schedule_of_a_poll_interval(load, interval, schedule):
    settings = NEEDED | {"DicomCastWorker__PollInterval": interval}
    assert load(Triggers, settings) == Triggers(schedule, "study-changes")
    assert load(Settings, settings).dicom_cast_worker.poll_interval == parse_time_span(interval)


@pytest.mark.parametrize("interval", NO_SCHEDULES)
def test_poll_interval_that_is_no_schedule(load, interval):
    settings = NEEDED | {"DicomCastWorker__PollInterval": interval}
    assert load(Triggers, settings) == Triggers("0 * * * * *", "study-changes")
    [problem] = _problems(load, settings)
    instead = "set SYNC_SCHEDULE to an NCRONTAB such as 0 */5 * * * * instead"
    assert problem == f"DicomCastWorker__PollInterval cannot be a timer schedule; {instead}"


@given(st.integers(1, 100_000))
def test_schedule_fires_at_its_interval_or_there_is_none(seconds):
    expected = next(
        (
            f"{head}*/{seconds // unit} {tail}".strip()
            for unit, within, head, tail in (
                (1, 60, "", "* * * * *"),
                (60, 3600, "0 ", "* * * *"),
                (3600, 86_400, "0 0 ", "* * *"),
            )
            if seconds % unit == 0 and seconds < within and within % seconds == 0
        ),
        "0 0 0 * * *" if seconds == 86_400 else None,
    )
    assert schedule_for(timedelta(seconds=seconds)) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, Triggers("0 * * * * *", "study-changes"), id="nothing set"),
        pytest.param(
            {"SYNC_SCHEDULE": "*/2 * * * * *", "DicomCastWorker__PollInterval": "00:05:00"},
            Triggers("*/2 * * * * *", "study-changes"),
            id="SYNC_SCHEDULE beats the poll interval",
        ),
        pytest.param({"SYNC_SCHEDULE": " "}, Triggers("0 * * * * *", "study-changes"), id="SYNC_SCHEDULE empty"),
        pytest.param(
            {"DicomCastWorker:PollInterval": "00:05:00"}, Triggers("0 */5 * * * *", "study-changes"), id="colon"
        ),
        pytest.param(
            {"DICOMCASTWORKER__POLLINTERVAL": "00:05:00"}, Triggers("0 */5 * * * *", "study-changes"), id="upper case"
        ),
        pytest.param({"STUDY_QUEUE_NAME": "studies"}, Triggers("0 * * * * *", "studies"), id="queue"),
        pytest.param(
            {"DicomCastWorker__PollInterval": "soon"}, Triggers("0 * * * * *", "study-changes"), id="no time span"
        ),
        pytest.param(
            {"DicomCastWorker__PollInterval": "9999999999"},
            Triggers("0 * * * * *", "study-changes"),
            id="more days than there are",
        ),
    ],
)
def test_triggers_can_always_be_declared(load, settings, expected):
    assert load(Triggers, settings) == expected
