"""Coded entries as Coding and CodeableConcept; PS3.16 2026d table 8-1 and annex O are the published tables."""

import pytest

from shared.dicom.values import Attributes
from shared.fhir.systems import CODING_SCHEMES
from shared.mapping.coding import (
    SNOMED_RT_ADDED,
    UID_SYSTEMS,
    coding,
    concept,
    concepts,
    declared_systems,
    snomed_ct_of,
)
from tests.unit.datasets import codes, dataset

SCT = "http://snomed.info/sct"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
DECLARED = {"99ACME": "urn:oid:1.2.3.4", "99CT": SCT, "SCT": "urn:oid:1.2.3.5"}
UNKNOWN = [("CodeValue", "unknown-code")]
INVALID = [("CodeValue", "invalid-characters")]
LONG = "123456789012345678901234567890"


def entry(code=None, scheme=None, meaning=None, **more):
    values = {"CodeValue": code, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning, **more}
    return dataset(**{keyword: value for keyword, value in values.items() if value is not None})


@pytest.mark.parametrize(
    ("item", "expected", "findings"),
    [
        pytest.param(
            entry("818981001", "SCT", "Abdomen"),
            {"system": SCT, "code": "818981001", "display": "Abdomen"},
            [],
            id="SNOMED CT",
        ),
        pytest.param(entry("CT", "DCM"), {"system": DCM, "code": "CT"}, [], id="no meaning"),
        pytest.param(entry("113701", "DCM"), {"system": DCM, "code": "113701"}, [], id="number of DICOM"),
        pytest.param(entry("Margin", "DCM"), {"system": DCM, "code": "Margin"}, [], id="word of DICOM"),
        pytest.param(entry("CTPROTOCOL", "DCM"), {"system": DCM, "code": "CTPROTOCOL"}, [], id="newer modality"),
        pytest.param(entry("ASDF", "DCM", "x"), None, UNKNOWN, id="not of DICOM's own scheme"),
        pytest.param(entry("11370", "DCM", "x"), None, UNKNOWN, id="number that DICOM cannot have"),
        pytest.param(
            entry("mGy.cm", "UCUM", "mGy.cm"),
            {"system": "http://unitsofmeasure.org", "code": "mGy.cm", "display": "mGy.cm"},
            [],
            id="UCUM",
        ),
        pytest.param(
            entry("C12345", "NCIt", "Thing"),
            {"system": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl", "code": "C12345", "display": "Thing"},
            [],
            id="NCI Thesaurus, which is not the Metathesaurus",
        ),
        pytest.param(entry("A1", "99ACME", "Ours"), {"code": "A1", "display": "Ours"}, [], id="private scheme"),
        pytest.param(entry("A1", "L"), {"code": "A1"}, [], id="local scheme"),
        pytest.param(entry("A1", "sct"), {"code": "A1"}, [], id="designators differ by case"),
        pytest.param(entry("CTHEAD", "CPT4"), {"code": "CTHEAD"}, [], id="designator that is not registered"),
        pytest.param(entry("2:1234", "MDC"), {"code": "2:1234"}, [], id="written in another way than in FHIR"),
        pytest.param(entry("A1"), {"code": "A1"}, [], id="no scheme"),
        pytest.param(
            entry("T-28000", "SRT", "Lung"),
            {"system": SCT, "code": "39607008", "display": "Lung"},
            [],
            id="SNOMED RT becomes SNOMED CT",
        ),
        pytest.param(entry("T-28000", "SNM3"), {"system": SCT, "code": "39607008"}, [], id="SNOMED 3"),
        pytest.param(entry("T-28000", "99SDM"), {"system": SCT, "code": "39607008"}, [], id="SNOMED microglossary"),
        pytest.param(entry("T-28000", "SCT"), {"system": SCT, "code": "39607008"}, [], id="RT code said to be CT"),
        pytest.param(entry("T-D400", "SRT", "Abdomen"), None, UNKNOWN, id="SNOMED RT without correspondence"),
        pytest.param(entry("T-D400", "SCT", "Abdomen"), None, UNKNOWN, id="neither RT nor CT"),
        pytest.param(entry("121006", "SRT"), None, UNKNOWN, id="digits under SNOMED RT"),
        pytest.param(entry("121", "SCT"), None, UNKNOWN, id="too short for SNOMED CT"),
        pytest.param(entry("٣٩٦٠٧٠٠٨", "SCT"), None, UNKNOWN, id="other digits"),
        pytest.param(
            entry(None, "SCT", "Long", LongCodeValue=LONG[:18]),
            {"system": SCT, "code": LONG[:18], "display": "Long"},
            [],
            id="long code",
        ),
        pytest.param(entry(None, "SCT", LongCodeValue=LONG), None, UNKNOWN, id="long code that SNOMED CT cannot have"),
        pytest.param(
            entry(None, None, "Thing", URNCodeValue="urn:oid:1.2.3"),
            {"code": "urn:oid:1.2.3", "display": "Thing"},
            [],
            id="URN code",
        ),
        pytest.param(
            entry("CT", "DCM", LongCodeValue="other"),
            {"system": DCM, "code": "CT"},
            [],
            id="the short code comes first",
        ),
        pytest.param(entry("  A \t 1 ", "99X"), {"code": "A 1"}, [], id="gaps are one space"),
        pytest.param(entry("C\x00T\x07", "DCM"), {"system": DCM, "code": "CT"}, INVALID, id="control characters"),
        pytest.param(entry("\x07", "DCM", "Thing"), None, INVALID, id="only control characters"),
        pytest.param(entry("", "DCM", "Other"), None, [], id="empty code"),
        pytest.param(entry(" ", "DCM"), None, [], id="blank code"),
        pytest.param(entry(None, "DCM", "Other"), None, [], id="no code"),
        pytest.param({}, None, [], id="empty item"),
        pytest.param(
            entry(["CT", "MR"], "DCM"), {"system": DCM, "code": "CT"}, [("CodeValue", "several-values")], id="two codes"
        ),
        pytest.param({"00080100": "CT"}, None, [("CodeValue", "malformed-element")], id="code is no element"),
        pytest.param(entry({"a": 1}, "DCM"), None, [("CodeValue", "not-text")], id="code is no text"),
    ],
)
def test_coding(item, expected, findings):
    attributes = Attributes(item)
    assert coding(attributes) == expected
    assert codes(attributes.findings) == findings


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(entry("A1", "99ACME"), {"system": "urn:oid:1.2.3.4", "code": "A1"}, id="private scheme"),
        pytest.param(entry("A1", "99OTHER"), {"code": "A1"}, id="not this one"),
        pytest.param(entry("39607008", "SCT"), {"system": SCT, "code": "39607008"}, id="a registered one stays"),
        pytest.param(entry("39607008", "99CT"), {"system": SCT, "code": "39607008"}, id="another name of SNOMED CT"),
        pytest.param(entry("T-28000", "99CT"), {"system": SCT, "code": "39607008"}, id="with RT codes"),
    ],
)
def test_coding_of_a_declared_scheme(item, expected):
    assert coding(Attributes(item), DECLARED) == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(
            entry("T-28000", "SRT", "Lung"),
            {"coding": [{"system": SCT, "code": "39607008", "display": "Lung"}], "text": "Lung"},
            id="code and meaning",
        ),
        pytest.param(entry("T-D400", "SRT", "Abdomen"), {"text": "Abdomen"}, id="unmapped: a text"),
        pytest.param(entry("", "DCM", "Other"), {"text": "Other"}, id="empty code: a text"),
        pytest.param(entry("A1", "99X"), {"coding": [{"code": "A1"}]}, id="no meaning"),
        pytest.param(entry("T-D400", "SRT"), None, id="neither"),
        pytest.param({}, None, id="empty item"),
    ],
)
def test_concept(item, expected):
    assert concept(Attributes(item)) == expected


