"""Pure: a date, a time and an offset as FHIR dateTime (https://hl7.org/fhir/R4/datatypes.html#dateTime)."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.dicom.values import Attributes

FULL_DATE_LENGTH = len("2021-03-01")


def date_time(attributes: Attributes, date_keyword: str, time_keyword: str, default_zone: str) -> str | None:
    """DA and TM as one dateTime.

    A time needs a zone: TimezoneOffsetFromUTC, else the default zone (a name or ±HH:MM), else the date stands alone.
    """
    date = attributes.date(date_keyword)
    time = attributes.time(time_keyword)
    if date is None or time is None or len(date) < FULL_DATE_LENGTH:
        return date
    offset = attributes.utc_offset() or _offset_in(default_zone, f"{date}T{time[:5]}")
    return f"{date}T{time}{offset}" if offset else date


def earliest(texts: Iterable[str]) -> str | None:
    """The earliest of several dateTimes; as they are written, unless all have a time and so a zone."""
    found = list(texts)
    if all("T" in text for text in found):
        # Python has no leap second
        return min(found, key=lambda text: datetime.fromisoformat(text.replace(":60", ":59")), default=None)
    return min(found)


def _offset_in(zone: str, local: str) -> str | None:
    if not zone:
        return None
    if zone[0] in "+-":
        return zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    offset = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).strftime("%z")
    return f"{offset[:3]}:{offset[3:5]}"
