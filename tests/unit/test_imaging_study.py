"""DICOM Tag Mapping of ImagingStudy, attribute by attribute."""

import pytest

from shared.dicom.values import Attributes
from shared.mapping.imaging_study import INSTANCE_ROWS, SERIES_ROWS, STUDY_ROWS
from shared.mapping.study_identifiers import lacks, requests_of, study_identity
from shared.mapping.table import elements
from tests.unit.datasets import CT, codes, dataset

DCM = "http://dicom.nema.org/resources/ontology/DCM"
CT_CODING = {"system": DCM, "code": "CT"}


def study_elements(attributes, zone):
    return elements(STUDY_ROWS, attributes, zone)


def series_elements(attributes, zone):
    return elements(SERIES_ROWS, attributes, zone)


def instance_elements(attributes):
    return elements(INSTANCE_ROWS, attributes, "")


def _mapped(function, attributes, *args):
    read = Attributes(dataset(**attributes))
    return function(read, *args), codes(read.findings)


def test_identity_is_the_study_instance_uid():
    identity = study_identity("1.2.3")
    assert (identity.resource_type, identity.system, identity.value) == (
        "ImagingStudy",
        "urn:dicom:uid",
        "urn:oid:1.2.3",
    )


@pytest.mark.parametrize(
    ("attributes", "expected", "found"),
    [
        pytest.param({}, {}, [], id="nothing said"),
        pytest.param({"StudyDescription": "CT head"}, {"description": "CT head"}, [], id="StudyDescription"),
        pytest.param({"StudyDescription": "  "}, {}, [], id="StudyDescription only padding"),
        pytest.param(
            {"StudyDate": "20210301", "StudyTime": "101530", "TimezoneOffsetFromUTC": "+0100"},
            {"started": "2021-03-01T10:15:30+01:00"},
            [],
            id="StudyDate, StudyTime, TimezoneOffsetFromUTC",
        ),
        pytest.param(
            {"StudyDate": "20210301", "StudyTime": "101530"},
            {"started": "2021-03-01T10:15:30+09:00"},
            [],
            id="StudyDate, StudyTime in the default zone",
        ),
        pytest.param({"StudyDate": "never"}, {}, [("StudyDate", "invalid-date")], id="StudyDate invalid"),
    ],
)
def test_study(attributes, expected, found):
    assert _mapped(study_elements, attributes, "Asia/Tokyo") == (expected, found)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param({}, [], id="none"),
        pytest.param({"AccessionNumber": None}, [], id="empty"),
        pytest.param(
            {"AccessionNumber": "ACC1"},
            [
                {
                    "type": {
                        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}],
                    },
                    "value": "ACC1",
                }
            ],
            id="AccessionNumber",
        ),
    ],
)
def test_accession_number(attributes, expected):
    assert _mapped(requests_of, attributes) == (expected, [])


