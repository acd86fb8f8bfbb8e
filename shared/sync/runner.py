"""One message: sync its study, and when that fails set it aside.

A message that is delivered again was in a process that ended: it is not worked on beside others any more.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256

from shared.errors import Misconfigured, PermanentError, Raised, SyncError, TransientError, place_of
from shared.model import DEFAULT_PARTITION, Outcome, StudyChange, StudyKey
from shared.storage.error_records import ErrorRecord, ErrorRecords, ErrorTable
from shared.storage.study_queue import StudyQueue
from shared.storage.study_state import StudyStateStore
from shared.sync import writers
from shared.sync.alone import Alone, Ending, NotStarted
from shared.sync.aside import BUG, Aside
from shared.sync.attempt import GoesAlone, Result
from shared.sync.circuit import Circuit
from shared.sync.reconciler import Reconciler
from shared.telemetry import event

MALFORMED_MESSAGE = "malformed-message"
DEADLINE = "deadline"
# half of host.json's functionTimeout of ten minutes; see `shared.settings.hosting.Limits`
LIMIT_S = 300.0
# how long a message waits here until its study may be tried, before it goes back to the queue: as many as wait here are
# not fetched from it. Less than the ten seconds that a host gives its functions when it is told to end
TURN_S = 8.0
# the end of that wait, in which a place that becomes free is taken at once
WATCH_S = 0.5

Work = Callable[[str], Awaitable[Ending]]


class Runner:
    """Runs messages; several at once are fine.

    limit_s: how long a message may be worked on. work_alone: runs the text of a message in another process; without it
    messages that are marked alone are worked on here, as in that process.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        states: StudyStateStore,
        queue: StudyQueue,
        records: ErrorRecords,
        total_retry_duration: timedelta,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        *,
        limit_s: float = LIMIT_S,
        work_alone: Work | None = None,
    ) -> None:
        self._reconciler = reconciler
        self._records = records
        self._limit_s = limit_s
        self._clock = clock
        self._circuit = Circuit(clock)
        self._left = asyncio.Event()
        self._aside = Aside(states, queue, records, total_retry_duration, now)
        self._alone = Alone(work_alone or _no_process, self._aside, clock)
        self._has_process = work_alone is not None

    async def run(self, text: str, deliveries: int = 1) -> Result:
        """What became of the study. deliveries: of this message by the queue, this one included.

        Raises ValueError for a text that is not a message, Raised or MemoryError for a defect, and the SyncError of a
        storage that fails. Their texts hold no values: the host writes them to its log.
        """
        change = StudyChange.from_json(text)
        has_raised = deliveries > 1 and await self._raised_at(change) == deliveries - 1
        if deliveries > 1 and not has_raised:
            return await self._delivered_again(change)
        try:
            return await self._in_turn(change, has_raised=has_raised)
        except MemoryError:  # perhaps another study's doing
            raise
        except Exception as error:
            await self._aside.note_raised(change, deliveries)
            if isinstance(error, SyncError | Raised):
                raise
            study = change.study.study_instance_uid
            raise Raised(f"study {study}, sequence {change.sequence}: {place_of(error)}") from None

    async def _in_turn(self, change: StudyChange, *, has_raised: bool) -> Result:
        """What became of the study, which has to wait where the services refuse everyone or ask for less. A message
        whose work was done by a later pass asks none of them.
        """
        if not self._circuit.enter():
            if (done := await self._superseded(change)) is not None:
                return done
            if not await self._enter():
                code = self._circuit.error.code if self._circuit.error else ""
                return Result(await self._wait(change), code=code)
        try:
            return await self._work(change, has_raised=has_raised)
        finally:
            self._leave()

    async def _enter(self) -> bool:
        """Whether the study may be tried; waits a few seconds for that. A server that asks for less is not given the
        next one at once: it has a rest while messages sleep here. Those that slept together follow one another then.
        """
        until_s = self._clock() + TURN_S
        while not self._circuit.enter():
            left_s = until_s - self._clock()
            if left_s <= 0:
                return False
            if left_s > WATCH_S and not self._circuit.opens_soon:
                await asyncio.sleep(left_s - WATCH_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, self._circuit.trial_in_s or left_s)):
                    await self._left.wait()
        return True

    def _leave(self) -> None:
        self._circuit.leave()
        self._left.set()
        self._left = asyncio.Event()

    async def _delivered_again(self, change: StudyChange) -> Result:
        """The process ended that had the message before, and with it all that was under way there."""
        if change.alone:
            return await self._alone.died(change, "the end of the worker")
        reason = "the worker or host that had its message ended"
        event("study_goes_alone", logging.WARNING, **_fields_of(change), reason=reason)
        await self._alone.send(change)
        return Result(Outcome.RETRYING)

    async def _raised_at(self, change: StudyChange) -> int:
        try:
            return await self._aside.raised_at(change)
        except SyncError:
            return 0

    async def _wait(self, change: StudyChange) -> Outcome:
        """Not tried now: the services refuse everyone, or are asked enough."""
        error = self._circuit.error
        if error is not None:
            return await self._aside.defer_or_park(change, error, is_tried=False)
        await self._aside.send_later(change)
        return Outcome.RETRYING

    async def _work(self, change: StudyChange, *, has_raised: bool) -> Result:
        if change.alone and self._has_process:
            return await self._work_alone(change)
        try:
            return await self._try(change, has_raised=has_raised)
        except GoesAlone:
            return await self._alone.run(change)

    async def _work_alone(self, change: StudyChange) -> Result:
        """In a process of its own, unless a later pass has done this work: of the messages that were under way in a
        host that ended many are such, and each process takes seconds.
        """
        return await self._superseded(change) or await self._alone.run(change)

    async def _superseded(self, change: StudyChange) -> Result | None:
        """The result of a message whose work was done by a later pass, if it was. Asks tables only."""
        with contextlib.suppress(SyncError):
            if await self._reconciler.is_superseded(change):
                await self._aside.clear_retries(change)
                event("study_synced", logging.INFO, **_fields_of(change), outcome=Outcome.SUPERSEDED)
                return Result(Outcome.SUPERSEDED)
        return None

    async def _try(self, change: StudyChange, *, has_raised: bool) -> Result:
        started = time.monotonic()
        try:
            result = await self._reconciled(change)
            await self._aside.clear_retries(change, has_raised=has_raised)
        except SyncError as error:
            return Result(await self._set_aside(change, error), code=error.code)
        if result.outcome is Outcome.FAILED:
            reason = "an attempt that included this change has failed: see the row of the study"
            event("study_not_synced", logging.WARNING, **_fields_of(change), outcome="failed before", reason=reason)
            return result
        if result.outcome is not Outcome.SUPERSEDED:  # which asks no service
            self._answered(change)
        event(
            "study_synced",
            logging.WARNING
            if result.failed or result.has_new_strays or (result.left and result.left.is_doubtful)
            else logging.INFO,
            **_fields_of(change),
            outcome=result.outcome,
            instances_skipped=result.failed or None,
            skipped=result.skipped,
            of_another_patient=result.strays or None,
            values_left_out=result.findings or None,
            left=result.left.text if result.left else None,
            seconds=f"{time.monotonic() - started:.2f}",
        )
        return result

    async def _reconciled(self, change: StudyChange) -> Result:
        """Within the limit; the host would end the process, and all that is under way there, a little later.

        A write may have been cut off on its way: the study is not read again before that is done.
        """
        limit = asyncio.timeout(self._limit_s)
        try:
            async with limit:
                return await self._reconciler.reconcile(change)
        except TimeoutError:
            if not limit.expired():
                raise
            text = f"it was not done within {self._limit_s:.0f} s"
            raise TransientError(text, code=DEADLINE, retry_after_s=writers.SETTLED_AFTER_S) from None

    def _answered(self, change: StudyChange) -> None:
        if self._circuit.succeeded():
            event("services_back", logging.INFO, **_fields_of(change))

    async def record_poison(self, text: str) -> None:
        """A message that the host gave up: a defect of this app, nothing that it wrote, or one whose deliveries ended
        with their workers, which is tried again. Only a queue that takes no message raises.
        """
        try:
            change = StudyChange.from_json(text)
        except ValueError:
            record = _unreadable(text)
            event("poison_message", logging.ERROR, code=MALFORMED_MESSAGE, reason=record.detail)
            try:
                await self._records.put(ErrorTable.FHIR, record)
            except SyncError as error:  # the line above has all that the row would have
                event("record_not_written", logging.ERROR, code=error.code, reason=record.detail)
            return
        try:
            await self._judge(change)
        except Exception as error:  # noqa: BLE001 - what stays in the poison queue is seen by nobody
            reason = error if isinstance(error, SyncError) else type(error).__name__
            event("poison_message", logging.ERROR, **_fields_of(change), outcome="sent again", reason=reason)
            await self._aside.send_later(change)

    async def _judge(self, change: StudyChange) -> None:
        if not await self._aside.raised_at(change):
            await self._alone.died(change, "that of workers or hosts, until the host gave the message up")
            return
        event("poison_message", logging.ERROR, **_fields_of(change), code=BUG)
        await self._aside.park_or_defer(change, BUG, "see the log of the failed deliveries", ErrorTable.FHIR)

    async def _set_aside(self, change: StudyChange, error: SyncError) -> Outcome:
        level = logging.ERROR if isinstance(error, Misconfigured | PermanentError) else logging.WARNING
        was_open = self._circuit.is_open
        if isinstance(error, PermanentError):
            self._answered(change)
        if self._circuit.failed(change.study, error):
            event("services_refuse", level, code=error.code, reason=str(error))
        fields = {**_fields_of(change), "code": error.code, "attempts": change.attempts, "reason": str(error)}
        try:
            outcome = await self._aside.defer_or_park(change, error)
        except SyncError as failure:
            # the delivery fails and comes again: this line is all that says which study it was
            event("study_not_synced", level, **fields, outcome="left in the queue", because=failure.code)
            raise
        if outcome is Outcome.FAILED or not was_open:  # it was said that everything waits
            event("study_not_synced", level, **fields, outcome=outcome)
        return outcome


async def _no_process(_: str) -> Ending:
    return NotStarted("this process starts no other")


def _fields_of(change: StudyChange) -> dict[str, object]:
    return {"study": change.study.study_instance_uid, "sequence": change.sequence}


def _unreadable(text: str) -> ErrorRecord:
    """A record for this text, which itself may hold anything and is not told."""
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    return ErrorRecord(
        StudyKey(DEFAULT_PARTITION, ""), MALFORMED_MESSAGE, detail=f"text with digest {digest}", key=digest
    )
