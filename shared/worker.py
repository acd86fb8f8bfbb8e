"""The app of this worker process, built at first use: importing function_app stays light and connects to nothing."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from shared.checks import Checks
from shared.config import Settings
from shared.errors import Misconfigured, SyncError, Unavailable, VersionConflict, place_of
from shared.health import Health
from shared.model import StudyChange
from shared.settings.hosting import StorageAccount, Triggers
from shared.single_flight import SingleFlight
from shared.status import StatusLine
from shared.telemetry import event, quiet_libraries
from shared.version import version

if TYPE_CHECKING:
    from shared.sync.poller import PollResult
    from shared.sync.runner import Runner
    from shared.wiring import App

REFUSED = "access-refused"
BUG = "bug"
# a vault is asked again no sooner, however many are refused
READ_AGAIN_AFTER_S = 60.0
# for all that a vault and the identity before it are asked, however slowly they answer: messages and polls wait for it,
# and the host would end the process after functionTimeout
READ_LIMIT_S = 60.0

quiet_libraries()


class Worker:
    """The app of this worker process, built when it is first needed."""

    def __init__(self) -> None:
        self._app: App | None = None
        self._retired: App | None = None
        self._settings: Settings | None = None
        self._read_at = 0.0
        self._building: SingleFlight[App] = SingleFlight()
        self._renewing: SingleFlight[None] = SingleFlight()
        self._poll_error: str | None = None  # said once, not at every tick
        self._with_queues: App | None = None
        schedule = Triggers.load().schedule
        self._health = Health(self._checks, schedule)
        self._status = StatusLine(schedule)

    async def app(self) -> "App":
        """Raises Misconfigured, which names every wrong setting, or Unavailable where a vault does not answer."""
        return self._app or await self._building.run(self._first)

    async def _first(self) -> "App":
        self._app = await self._build()
        return self._app

    async def _build(self) -> "App":
        self._settings = await _read_settings()
        self._read_at = time.monotonic()
        for text in self._settings.unknown_settings:
            event("setting_unknown", logging.WARNING, reason=text)
        from shared.wiring import build  # noqa: PLC0415 - half a second of imports

        return build(self._settings, StorageAccount.load())

    async def _refused(self) -> None:
        """A credential was refused. Where it came from a vault it may have been rotated; then go on with the new one.

        What is under way ends with the old one, whose connections stay until the next time.
        """
        is_known = self._settings is None or self._settings.key_vault.endpoint is None
        if not is_known and time.monotonic() - self._read_at >= READ_AGAIN_AFTER_S:
            await self._renewing.run(self._renew)

    async def _renew(self) -> None:
        self._read_at = time.monotonic()
        try:
            if await _read_settings() == self._settings:
                return
            retired, self._app = self._app, await self._build()
        except SyncError as error:
            event("settings_not_read", logging.WARNING, code=error.code, reason=error)
            return
        event("settings_renewed", reason="a credential was refused, and the vault holds other settings now")
        if self._retired is not None:
            await self._retired.close()
        self._retired = retired

    async def poll(self) -> "PollResult | None":
        """One poll, and the status line; None when it could not be done now. The next tick of the timer tries again."""
        result: PollResult | None = None
        error: SyncError | None = None
        try:
            result = await self._poll()
        except VersionConflict:
            event("poll_superseded", reason="another poller is running")
        except SyncError as failure:
            error = failure
            await self._poll_failed(failure)
        lag = None if result is None else result.latest - result.sequence
        await self._status.write(self._checks, lag=lag, poll_error=error)
        return result

    async def _poll(self) -> "PollResult":
        app = await self.app()
        if self._with_queues is not app:
            await app.ensure_queues()
            self._with_queues = app
        result = await app.poller.poll()
        if self._poll_error is not None:
            event("poll_back")
            self._poll_error = None
        if result.entries:
            event(
                "feed_polled",
                entries=result.entries,
                messages=result.messages,
                sequence=result.sequence,
                lag=result.latest - result.sequence,
            )
        return result

    async def _poll_failed(self, error: SyncError) -> None:
        level = logging.ERROR if isinstance(error, Misconfigured) else logging.WARNING
        if error.code != self._poll_error:
            event("poll_failed", level, code=error.code, reason=error)
        self._poll_error = error.code
        if error.code == REFUSED:
            await self._refused()

    async def sync(self, text: str, deliveries: int = 1) -> None:
        """One message of the queue. deliveries: how often it was delivered, this time included."""
        if (runner := await self._runner_for(text)) and (await runner.run(text, deliveries)).code == REFUSED:
            await self._refused()

    async def record_poison(self, text: str) -> None:
        """One message of the poison queue."""
        try:
            change = StudyChange.from_json(text)
        except ValueError:
            change = None
        try:
            runner = (await self.app()).runner
        except Exception as error:  # noqa: BLE001 - what stays in the poison queue is seen by nobody
            if change is None:  # nowhere to record it: where the tables are is a setting
                event("poison_message", logging.ERROR, code="malformed-message")
            else:
                await _set_aside(change, error)
            return
        await runner.record_poison(text)

    async def _runner_for(self, text: str) -> "Runner | None":
        """The runner; None while the settings are wrong, or in a vault that is down. That is not the study's fault: it
        goes back to the queue.
        """
        try:
            return (await self.app()).runner
        except SyncError as error:
            await _set_aside(StudyChange.from_json(text), error)
            return None

    async def _checks(self) -> Checks:
        return (await self.app()).checks

    async def health(self) -> dict[str, Any]:
        """Whether settings and services are as they should be, how much is waiting, and the version that says so."""
        return {**await self._health.answer(), "version": version()}


async def _set_aside(change: StudyChange, error: Exception) -> None:
    code, reason = (error.code, str(error)) if isinstance(error, SyncError) else (BUG, place_of(error))
    study = change.study.study_instance_uid
    event("study_not_synced", logging.ERROR, study=study, sequence=change.sequence, code=code, reason=reason)
    await _wait_for_settings(change)


async def _wait_for_settings(change: StudyChange) -> None:
    from shared.sync.backoff import delay_s  # noqa: PLC0415 - as above
    from shared.wiring import study_queue  # noqa: PLC0415

    async with AsyncExitStack() as resources:
        queue = study_queue(StorageAccount.load(), Triggers.load().queue_name, resources)
        later = change.deferred(None)
        await queue.send(later, delay_s(later.attempts))


async def _read_settings() -> Settings:
    """Not on the event loop: a vault may be asked, and answer slowly."""
    from shared.retry import repeated  # noqa: PLC0415 - as above

    try:
        async with asyncio.timeout(READ_LIMIT_S):
            return await repeated(lambda: asyncio.to_thread(Settings.load))
    except TimeoutError:
        raise Unavailable(f"the settings were not read within {READ_LIMIT_S:.0f} s: the vault is slow") from None


WORKER = Worker()
