"""Decoded values to one attribute of DICOM JSON, as the service's converter writes it (PS3.18 annex F; fo-dicom fork).

DS, IS, SV and UV become numbers when every value of the element parses, and stay text altogether when one does not.
What the converter cannot write raises Unwritable, and the store of the instance fails.
"""

import math
import re
import struct
from collections.abc import Callable
from typing import Any

from dev.dicom.model import Element

_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INT32 = 2**31
# longer decimal strings are rounded to the digits that fit again
_DS_LENGTH, _DS_DIGITS = 16, 11


class Unwritable(Exception):
    """The value has no form in the service's JSON."""


def element(vr: str, values: list[Any]) -> Element:
    """One attribute; without values it is just its VR."""
    if not values:
        return {"vr": vr}
    return {"vr": vr, "Value": _WRITERS.get(vr, _plain)(values)}


def _plain(values: list[Any]) -> list[Any]:
    return [None if value == "" else value for value in values]


def _numbers_or_text(parse: Callable[[str], float | None]) -> Callable[[list[Any]], list[Any]]:
    def write(values: list[Any]) -> list[Any]:
        numbers = [parse(value.strip(" \0")) if value != "" else None for value in values]
        failed = any(number is None and value != "" for number, value in zip(numbers, values, strict=True))
        return _plain(values) if failed else numbers

    return write


def _integer(text: str) -> int | None:
    value = int(text) if _INTEGER.fullmatch(text) else None
    return value if value is not None and -_INT32 <= value < _INT32 else None


def _decimal(text: str) -> float | None:
    if not _DECIMAL.fullmatch(text):
        return None
    if _INTEGER.fullmatch(text) and len(text) <= _DS_LENGTH:
        return int(text)
    value = float(text)
    if len(text) > _DS_LENGTH:
        value = float(f"{value:.{_DS_DIGITS}g}")
    return value if math.isfinite(value) else None


def _singles(values: list[Any]) -> list[Any]:
    return ["NaN" if math.isnan(value) else _shortest(value) for value in values]


def _shortest(value: float) -> float:
    """The shortest decimal that is the same 32-bit float, as .NET prints it."""
    if math.isinf(value):
        raise Unwritable
    exact = struct.pack("<f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in (6, 7, 8, 9))
    return next((short for short in candidates if struct.pack("<f", short) == exact), value)


def _doubles(values: list[Any]) -> list[Any]:
    if not all(math.isfinite(value) for value in values):
        raise Unwritable
    return values


def _names(values: list[Any]) -> list[Any]:
    return [_name(value) if value else None for value in values]


def _name(value: str) -> dict[str, str]:
    groups = value.split("=")
    if len([group for group in groups if group]) > 3:
        raise Unwritable
    named = zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False)
    return {name: group for name, group in named if group.strip("^")}


_WRITERS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "DS": _numbers_or_text(_decimal),
    "IS": _numbers_or_text(_integer),
    "FL": _singles,
    "FD": _doubles,
    "PN": _names,
}
