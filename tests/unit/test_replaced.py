"""Links between Patients: which one is to be used."""

import pytest

from shared.errors import AmbiguousMatch, PermanentError
from shared.fhir.replaced import is_replaced, only_one, replaced_by, survivors

BASE = "https://fhir.example.org/r4/"


def patient(*references, kind="replaced-by", **elements):
    return {"link": [{"type": kind, "other": {"reference": reference}} for reference in references], **elements}


@pytest.mark.parametrize("kind", ["replaces", "refer", "seealso"])
def test_other_links_replace_nothing(kind):
    one = patient("Patient/2", kind=kind)
    assert (is_replaced(one), replaced_by(one, BASE)) == (False, [])


@pytest.mark.parametrize(
    "reference", ["Patient/2", "Patient/2/_history/7", f"{BASE}Patient/2", f"{BASE}Patient/2/_history/7"]
)
def test_a_link_names_a_patient_of_this_server(reference):
    assert replaced_by(patient(reference, reference), BASE) == ["Patient/2"]


@pytest.mark.parametrize(
    "reference",
    ["", "RelatedPerson/2", "https://other.example.org/Patient/2", "urn:uuid:1", "#2", "Patient/2?x", "Patient/../2"],
)
def test_whatever_else_a_link_names_is_broken(reference):
    with pytest.raises(PermanentError) as found:
        replaced_by(patient("Patient/3", reference), BASE)
    assert found.value.code == "patient-link-broken"


def test_a_link_without_a_reference_is_broken():
    with pytest.raises(PermanentError):
        replaced_by({"link": [{"type": "replaced-by", "other": {"identifier": {"value": "2"}}}]}, BASE)


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ({"a": ["b"], "b": []}, ["b"]),
        ({"a": ["b"], "b": ["c"], "c": []}, ["c"]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, ["d"]),
        ({"a": ["b"], "b": [], "c": []}, ["b", "c"]),
    ],
)
def test_survivors_stand_at_the_ends(links, expected):
    assert survivors(links) == expected


@pytest.mark.parametrize("links", [{"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {"a": ["b"], "b": ["c"], "c": ["b"]}])
def test_a_circle_has_a_name(links):
    with pytest.raises(PermanentError) as found:
        survivors(links)
    assert found.value.code == "patient-link-circle"


ACTIVE, UNSAID, INACTIVE = {"active": True}, {}, {"active": False}


@pytest.mark.parametrize(
    ("patients", "expected"),
    [
        ([], None),
        ([INACTIVE], INACTIVE),
        ([ACTIVE, INACTIVE, INACTIVE], ACTIVE),
        ([INACTIVE, UNSAID], UNSAID),
    ],
)
def test_the_active_one_is_meant(patients, expected):
    assert only_one(patients) == expected


@pytest.mark.parametrize("patients", [[ACTIVE, UNSAID], [INACTIVE, INACTIVE], [ACTIVE, ACTIVE, INACTIVE]])
def test_of_equals_none_is_meant(patients):
    with pytest.raises(AmbiguousMatch):
        only_one(patients)
