"""Study state as a row: how the instance ledger is packed, and that it fits."""

import zlib
from itertools import count, islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Misconfigured
from shared.model import StudyKey
from shared.state import LedgerRow, PatientState, Provides, StudyState, Told, Written
from shared.storage.patient_state import PatientStateStore
from shared.storage.study_state import StudyStateStore, _pack, _unpack
from shared.storage.table import integer
from shared.sync.ledger import digest, is_complete
from tests.unit.datasets import key

PROPERTY_BYTES = 64 * 1024
ROW_BYTES = 1024 * 1024
MOST = 100_000
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
    assert (packed.pop("IsCut"), bool(packed.pop("Provides")), list(packed)) == (False, True, ["Rows0"])
    deleted = b"a" * 8 + SERIES + b"\xff" * 7 + b"\xfd" + b"\xff\xff"
    rows = zip(b"b" * 8 + SERIES + bytes(7) + b"\x01" + bytes(2), deleted, strict=True)
    assert zlib.decompress(packed["Rows0"]) == b"".join(map(bytes, rows))


def test_rows_of_earlier_versions_are_read():
    marks = b"-one" + b"a" * 8 + bytes(7) + b"\x07" + b"-two" + b"b" * 8 + b"\xff" * 7 + b"\xf8"
    expected = {b"a" * 8: LedgerRow(7, is_there=True), b"b" * 8: LedgerRow(7, is_there=False)}
    assert _unpack({"Marks0": marks}) == expected


def test_rows_that_are_not_compressed_are_read():
    row = b"a" * 8 + SERIES + bytes(7) + b"\x07" + bytes(2)
    listed = _pack({b"a" * 8: LedgerRow(7, is_there=True, provides=SAYS, series=SERIES)})["Provides"]
    assert _unpack({"Ledger0": row, "Provides": listed}) == {
        b"a" * 8: LedgerRow(7, is_there=True, provides=SAYS, series=SERIES)
    }


@pytest.mark.parametrize(
    ("columns", "full_poll"),
    [({"FullPoll": 0, "WholePoll": 7}, 7), ({"FullPoll": 8}, 8), ({}, 0)],
    ids=["of this version", "of an earlier version", "of none"],
)
async def test_the_poll_of_the_last_whole_read(columns, full_poll):
    assert (await StudyStateStore(_Table(columns)).get(StudyKey("p", "1.2"))).full_poll == full_poll


async def test_earlier_versions_read_a_study_of_this_one_whole():
    """They know no `Rows`: with the poll of the last whole read, they would take it for a study without instances."""
    table = _Table({})
    await StudyStateStore(table).save(StudyKey("p", "1.2"), StudyState(ledger=_many(3), full_poll=7))
    assert integer(table.row, "FullPoll") == 0
    assert (await StudyStateStore(table).get(StudyKey("p", "1.2"))).full_poll == 7


ODD_LISTS = ["[1]", '"abc"', '{"a": 1}', '[["a", {}]]', "[" * 100_000]
ODD = {
    "Writers": ['[["m", "a", "soon", "p"]]', '{"maaap": 1}'],
    "Written": ['{"Patient": ["now", "later"]}', '{"Patient": "ab"}'],
    "Reports": ['[["1.2", 5]]', '["ab"]'],
    "Offered": ODD_LISTS,
    "Refused": ODD_LISTS,
    "Provides": [b"x", "x", zlib.compress(b"[5]")],
    "Rows0": [b"x", "x", zlib.compress(b"x")],
    "Ledger0": [b"x", "x"],
    "TooLarge": ["many"],
}
ODD_OF_PATIENT = {
    "Told": ['{"name": ["1", "1.2"]}', '{"name": "ab"}'],
    "Written": ['["now", "later"]', '"abc"'],
    "Conflicts": ['{"1.2": "issuer-conflict"}', '{"1.2": [["x"]]}', "[" * 100_000],
    **dict.fromkeys(("OpenBy", "Ours", "Unprovided"), ODD_LISTS),
}


