"""The answer of `/api/health`: asked of the services once in ten seconds, however many ask it at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.checks import Checks, ask
from shared.errors import Misconfigured, SyncError
from shared.schedule import is_overdue

Answer = dict[str, Any]

# anybody may ask, and each answer costs requests to all services
REMEMBERED_S = 10.0
HIDDEN = (
    "messages are in the queue and none can be taken now: they are being processed or wait for their next try; those "
    "that a host had when it ended come again after up to 10 minutes"
)


class Health:
    """Whether settings and services are as they should be, and how much is waiting."""

    def __init__(
        self,
        checks: Callable[[], Awaitable[Checks]],
        schedule: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = checks
        self._schedule = schedule
        self._now = now
        self._clock = clock
        self._started_at = now()
        self._asked: asyncio.Task[Answer] | None = None
        self._answered_at = 0.0

    async def answer(self) -> Answer:
        """`status`, `problems` and numbers. Problems name settings and services, never values."""
        asked = self._asked
        if asked is None or (asked.done() and self._clock() - self._answered_at >= REMEMBERED_S):
            asked = self._asked = asyncio.create_task(self._asked_now())
        return await asyncio.shield(asked)  # one who goes away must not take the answer from the others

    async def _asked_now(self) -> Answer:
        try:
            return await self._ask()
        finally:
            self._answered_at = self._clock()

    async def _ask(self) -> Answer:
        try:
            checks = await self._checks()
        except Misconfigured as error:
            return {"status": "unhealthy", "problems": list(error.problems)}
        except SyncError as error:
            return {"status": "unhealthy", "problems": [f"{error.code}: {error}"]}
        answers = await ask(checks.services)
        fields = dict(answers.fields)
        problems = [f"{error.code}: {error}" for error in answers.errors.values()]
        problems += [f"settings: {text}" for text in checks.unknown_settings]
        if "polled_at" in fields:
            try:
                self._check_polled(fields.pop("polled_at"))
            except Misconfigured as error:
                problems.append(f"{error.code}: {error}")
        if fields.get("poison"):
            problems.append("bug: the poison queue is not empty")
        notes = {"notes": [HIDDEN]} if fields.get("queue") and fields.get("queue_age_s") is None else {}
        numbers = {name: number for name, number in fields.items() if isinstance(number, int)}
        status = "unhealthy" if problems else "healthy"
        return {"status": status, "problems": sorted(set(problems)), **numbers, **notes}

    def _check_polled(self, polled_at: datetime | None) -> None:
        """Misconfigured when a poll that is long due has left no trace in the checkpoint."""
        since = polled_at or self._started_at
        try:
            is_late = is_overdue(self._schedule, since, self._now())
        except ValueError:
            text = "SYNC_SCHEDULE is never due, so the change feed is not polled"
            raise Misconfigured(text, code="settings") from None
        if is_late:
            minutes = (self._now() - since) // timedelta(minutes=1)
            raise Misconfigured(
                f"no poll of the change feed has succeeded for {minutes} minutes, though SYNC_SCHEDULE asks for it",
                code="not-polling",
            )
