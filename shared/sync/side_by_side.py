"""Calls that run at once. All of them end before the first error is raised: nothing goes on that nobody waits for."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar, cast

A = TypeVar("A")
B = TypeVar("B")


async def all_of(calls: Iterable[Awaitable[A]]) -> list[A]:
    """Their results, in order."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast("list[A]", results)


async def both(one: Awaitable[A], other: Awaitable[B]) -> tuple[A, B]:
    """The results of two."""
    found = await all_of([cast("Awaitable[object]", one), cast("Awaitable[object]", other)])
    return cast("A", found[0]), cast("B", found[1])
