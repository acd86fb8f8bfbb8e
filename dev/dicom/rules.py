"""Which values are invalid for version 2 of the interface (fo-dicom 5.1: DicomValidation.cs).

A rule answers with what is wrong with one value, or None.
"""

import re
from collections.abc import Callable
from datetime import date

from pydicom.datadict import dictionary_description, dictionary_VM

Rule = Callable[[str], str | None]

_UID = re.compile(r"[0-9.]*[0-9]")
_DA = re.compile(r"\d{8}")
_TM = re.compile(r"\d{2}|\d{4}|\d{6}(\.\d{1,6})?")
_DT = re.compile(r"\d{4}|\d{6}|\d{8}|\d{10}|\d{12}|\d{14}(\.\d{1,6})?")
_OFFSET = re.compile(r"\d{4}")
_AGE = re.compile(r"\d\d\d[DWMY]")
_CODE = re.compile(r"[A-Z0-9_ ]*")
_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?((\d+(\.\d*)?)|(\.\d+))([eE][-+]?\d+)?")
_CONTROL = re.compile(r"[\x00-\x1a\x1c-\x1f\x7f-\x9f]")  # all but ESC
_INT32 = 2**31
TOO_LONG = "value exceeds maximum length of {} characters"
# where a value ends in zero bytes, these are checked as one text without them
# what the library trims before it complains
_SHOWN: dict[str, Callable[[str], str]] = {
    "DS": str.strip,
    "IS": lambda value: value.strip(" "),
    "UI": lambda value: value.rstrip(" "),
}
_UNCOUNTED = frozenset({"LT", "ST", "UC", "UR", "UT"})
TEXTS = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT"})


def uid_is_valid(value: str) -> bool:
    """Digits and dots ending in a digit, at most 64; trailing spaces are tolerated (UidValidation.cs)."""
    value = value.rstrip(" ")
    return len(value) <= 64 and _UID.fullmatch(value) is not None


def is_date(value: str) -> bool:
    """Whether a text is a day of the calendar, written with eight digits."""
    try:
        return _DA.fullmatch(value) is not None and bool(date.fromisoformat(value))
    except ValueError:
        return False


def has_control(value: str) -> bool:
    """Whether a text holds a control character other than ESC."""
    return _CONTROL.search(value) is not None


def named(tag: str, creator: str = "") -> str:
    """A tag of eight hex digits as the library prints it; a private one with who uses it."""
    return f"({tag[:4].lower()},{tag[4:].lower()}{creator and ':' + creator})"


def missing(tag: str) -> str:
    """What is wrong with a required attribute that is not there."""
    return f"The required tag '{named(tag)}' is missing."


def comment(tag: str, wrong: str, creator: str = "") -> str:
    """What an answer says about an attribute; it quotes values, patient data, as the service does."""
    return f"DICOM100: {named(tag, creator)} - {wrong}"


def problem(vr: str, text: str, values: list[str]) -> str | None:
    """What is wrong with a text element, or None: `text` is the whole of it, `values` its values."""
    rule = RULES.get(vr)
    if rule is None:
        return None
    if vr in TEXTS and text.endswith("\0"):
        values = [text.rstrip("\0")]
    found = ((value, wrong) for value in values if (wrong := rule(value)))
    shown = _SHOWN.get(vr, str)
    return next((f'Content "{shown(value)}" does not validate VR {vr}: {wrong}' for value, wrong in found), None)


def wrong_number(tag: int, vr: str, count: int) -> str | None:
    """What is wrong with the number of values of an attribute of the dictionary, or None."""
    if not count or vr in _UNCOUNTED or (tag >> 16) % 2:
        return None
    try:
        parts = dictionary_VM(tag).replace(" or ", "-").split("-")[:2]
    except KeyError:
        return None
    most = float("inf") if parts[-1].endswith("n") else int(parts[-1])
    if int(parts[0]) <= count <= most:
        return None
    allowed = parts[0] if parts[0] == parts[-1] else "-".join(parts)
    wrong = f"Number of items {count} does not match ValueMultiplicity {allowed}"
    attribute = f"{named(f'{tag:08x}')} {vr} {dictionary_description(tag)}"
    return f'Content "{attribute}" does not validate VR {vr}: {wrong}'


def _ae(value: str) -> str | None:
    if len(value) > 16:
        return TOO_LONG.format(16)
    if not value.strip():
        return "value may not consist only of spaces"
    odd = "\\" in value or "\x1b" in value or has_control(value)
    return "value contains invalid control character" if odd else None


def _as(value: str) -> str | None:
    return None if not value or _AGE.fullmatch(value) else "value does not have pattern 000[DWMY]"


def _cs(value: str) -> str | None:
    if len(value) > 16:
        return TOO_LONG.format(16)
    text = "value contains invalid character. Only uppercase character, digits, space and underscore alre allowed"
    return None if _CODE.fullmatch(value) else text


def _da(value: str) -> str | None:
    parts = value.split("-")
    if len(parts) > 2:
        return "value contains too many range separators '-'"
    return next((wrong for part in parts if (bare := part.rstrip(" ")) and (wrong := _date(bare))), None)


def _date(text: str) -> str | None:
    if not _DA.fullmatch(text):
        return "one of the date values does not match the pattern YYYYMMDD"
    if int(text[4:6]) > 12:
        return "month component exceeds the value 12"
    return "day component exceeds the value 31" if int(text[6:8]) > 31 else None


