"""QIDO-RS on the wire: levels, filters, fields, pages, counts."""

import asyncio

import pytest
from test_dicom_arrange import STUDY, make_file, stand_in, store

SECOND, SECOND_SERIES = "1.2.4.1", "1.2.4.1.1"
MULLER = {"PatientName": "Müller^Äsa", "PatientID": "TEST2", "SpecificCharacterSet": "ISO_IR 192"}


@pytest.fixture
async def dicom(tmp_path):
    async with stand_in(tmp_path) as client:
        await store(
            client,
            make_file(StudyDate="20200101", AccessionNumber="Acc1", SeriesNumber=1, InstanceNumber=1),
            make_file(sop="1.2.3.1.1.2", InstanceNumber=2, StudyDescription="Chest"),
            make_file(series="1.2.3.1.2", sop="1.2.3.1.2.1", Modality="MR"),
            make_file(SECOND, SECOND_SERIES, "1.2.4.1.1.1", StudyDate="20210615", **MULLER),
        )
        yield client


async def search(client, path, version=2):
    response = await client.get(f"/v{version}{path}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/dicom+json; charset=utf-8"
    return response.json()


def uids(found, tag="0020000D"):
    return sorted(row[tag]["Value"][0] for row in found)


async def test_study_with_the_defaults_of_v2(dicom):
    assert await search(dicom, f"/studies?StudyInstanceUID={STUDY}") == [
        {
            "00080020": {"vr": "DA", "Value": ["20200101"]},
            "00080050": {"vr": "SH", "Value": ["Acc1"]},
            "00081030": {"vr": "LO", "Value": ["Chest"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "TEST^ONE"}]},
            "00100020": {"vr": "LO", "Value": ["TEST1"]},
            "0020000D": {"vr": "UI", "Value": [STUDY]},
        }
    ]


async def test_v1_has_other_defaults(dicom):
    (row,) = await search(dicom, "/studies?PatientID=test2", version=1)
    assert row.keys() == {"00080005", "00080020", "00100010", "00100020", "0020000D"}
    (row,) = await search(dicom, f"/studies/{STUDY}/series?Modality=MR", version=1)
    assert row.keys() == {"00080060", "0020000D", "0020000E"}


FILTERS = [
    ("PatientID=TEST1", [STUDY]),
    ("00100020=test1", [STUDY]),
    ("PatientName=muller^asa", [SECOND]),
    ("PatientName=Mull", None),
    ("PatientName=asa&fuzzymatching=true", [SECOND]),
    ("PatientName=tes on&fuzzymatching=TRUE", [STUDY]),
    ("PatientName=sa&fuzzymatching=true", None),
    ("PatientID=TEST*", None),
    ("StudyDate=20200101", [STUDY]),
    ("StudyDate=20200101-20201231", [STUDY]),
    ("StudyDate=20200102-", [SECOND]),
    ("StudyDate=-20200101", [STUDY]),
    ("StudyDate=20190101-20300101", [STUDY, SECOND]),
    ("ModalitiesInStudy=MR", [STUDY]),
    ("AccessionNumber=ACC1&PatientID=TEST1", [STUDY]),
    ("AccessionNumber=ACC1&PatientID=TEST2", None),
    ("offset=2", None),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS)
async def test_filters(dicom, query, expected):
    response = await dicom.get(f"/v2/studies?{query}")
    if expected is None:
        assert (response.status_code, response.content) == (204, b"")
    else:
        assert uids(response.json()) == expected


BAD = [
    "/studies?Modality=CT",
    "/studies?SOPInstanceUID=1.2",
    "/studies?Colour=red",
    "/studies?patientid=TEST1",
    "/studies?PatientID=",
    "/studies?PatientID=a&PatientID=a",
    "/studies?PatientID=a&00100020=a",
    "/studies?StudyDate=yesterday",
    "/studies?limit=0",
    "/studies?limit=201",
    "/studies?offset=-1",
    "/studies?fuzzymatching=1",
    "/studies?includefield=Colour",
    "/studies?includefield=all&includefield=PatientSex",
    "/studies?includefield=12345",
    f"/studies/{STUDY}/series?PatientID=TEST1",
    f"/studies/{STUDY}/instances?PatientID=TEST1",
    f"/studies/{STUDY}/series/1.2/instances?Modality=CT",
    "/studies/1.x/series",
    "/studies?PatientID=%3Cscript",
    "/studies?PatientID=<script",
]


@pytest.mark.parametrize("path", BAD)
async def test_bad_query_is_400_as_text(dicom, path):
    response = await dicom.get(f"/v2{path}")
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")


