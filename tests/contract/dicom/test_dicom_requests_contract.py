"""Requests: methods, paths, versions, sizes, queries; STOW and updates as the app meets them."""

import json
import time

import pytest

from tests.contract.dicom.conftest import PARTS, client_of, served
from tests.contract.dicom.dicom_files import IMPLICIT, Writer, related, store, uid

WRITE = Writer()
AS_JSON = {"Content-Type": "application/json"}


@pytest.fixture(params=PARTS)
def empty(request):
    with served(request.param) as url, client_of(url) as dicom:
        yield dicom


@pytest.fixture
def stored(dicom):
    study, series, sop = uid(), uid(), uid()
    assert store(dicom, WRITE.file(study=study, series=series, sop=sop)).status_code == 200
    return study, series, sop


@pytest.mark.parametrize("method", ["HEAD", "PUT", "OPTIONS"])
def test_methods_that_are_not_there_are_405_without_a_body(dicom, stored, method):
    for path in (f"/v2/studies/{stored[0]}/metadata", "/v1/changefeed"):
        response = dicom.request(method, path)
        assert (response.status_code, response.content, response.headers["allow"]) == (405, b"", "GET")


def test_paths_in_any_case_and_with_a_slash(dicom, stored):
    for path in ("/V2/STUDIES/{}/METADATA", "/v2/studies/{}/metadata/", "/v2.0/Studies/{}/metadata"):
        assert dicom.get(path.format(stored[0])).status_code == 200
    for path in ("/changefeed", "/v2/nothing", "/vX/changefeed", "/v2/studies/1.2//metadata"):
        assert (dicom.get(path).status_code, dicom.get(path).content) == (404, b"")


def test_versions(dicom, stored):
    for path in ("/v3/changefeed", "/v1.5/changefeed"):
        response = dicom.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "UnsupportedApiVersion")
    response = dicom.get(f"/v2/studies/{stored[0]}/metadata")
    assert response.headers["api-supported-versions"] == "1.0-prerelease, 1, 2"


def test_what_is_too_long(dicom):
    assert dicom.get("/v2/changefeed?limit=1&x=" + "y" * 9000).status_code == 414
    headers = {f"X-{number}": "z" * 4000 for number in range(10)}
    assert dicom.get("/v2/changefeed", headers=headers).status_code == 431


QUERIES = [
    ("StudyInstanceUID=1.x", 204),
    ("StudyInstanceUID=1.2,1.3", 204),
    ("StudyDate=x", 400),
    ("StudyDate=20240230", 400),
    ("StudyDate=20240102-20240101", 400),
    ("Foo=1", 400),
    ("PatientID=", 400),
    ("limit=0", 400),
    ("limit=201", 400),
    ("offset=-1", 400),
    ("includefield=xyz", 400),
    ("includefield=all,StudyTime", 400),
    ("a=%3cb", 400),
]


@pytest.mark.parametrize(("query", "status"), QUERIES)
def test_queries(dicom, query, status):
    assert dicom.get(f"/v2/studies?{query}").status_code == status


def test_searches_by_level_and_page(dicom):
    study, series = uid(), uid()
    sops = [uid() for _ in range(3)]
    for sop in sops:
        store(dicom, WRITE.file(study=study, series=series, sop=sop))
    found = dicom.get(f"/v2/studies/{study}/series").json()
    assert [item["0020000E"]["Value"] for item in found] == [[series]]
    pages = [dicom.get(f"/v2/studies/{study}/series/{series}/instances?limit=2&offset={n}") for n in (0, 2, 4)]
    assert [page.status_code for page in pages] == [200, 200, 204]
    assert {item["00080018"]["Value"][0] for page in pages[:2] for item in page.json()} == set(sops)
    assert dicom.get(f"/v2/studies/{study}/series/1.2/instances").status_code == 204


def test_unknown_and_malformed_uids(dicom):
    for path in ("/v2/studies/9.9/metadata", "/v2/studies/1.x/metadata"):
        assert dicom.get(path).status_code == (404 if "9.9" in path else 400)
    assert dicom.delete("/v2/studies/9.9").status_code == 404
    assert dicom.delete("/v2/studies/1.x").status_code == 400


