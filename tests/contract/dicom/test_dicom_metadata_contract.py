"""Metadata of studies in which the service cannot read an instance again: refused, or cut in the middle."""

import httpx
import pytest

from tests.contract.dicom.conftest import PARTS, client_of, served
from tests.contract.dicom.dicom_files import Writer, store, uid

WRITE = Writer()
COMMENT = "x" * 4000
# a decimal string with an empty component, in a sequence: kept by the service, which cannot read it again
DAMAGE = WRITE.sequence(0x00081140, WRITE.element(0x00281050, "DS", "1\\"))
COMMENTS = 0x00204000


def make_study(dicom, healthy, *, damaged=True, size=4000):
    """UIDs of a study, its series and its instances, the damaged one last."""
    study, series = uid(), uid()
    sops = [uid() for _ in range(healthy + damaged)]
    comments = WRITE.element(COMMENTS, "LT", COMMENT[:size])
    for number, sop in enumerate(sops):
        elements = [DAMAGE] if damaged and number == healthy else [comments]
        response = store(dicom, WRITE.file(elements, study=study, series=series, sop=sop))
        assert response.status_code == (202 if elements == [DAMAGE] else 200)
    return study, series, sops


def metadata(dicom, *uids, version=2):
    levels = ("studies", "series", "instances")
    path = "".join(f"/{level}/{value}" for level, value in zip(levels, uids, strict=False))
    return dicom.get(f"/v{version}{path}/metadata")


def test_an_instance_that_cannot_be_read_is_503_alone_and_its_neighbours_are_200(dicom):
    study, series, sops = make_study(dicom, 2)
    statuses = [metadata(dicom, study, series, sop).status_code for sop in sops]
    assert statuses == [200, 200, 503]
    alone = metadata(dicom, study, series, sops[2])
    assert alone.headers["content-type"] == "application/dicom+json; charset=utf-8"
    assert alone.text == "The data store operation failed."
    assert alone.headers["etag"]


def outcome(dicom, *uids):
    try:
        return metadata(dicom, *uids).status_code
    except httpx.RemoteProtocolError:
        return "cut"


@pytest.mark.parametrize("level", [1, 2])
def test_a_small_study_is_refused_as_a_whole(dicom, level):
    study, series, _ = make_study(dicom, 2, size=10)
    # the service may have begun to answer when it comes to the instance; then the answer is cut
    assert outcome(dicom, *(study, series)[:level]) in {500, 503, "cut"}


@pytest.mark.parametrize("level", [1, 2])
def test_a_large_study_is_cut_in_the_middle(dicom, level):
    study, series, _ = make_study(dicom, 60)
    # how much is sent by then is open
    seen = [_cut(dicom, *(study, series)[:level]) for _ in range(10)]
    assert any(seen)
    for body in filter(None, seen):
        assert body.startswith(b'[{"')
        assert not body.endswith(b"]")


def _cut(dicom, *uids):
    """What came of an answer with status 200 before it broke off; empty when it was refused instead."""
    path = "".join(f"/{level}/{value}" for level, value in zip(("studies", "series"), uids, strict=False))
    with dicom.stream("GET", f"/v2{path}/metadata") as response:
        pieces = []
        try:
            pieces.extend(response.iter_bytes())
        except httpx.RemoteProtocolError:
            assert response.status_code == 200
            return b"".join(pieces)
        assert response.status_code in {500, 503}
        return b""


def test_after_the_delete_of_the_instance_the_study_is_whole(dicom):
    study, series, sops = make_study(dicom, 2)
    assert dicom.delete(f"/v2/studies/{study}/series/{series}/instances/{sops[2]}").status_code == 204
    assert len(metadata(dicom, study).json()) == 2


def test_a_search_of_instances_fails_with_the_one_that_cannot_be_read(dicom):
    study, series, _ = make_study(dicom, 2)
    for path in (f"/v2/studies/{study}/instances", f"/v2/studies/{study}/series/{series}/instances"):
        response = dicom.get(path)
        assert (response.status_code, response.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    # pages that do not hold it are answered; newest first
    statuses = [dicom.get(f"/v2/studies/{study}/instances?limit=1&offset={n}").status_code for n in range(4)]
    assert statuses == [503, 200, 200, 204]


def test_a_search_of_studies_and_series_asks_the_index(dicom):
    study, _, _ = make_study(dicom, 0)
    assert dicom.get(f"/v2/studies?StudyInstanceUID={study}").status_code == 200
    assert dicom.get(f"/v2/studies/{study}/series").status_code == 200
    assert dicom.get(f"/v2/studies?StudyInstanceUID={study}&includefield=StudyTime").status_code == 503
    assert dicom.get(f"/v1/studies?StudyInstanceUID={study}").status_code == 503


def test_a_page_of_the_feed_with_metadata_fails_with_it(dicom):
    make_study(dicom, 0)
    newest = dicom.get("/v1/changefeed/latest?includeMetadata=false").json()["sequence"]
    page = f"/v1/changefeed?offset={newest - 1}&limit=1"
    response = dicom.get(page)
    assert (response.status_code, response.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert dicom.get(f"{page}&includeMetadata=false").json()[0]["state"] == "Current"
    assert dicom.get("/v1/changefeed/latest").status_code == 503


DAMAGING = [
    ("DS", 0x00281050, "1\\"),
    ("DS", 0x00281050, "1e300"),
    ("DS", 0x00281050, "NaN"),
    ("IS", 0x00200013, "1\\"),
    ("UC", 0x00080119, "a\\b"),
]


@pytest.mark.parametrize(("vr", "tag", "value"), DAMAGING)
@pytest.mark.parametrize("version", [1, 2])
def test_values_that_cannot_be_read_again(dicom, version, vr, tag, value):
    study = uid()
    element = WRITE.element(tag, vr, value)
    # version 2 drops what is invalid at the top, never what is in an item
    elements = [element] if version == 1 else [WRITE.sequence(0x00081140, element)]
    assert store(dicom, WRITE.file(elements, study=study), version=version).status_code in {200, 202}
    assert metadata(dicom, study, version=version).status_code == 503


@pytest.mark.parametrize("part", PARTS)
def test_lost_metadata_is_500(part):
    with served(part, MEMSTORE_LOSE_METADATA_EVERY="2") as url, client_of(url) as dicom:
        study, series, sops = make_study(dicom, 2, damaged=False)
        if part == "stand-in":
            lost = {"sop_instance_uid": sops[1], "how": "lost"}
            dicom.post("/_dev/feed", json={"malform_metadata": lost}).raise_for_status()
        statuses = [metadata(dicom, study, series, sop).status_code for sop in sops]
        assert statuses == [200, 500, 200][: len(sops)]
        assert dicom.get("/v1/changefeed").status_code == 500
        assert dicom.get("/v1/changefeed?includeMetadata=false").status_code == 200
        assert dicom.get(f"/v2/studies/{study}/instances").status_code == 500
