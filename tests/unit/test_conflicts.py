"""What contradicts, and which studies are recorded and looked at again because of it."""

import pytest

from shared.mapping.contradiction import ISSUER_CONFLICT, contradictions
from shared.mapping.series_layer import Links
from shared.sync.conflicts import MOST, conflicts_of
from shared.sync.plan import Linked

PERSON, ISSUER = "demographics-conflict", "issuer-conflict"


def said(family="Rivera", given="Ana", gender="female", born="1970-01-02", **assigner):
    found = {
        "name": [{"use": "usual", "family": family, "given": [given]}],
        "gender": gender,
        "birthDate": born,
        "identifier": {"assigner": assigner} if assigner else {},
    }
    return {name: value for name, value in found.items() if value}


ANA, BO = said(), said("Lund", "Bo", "male", "1988-03-04")


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(BO, {PERSON}, id="all three"),
        pytest.param(said("RIVERA", "ANA", "male", "1988-03-04"), set(), id="a name in capitals"),
        pytest.param(said("Lund", "Bo", "female", "1988-03-04"), set(), id="the same sex"),
        pytest.param(said("Lund", "Bo", "male", "1970"), set(), id="a date that is less precise"),
        pytest.param(said("Lund", "Bo", "", "1988"), set(), id="no sex"),
        pytest.param({"name": BO["name"]}, set(), id="a name alone"),
        pytest.param(
            BO | {"name": [*BO["name"], ANA["name"][0]]}, set(), id="a name in another script, and one that is the same"
        ),
    ],
)
def test_persons_contradict_in_everything_or_not_at_all(other, expected):
    assert contradictions(ANA, other) == contradictions(other, ANA) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"display": "A"}, {"display": "B"}, {ISSUER}),
        ({"display": "A"}, {"display": "A"}, set()),
        ({"display": "A"}, {}, set()),
        ({"display": "A"}, {"identifier": {"value": "urn:oid:1.2"}}, set()),
        ({"identifier": {"value": "urn:oid:1.2"}}, {"identifier": {"value": "urn:oid:1.3"}}, {ISSUER}),
        ({"display": "A", "identifier": {"value": "1"}}, {"display": "B", "identifier": {"value": "1"}}, set()),
    ],
)
def test_issuers_contradict_where_nothing_of_them_is_the_same(one, other, expected):
    assert contradictions(said(**one), said(**other)) == expected


def test_the_study_whose_values_are_replaced_is_recorded_and_looked_at():
    found = conflicts_of({}, "b", BO, ANA, BO, ["a", "b"])
    assert found == ({"a": (PERSON,)}, frozenset("a"))


def test_a_study_that_contradicts_records_itself():
    assert conflicts_of({}, "a", ANA, BO, BO, []) == ({"a": (PERSON,)}, frozenset())


def test_a_change_of_the_patient_sends_those_that_are_recorded():
    assert conflicts_of({"a": (PERSON,), "b": (PERSON,)}, "b", ANA, BO, ANA, ["c"]).asked == {"a", "c"}


def test_a_study_of_which_not_all_was_read_stays_as_it_was():
    before = {"a": (PERSON,)}
    assert conflicts_of(before, "a", None, BO, BO, []) == (before, frozenset())
    assert conflicts_of(before, "a", BO, BO, BO, []) == ({}, frozenset())


def test_so_many_are_recorded_and_no_more():
    before = {str(number): (PERSON,) for number in range(MOST)}
    assert conflicts_of(before, "a", ANA, BO, BO, []) == (before, frozenset())
    assert conflicts_of(before, "1", ANA, BO, BO, []) == (before, frozenset())


def test_codes_of_a_later_version_are_left_to_it():
    linked = Linked(None, Links(None, "Endpoint/1"), [], ("issuer-conflict", "of-tomorrow"), frozenset())
    assert linked.findings == [ISSUER_CONFLICT]
