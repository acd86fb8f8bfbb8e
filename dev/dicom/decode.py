"""The bytes of a data element to its values, as the service's library reads them (fo-dicom 5.1: DicomElement.cs).

Text is trimmed of the padding at its end only; numbers in text stay text.
"""

import struct
from typing import Any

from dev.dicom import charsets

SINGLE_TEXT = frozenset({"LT", "ST", "UR", "UT"})
ENCODED_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
BINARY = frozenset({*_NUMBERS, "AT"})


def text_of(data: bytes, vr: str, encodings: list[str]) -> str:
    """The whole text of a text element, trimmed of the padding at its end."""
    text = charsets.text(data, encodings if vr in ENCODED_TEXT else [charsets.ASCII], is_name=vr == "PN")
    return text.rstrip("\0" if vr == "UI" else " ")


def split(text: str, vr: str) -> list[str]:
    """The values of a text; the VRs of single texts always have one, even if it is empty."""
    if vr in SINGLE_TEXT:
        return [text]
    return text.split("\\") if text else []


def numbers_of(data: bytes, vr: str, *, little: bool) -> list[Any]:
    """The values of a binary element; tags as eight hex digits."""
    if vr == "AT":
        return _tags(data, little=little)
    code = _NUMBERS[vr]
    size = struct.calcsize(f"<{code}")
    whole = data[: len(data) // size * size]
    return list(struct.unpack(f"{'<' if little else '>'}{len(whole) // size}{code}", whole))


def _tags(data: bytes, *, little: bool) -> list[str]:
    # of big-endian files the four bytes are swapped as one number, so group and element change places
    words = struct.unpack(f"{'<' if little else '>'}{len(data) // 4}I", data[: len(data) // 4 * 4])
    return [f"{word & 0xFFFF:04X}{word >> 16:04X}" for word in words]
