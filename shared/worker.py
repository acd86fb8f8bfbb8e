"""The app of this worker process, built at first use: importing function_app stays light and connects to nothing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from shared.config import Settings, StorageAccount, Triggers
from shared.errors import Misconfigured, SyncError, VersionConflict
from shared.model import StudyChange
from shared.telemetry import event, quiet_libraries

if TYPE_CHECKING:
    from shared.sync.poller import PollResult
    from shared.sync.runner import Runner
    from shared.wiring import App

HEALTH_TIMEOUT_S = 10.0

quiet_libraries()


class Worker:
    """The app of this worker process, built when it is first needed."""

    def __init__(self) -> None:
        self._app: App | None = None
        self._poll_error: str | None = None  # said once, not at every tick

    def app(self) -> "App":
        """Raises Misconfigured, which names every wrong setting."""
        if self._app is None:
            settings, account = Settings.load(), StorageAccount.load()
            from shared.wiring import build  # noqa: PLC0415 - half a second of imports

            self._app = build(settings, account)
        return self._app

    async def poll(self) -> "PollResult | None":
        """One poll; None when it could not be done now. The next tick of the timer tries again."""
        try:
            result = await self.app().poller.poll()
        except VersionConflict:
            event("poll_overtaken", reason="another poller is at work")
            return None
        except SyncError as error:
            level = logging.ERROR if isinstance(error, Misconfigured) else logging.WARNING
            if error.code != self._poll_error:
                event("poll_failed", level, code=error.code, reason=error)
            self._poll_error = error.code
            return None
        if self._poll_error is not None:
            event("poll_back")
            self._poll_error = None
        if result.entries:
            behind = result.latest - result.sequence
            event(
                "feed_polled", entries=result.entries, messages=result.messages, sequence=result.sequence, behind=behind
            )
        return result

    async def sync(self, text: str) -> None:
        """One message of the queue."""
        if runner := await self._runner_for(text):
            await runner.run(text)

    async def record_poison(self, text: str) -> None:
        """One message of the poison queue."""
        if runner := await self._runner_for(text):
            await runner.record_poison(text)

    async def _runner_for(self, text: str) -> "Runner | None":
        """The runner; None while the settings are wrong. That is not the study's fault: it goes back to the queue."""
        try:
            return self.app().runner
        except Misconfigured as error:
            event("study_set_aside", logging.ERROR, code=error.code, reason=error)
            await _wait_for_settings(StudyChange.from_json(text))
            return None

    async def health(self) -> dict[str, Any]:
        """Whether settings and services are as they should be, and how much is waiting.

        Problems name settings and services, never values.
        """
        try:
            app = self.app()
        except Misconfigured as error:
            return {"status": "unhealthy", "problems": list(error.problems)}
        problems: list[str] = []
        numbers: dict[str, int] = {}
        checks = {
            "behind": app.behind,
            "queue": app.queue.depth,
            "poison": app.poison_queue.depth,
            "fhir": app.fhir.probe,
        }

        async def check(name: str, ask: Callable[[], Awaitable[int | None]]) -> None:
            try:
                async with asyncio.timeout(HEALTH_TIMEOUT_S):
                    number = await ask()
            except SyncError as error:
                problems.append(f"{error.code}: {error}")
            except TimeoutError:
                problems.append(f"slow: no answer about {name} within {HEALTH_TIMEOUT_S:.0f} s")
            else:
                if number is not None:
                    numbers[name] = number

        await asyncio.gather(*(check(name, ask) for name, ask in checks.items()))
        if numbers.get("poison"):
            problems.append("bug: the poison queue is not empty")
        return {"status": "unhealthy" if problems else "healthy", "problems": sorted(problems), **numbers}


async def _wait_for_settings(change: StudyChange) -> None:
    from shared.sync.backoff import delay_s  # noqa: PLC0415 - as above
    from shared.wiring import study_queue  # noqa: PLC0415

    async with AsyncExitStack() as resources:
        queue = study_queue(StorageAccount.load(), Triggers.load().queue_name, resources)
        later = change.deferred(None)
        await queue.send(later, delay_s(later.attempts))


WORKER = Worker()