@pytest.mark.parametrize(("column", "value"), [(name, one) for name, some in ODD.items() for one in some])
async def test_columns_that_hold_something_else(column, value):
    table = _Table({})
    await StudyStateStore(table).save(StudyKey("p", "1.2"), StudyState(ledger=_many(3)))
    with pytest.raises(Misconfigured) as raised:
        await StudyStateStore(_Table({**table.row, column: value})).get(StudyKey("p", "1.2"))
    assert raised.value.code == "unreadable-row"


@pytest.mark.parametrize(("column", "value"), [(name, one) for name, some in ODD_OF_PATIENT.items() for one in some])
async def test_columns_of_a_patient_that_hold_something_else(column, value):
    with pytest.raises(Misconfigured) as raised:
        await PatientStateStore(_Table({column: value})).get("key")
    assert raised.value.code == "unreadable-row"


async def test_what_is_saved_of_a_patient_is_read():
    table = _Table({})
    written = Written("2021-03-01T00:00:00Z", 1.5)
    state = PatientState(
        told={"name": Told(1, "1.2")},
        ours=("name",),
        conflicts={"1.2": ("issuer-conflict",)},
        written=written,
        etag="etag",
    )
    await PatientStateStore(table).save("key", state)
    assert await PatientStateStore(table).get("key") == state


class _Table:
    name = "StudyStateTable"

    def __init__(self, row):
        self.row = row

    async def get(self, *_key):
        return self.row, "etag"

    async def save(self, row, _etag):
        self.row = row
        return "etag"


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


@pytest.mark.parametrize("number", [1, 1_000, 40_000, MOST])
def test_all_rows_survive_up_to_the_size_of_an_entity(number):
    known = _many(number)
    assert _unpack({"PartitionKey": "1.2", "Writers": "[]"} | _pack(known)) == known


def _row_bytes(packed):
    """Size of the row (Table service data model): names and texts in UTF-16, 8 bytes a property, 4 more a length."""
    keys = 4 + 2 * (64 + 64)
    others = {"FullPoll": 8, "Writers": 4 + 2 * 1024, "Patient": 4 + 2 * 64, "HasRecords": 1, "Parked": 1}
    binary = {name: 4 + len(value) for name, value in packed.items() if isinstance(value, bytes)}
    return keys + sum(8 + 2 * len(name) + size for name, size in (others | binary).items())


def _binary(packed):
    return {name: value for name, value in packed.items() if isinstance(value, bytes)}


def _scattered(number, *, is_there=True):
    """Rows that have little in common: nothing of them compresses but what is above 40 bits of the sequence."""
    bits = Random(number)
    return {
        bits.randbytes(8): LedgerRow(bits.getrandbits(40), is_there, SAYS if is_there else None, bits.randbytes(6))
        for _ in range(number)
    }


@pytest.mark.parametrize("known", [_many(MOST), _scattered(60_000)], ids=["in order", "scattered"])
def test_largest_row_fits(known):
    packed = _pack(known)
    assert max(map(len, _binary(packed).values())) <= PROPERTY_BYTES
    assert _row_bytes(packed) < ROW_BYTES
    assert list(_binary(packed)) == [*(f"Rows{index}" for index in range(len(_binary(packed)) - 1)), "Provides"]


def test_scattered_rows_of_a_large_study_survive():
    known = _scattered(40_000)
    assert _unpack(_pack(known)) == known


def test_the_oldest_instances_are_forgotten_when_a_row_is_full_and_the_study_is_read_whole():
    known = _scattered(60_000)
    found = _unpack(_pack(known | _many(20, first=10**6, is_there=False)))
    newest = sorted(known, key=lambda name: known[name].sequence)[-len(found) :]
    assert 40_000 < len(found) < len(known)
    assert {name: row._replace(provides=SAYS) for name, row in found.items()} == {name: known[name] for name in newest}
    assert not is_complete(found)


def test_deleted_instances_are_forgotten_first():
    there, deleted = _scattered(30_000), _scattered(30_001, is_there=False)
    found = _unpack(_pack(there | deleted))
    assert {name: row for name, row in found.items() if row.is_there} == there
    assert len(found) < len(there) + len(deleted)
    assert is_complete(found)


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
