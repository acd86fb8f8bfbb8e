"""The change feed: paging, members of a row, states after each change, rows of deletions and updates."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from tests.contract.dicom.conftest import PARTS, client_of, served
from tests.contract.dicom.dicom_feed import (
    FEED_JSON,
    LATE_S,
    PLAIN_TEXT,
    TIMESTAMP,
    WRITE,
    begin_update,
    feed,
    fill,
    patient_id,
    sequences,
    states,
    troubled,
    until,
    update,
)
from tests.contract.dicom.dicom_files import CT, store, uid

MEMBERS = [
    "sequence",
    "partitionName",
    "studyInstanceUid",
    "seriesInstanceUid",
    "sopInstanceUid",
    "action",
    "timestamp",
    "state",
]


@pytest.fixture(params=PARTS)
def empty(request):
    """A service of its own."""
    with served(request.param) as url, client_of(url) as dicom:
        yield dicom


def test_an_empty_feed(empty):
    for version in (1, 2):
        newest = empty.get(f"/v{version}/changefeed/latest")
        assert (newest.status_code, newest.content) == (204, b"")
        assert feed(empty, version) == []


def test_answers_tell_the_clock_of_the_service(empty):
    """The app measures by it how long a number is missing."""
    fill(empty, 1)
    for path in ("/v1/changefeed", "/v1/changefeed?offset=1", "/v1/changefeed/latest"):
        date = parsedate_to_datetime(empty.get(path).headers["date"])
        assert abs(date - datetime.now(UTC)) < timedelta(seconds=LATE_S)


def test_members_of_a_row(empty):
    study, series, sops = fill(empty, 1)
    for version in (1, 2):
        with_metadata, without = feed(empty, version), feed(empty, version, includeMetadata="false")
        assert list(without[0]) == MEMBERS
        assert list(with_metadata[0]) == [*MEMBERS, "metadata"]
        row = without[0]
        assert re.fullmatch(rf"{TIMESTAMP}\+00:00", row.pop("timestamp"))
        assert list(row.values()) == [1, "Microsoft.Default", study, series, sops[0], "Create", "Current"]
        metadata = with_metadata[0]["metadata"]
        assert (metadata["00080016"]["Value"], metadata["00080018"]["Value"]) == ([CT], sops)
        assert empty.get(f"/v{version}/changefeed/latest").json() == with_metadata[0]
        assert list(empty.get(f"/v{version}/changefeed/latest?includeMetadata=false").json()) == MEMBERS


def test_pages_of_version_1_are_windows_of_sequence_numbers(empty):
    fill(empty, 12)
    assert len(empty.get("/v1/changefeed").json()) == 10
    assert sequences(empty, offset=10) == [11, 12]
    assert sequences(empty, offset=3, limit=2) == [4, 5]
    assert sequences(empty, offset=12) == sequences(empty, offset=99) == []
    assert sequences(empty, startTime="9999-01-01T00:00:00Z") == list(range(1, 13))
    assert sequences(empty, startTime="nothing", offset=11) == [12]


def test_pages_of_version_2_are_windows_of_time(empty):
    fill(empty, 5)
    times = [row["timestamp"] for row in feed(empty, 2)]
    assert times == sorted(times)
    assert sequences(empty, 2, startTime=times[1]) == [2, 3, 4, 5]
    assert sequences(empty, 2, endTime=times[1]) == [1]
    window = {"startTime": times[1], "endTime": times[4]}
    assert sequences(empty, 2, **window) == [2, 3, 4]
    assert sequences(empty, 2, **window, offset=1, limit=1) == [3]
    assert sequences(empty, 2, **window, offset=3) == sequences(empty, 2, offset=99) == []
    assert len(empty.get("/v2/changefeed?limit=200").json()) == 5


def test_a_page_of_version_2_has_100_rows_unless_asked(empty):
    study, series = uid(), uid()
    for _ in range(2):
        files = [WRITE.file(study=study, series=series) for _ in range(51)]
        assert store(empty, *files).status_code == 200
    assert len(empty.get("/v2/changefeed?includeMetadata=false").json()) == 100
    assert len(empty.get("/v2/changefeed?includeMetadata=false&limit=200").json()) == 102
    assert len(empty.get("/v1/changefeed?includeMetadata=false&limit=100&offset=100").json()) == 2


# query, status of version 1, status of version 2
QUERIES = [
    ("limit=0", 400, 400),
    ("limit=100", 200, 200),
    ("limit=x", 400, 400),
    ("limit=101", 400, 200),
    ("limit=201", 400, 400),
    ("limit=", 400, 400),
    ("limit=1.0", 400, 400),
    ("limit=%201", 200, 200),
    ("limit=2&limit=0", 200, 200),
    ("offset=-1", 400, 400),
    ("offset=", 400, 400),
    ("offset=%2B1", 200, 200),
    ("offset=9223372036854775807", 503, 200),
    ("offset=9223372036854775808", 400, 400),
    ("includeMetadata=", 400, 400),
    ("includeMetadata=1", 400, 400),
    ("INCLUDEMETADATA=TRUE", 200, 200),
    ("anything=1", 200, 200),
    ("startTime=", 200, 200),
    ("startTime=2024-01-01T00:00Z", 200, 200),
    ("startTime=2024-01-01%2000:00:00Z", 200, 200),
    ("startTime=2024-01-01T00:00:00.1234567%2B02:00", 200, 200),
    ("startTime=0001-01-01T00:00:00%2B05:00", 200, 200),
    ("startTime=9999-12-31T23:59:59Z", 200, 200),
    ("startTime=2024-01-01T00:00:00", 200, 400),
    ("startTime=2024-01-01", 200, 400),
    ("startTime=2024-01-01T00:00:00+00:00", 200, 400),
    ("startTime=2024-01-01T24:00:00Z", 200, 400),
    ("startTime=20240101T000000Z", 200, 400),
    ("startTime=9999-12-31T23:59:59-05:00", 200, 400),
    ("endTime=", 200, 200),
    ("endTime=0001-01-01T00:00:00Z", 200, 400),
    ("startTime=2024-01-01T00:00:00Z&endTime=2024-01-01T00:00:00Z", 200, 400),
    ("startTime=2024-01-02T00:00:00Z&endTime=2024-01-01T00:00:00Z", 200, 400),
]


@pytest.mark.parametrize(("query", "first", "second"), QUERIES)
def test_queries(dicom, query, first, second):
    responses = [dicom.get(f"/v{version}/changefeed?{query}") for version in (1, 2)]
    assert [response.status_code for response in responses] == [first, second]
    assert {response.headers["content-type"] for response in responses if not response.is_success} <= {PLAIN_TEXT}


def test_latest_has_one_parameter(dicom):
    store(dicom, WRITE.file())
    for version in (1, 2):
        path = f"/v{version}/changefeed/latest"
        assert dicom.get(f"{path}?includeMetadata=x").status_code == 400
        assert dicom.get(f"{path}?offset=x&limit=0&startTime=x").status_code == 200


def test_states_of_an_instance(empty):
    study, series, (sop,) = fill(empty, 1)
    data = WRITE.file([WRITE.element(0x00100020, "LO", "AGAIN")], study=study, series=series, sop=sop)
    assert states(empty) == [("Create", "Current", "TEST1")]
    assert store(empty, data).status_code == 409
    assert len(states(empty)) == 1
    assert empty.delete(f"/v2/studies/{study}").status_code == 204
    assert states(empty) == [("Create", "Deleted", None), ("Delete", "Deleted", None)]
    assert "metadata" not in empty.get("/v2/changefeed/latest").json()
    assert store(empty, data).status_code == 200
    replaced = [("Create", "Replaced"), ("Delete", "Replaced")]
    assert states(empty) == [*((*row, "AGAIN") for row in replaced), ("Create", "Current", "AGAIN")]
    update(empty, [study], "NEW")
    replaced.append(("Create", "Replaced"))
    assert states(empty) == [*((*row, "NEW") for row in replaced), ("Update", "Current", "NEW")]
    update(empty, [study], "NEWER")
    replaced.append(("Update", "Replaced"))
    assert states(empty) == [*((*row, "NEWER") for row in replaced), ("Update", "Current", "NEWER")]
    assert empty.delete(f"/v2/studies/{study}").status_code == 204
    assert {(state, found) for _, state, found in states(empty)} == {("Deleted", None)}
    assert [row[0] for row in states(empty)] == ["Create", "Delete", "Create", "Update", "Update", "Delete"]


def test_deletes_of_instance_series_and_study(empty):
    study, series, sops = fill(empty, 3)
    other_series, (other,) = fill(empty, 1, study)[1:]
    last = fill(empty, 1, study)[2][0]
    paths = [f"/series/{series}/instances/{sops[0]}", f"/series/{series}", ""]
    for path in paths:
        assert empty.delete(f"/v2/studies/{study}{path}").status_code == 204
        assert empty.delete(f"/v2/studies/{study}{path}").status_code == 404
    rows = feed(empty)[5:]
    assert {(row["action"], row["state"]) for row in rows} == {("Delete", "Deleted")}
    found = [{row["sopInstanceUid"] for row in part} for part in (rows[:1], rows[1:3], rows[3:])]
    assert found == [{sops[0]}, set(sops[1:]), {other, last}]
    # the rows of one deletion have one time, those of another a later one
    times = [row["timestamp"] for row in rows]
    assert times[0] < times[1] == times[2] < times[3] == times[4]
    assert other_series in {row["seriesInstanceUid"] for row in rows[3:]}
    assert sequences(empty, 2, startTime=times[1], endTime=times[3]) == [7, 8]


def test_rows_of_an_update(empty):
    study, _, sops = fill(empty, 3)
    other, _, (lone,) = fill(empty, 1)
    fill(empty, 1)
    ended = update(empty, [study, "9.9.9", other], "NEW")
    assert ended["results"] == {"studyProcessed": 3, "studyUpdated": 2, "studyFailed": 0, "instanceUpdated": 4}
    rows = feed(empty)[5:]
    assert {(row["action"], row["state"], patient_id(row)) for row in rows} == {("Update", "Current", "NEW")}
    assert {row["sopInstanceUid"] for row in rows[:3]} == set(sops)
    assert [row["sopInstanceUid"] for row in rows[3:]] == [lone]
    # a study is one transaction
    assert len({row["timestamp"] for row in rows[:3]}) == 1
    assert rows[2]["timestamp"] <= rows[3]["timestamp"]
    assert states(empty, studyInstanceUid=study)[:3] == [("Create", "Replaced", "NEW")] * 3


@pytest.mark.parametrize("part", PARTS)
def test_an_operation_from_its_beginning_to_its_end(part):
    with troubled(part, MEMSTORE_UPDATE_MS=str(LATE_S * 1000)) as (dicom, ask):
        ask("faults", rules=[{"kind": "linger", "route": "update", "seconds": LATE_S, "times": 1}])
        study, _, _ = fill(dicom, 1)
        started = begin_update(dicom, [study], "NEW")
        number, href = started.json()["id"], started.json()["href"]
        assert re.fullmatch("[0-9a-f]{32}", number)
        assert href == f"{str(dicom.base_url).rstrip('/')}/v2/operations/{number}"
        going = dicom.get(href)
        assert (going.status_code, going.headers["location"], going.headers["content-type"]) == (202, href, FEED_JSON)
        assert going.json()["status"] in {"notStarted", "running"}
        assert going.json()["results"]["studyUpdated"] == 0
        second = begin_update(dicom, [study], "OTHER")
        assert (second.status_code, second.headers["content-type"]) == (409, PLAIN_TEXT)
        assert second.text == f"There is already an active update operation with ID '{number}'."
        assert states(dicom) == [("Create", "Current", "TEST1")]
        until(lambda: dicom.get(href).status_code == 200)
        ended = dicom.get(href)
        assert ended.headers["content-type"] == FEED_JSON
        assert re.fullmatch(f"{TIMESTAMP}Z", ended.json()["createdTime"])
        assert re.fullmatch(f"{TIMESTAMP}Z", ended.json()["lastUpdatedTime"])
        kept = {name: ended.json()[name] for name in ("operationId", "type", "status", "percentComplete")}
        assert kept == {"operationId": number, "type": "update", "status": "succeeded", "percentComplete": 100}
        assert dicom.get(href.replace("/v2/", "/v1/")).json()["status"] == "completed"
        assert states(dicom) == [("Create", "Replaced", "NEW"), ("Update", "Current", "NEW")]


@pytest.mark.parametrize("number", ["0" * 32, "xyz"])
def test_unknown_operations(dicom, number):
    response = dicom.get(f"/v2/operations/{number}")
    assert (response.status_code, response.content) == (404, b"")
