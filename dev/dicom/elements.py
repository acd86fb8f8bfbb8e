"""The bytes of a DICOM file to its data elements, as the service's library reads them (fo-dicom 5.1: DicomReader.cs).

It reads on where others stop: files without preamble or meta information, VRs that are none, sequences under the VR
"unknown", files that end too early. A library that knows better what a file means would hide what the service keeps.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, private_dictionary_VR

BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
LONG = BULK | {"SQ", "SV", "UC", "UR", "UT", "UV"}
SHORT = frozenset({"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS"})
SHORT |= {"ST", "TM", "UI", "UL", "US"}
IMPLICIT, EXPLICIT, BIG, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99"))
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF


class Malformed(Exception):
    """The bytes are no DICOM file."""


class _Ended(Exception):
    """The file ends within an element; what stands before it counts."""


@dataclass(slots=True)
class Element:
    """One data element: bytes as in the file, or items, each a list of elements."""

    tag: int
    vr: str
    data: bytes = b""
    items: "list[list[Element]] | None" = None
    little: bool = True
    creator: str = ""  # who uses the block of a private element

    @property
    def is_private(self) -> bool:
        return (self.tag >> 16) % 2 == 1

    @property
    def is_creator(self) -> bool:
        """Whether it names who uses a block of private elements."""
        return self.is_private and 0x10 <= self.tag & 0xFFFF <= 0xFF


def parse(data: bytes) -> tuple[str, list[Element]]:
    """The transfer syntax and the elements of a file, meta information left out. Raises Malformed."""
    start = 132 if data[128:132] == b"DICM" else 0
    syntax = _opening(data[start : start + 6])
    if data[start : start + 2] == b"\2\0" or data[start : start + 2] == b"\0\2":
        meta = list(_Reader(data, syntax).meta(start))
        start = meta[-1][0] if meta else start
        named = next((element.data for _, element in meta if element.tag == 0x00020010), None)
        syntax = named.decode("ascii", "replace").rstrip("\0 ") if named is not None else syntax
    elif start:
        raise Malformed
    if syntax == DEFLATED:
        data, start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:]), 0
    found: list[Element] = []
    _Reader(data, syntax).elements(start, len(data), found)
    return syntax, found


def _opening(head: bytes) -> str:
    """The syntax of the first element: of a group below 0100 in one of the two orders of bytes."""
    if len(head) < 6:
        raise Malformed
    little = head[1] == 0
    if not little and head[0] != 0:
        raise Malformed
    group, number = struct.unpack("<HH" if little else ">HH", head[:4])
    explicit = head[4:6].decode("latin-1") == (_public_vrs(group << 16 | number) or ["UN"])[0]
    return (EXPLICIT if explicit else IMPLICIT) if little else BIG


def _public_vrs(tag: int) -> list[str]:
    if tag & 0xFFFF == 0:
        return ["UL"]
    try:
        vrs: str = dictionary_VR(tag)
    except KeyError:
        return []
    return vrs.split(" or ")


class _Reader:
    """Reads one byte string in one transfer syntax."""

    def __init__(self, data: bytes, syntax: str) -> None:
        self._data = data
        self._little = syntax != BIG
        self._explicit = syntax != IMPLICIT
        self._end = "<" if self._little else ">"
        self._creators: dict[int, str] = {}

    def meta(self, at: int) -> Iterator[tuple[int, Element]]:
        """The elements of group 0002, each with where it ends."""
        while self._unpack("H", at)[0] == 2:
            at, element = self._element(at, len(self._data))
            yield at, element

    def elements(self, at: int, end: int, found: list[Element]) -> int:
        """Append the elements up to `end` or a delimiter; where they end. What an early end cuts off is left out."""
        try:
            while at < end:
                if self._tag(at) in (_ITEM_END, _SEQUENCE_END):
                    return at + 8
                at, element = self._element(at, end)
                found.append(element)
        except _Ended:
            return len(self._data)
        return at

    def _element(self, at: int, end: int) -> tuple[int, Element]:
        tag = self._tag(at)
        vr, at, length = self._head(tag, at + 4)
        element = Element(tag, vr, little=self._little, creator=self._creator_of(tag))
        if self._is_sequence(element, at, length):
            element.vr, element.items = "SQ", []
            at = self._items(at, end if length == _UNDEFINED else at + length, element.items)
        elif length == _UNDEFINED:
            at = self._fragments(at)
        elif at + length > len(self._data):
            raise _Ended
        else:
            element.data = self._data[at : at + length]
            at += length
        if element.is_creator:
            self._creators[tag] = element.data.decode("ascii", "replace").rstrip(" ")
        return at, element

    def _is_sequence(self, element: Element, at: int, length: int) -> bool:
        """Whether items follow; of a private element what follows decides."""
        if element.vr == "UN" and length == _UNDEFINED and (element.is_private or not self._explicit):
            element.vr = "SQ"
        if element.vr == "SQ" and element.is_private and length and self._tag(at) not in (_ITEM, _SEQUENCE_END):
            element.vr = "UN"
        return element.vr == "SQ"

    def _head(self, tag: int, at: int) -> tuple[str, int, int]:
        """VR, where the value begins, its length; the VR of the dictionary where the element has none of its own."""
        if not self._explicit:
            vrs = self._known(tag)
            vr = "OW" if {"OB", "OW"} <= set(vrs) else (vrs or ["UN"])[0]
            return vr, at + 4, self._unpack("I", at)[0]
        vr = self._data[at : at + 2].decode("latin-1")
        if not vr.strip("\0 ") and self._known(tag):
            vr = self._known(tag)[0]
        if vr in SHORT:
            return vr, at + 4, self._unpack("H", at + 2)[0]
        if vr in LONG:
            short = self._unpack("H", at + 2)[0] if vr in ("SV", "UV") else 0
            if short:
                return vr, at + 4, short
            known = self._known(tag) if vr == "UN" else []
            return (known or [vr])[0], at + 8, self._unpack("I", at + 4)[0]
        length = self._unpack("I", at)[0]
        return "SQ" if length == _UNDEFINED else (self._known(tag) or ["UN"])[0], at + 4, length

    def _known(self, tag: int) -> list[str]:
        """The VRs of the dictionary; of a private element by who uses its block."""
        if (tag >> 16) % 2 == 0 or tag & 0xFFFF == 0:
            return _public_vrs(tag)
        if 0x10 <= tag & 0xFFFF <= 0xFF:
            return ["LO"]
        creator = self._creator_of(tag)
        try:
            vrs: str = private_dictionary_VR(tag, creator) if creator else ""
        except KeyError:
            return []
        return vrs.split(" or ") if vrs else []

    def _creator_of(self, tag: int) -> str:
        if (tag >> 16) % 2 == 0 or tag & 0xFFFF < 0x1000:
            return ""
        return self._creators.get(tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8, "")

    def _items(self, at: int, end: int, items: list[list[Element]]) -> int:
        try:
            while at < end and (tag := self._tag(at)) in (_ITEM, _SEQUENCE_END):
                length = self._unpack("I", at + 4)[0]
                if tag == _SEQUENCE_END:
                    return at + 8
                if length != _UNDEFINED and at + 8 + length > len(self._data):
                    return len(self._data)
                items.append([])
                at = self.elements(at + 8, end if length == _UNDEFINED else min(at + 8 + length, end), items[-1])
        except _Ended:
            return len(self._data)
        return at

    def _fragments(self, at: int) -> int:
        while self._tag(at) == _ITEM:
            at += 8 + self._unpack("I", at + 4)[0]
        return at + 8

    def _tag(self, at: int) -> int:
        group, number = self._unpack("HH", at)
        return group << 16 | number

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self._end + form, self._data, at)
        except struct.error as error:
            raise _Ended from error