async def test_series_and_instances(dicom):
    assert uids(await search(dicom, f"/studies/{STUDY}/series"), "0020000E") == ["1.2.3.1.1", "1.2.3.1.2"]
    assert uids(await search(dicom, "/series?Modality=CT&PatientID=TEST1"), "0020000E") == ["1.2.3.1.1"]
    assert uids(await search(dicom, "/instances?Modality=MR"), "00080018") == ["1.2.3.1.2.1"]
    assert uids(await search(dicom, f"/studies/{STUDY}/instances"), "00080018") == [
        "1.2.3.1.1.1",
        "1.2.3.1.1.2",
        "1.2.3.1.2.1",
    ]
    rows = await search(dicom, f"/studies/{STUDY}/series/1.2.3.1.2/instances")
    assert rows == [
        {tag: {"vr": "UI", "Value": [uid]}}
        | {"0020000D": {"vr": "UI", "Value": [STUDY]}, "0020000E": {"vr": "UI", "Value": ["1.2.3.1.2"]}}
        for tag, uid in [("00080018", "1.2.3.1.2.1")]
    ]


async def test_attributes_of_upper_levels_come_along(dicom):
    (series,) = await search(dicom, "/series?PatientID=TEST2")
    (instance,) = await search(dicom, "/instances?PatientID=TEST2")
    (of_study,) = await search(dicom, f"/studies/{SECOND}/instances")
    assert series.keys() == {"00080020", "00080060", "00100010", "00100020", "0020000D", "0020000E"}
    assert instance.keys() == series.keys() | {"00080018"}
    assert of_study.keys() == {"00080018", "00080060", "0020000D", "0020000E"}


async def test_include_fields(dicom):
    path = "/instances?SOPInstanceUID=1.2.3.1.1.2&includefield=InstanceNumber,00080016&includefield=SeriesDescription"
    (row,) = await search(dicom, path)
    assert row["00200013"] == {"vr": "IS", "Value": [2]}
    assert "00080016" in row
    assert "0008103E" not in row
    (row,) = await search(dicom, f"/studies/{STUDY}/series?Modality=CT&includefield=InstanceNumber")
    assert row["00200013"] == {"vr": "IS", "Value": [2]}  # of the newest instance
    (row,) = await search(dicom, f"/studies/{STUDY}/series?Modality=CT&includefield=all")
    assert row.keys() == {"00080060", "0020000D", "0020000E"}


async def test_counts_only_when_asked(dicom):
    path = "/studies?PatientID=TEST1&includefield=NumberOfStudyRelatedInstances,ModalitiesInStudy"
    (row,) = await search(dicom, path)
    assert row["00201208"] == {"vr": "IS", "Value": [3]}
    assert row["00080061"] == {"vr": "CS", "Value": ["CT", "MR"]}
    rows = await search(dicom, f"/studies/{STUDY}/series?includefield=NumberOfSeriesRelatedInstances")
    assert sorted(row["00201209"]["Value"][0] for row in rows) == [1, 2]
    (row,) = await search(dicom, "/studies?PatientID=TEST1&includefield=NumberOfStudyRelatedSeries")
    assert "00201206" not in row


async def test_counts_include_what_is_still_being_created(dicom):
    await dicom.post("/_dev/faults", json=[{"route": "stow", "kind": "linger", "seconds": 0.2}])
    storing = asyncio.create_task(store(dicom, make_file(sop="1.9")))
    await asyncio.sleep(0.05)
    (row,) = await search(dicom, "/studies?PatientID=TEST1&includefield=NumberOfStudyRelatedInstances")
    assert row["00201208"]["Value"] == [4]
    await storing


async def test_newest_first_by_page(dicom):
    pages = [(await search(dicom, f"/studies?limit=1&offset={offset}"))[0] for offset in (0, 1)]
    assert [page["0020000D"]["Value"][0] for page in pages] == [SECOND, STUDY]
    await dicom.post("/_dev/bulk", json={"studies": 150})
    assert len(await search(dicom, "/studies")) == 100
    assert len(await search(dicom, "/studies?limit=200")) == 152


async def test_empty_values_never_overwrite(dicom):
    await store(dicom, make_file(sop="1.9", AccessionNumber="", StudyDescription="Abdomen"))
    (row,) = await search(dicom, "/studies?PatientID=TEST1")
    assert (row["00080050"]["Value"], row["00081030"]["Value"]) == (["Acc1"], ["Abdomen"])


async def test_not_acceptable_and_absent(dicom):
    refused = await dicom.get("/v2/studies", headers={"Accept": "application/json+dicom"})
    assert (refused.status_code, refused.content) == (406, b"")
    assert (await dicom.get("/v2/studies/9.9/series")).status_code == 204
