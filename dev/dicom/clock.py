"""The one place that reads the time, and the one text form of an instant.

The service prints .NET's DateTimeOffset: trailing zeros of the fraction trimmed, the offset as +00:00 and never as Z.
"""

import re
from datetime import UTC, datetime

EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)")


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


def text(at: datetime) -> str:
    """An instant as the change feed prints it."""
    fraction = f".{at.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}{fraction}+00:00"


def parse(value: str) -> datetime | None:
    """An ISO 8601 instant in its extended form with a zone; for anything else, or after the year 9999, None."""
    if not _INSTANT.fullmatch(value):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at <= LATEST else None
