"""One message: reconcile, and when that fails defer or park it. Outages burn no dequeue counts: a message that has to
wait is sent again with a delay, and this delivery ends well.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

from shared.errors import Misconfigured, PermanentError, SyncError, TransientError, VersionConflict
from shared.model import DEFAULT_PARTITION, Outcome, StudyChange, StudyKey
from shared.storage.error_records import ErrorRecord, ErrorRecords, ErrorTable
from shared.storage.study_queue import StudyQueue
from shared.storage.study_state import StudyStateStore
from shared.sync.attempt import Result
from shared.sync.backoff import delay_s
from shared.sync.circuit import Circuit
from shared.sync.reconciler import Reconciler
from shared.telemetry import event

PARK_TRIES = 5
BUG = "bug"
MALFORMED_MESSAGE = "malformed-message"


class Runner:
    """Runs messages; several at once are fine."""

    def __init__(
        self,
        reconciler: Reconciler,
        states: StudyStateStore,
        queue: StudyQueue,
        records: ErrorRecords,
        total_retry_duration: timedelta,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reconciler = reconciler
        self._states = states
        self._queue = queue
        self._records = records
        self._total_retry_duration = total_retry_duration
        self._now = now
        self._circuit = Circuit(clock)

    async def run(self, text: str) -> Result:
        """What became of the study. Only bugs raise: a text that is no message, or an error that has no name."""
        change = StudyChange.from_json(text)
        if not self._circuit.enter():
            code = self._circuit.error.code if self._circuit.error else ""
            return Result(await self._wait(change), code=code)
        try:
            return await self._try(change)
        finally:
            self._circuit.leave()

    async def _wait(self, change: StudyChange) -> Outcome:
        """Not tried now: the services refuse everyone, or are asked enough."""
        error = self._circuit.error
        if error is not None:
            return await self._defer_or_park(change, error, is_tried=False)
        await self._send_later(change)
        return Outcome.DEFERRED

    async def _try(self, change: StudyChange) -> Result:
        started = time.monotonic()
        try:
            result = await self._reconciler.reconcile(change)
            await self._clear_retries(change)
        except SyncError as error:
            return Result(await self._set_aside(change, error), code=error.code)
        if result.outcome is not Outcome.OVERTAKEN:  # which asks no service
            self._answered(change)
        event(
            "study_synced",
            logging.WARNING if result.failed else logging.INFO,
            **_fields_of(change),
            outcome=result.outcome,
            instances_kept_out=result.failed or None,
            values_left_out=result.findings or None,
            seconds=f"{time.monotonic() - started:.2f}",
        )
        return result

    def _answered(self, change: StudyChange) -> None:
        if self._circuit.succeeded():
            event("services_back", logging.INFO, **_fields_of(change))

    async def record_poison(self, text: str) -> None:
        """A message that could not be run at all: a defect of this app, or nothing that it wrote. Recorded, and the
        study that it names parked.
        """
        try:
            change = StudyChange.from_json(text)
        except ValueError:
            event("poison_message", logging.ERROR, code=MALFORMED_MESSAGE)
            await self._records.put(ErrorTable.FHIR, _unreadable(text))
            return
        event("poison_message", logging.ERROR, **_fields_of(change), code=BUG)
        await self._park(change, BUG, "see the log of the failed deliveries", ErrorTable.FHIR)

    async def _set_aside(self, change: StudyChange, error: SyncError) -> Outcome:
        level = logging.ERROR if isinstance(error, Misconfigured | PermanentError) else logging.WARNING
        was_open = self._circuit.is_open
        if isinstance(error, PermanentError):
            self._answered(change)
        if self._circuit.failed(change.study, error):
            event("services_refuse", level, code=error.code, reason=str(error))
        fields = {**_fields_of(change), "code": error.code, "attempts": change.attempts, "reason": str(error)}
        try:
            outcome = await self._defer_or_park(change, error)
        except SyncError as failure:
            # the delivery fails and comes again: this line is all that says which study it was
            event("study_set_aside", level, **fields, outcome="left in the queue", because=failure.code)
            raise
        if outcome is Outcome.PARKED or not was_open:  # it was said that everything waits
            event("study_set_aside", level, **fields, outcome=outcome)
        return outcome

    async def _defer_or_park(self, change: StudyChange, error: SyncError, *, is_tried: bool = True) -> Outcome:
        if isinstance(error, PermanentError):
            return await self._park_or_defer(change, error, ErrorTable.FHIR)
        waited = self._now() - (change.first_failed_at or self._now())
        if isinstance(error, TransientError) and waited >= self._total_retry_duration:
            return await self._park_or_defer(change, error, ErrorTable.TRANSIENT_FAILURE)
        return await self._defer(change, error, is_tried=is_tried)

    async def _defer(self, change: StudyChange, error: SyncError, *, is_tried: bool = True) -> Outcome:
        asked = error.retry_after_s if isinstance(error, TransientError) else None
        # what is set up wrongly is not the study's fault, and no reason to give it up
        later = await self._send_later(change, asked, keeps_age=isinstance(error, Misconfigured))
        if is_tried and not isinstance(error, Misconfigured):
            await self._note(ErrorTable.TRANSIENT_RETRY, _retry_of(later, error))
        return Outcome.DEFERRED

    async def _send_later(
        self, change: StudyChange, asked: float | None = None, *, keeps_age: bool = False
    ) -> StudyChange:
        later = change.deferred(None if keeps_age else self._now())
        await self._queue.send(later, delay_s(later.attempts, asked))
        return later

    async def _park_or_defer(self, change: StudyChange, error: SyncError, table: ErrorTable) -> Outcome:
        try:
            await self._park(change, error.code, str(error), table)
        except (TransientError, Misconfigured) as failure:
            return await self._defer(change, failure)
        await self._clear_retries(change)
        return Outcome.PARKED

    async def _park(self, change: StudyChange, code: str, reason: str, table: ErrorTable) -> None:
        record = ErrorRecord(change.study, code, sequence=change.sequence, detail=reason, attempts=change.attempts)
        await self._records.put(table, record)
        for last in [False] * (PARK_TRIES - 1) + [True]:
            state = await self._states.get(change.study)
            try:
                await self._states.save(change.study, replace(state, parked=True))
            except VersionConflict:
                if last:
                    raise
            else:
                return

    async def _clear_retries(self, change: StudyChange) -> None:
        if change.attempts:
            await self._records.clear(ErrorTable.TRANSIENT_RETRY, change.study, [_retry_of(change).row_key])

    async def _note(self, table: ErrorTable, record: ErrorRecord) -> None:
        """A note for the operator; the work itself is safe in the queue, so a failing table is no reason to stop."""
        try:
            await self._records.put(table, record)
        except SyncError as error:
            event("record_not_written", logging.WARNING, study=record.study.study_instance_uid, code=error.code)


def _fields_of(change: StudyChange) -> dict[str, object]:
    return {"study": change.study.study_instance_uid, "sequence": change.sequence}


def _unreadable(text: str) -> ErrorRecord:
    """A record for this text, which itself may hold anything and is not told."""
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    return ErrorRecord(
        StudyKey(DEFAULT_PARTITION, ""), MALFORMED_MESSAGE, detail=f"text with digest {digest}", key=digest
    )


def _retry_of(change: StudyChange, error: SyncError | None = None) -> ErrorRecord:
    return ErrorRecord(
        change.study,
        error.code if error else "",
        sequence=change.sequence,
        detail=str(error),
        attempts=change.attempts,
        key=change.message_id,
    )
