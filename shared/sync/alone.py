"""A study that may end its process is worked on in one of its own, so that it ends no other study's work.

Which study ended a process cannot be told where several were under way in it. So everything that was goes alone next,
and there it can be told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from shared.errors import Raised, TransientError
from shared.model import Outcome, StudyChange
from shared.storage.error_records import ErrorTable
from shared.sync.aside import Aside
from shared.sync.attempt import Result
from shared.sync.backoff import LONGEST_S, delay_s
from shared.telemetry import event

DIED = "process-died"
TOO_SLOW = "too-slow"
NOT_STARTED = "process-not-started"
# of processes that had the message, before its study is called failed: a process can end for another reason than the
# study. Where its own was killed, the machine is short of memory; where its worker ended, it is hardly ever the reason
MOST_DEATHS = 5
MOST_DEATHS_OF_WORKERS = 10
# seconds that a study takes alone, before one was; those that find the process taken come back one after another
TAKES_S = 1.0
# one study that takes minutes is no reason for all others to wait as long
MOST_TAKES_S = 20.0


@dataclass(frozen=True, slots=True)
class Done:
    """The process ended with this result."""

    result: Result


@dataclass(frozen=True, slots=True)
class Failed:
    """The process raised an exception; the text names type and place, no values."""

    text: str


@dataclass(frozen=True, slots=True)
class Died:
    """The process ended without a result. is_certain: by its own doing, not by a signal that others send, too."""

    how: str
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Overran:
    """The process was killed after this many seconds."""

    limit_s: float


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The process did not come so far that it had the message."""

    why: str


Ending = Done | Failed | Died | Overran | NotStarted


class Alone:
    """One study at a time, in another process. work: run the text of a message there. clock: seconds."""

    def __init__(self, work: Callable[[str], Awaitable[Ending]], aside: Aside, clock: Callable[[], float]) -> None:
        self._work = work
        self._aside = aside
        self._clock = clock
        self._slot = asyncio.Lock()
        self._free_at_s = 0.0
        self._takes_s = TAKES_S

    async def run(self, change: StudyChange) -> Result:
        """What became of the study. Raises Raised for a defect of this app."""
        if self._slot.locked():
            await self.send(change)
            return Result(Outcome.RETRYING)
        async with self._slot:
            started_s = self._clock()
            ending = await self._work(replace(change, alone=True).to_json())
            self._takes_s = min(max(self._clock() - started_s, TAKES_S), MOST_TAKES_S)
        if isinstance(ending, Done):
            return ending.result
        if isinstance(ending, Failed):
            raise Raised(ending.text)
        return await self._judge(change, ending)

    async def send(self, change: StudyChange) -> None:
        """The message once more, to be worked on alone when its turn comes: nothing is held in flight meanwhile."""
        now_s = self._clock()
        self._free_at_s = max(self._free_at_s, now_s) + self._takes_s
        await self._aside.send(replace(change, alone=True), min(self._free_at_s - now_s, LONGEST_S))

    async def died(self, change: StudyChange, how: str, most: int = MOST_DEATHS_OF_WORKERS) -> Result:
        """One more process ended that had the message, perhaps for another reason: once more, or the study failed."""
        more = replace(change, alone=True, deaths=change.deaths + 1)
        if more.deaths >= most:
            return await self._fail(more, DIED, f"{more.deaths} processes ended while they had it, the last by {how}")
        event("process_died", logging.WARNING, **_fields_of(more), code=DIED, deaths=more.deaths, reason=how)
        await self._aside.send(more, delay_s(more.deaths))
        return Result(Outcome.RETRYING, code=DIED)

    async def _judge(self, change: StudyChange, ending: Died | Overran | NotStarted) -> Result:
        if isinstance(ending, NotStarted):
            error = TransientError(f"no process of its own could be started: {ending.why}", code=NOT_STARTED)
            outcome = await self._aside.defer_or_park(change, error)
            event(
                "study_not_synced", logging.ERROR, **_fields_of(change), code=error.code, reason=error, outcome=outcome
            )
            return Result(outcome, code=error.code)
        if isinstance(ending, Overran):
            return await self._fail(change, TOO_SLOW, f"its process was ended after {ending.limit_s:.0f} s")
        if ending.is_certain:
            return await self._fail(change, DIED, f"it ended its process: {ending.how}")
        return await self.died(change, ending.how, MOST_DEATHS)

    async def _fail(self, change: StudyChange, code: str, reason: str) -> Result:
        outcome = await self._aside.park_or_defer(change, code, reason, ErrorTable.FHIR, is_fatal=True)
        event("study_not_synced", logging.ERROR, **_fields_of(change), code=code, reason=reason, outcome=outcome)
        return Result(outcome, code=code)


def _fields_of(change: StudyChange) -> dict[str, object]:
    return {"study": change.study.study_instance_uid, "sequence": change.sequence}
