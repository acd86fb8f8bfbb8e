"""One host of the scene, as the platform treats it: started again whenever it was killed or ended."""

import asyncio
import contextlib
import os
import signal

from dev.parts import Host
from dev.process import Part
from tests.processes import below, is_worker

FIRST_START_S = 600.0
STARTS = 5


class OneHost:
    """One host process that is started again whenever it was killed or ended."""

    def __init__(self, number, folder, env, times, kind):
        self._arguments = (kind.command, "--app", str(folder), "--port", "0")
        if kind is Host.STAND_IN:
            self._arguments += ("--crash-visibility-s", str(times.hidden_after_crash_s))
        self._env = env
        self._kind = kind
        self.log = folder.parent / f"host-{number}.log"
        self.part = None
        self.ends = 0
        self.busy = asyncio.Lock()

    async def start(self):
        """A host that meets a fault of its storage while it starts ends, as Microsoft's does, and is started again."""
        for left in reversed(range(STARTS)):
            with contextlib.suppress(RuntimeError) if left else contextlib.nullcontext():
                self.part = await asyncio.to_thread(
                    Part, self._arguments, env=self._env, log=self.log, timeout_s=FIRST_START_S
                )
                break

    async def kill(self):
        async with self.busy:
            await asyncio.to_thread(self.part.kill)
            await self.start()

    async def kill_worker(self):
        """kill -9 what runs the functions and leave the host; in the stand-in that is one process."""
        if self._kind is Host.STAND_IN:
            await self.kill()
            return
        async with self.busy:
            for pid in filter(is_worker, below(self.part.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def tend(self):
        """As the platform does: start a host again that ended by itself."""
        while True:
            await asyncio.sleep(0.5)
            async with self.busy:
                if self.part.has_ended:
                    self.ends += 1
                    await self.start()

    async def pause(self, seconds):
        async with self.busy:
            self.part.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.part.signal(signal.SIGCONT)

    async def stop(self):
        if self.part:
            await asyncio.to_thread(self.part.stop)