def test_items_that_say_nothing_are_left_out():
    attributes = Attributes(dataset(ProcedureCodeSequence=[entry("CT", "DCM"), {}, "garbage", 7, entry(None, "DCM")]))
    assert concepts(attributes, "ProcedureCodeSequence") == [{"coding": [{"system": DCM, "code": "CT"}]}]
    assert codes(attributes.findings) == [("ProcedureCodeSequence", "malformed-item")]


def test_no_sequence_is_no_concept():
    assert concepts(Attributes({}), "ProcedureCodeSequence") == []


def _declaration(designator, uid):
    return dataset(CodingSchemeDesignator=designator, CodingSchemeUID=uid)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([_declaration("99ACME", "1.2.3.4")], {"99ACME": "urn:oid:1.2.3.4"}, id="private"),
        pytest.param([_declaration("99CT", "2.16.840.1.113883.6.96")], {"99CT": SCT}, id="a scheme with a FHIR system"),
        pytest.param([_declaration("99D", "2.16.840.1.113883.6.31")], {"99D": DCM}, id="HL7's UID of DCM"),
        pytest.param([_declaration("SRT", "2.16.840.1.113883.6.96")], {}, id="SNOMED RT has none"),
        pytest.param([_declaration("99X", "1.02.3")], {}, id="leading zero: no OID"),
        pytest.param([_declaration("99X", "5.1")], {}, id="no such arc"),
        pytest.param([_declaration("99X", "ACME")], {}, id="no UID"),
        pytest.param([_declaration(None, "1.2.3"), _declaration("99X", None), {}], {}, id="half of it"),
        pytest.param(["garbage", _declaration("99A", "1.2")], {"99A": "urn:oid:1.2"}, id="garbage"),
        pytest.param([], {}, id="empty"),
    ],
)
def test_declared_systems(items, expected):
    assert declared_systems(Attributes(dataset(CodingSchemeIdentificationSequence=items))) == expected


