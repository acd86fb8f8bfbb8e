"""Raw data elements to Python values, without pydicom's own value classes.

The service keeps what fo-dicom keeps: text trimmed of its padding character only, numbers as they are, sequences item
by item. Working on the raw bytes keeps the original text of DS and IS for validation and is several times faster.
"""

import struct
from typing import Any

from pydicom.charset import decode_bytes
from pydicom.datadict import dictionary_VR
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
SINGLE_TEXT = frozenset({"LT", "ST", "UT", "UR"})
ENCODED_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}


def vr_of(raw: Any, *, signed: bool) -> str:
    """The VR of an element; implicit ones come from the dictionary, private implicit ones are UN but for creators."""
    if raw.VR is not None and raw.VR not in ("US or SS", "US or OW", "OB or OW", "US or SS or OW"):
        return str(raw.VR)
    if raw.tag.is_private:
        return "LO" if raw.tag.is_private_creator else "UN"
    try:
        vr = str(dictionary_VR(raw.tag))
    except KeyError:
        return "UN"
    if vr == "US or SS":
        return "SS" if signed else "US"
    return "OW" if " or " in vr else vr


def values_of(raw: Any, vr: str, encodings: list[str]) -> list[Any]:
    """The values of an element that is no sequence: text, numbers, or 8-digit tags for AT; [] when it is empty."""
    data = raw.value
    if not isinstance(data, bytes):
        return _converted(data)
    if vr in NUMBERS:
        return _numbers(data, NUMBERS[vr], little=raw.is_little_endian)
    if vr == "AT":
        halves = _numbers(data, "H", little=raw.is_little_endian)
        return [f"{group:04X}{element:04X}" for group, element in zip(halves[::2], halves[1::2], strict=True)]
    return _texts(data, vr, encodings)


def _converted(value: Any) -> list[Any]:
    """An element that pydicom has converted while it read the file."""
    if value is None:
        return []
    many = value if isinstance(value, list) or hasattr(value, "append") else [value]
    texts = [str(item) for item in many]
    return [] if texts == [""] else texts


def _numbers(data: bytes, code: str, *, little: bool) -> list[Any]:
    size = struct.calcsize(f"<{code}")
    return list(struct.unpack(f"{'<' if little else '>'}{len(data) // size}{code}", data))


def _texts(data: bytes, vr: str, encodings: list[str]) -> list[str]:
    if (vr in ENCODED_TEXT and not data.isascii()) or b"\x1b" in data:
        text = decode_bytes(data, encodings, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
    else:
        text = data.decode("latin-1" if vr not in ENCODED_TEXT else "ascii")
    padding = "\0" if vr == "UI" else " "
    if vr in SINGLE_TEXT:
        text = text.rstrip(padding)
        return [text] if text else []
    parts = [part.rstrip(padding) for part in text.split("\\")]
    return [] if parts == [""] else parts
