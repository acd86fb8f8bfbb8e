"""Run messages in a process of their own, one at a time, and say how each ended. The process runs `shared.alone`."""

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from shared.model import Outcome
from shared.sync.alone import Died, Done, Ending, Failed, NotStarted, Overran
from shared.sync.attempt import Result
from shared.telemetry import event

APP = Path(__file__).resolve().parent.parent
COMMAND = (sys.executable, "-m", "shared.alone")
# of a process that waits for a message, until it says that it begins with one
BEGIN_LIMIT_S = 10.0
# seconds that a process waits for its next message: to start one takes seconds, and a host that ended leaves many
KEPT_S = 20.0
# what studies leave behind in a process is not to end it under the next one
MOST_MESSAGES = 50
MOST_LINE_BYTES = 1024 * 1024
# what others send, too: a machine short of memory, or whoever stops the host
FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Child:
    """limit_s: seconds that a study has, from the moment when the process has its message. start_limit_s: seconds for
    the start of Python, imports, and settings from a vault.

    A process is used again after a message that came to a result, and after nothing else.
    """

    def __init__(self, limit_s: float, start_limit_s: float, command: Sequence[str] = COMMAND) -> None:
        self._limit_s = limit_s
        self._start_limit_s = start_limit_s
        self._command = command
        self._kept: Process | None = None
        self._messages = 0
        self._ends: asyncio.TimerHandle | None = None

    async def work(self, text: str) -> Ending:
        """Run the text of a message; one call at a time. What is under way ends with the call."""
        process = self._take()
        ending: Ending | None = None
        try:
            if process is not None and not await self._goes_on(process, text):
                await _end(process)  # it ended while it had nothing to do
                process = None
            if process is None:
                process, self._messages = await self._start(), 0
                if (why := await self._why_not(process, text)) is not None:
                    return NotStarted(why)
            ending = await self._ending(process)
        except OSError as error:
            return NotStarted(f"{type(error).__name__}, errno {error.errno}")
        finally:
            if process is not None:
                self._messages += 1
                if isinstance(ending, Done) and self._messages < MOST_MESSAGES:
                    self._keep(process)
                else:
                    await _end(process)
        return ending

    async def close(self) -> None:
        """End the process that waits, if one does."""
        if (process := self._take()) is not None:
            await _end(process)

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            cwd=APP,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # a trace can hold values
            limit=MOST_LINE_BYTES,
            start_new_session=True,  # Ctrl-C in a terminal is for the host, which ends this process with itself
        )

    async def _why_not(self, process: Process, text: str) -> str | None:
        """Why a new process does not begin with the message; None when it has."""
        try:
            async with asyncio.timeout(self._start_limit_s):
                # the first line says that the process ends with this one, the second that it is ready for messages
                ready = await _said(process)
                if ready is not None:
                    await _tell(process, sys.path)
                    ready = await _said(process)
                if ready is not None and "refused" in ready:
                    return str(ready["refused"])
                if ready is not None and await _begins(process, text):
                    return None
        except TimeoutError:
            return f"it was not ready after {self._start_limit_s:.0f} s"
        return f"it ended before it was ready ({_how(await process.wait())})"

    async def _goes_on(self, process: Process, text: str) -> bool:
        """Whether a process that waits says that it begins with the message; otherwise it has ended, or is to."""
        try:
            async with asyncio.timeout(BEGIN_LIMIT_S):
                return await _begins(process, text)
        except TimeoutError:
            return False

    async def _ending(self, process: Process) -> Ending:
        try:
            async with asyncio.timeout(self._limit_s):
                while said := await _said(process):
                    if (ending := _ending_of(said)) is not None:
                        return ending
                code = await process.wait()
        except TimeoutError:
            return Overran(self._limit_s)
        return Died(_how(code), is_certain=-code not in FROM_OUTSIDE)

    def _keep(self, process: Process) -> None:
        self._kept = process
        self._ends = asyncio.get_running_loop().call_later(KEPT_S, self._end_kept)

    def _end_kept(self) -> None:
        if (process := self._take()) is not None:
            process.kill()

    def _take(self) -> Process | None:
        """The process that waits, if one does."""
        process, self._kept = self._kept, None
        if self._ends is not None:
            self._ends.cancel()
        return process if process is not None and process.returncode is None else None


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _begins(process: Process, text: str) -> bool:
    """Whether it says that it begins with the message; otherwise its output has ended."""
    await _tell(process, text)
    return await _said(process) is not None


async def _tell(process: Process, said: object) -> None:
    writer = cast("asyncio.StreamWriter", process.stdin)
    with contextlib.suppress(ConnectionError):
        writer.write(json.dumps(said).encode() + b"\n")
        await writer.drain()


async def _said(process: Process) -> dict[str, Any] | None:
    """The next of its lines that is not an event; events are logged here. None where the output has ended."""
    reader = cast("asyncio.StreamReader", process.stdout)
    while line := await reader.readline():
        try:
            said = json.loads(line)
        except ValueError:  # some library prints
            continue
        if not isinstance(said, dict):
            continue
        if "event" not in said:
            return said
        name, level, fields = said["event"], said["level"], said["fields"]
        event(name, level, **fields)
    return None


def _ending_of(said: dict[str, Any]) -> Ending | None:
    match said:
        case {"outcome": outcome, "failed": failed, "findings": findings, "code": code}:
            return Done(Result(Outcome(outcome), failed, findings, code))
        case {"raised": text}:
            return Failed(str(text))
        case {"memory": _}:
            return Died("a lack of memory", is_certain=False)
    return None


def _how(code: int) -> str:
    """What ended a process, by its exit code, as Python tells it: below zero for a signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
