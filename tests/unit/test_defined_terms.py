"""Codes under the systems that the mapping names itself: those that the published tables have, and no others."""

import json

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.codedict import codes as pydicom_codes

from dev.process import ROOT
from shared.dicom.values import Attributes
from shared.mapping.identifier_type import IDENTIFIER_TYPES, identifier_type
from shared.mapping.modality import MODALITIES, modality
from tests.unit.datasets import codes, dataset

DCM = "http://dicom.nema.org/resources/ontology/DCM"
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
DEFINITIONS = ROOT / "dev" / "fhir" / "node_modules" / "@medplum" / "definitions" / "dist" / "fhir" / "r4"
NEWER_THAN_PYDICOM = {"RTINTENT", "RTRAD", "RTSEGANN", "XAPROTOCOL"}


@pytest.mark.parametrize(
    ("said", "expected", "found"),
    [
        pytest.param("CT", {"system": DCM, "code": "CT"}, [], id="a term"),
        pytest.param(" CT ", {"system": DCM, "code": "CT"}, [], id="padded"),
        pytest.param("ST", {"system": DCM, "code": "ST"}, [], id="a retired term"),
        pytest.param("ANN", {"system": DCM, "code": "ANN"}, [], id="newer than R4"),
        pytest.param("CTPROTOCOL", {"system": DCM, "code": "CTPROTOCOL"}, [], id="another newer one"),
        pytest.param("M3D", {"system": DCM, "code": "M3D"}, [], id="a third one"),
        pytest.param("XR", {"code": "XR"}, [], id="not of DICOM"),
        pytest.param("CT  PT", {"code": "CT PT"}, [], id="not of DICOM, as a code of FHIR"),
        pytest.param(None, {"system": DCM, "code": "OT"}, [("Modality", "missing")], id="empty"),
    ],
)
def test_modality(said, expected, found):
    attributes = Attributes(dataset(Modality=said))
    assert modality(attributes, "") == expected
    assert codes(attributes.findings) == found


def test_modalities_are_those_of_dicom():
    of_dcm = {code for by_code in concepts["DCM"].values() for code in by_code}
    assert {modality.value for modality in pydicom_codes.cid33.concepts.values()} <= MODALITIES
    assert MODALITIES - of_dcm == NEWER_THAN_PYDICOM


def test_identifier_type():
    assert identifier_type("MR") == {"coding": [{"system": V2_0203, "code": "MR"}]}
    assert identifier_type("mr") == {"text": "mr"}
    assert identifier_type("A  B") == {"text": "A  B"}


def test_identifier_types_are_those_of_hl7():
    tables = json.loads((DEFINITIONS / "v2-tables.json").read_text())["entry"]
    (table,) = [row["resource"] for row in tables if row["resource"].get("url") == V2_0203]
    assert {concept["code"] for concept in table["concept"]} == IDENTIFIER_TYPES
