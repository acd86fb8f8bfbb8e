"""The bytes of a DICOM file to what the service keeps of it: metadata, transfer syntax, problems.

Bulk VRs are dropped at every level, group 2 and group lengths too (dicom-server: DicomDatasetExtensions.cs). Whatever
cannot be read raises Unreadable, which a store answers with a failure.
"""

import zlib
from dataclasses import dataclass, field

from dev.dicom import charsets, decode, rules
from dev.dicom.elements import BULK, Element, Malformed, parse
from dev.dicom.jsonvalues import Unwritable, element
from dev.dicom.model import Attributes
from dev.dicom.model import Element as Attribute

_CHARACTER_SET, _PATIENT_ID = 0x00080005, 0x00100020


class Unreadable(Exception):
    """Not a DICOM file, or one too damaged to describe."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text element of the top level as it stands in the file: its VR, its values, nothing normalised."""

    vr: str
    values: list[str]


@dataclass(slots=True)
class Reading:
    """One file: its metadata with everything still in it, and what is wrong with it.

    problems: what is wrong with the first invalid attribute of a tag, nested ones included, by tag. unwritable: the
    top-level tags that cannot be written. texts: the text elements of the top level.
    """

    attributes: Attributes = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    unwritable: set[str] = field(default_factory=set)
    syntax: str = ""

    def first(self, tag: str) -> str:
        """The first value of a text attribute as it stands in the file, or ''."""
        values = self.texts[tag].values if tag in self.texts else []
        return values[0] if values else ""


def read(data: bytes) -> Reading:
    """Parse a file; raises Unreadable."""
    try:
        syntax, elements = parse(data)
    except (Malformed, zlib.error, RecursionError) as error:
        raise Unreadable from error
    reading = Reading(syntax=syntax)
    reading.attributes = _describe(reading, elements, [charsets.ASCII], "")
    return reading


def _describe(reading: Reading, elements: list[Element], encodings: list[str], top: str) -> Attributes:
    """The attributes of a dataset or an item; `top`: the top-level attribute that an item is in."""
    found: Attributes = {}
    sequences = []
    for each in sorted(elements, key=lambda each: each.tag):
        name = f"{each.tag:08X}"
        if each.items is not None:
            found[name] = {}
            sequences.append((name, each.items))
        elif each.vr not in BULK and name[4:] != "0000":
            found[name] = _simple(reading, each, encodings, top)
            if each.tag == _CHARACTER_SET and "Value" in found[name]:
                encodings = charsets.codecs_of([value or "" for value in found[name]["Value"]])
    # items are checked after what stands beside them, the last one first; of several problems of a tag the first counts
    for name, items in reversed(sequences):
        described = [_describe(reading, item, encodings, top or name) for item in reversed(items)]
        found[name] = element("SQ", described[::-1])
    return found


def _simple(reading: Reading, each: Element, encodings: list[str], top: str) -> Attribute:
    """One attribute that is no sequence; what is wrong with it goes into the reading."""
    name, vr = f"{each.tag:08X}", each.vr
    text, values, wrong = "", [], None
    if vr in decode.BINARY:
        values = decode.numbers_of(each.data, vr, little=each.little)
    else:
        text = decode.text_of(each.data, vr, encodings)
        values = decode.split(text, vr)
        empty = each.tag == _PATIENT_ID and not text.strip()
        wrong = rules.missing(name) if empty else rules.problem(vr, text, values)
        if not top:
            reading.texts[name] = Text(vr, values)
    # a text that ends in a zero byte is not counted
    if not (wrong or (vr in rules.TEXTS and text.endswith("\0"))):
        wrong = rules.wrong_number(each.tag, vr, len(values))
    if wrong:
        reading.problems.setdefault(name, rules.comment(name, wrong, each.creator))
    try:
        return element(vr, values)
    except Unwritable:
        reading.unwritable.add(top or name)
        return {"vr": vr}