@pytest.mark.parametrize(
    ("attributes", "expected", "found"),
    [
        pytest.param({"Modality": "CT"}, {"modality": CT_CODING}, [], id="Modality"),
        pytest.param(
            {"Modality": "ct"}, {"modality": CT_CODING}, [("Modality", "irregular-code")], id="Modality in lower case"
        ),
        pytest.param(
            {}, {"modality": {"system": DCM, "code": "OT"}}, [("Modality", "missing")], id="Modality absent, OT"
        ),
        pytest.param(
            {"Modality": "CT", "SeriesNumber": 3, "SeriesDescription": "axial"},
            {"number": 3, "modality": CT_CODING, "description": "axial"},
            [],
            id="SeriesNumber, SeriesDescription",
        ),
        pytest.param(
            {"Modality": "CT", "SeriesNumber": "3"}, {"number": 3, "modality": CT_CODING}, [], id="SeriesNumber as text"
        ),
        pytest.param(
            {"Modality": "CT", "SeriesNumber": 0}, {"number": 0, "modality": CT_CODING}, [], id="SeriesNumber zero"
        ),
        pytest.param(
            {"Modality": "CT", "SeriesNumber": 2**31 - 1},
            {"number": 2**31 - 1, "modality": CT_CODING},
            [],
            id="largest SeriesNumber",
        ),
        pytest.param(
            {"Modality": "CT", "SeriesNumber": 2**31},
            {"modality": CT_CODING},
            [("SeriesNumber", "out-of-range")],
            id="SeriesNumber too large for unsignedInt",
        ),
        pytest.param(
            {"Modality": "CT", "SeriesNumber": -1},
            {"modality": CT_CODING},
            [("SeriesNumber", "out-of-range")],
            id="SeriesNumber negative",
        ),
        pytest.param(
            {"Modality": "CT", "SeriesNumber": "x"},
            {"modality": CT_CODING},
            [("SeriesNumber", "invalid-integer")],
            id="SeriesNumber invalid",
        ),
        pytest.param(
            {"Modality": "CT", "SeriesDate": "20210301", "SeriesTime": "101530", "TimezoneOffsetFromUTC": "+0100"},
            {"modality": CT_CODING, "started": "2021-03-01T10:15:30+01:00"},
            [],
            id="SeriesDate, SeriesTime",
        ),
    ],
)
def test_series(attributes, expected, found):
    assert _mapped(series_elements, attributes, "") == (expected, found)


NUMBER_OF_FRAMES = "https://profiles.ihe.net/RAD/MADO/StructureDefinition/MadoNumberOfFrames"
SOP_CLASS = {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{CT}"}


@pytest.mark.parametrize(
    ("attributes", "expected", "found"),
    [
        pytest.param({"SOPClassUID": CT}, {"title": "CT Image", "sopClass": SOP_CLASS}, [], id="SOPClassUID"),
        pytest.param(
            {"SOPClassUID": CT, "NumberOfFrames": 300},
            {
                "title": "CT Image",
                "sopClass": SOP_CLASS,
                "extension": [{"url": NUMBER_OF_FRAMES, "valueInteger": 300}],
            },
            [],
            id="NumberOfFrames",
        ),
        pytest.param(
            {"SOPClassUID": CT, "NumberOfFrames": -1},
            {"title": "CT Image", "sopClass": SOP_CLASS},
            [("NumberOfFrames", "out-of-range")],
            id="NumberOfFrames negative",
        ),
        pytest.param(
            {"SOPClassUID": CT, "InstanceNumber": "12"},
            {"title": "CT Image", "sopClass": SOP_CLASS, "number": 12},
            [],
            id="InstanceNumber as text",
        ),
        pytest.param(
            {"SOPClassUID": CT, "InstanceNumber": "1.5"},
            {"title": "CT Image", "sopClass": SOP_CLASS},
            [("InstanceNumber", "invalid-integer")],
            id="InstanceNumber invalid",
        ),
    ],
)
def test_instance(attributes, expected, found):
    assert _mapped(instance_elements, attributes) == (expected, found)


@pytest.mark.parametrize(
    ("attributes", "keyword"),
    [
        pytest.param({"PatientID": "MRN-0001", "SOPClassUID": CT}, None, id="nothing"),
        pytest.param({"SOPClassUID": CT}, "PatientID", id="PatientID"),
        pytest.param({"PatientID": " ", "SOPClassUID": CT}, "PatientID", id="PatientID only padding"),
        pytest.param({"PatientID": "MRN-0001"}, "SOPClassUID", id="SOPClassUID"),
        pytest.param({"PatientID": "MRN-0001", "SOPClassUID": "x"}, "SOPClassUID", id="SOPClassUID invalid"),
        pytest.param({}, "PatientID", id="both"),
    ],
)
def test_what_an_instance_lacks(attributes, keyword):
    assert lacks(Attributes(dataset(**attributes))) == keyword
