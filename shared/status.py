"""The status line: what is so now, once a minute, from the timer. Alerts are calculated from it (infra/).

A line that is written when something begins is no state: nobody sees whether it is over, and a process that starts
later does not know of it. So everything here is asked of services, tables and queues each time, and nothing is
remembered but the minute of the last line.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from shared.checks import OK, Checks, ask, state_of
from shared.errors import SyncError
from shared.schedule import next_due
from shared.telemetry import event
from shared.version import version

MINUTE_S = 60


class StatusLine:
    """Written after a poll, at most once in each minute of the clock. schedule: when the timer runs."""

    def __init__(self, schedule: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._schedule = schedule
        self._now = now
        self._minute = -1

    async def write(
        self, checks: Callable[[], Awaitable[Checks]], *, lag: int | None = None, poll_error: SyncError | None = None
    ) -> None:
        """checks: what there is to ask; raises a SyncError where the settings are wrong or cannot be read.

        lag: changes that the poll left in the feed; None where that is not known, and the DICOM service is asked.
        poll_error: why the poll failed.
        """
        minute = int(self._now().timestamp() // MINUTE_S)
        if minute == self._minute:
            return
        self._minute = minute
        event("status", logging.INFO, **(await self._fields(checks, lag, poll_error)))

    async def _fields(
        self, checks: Callable[[], Awaitable[Checks]], lag: int | None, poll_error: SyncError | None
    ) -> dict[str, object]:
        head = {"version": version(), "poll": state_of(poll_error), "due_s": self._due_s()}
        try:
            asked = await checks()
        except SyncError as error:
            return {**head, "settings": state_of(error)}
        known = "dicom" if lag is not None else None
        answers = await ask({name: check for name, check in asked.services.items() if name != known})
        found = {"lag": lag, **answers.fields}
        polled_at = found.pop("polled_at", None)
        return {
            **head,
            "polled_s": 0 if poll_error is None else self._seconds_since(polled_at),
            **found,
            **{name: state_of(answers.errors.get(name)) for name in asked.services},
            "settings": OK,
            "unknown_settings": len(asked.unknown_settings) or None,
        }

    def _due_s(self) -> int | None:
        """Seconds until the next line, a minute at least; None where only the host knows the schedule."""
        now = self._now()
        try:
            due = next_due(self._schedule, now)
        except ValueError:
            return None
        return None if due is None else max(MINUTE_S, math.ceil((due - now).total_seconds()))

    def _seconds_since(self, at: datetime | None) -> int | None:
        return None if at is None else max(0, int((self._now() - at).total_seconds()))
