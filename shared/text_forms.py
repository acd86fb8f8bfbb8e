"""Pure: the text forms of settings, as .NET reads them: time spans, booleans, URLs; and timer schedules."""

import ipaddress
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

TIME_SPAN = re.compile(
    r"(?:(?P<days>\d{1,8})\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2})(?:\.(?P<ticks>\d{1,7}))?)?",
    re.ASCII,
)
# NCRONTAB: `*`, a value, a range, each with a step; names of months and days have three letters
PART = re.compile(r"(?:(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d?))?", re.ASCII)
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {name: number for number, name in enumerate(MONTH_NAMES, 1)}
WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
CRON_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    *((0, 59, {}), (0, 59, {}), (0, 23, {})),
    *((1, 31, {}), (1, 12, MONTHS), (0, 6, WEEKDAYS)),
)
ABSOLUTE_URI = re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.ASCII | re.IGNORECASE)
DAYS = re.compile(r"\d{1,8}", re.ASCII)
MOST_DAYS = 10_675_199  # TimeSpan.MaxValue


def parse_time_span(text: str) -> timedelta:
    """`[d.]hh:mm[:ss[.fffffff]]`, or a bare number of days; ValueError for anything else."""
    found = TIME_SPAN.fullmatch(text.strip())
    parts = {name: part or "0" for name, part in found.groupdict().items()} if found else {}
    if DAYS.fullmatch(text.strip()):
        parts = {"days": text.strip(), "hours": "0", "minutes": "0", "seconds": "0", "ticks": "0"}
    units = {name: int(part) for name, part in parts.items()}
    if not units or units["hours"] > 23 or units["minutes"] > 59 or units["seconds"] > 59 or units["days"] > MOST_DAYS:
        raise ValueError("must be a time span such as 00:10:00 or 7.00:00:00")
    microseconds = int(parts["ticks"].ljust(7, "0")) // 10
    whole = {name: units[name] for name in ("days", "hours", "minutes", "seconds")}
    return timedelta(**whole, microseconds=microseconds)


def parse_boolean(value: Any) -> Any:
    """.NET's booleans: true or false in any case."""
    if isinstance(value, bool):
        return value
    if str(value).strip().lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return str(value).strip().lower() == "true"


def parse_partition_systems(text: str) -> dict[str, str]:
    """A JSON object: the system of patient identifiers of each data partition, whose names ignore case; ValueError for
    anything else. The names are answered in lower case.
    """
    wrong = ValueError('must be a JSON object of data partitions and systems, such as {"clinic-a": "urn:oid:1.2.3"}')
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(pairs, _Pairs):
        raise wrong
    for name, system in pairs:
        if not all(isinstance(part, str) and re.fullmatch(r"\S+", part) for part in (name, system)):
            raise wrong
        if not ABSOLUTE_URI.fullmatch(system):
            raise wrong
    found = {name.lower(): system for name, system in pairs}
    if len(found) < len(pairs):
        raise ValueError("must name each data partition once")
    return found


def check_system(text: str) -> str:
    """The system of an identifier: an absolute URI (R4, Identifier.system), or empty for none; ValueError otherwise."""
    if text and not ABSOLUTE_URI.fullmatch(text):
        raise ValueError(
            "must be a URI such as urn:oid:1.2.3 or https://hospital.example.org/patients; if Patients already have "
            "the present value, name it in Patient__FormerSystemIds"
        )
    return text


def parse_addresses(text: Any) -> tuple[str, ...]:
    """A JSON list of URLs; ValueError for anything else."""
    rule = 'must be a JSON list of absolute URLs without credentials or query, such as ["https://old.example.org"]'
    try:
        return tuple(parse_url(one) for one in _texts(text, rule))
    except ValueError:
        raise ValueError(rule) from None


def parse_systems(text: Any) -> tuple[str, ...]:
    """A JSON list of identifier systems, of which one may be empty; ValueError for anything else."""
    rule = 'must be a JSON list of systems, such as ["urn:oid:1.2.3"] or, for one that was not set, [""]'
    found = _texts(text, rule)
    if not all(re.fullmatch(r"\S*", one) for one in found):
        raise ValueError(rule)
    return found


def _texts(text: Any, rule: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):  # TypeError: names with `__0` behind them, as .NET has lists
        raise ValueError(rule) from None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(rule)
    return tuple(found)


class _Pairs(list[tuple[str, Any]]):
    """Members of a JSON object."""


def parse_url(value: Any) -> Any:
    """An absolute http(s) URL without credentials, query or fragment."""
    text = str(value).strip()
    wrong = ValueError("must be an absolute URL such as https://host/path, without credentials or query")
    try:
        url = urlsplit(text)
        is_whole = url.scheme.lower() in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        raise wrong from None
    if not is_whole or re.search(r"[\s?#@\\]", text):
        raise wrong
    return text


def check_secure(url: str) -> str:
    """The URL, if what is sent to it can be read by nobody on the way; ValueError otherwise."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "https" and not _is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https://")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_schedule(text: str) -> str:
    """A timer schedule that the Functions host can read; ValueError otherwise.

    NCRONTAB of six fields (five: without seconds), a time span, or the name of a setting as `%NAME%`, which only the
    host resolves. The host takes a range that goes down (22-2) the other way round, so it is refused.
    """
    fields = text.split()
    if "%" in text:
        return text
    try:
        is_right = (
            bool(parse_time_span(text))
            if len(fields) == 1
            else len(fields) in (5, 6) and all(map(_is_cron_field, reversed(fields), reversed(CRON_FIELDS)))
        )
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError("must be an NCRONTAB of six fields such as 0 */5 * * * *")
    return text


def _is_cron_field(text: str, allowed: tuple[int, int, dict[str, int]]) -> bool:
    lowest, highest, names = allowed

    def number(word: str) -> int:
        return int(word) if word.isdecimal() else names.get(word.lower(), -1)

    for part in text.split(","):
        found = PART.fullmatch(part)
        if found is None:
            return False
        if found["all"]:
            continue
        first = number(found["first"])
        last = number(found["last"]) if found["last"] else first
        if not lowest <= first <= last <= highest:
            return False
    return True


def schedule_for(interval: timedelta) -> str | None:
    """The six-field NCRONTAB that fires at this interval, or None: cron only counts within a minute, hour or day."""
    if interval.microseconds:
        return None
    seconds = int(interval.total_seconds())
    if 0 < seconds < 60 and 60 % seconds == 0:
        return f"*/{seconds} * * * * *"
    minutes, rest = divmod(seconds, 60)
    if not rest and 0 < minutes < 60 and 60 % minutes == 0:
        return f"0 */{minutes} * * * *"
    hours, rest = divmod(seconds, 3600)
    if not rest and 0 < hours < 24 and 24 % hours == 0:
        return f"0 0 */{hours} * * *"
    return "0 0 0 * * *" if interval == timedelta(days=1) else None
