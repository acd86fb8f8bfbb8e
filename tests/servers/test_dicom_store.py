"""STOW-RS on the wire: statuses, failure and warning codes, what is kept of invalid attributes."""

import asyncio
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_files
from test_dicom_arrange import CT, SERIES, SOP, STUDY, feed, make_file, metadata_of, related, stand_in, store

URL = f"http://dicom.test/v2/studies/{STUDY}"
PLAIN = {"Content-Type": "application/dicom"}


@pytest.fixture
async def dicom(tmp_path):
    async with stand_in(tmp_path) as client:
        yield client


def ui(value):
    return {"vr": "UI", "Value": [value]}


def referenced(sop=SOP, **more):
    url = {"vr": "UR", "Value": [f"{URL}/series/{SERIES}/instances/{sop}"]}
    return {"00081150": ui(CT), "00081155": ui(sop), "00081190": url, **more}


def failed(reason, *comments, sop=SOP):
    item = {"00081150": ui(CT), "00081155": ui(sop), "00081197": {"vr": "US", "Value": [reason]}}
    items = [{"00000902": {"vr": "LO", "Value": [comment]}} for comment in comments]
    return item | ({"00741048": {"vr": "SQ", "Value": items}} if items else {})


def sequence(*items):
    return {"vr": "SQ", "Value": list(items)}


async def test_all_stored_is_200_with_absolute_urls(dicom):
    response = await dicom.post(f"/v2/studies/{STUDY}", content=make_file(), headers=PLAIN)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json; charset=utf-8"
    assert response.json() == {
        "00081190": {"vr": "UR", "Value": [URL]},
        "00081199": sequence(referenced(**{"00741048": {"vr": "SQ"}})),
    }


async def test_v1_leaves_the_failed_attributes_out(dicom):
    response = await store(dicom, make_file(), version=1)
    item = referenced()
    item["00081190"]["Value"] = [item["00081190"]["Value"][0].replace("/v2/", "/v1/")]
    assert response.json() == {"00081199": sequence(item)}


async def test_no_parts_is_204(dicom):
    response = await store(dicom)
    assert (response.status_code, response.content) == (204, b"")


async def test_duplicate_is_never_overwritten(dicom):
    await store(dicom, make_file())
    alone = await store(dicom, make_file(PatientID="OTHER"))
    assert (alone.status_code, alone.json()) == (409, {"00081198": sequence(failed(45070))})
    mixed = await store(dicom, make_file(), make_file(sop="1.2.9"))
    assert mixed.status_code == 202
    assert mixed.json()["00081198"] == sequence(failed(45070))
    assert len(await feed(dicom)) == 2
    assert [i["00100020"]["Value"] for i in await metadata_of(dicom)] == [["TEST1"], ["TEST1"]]


async def test_same_sop_uid_in_another_series_is_another_instance(dicom):
    assert (await store(dicom, make_file(), make_file(series="1.2.3.1.2"))).status_code == 200
    assert len(await metadata_of(dicom)) == 2


async def test_garbage_is_43264_without_uids(dicom):
    response = await store(dicom, b"no DICOM")
    assert (response.status_code, response.json()) == (
        409,
        {"00081198": sequence({"00081197": {"vr": "US", "Value": [43264]}})},
    )
    assert await feed(dicom) == []


MISSING = "DICOM100: ({0}) - The required tag '({0})' is missing."
LOOSE = "DICOM100: {} - Dicom element '{}' failed validation for VR '{}': {}"
UID = (
    "DICOM Identifier is invalid. Value length should not exceed the maximum length of 64 characters. Value should "
    "contain characters in '0'-'9' and '.'. Each component must start with non-zero number."
)
STUDY_UID = LOOSE.format("(0020,000d)", "StudyInstanceUID", "UI", UID)
LONG_ID = LOOSE.format("(0010,0020)", "PatientID", "LO", "Value length exceeds maximum length of 64.")
DATE = LOOSE.format("(0008,0020)", "StudyDate", "DA", "Value cannot be parsed as a valid date.")
REFUSED = [
    (1, {"PatientID": ""}, [MISSING.format("0010,0020")]),
    (1, {"drop": ["PatientID"]}, [MISSING.format("0010,0020")]),
    (2, {"drop": ["PatientID"]}, [MISSING.format("0010,0020")]),
    (2, {"SeriesInstanceUID": ""}, [MISSING.format("0020,000e")]),
    (2, {"study": "1.2.x"}, [STUDY_UID]),
    (2, {"study": "1" * 65}, [STUDY_UID]),
    (2, {"PatientID": "X" * 65}, [LONG_ID]),
    (1, {"StudyDate": "20201345"}, [DATE]),
]


