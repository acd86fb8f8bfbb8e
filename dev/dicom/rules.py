"""Which values of text VRs are invalid, as fo-dicom validates them (PS3.5 section 6.2).

A rule answers with what is wrong, or None. Values never appear in the answer.
"""

import re
from collections.abc import Callable
from datetime import date

Rule = Callable[[str], str | None]

_UID = re.compile(r"[0-9.]*[0-9]")
_CODE = re.compile(r"[A-Z0-9_ ]*")
_AGE = re.compile(r"\d{3}[DWMY]")
_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d|60)?)?(?<=\d{2})(\.\d{1,6})? *")
_DATE_TIME = re.compile(r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})? *")
_INTEGER = re.compile(r" *[+-]?\d+ *")
_DECIMAL = re.compile(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *")
_CONTROL = re.compile(r"[\x00-\x1a\x1c-\x1f]")
_PARAGRAPH_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def uid_is_valid(value: str) -> bool:
    """Digits and dots ending in a digit, at most 64; trailing spaces are tolerated (UidValidation.cs)."""
    value = value.rstrip(" ")
    return len(value) <= 64 and _UID.fullmatch(value) is not None


def problem(vr: str, values: list[str]) -> str | None:
    """What is wrong with the values of one element; trailing NULs are tolerated, an empty decimal string is not."""
    rule = RULES.get(vr)
    if rule is None:
        return None
    found = (rule(bare) for value in values if (bare := value.rstrip("\0")) or vr == "DS")
    return next((text for text in found if text), None)


def _pattern(pattern: re.Pattern[str], longest: int, text: str) -> Rule:
    def rule(value: str) -> str | None:
        return None if len(value) <= longest and pattern.fullmatch(value) else text

    return rule


def _text(longest: int, control: re.Pattern[str]) -> Rule:
    def rule(value: str) -> str | None:
        if len(value) > longest:
            return f"Value exceeds the maximum length of {longest} characters."
        return "Value contains invalid characters." if control.search(value) else None

    return rule


def _date(value: str) -> str | None:
    try:
        if _DATE.fullmatch(value):
            date(int(value[:4]), int(value[4:6]), int(value[6:]))
            return None
    except ValueError:
        pass
    return "Value is not a valid date."


def _uid(value: str) -> str | None:
    return None if uid_is_valid(value) else "Value is not a valid UID."


def _name(value: str) -> str | None:
    groups = value.split("=")
    if len(groups) > 3:
        return "Value has more than three component groups."
    if any(len(group) > 64 for group in groups):
        return "Value exceeds the maximum length of 64 characters in a component group."
    if any(group.count("^") > 4 for group in groups):
        return "Value has more than five components."
    return "Value contains invalid characters." if _CONTROL.search(value) else None


RULES: dict[str, Rule] = {
    "AE": _text(16, _CONTROL),
    "AS": _pattern(_AGE, 4, "Value is not a valid age."),
    "CS": _pattern(_CODE, 16, "Value is not a valid code string."),
    "DA": _date,
    "DS": _pattern(_DECIMAL, 16, "Value is not a valid decimal string."),
    "DT": _pattern(_DATE_TIME, 26, "Value is not a valid date and time."),
    "IS": _pattern(_INTEGER, 12, "Value is not a valid integer string."),
    "LO": _text(64, _CONTROL),
    "LT": _text(10240, _PARAGRAPH_CONTROL),
    "PN": _name,
    "SH": _text(16, _CONTROL),
    "ST": _text(1024, _PARAGRAPH_CONTROL),
    "TM": _pattern(_TIME, 14, "Value is not a valid time."),
    "UI": _uid,
}
