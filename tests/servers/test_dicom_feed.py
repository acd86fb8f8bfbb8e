"""The change feed on the wire: entries, windows, states after every history, numbering, malformed entries."""

import re
from datetime import datetime, timedelta

import pytest
from test_dicom_arrange import SERIES, SOP, STUDY, feed, make_file, metadata_of, stand_in, states, store

from dev.dicom import clock

CURRENT, REPLACED, DELETED = "Current", "Replaced", "Deleted"


@pytest.fixture
async def dicom(tmp_path):
    async with stand_in(tmp_path) as client:
        yield client


async def shape(client, **wish):
    response = await client.post("/_dev/feed", json=wish)
    assert response.status_code == 200, response.text


async def update(client):
    wish = {"studyInstanceUids": [STUDY], "changeDataset": {"00100020": {"vr": "LO", "Value": ["NEW"]}}}
    response = await client.post("/v2/studies/$bulkUpdate", json=wish)
    while (await client.get(response.json()["href"])).status_code == 202:
        pass


async def act(client, step):
    if step == "create":
        await store(client, make_file())
    elif step == "delete":
        await client.delete(f"/v2/studies/{STUDY}")
    else:
        await update(client)


async def test_entry_as_it_is_serialised(dicom):
    await store(dicom, make_file())
    response = await dicom.get("/v1/changefeed?includeMetadata=false")
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    (entry,) = response.json()
    timestamp = entry["timestamp"]
    assert list(entry.items()) == [
        ("sequence", 1),
        ("partitionName", "Microsoft.Default"),
        ("studyInstanceUid", STUDY),
        ("seriesInstanceUid", SERIES),
        ("sopInstanceUid", SOP),
        ("action", "Create"),
        ("timestamp", timestamp),
        ("state", "Current"),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?\+00:00", timestamp)
    with_metadata = (await feed(dicom))[0]
    assert with_metadata == {**entry, "metadata": (await metadata_of(dicom))[0]}


HISTORIES = [
    ("create", [CURRENT]),
    ("create delete", [DELETED] * 2),
    ("create delete create", [REPLACED, REPLACED, CURRENT]),
    ("create update", [REPLACED, CURRENT]),
    ("create update update", [REPLACED, REPLACED, CURRENT]),
    ("create update delete", [DELETED] * 3),
    ("create update delete create", [REPLACED, REPLACED, REPLACED, CURRENT]),
]


@pytest.mark.parametrize(("history", "expected"), HISTORIES)
async def test_states_of_all_rows_follow_the_instance(dicom, history, expected):
    for step in history.split():
        await act(dicom, step)
    actions = [step.capitalize() for step in history.split()]
    assert await states(dicom) == list(zip(actions, expected, strict=True))
    newest = (await metadata_of(dicom))[0] if DELETED not in expected else None
    assert [entry.get("metadata") for entry in await feed(dicom)] == [newest] * len(expected)


async def test_v1_reads_a_window_of_sequences(dicom):
    await store(dicom, make_file())
    await shape(dicom, skip=15)
    await store(dicom, make_file(sop="1.2.9"))
    sequences = [[entry["sequence"] for entry in await feed(dicom, **query)] for query in QUERIES]
    assert sequences == [[1], [], [17], [17], [1, 17]]


QUERIES = [{"limit": 10}, {"limit": 10, "offset": 1}, {"limit": 7, "offset": 10}, {"offset": 16}, {"OFFSET": 0}]


async def test_v2_reads_a_window_of_time(dicom):
    uids = [f"1.2.{number}" for number in range(5)]
    for uid in uids:
        await store(dicom, make_file(sop=uid))
    times = [entry["timestamp"] for entry in await feed(dicom)]
    for query, expected in [
        ({}, uids),
        ({"startTime": times[1]}, uids[1:]),
        ({"endTime": times[3]}, uids[:3]),
        ({"startTime": times[1], "endTime": times[4], "offset": 1, "limit": 1}, uids[2:3]),
        ({"startTime": "2001-01-01T00:00:00Z", "offset": 5}, []),
    ]:
        found = await feed(dicom, version=2, **query)
        assert [entry["sopInstanceUid"] for entry in found] == expected


async def test_v1_ignores_times(dicom):
    await store(dicom, make_file())
    assert len(await feed(dicom, startTime="never", endTime="2001-01-01T00:00:00Z")) == 1


BAD_QUERIES = [
    *((1, f"limit={value}") for value in ("-1", "0", "101", "blah", "")),
    *((2, f"limit={value}") for value in ("0", "201")),
    *((2, f"offset={value}") for value in ("-1", "9223372036854775808", "9" * 5000, "blah", "1.5")),
    *((1, f"includeMetadata={value}") for value in ("0", "true-ish", "yes")),
    (2, "startTime=2020-01-01T00:00:00Z&endTime=2020-01-01T00:00:00Z"),
    (2, "startTime=2020-01-02T00:00:00Z&endTime=2020-01-01T00:00:00Z"),
    (2, "startTime=2020-01-01T00:00:00"),
    (2, "endTime=2020-01-01T00:00:00+01:00"),
    (2, "endTime=soon"),
]


@pytest.mark.parametrize(("version", "query"), BAD_QUERIES)
async def test_out_of_range_is_400_as_text(dicom, version, query):
    response = await dicom.get(f"/v{version}/changefeed?{query}")
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")


async def test_message_names_the_parameter(dicom):
    response = await dicom.get("/v2/changefeed?limit=201")
    assert response.text == "The query parameter 'limit' is invalid. The value must be between 1 and 200."


async def test_default_limits(dicom):
    await dicom.post("/_dev/bulk", json={"studies": 250})
    for version, expected in [(1, 10), (2, 100)]:
        assert len((await dicom.get(f"/v{version}/changefeed")).json()) == expected
    assert len(await feed(dicom, version=2, limit=200)) == 200


async def test_accept_is_not_enforced_on_the_feed(dicom):
    for path in ("/v1/changefeed", "/v2/changefeed"):
        assert (await dicom.get(path, headers={"Accept": "text/html"})).json() == []


@pytest.mark.parametrize("version", [1, 2])
async def test_latest(dicom, version):
    empty = await dicom.get(f"/v{version}/changefeed/latest")
    assert (empty.status_code, empty.content) == (204, b"")
    await store(dicom, make_file(), make_file(sop="1.2.9"))
    latest = await dicom.get(f"/v{version}/changefeed/latest", params={"includeMetadata": "False"})
    assert latest.json() == (await feed(dicom, includeMetadata="false"))[-1]
    assert "metadata" in (await dicom.get(f"/v{version}/changefeed/latest")).json()
    assert (await dicom.get(f"/v{version}/changefeed/latest?includeMetadata=0")).status_code == 400


async def test_latest_differs_when_times_are_out_of_order(dicom, monkeypatch):
    await store(dicom, make_file())
    earlier = clock.now() - timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: earlier)
    await store(dicom, make_file(sop="1.2.9"))
    latest = [(await dicom.get(f"/v{version}/changefeed/latest")).json()["sequence"] for version in (1, 2)]
    assert latest == [2, 1]
    assert [entry["sequence"] for entry in await feed(dicom, version=2)] == [2, 1]


