"""The answer of `/api/health`: asked of the services once in ten seconds, however many ask it at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.errors import Misconfigured, SyncError

Answer = dict[str, Any]
Check = Callable[[], Awaitable[int | None]]

TIMEOUT_S = 10.0
# anybody may ask, and each answer costs requests to all services
REMEMBERED_S = 10.0
# a tick that is due may be minutes late: another host takes the timer over, and a poll takes up to four minutes
LATE = timedelta(minutes=5)
HIDDEN = (
    "messages are in the queue and none can be taken now: they are being processed or wait for their next try; those "
    "that a host had when it ended come again after up to 10 minutes"
)


@dataclass(frozen=True, slots=True)
class Checks:
    """What the services are asked.

    numbers: each returns a number for the answer, or None, or raises what is wrong.
    visible: whether a message of the queue can be taken now, as a number.
    polled_at: when a poll last left its date; None before the first.
    """

    numbers: Mapping[str, Check]
    visible: Check
    polled_at: Callable[[], Awaitable[datetime | None]]


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
        problems: list[str] = []
        numbers: dict[str, int] = {}

        async def check(name: str, ask: Check) -> None:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    number = await ask()
            except SyncError as error:
                problems.append(f"{error.code}: {error}")
            except TimeoutError:
                problems.append(f"unavailable: no answer about {name} within {TIMEOUT_S:.0f} s")
            else:
                if number is not None:
                    numbers[name] = number

        others: dict[str, Check] = {"visible": checks.visible, "polls": lambda: self._check_polled(checks)}
        await asyncio.gather(*(check(name, ask) for name, ask in {**checks.numbers, **others}.items()))
        if numbers.get("poison"):
            problems.append("bug: the poison queue is not empty")
        is_visible = numbers.pop("visible", 1)
        notes = {"notes": [HIDDEN]} if numbers.get("queue") and not is_visible else {}
        status = "unhealthy" if problems else "healthy"
        return {"status": status, "problems": sorted(set(problems)), **numbers, **notes}

    async def _check_polled(self, checks: Checks) -> None:
        """Misconfigured when a poll that is long due has left no trace in the checkpoint."""
        from shared.schedule import next_due  # noqa: PLC0415 - needed only where somebody asks
        from shared.sync.poller import TRACE_EVERY  # noqa: PLC0415 - as above

        since = await checks.polled_at() or self._started_at
        try:
            due = next_due(self._schedule, since + TRACE_EVERY)
        except ValueError:
            text = "SYNC_SCHEDULE cannot be read, so the change feed is not polled: set six fields, as 0 */5 * * * *"
            raise Misconfigured(text, code="settings") from None
        if due is not None and self._now() > due + LATE:
            minutes = (self._now() - since) // timedelta(minutes=1)
            raise Misconfigured(
                f"no poll of the change feed has succeeded for {minutes} minutes, though SYNC_SCHEDULE asks for it",
                code="not-polling",
            )
