"""Pure: a date, a time and an offset as FHIR dateTime (https://hl7.org/fhir/R4/datatypes.html#dateTime).

DICOM and R4 have instants that servers cannot hold: a leap second, and what is in another year of the calendar by UTC,
before the first or after the last. Microsoft's server refuses a resource that has one (.NET's DateTimeOffset). The date
alone is the nearest that all servers take.
"""

import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from shared.dicom.values import Attributes

FULL_DATE_LENGTH = len("2021-03-01")
SECONDS = slice(len("10:15:"), len("10:15:30"))
LEAP_SECOND = "60"


def date_time(attributes: Attributes, date_keyword: str, time_keyword: str, default_zone: str) -> str | None:
    """DA and TM as one dateTime.

    A time needs a zone: TimezoneOffsetFromUTC, else the default zone (a name or ±HH:MM), else the date stands alone.
    """
    date = attributes.date(date_keyword)
    time = attributes.time(time_keyword)
    if date is None or time is None or len(date) < FULL_DATE_LENGTH:
        return date
    offset = attributes.utc_offset() or _offset_in(default_zone, f"{date}T{time[:5]}")
    if not offset:
        return date
    if time[SECONDS] == LEAP_SECOND:
        attributes.find(time_keyword, "leap-second")
        return date
    if not _is_in_calendar(f"{date}T{time}{offset}"):
        attributes.find(date_keyword, "out-of-range")
        return date
    return f"{date}T{time}{offset}"


def earliest(texts: Iterable[str]) -> str | None:
    """The earliest of several dateTimes; as they are written, unless all have a time and so a zone."""
    found = list(texts)
    if all("T" in text for text in found):
        return min(found, key=datetime.fromisoformat, default=None)
    return min(found)


def is_before(one: str, other: str) -> bool:
    """Whether a dateTime is before another one, as far as both say it: by the instant, else by the date.

    Either may be somebody else's, and any text.
    """
    if "T" in one and "T" in other:
        with contextlib.suppress(ValueError, TypeError):  # second 60; one without a zone
            return datetime.fromisoformat(one) < datetime.fromisoformat(other)
    length = min(len(one), len(other), FULL_DATE_LENGTH)
    return one[:length] < other[:length]


def _is_in_calendar(text: str) -> bool:
    """Whether a dateTime is in the years 1 to 9999 by UTC, too."""
    try:
        datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        return False
    return True


def _offset_in(zone: str, local: str) -> str | None:
    if not zone:
        return None
    if zone[0] in "+-":
        return zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    offset = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).strftime("%z")
    return f"{offset[:3]}:{offset[3:5]}"