async def test_gaps_of_any_size(dicom):
    await store(dicom, make_file())
    await shape(dicom, skip=20000)
    await store(dicom, make_file(sop="1.2.9"))
    assert [entry["sequence"] for entry in await feed(dicom, version=2)] == [1, 20002]


async def test_held_rows_appear_late_with_older_numbers_and_times(dicom):
    await shape(dicom, hold=2)
    for number in range(4):
        await store(dicom, make_file(sop=f"1.2.{number}"))
    assert [entry["sequence"] for entry in await feed(dicom)] == [3, 4]
    assert [entry["sequence"] for entry in await feed(dicom, version=2)] == [3, 4]
    await shape(dicom, release=True)
    found = await feed(dicom)
    assert [entry["sequence"] for entry in found] == [1, 2, 3, 4]
    times = [datetime.fromisoformat(entry["timestamp"]) for entry in found]
    assert times == sorted(times)


async def test_held_rows_are_let_go_in_portions(dicom):
    await shape(dicom, hold=100)
    for number in range(4):
        await store(dicom, make_file(sop=f"1.2.{number}"))
    await shape(dicom, release=3)
    assert [entry["sequence"] for entry in await feed(dicom)] == [1, 2, 3]
    await shape(dicom, release=True)
    await store(dicom, make_file(sop="1.2.9"))
    assert [entry["sequence"] for entry in await feed(dicom)] == [1, 2, 3, 4, 5]


