"""Bound what all passes of a process hold of answers at once, in bytes.

Each pass has an allowance that nobody waits for. A pass that needs more takes the one large place of the process and
keeps it to its end. Whoever has it waits for nothing here, so that no two passes can wait for one another.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from shared.errors import NoRoom

MEBIBYTE = 1024 * 1024
# as `size_of` counts; the metadata of about a thousand CT instances
ALLOWANCE = 64 * MEBIBYTE
# a whole study is read and written in less; after that the message goes back to the queue
LONGEST_WAIT_S = 90.0
ASK_AGAIN_S = 30.0


class Held:
    """What one pass holds. has_large: it has the large place."""

    def __init__(self, large: asyncio.Lock) -> None:
        self._large = large
        self._taking = asyncio.Lock()
        self.size = 0
        self.has_large = False

    async def add(self, size: int) -> None:
        """Hold so much more; raises as `take_large`."""
        self.size += size
        if self.size > ALLOWANCE:
            await self.take_large()

    async def take_large(self, wait_s: float | None = None) -> None:
        """Have the large place; with a wait of 0 only if it is free. Raises NoRoom where it stays taken."""
        wait_s = LONGEST_WAIT_S if wait_s is None else wait_s
        try:
            async with asyncio.timeout(wait_s), self._taking:  # several reads of one pass want it at once
                if not self.has_large:
                    await self._large.acquire()
                    self.has_large = True
        except TimeoutError:
            text = "other large studies hold the memory of this worker"
            raise NoRoom(text, retry_after_s=ASK_AGAIN_S) from None

    def leave(self) -> None:
        """The pass holds nothing any more."""
        if self.has_large:
            self.has_large = False
            self._large.release()


# of the pass that runs; reads that it makes at once inherit it
HELD: ContextVar[Held | None] = ContextVar("held", default=None)


class Room:
    """One per worker process."""

    def __init__(self) -> None:
        self._large = asyncio.Lock()

    @asynccontextmanager
    async def of_pass(self) -> AsyncIterator[Held]:
        """Whatever is read within counts as held until the end."""
        held = Held(self._large)
        before = HELD.set(held)
        try:
            yield held
        finally:
            HELD.reset(before)
            held.leave()


def size_of(text: bytes) -> int:
    """Bytes that a JSON text and what is decoded of it take at most, roughly: tests compare it with Python's own count.

    It is asked before anything is decoded: 256 MiB of `[{},{}…]` would take 6 GB.
    """
    containers = 190 * text.count(b"{") + 110 * text.count(b"[")
    values = 30 * text.count(b'"') + 36 * text.count(b",")
    return containers + values + len(text) * (2 if text.isascii() else 6)
