"""Body parts by PS3.16 annex L."""

from itertools import pairwise

import pytest

from shared.dicom.values import Attributes
from shared.fhir.validation import check_valid
from shared.mapping.body_part import body_site, term_of, terms
from tests.unit.datasets import codes, dataset

SCT = "http://snomed.info/sct"
CHEST = {"system": SCT, "code": "816094009", "display": "Chest"}
LUNG = {"system": SCT, "code": "39607008", "display": "Lung"}
UNKNOWN = ("BodyPartExamined", "unknown-code")
UNKNOWN_REGION = ("CodeValue", "unknown-code")
# tables of the Verhoeff check digit, which every SNOMED CT identifier ends with
TIMES = [[(i + j) % 5 if j < 5 else 5 + (i + j) % 5 for j in range(10)] for i in range(5)]
TIMES += [[5 + (i - j) % 5 if j < 5 else (i - j) % 5 for j in range(10)] for i in range(5)]
SHIFT = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]


def region(code=None, scheme=None, meaning=None):
    values = {"CodeValue": code, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}
    return dataset(**{keyword: value for keyword, value in values.items() if value is not None})


def in_frames(*regions):
    anatomy = dataset(FrameAnatomySequence=dataset(AnatomicRegionSequence=list(regions)))
    return dataset(SharedFunctionalGroupsSequence=anatomy)


def of_dicom(**values):
    return dataset(**values)


