"""Error tables with DICOM Cast's names and columns.

Rows are deterministic: a repeated failure updates its row, a success clears it. They hold UIDs, sequences, codes and
keywords, never values.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from shared.model import StudyKey
from shared.storage.table import Entity, Table, int64

AT_ONCE = 8  # requests
FIRST_FAILED_AT = "FirstFailedAt"
MALFORMED_ENTRY = "malformed-entry"
# DICOM Cast's PartitionKey is the name of an exception; this app's is a UID or in lower case
DICOM_CAST_KEYS = ("A", "[")
MOST_OF_DICOM_CAST = 50_000  # rows that are read, and remembered, at once
REMEMBERED_S, REMEMBERED_IF_ASKED_S = 3600.0, 2.0


class ErrorTable(StrEnum):
    """Which table a failure belongs to."""

    INVALID_TAG = "InvalidDicomTagExceptionTable"
    DICOM = "DicomFailToStoreExceptionTable"
    FHIR = "FhirFailToStoreExceptionTable"
    TRANSIENT_RETRY = "TransientRetryExceptionTable"
    TRANSIENT_FAILURE = "TransientFailureExceptionTable"


# values that DICOM Cast left out, and a row for each time that it tried again: nothing waits, and there may be one for
# each instance
NOTES_OF_DICOM_CAST = (ErrorTable.TRANSIENT_RETRY, ErrorTable.INVALID_TAG)


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One failure.

    code: what happened. detail: more of it, without values. key: separates several of one code. first_failed_at: when a
    study that is retried failed for the first time.
    """

    study: StudyKey
    code: str
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    sequence: int = 0
    detail: str = ""
    attempts: int = 0
    key: str = ""
    first_failed_at: datetime | None = None

    @property
    def text(self) -> str:
        """What the column `Exception` says."""
        return f"{self.code}: {self.detail}" if self.detail else self.code

    @property
    def row_key(self) -> str:
        """The same failure of the same thing has the same key."""
        parts = (self.study.partition_name, self.series_instance_uid, self.sop_instance_uid, self.key)
        return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


class ErrorRecords:
    """All five tables. PartitionKey is the Study Instance UID, so that a study's records are found in one query."""

    def __init__(self, tables: dict[ErrorTable, Table], clock: Callable[[], float] = time.monotonic) -> None:
        self._tables = tables
        self._clock = clock
        self._of_dicom_cast: dict[str, list[tuple[ErrorTable, str, str]]] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def put(self, table: ErrorTable, record: ErrorRecord) -> None:
        """Insert or update one record."""
        entity: dict[str, Any] = {
            "PartitionKey": _partition_key(record.study),
            "RowKey": record.row_key,
            "StudyUid": record.study.study_instance_uid,
            "SeriesUid": record.series_instance_uid,
            "InstanceUid": record.sop_instance_uid,
            "ChangeFeedSequence": int64(record.sequence),
            "Exception": record.text,
            "RetryNumber": record.attempts,
            "PartitionName": record.study.partition_name,
        }
        if record.first_failed_at is not None:
            entity[FIRST_FAILED_AT] = record.first_failed_at
        await self._tables[table].upsert(entity)

    async def put_all(self, table: ErrorTable, records: Sequence[ErrorRecord]) -> None:
        """Insert or update many: a study may have one for each of its instances."""
        for start in range(0, len(records), AT_ONCE):
            await asyncio.gather(*(self.put(table, record) for record in records[start : start + AT_ONCE]))

    async def clear(self, table: ErrorTable, study: StudyKey, row_keys: Iterable[str]) -> None:
        """Remove these records of a study."""
        keys, rows = list(row_keys), self._tables[table]
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            await asyncio.gather(*(rows.delete(_partition_key(study), row_key) for row_key in some))

    async def remove(self, table: ErrorTable, partition_key: str, row_key: str) -> None:
        """Remove one row by its keys, which may be DICOM Cast's."""
        await self._tables[table].delete(partition_key, row_key)

    async def clear_of_dicom_cast(self, study: StudyKey, *, is_asked: bool) -> None:
        """Remove what DICOM Cast recorded of a study. Its rows cannot be found by their study, so they are read now and
        then, all of them.

        is_asked: the study was sent through the queue because DICOM Cast may have had it, or by an operator.
        """
        remembered_s = REMEMBERED_IF_ASKED_S if is_asked else REMEMBERED_S
        async with self._reading:  # many first passes begin at once
            if self._read_at is None or self._clock() - self._read_at >= remembered_s:
                await self._read_of_dicom_cast()
        for row in self._of_dicom_cast.pop(study.study_instance_uid, ()):
            await self.remove(*row)

    async def _read_of_dicom_cast(self) -> None:
        found: dict[str, list[tuple[ErrorTable, str, str]]] = {}
        async for name, row in self._rows_of_dicom_cast():
            if is_of_dicom_cast(row):
                keys = (name, str(row["PartitionKey"]), str(row["RowKey"]))
                found.setdefault(str(row.get("StudyUid")), []).append(keys)
        self._of_dicom_cast, self._read_at = found, self._clock()

    async def _rows_of_dicom_cast(self) -> AsyncIterator[tuple[ErrorTable, Entity]]:
        """Failures first: notes may be more than there is room for."""
        number = 0
        for name in sorted(self._tables, key=NOTES_OF_DICOM_CAST.__contains__):
            async for row in self._tables[name].rows_between(*DICOM_CAST_KEYS):
                yield name, row
                number += 1
                if number == MOST_OF_DICOM_CAST:
                    return

    async def of_study(self, table: ErrorTable, study: StudyKey) -> list[Entity]:
        """The records of one study in one data partition."""
        rows = [row async for row in self._tables[table].rows(_partition_key(study))]
        return [row for row in rows if row.get("PartitionName") == study.partition_name]

    def all(self, table: ErrorTable) -> AsyncIterator[Entity]:
        """Every record of a table, DICOM Cast's included."""
        return self._tables[table].rows()


def is_of_dicom_cast(row: Entity) -> bool:
    """Whether DICOM Cast wrote it: it has no column for the data partition."""
    return "PartitionName" not in row


def _partition_key(study: StudyKey) -> str:
    # a damaged entry may have no UID, or one with characters that a key cannot hold
    text = study.study_instance_uid
    return text if text and text.replace(".", "").isalnum() else "unknown"
