"""Bulk update, operations, partitions, versions, health."""

import asyncio
from io import BytesIO

import pydicom
import pytest
from test_dicom_arrange import SERIES, SOP, STUDY, feed, make_file, metadata_of, stand_in, states, store

CHANGES = {"00100020": {"vr": "LO", "Value": ["NEW"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "NEW^NAME"}]}}
INSTANCE = f"/v2/studies/{STUDY}/series/{SERIES}/instances/{SOP}"


@pytest.fixture
async def dicom(tmp_path):
    async with stand_in(tmp_path) as client:
        yield client


async def start(client, studies=(STUDY,), changes=CHANGES, version=2):
    wish = {"studyInstanceUids": list(studies), "changeDataset": changes}
    return await client.post(f"/v{version}/studies/$bulkUpdate", json=wish)


async def ended(client, response):
    while (answer := await client.get(response.json()["href"])).status_code == 202:
        assert answer.headers["location"] == response.json()["href"]
        await asyncio.sleep(0.01)
    assert answer.status_code == 200
    return answer.json()


async def test_update_is_an_operation_that_ends(dicom):
    await store(dicom, make_file(), make_file(sop="1.2.9"))
    response = await start(dicom, [STUDY, "9.9"])
    number = response.json()["id"]
    assert (response.status_code, response.json()["href"]) == (202, f"http://dicom.test/v2/operations/{number}")
    assert len(number) == 32
    operation = await ended(dicom, response)
    assert operation == {
        "operationId": number,
        "type": "update",
        "createdTime": operation["createdTime"],
        "lastUpdatedTime": operation["lastUpdatedTime"],
        "status": "succeeded",
        "percentComplete": 100,
        "results": {"studyProcessed": 2, "studyUpdated": 1, "studyFailed": 0, "instanceUpdated": 2},
    }
    v1 = (await dicom.get(f"/v1/operations/{number[:8]}-{number[8:]}")).json()
    assert v1["status"] == "completed"
    assert (await states(dicom))[2:] == [("Update", "Current")] * 2
    assert len({entry["timestamp"] for entry in (await feed(dicom))[2:]}) == 1


async def test_update_keeps_newest_and_original(dicom):
    await store(dicom, make_file())
    for value in ("SECOND", "THIRD"):
        await ended(dicom, await start(dicom, changes={"00100020": {"vr": "LO", "Value": [value]}}))
    original = {"msdicom-request-original": "true"}
    found = [(await dicom.get(f"{INSTANCE}/metadata", headers=headers)) for headers in ({}, original)]
    assert [answer.json()[0]["00100020"]["Value"] for answer in found] == [["THIRD"], ["TEST1"]]
    assert [answer.headers["etag"] for answer in found] == ["3", "1"]
    files = [await dicom.get(INSTANCE, headers={**h, "Accept": "application/dicom"}) for h in ({}, original)]
    datasets = [pydicom.dcmread(BytesIO(file.content)) for file in files]
    assert [dataset.PatientID for dataset in datasets] == ["THIRD", "TEST1"]
    assert datasets[0].file_meta.ImplementationVersionName == "DICOM-STAND-IN"
    search = await dicom.get("/v2/studies?PatientID=THIRD")
    assert len(search.json()) == 1


async def test_one_update_at_a_time(dicom):
    await dicom.post("/_dev/faults", json=[{"route": "update", "kind": "linger", "seconds": 0.2, "times": 1}])
    first = await start(dicom)
    await asyncio.sleep(0)
    assert (await dicom.get(first.json()["href"])).status_code == 202
    assert (await start(dicom)).status_code == 409
    await ended(dicom, first)
    assert (await start(dicom)).status_code == 202


BAD = [([], CHANGES), (["1.x"], CHANGES), ([f"1.{number}" for number in range(51)], CHANGES), ([STUDY], None)]


@pytest.mark.parametrize(("studies", "changes"), BAD)
async def test_bad_wish_is_400_as_text(dicom, studies, changes):
    response = await start(dicom, studies, changes)
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")


NO_DATE = (
    'DICOM100: (0010,0030) - Content "never" does not validate VR DA: '
    "one of the date values does not match the pattern YYYYMMDD"
)
REFUSED = [
    ("00080060", {"vr": "CS", "Value": ["MR"]}, "DICOM100: (0008,0060) - The attribute cannot be updated."),
    (
        "00100030",
        {"vr": "DA", "Value": ["never"]},
        NO_DATE,
    ),
]