@pytest.mark.parametrize(
    ("found", "expected", "findings"),
    [
        pytest.param({}, None, [], id="nothing"),
        pytest.param(of_dicom(BodyPartExamined=None, AnatomicRegionSequence=None), None, [], id="empty"),
        pytest.param(of_dicom(BodyPartExamined="CHEST"), CHEST, [], id="term"),
        pytest.param(of_dicom(BodyPartExamined=" chest "), CHEST, [], id="term in lower case"),
        pytest.param(
            of_dicom(BodyPartExamined="L SPINE"),
            {"system": SCT, "code": "122496007", "display": "Lumbar spine"},
            [],
            id="term with a space",
        ),
        pytest.param(
            of_dicom(BodyPartExamined="Whole_Body"),
            {"system": SCT, "code": "38266002", "display": "Entire body"},
            [],
            id="term with an underscore",
        ),
        pytest.param(
            of_dicom(BodyPartExamined="ABDOMEN"),
            {"system": SCT, "code": "818981001", "display": "Abdomen"},
            [],
            id="the current code, not 113345001",
        ),
        pytest.param(
            of_dicom(BodyPartExamined="LEG"),
            {"system": SCT, "code": "30021000", "display": "Lower leg"},
            [],
            id="term of an earlier edition",
        ),
        pytest.param(
            of_dicom(BodyPartExamined="STIFLE"),
            {"system": SCT, "code": "116010006", "display": "Stifle"},
            [],
            id="term of an animal",
        ),
        pytest.param(
            of_dicom(BodyPartExamined=["CHEST", "ABDOMEN"]), CHEST, [("BodyPartExamined", "several-values")], id="two"
        ),
        pytest.param(of_dicom(BodyPartExamined="ΘΏΡΑΞ"), {"display": "ΘΏΡΑΞ"}, [UNKNOWN], id="another language"),
        pytest.param(of_dicom(BodyPartExamined="FETALARM"), {"display": "FETALARM"}, [UNKNOWN], id="term without code"),
        pytest.param(
            of_dicom(BodyPartExamined="FOREFOOT"), {"display": "FOREFOOT"}, [UNKNOWN], id="quadrupeds have another"
        ),
        pytest.param(of_dicom(BodyPartExamined="_"), {"display": "_"}, [UNKNOWN], id="only a gap"),
        pytest.param(
            of_dicom(BodyPartExamined="CHE\x07ST"), CHEST, [("BodyPartExamined", "invalid-characters")], id="control"
        ),
        pytest.param(of_dicom(AnatomicRegionSequence=region("39607008", "SCT", "Lung")), LUNG, [], id="region"),
        pytest.param(
            of_dicom(AnatomicRegionSequence=region("T-28000", "SRT", "Poumon"), BodyPartExamined="CHEST"),
            LUNG | {"display": "Poumon"},
            [],
            id="the region comes first, in its language",
        ),
        pytest.param(
            of_dicom(AnatomicRegionSequence=region("T-D3000", "SRT", "Chest"), BodyPartExamined="CHEST"),
            CHEST,
            [],
            id="the region of an earlier edition, as the term",
        ),
        pytest.param(
            of_dicom(AnatomicRegionSequence=region("R-FAB57", "SNM3", "Bauch und Becken")),
            {"system": SCT, "code": "818982008", "display": "Bauch und Becken"},
            [],
            id="another one of an earlier edition",
        ),
        pytest.param(
            of_dicom(AnatomicRegionSequence=region("ASDF", "DCM", "Somewhere")),
            {"display": "Somewhere"},
            [UNKNOWN_REGION],
            id="a code that DICOM does not define in its own scheme",
        ),
        pytest.param(
            of_dicom(AnatomicRegionSequence=[region("39607008", "SCT"), region("80891009", "SCT")]),
            {"system": SCT, "code": "39607008"},
            [],
            id="the first region",
        ),
        pytest.param(in_frames(region("39607008", "SCT", "Lung")), LUNG, [], id="region of all frames"),
        pytest.param(
            {**in_frames(region("39607008", "SCT", "Lung")), **of_dicom(AnatomicRegionSequence=region())},
            LUNG,
            [],
            id="region of all frames beside an empty one",
        ),
        pytest.param(in_frames(), None, [], id="frames without region"),
        pytest.param(of_dicom(SharedFunctionalGroupsSequence=[{}]), None, [], id="frames without anatomy"),
        pytest.param(
            of_dicom(AnatomicRegionSequence=region("A1", "99ACME", "Ours"), BodyPartExamined="CHEST"),
            CHEST,
            [],
            id="private region, known term",
        ),
        pytest.param(
            of_dicom(AnatomicRegionSequence=region("A1", "99ACME", "Ours"), BodyPartExamined="OURS"),
            {"display": "Ours"},
            [UNKNOWN],
            id="private region, unknown term: the meaning",
        ),
        pytest.param(
            of_dicom(AnatomicRegionSequence=region("A1", "99ACME", "Ours")),
            {"display": "Ours"},
            [],
            id="private region alone",
        ),
        pytest.param(of_dicom(AnatomicRegionSequence=region("A1", "99ACME")), None, [], id="private, no meaning"),
        pytest.param(
            of_dicom(
                AnatomicRegionSequence=region("A1", "99ACME", "Ours"),
                CodingSchemeIdentificationSequence=of_dicom(CodingSchemeDesignator="99ACME", CodingSchemeUID="1.2.3"),
            ),
            {"system": "urn:oid:1.2.3", "code": "A1", "display": "Ours"},
            [],
            id="private region of a declared scheme",
        ),
        pytest.param(
            of_dicom(AnatomicRegionSequence=region("T-D400", "SRT", "Abdomen")),
            {"display": "Abdomen"},
            [UNKNOWN_REGION],
            id="SNOMED RT without correspondence",
        ),
        pytest.param(
            of_dicom(AnatomicRegionSequence="garbage", BodyPartExamined="CHEST"),
            CHEST,
            [("AnatomicRegionSequence", "malformed-item")],
            id="garbage",
        ),
        pytest.param(
            {"00080000": 1, "00180015": {"vr": "CS", "Value": [{}]}},
            None,
            [("BodyPartExamined", "not-text")],
            id="term is no text",
        ),
    ],
)
def test_body_site(found, expected, findings):
    attributes = Attributes(found)
    site = body_site(attributes)
    assert site == expected
    assert codes(attributes.findings) == findings
    if site:
        series = {"uid": "1.2.3", "modality": {"code": "CT"}, "bodySite": site}
        study = {"resourceType": "ImagingStudy", "status": "available", "series": [series]}
        check_valid(study | {"subject": {"reference": "Patient/p1"}})


def test_every_term_is_written_as_it_is_looked_up():
    """So a text without its gaps and in capitals means one term at most."""
    assert len(terms()) == 339
    assert {term: term_of(term) for term in terms()} == {term: term for term in terms()}
    assert all(before < after for before, after in pairwise(terms()))


def _check(code):
    check = 0
    for place, digit in enumerate(reversed(code)):
        value = int(digit)
        for _ in range(place % 8):
            value = SHIFT[value]
        check = TIMES[check][value]
    return check


def test_every_code_is_a_snomed_ct_identifier():
    assert {term: code for term, (code, _) in terms().items() if _check(code) != 0 or code[-3:-1] != "00"} == {}
    assert [term for term, (_, meaning) in terms().items() if not meaning.strip()] == []


def test_codes_are_those_that_dicom_names_elsewhere():
    from pydicom.sr._concepts_dict import concepts  # noqa: PLC0415

    named = {code for entries in concepts["SCT"].values() for code in entries}
    assert {term for term, (code, _) in terms().items() if code not in named} == {"LOWERTRUNK", "UPPERTRUNK"}
