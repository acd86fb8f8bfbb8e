"""Ask each service whether it answers, all at once: for `/api/health` and for the status line."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import Misconfigured, SyncError, Unavailable

TIMEOUT_S = 10.0
OK = "ok"

Check = Callable[[], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Checks:
    """What there is to ask.

    services: a check for each service by its name; it returns fields for the answer, or raises what is wrong.
    unknown_settings: a sentence for each setting that nothing reads.
    """

    services: Mapping[str, Check]
    unknown_settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What is wrong, by the name of the service, and the fields of all services that answered."""

    errors: Mapping[str, SyncError]
    fields: Mapping[str, Any]


async def ask(services: Mapping[str, Check]) -> Answers:
    """Ask all services at once; none longer than `TIMEOUT_S`."""
    errors: dict[str, SyncError] = {}
    fields: dict[str, Any] = {}

    async def one(name: str, check: Check) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                fields.update(await check())
        except SyncError as error:
            errors[name] = error
        except TimeoutError:
            errors[name] = Unavailable(f"no answer about {name} within {TIMEOUT_S:.0f} s")

    await asyncio.gather(*(one(name, check) for name, check in services.items()))
    return Answers(errors, fields)


def state_of(error: SyncError | None) -> str:
    """`ok`; `misconfigured:` and the code where somebody has to act; `failing:` and the code where it may pass."""
    if error is None:
        return OK
    kind = "misconfigured" if isinstance(error, Misconfigured) else "failing"
    return f"{kind}:{error.code}"
