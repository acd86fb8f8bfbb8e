"""Persons that a dataset names, as references without a target."""

import pytest

from shared.dicom.values import Attributes
from shared.mapping.people import practitioners
from tests.unit.datasets import codes, dataset

NAMES, IDENTIFICATIONS = "NameOfPhysiciansReadingStudy", "PhysiciansReadingStudyIdentificationSequence"
ITO = {"Alphabetic": "Ito^Ken^^Dr", "Ideographic": "伊藤^健"}


def _read(names, identifications=()):
    items = [
        dataset(PersonIdentificationCodeSequence=dataset(CodeValue=value)) if value else {} for value in identifications
    ]
    attributes = Attributes(dataset(**{NAMES: list(names), IDENTIFICATIONS: items}))
    found = practitioners(attributes, NAMES, IDENTIFICATIONS)
    assert all(person["type"] == "Practitioner" for person in found)
    return [(person.get("display"), person.get("identifier", {}).get("value")) for person in found], codes(
        attributes.findings
    )


@pytest.mark.parametrize(
    ("name", "display"),
    [
        pytest.param({"Alphabetic": "Rivera^Ana^Maria^Dr^Jr"}, "Dr Ana Maria Rivera Jr", id="five components"),
        pytest.param("Rivera^Ana", "Ana Rivera", id="bare text"),
        pytest.param(ITO, "Dr Ken Ito", id="alphabetic before ideographic"),
        pytest.param({"Ideographic": "伊藤^健"}, "伊藤 健", id="ideographic only: family name first"),
        pytest.param({"Phonetic": "いとう^けん"}, "いとう けん", id="phonetic only: family name first"),
        pytest.param({"Alphabetic": "^^^", "Ideographic": "伊藤^健"}, "伊藤 健", id="alphabetic without content"),
    ],
)
def test_display(name, display):
    assert _read([name]) == ([(display, None)], [])


@pytest.mark.parametrize(
    ("names", "identifications", "expected"),
    [
        pytest.param(["A", "B"], ["1", "2"], [("A", "1"), ("B", "2")], id="as many"),
        pytest.param(["A", "B"], ["1"], [("A", "1"), ("B", None)], id="fewer identifications"),
        pytest.param(["A"], ["1", "2"], [("A", "1"), (None, "2")], id="fewer names"),
        pytest.param([None, "B"], ["1", "2"], [(None, "1"), ("B", "2")], id="empty name keeps its place"),
        pytest.param(["", "B"], ["1", "2"], [(None, "1"), ("B", "2")], id="empty text keeps its place"),
        pytest.param(["A", "B"], [None, "2"], [("A", None), ("B", "2")], id="empty identification keeps its place"),
        pytest.param([None], [], [], id="nobody"),
    ],
)
def test_names_and_identifications_are_those_of_the_same_person(names, identifications, expected):
    assert _read(names, identifications) == (expected, [])
