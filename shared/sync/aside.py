"""What becomes of a study that could not be synced now: its message is sent again with a delay, or it is recorded as
failed. Outages burn no dequeue counts: the delivery ends well either way.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from shared.errors import Misconfigured, PermanentError, SyncError, TransientError, VersionConflict
from shared.model import Outcome, StudyChange
from shared.state import StudyState
from shared.storage.error_records import ErrorRecord, ErrorRecords, ErrorTable
from shared.storage.study_queue import StudyQueue
from shared.storage.study_state import StudyStateStore
from shared.sync.backoff import delay_s
from shared.telemetry import event

PARK_TRIES = 5
BUG = "bug"


class Aside:
    """Sets studies aside: in the queue, in the error tables, in the study state."""

    def __init__(
        self,
        states: StudyStateStore,
        queue: StudyQueue,
        records: ErrorRecords,
        total_retry_duration: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._states = states
        self._queue = queue
        self._records = records
        self._total_retry_duration = total_retry_duration
        self._now = now

    async def defer_or_park(self, change: StudyChange, error: SyncError, *, is_tried: bool = True) -> Outcome:
        """By the kind of the error, and by how long the message has waited already."""
        if isinstance(error, PermanentError):
            return await self.park_or_defer(change, error.code, str(error), ErrorTable.FHIR)
        waited = self._now() - (change.first_failed_at or self._now())
        if isinstance(error, TransientError) and waited >= self._total_retry_duration:
            return await self.park_or_defer(change, error.code, str(error), ErrorTable.TRANSIENT_FAILURE)
        return await self._defer(change, error, is_tried=is_tried)

    async def _defer(self, change: StudyChange, error: SyncError, *, is_tried: bool = True) -> Outcome:
        asked = error.retry_after_s if isinstance(error, TransientError) else None
        # what is set up wrongly is not the study's fault, and no reason to give it up
        later = await self.send_later(change, asked, keeps_age=isinstance(error, Misconfigured))
        if is_tried:
            await self._note(_retry_of(later, error.code, str(error)))
        return Outcome.RETRYING

    async def send_later(
        self, change: StudyChange, asked: float | None = None, *, keeps_age: bool = False
    ) -> StudyChange:
        """The message once more, with a delay that grows with its attempts."""
        later = change.deferred(None if keeps_age else self._now())
        await self._queue.send(later, delay_s(later.attempts, asked))
        return later

    async def send(self, change: StudyChange, after_s: float) -> None:
        """The message once more as it is: it was not tried."""
        await self._queue.send(change, after_s)

    async def park_or_defer(
        self, change: StudyChange, code: str, reason: str, table: ErrorTable, *, is_fatal: bool = False
    ) -> Outcome:
        """Record the study as failed; where that cannot be written, its message is sent again."""
        try:
            await self._park(change, code, reason, table, is_fatal=is_fatal)
        except (TransientError, Misconfigured) as failure:
            return await self._defer(change, failure)
        await self.clear_retries(change, has_raised=True)
        return Outcome.FAILED

    async def _park(self, change: StudyChange, code: str, reason: str, table: ErrorTable, *, is_fatal: bool) -> None:
        record = ErrorRecord(change.study, code, sequence=change.sequence, detail=reason, attempts=change.attempts)
        await self._records.put(table, record)
        for last in [False] * (PARK_TRIES - 1) + [True]:
            state = await self._states.get(change.study)
            try:
                await self._states.save(change.study, _failed(state, max(change.poll, 1) if is_fatal else 0))
            except VersionConflict:
                if last:
                    raise
            else:
                return

    async def clear_retries(self, change: StudyChange, *, has_raised: bool = False) -> None:
        """The message is done: it waits for nothing any more. has_raised: an earlier delivery of it did."""
        if change.attempts or change.alone or has_raised:
            await self._records.clear(ErrorTable.TRANSIENT_RETRY, change.study, [_retry_of(change).row_key])

    async def note_raised(self, change: StudyChange, deliveries: int) -> None:
        """That this delivery ended with an exception, and not with the process."""
        await self._note(replace(_retry_of(change, BUG, "see the log of the failed deliveries"), attempts=deliveries))

    async def raised_at(self, change: StudyChange) -> int:
        """The last delivery of the message that ended with an exception; 0 for none that is known of."""
        key = _retry_of(change).row_key
        for row in await self._records.of_study(ErrorTable.TRANSIENT_RETRY, change.study):
            if row["RowKey"] == key and str(row.get("Exception") or "").partition(":")[0] == BUG:
                return int(row.get("RetryNumber") or 0)
        return 0

    async def _note(self, record: ErrorRecord) -> None:
        """A note for the operator; the work itself is safe in the queue, so a failing table is no reason to stop."""
        try:
            await self._records.put(ErrorTable.TRANSIENT_RETRY, record)
        except SyncError as error:
            event("record_not_written", logging.WARNING, study=record.study.study_instance_uid, code=error.code)


def _failed(state: StudyState, fatal_poll: int) -> StudyState:
    return replace(state, parked=True, fatal_poll=max(state.fatal_poll, fatal_poll))


def _retry_of(change: StudyChange, code: str = "", detail: str = "") -> ErrorRecord:
    return ErrorRecord(
        change.study,
        code,
        sequence=change.sequence,
        detail=detail,
        attempts=change.attempts,
        key=change.message_id,
        first_failed_at=change.first_failed_at,
    )
