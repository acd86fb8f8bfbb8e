"""What an operator may have to look at: rows of the error tables, those of DICOM Cast and odd ones included."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from shared.model import DEFAULT_PARTITION, PARTITION_NAME, StudyKey, is_uid
from shared.storage.error_records import MALFORMED_ENTRY, ErrorRecords, ErrorTable, is_of_dicom_cast
from shared.storage.study_queue import StudyQueue
from shared.storage.table import Entity
from shared.sync.others import look_again
from shared.sync.runner import MALFORMED_MESSAGE

CODE_OF_DICOM_CAST = "dicom-cast"
NOTE_OF_DICOM_CAST = "dicom-cast-note"
EXCEPTION = re.compile(r"[A-Z][A-Za-z0-9]{0,99}", re.ASCII)
CODE = re.compile(r"[a-z]+(-[a-z]+)*", re.ASCII)
UNREADABLE_ROW = "unreadable-row"


class State(StrEnum):
    """What became of it."""

    PARKED = "parked"  # the study waits for its next change, or for somebody
    DEFERRED = "deferred"  # it is tried again by itself
    RECORDED = "recorded"  # the rest went on
    NOTED = "noted"  # all is in FHIR, and somebody should see it


TABLES = {
    ErrorTable.FHIR: State.PARKED,
    ErrorTable.TRANSIENT_FAILURE: State.PARKED,
    ErrorTable.TRANSIENT_RETRY: State.DEFERRED,
    ErrorTable.DICOM: State.RECORDED,
    ErrorTable.INVALID_TAG: State.NOTED,
}
# tables with rows of several states: messages that are none, and failures of DICOM Cast
MIXED = (ErrorTable.FHIR, ErrorTable.TRANSIENT_RETRY, ErrorTable.DICOM)
# values that DICOM Cast left out, and a row for each time that it tried again: nothing waits
NOTES_OF_DICOM_CAST = (ErrorTable.INVALID_TAG, ErrorTable.TRANSIENT_RETRY)


@dataclass(frozen=True, slots=True)
class Case:
    """One row. `study` is empty where it names none. `is_seen`: releasing it takes the row away, because nothing else
    would.
    """

    state: State
    study: StudyKey
    code: str
    reason: str
    at: str
    attempts: int
    instance: str
    row: tuple[ErrorTable, str, str]
    is_seen: bool = False


async def cases(records: ErrorRecords, states: Collection[State], noted: Collection[str] = ()) -> list[Case]:
    """Every case in one of these states, by state and study. noted: codes of values that somebody should see."""
    found = [
        _case(table, row)
        for table, state in TABLES.items()
        if state in states or table in MIXED
        async for row in records.all(table)
        if _is_case(table, row, noted)
    ]
    order = list(State)
    found.sort(key=lambda one: (order.index(one.state), one.study, one.instance, one.code))
    return [one for one in found if one.state in states]


async def release(
    records: ErrorRecords, queue: StudyQueue, chosen: Iterable[Case], named: Iterable[StudyKey] = ()
) -> tuple[int, int]:
    """Have all of each study looked at, and take away the rows that nothing else would; how many of each.

    named: studies that are looked at whether they have a row or not. Rows of this app go when the study succeeds. DICOM
    Cast's go at once, since nothing would find them again, and so do those that are about no study.
    """
    seen = [one for one in chosen if one.is_seen]
    studies = dict.fromkeys([*(one.study for one in chosen if one.study.study_instance_uid), *named])
    for study in studies:
        await queue.send(look_again(study, 0))
    for one in seen:
        await records.remove(*one.row)
    return len(studies), len(seen)


def _is_case(table: ErrorTable, row: Entity, noted: Collection[str]) -> bool:
    """Most values that cannot be used ask for nothing."""
    if is_of_dicom_cast(row):
        return table not in NOTES_OF_DICOM_CAST or NOTE_OF_DICOM_CAST in noted
    return table is not ErrorTable.INVALID_TAG or _text(row, "Exception").partition(": ")[0] in noted


def _case(table: ErrorTable, row: Entity) -> Case:
    code, _, reason = _text(row, "Exception").partition(": ")
    study = StudyKey(_text(row, "PartitionName") or DEFAULT_PARTITION, _text(row, "StudyUid"))
    if not is_uid(study.study_instance_uid) or not PARTITION_NAME.fullmatch(study.partition_name):
        study = StudyKey("", "")
    at = row.metadata.get("timestamp") if hasattr(row, "metadata") else None
    keys = (table, str(row.get("PartitionKey", "")), str(row.get("RowKey", "")))
    one = Case(
        TABLES[table],
        study,
        code,
        reason,
        str(at or "")[:19],
        _number(row, "RetryNumber"),
        _text(row, "InstanceUid"),
        keys,
    )
    if is_of_dicom_cast(row):
        is_note = table in NOTES_OF_DICOM_CAST
        name = EXCEPTION.fullmatch(_text(row, "PartitionKey"))
        return replace(
            one,
            state=State.NOTED if is_note else State.PARKED,
            code=NOTE_OF_DICOM_CAST if is_note else CODE_OF_DICOM_CAST,
            reason=name[0] if name else "",
            is_seen=True,
        )
    if not CODE.fullmatch(code):
        return replace(one, state=State.RECORDED, code=UNREADABLE_ROW, reason="", is_seen=True)
    if code in (MALFORMED_ENTRY, MALFORMED_MESSAGE) or not study.study_instance_uid:
        return replace(one, state=State.RECORDED, is_seen=True)
    return one


def _text(row: Entity, name: str) -> str:
    value = row.get(name)
    return value.strip(" \0") if isinstance(value, str) else ""


def _number(row: Entity, name: str) -> int:
    value: Any = getattr(row.get(name), "value", row.get(name))
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
