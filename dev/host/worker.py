"""The worker process as the host sees it: it is sent invocations, it may die, another one takes its place.

What dies with a process has failed, whichever function ended it. Microsoft's host is the model of all numbers here.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from dev.host import frames
from dev.host.errors import Recycled, StartError
from dev.host.index import Function
from dev.host.logs import Levels

log = logging.getLogger("host")

DEATHS, DEATHS_WITHIN_S = 3, 1800.0
RESTART_EVERY_S = 10.0
TIMEOUT_GRACE_S = 2.0
# until then the host sends what it has to a process that is gone, and fails; later it waits for the next one
UNNOTICED_S = 0.5

# the same modules from the same places as in this process, however it was started
_CODE = "import sys; sys.path[:] = {path!r}; from dev.host.child import main; main()"


class WorkerDied(Exception):
    """The worker process ended while the function ran in it."""


class FunctionFailed(Exception):
    """The function raised; the message is its traceback."""


class _Process:
    """One worker process."""

    def __init__(self, child: asyncio.subprocess.Process, connection: socket.socket) -> None:
        self.child = child
        self._connection = connection
        self._pending: dict[str, asyncio.Future[frames.Outcome]] = {}
        self._has_ended = False

    @classmethod
    async def start(cls, folder: Path, levels: Levels) -> "_Process":
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", "-c", _CODE.format(path=sys.path)]
        with theirs:
            child = await asyncio.create_subprocess_exec(
                *(*command, str(theirs.fileno()), str(folder), str(os.getpid()), levels.text()),
                pass_fds=[theirs.fileno()],
                stdout=sys.stderr,
            )
        return cls(child, ours)

    async def functions(self) -> list[Function]:
        """What the app declares; raises EOFError when it cannot be loaded."""
        self._reader, self._writer = await asyncio.open_connection(sock=self._connection)
        functions: list[Function] = await frames.read(self._reader)
        return functions

    async def serve(self) -> None:
        """Take outcomes until the process is gone; then all that ran in it has failed."""
        with contextlib.suppress(EOFError):
            while True:
                outcome = await frames.read(self._reader)
                waiting = self._pending.pop(outcome.id, None)
                # nobody waits any more for a function that took too long
                if waiting and not waiting.done():
                    waiting.set_result(outcome)
        self._has_ended = True
        self._writer.close()
        status = await self.child.wait()
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(WorkerDied(f"the worker process exited with code {status}"))
        self._pending.clear()

    def send(self, invocation: frames.Invocation) -> asyncio.Future[frames.Outcome]:
        if self._has_ended:
            raise WorkerDied("Did not find any initialized language workers.")
        waiting: asyncio.Future[frames.Outcome] = asyncio.get_running_loop().create_future()
        self._pending[invocation.id] = waiting
        frames.write(self._writer, invocation)
        return waiting

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.child.kill()


class Worker:
    """Runs functions in a process of their own."""

    def __init__(self, folder: Path, timeout_s: float | None, levels: Levels) -> None:
        self._folder, self._timeout_s, self._levels = folder, timeout_s, levels
        self._process: _Process | None = None
        self._is_there = asyncio.Event()
        self._killed: set[_Process] = set()
        self._in_flight = 0
        # set while nothing runs
        self.idle = asyncio.Event()
        self.idle.set()

    async def start(self) -> list[Function]:
        """The app's functions; raises StartError when the app cannot be loaded, after the process said why."""
        process = await _Process.start(self._folder, self._levels)
        try:
            functions = await process.functions()
        except EOFError:
            raise StartError("the app cannot be loaded, for the reason above") from None
        self._use(process)
        return functions

    def _use(self, process: _Process) -> None:
        self._process = process
        self._is_there.set()

    async def keep(self) -> None:
        """Start another process for each that ends; raises Recycled at the third death within half an hour."""
        deaths: list[float] = []
        restarted_at = -RESTART_EVERY_S
        while True:
            assert self._process is not None
            await self._process.serve()
            now = time.monotonic()
            if self._process not in self._killed:
                log.error("Language Worker Process exited. Pid=%d.", self._process.child.pid)
                deaths = [at for at in deaths if now - at < DEATHS_WITHIN_S] + [now]
            if len(deaths) >= DEATHS:
                raise Recycled("Exceeded language worker restart retry count: shutting down, to be started again")
            await asyncio.sleep(UNNOTICED_S)
            self._is_there.clear()
            await asyncio.sleep(restarted_at + RESTART_EVERY_S - time.monotonic())
            restarted_at = time.monotonic()
            process = await _Process.start(self._folder, self._levels)
            # one that cannot load the app any more ends at once, and counts as a death
            with contextlib.suppress(EOFError):
                await process.functions()
            self._use(process)

    async def run(self, function: Function, argument: dict[str, Any], reason: str) -> Any:
        """The function's result, or raises how it failed; waits for a process where there is none."""
        invocation = frames.Invocation(str(uuid.uuid4()), function.name, argument)
        started = time.monotonic()
        about = {"function": function.name}
        log.info("Executing 'Functions.%s' (%s, Id=%s)", function.name, reason, invocation.id, extra=about)
        self._in_flight += 1
        self.idle.clear()
        try:
            result = await self._outcome(invocation)
        except (FunctionFailed, WorkerDied, TimeoutError) as error:
            # the traceback that matters is in the text
            log.error("Exception while executing function: Functions.%s: %s", function.name, error, extra=about)  # noqa: TRY400
            self._say_ended("Failed", invocation, started)
            raise
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self.idle.set()
        self._say_ended("Succeeded", invocation, started)
        return result

    @staticmethod
    def _say_ended(how: str, invocation: frames.Invocation, started: float) -> None:
        seconds, about = time.monotonic() - started, {"function": invocation.function}
        text = "Executed 'Functions.%s' (%s, Id=%s, %.3f s)"
        log.info(text, invocation.function, how, invocation.id, seconds, extra=about)

    async def _outcome(self, invocation: frames.Invocation) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._is_there.wait()
                assert self._process is not None
                process = self._process
                outcome = await process.send(invocation)
        except TimeoutError:
            await self._end_overdue(invocation)
            raise TimeoutError(f"Timeout value of {self._timeout_s} s was exceeded by the function") from None
        if outcome.traceback:
            raise FunctionFailed(outcome.traceback)
        return outcome.result

    async def _end_overdue(self, invocation: frames.Invocation) -> None:
        """Functions cannot be ended; their process can, and what else runs in it goes with it."""
        process = self._process
        log.error("Timeout value of %s s exceeded by function '%s'", self._timeout_s, invocation.function)
        await asyncio.sleep(TIMEOUT_GRACE_S)
        if process is not None and process not in self._killed and process is self._process:
            log.error("A function timeout has occurred. Restarting worker process executing '%s'", invocation.function)
            self._killed.add(process)
            process.kill()

    def kill(self) -> None:
        """End the process, with all that runs in it."""
        if self._process is not None:
            self._process.kill()
