"""One request in flight for what many ask at the same moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Shares one answer, or one failure, among all who ask before it is there; nothing is remembered afterwards.

    Whoever stops waiting, because of a deadline say, leaves the request to the others. When nobody waits any more, it
    is cancelled.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[T] | None = None
        self._waiting = 0

    async def run(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer to the request in flight; where there is none, to `ask`. Raises what the request raises."""
        if self._task is None or self._task.done():
            self._task, self._waiting = asyncio.ensure_future(_asked(ask)), 0
        task = self._task
        self._waiting += 1
        try:
            return await asyncio.shield(task)
        finally:
            if task is self._task:
                self._waiting -= 1
                if not self._waiting and not task.done():
                    self._task = None
                    task.cancel()


async def _asked(ask: Callable[[], Awaitable[T]]) -> T:
    return await ask()
