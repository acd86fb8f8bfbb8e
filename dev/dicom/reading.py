"""The bytes of a DICOM file to what the service keeps of it: metadata, transfer syntax, problems.

Bulk VRs are dropped at every level, group 2 and group lengths too (dicom-server: DicomDatasetExtensions.cs). Whatever
cannot be read raises Unreadable, which a store answers with failure 272.
"""

import warnings
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pydicom
from pydicom import config
from pydicom.charset import convert_encodings

from dev.dicom import decode, rules
from dev.dicom.jsonvalues import Unwritable, element
from dev.dicom.model import Attributes, Element

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103


class Unreadable(Exception):
    """Not a DICOM file, or one too damaged to describe."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An invalid value: the top-level tag that holds it, the tag itself, what is wrong."""

    top: str
    tag: str
    text: str


@dataclass(slots=True)
class Reading:
    """One file: its metadata with everything still in it, and what is wrong with it."""

    attributes: Attributes = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unwritable: set[str] = field(default_factory=set)
    syntax: str = ""

    def first(self, tag: str) -> str:
        """The first value of a text attribute, or ''."""
        values = self.attributes.get(tag, {}).get("Value") or [""]
        return str(values[0] or "").rstrip(" \0")


def read(data: bytes) -> Reading:
    """Parse a file; raises Unreadable."""
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(BytesIO(data))
            return _describe(dataset)
    except Exception as error:  # broken files fail in many ways, and the service calls all of them 272
        raise Unreadable from error


def _describe(dataset: Any) -> Reading:
    reading = Reading(syntax=str(dataset.file_meta.TransferSyntaxUID))
    walk = _Walk(reading, implicit=reading.syntax == IMPLICIT_LITTLE_ENDIAN)
    reading.attributes = walk.dataset(dataset, ["iso8859"], "")
    return reading


class _Walk:
    """One pass over all elements, nested ones included."""

    def __init__(self, reading: Reading, *, implicit: bool) -> None:
        self._reading = reading
        self._implicit = implicit
        self._signed = False

    def dataset(self, dataset: Any, encodings: list[str], top: str) -> Attributes:
        encodings = _encodings(dataset, encodings)
        if _PIXEL_REPRESENTATION in dataset:
            self._signed = dataset[_PIXEL_REPRESENTATION].value == 1
        found = {}
        for tag in sorted(dataset.keys()):
            if tag.group <= 2 or tag.element == 0:
                continue
            raw = dataset.get_item(tag)
            vr = self._vr(raw)
            if vr not in decode.BULK:
                name = f"{tag:08X}"
                items = dataset[tag].value if vr == "SQ" else None
                found[name] = (
                    self._simple(raw, vr, top or name, encodings)
                    if items is None
                    else element(vr, [self.dataset(item, encodings, top or name) for item in items])
                )
        return found

    def _vr(self, raw: Any) -> str:
        if self._implicit and raw.tag.is_private:
            return "LO" if raw.tag.is_private_creator else "UN"
        return decode.vr_of(raw, signed=self._signed)

    def _simple(self, raw: Any, vr: str, top: str, encodings: list[str]) -> Element:
        if vr == "SQ":  # without a value
            return {"vr": vr}
        values = decode.values_of(raw, vr, encodings)
        if text := rules.problem(vr, values):
            self._reading.problems.append(Problem(top, f"{raw.tag:08X}", text))
        try:
            return element(vr, values)
        except Unwritable:
            self._reading.unwritable.add(top)
            return {"vr": vr}


def _encodings(dataset: Any, inherited: list[str]) -> list[str]:
    if _CHARACTER_SET not in dataset:
        return inherited
    value = dataset[_CHARACTER_SET].value
    return list(convert_encodings([value] if isinstance(value, str) else list(value or [""])))