def _ds(value: str) -> str | None:
    if len(value) > 16:
        return TOO_LONG.format(16)
    return None if _DECIMAL.fullmatch(value.strip()) else "value is no decimal string"


def _is(value: str) -> str | None:
    if not value:
        return None
    if not _INTEGER.fullmatch(value.strip(" ")):
        return "value is not an integer string"
    return None if -_INT32 <= int(value) < _INT32 else "value too large to fit 32 bit integer"


def _tm(value: str) -> str | None:
    parts = value.split("-")
    if len(parts) > 2:
        return "value contains too many range separators '-'"
    return next((wrong for part in parts if (bare := part.rstrip(" ")) and (wrong := _time(bare))), None)


def _time(text: str) -> str | None:
    if not _TM.fullmatch(text):
        return "value does not mach pattern HH or HHMM or HHMMSS or HHMMSS.F{1-6}"
    return _clock(text, "hour")


def _clock(text: str, hours: str) -> str | None:
    limits = ((hours, 23), ("minutes", 59), ("seconds", 60))
    parts = zip(limits, (text[0:2], text[2:4], text[4:6]), strict=True)
    return next((f"{name} component exceeds {most}" for (name, most), part in parts if part and int(part) > most), None)


def _dt(value: str) -> str | None:
    if "-0000" in value:
        return "negative UTC hours component with value -0000 is not allowed"
    if value.strip() == "-":
        return "both dateTime components in range cannot be empty"
    parts = value.split("-")
    if len(parts) > 4:
        return "value contains too many range separators '-'"
    joined = _ranges(parts)
    if joined is None:
        return "value is in invalid range format"
    return next((wrong for part in joined if (bare := part.rstrip(" ")) and (wrong := _date_time(bare))), None)


def _ranges(parts: list[str]) -> list[str] | None:
    """The ends of a range, of which each may have a negative offset of its own."""
    if len(parts) == 4:
        return ["-".join(parts[:2]), "-".join(parts[2:])]
    if len(parts) == 2 and _is_offset(parts[1]):
        return ["-".join(parts)]
    if len(parts) == 3:
        if _is_offset(parts[1]):
            return ["-".join(parts[:2]), parts[2]]
        return [parts[0], "-".join(parts[1:])] if _is_offset(parts[2]) else None
    return parts


def _is_offset(text: str) -> bool:
    return _OFFSET.fullmatch(text) is not None and int(text) <= 1200


def _date_time(text: str) -> str | None:
    stamp, *offsets = re.split(r"[+-]", text)
    if len(offsets) > 1:
        return "value contains too many UTC separators '+' or '-'"
    if offsets and (wrong := _zone(offsets[0], positive="+" in text)):
        return wrong
    if not _DT.fullmatch(stamp):
        return "value does not mach pattern YYYY[MM[DD[HH[MM[SS[.F{1-6}]]]]]]"
    if wrong := _clock(stamp[8:14], "hours"):
        return wrong
    if stamp[6:8] and int(stamp[6:8]) > 31:
        return "day component exceeds 31"
    return "month component exceeds 12" if stamp[4:6] and int(stamp[4:6]) > 12 else None


def _zone(text: str, *, positive: bool) -> str | None:
    if not _OFFSET.fullmatch(text):
        return "value does not match the UTC pattern &ZZXX"
    if int(text[:2]) > (14 if positive else 12):
        sign, most = ("positive", 14) if positive else ("negative", 12)
        return f"{sign} UTC hours component exceeds {most} (allowed range is -1200 to +1400)"
    return "UTC minutes component exceeds 59" if int(text[2:]) > 59 else None


def _text(longest: int) -> Rule:
    def rule(value: str) -> str | None:
        if len(value) > longest:
            return TOO_LONG.format(longest)
        return "value contains invalid character" if "\\" in value or has_control(value) else None

    return rule


def _paragraphs(longest: int) -> Rule:
    return lambda value: TOO_LONG.format(longest) if len(value) > longest else None


def _pn(value: str) -> str | None:
    groups = value.split("=")
    if len(groups) > 3:
        return "value contains too many groups"
    for group in groups:
        if len(group) > 64:
            return TOO_LONG.format(64)
        if has_control(group):
            return "value contains invalid control character"
    return "value contains too many components" if any(group.count("^") > 4 for group in groups) else None


def _ui(value: str) -> str | None:
    value = value.rstrip(" ")
    if len(value) > 64:
        return TOO_LONG.format(64)
    if not re.fullmatch(r"[0-9.]*", value):
        return "value contains invalid characters other than '0'-'9' and '.'"
    if value.startswith("0") or re.search(r"\.0\d", value):
        return "components must not have leading zeros"
    empty = value.startswith(".") or ".." in value or value.endswith(".")
    return "a component can not be empty" if empty else None


RULES: dict[str, Rule] = {
    "AE": _ae,
    "AS": _as,
    "CS": _cs,
    "DA": _da,
    "DS": _ds,
    "DT": _dt,
    "IS": _is,
    "LO": _text(64),
    "LT": _paragraphs(10240),
    "PN": _pn,
    "SH": _text(16),
    "ST": _paragraphs(1024),
    "TM": _tm,
    "UI": _ui,
}
