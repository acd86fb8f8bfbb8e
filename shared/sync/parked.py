"""Studies that were set aside: list them, and send them through the queue once more."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.model import DEFAULT_PARTITION, InstanceKey, StudyChange, StudyKey
from shared.storage.error_records import ErrorRecords, ErrorTable
from shared.storage.study_queue import StudyQueue
from shared.storage.table import Entity, integer

TABLES = (ErrorTable.FHIR, ErrorTable.TRANSIENT_FAILURE)
# rows of DICOM Cast begin with the name of an exception, not with a code
CODE_OF_DICOM_CAST = "dicom-cast"


@dataclass(frozen=True, slots=True)
class ParkedStudy:
    """One study that waits; `instances` are those that DICOM Cast failed at, with their sequences."""

    study: StudyKey
    code: str
    reason: str
    attempts: int
    parked_at: str
    instances: dict[InstanceKey, int] = field(default_factory=dict)
    rows: tuple[tuple[ErrorTable, str, str], ...] = ()


async def parked_studies(records: ErrorRecords) -> list[ParkedStudy]:
    """Every study that is set aside, DICOM Cast's failures included, by study."""
    found: dict[StudyKey, ParkedStudy] = {}
    for table in TABLES:
        async for row in records.all(table):
            one = _parked(table, row)
            if one.study.study_instance_uid:
                found[one.study] = _both(found[one.study], one) if one.study in found else one
    return [found[study] for study in sorted(found)]


async def release(records: ErrorRecords, queue: StudyQueue, studies: Iterable[ParkedStudy]) -> int:
    """Try these again: a message each. A row of ours goes when the study succeeds, DICOM Cast's as soon as it is sent,
    since nothing would find it again.
    """
    count = 0
    for one in studies:
        await queue.send(StudyChange(one.study, 0, instances=one.instances))
        for table, partition_key, row_key in one.rows:
            await records.remove(table, partition_key, row_key)
        count += 1
    return count


def _parked(table: ErrorTable, row: Entity) -> ParkedStudy:
    study = StudyKey(str(row.get("PartitionName") or DEFAULT_PARTITION), str(row.get("StudyUid") or ""))
    is_ours = "PartitionName" in row
    code, _, reason = str(row.get("Exception") or "").partition(": ")
    parked_at = row.metadata["timestamp"] if hasattr(row, "metadata") else None
    series, instance = str(row.get("SeriesUid") or ""), str(row.get("InstanceUid") or "")
    sequence = integer(row, "ChangeFeedSequence")
    return ParkedStudy(
        study,
        code if is_ours else CODE_OF_DICOM_CAST,
        reason if is_ours else "",
        integer(row, "RetryNumber"),
        str(parked_at or "")[:19],
        {InstanceKey(series, instance): sequence} if not is_ours and series and instance else {},
        () if is_ours else ((table, str(row["PartitionKey"]), str(row["RowKey"])),),
    )


def _both(one: ParkedStudy, other: ParkedStudy) -> ParkedStudy:
    """Two rows of one study; what this app says goes first."""
    first, second = (other, one) if one.code == CODE_OF_DICOM_CAST else (one, other)
    return ParkedStudy(
        first.study,
        first.code,
        first.reason,
        first.attempts,
        first.parked_at,
        {**second.instances, **first.instances},
        (*first.rows, *second.rows),
    )
