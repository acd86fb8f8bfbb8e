"""Which change has the word on which demographic element: any order ends the same."""

from itertools import permutations

import pytest

from shared.state import Told
from shared.sync.demographics import Offer, tell

FEMALE, MALE = {"gender": "female"}, {"gender": "male"}
BORN = {"birthDate": "1970-01-01"}


def _offer(ours, sequence, study):
    return Offer(ours, dict.fromkeys(ours, Told(sequence, study)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"a": (5, FEMALE), "b": (9, MALE)}, MALE, id="the newest"),
        pytest.param({"a": (5, FEMALE), "b": (9, {})}, FEMALE, id="the newest is silent"),
        pytest.param({"a": (5, FEMALE), "b": (7, MALE), "c": (9, {})}, MALE, id="the newest that says it"),
        pytest.param({"a": (5, FEMALE | BORN), "b": (7, MALE), "c": (9, {})}, MALE | BORN, id="each element by itself"),
        pytest.param({"a": (5, FEMALE), "b": (5, MALE)}, MALE, id="at one sequence"),
    ],
)
def test_any_order_of_studies_says_the_same(changes, expected):
    for order in permutations(changes):
        content, told = {}, {}
        for study in order:
            sequence, ours = changes[study]
            said, told, withdraws = tell(told, _offer(ours, sequence, study), study)
            content |= said
            assert not withdraws
        assert content == expected, order


@pytest.mark.parametrize(
    ("ours", "sequence"), [(FEMALE, 4), ({}, 9)], ids=["its newest change is gone", "it says nothing any more"]
)
def test_others_are_asked_when_a_study_takes_its_word_back(ours, sequence):
    _, told, _ = tell({}, _offer(FEMALE, 7, "a"), "a")
    _, told, withdraws = tell(told, _offer(ours, sequence, "a"), "a")
    assert withdraws
    said, _, _ = tell(told, _offer(MALE, 5, "b"), "b")
    assert said == MALE


def test_an_element_whose_provider_was_not_read_stays_with_its_study():
    _, told, _ = tell({}, _offer(FEMALE | BORN, 7, "a"), "a")
    changes = {"birthDate": Told(7, "a"), "gender": Told(9, "a")}
    said, after, withdraws = tell(told, Offer(MALE, changes), "a")
    assert (said, after, withdraws) == (MALE, changes, False)