# designator -> UID in PS3.16 table 8-1 (2026d)
TABLE_8_1 = {
    "C4": "2.16.840.1.113883.6.12",
    "DCM": "1.2.840.10008.2.16.4",
    "DCMUID": "1.2.840.10008.2.6.1",
    "I10": "2.16.840.1.113883.6.3",
    "I10C": "2.16.840.1.113883.6.90",
    "I9C": "2.16.840.1.113883.6.2",
    "IETF4646": None,
    "ISO3166_1": "2.16.1",
    "LN": "2.16.840.1.113883.6.1",
    "NCIt": "2.16.840.1.113883.3.26.1.1",
    "NDC": "2.16.840.1.113883.6.69",
    "RADLEX": "2.16.840.1.113883.6.256",
    "RFC3066": "2.16.840.1.113883.6.121",
    "RFC5646": "2.16.840.1.113883.6.316",
    "RXNORM": "2.16.840.1.113883.6.88",
    "SCT": "2.16.840.1.113883.6.96",
    "UCUM": "2.16.840.1.113883.6.8",
    "UMLS": "2.16.840.1.113883.6.86",
}


def test_schemes_are_those_of_the_published_table():
    assert set(CODING_SCHEMES) == set(TABLE_8_1)
    uids = {uid: designator for designator, uid in TABLE_8_1.items() if uid}
    assert {**uids, "2.16.840.1.113883.6.31": "DCM"} == UID_SYSTEMS


@pytest.mark.parametrize(
    ("rt", "ct"),
    [
        # PS3.16 annex O: what radiation dose reports use
        ("P5-08000", "77477000"),
        ("P5-40010", "71651007"),
        ("G-C2D0", "363589002"),
        ("G-C171", "272741003"),
        ("F-61FDB", "349358000"),
        ("C-10072", "89457008"),
        ("G-C340", "410675002"),
        ("T-04030", "80248007"),
        ("T-04020", "73056007"),
        ("G-A100", "24028007"),
        ("G-A101", "7771000"),
        # the concept that the code was of, although annex L has another for the same word
        ("T-D4000", "113345001"),
        ("T-D3000", "51185008"),
        ("T-D6000", "12921003"),
        ("R-FAB57", "416949008"),
        # no correspondence is known
        ("T-D0001", None),
        ("T-62002", None),
        ("T-D400", None),
        ("121006", None),
        ("de", None),
        ("", None),
    ],
)
def test_snomed_rt_by_the_published_correspondence(rt, ct):
    assert snomed_ct_of(rt) == ct


def test_what_is_added_to_the_table_is_not_in_it():
    from pydicom.sr._snomed_dict import mapping  # noqa: PLC0415

    assert set(SNOMED_RT_ADDED) & set(mapping["SRT"]) == set()