@pytest.mark.parametrize(("version", "attributes", "comments"), REFUSED)
async def test_invalid_required_attribute_is_43264(dicom, version, attributes, comments):
    response = await store(dicom, make_file(**attributes), version=version)
    assert (response.status_code, response.json()) == (409, {"00081198": sequence(failed(43264, *comments))})
    assert await feed(dicom) == []


async def test_study_of_the_path_must_match(dicom):
    response = await store(dicom, make_file(), path="/studies/9.9")
    comment = (
        "DICOM100: (0020,000d) - The StudyInstanceUid in the payload does not match the specified StudyInstanceUid."
    )
    assert (response.status_code, response.json()) == (409, {"00081198": sequence(failed(43264, comment))})


STRICT = 'DICOM100: ({}) - Content "{}" does not validate VR {}: {}'
DROPPED = [
    ({"PatientID": ""}, "00100020", MISSING.format("0010,0020")),
    (
        {"StudyDate": "20201345"},
        "00080020",
        STRICT.format("0008,0020", "20201345", "DA", "month component exceeds the value 12"),
    ),
    (
        {"PatientAge": "OLD"},
        "00101010",
        STRICT.format("0010,1010", "OLD", "AS", "value does not have pattern 000[DWMY]"),
    ),
    (
        {"PatientName": "A=B=C=D"},
        "00100010",
        STRICT.format("0010,0010", "A=B=C=D", "PN", "value contains too many groups"),
    ),
    ({"SliceThickness": "thin"}, "00180050", STRICT.format("0018,0050", "thin", "DS", "value is no decimal string")),
]


@pytest.mark.parametrize(("attributes", "tag", "comment"), DROPPED)
async def test_v2_warns_and_drops_the_invalid_attribute(dicom, attributes, tag, comment):
    odd = {} if "SliceThickness" in attributes else attributes
    data = make_file(**odd) if odd else make_file(Manufacturer="x" * 8).replace(*_as_slice_thickness())
    response = await store(dicom, data)
    warned = {
        "00081196": {"vr": "US", "Value": [1]},
        "00741048": sequence({"00000902": {"vr": "LO", "Value": [comment]}}),
    }
    assert (response.status_code, response.json()) == (202, {"00081199": sequence(referenced(**warned))})
    assert tag not in (await metadata_of(dicom))[0]
    assert tag not in (await feed(dicom))[0]["metadata"]


def _as_slice_thickness():
    """pydicom does not write text into DS, so the bytes of another element are turned into it."""
    return b"\x08\x00\x70\x00LO\x08\x00xxxxxxxx", b"\x18\x00\x50\x00DS\x08\x00thin    "


async def test_v1_keeps_invalid_attributes_that_are_not_indexed(dicom):
    assert (await store(dicom, make_file(PatientAge="OLD"), version=1)).status_code == 200
    assert (await metadata_of(dicom))[0]["00101010"] == {"vr": "AS", "Value": ["OLD"]}


async def test_implicit_vr_is_warning_45063(dicom):
    response = await store(dicom, make_file(syntax=pydicom.uid.ImplicitVRLittleEndian))
    assert response.status_code == 202
    assert response.json()["00081199"]["Value"][0]["00081196"] == {"vr": "US", "Value": [45063]}
    first = await store(dicom, make_file(sop="1.9", syntax=pydicom.uid.ImplicitVRLittleEndian), version=1)
    assert first.status_code == 200


