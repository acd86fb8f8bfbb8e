"""Study state as a row: how marks are packed, and that they fit."""

from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.storage.study_state import _pack, _unpack
from shared.sync import marks
from tests.unit.datasets import key

PROPERTY_BYTES = 64 * 1024
ROW_BYTES = 1024 * 1024
MOST = 48_000


def _many(number, sign=1, first=1):
    """Marks with growing sequences."""
    names = (index.to_bytes(12, "big") for index in count(first))
    sequences = range(first, first + number)
    return {
        name: sequence if sign > 0 else -sequence - 1
        for name, sequence in zip(islice(names, number), sequences, strict=True)
    }


@pytest.mark.parametrize(
    ("known", "packed"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({b"a" * 12: 7}, {"Marks0": b"a" * 12 + bytes(7) + b"\x07"}, id="there"),
        pytest.param({b"a" * 12: -8}, {"Marks0": b"a" * 12 + b"\xff" * 7 + b"\xf8"}, id="gone"),
        pytest.param(
            {b"b" * 12: 1, b"a" * 12: 2},
            {"Marks0": b"a" * 12 + bytes(7) + b"\x02" + b"b" * 12 + bytes(7) + b"\x01"},
            id="by digest",
        ),
    ],
)
def test_packed_marks(known, packed):
    assert _pack(known) == packed
    assert _unpack(packed) == known


@given(st.dictionaries(st.binary(min_size=12, max_size=12), st.integers(-(2**63), 2**63 - 1), max_size=50))
def test_marks_survive_the_table(known):
    assert _unpack(_pack(known)) == known


@pytest.mark.parametrize("number", [1, 3_199, 3_200, 3_201, 6_400, MOST])
def test_all_marks_survive_up_to_the_size_of_a_row(number):
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
    assert list(packed) == [f"Marks{index}" for index in range(len(packed))]


@pytest.mark.parametrize(
    ("known", "kept"),
    [
        pytest.param(_many(MOST + 10), _many(MOST, first=11), id="oldest that are there"),
        pytest.param(
            _many(MOST - 5) | _many(20, -1, first=10**6),
            _many(MOST - 5) | _many(5, -1, first=10**6 + 15),
            id="oldest that are gone, however new",
        ),
        pytest.param(_many(MOST) | _many(20, -1, first=10**6), _many(MOST), id="all that are gone"),
    ],
)
def test_what_is_forgotten_when_a_row_is_full(known, kept):
    assert _unpack(_pack(known)) == kept


def test_real_digests_survive():
    known = {marks.digest(key(series, instance)): instance for series in range(1, 4) for instance in range(1, 50)}
    assert _unpack(_pack(known)) == known