def test_accept_of_objects(dicom, stored):
    study, series, sop = stored
    one = f"/v2/studies/{study}/series/{series}/instances/{sop}"
    assert dicom.get(f"/v2/studies/{study}", headers={"Accept": "*/*"}).status_code == 406
    assert dicom.get(one, headers={"Accept": "*/*"}).status_code == 200
    related_type = 'multipart/related; type="application/dicom"'
    assert dicom.get(f"/v2/studies/{study}", headers={"Accept": related_type}).status_code == 200
    store(dicom, WRITE.file(study=study))
    assert dicom.get(f"/v2/studies/{study}", headers={"Accept": related_type}).status_code == 406
    original = {"Accept": f"{related_type}; transfer-syntax=*"}
    assert dicom.get(f"/v2/studies/{study}", headers=original).status_code == 200


def reasons(response, sequence="00081198", tag="00081197"):
    return [item[tag]["Value"][0] for item in response.json().get(sequence, {}).get("Value", ()) if tag in item]


def test_stow(dicom):
    whole = WRITE.file(sop=uid())
    assert store(dicom, whole).status_code == 200
    again = store(dicom, whole)
    assert (again.status_code, reasons(again)) == (409, [45070])
    mixed = store(dicom, whole, WRITE.file(), b"no DICOM")
    assert (mixed.status_code, reasons(mixed)) == (202, [45070, 43264])
    implicit = store(dicom, Writer(IMPLICIT).file())
    assert (implicit.status_code, reasons(implicit, "00081199", "00081196")) == (202, [45063])
    assert store(dicom, Writer(IMPLICIT).file(), version=1).status_code == 200
    assert dicom.post("/v2/studies", **related()).status_code == 204
    assert dicom.post("/v2/studies", content=whole, headers={"Content-Type": "text/plain"}).status_code == 415
    assert dicom.post("/v2/studies", **related(whole, part="text/plain")).status_code == 415


def update(dicom, studies, **values):
    changes = {"00100020": {"vr": "LO", "Value": [values["PatientID"]]}}
    body = json.dumps({"studyInstanceUids": studies, "changeDataset": changes})
    started = dicom.post("/v2/studies/$bulkUpdate", content=body, headers=AS_JSON)
    assert (started.status_code, started.headers.get("location")) == (202, None)
    for _ in range(300):
        operation = dicom.get(started.json()["href"])
        if operation.status_code == 200:
            return operation.json()
        time.sleep(0.1)
    raise AssertionError("the operation did not end")


def test_bulk_update(empty):
    study = uid()
    store(empty, WRITE.file(study=study))
    ended = update(empty, [study, "9.9.9"], PatientID="NEW")
    assert (ended["status"], ended["results"]["studyUpdated"], ended["results"]["instanceUpdated"]) == (
        "succeeded",
        1,
        1,
    )
    assert "resources" not in ended
    assert empty.get(f"/v2/studies/{study}/metadata").json()[0]["00100020"]["Value"] == ["NEW"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("x", 400),
        ({"studyInstanceUids": [], "changeDataset": {}}, 400),
        ({"studyInstanceUids": ["1.x"], "changeDataset": {}}, 400),
        ({"studyInstanceUids": ["1.2"], "changeDataset": {"00080060": {"vr": "CS", "Value": ["MR"]}}}, 400),
        ({"studyInstanceUids": ["1.2"], "changeDataset": {"00100020": {"vr": "LO", "Value": ["A", "B"]}}}, 400),
    ],
)
def test_refused_updates(dicom, body, status):
    content = body if isinstance(body, str) else json.dumps(body)
    assert dicom.post("/v2/studies/$bulkUpdate", content=content, headers=AS_JSON).status_code == status


def test_without_partitions(dicom):
    assert dicom.get("/v2/partitions").status_code == 400
    assert dicom.get("/v2/partitions/p/studies").status_code == 400
