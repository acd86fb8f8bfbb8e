"""The side of the body, by https://hl7.org/fhir/R4/valueset-bodysite-laterality.html."""

import pytest

from shared.dicom.values import Attributes
from shared.fhir.validation import check_valid
from shared.mapping.laterality import laterality
from tests.unit.datasets import codes, dataset

SCT = "http://snomed.info/sct"
LEFT = {"system": SCT, "code": "419161000", "display": "Unilateral left"}
RIGHT = {"system": SCT, "code": "419465000", "display": "Unilateral right"}
BOTH = {"system": SCT, "code": "51440002", "display": "Bilateral"}
ONE = {"system": SCT, "code": "66459002", "display": "Unilateral"}


def entry(code, scheme="SCT"):
    return dataset(CodeValue=code, CodingSchemeDesignator=scheme, CodeMeaning="Meaning")


def modified(*modifiers):
    return dataset(AnatomicRegionSequence=dataset(AnatomicRegionModifierSequence=list(modifiers)))


def in_frames(anatomy):
    return dataset(SharedFunctionalGroupsSequence=dataset(FrameAnatomySequence=anatomy))


@pytest.mark.parametrize(
    ("found", "expected", "findings"),
    [
        pytest.param({}, None, [], id="nothing"),
        pytest.param(dataset(Laterality=None, ImageLaterality=""), None, [], id="empty"),
        pytest.param(dataset(Laterality="R"), RIGHT, [], id="Laterality right"),
        pytest.param(dataset(Laterality="L"), LEFT, [], id="Laterality left"),
        pytest.param(dataset(Laterality=" l "), LEFT, [], id="padded, in lower case"),
        pytest.param(dataset(Laterality="B"), None, [("Laterality", "unknown-code")], id="Laterality has no both"),
        pytest.param(dataset(Laterality="LEFT"), None, [("Laterality", "unknown-code")], id="a word"),
        pytest.param(
            dataset(Laterality="X", ImageLaterality="R"),
            RIGHT,
            [("Laterality", "unknown-code")],
            id="unknown is no side",
        ),
        pytest.param(dataset(Laterality=["R", "L"]), RIGHT, [("Laterality", "several-values")], id="two"),
        pytest.param(dataset(Laterality=[{}]), None, [("Laterality", "not-text")], id="no text"),
        pytest.param(dataset(Laterality="L", ImageLaterality="R"), LEFT, [], id="the series comes first"),
        pytest.param(dataset(ImageLaterality="R"), RIGHT, [], id="ImageLaterality right"),
        pytest.param(dataset(ImageLaterality="L"), LEFT, [], id="ImageLaterality left"),
        pytest.param(dataset(ImageLaterality="B"), BOTH, [], id="ImageLaterality both"),
        pytest.param(dataset(ImageLaterality="U"), None, [], id="ImageLaterality unpaired: no side"),
        pytest.param(dataset(ImageLaterality="X"), None, [("ImageLaterality", "unknown-code")], id="not a side"),
        pytest.param(dataset(Laterality="", ImageLaterality="B"), BOTH, [], id="empty is no value"),
        pytest.param(in_frames(dataset(FrameLaterality="R")), RIGHT, [], id="FrameLaterality right"),
        pytest.param(in_frames(dataset(FrameLaterality="B")), BOTH, [], id="FrameLaterality both"),
        pytest.param(in_frames(dataset(FrameLaterality="U")), None, [], id="FrameLaterality unpaired"),
        pytest.param(
            in_frames(dataset(FrameLaterality="?")), None, [("FrameLaterality", "unknown-code")], id="FrameLaterality ?"
        ),
        pytest.param(modified(entry("24028007")), RIGHT, [], id="modifier right"),
        pytest.param(modified(entry("7771000")), LEFT, [], id="modifier left"),
        pytest.param(modified(entry("51440002")), BOTH, [], id="modifier bilateral"),
        pytest.param(modified(entry("66459002")), ONE, [], id="modifier unilateral"),
        pytest.param(modified(entry("419161000")), LEFT, [], id="modifier of the value set"),
        pytest.param(modified(entry("G-A100", "SRT")), RIGHT, [], id="SNOMED RT right"),
        pytest.param(modified(entry("G-A101", "SNM3")), LEFT, [], id="SNOMED 3 left"),
        pytest.param(modified(entry("G-A102", "SRT")), BOTH, [], id="SNOMED RT bilateral"),
        pytest.param(modified(entry("G-A103", "SRT")), ONE, [], id="SNOMED RT unilateral"),
        pytest.param(modified(entry("7771000", "99ACME")), None, [], id="the number in another scheme"),
        pytest.param(modified(entry("X-1", "SRT"), entry("7771000")), LEFT, [], id="other modifiers are no finding"),
        pytest.param(modified(entry("7771000"), entry("G-A101", "SRT")), LEFT, [], id="said twice"),
        pytest.param(
            modified(entry("7771000"), entry("24028007")),
            None,
            [("AnatomicRegionModifierSequence", "several-values")],
            id="left and right",
        ),
        pytest.param(
            modified("garbage", {}), None, [("AnatomicRegionModifierSequence", "malformed-item")], id="garbage"
        ),
        pytest.param(in_frames(modified(entry("7771000"))), LEFT, [], id="modifier of all frames"),
        pytest.param({**modified(entry("7771000")), **dataset(ImageLaterality="U")}, None, [], id="unpaired decides"),
    ],
)
def test_laterality(found, expected, findings):
    attributes = Attributes(found)
    side = laterality(attributes)
    assert side == expected
    assert codes(attributes.findings) == findings
    if side:
        series = {"uid": "1.2.3", "modality": {"code": "CT"}, "laterality": side}
        study = {"resourceType": "ImagingStudy", "status": "available", "series": [series]}
        check_valid(study | {"subject": {"reference": "Patient/p1"}})


@pytest.mark.parametrize("said", ["B", "U", "LEFT"])
def test_a_series_laterality_that_is_no_side_does_not_hide_those_of_the_images(said):
    images = [Attributes(dataset(ImageLaterality=side)) for side in "LR"]
    assert laterality(Attributes(dataset(Laterality=said)), images) == BOTH
