"""Metadata and objects on the wire, and the DICOM JSON they are written in."""

import struct
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from test_dicom_arrange import SERIES, SOP, STUDY, feed, make_file, metadata_of, stand_in, store, to_bytes

from dev.dicom.jsonvalues import Unwritable, element

PATHS = [f"/studies/{STUDY}", f"/studies/{STUDY}/series/{SERIES}", f"/studies/{STUDY}/series/{SERIES}/instances/{SOP}"]
ORIGINAL = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture
async def dicom(tmp_path):
    async with stand_in(tmp_path) as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
async def test_metadata_is_an_array_at_every_level(dicom, path):
    await store(dicom, make_file())
    response = await dicom.get(f"/v2{path}/metadata")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json; charset=utf-8"
    assert response.json() == [
        {
            "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
            "00080018": {"vr": "UI", "Value": [SOP]},
            "00080060": {"vr": "CS", "Value": ["CT"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "TEST^ONE"}]},
            "00100020": {"vr": "LO", "Value": ["TEST1"]},
            "0020000D": {"vr": "UI", "Value": [STUDY]},
            "0020000E": {"vr": "UI", "Value": [SERIES]},
        }
    ]
    assert response.json()[0].keys() == dict(sorted(response.json()[0].items())).keys()


async def test_etag_is_unquoted_and_compared_literally(dicom):
    await store(dicom, make_file(), make_file(sop="1.2.9"))
    tags = [(await dicom.get(f"/v2{path}/metadata")).headers["etag"] for path in PATHS]
    assert tags == ["2-2", "2-2", "1"]
    same = await dicom.get(f"/v2{PATHS[0]}/metadata", headers={"If-None-Match": "2-2"})
    assert (same.status_code, same.content, same.headers.get("etag")) == (304, b"", None)
    for other in ('"2-2"', "W/2-2", "*", "1-1, 2-2"):
        assert (await dicom.get(f"/v2{PATHS[0]}/metadata", headers={"If-None-Match": other})).status_code == 200


async def test_order_is_open_but_seeded(dicom):
    uids = [f"1.2.3.{number}" for number in range(30)]
    await store(dicom, *[make_file(sop=uid) for uid in uids])
    orders = [[i["00080018"]["Value"][0] for i in await metadata_of(dicom)] for _ in range(2)]
    assert orders[0] != orders[1] != uids
    assert sorted(orders[0]) == sorted(uids)


@pytest.mark.parametrize("path", PATHS)
async def test_absent_malformed_and_unacceptable(dicom, path):
    missing = await dicom.get(f"/v2{path}/metadata")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert (await dicom.get(f"/v2{path.replace(STUDY, '1.x')}/metadata")).status_code == 400
    await store(dicom, make_file())
    unacceptable = await dicom.get(f"/v2{path}/metadata", headers={"Accept": "application/dicom"})
    assert (unacceptable.status_code, unacceptable.content) == (406, b"")
    request = dicom.build_request("GET", f"/v2{path}/metadata")
    del request.headers["accept"]
    assert (await dicom.send(request)).status_code == 406


async def test_bulk_and_unknown_values_are_dropped_at_every_level(dicom):
    inner = Dataset()
    inner.CodeValue = "A"
    inner.ICCProfile = b"1234"
    inner.add_new(0x00091010, "UN", b"12")
    data = make_file(
        EncapsulatedDocument=b"\0\0",
        ConceptCodeSequence=Sequence([inner, Dataset()]),
        ReferencedImageSequence=Sequence(),
    )
    await store(dicom, data)
    found = (await metadata_of(dicom))[0]
    assert found["0040A168"] == {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["A"]}}, {}]}
    assert found["00081140"] == {"vr": "SQ"}
    assert "00420011" not in found
    assert not [tag for tag in found if tag.startswith("0002")]


async def test_private_elements_with_a_known_vr_stay_with_their_creator(dicom):
    dataset = pydicom.dcmread(BytesIO(make_file()))
    dataset.add_new(0x00090010, "LO", "TEST CREATOR")
    dataset.add_new(0x00091001, "LO", "kept")
    dataset.add_new(0x00091002, "UN", b"dropped ")
    await store(dicom, to_bytes(dataset))
    dataset.SOPInstanceUID = "1.2.9"
    await store(dicom, to_bytes(dataset, pydicom.uid.ImplicitVRLittleEndian))
    private = {
        found["00080018"]["Value"][0]: {tag: value for tag, value in found.items() if tag.startswith("0009")}
        for found in await metadata_of(dicom)
    }
    creator = {"00090010": {"vr": "LO", "Value": ["TEST CREATOR"]}}
    assert private == {SOP: {**creator, "00091001": {"vr": "LO", "Value": ["kept"]}}, "1.2.9": creator}