@pytest.mark.parametrize(("tag", "value", "comment"), REFUSED)
async def test_refused_attributes_are_listed(dicom, tag, value, comment):
    response = await start(dicom, changes={tag: value})
    item = {"00000902": {"vr": "LO", "Value": [comment]}}
    assert (response.status_code, response.json()) == (400, {"00741048": {"vr": "SQ", "Value": [item]}})


async def test_routes_of_the_update(dicom):
    gone = await start(dicom, version=1)
    assert (gone.status_code, gone.content) == (404, b"")
    text = await dicom.post("/v2/studies/$bulkUpdate", content=b"{}", headers={"Content-Type": "text/plain"})
    assert text.status_code == 415
    assert (await dicom.get("/v2/operations/0123")).status_code == 404


async def test_partitions_off(dicom):
    answers = [await dicom.get(path) for path in ("/v2/partitions/a/studies", "/v2/partitions")]
    assert [(answer.status_code, answer.text) for answer in answers] == [
        (400, "Data partitions feature is disabled.")
    ] * 2


async def test_partitions_on(tmp_path):
    async with stand_in(tmp_path, partitions=True) as dicom:
        missing = await dicom.get("/v2/studies")
        assert (missing.status_code, missing.text) == (400, "PartitionName value is missing in the route segment.")
        unknown = await dicom.get("/v2/partitions/a/studies")
        assert (unknown.status_code, unknown.text) == (400, "Specified PartitionName does not exist.")
        for name in ("a", "b"):
            stored = await store(dicom, make_file(), path=f"/partitions/{name}/studies")
            url = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
            assert url == f"http://dicom.test/v2/partitions/{name}/studies/{STUDY}/series/{SERIES}/instances/{SOP}"
        await dicom.delete(f"/v2/partitions/a/studies/{STUDY}")
        entries = [(entry["partitionName"], entry["action"], entry["state"]) for entry in await feed(dicom)]
        assert entries == [("a", "Create", "Deleted"), ("b", "Create", "Current"), ("a", "Delete", "Deleted")]
        assert (await dicom.get(f"/v2/partitions/b/studies/{STUDY}/metadata")).status_code == 200
        assert (await store(dicom, make_file(), path="/partitions/a$b/studies")).status_code == 400
        listed = (await dicom.get("/v2/partitions")).json()
        assert [(row["partitionKey"], row["partitionName"]) for row in listed] == [
            (1, "Microsoft.Default"),
            (2, "a"),
            (3, "b"),
        ]
        assert all("createdDate" in row for row in listed)


VERSIONS = [
    ("/v1/changefeed", 200),
    ("/v1.0/changefeed", 200),
    ("/v1.0-prerelease/changefeed", 200),
    ("/v2/changefeed", 200),
    ("/v3/changefeed", 400),
    ("/vx/changefeed", 404),
    ("/changefeed", 404),
    ("/studies", 404),
    ("/v2/nothing", 404),
    ("/v1/health/check", 404),
]


@pytest.mark.parametrize(("path", "status"), VERSIONS)
async def test_versions(dicom, path, status):
    response = await dicom.get(path)
    assert response.status_code == status
    if status == 200:
        assert response.headers["api-supported-versions"] == "1.0-prerelease, 1, 2"
    if status == 400:
        assert response.json()["error"]["code"] == "UnsupportedApiVersion"


async def test_health_has_no_version(dicom):
    response = await dicom.get("/health/check")
    assert response.status_code == 200
    assert response.json()["overallStatus"] == "Healthy"
    assert [detail.keys() for detail in response.json()["details"]] == [{"name", "status", "description"}]


async def test_etag_changes_with_an_update(dicom):
    await store(dicom, make_file())
    before = (await dicom.get(f"/v2/studies/{STUDY}/metadata")).headers["etag"]
    await ended(dicom, await start(dicom))
    after = await dicom.get(f"/v2/studies/{STUDY}/metadata", headers={"If-None-Match": before})
    assert (after.status_code, after.headers["etag"]) == (200, "2-1")
    assert (await metadata_of(dicom))[0]["00100010"]["Value"] == [{"Alphabetic": "NEW^NAME"}]
