"""Marks: the memory of a study's instances."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import InstanceKey
from shared.sync import marks
from tests.unit.datasets import key

A, B, C = key(1, 1), key(1, 2), key(2, 1)
DIGESTS = {name: marks.digest(name) for name in (A, B, C)}
KEYS = st.sampled_from([key(series, instance) for series in (1, 2) for instance in (1, 2, 3)])
TRUTH = st.dictionaries(KEYS, st.booleans(), min_size=1)
LISTED = st.dictionaries(KEYS, st.integers(1, 50), max_size=4)


def _marks(**by_name):
    keys = {"a": A, "b": B, "c": C}
    return {marks.digest(keys[name]): mark for name, mark in by_name.items()}


def test_digest_begins_with_that_of_the_series():
    assert marks.digest(A).startswith(marks.series_digest(A.series_instance_uid))
    assert [len(digest) for digest in (marks.digest(A), marks.series_digest("1.2"))] == [12, 4]


def test_digests_tell_instances_apart():
    assert len({marks.digest(name) for name in (A, B, C, InstanceKey("1", "23"), InstanceKey("12", "3"))}) == 5


@pytest.mark.parametrize(
    ("mark", "is_there", "sequence"),
    [
        pytest.param(7, True, 7, id="there"),
        pytest.param(-8, False, 7, id="gone"),
        pytest.param(0, True, 0, id="there, no sequence told"),
        pytest.param(-1, False, 0, id="gone, no sequence told"),
    ],
)
def test_mark_says_presence_and_sequence(mark, is_there, sequence):
    assert (marks.is_there(mark), marks.sequence_of(mark)) == (is_there, sequence)


@pytest.mark.parametrize(
    ("known", "listed", "there", "gone", "expected"),
    [
        pytest.param({}, {A: 7}, [A], [], _marks(a=7), id="created"),
        pytest.param({}, {A: 7}, [], [A], _marks(a=-8), id="gone before it was looked at"),
        pytest.param({}, {}, [A], [], _marks(a=0), id="seen before its entry"),
        pytest.param(_marks(a=7), {A: 9}, [A], [], _marks(a=9), id="changed"),
        pytest.param(_marks(a=7), {A: 5}, [A], [], _marks(a=7), id="older message"),
        pytest.param(_marks(a=7), {A: 9}, [], [A], _marks(a=-10), id="deleted"),
        pytest.param(_marks(a=-10), {A: 12}, [A], [], _marks(a=12), id="stored again"),
        pytest.param(_marks(a=-10), {A: 7}, [A], [], _marks(a=9), id="seen again by an older message"),
        pytest.param(_marks(a=7), {}, [], [A], _marks(a=-8), id="gone without a message"),
        pytest.param(_marks(a=7, c=3), {B: 9}, [B], [], _marks(a=7, b=9, c=3), id="others stay"),
        pytest.param(_marks(a=7), {B: 9}, [], [], _marks(a=7), id="listed and not looked at"),
    ],
)
def test_merge(known, listed, there, gone, expected):
    before = dict(known)
    assert marks.merge(known, listed, there, gone) == expected
    assert known == before


def _look(truth, known, listed):
    there = [name for name in listed if truth.get(name)]
    gone = [name for name in listed if not truth.get(name)]
    return marks.merge(known, listed, there, gone)


@given(TRUTH, st.lists(LISTED, max_size=5), st.data())
def test_order_and_repetition_of_messages_do_not_matter(truth, messages, data):
    shuffled = data.draw(st.permutations([*messages, *messages]))
    in_order = reduce(lambda known, listed: _look(truth, known, listed), messages, {})
    assert reduce(lambda known, listed: _look(truth, known, listed), shuffled, {}) == in_order


@given(st.lists(st.tuples(TRUTH, LISTED), max_size=5), st.data())
def test_sequences_only_grow_whatever_was_seen(looks, data):
    shuffled = data.draw(st.permutations(looks))
    one = reduce(lambda known, look: _look(look[0], known, look[1]), looks, {})
    other = reduce(lambda known, look: _look(look[0], known, look[1]), shuffled, {})
    highest = {}
    for _, listed in looks:
        for name, sequence in listed.items():
            highest[marks.digest(name)] = max(sequence, highest.get(marks.digest(name), 0))
    assert {name: marks.sequence_of(mark) for name, mark in one.items()} == highest
    assert {name: marks.sequence_of(mark) for name, mark in other.items()} == highest


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({}, _marks(a=0, b=0), id="new"),
        pytest.param(_marks(a=7), _marks(a=7, b=0), id="known stay"),
        pytest.param(_marks(a=-8), _marks(a=-8, b=0), id="gone stay"),
    ],
)
def test_announce(known, expected):
    assert marks.announce(known, [A, B]) == expected


@pytest.mark.parametrize(
    ("known", "listed", "expected"),
    [
        pytest.param(_marks(a=7), {A: 9}, _marks(a=9), id="there"),
        pytest.param(_marks(a=-8), {A: 9}, _marks(a=-10), id="gone"),
        pytest.param(_marks(a=7), {A: 5}, _marks(a=7), id="older"),
        pytest.param(_marks(a=7), {A: 9, B: 9}, None, id="unknown instance"),
        pytest.param(_marks(a=0, b=10), {A: 9, B: 10}, _marks(a=9, b=10), id="no sequence told before"),
    ],
)
def test_learn(known, listed, expected):
    assert marks.learn(known, listed) == expected


@pytest.mark.parametrize(
    ("after", "same"),
    [
        pytest.param(_marks(a=7, b=3), True, id="nothing learnt"),
        pytest.param(_marks(a=7, b=5), True, id="one that does not speak"),
        pytest.param(_marks(a=9, b=3), False, id="a newer change of the one that speaks"),
        pytest.param(_marks(a=7, b=8), False, id="another one speaks"),
    ],
)
def test_who_speaks_after_learning(after, same):
    assert marks.say_the_same(_marks(a=7, b=3), after) is same


SERIES_1, SERIES_2 = marks.series_digest(A.series_instance_uid), marks.series_digest(C.series_instance_uid)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({}, {}, id="nothing known"),
        pytest.param(_marks(a=7), {b"": DIGESTS[A], SERIES_1: DIGESTS[A]}, id="one instance"),
        pytest.param(
            _marks(a=7, b=9, c=8),
            {b"": DIGESTS[B], SERIES_1: DIGESTS[B], SERIES_2: DIGESTS[C]},
            id="newest of the study and of each series",
        ),
        pytest.param(_marks(a=7, b=-10), {b"": DIGESTS[A], SERIES_1: DIGESTS[A]}, id="gone does not speak"),
        pytest.param(_marks(a=-8, b=-10), {}, id="all gone"),
        pytest.param(_marks(a=7, c=-10), {b"": DIGESTS[A], SERIES_1: DIGESTS[A]}, id="series gone"),
        pytest.param(
            _marks(a=0, b=0),
            {b"": max(DIGESTS[A], DIGESTS[B]), SERIES_1: max(DIGESTS[A], DIGESTS[B])},
            id="equal: the same one every time",
        ),
    ],
)
def test_speakers(known, expected):
    assert marks.speakers(known) == expected


@given(st.dictionaries(KEYS, st.integers(-50, 50)), st.data())
def test_speakers_do_not_depend_on_the_order_of_marks(known, data):
    items = [(marks.digest(name), mark) for name, mark in known.items()]
    assert marks.speakers(dict(data.draw(st.permutations(items)))) == marks.speakers(dict(items))
