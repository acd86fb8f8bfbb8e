"""Study state: one row a study and data partition, ETag-guarded.

The instance ledger is packed: digests of the instance (8 bytes) and of its series (6), sequence (8, below zero of a
deleted instance), and the place of what the instance provides in a list of all that any of them does (2): a study has
few different ones. Of all rows the first bytes come first, then the second, and so on, which compresses to half: but
for the digest, a row has much in common with the one of the change before.
"""

import json
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shared.model import InstanceKey, StudyKey
from shared.state import LedgerRow, Provides, StudyState, Writer, Written
from shared.storage.calls import made_of, read_from, texts
from shared.storage.table import Entity, Table, int64, integer

TABLE_NAME = "StudyStateTable"
ROW = struct.Struct(">8s6sqH")
# of earlier versions, which had other digests of series and did not remember what an instance provides. They read no
# other form, and would take a study of this one for one without instances if `FullPoll` said that they had seen it
MARK = struct.Struct(">4x8sq")
UNKNOWN = 2**16 - 1
# a binary property holds 64 KiB, a row 1 MiB (Table service data model)
MOST_LISTED = 60 * 1024
PROPERTY_BYTES = 64_000
LEDGER_BYTES = 14 * PROPERTY_BYTES


class StudyStateStore:
    """What is remembered per study."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, study: StudyKey) -> StudyState:
        """The study's state; an empty one without ETag when there is none."""
        found = await self._table.get(study.study_instance_uid, study.partition_name)
        if found is None:
            return StudyState()
        entity, etag = found
        with read_from(self._table.name, study.study_instance_uid):
            return StudyState(
                ledger=_unpack(entity),
                full_poll=integer(entity, "WholePoll") or integer(entity, "FullPoll"),
                done=texts(entity.get("Done")),
                writers=tuple(made_of(Writer, one) for one in json.loads(entity.get("Writers") or "[]")),
                patient=str(entity.get("Patient") or ""),
                subject=str(entity.get("Subject") or ""),
                has_records=bool(entity.get("HasRecords")),
                parked=bool(entity.get("Parked")),
                offers={str(name): int(at) for name, at in json.loads(entity.get("Offers") or "{}").items()},
                offered=texts(entity.get("Offered")),
                fatal_poll=integer(entity, "FatalPoll"),
                written={
                    kind: made_of(Written, one) for kind, one in json.loads(entity.get("Written") or "{}").items()
                },
                refused=texts(entity.get("Refused")),
                refused_at=integer(entity, "RefusedAt"),
                is_cut=bool(entity.get("IsCut")),
                too_large=integer(entity, "TooLarge"),
                reports=tuple(made_of(InstanceKey, one) for one in json.loads(entity.get("Reports") or "[]")),
                etag=etag,
            )

    async def partitions_of(self, study_instance_uid: str) -> list[StudyKey]:
        """The study in every data partition that anything is remembered of."""
        rows = self._table.rows(study_instance_uid)
        return [StudyKey(str(row["RowKey"]), study_instance_uid) async for row in rows]

    async def save(self, study: StudyKey, state: StudyState) -> StudyState:
        """Write it under its ETag and return it with the new one; VersionConflict when another worker was faster."""
        entity = {
            "PartitionKey": study.study_instance_uid,
            "RowKey": study.partition_name,
            "FullPoll": int64(0),
            "WholePoll": int64(state.full_poll),
            "Done": json.dumps(state.done),
            "Writers": json.dumps(state.writers),
            "Patient": state.patient,
            "Subject": state.subject,
            "HasRecords": state.has_records,
            "Parked": state.parked,
            "FatalPoll": int64(state.fatal_poll),
            "Written": json.dumps(dict(state.written)),
            "Offers": json.dumps(dict(state.offers)),
            "Offered": json.dumps(state.offered),
            "Refused": json.dumps(state.refused),
            "RefusedAt": int64(state.refused_at),
            "TooLarge": int64(state.too_large),
            "Reports": json.dumps(state.reports),
            **_pack(state.ledger),
        }
        return replace(state, etag=await self._table.save(entity, state.etag))


