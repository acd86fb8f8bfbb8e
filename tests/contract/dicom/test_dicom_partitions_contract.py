"""Data partitions: their list, their names, the same UIDs in two of them."""

import re

import pytest

from tests.contract.dicom.conftest import PARTS, client_of, served
from tests.contract.dicom.dicom_feed import (
    AS_JSON,
    FEED_JSON,
    PLAIN_TEXT,
    TIMESTAMP,
    WRITE,
    feed,
    outcome,
    states,
    update,
)
from tests.contract.dicom.dicom_files import PLAIN, related, store, uid


@pytest.fixture(params=PARTS)
def partitioned(request):
    with served(request.param, partitions=True) as url, client_of(url) as dicom:
        yield dicom


def names(dicom):
    response = dicom.get("/v2/partitions")
    assert (response.status_code, response.headers["content-type"]) == (200, FEED_JSON)
    return [each["partitionName"] for each in response.json()]


def test_the_list_of_partitions(partitioned):
    assert names(partitioned) == ["Microsoft.Default"]
    assert store(partitioned, WRITE.file(), partition="/partitions/One").status_code == 200
    # a request that is refused as a whole makes none; instances that are refused do
    wrong = partitioned.post("/v2/partitions/two/studies", content=b"x", headers={"Content-Type": "text/plain"})
    assert wrong.status_code == 415
    assert partitioned.post("/v2/partitions/three/studies", content=b"x", headers=PLAIN).status_code == 409
    listed = partitioned.get("/v1/partitions").json()
    assert [list(each.values())[:2] for each in listed] == [[1, "Microsoft.Default"], [2, "One"], [3, "three"]]
    assert {tuple(each) for each in listed} == {("partitionKey", "partitionName", "createdDate")}
    assert all(re.fullmatch(rf"{TIMESTAMP}\+00:00", each["createdDate"]) for each in listed)


def test_partitions_are_found_whatever_the_case_of_their_names(partitioned):
    study = uid()
    data = WRITE.file(study=study)
    stored = store(partitioned, data, partition="/partitions/One")
    assert "/v2/partitions/One/studies/" in stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    assert outcome(store(partitioned, data, partition="/partitions/ONE")) == (409, [45070])
    default = store(partitioned, WRITE.file(), partition="/partitions/microsoft.default")
    assert "/v2/partitions/Microsoft.Default/" in default.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    assert names(partitioned) == ["Microsoft.Default", "One"]
    assert partitioned.get(f"/v2/partitions/one/studies/{study}/metadata").status_code == 200
    assert len(partitioned.get(f"/v2/Partitions/oNE/studies?StudyInstanceUID={study}").json()) == 1
    update(partitioned, [study], "NEW", "/v2/partitions/ONE")
    assert partitioned.delete(f"/v2/partitions/onE/studies/{study}").status_code == 204
    assert [row["partitionName"] for row in feed(partitioned)] == ["One", "Microsoft.Default", "One", "One"]


REQUESTS = [
    ("GET", "/studies", 200),
    ("GET", "/studies/9.9/metadata", 404),
    ("DELETE", "/studies/9.9", 404),
    ("POST", "/studies/$bulkUpdate", 202),
]


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ("", "PartitionName value is missing in the route segment."),
        ("/partitions/unknown", "Specified PartitionName does not exist."),
        (f"/partitions/{'a' * 64}", "Specified PartitionName does not exist."),
        (f"/partitions/{'a' * 65}", "The specified PartitionName is invalid. "),
        ("/partitions/a%20b", "The specified PartitionName is invalid. "),
        ("/partitions/%C3%A4", "The specified PartitionName is invalid. "),
    ],
)
def test_partitions_that_are_not_named_not_there_or_not_valid(segment, text, with_one):
    for method, path, found in REQUESTS:
        body = {"content": b'{"studyInstanceUids":["9.9"],"changeDataset":{}}', "headers": AS_JSON}
        arguments = body if method == "POST" else {}
        assert with_one.request(method, f"/v2/partitions/known{path}", **arguments).status_code in (found, 409)
        response = with_one.request(method, f"/v2{segment}{path}", **arguments)
        assert (response.status_code, response.text, response.headers["content-type"]) == (400, text, PLAIN_TEXT)
    if "does not exist" not in text:
        refused = with_one.post(f"/v2{segment}/studies", **related(WRITE.file()))
        assert (refused.status_code, refused.text) == (400, text)
    assert names(with_one) == ["Microsoft.Default", "known"]


@pytest.fixture(scope="module", params=PARTS)
def with_one(request):
    """A service with data partitions and one partition, `known`, that holds an instance."""
    with served(request.param, partitions=True) as url, client_of(url) as dicom:
        assert store(dicom, WRITE.file(), partition="/partitions/known").status_code == 200
        yield dicom


def test_feed_operations_and_list_have_no_partition(partitioned):
    store(partitioned, WRITE.file(), partition="/partitions/one")
    for path in ("/changefeed", "/changefeed/latest", "/partitions", f"/operations/{'0' * 32}", ""):
        response = partitioned.get(f"/v2/partitions/one{path}")
        assert (response.status_code, response.content) == (404, b"")


def test_one_instance_in_two_partitions(partitioned):
    study, series, sop = uid(), uid(), uid()
    for name in ("one", "two"):
        data = WRITE.file([WRITE.element(0x00100020, "LO", name)], study=study, series=series, sop=sop)
        assert store(partitioned, data, partition=f"/partitions/{name}").status_code == 200
    assert states(partitioned) == [("Create", "Current", "one"), ("Create", "Current", "two")]
    update(partitioned, [study], "NEW", "/v2/partitions/one")
    assert states(partitioned, partitionName="one") == [("Create", "Replaced", "NEW"), ("Update", "Current", "NEW")]
    assert states(partitioned, partitionName="two") == [("Create", "Current", "two")]
    assert partitioned.delete(f"/v2/partitions/one/studies/{study}").status_code == 204
    assert {row[1] for row in states(partitioned, partitionName="one")} == {"Deleted"}
    assert states(partitioned, partitionName="two") == [("Create", "Current", "two")]
    assert partitioned.get(f"/v2/partitions/two/studies/{study}/metadata").status_code == 200