async def test_text_is_utf8_whatever_the_character_set(dicom):
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    await store(
        dicom,
        make_file(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=name),
        make_file(sop="1.2.9", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Ü"),
    )
    found = {i["00080018"]["Value"][0]: i for i in await metadata_of(dicom)}
    assert found[SOP]["00080005"] == {"vr": "CS", "Value": [None, "ISO 2022 IR 87"]}
    assert found[SOP]["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    ]
    assert found["1.2.9"]["00080005"]["Value"] == ["ISO_IR 100"]
    raw = (await dicom.get(f"/v2{PATHS[0]}/metadata")).content
    assert "Müller".encode() in raw


JSON_VALUES = [
    ("LO", [], {"vr": "LO"}),
    ("SQ", [], {"vr": "SQ"}),
    ("LO", ["A", "", "B"], {"vr": "LO", "Value": ["A", None, "B"]}),
    ("DS", ["+1.0", "007", " 2.5 ", ""], {"vr": "DS", "Value": [1.0, 7, 2.5, None]}),
    ("DS", ["1.5", "thin"], {"vr": "DS", "Value": ["1.5", "thin"]}),
    ("DS", ["0.123456789012345678"], {"vr": "DS", "Value": [0.12345678901]}),
    ("IS", ["12", " 007"], {"vr": "IS", "Value": [12, 7]}),
    ("IS", ["12", "1.5"], {"vr": "IS", "Value": ["12", "1.5"]}),
    ("IS", ["2147483648"], {"vr": "IS", "Value": ["2147483648"]}),
    ("FL", [struct.unpack("<f", struct.pack("<f", 0.1))[0]], {"vr": "FL", "Value": [0.1]}),
    ("FL", [float("nan")], {"vr": "FL", "Value": ["NaN"]}),
    ("FD", [0.1], {"vr": "FD", "Value": [0.1]}),
    ("US", [1, 2], {"vr": "US", "Value": [1, 2]}),
    ("PN", ["A^B", "", "^"], {"vr": "PN", "Value": [{"Alphabetic": "A^B"}, None, {"Alphabetic": "^"}]}),
    ("PN", ["=山"], {"vr": "PN", "Value": [{"Ideographic": "山"}]}),
]


@pytest.mark.parametrize(("vr", "values", "expected"), JSON_VALUES)
def test_json_of_values(vr, values, expected):
    assert element(vr, values) == expected


@pytest.mark.parametrize(
    ("vr", "value"), [("FL", float("inf")), ("FD", float("nan")), ("FD", float("-inf")), ("PN", "A=B=C=D")]
)
def test_values_without_a_form_in_json(vr, value):
    with pytest.raises(Unwritable):
        element(vr, [value])


async def test_file_with_a_value_that_cannot_be_written_is_272(dicom):
    response = await store(dicom, make_file(SelectorFDValue=[float("nan")]))
    assert response.status_code == 409
    assert response.json()["00081198"]["Value"][0]["00081197"] == {"vr": "US", "Value": [272]}


async def test_trailing_nul_is_tolerated_and_kept(dicom):
    response = await store(dicom, make_file(AccessionNumber="A1\0\0"))
    assert response.status_code == 200
    assert (await metadata_of(dicom))[0]["00080050"] == {"vr": "SH", "Value": ["A1\0\0"]}


async def test_attribute_tag_is_eight_hex_digits(dicom):
    await store(dicom, make_file(FrameIncrementPointer=0x00181063))
    assert (await metadata_of(dicom))[0]["00280009"] == {"vr": "AT", "Value": ["00181063"]}


@pytest.mark.parametrize("path", PATHS)
async def test_objects_come_back_as_they_were_but_for_the_preamble(dicom, path):
    data = make_file(EncapsulatedDocument=b"\0\1")
    await store(dicom, data)
    response = await dicom.get(f"/v2{path}", headers={"Accept": ORIGINAL})
    boundary = response.headers["content-type"].removeprefix('multipart/related; boundary="').removesuffix('"')
    part = b"Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    mark = f"--{boundary}".encode()
    stored = bytes(128) + data[128:]
    assert response.content == mark + b"\r\n" + part + b"\r\n\r\n" + stored + b"\r\n" + mark + b"--\r\n"


async def test_single_part_and_transfer_syntaxes(dicom):
    await store(dicom, make_file(syntax=pydicom.uid.ImplicitVRLittleEndian))
    for accept, status, kind in [
        ("application/dicom; transfer-syntax=*", 200, "application/dicom; transfer-syntax=1.2.840.10008.1.2"),
        ("application/dicom", 200, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90", 406, "text/plain; charset=utf-8"),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50", 406, "text/plain; charset=utf-8"),
        ("text/html", 406, "text/plain; charset=utf-8"),
    ]:
        response = await dicom.get(f"/v2{PATHS[2]}", headers={"Accept": accept})
        assert (response.status_code, response.headers["content-type"]) == (status, kind)
    assert (await dicom.get(f"/v2{PATHS[0]}", headers={"Accept": "application/dicom"})).status_code == 406
    assert (await dicom.get(f"/v2{PATHS[0]}", headers={"Accept": "*/*"})).status_code == 406
    assert (await dicom.get(f"/v2{PATHS[2]}", headers={"Accept": "*/*"})).status_code == 200
    assert (await dicom.get("/v2/studies/9.9", headers={"Accept": ORIGINAL})).status_code == 404


async def test_synthetic_instance_has_an_object_too(dicom):
    study = (await dicom.post("/_dev/bulk", json={"studies": 1})).json()["studies"][0]
    response = await dicom.get(f"/v2/studies/{study}", headers={"Accept": ORIGINAL})
    assert response.content.count(b"DICM") == 1


@pytest.mark.parametrize("path", PATHS)
async def test_delete_is_204_then_404(dicom, path):
    await store(dicom, make_file())
    gone = await dicom.delete(f"/v2{path}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await dicom.delete(f"/v2{path}")).status_code == 404
    assert (await dicom.delete(f"/v2{path.replace(STUDY, '1.x')}")).status_code == 400
    assert (await dicom.get(f"/v2{path}/metadata")).status_code == 404


async def test_delete_writes_one_row_per_instance_with_one_timestamp(dicom):
    await store(dicom, *[make_file(sop=f"1.2.{number}") for number in range(5)])
    await dicom.delete(f"/v2{PATHS[1]}")
    rows = (await feed(dicom))[5:]
    assert {(row["action"], row["state"]) for row in rows} == {("Delete", "Deleted")}
    assert sorted(row["sopInstanceUid"] for row in rows) == [f"1.2.{number}" for number in range(5)]
    assert len({row["timestamp"] for row in rows}) == 1
