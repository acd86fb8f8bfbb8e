"""A worker that is stopped between two of its calls, as SIGSTOP does, while everybody else goes on.

The calls are those to tables, queue, FHIR and DICOM. A worker is whatever runs in the task that carries its pause.
"""

import asyncio
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from shared.dicom.client import DicomClient
from shared.fhir.client import FhirClient
from shared.storage.study_queue import StudyQueue
from shared.storage.table import Table

CALLS = [
    *((Table, name) for name in ("get", "save", "upsert", "delete")),
    (StudyQueue, "send"),
    *((FhirClient, name) for name in ("_search", "read_each", "_transact")),
    (DicomClient, "_get"),
]
PAUSE = ContextVar("pause", default=None)
LONG = timedelta(minutes=5)


class Clock:
    """Seconds of a pause that take no time."""

    def __init__(self, monkeypatch):
        self.passed = timedelta()
        monkeypatch.setattr("shared.wiring._now", lambda: datetime.now(UTC) + self.passed)


class Pause:
    """Stops its task before call `stop_at`, a number (1 is the first) or a name; `place` says where it was."""

    def __init__(self, clock, stop_at):
        self._clock = clock
        self._stop_at = stop_at
        self._calls = 0
        self._go_on = asyncio.Event()
        self.reached = asyncio.Event()
        self.place = None

    async def before(self, owner, name, detail):
        self._calls += 1
        if self._stop_at in (self._calls, name) and self.place is None:
            self.place = f"{self._calls} {owner.__name__}.{name} {detail}"
            self._clock.passed += LONG
            self.reached.set()
        if self.reached.is_set():  # all of it stands still
            await self._go_on.wait()

    async def around(self, work, meanwhile):
        """Start the work, and once it is stopped do what happens meanwhile; None when it was never stopped."""

        async def carried():
            PAUSE.set(self)
            return await work

        task = asyncio.create_task(carried())
        stopped = asyncio.create_task(self.reached.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if self.reached.is_set():
            await meanwhile()
        self._go_on.set()
        stopped.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task


def pausable(monkeypatch):
    """Let every call ask whether its worker stops here."""
    for owner, name in CALLS:
        monkeypatch.setattr(owner, name, _gated(owner, name, getattr(owner, name)))


def _gated(owner, name, call):
    async def gated(self, *args, **options):
        pause = PAUSE.get()
        if pause is not None:
            await pause.before(owner, name, getattr(self, "_name", "") or (args[0] if isinstance(args[0], str) else ""))
        return await call(self, *args, **options)

    return gated
