"""The one place that reads the time, and the one text form of an instant.

The service prints .NET's DateTimeOffset: trailing zeros of the fraction trimmed, the offset as +00:00 and never as Z.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


def text(at: datetime) -> str:
    """An instant as the change feed prints it."""
    fraction = f".{at.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}{fraction}+00:00"


def parse(value: str) -> datetime | None:
    """An ISO 8601 instant that names its zone, else None."""
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo else None
