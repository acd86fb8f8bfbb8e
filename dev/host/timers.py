"""Timer triggers: six-field NCRONTAB or TimeSpan text, UTC, never two runs of one timer at once.

Of several hosts of one app one runs a timer (see `locks`). Microsoft's host has `useMonitor`; this one has not: a run
that was missed while no host was there is not made up for, and no run is past due.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from croniter import croniter

from dev.host.errors import BindingError
from dev.host.index import Function
from dev.host.locks import TimerLock
from dev.host.settings import time_span_s
from dev.host.waits import is_set_within
from dev.host.worker import FunctionFailed, Worker, WorkerDied

Schedule = Callable[[datetime], datetime]


def parse_schedule(text: str) -> Schedule:
    """A function from an instant to the next occurrence after it."""
    interval_s = time_span_s(text)
    if interval_s:
        return lambda now: now + timedelta(seconds=interval_s)
    # five fields are a schedule without seconds; NCRONTAB wants day of month AND day of week, cron wants either
    expression = text if len(text.split()) == 6 else f"0 {text}"
    if len(expression.split()) != 6 or not croniter.is_valid(expression, second_at_beginning=True):
        raise BindingError(f"the schedule {text!r} is neither NCRONTAB nor a time such as 00:05:00")

    def next_occurrence(now: datetime) -> datetime:
        occurrences = croniter(expression, now, second_at_beginning=True, day_or=False)
        found: datetime = occurrences.get_next(datetime)
        return found

    return next_occurrence


def timer_request() -> dict[str, Any]:
    """What a timer function is called with."""
    return {"past_due": False, "schedule": {"AdjustForDST": True}, "schedule_status": {}}


class Timer:
    """One timer function on its schedule."""

    def __init__(self, function: Function, worker: Worker, lock: TimerLock) -> None:
        self._function = function
        self._worker = worker
        self._lock = lock
        self._next = parse_schedule(str(function.trigger["schedule"]))

    async def run(self, stop: asyncio.Event) -> None:
        """Run the function at its occurrences until told to stop.

        An occurrence during a run comes right after it, as one however many there were.
        """
        if self._function.trigger.get("runOnStartup"):
            await self._fire("run on startup")
        before = datetime.now(UTC)
        while not stop.is_set():
            if not self._lock.is_held:
                await is_set_within(stop, self._lock.look_every_s)
                before = datetime.now(UTC)
                continue
            due = self._next(before)
            if await is_set_within(stop, (due - datetime.now(UTC)).total_seconds()):
                return
            if self._lock.is_held:
                before = datetime.now(UTC)
                await self._fire("timer fired")

    async def _fire(self, reason: str) -> None:
        try:
            await self._worker.run(self._function, timer_request(), reason)
        except (FunctionFailed, WorkerDied, TimeoutError):
            return  # the worker logged it; the next occurrence comes all the same