def _pack(ledger: Mapping[bytes, LedgerRow]) -> dict[str, Any]:
    # the oldest deleted instances are forgotten first, then the oldest
    rows = sorted(ledger.items(), key=lambda item: (not item[1].is_there, -item[1].sequence, item[0]))
    kinds, listed = _fitting(
        [provides for provides, _ in Counter(row.provides for _, row in rows).most_common() if provides]
    )
    while len(packed := _packed(rows, kinds)) > LEDGER_BYTES:
        rows = rows[: len(rows) * LEDGER_BYTES // len(packed) - 1]
    kept = {
        f"Rows{start // PROPERTY_BYTES}": packed[start : start + PROPERTY_BYTES]
        for start in range(0, len(packed), PROPERTY_BYTES)
    }
    is_cut = len(rows) < len(ledger) and rows[-1][1].is_there
    return kept | {"Provides": listed, "IsCut": is_cut}


def _packed(rows: list[tuple[bytes, LedgerRow]], kinds: Mapping[Provides | None, int]) -> bytes:
    packed = b"".join(ROW.pack(name, row.series, _signed(row), kinds.get(row.provides, UNKNOWN)) for name, row in rows)
    return zlib.compress(b"".join(packed[place :: ROW.size] for place in range(ROW.size)))


def _fitting(kinds: list[Provides]) -> tuple[dict[Provides | None, int], bytes]:
    """Places of what instances provide, and the list of it, as much of it as a property holds: of the rest nothing is
    known, so that such a study is read whole.
    """
    listed = zlib.compress(json.dumps([_listed(kind) for kind in kinds]).encode())
    if len(listed) > MOST_LISTED:
        return _fitting(kinds[: len(kinds) // 2])
    return {kind: place for place, kind in enumerate(kinds)}, listed


def _unpack(entity: Entity) -> dict[bytes, LedgerRow]:
    kinds: dict[int, Provides | None] = {}
    if packed := entity.get("Provides"):
        kinds = {place: _provides(kind) for place, kind in enumerate(json.loads(zlib.decompress(packed)))}
    if entity.get("IsCut"):  # of those that are forgotten nobody knows what they provide: the study is read whole
        kinds = {}
    rows = [*_unpacked(entity), *_rows(entity, "Ledger", ROW)]
    found = {name: _row(mark, kinds.get(kind), series) for name, series, mark, kind in rows}
    return found or {name: _row(mark, None, bytes(6)) for name, mark in _rows(entity, "Marks", MARK)}


def _unpacked(entity: Entity) -> Iterator[tuple[Any, ...]]:
    packed = b"".join(_properties(entity, "Rows"))
    by_place = zlib.decompress(packed) if packed else b""
    number, rest = divmod(len(by_place), ROW.size)
    if rest:
        raise ValueError("not whole rows")
    rows = bytearray(len(by_place))
    for place in range(ROW.size):
        rows[place :: ROW.size] = by_place[place * number : (place + 1) * number]
    return ROW.iter_unpack(rows)


def _rows(entity: Entity, name: str, form: struct.Struct) -> Iterator[tuple[Any, ...]]:
    for packed in _properties(entity, name):
        yield from form.iter_unpack(packed)


def _properties(entity: Entity, name: str) -> Iterator[bytes]:
    index = 0
    while packed := entity.get(f"{name}{index}"):
        yield packed
        index += 1


def _signed(row: LedgerRow) -> int:
    return row.sequence if row.is_there else -row.sequence - 1


def _row(mark: int, provides: Provides | None, series: bytes) -> LedgerRow:
    is_there = mark >= 0
    return LedgerRow(mark if is_there else -mark - 1, is_there, provides if is_there else None, series)


def _listed(kind: Provides) -> list[Any]:
    return [sorted(part) if isinstance(part, frozenset) else part for part in kind]


def _provides(kind: list[Any]) -> Provides:
    return Provides._make(frozenset(part) if isinstance(part, list) else part for part in kind)
