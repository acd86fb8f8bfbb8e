"""Pure: a DT value (PS3.5 6.2) as the date, the time and the offset it is made of, each to be read as such."""

import re

from shared.dicom.values import Dataset, tag_of

# as far as the parts can be told apart; whether they are a date, a time and an offset is for their readers to say
PARTS = re.compile(r"(\d{8}|\d{6}|\d{4})([^+\-]*)([+-].*)?", re.ASCII | re.DOTALL)


def date_time_parts(text: str, default_offset: str | None) -> Dataset:
    """ContentDate, ContentTime and TimezoneOffsetFromUTC of a DT value; the offset (±HH:MM) where it has none."""
    found = PARTS.fullmatch(text)
    date, time, offset = found.groups() if found else (text, "", None)
    parts = {
        "ContentDate": date,
        "ContentTime": time,
        "TimezoneOffsetFromUTC": offset or (default_offset or "").replace(":", ""),
    }
    return {tag_of(keyword): {"Value": [part]} for keyword, part in parts.items() if part}
