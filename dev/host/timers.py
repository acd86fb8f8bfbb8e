"""Timer triggers: six-field NCRONTAB or TimeSpan text, UTC, never two runs of one timer at once in this process.

The real host also lets only one of several hosts run a timer and remembers the last run across restarts
(`useMonitor`). This one does neither: every host runs the timer, and a run missed while none was there is not made up
for.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import azure.functions as func
from azure.functions.timer import TimerRequest
from croniter import croniter

from dev.host.errors import StartError
from dev.host.index import Function
from dev.host.settings import time_span_s
from dev.host.worker import Worker

log = logging.getLogger("host")

# later than this means that the machine slept or was overloaded
PAST_DUE_AFTER = timedelta(seconds=1)

Schedule = Callable[[datetime], datetime]


def parse_schedule(text: str, function: str) -> Schedule:
    """A function from an instant to the next occurrence after it."""
    interval_s = time_span_s(text)
    if interval_s:
        return lambda now: now + timedelta(seconds=interval_s)
    # five fields are a schedule without seconds; NCRONTAB wants day of month AND day of week, cron wants either
    expression = text if len(text.split()) == 6 else f"0 {text}"
    if len(expression.split()) != 6 or not croniter.is_valid(expression, second_at_beginning=True):
        raise StartError(
            f"the schedule {text!r} of function {function} is neither NCRONTAB nor a time such as 00:05:00"
        )

    def next_occurrence(now: datetime) -> datetime:
        occurrences = croniter(expression, now, second_at_beginning=True, day_or=False)
        found: datetime = occurrences.get_next(datetime)
        return found

    return next_occurrence


def timer_request(*, past_due: bool = False) -> func.TimerRequest:
    """What a timer function is called with."""
    return TimerRequest(past_due=past_due, schedule={"AdjustForDST": False}, schedule_status={})


class Timer:
    """One timer function on its schedule."""

    def __init__(self, function: Function, worker: Worker) -> None:
        self._function = function
        self._worker = worker
        self._next = parse_schedule(str(function.trigger["schedule"]), function.name)

    async def run(self, stop: asyncio.Event) -> None:
        """Run the function at every occurrence until told to stop; occurrences during a run are skipped."""
        if self._function.trigger.get("runOnStartup"):
            await self._fire("run on startup", past_due=False)
        while not stop.is_set():
            due = self._next(datetime.now(UTC))
            if await _is_set_within(stop, (due - datetime.now(UTC)).total_seconds()):
                return
            await self._fire("timer fired", past_due=datetime.now(UTC) - due > PAST_DUE_AFTER)

    async def _fire(self, reason: str, *, past_due: bool) -> None:
        try:
            await self._worker.run(self._function, timer_request(past_due=past_due), reason)
        except Exception:  # noqa: BLE001 - the worker logged it; the next occurrence comes all the same
            log.debug("timer %s failed", self._function.name)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, at most so long; croniter counts whole seconds, so a wait never ends before its second."""
    try:
        await asyncio.wait_for(event.wait(), max(seconds, 0))
    except TimeoutError:
        return False
    return True
