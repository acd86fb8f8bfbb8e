"""The instance ledger: what is remembered of a study's instances."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import InstanceKey
from shared.state import LedgerRow, Provides
from shared.sync import ledger as ledgers
from shared.sync.ledger import PATIENT, STUDY, digest, series_digest
from tests.unit.datasets import key

A, B, C = key(1, 1), key(1, 2), key(2, 1)
SAYS = Provides(study=frozenset({"description"}))
KEYS = st.sampled_from([key(series, instance) for series in (1, 2) for instance in (1, 2, 3)])
TRUTH = st.dictionaries(KEYS, st.booleans(), min_size=1)
LISTED = st.dictionaries(KEYS, st.integers(1, 50), max_size=4)


def _ledger(provides=SAYS, **by_name):
    """Rows by name: the sequence, below zero of a deleted instance."""
    keys = {"a": A, "b": B, "c": C}
    return {digest(keys[name]): _row(keys[name], at, provides) for name, at in by_name.items()}


def _row(key, at, provides):
    return LedgerRow(abs(at), at >= 0, provides if at >= 0 else None, series_digest(key.series_instance_uid))


def test_digests_differ():
    assert len({digest(name) for name in (A, B, C, InstanceKey("1", "23"), InstanceKey("12", "3"))}) == 5


@pytest.mark.parametrize(
    ("known", "listed", "there", "gone", "expected"),
    [
        pytest.param({}, {A: 7}, [A], [], _ledger(a=7), id="created"),
        pytest.param({}, {A: 7}, [], [A], _ledger(a=-7), id="gone before it was read"),
        pytest.param({}, {}, [A], [], _ledger(a=0), id="seen before its entry"),
        pytest.param(_ledger(a=7), {A: 9}, [A], [], _ledger(a=9), id="changed"),
        pytest.param(_ledger(a=7), {A: 5}, [A], [], _ledger(a=7), id="older message"),
        pytest.param(_ledger(a=7), {A: 9}, [], [A], _ledger(a=-9), id="deleted"),
        pytest.param(_ledger(a=-10), {A: 12}, [A], [], _ledger(a=12), id="stored again"),
        pytest.param(_ledger(a=-10), {A: 7}, [A], [], _ledger(a=10), id="seen again by an older message"),
        pytest.param(_ledger(a=7), {}, [], [A], _ledger(a=-7), id="gone without a message"),
        pytest.param(_ledger(a=7, c=3), {B: 9}, [B], [], _ledger(a=7, b=9, c=3), id="others stay"),
        pytest.param(_ledger(a=7), {B: 9}, [], [], _ledger(a=7), id="listed and not read"),
    ],
)
def test_merge(known, listed, there, gone, expected):
    assert ledgers.merge(known, listed, dict.fromkeys(there, SAYS), gone) == expected


def test_an_instance_that_cannot_be_read_keeps_its_row():
    known = _ledger(a=7, b=-3)
    assert ledgers.merge(known, {A: 9}, {}, (), [A, B]) == _ledger(a=9, b=-3)
    assert ledgers.merge({}, {A: 9}, {}, (), [A]) == _ledger(a=-9)


def _read(truth, known, listed):
    there = {key: SAYS for key in listed if truth.get(key)}
    return ledgers.merge(known, listed, there, [key for key in listed if not truth.get(key)])


@given(TRUTH, st.lists(LISTED, max_size=5), st.data())
def test_order_and_repetition_of_messages_do_not_matter(truth, messages, data):
    shuffled = data.draw(st.permutations([*messages, *messages]))
    in_order = reduce(lambda known, listed: _read(truth, known, listed), messages, {})
    assert reduce(lambda known, listed: _read(truth, known, listed), shuffled, {}) == in_order


@given(st.lists(st.tuples(TRUTH, LISTED), max_size=5), st.data())
def test_sequences_only_grow_whatever_was_seen(reads, data):
    shuffled = data.draw(st.permutations(reads))
    one = reduce(lambda known, read: _read(read[0], known, read[1]), reads, {})
    other = reduce(lambda known, read: _read(read[0], known, read[1]), shuffled, {})
    highest = {}
    for _, listed in reads:
        for name, sequence in listed.items():
            highest[digest(name)] = max(sequence, highest.get(digest(name), 0))
    assert {name: row.sequence for name, row in one.items()} == highest
    assert {name: row.sequence for name, row in other.items()} == highest


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({}, _ledger(provides=None, a=0, b=0), id="new"),
        pytest.param(_ledger(a=7), _ledger(a=7) | _ledger(provides=None, b=0), id="known stay"),
        pytest.param(_ledger(a=-8), _ledger(a=-8) | _ledger(provides=None, b=0), id="tombstones stay"),
    ],
)
def test_announce(known, expected):
    assert ledgers.announce(known, [A, B]) == expected


@pytest.mark.parametrize(
    ("known", "listed", "expected"),
    [
        pytest.param(_ledger(a=7), {A: 9}, _ledger(a=9), id="there"),
        pytest.param(_ledger(a=-8), {A: 9}, _ledger(a=-9), id="gone"),
        pytest.param(_ledger(a=7), {A: 5}, _ledger(a=7), id="older"),
        pytest.param(_ledger(a=7), {A: 9, B: 9}, None, id="unknown instance"),
        pytest.param(_ledger(a=0, b=10), {A: 9, B: 10}, _ledger(a=9, b=10), id="no sequence named before"),
    ],
)
def test_learn(known, listed, expected):
    assert ledgers.learn(known, listed) == expected


OF_PATIENT = Provides(demographics=frozenset({"name"}), patient="p")


@pytest.mark.parametrize(
    ("after", "same"),
    [
        pytest.param(_ledger(OF_PATIENT, a=7, b=3), True, id="nothing learnt"),
        pytest.param(_ledger(OF_PATIENT, a=7, b=5), True, id="of an instance that provides nothing"),
        pytest.param(_ledger(OF_PATIENT, a=9, b=3), False, id="a newer change of the provider"),
        pytest.param(_ledger(OF_PATIENT, a=7, b=8), False, id="another provider"),
        pytest.param(_ledger(None, a=7, b=3), False, id="not known what it provides"),
    ],
)
def test_provides_the_same(after, same):
    assert ledgers.provides_the_same(_ledger(OF_PATIENT, a=7, b=3), after) is same


def _says(study=(), series=(), demographics=(), patient="", requests=()):
    return Provides(frozenset(study), frozenset(series), frozenset(demographics), patient, frozenset(requests))


def test_each_element_has_the_newest_instance_that_provides_it():
    ledger = {
        **_ledger(_says(["started", "description"], ["number"], ["name"], "p", ["r1"]), a=7),
        **_ledger(_says(["started"], [], ["gender"], "p", ["r2"]), b=9),
        **_ledger(_says([], ["number"], ["name"], "q"), c=11),
    }
    found = ledgers.providers_of(ledger)
    one, two = series_digest(A.series_instance_uid), series_digest(C.series_instance_uid)
    assert found.elements == {
        STUDY: {"started": digest(B), "description": digest(A)},
        PATIENT: {"name": digest(A), "gender": digest(B)},
        one: {"number": digest(A)},
        two: {"number": digest(C)},
    }
    assert (found.patient, found.strays, found.requests) == ("p", {digest(C)}, {"r1", "r2"})
    assert found.newest == {STUDY: digest(C), one: digest(B), two: digest(C)}


def test_of_as_many_instances_the_newest_says_whose_the_study_is():
    assert ledgers.providers_of(_ledger(_says(patient="p"), a=7) | _ledger(_says(patient="q"), c=9)).patient == "q"


def test_deleted_instances_provide_nothing():
    found = ledgers.providers_of(_ledger(SAYS, a=-7, b=5))
    assert found.elements[STUDY] == {"description": digest(B)}
    assert ledgers.providers_of(_ledger(a=-7)).elements == {}


@given(st.dictionaries(KEYS, st.integers(-9, 9)), st.data())
def test_providers_do_not_depend_on_the_order_of_rows(known, data):
    rows = [(digest(name), _row(name, at, SAYS)) for name, at in known.items()]
    assert ledgers.providers_of(dict(data.draw(st.permutations(rows)))) == ledgers.providers_of(dict(rows))
