"""Run one message in a process of its own and say how that ended. The process runs `shared.alone`."""

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
# without any: the start of Python, imports, and settings from a vault
START_LIMIT_S = 120.0
MOST_LINE_BYTES = 1024 * 1024
# what others send, too: a machine short of memory, or whoever stops the host
FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Child:
    """limit_s: seconds that a study has, from the moment when the process has its message."""

    def __init__(self, limit_s: float, command: Sequence[str] = COMMAND) -> None:
        self._limit_s = limit_s
        self._command = command

    async def work(self, text: str) -> Ending:
        """Run the text of a message. The process never outlives the call."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=APP,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,  # a trace can hold values
                limit=MOST_LINE_BYTES,
                start_new_session=True,  # Ctrl-C in a terminal is for the host, which ends this process with itself
            )
        except OSError as error:
            return NotStarted(f"{type(error).__name__}, errno {error.errno}")
        try:
            return await self._ending(process, text)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ending(self, process: Process, text: str) -> Ending:
        try:
            async with asyncio.timeout(START_LIMIT_S):
                ready = await self._ready(process, text)
        except TimeoutError:
            return NotStarted(f"it was not ready after {START_LIMIT_S:.0f} s")
        if not ready:
            return NotStarted(f"it ended before it was ready ({_how(await process.wait())})")
        if "refused" in ready:
            return NotStarted(str(ready["refused"]))
        try:
            async with asyncio.timeout(self._limit_s):
                while said := await _said(process):
                    if (ending := _ending_of(said)) is not None:
                        return ending
                code = await process.wait()
        except TimeoutError:
            return Overran(self._limit_s)
        return Died(_how(code), is_certain=-code not in FROM_OUTSIDE)

    async def _ready(self, process: Process, text: str) -> dict[str, Any] | None:
        """The first line says that the process ends with this one, the second that it is about to run the message."""
        if await _said(process) is None:
            return None
        writer = cast("asyncio.StreamWriter", process.stdin)
        with contextlib.suppress(ConnectionError):
            writer.write(json.dumps({"path": sys.path, "message": text}).encode() + b"\n")
            await writer.drain()
        return await _said(process)


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