async def test_several_values_of_an_indexed_attribute_add_a_warning_header(dicom):
    response = await store(dicom, make_file(AccessionNumber=["A", "B"]), version=1)
    assert response.status_code == 200
    assert response.headers["warning"].startswith('299 dicom.test: "')


HEADERS = [
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/dicom; charset=utf-8"}, 415),
    ({"Content-Type": "multipart/related; type=application/dicom"}, 415),
    ({"Content-Type": "multipart/related; type=application/dicom; boundary=cut; start=x"}, 400),
    ({**PLAIN, "Accept": "text/html"}, 406),
    ({**PLAIN, "Accept": "text/html, application/json;q=0.5"}, 200),
    ({**PLAIN, "Accept": "application/*"}, 200),
    ({**PLAIN, "Accept": "*/*"}, 200),
]


@pytest.mark.parametrize(("headers", "status"), HEADERS)
async def test_headers_decide(dicom, headers, status):
    response = await dicom.post("/v2/studies", content=make_file(), headers=headers)
    assert response.status_code == status
    assert status != 406 or response.content == b""


async def test_missing_accept_is_406(dicom):
    request = dicom.build_request("POST", "/v2/studies", content=make_file(), headers=PLAIN)
    del request.headers["accept"]
    assert (await dicom.send(request)).status_code == 406


async def test_part_of_another_type_refuses_the_request(dicom):
    answer = await dicom.post("/v2/studies", **related(make_file(), content_type="application/json"))
    assert answer.status_code == 415
    assert (await dicom.post("/v2/studies", **related(make_file(), content_type=""))).status_code == 200
    both = related(make_file(sop="1.2.9"), make_file(sop="1.2.10"), content_type="")
    assert (await dicom.post("/v2/studies", **both)).status_code == 415


async def test_cut_body_and_odd_path_are_400(dicom):
    whole = related(make_file())
    cut = {**whole, "content": whole["content"][:-20]}
    assert (await dicom.post("/v2/studies", **cut)).status_code == 400
    assert (await store(dicom, make_file(), path="/studies/1.x")).status_code == 400


async def test_too_large_is_413(dicom):
    dicom.service.max_bytes = 100
    assert (await store(dicom, make_file())).status_code == 413


async def test_instance_being_created_is_pending_and_in_no_feed(dicom):
    await dicom.post("/_dev/faults", json=[{"route": "stow", "kind": "linger", "seconds": 0.2, "times": 1}])
    first = asyncio.create_task(store(dicom, make_file()))
    await asyncio.sleep(0.05)
    second = await store(dicom, make_file())
    assert (second.status_code, second.json()) == (409, {"00081198": sequence(failed(45071))})
    assert await feed(dicom) == []
    assert (await first).status_code == 200
    assert len(await feed(dicom)) == 1


async def test_deleting_an_instance_being_created_leaves_no_row(dicom):
    await dicom.post("/_dev/faults", json=[{"route": "stow", "kind": "linger", "seconds": 0.2, "times": 1}])
    first = asyncio.create_task(store(dicom, make_file()))
    await asyncio.sleep(0.05)
    assert (await dicom.delete(f"/v2/studies/{STUDY}")).status_code == 204
    response = await first
    assert (response.status_code, response.json()) == (409, {"00081198": sequence(failed(272))})
    assert await feed(dicom) == []


async def test_every_file_that_ships_with_pydicom_is_stored_or_refused(dicom):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = [name for name in map(Path, get_testdata_files()) if name.is_file()]
    stored = 0
    for name in names:
        for version in (1, 2):
            response = await store(dicom, name.read_bytes(), version=version)
            assert response.status_code in (200, 202, 409), name
            stored += "00081199" in response.json()
    entries, offset = [], 0
    while page := await feed(dicom, offset=offset):
        entries += page
        offset = page[-1]["sequence"]
    assert len(entries) == stored > 70
    for study in {entry["studyInstanceUid"] for entry in entries}:
        assert await metadata_of(dicom, study)