async def test_latest_does_not_show_what_is_held(dicom):
    await store(dicom, make_file())
    await shape(dicom, hold=1)
    await store(dicom, make_file(sop="1.2.9"))
    for version in (1, 2):
        assert (await dicom.get(f"/v{version}/changefeed/latest")).json()["sequence"] == 1


async def test_service_that_was_created_again(dicom):
    await store(dicom, make_file())
    await shape(dicom, reset_sequence=True)
    assert await feed(dicom) == []
    await store(dicom, make_file(sop="1.2.9"))
    assert [entry["sequence"] for entry in await feed(dicom)] == [1]


async def test_casing(dicom):
    await store(dicom, make_file())
    await shape(dicom, casing="pascal")
    (entry,) = await feed(dicom)
    assert (entry["Sequence"], entry["StudyInstanceUid"], entry["Action"]) == (1, STUDY, "Create")
    assert "00100020" in entry["Metadata"]
    await shape(dicom, casing="lower_enums")
    assert await states(dicom) == [("create", "current")]
    await shape(dicom, casing="camel")
    assert await states(dicom) == [("Create", "Current")]


async def test_malformed_entries(dicom):
    await store(dicom, *[make_file(sop=f"1.2.{number}") for number in range(6)])
    ways = ["not_an_object", "missing_uid", "unknown_action", "bad_metadata", "unknown_member"]
    for sequence, how in enumerate(ways, start=1):
        await shape(dicom, malform={"sequence": sequence, "how": how})
    found = await feed(dicom)
    assert found[0] == "not an object"
    assert "studyInstanceUid" not in found[1]
    assert found[2]["action"] == "Archive"
    assert found[3]["metadata"] == "not a dataset"
    assert found[4]["colour"] == {"of": ["nothing"]}
    assert found[5].keys() == found[3].keys() == found[2].keys()


METADATA_WAYS = [
    ("nan", "00189306", {"vr": "FD", "Value": ["NaN"]}),
    ("nulls", "00280030", {"vr": "DS", "Value": [0.5, None]}),
    ("strings", "00200013", {"vr": "IS", "Value": ["1"]}),
]


@pytest.mark.parametrize(("how", "tag", "expected"), METADATA_WAYS)
async def test_odd_metadata_everywhere_it_is_served(dicom, how, tag, expected):
    await store(dicom, make_file(InstanceNumber=1))
    await shape(dicom, malform_metadata={"sop_instance_uid": SOP, "how": how})
    assert (await metadata_of(dicom))[0][tag] == expected
    assert (await feed(dicom))[0]["metadata"][tag] == expected


async def test_broken_metadata_breaks_the_whole_answer(dicom):
    await store(dicom, make_file(), make_file(sop="1.2.9"))
    paths = [f"/v2/studies/{STUDY}/metadata", "/v1/changefeed", "/v2/changefeed"]
    await shape(dicom, malform_metadata={"sop_instance_uid": SOP, "how": "broken_json"})
    for path in paths:
        with pytest.raises(ValueError, match=r"Expecting|delimiter|Unterminated|Invalid"):
            (await dicom.get(path)).json()
    await shape(dicom, malform_metadata={"sop_instance_uid": SOP, "how": "status_503"})
    assert [(await dicom.get(path)).status_code for path in paths] == [503, 503, 503]
    assert len(await feed(dicom, includeMetadata="false")) == 2
    await shape(dicom, malform_metadata={"sop_instance_uid": SOP, "how": "not_a_dataset"})
    assert "not a dataset" in await metadata_of(dicom)


@pytest.mark.parametrize("wish", [{"casing": "snake"}, {"jump": 1}, {"malform": {"sequence": 1, "how": "badly"}}, [1]])
async def test_unknown_wishes_are_400(dicom, wish):
    assert (await dicom.post("/_dev/feed", json=wish)).status_code == 400
