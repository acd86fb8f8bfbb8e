"""The tables against the published ones, as pydicom has them."""

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.uid import UID_dictionary

from shared.dicom import content_tree
from shared.mapping import coding
from shared.mapping.dose import codes
from shared.mapping.dose.report import SOP_CLASSES

DCM = {code: (keyword, meaning) for keyword, rows in concepts["DCM"].items() for code, (meaning, _) in rows.items()}
ROWS = {*codes.X_RAY_TOTALS, *codes.NUCLEAR_TOTALS, *codes.EVENT_VALUES, codes.PROCEDURE_REPORTED}
OF_DCM = sorted((row for row in ROWS if row.concepts[0].scheme == "DCM"), key=lambda row: row.display)
# the meaning as it is in the HL7 guide and in reports; pydicom adds a word of the context group
SHORTER = {"111637": "Accumulated Average Glandular Dose (mammo)"}


@pytest.mark.parametrize("row", OF_DCM, ids=lambda row: row.keyword)
def test_code_keyword_and_meaning_belong_together(row):
    code = row.concepts[0].code
    assert DCM[code] == (row.keyword, SHORTER.get(code, row.display))


def test_snomed_codes_are_pairs():
    pairs = [row.concepts for row in ROWS if row.concepts[0].scheme == "SCT"] + [codes.LATERALITY]
    assert len(pairs) == 4
    for ct, rt in pairs:
        assert coding.snomed_ct_of(rt.code) == ct.code


def test_values_of_one_meaning_have_the_codes_of_one():
    def as_ct(concept):
        return coding.snomed_ct_of(concept.code) if concept.scheme == "SRT" else concept.code

    for table in (codes.SIDES, codes.PROCEDURES):
        known = {(as_ct(concept), str(value)) for concept, value in table.items()}
        assert len(known) == len({code for code, _ in known})
    for concept, value in codes.PROCEDURES.items():
        assert value["code"] == as_ct(concept)


def test_codes_of_structure():
    names = {}
    for name, found in vars(codes).items():
        if isinstance(found, content_tree.Concept):
            names[name] = DCM[found.code][0]
    assert names["ACCUMULATED_X_RAY"] == "AccumulatedXRayDoseData"
    assert names["ACCUMULATED_CT"] == "CTAccumulatedDoseData"
    assert names["CT_DOSE"] == "CTDose"
    assert names["ADMINISTRATION"] == "RadiopharmaceuticalAdministration"
    assert names["ACQUISITION_PLANE"] == "AcquisitionPlane"
    assert names["IRRADIATION_AUTHORIZING"] == "IrradiationAuthorizing"
    assert names["IRRADIATING_DEVICE"] == "IrradiatingDevice"
    assert names["START_OF_IRRADIATION"] == "StartOfXRayIrradiation"
    assert names["TARGET_REGION"] == "TargetRegion"
    assert {DCM[concept.code][0]: keyword for concept, keyword in codes.EVENT_START.items()} == {
        keyword: keyword for keyword in codes.EVENT_START.values()
    }


def test_words_for_planes_and_phantoms():
    words = {DCM[concept.code][1]: words for concept, words in codes.QUALIFIERS.items() if concept.scheme == "DCM"}
    assert words.pop("Single Plane") == ""
    assert all(meaning == said for meaning, said in words.items())


def test_sop_classes_are_documents():
    assert {UID_dictionary[uid][4] for uid in SOP_CLASSES} == {
        "EnhancedSRStorage",
        "ComprehensiveSRStorage",
        "Comprehensive3DSRStorage",
        "ExtensibleSRStorage",
        "XRayRadiationDoseSRStorage",
        "RadiopharmaceuticalRadiationDoseSRStorage",
    }
