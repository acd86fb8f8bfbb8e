"""Which change has the word on which demographic element: any order ends the same."""

from itertools import permutations

import pytest

from shared.model import Told
from shared.sync.demographics import tell

FEMALE, MALE = {"gender": "female"}, {"gender": "male"}
BORN = {"birthDate": "1970-01-01"}


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
            said, told, opens = tell(told, ours, Told(sequence, study))
            content |= said
            assert not opens
        assert content == expected, order


@pytest.mark.parametrize(
    ("ours", "sequence"), [(FEMALE, 4), ({}, 9)], ids=["its newest change is gone", "it says nothing any more"]
)
def test_others_are_asked_when_a_study_takes_its_word_back(ours, sequence):
    _, told, _ = tell({}, FEMALE, Told(7, "a"))
    _, told, opens = tell(told, ours, Told(sequence, "a"))
    assert opens
    said, _, _ = tell(told, MALE, Told(5, "b"))
    assert said == MALE
