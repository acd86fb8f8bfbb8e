"""Repetition within one call: short, jittered, only of what is safe to repeat. And how long a server asks to wait."""

import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import stamina

from shared.errors import TransientError, VersionConflict

REPEATS = 3
REPEAT_WAIT_S = 0.2
REPEAT_WAIT_MAX_S = 2.0
# codes of errors that seconds do not mend: an answer that took too long, and one that is more than can be held
INCOMPLETE = "incomplete-answer"
TOO_LARGE = "answer-too-large"
# that is waited for because a server asks for it; a worker that waited longer would stand still for all its studies
LONGEST_WAIT_S = 15 * 60.0

# of every client of Microsoft's libraries. By themselves they repeat a request for minutes, wait as long as any header
# says, and a redirect they follow with the body, which holds rows, messages or the proof of who the app is. For a
# connection, and for each part of an answer, they wait 300 s
SDK_OPTIONS: dict[str, Any] = {
    "retry_total": 0,
    "permit_redirects": False,
    "connection_timeout": 10,
    "read_timeout": 30,
}

T = TypeVar("T")


async def repeated(call: Callable[[], Awaitable[T]], kind: type[TransientError] = TransientError) -> T:
    """Run a call that is safe to repeat after such errors; again when it fails for a moment, seconds at most."""
    async for attempt in stamina.retry_context(
        on=lambda error: isinstance(error, kind) and _worth_repeating(error),
        attempts=REPEATS,
        wait_initial=REPEAT_WAIT_S,
        wait_max=REPEAT_WAIT_MAX_S,
        wait_jitter=REPEAT_WAIT_S,
    ):
        with attempt:
            return await call()
    raise AssertionError("unreachable: stamina returns or raises")


def _worth_repeating(error: TransientError) -> bool | float:
    """Whether, or after how many seconds. Longer waits are for the queue."""
    if isinstance(error, VersionConflict) or error.code in (INCOMPLETE, TOO_LARGE):
        return False
    if error.retry_after_s is None:
        return True
    if error.retry_after_s > REPEAT_WAIT_MAX_S:
        return False
    # all who were told the same would come back at the same moment
    return max(error.retry_after_s, REPEAT_WAIT_S) * random.uniform(1.0, 1.25)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds a server asks to wait: `x-ms-retry-after-ms`, or Retry-After, seconds or a date (RFC 9110, 10.2.3).

    `headers` finds a name in any case. A value that cannot be read is ignored; a wait is cut to `LONGEST_WAIT_S`.
    """
    milliseconds = headers.get("x-ms-retry-after-ms", "").strip()
    if milliseconds.isdecimal():
        return min(int(milliseconds[:12]) / 1000, LONGEST_WAIT_S)
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:12]), LONGEST_WAIT_S)
    try:
        wait_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        return min(max(0.0, wait_s), LONGEST_WAIT_S)
    except (ValueError, TypeError, OverflowError):
        return None
