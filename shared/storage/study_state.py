"""Study state: one row a study and data partition, ETag-guarded.

Marks are packed: digest (12 bytes) and mark (8 bytes).
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import replace

from shared.model import StudyKey, StudyState, Writer, Written
from shared.storage.calls import read_from
from shared.storage.table import Entity, Table, int64, integer

TABLE_NAME = "StudyStateTable"
MARK = struct.Struct(">12sq")
# a binary property holds 64 KiB, a row 1 MiB (Table service data model)
MARKS_PER_PROPERTY = 3_200
MARKS_PER_ROW = 15 * MARKS_PER_PROPERTY


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
                marks=_unpack(entity),
                full_poll=integer(entity, "FullPoll"),
                writers=tuple(Writer(*writer) for writer in json.loads(entity.get("Writers") or "[]")),
                patient=str(entity.get("Patient") or ""),
                has_records=bool(entity.get("HasRecords")),
                parked=bool(entity.get("Parked")),
                offers={str(name): int(at) for name, at in json.loads(entity.get("Offers") or "{}").items()},
                offered=tuple(json.loads(entity.get("Offered") or "[]")),
                fatal_poll=integer(entity, "FatalPoll"),
                written={kind: Written(*one) for kind, one in json.loads(entity.get("Written") or "{}").items()},
                refused=tuple(json.loads(entity.get("Refused") or "[]")),
                refused_at=integer(entity, "RefusedAt"),
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
            "FullPoll": int64(state.full_poll),
            "Writers": json.dumps(state.writers),
            "Patient": state.patient,
            "HasRecords": state.has_records,
            "Parked": state.parked,
            "FatalPoll": int64(state.fatal_poll),
            "Written": json.dumps(dict(state.written)),
            "Offers": json.dumps(dict(state.offers)),
            "Offered": json.dumps(state.offered),
            "Refused": json.dumps(state.refused),
            "RefusedAt": int64(state.refused_at),
            **_pack(state.marks),
        }
        return replace(state, etag=await self._table.save(entity, state.etag))


def _pack(marks: Mapping[bytes, int]) -> dict[str, bytes]:
    rows = list(marks.items())
    if len(rows) > MARKS_PER_ROW:  # the oldest gone instances are forgotten first, then the oldest
        rows = sorted(rows, key=lambda item: (item[1] < 0, -abs(item[1]), item[0]))[:MARKS_PER_ROW]
    packed = [MARK.pack(digest, mark) for digest, mark in sorted(rows)]
    return {
        f"Marks{start // MARKS_PER_PROPERTY}": b"".join(packed[start : start + MARKS_PER_PROPERTY])
        for start in range(0, len(packed), MARKS_PER_PROPERTY)
    }


def _unpack(entity: Entity) -> dict[bytes, int]:
    marks: dict[bytes, int] = {}
    index = 0
    while packed := entity.get(f"Marks{index}"):
        marks.update(MARK.iter_unpack(packed))
        index += 1
    return marks
