"""Values to one attribute of DICOM JSON, as the service answers it (dicom-server: JsonDicomConverter.cs).

DS and IS become numbers when every value of the element parses, and stay text altogether when one does not. What the
converter cannot write raises Unwritable, and the store of the instance fails.
"""

import math
import re
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from dev.dicom.model import Element

_INTEGER = re.compile(r"[+-]?\d+(\.0*)?|[+-]?\.0+")
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_SIGN_AND_ZEROS = re.compile(r"([+-]?)0*(?=\d)")
_INT32 = 2**31
# a longer decimal string is rounded to the digits that fit; a .NET decimal has so many places and digits
_DS_LENGTH, _DS_DIGITS = 16, 11
_PLACES, _LARGEST = Decimal("1e-28"), Decimal(2**96 - 1)


class Unwritable(Exception):
    """The value has no form in the service's JSON."""


def element(vr: str, values: list[Any]) -> Element:
    """One attribute; without values it is just its VR."""
    written = _WRITERS.get(vr, _plain)(values)
    return {"vr": vr, "Value": written} if written else {"vr": vr}


def _plain(values: list[Any]) -> list[Any]:
    return [None if value == "" else value for value in values]


def _numbers_or_text(
    parse: Callable[[str], Decimal | int | None], reread: Callable[[str], Decimal | int | None]
) -> Callable[[list[Any]], list[Any]]:
    """Numbers where all parse, else texts; those of the texts that read as numbers come back without their padding."""

    def write(values: list[Any]) -> list[Any]:
        numbers = [parse(value) for value in values]
        if all(number is not None or _is_empty(value) for number, value in zip(numbers, values, strict=True)):
            return [_json(number) for number in numbers]
        again = [reread(value) for value in values]
        if all(number is not None for number in again):
            return [_json(number) for number in again]
        return [_text(number, value) for number, value in zip(again, values, strict=True)]

    return write


def _is_empty(value: str) -> bool:
    return value == ""


def _text(number: Decimal | int | None, value: str) -> str | None:
    return (value or None) if number is None else f"{number:f}" if isinstance(number, Decimal) else str(number)


def _json(number: Decimal | int | None) -> int | float | None:
    if number is None or isinstance(number, int):
        return number
    return int(number) if number == number.to_integral_value() else float(number)


def _integer(text: str) -> int | None:
    """.NET's int.Parse of a number without fraction; it passes over white space around and zero bytes behind it."""
    bare = text.rstrip("\0").strip(" \t\n\v\f\r")
    value = int(Decimal(bare)) if _INTEGER.fullmatch(bare) else None
    return value if value is not None and -_INT32 <= value < _INT32 else None


def _decimal(text: str) -> Decimal | None:
    bare = text.strip().rstrip("\0")
    if len(bare) > _DS_LENGTH:
        bare = _SIGN_AND_ZEROS.sub(lambda match: match[1].replace("+", ""), bare.strip(), count=1)
    return _rounded(bare) if len(bare) <= _DS_LENGTH else None


def _rounded(text: str) -> Decimal | None:
    """What a .NET decimal holds of a text, cut to the digits that fit a decimal string."""
    bare = text.strip(" \t\n\v\f\r").rstrip("\0")
    if not _DECIMAL.fullmatch(bare):
        return None
    value = Decimal(bare)
    if abs(value) > _LARGEST:
        return value
    if value.as_tuple().exponent < -28:  # type: ignore[operator] # finite
        value = value.quantize(_PLACES)
    if len(f"{value:f}") > _DS_LENGTH:
        value = Decimal(f"{value:.{_DS_DIGITS}g}")
    return value


def _reread_decimal(text: str) -> Decimal | None:
    value = _rounded(text)
    return None if value is None or abs(value) > _LARGEST else value


def _singles(values: list[Any]) -> list[Any]:
    return ["NaN" if math.isnan(value) else _shortest(value) for value in values]


def _shortest(value: float) -> float:
    """The shortest decimal that is the same 32-bit float, as .NET prints it."""
    if math.isinf(value):
        raise Unwritable
    exact = struct.pack("<f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in range(1, 10))
    return next((short for short in candidates if struct.pack("<f", short) == exact), value)


def _doubles(values: list[Any]) -> list[Any]:
    if not all(math.isfinite(value) for value in values):
        raise Unwritable
    return values


def _names(values: list[Any]) -> list[Any]:
    names = [_name(value) for value in values]
    return [] if names == [None] else names


def _name(value: str) -> dict[str, str] | None:
    groups = value.split("=")
    if any(group.strip() for group in groups[3:]):
        raise Unwritable
    named = zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False)
    return {name: group for name, group in named if group.strip()} or None


_WRITERS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "DS": _numbers_or_text(_decimal, _reread_decimal),
    "IS": _numbers_or_text(_integer, _integer),
    "FL": _singles,
    "FD": _doubles,
    "PN": _names,
}
