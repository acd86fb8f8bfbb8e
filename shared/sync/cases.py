"""What an operator may have to look at: rows of the error tables, those of DICOM Cast and odd ones included."""

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.advice import SET_UP
from shared.model import DEFAULT_PARTITION, PARTITION_NAME, StudyKey, is_uid
from shared.storage.error_records import (
    FIRST_FAILED_AT,
    MALFORMED_ENTRY,
    NOTES_OF_DICOM_CAST,
    ErrorRecords,
    ErrorTable,
    is_of_dicom_cast,
)
from shared.storage.study_queue import StudyQueue
from shared.storage.table import Entity
from shared.sync.others import look_again
from shared.sync.runner import MALFORMED_MESSAGE

CODE_OF_DICOM_CAST = "dicom-cast"
NOTE_OF_DICOM_CAST = "dicom-cast-note"
EXCEPTION = re.compile(r"[A-Z][A-Za-z0-9]{0,99}", re.ASCII)
CODE = re.compile(r"[a-z]+(-[a-z]+)*", re.ASCII)
UNREADABLE_ROW = "unreadable-row"
# the status line counts no more rows of a table than this, each minute, and names no more codes
MOST_COUNTED, MOST_CODES = 5_000, 10


class State(StrEnum):
    """What became of it."""

    FAILED = "failed"  # the study waits for its next change, or for somebody
    RETRYING = "retrying"  # it is tried again by itself
    SKIPPED = "skipped"  # an instance, a row of the feed or a message; the rest is in sync
    NOTED = "noted"  # all is in sync, and somebody should see it


TABLES = {
    ErrorTable.FHIR: State.FAILED,
    ErrorTable.TRANSIENT_FAILURE: State.FAILED,
    ErrorTable.TRANSIENT_RETRY: State.RETRYING,
    ErrorTable.DICOM: State.SKIPPED,
    ErrorTable.INVALID_TAG: State.NOTED,
}
# tables with rows of several states: messages that are none, and failures of DICOM Cast
MIXED = (ErrorTable.FHIR, ErrorTable.TRANSIENT_RETRY, ErrorTable.DICOM)


@dataclass(frozen=True, slots=True)
class Case:
    """One row. `study` is empty where it names none. `is_seen`: a retry removes the row, because nothing else would."""

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


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cases there are, by state and code. waiting_since: when the study first failed that is tried again for
    longest; None where none is.
    """

    codes: Mapping[State, Counter[str]]
    waiting_since: datetime | None

    def fields(self, now: datetime) -> dict[str, Any]:
        """Fields of the status line. `set_up`: how many are tried again until something is set up rightly."""
        retrying, since = self.codes[State.RETRYING], self.waiting_since
        of_set_up = sum(count for code, count in retrying.items() if code in SET_UP)
        return {
            "retrying": retrying.total(),
            "retrying_codes": _counts(retrying),
            "retry_age_s": None if since is None else max(0, int((now - since).total_seconds())),
            "set_up": of_set_up,
            "failed": self.codes[State.FAILED].total(),
            "failed_codes": _counts(self.codes[State.FAILED]),
            "skipped": self.codes[State.SKIPPED].total(),
            "skipped_codes": _counts(self.codes[State.SKIPPED]),
        }


async def tally(records: ErrorRecords) -> Tally:
    """Count what is in the error tables, up to `MOST_COUNTED` rows of each; values that could not be used are left out,
    since theirs is the largest table by far.
    """
    codes: dict[State, Counter[str]] = {state: Counter() for state in State}
    firsts: list[datetime] = []

    async def count(table: ErrorTable) -> None:
        read = 0
        async for row in records.all(table):
            if _is_case(table, row, ()):
                one = _case(table, row)
                codes[one.state][one.code] += 1
                if table is ErrorTable.TRANSIENT_RETRY and isinstance(at := row.get(FIRST_FAILED_AT), datetime):
                    firsts.append(at)
            read += 1
            if read == MOST_COUNTED:
                return

    await asyncio.gather(*(count(table) for table in TABLES if table is not ErrorTable.INVALID_TAG))
    return Tally(codes, min(firsts, default=None))


def _counts(codes: Counter[str]) -> str:
    """`rejected:2,bug:1`, the most first; empty for none."""
    found = sorted(codes.items(), key=lambda item: (-item[1], item[0]))[:MOST_CODES]
    return ",".join(f"{code}:{count}" for code, count in found)


async def retry(
    records: ErrorRecords, queue: StudyQueue, chosen: Iterable[Case], named: Iterable[StudyKey] = ()
) -> tuple[int, int]:
    """Resync each study, and remove the rows that nothing else removes; return how many of each.

    named: studies to resync, with a row or without. Rows of this app go when the study succeeds. DICOM
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
            state=State.NOTED if is_note else State.FAILED,
            code=NOTE_OF_DICOM_CAST if is_note else CODE_OF_DICOM_CAST,
            reason=name[0] if name else "",
            is_seen=True,
        )
    if not CODE.fullmatch(code):
        return replace(one, state=State.SKIPPED, code=UNREADABLE_ROW, reason="", is_seen=True)
    if code in (MALFORMED_ENTRY, MALFORMED_MESSAGE) or not study.study_instance_uid:
        return replace(one, state=State.SKIPPED, is_seen=True)
    return one


def _text(row: Entity, name: str) -> str:
    value = row.get(name)
    return value.strip(" \0") if isinstance(value, str) else ""


def _number(row: Entity, name: str) -> int:
    value: Any = getattr(row.get(name), "value", row.get(name))
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
