"""Study state as a row: how the instance ledger is packed, and that it fits."""

from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.state import LedgerRow, Provides
from shared.storage.study_state import _pack, _unpack
from shared.sync.ledger import digest
from tests.unit.datasets import key

PROPERTY_BYTES = 64 * 1024
ROW_BYTES = 1024 * 1024
MOST = 37_800
SERIES = b"series"
SAYS = Provides(frozenset({"started"}), frozenset({"number"}), frozenset({"name"}), "p", frozenset({"r"}))


def _many(number, first=1, *, is_there=True):
    """Rows with growing sequences."""
    names = (index.to_bytes(8, "big") for index in count(first))
    sequences = range(first, first + number)
    rows = zip(islice(names, number), sequences, strict=True)
    return {name: LedgerRow(sequence, is_there, SAYS if is_there else None, SERIES) for name, sequence in rows}


def test_packed_ledger():
    there = LedgerRow(1, is_there=True, provides=SAYS, series=SERIES)
    known = {b"b" * 8: there, b"a" * 8: LedgerRow(2, is_there=False, series=SERIES)}
    packed = _pack(known)
    assert packed.pop("Provides")
    deleted = b"a" * 8 + SERIES + b"\xff" * 7 + b"\xfd" + b"\xff\xff"
    assert packed == {"Ledger0": deleted + b"b" * 8 + SERIES + bytes(7) + b"\x01" + bytes(2)}


def test_rows_of_earlier_versions_are_read():
    marks = b"-one" + b"a" * 8 + bytes(7) + b"\x07" + b"-two" + b"b" * 8 + b"\xff" * 7 + b"\xf8"
    expected = {b"a" * 8: LedgerRow(7, is_there=True), b"b" * 8: LedgerRow(7, is_there=False)}
    assert _unpack({"Marks0": marks}) == expected


NAMES = st.frozensets(st.sampled_from(("started", "description", "name")))
PROVIDES = st.builds(Provides, NAMES, NAMES, NAMES, st.sampled_from(("", "p", "q")), NAMES)
ROWS = st.one_of(
    st.builds(
        LedgerRow,
        st.integers(0, 2**63 - 1),
        is_there=st.just(value=True),
        provides=st.one_of(st.none(), PROVIDES),
        series=st.just(SERIES),
    ),
    st.builds(
        LedgerRow, st.integers(0, 2**63 - 1), is_there=st.just(value=False), provides=st.none(), series=st.just(SERIES)
    ),
)


@given(st.dictionaries(st.binary(min_size=8, max_size=8), ROWS, max_size=50))
def test_the_ledger_survives_the_table(known):
    assert _unpack(_pack(known)) == known


@pytest.mark.parametrize("number", [1, 2_699, 2_700, 2_701, 5_400, MOST])
def test_all_rows_survive_up_to_the_size_of_an_entity(number):
    known = _many(number)
    assert _unpack({"PartitionKey": "1.2", "Writers": "[]"} | _pack(known)) == known


def _row_bytes(packed):
    """Size of the row (Table service data model): names and texts in UTF-16, 8 bytes a property, 4 more a length."""
    keys = 4 + 2 * (64 + 64)
    others = {"FullPoll": 8, "Writers": 4 + 2 * 1024, "Patient": 4 + 2 * 64, "HasRecords": 1, "Parked": 1}
    binary = {name: 4 + len(value) for name, value in packed.items()}
    return keys + sum(8 + 2 * len(name) + size for name, size in (others | binary).items())


def test_largest_row_fits():
    packed = _pack(_many(MOST))
    assert max(map(len, packed.values())) <= PROPERTY_BYTES
    assert _row_bytes(packed) < ROW_BYTES
    assert list(packed) == [*(f"Ledger{index}" for index in range(len(packed) - 1)), "Provides"]


@pytest.mark.parametrize(
    ("known", "kept"),
    [
        pytest.param(_many(MOST + 10), _many(MOST, first=11), id="oldest that are there"),
        pytest.param(
            _many(MOST - 5) | _many(20, first=10**6, is_there=False),
            _many(MOST - 5) | _many(5, first=10**6 + 15, is_there=False),
            id="oldest that are gone, however new",
        ),
        pytest.param(_many(MOST) | _many(20, first=10**6, is_there=False), _many(MOST), id="all that are gone"),
    ],
)
def test_what_is_forgotten_when_a_row_is_full(known, kept):
    assert _unpack(_pack(known)) == kept


def test_real_digests_survive():
    names = [digest(key(series, instance)) for series in range(1, 4) for instance in range(1, 50)]
    known = {name: LedgerRow(place, is_there=True, provides=SAYS, series=SERIES) for place, name in enumerate(names)}
    assert _unpack(_pack(known)) == known


def test_what_too_many_different_instances_provide_is_not_remembered():
    """Each with a PatientID of its own, as a faulty de-identification makes them."""
    rows = {
        index.to_bytes(8, "big"): LedgerRow(
            index, is_there=True, provides=SAYS._replace(patient=digest(key(1, index)).hex()), series=SERIES
        )
        for index in range(20_000)
    }
    packed = _pack(
        rows
        | {
            b"the-most": LedgerRow(1, is_there=True, provides=SAYS, series=SERIES),
            b"the-same": LedgerRow(2, is_there=True, provides=SAYS, series=SERIES),
        }
    )
    assert len(packed["Provides"]) <= PROPERTY_BYTES
    found = _unpack(packed)
    assert found.keys() >= rows.keys()
    assert found[b"the-most"].provides == SAYS
    assert sum(row.provides is None for row in found.values()) > 10_000
