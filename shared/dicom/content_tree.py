"""Pure: the content tree of an SR document (PS3.3 C.17.3), item by item.

Items are found by their concept's code and scheme and never by its meaning, which vendors word as they like. What a
value is, is told by the attributes that hold it: Value Type and Relationship Type are missing or wrong too often. Items
are read when they are asked for, one level at a time, so no depth of nesting is a risk. Nothing here knows FHIR.
"""

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from shared.dicom.values import UID, UID_MAX_LENGTH, Attributes, PersonName

# PS3.16 8.1: three designators of SNOMED RT, whose codes are not those of SNOMED CT
SNOMED_RT = frozenset({"SRT", "SNM3", "99SDM"})
CODE_KEYWORDS = ("CodeValue", "LongCodeValue", "URNCodeValue")
# PS3.5 6.2, DS; longer than its 16 characters and longer exponents are met
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
DECIMAL_MAX_LENGTH = 64
OID = re.compile(r"[0-2](\.\d+)+", re.ASCII)


class Concept(NamedTuple):
    """What identifies a coded entry; the designators of SNOMED RT are all written SRT."""

    scheme: str
    code: str


class Measured(NamedTuple):
    """A number with its unit: the code, or the meaning where there is no code."""

    number: Decimal
    unit: str
    unit_scheme: str


class ContentItem:
    """One content item; the root is the dataset itself."""

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes

    @cached_property
    def concept(self) -> Concept | None:
        """What the item is about: Concept Name Code Sequence."""
        return _first_concept(self.attributes, "ConceptNameCodeSequence")

    @cached_property
    def children(self) -> list["ContentItem"]:
        """The items of the Content Sequence, whatever their relationship."""
        return [ContentItem(item) for item in self.attributes.items("ContentSequence")]

    def those(self, *concepts: Concept) -> Iterator["ContentItem"]:
        """Children about one of these concepts."""
        return (child for child in self.children if child.concept in concepts)

    @property
    def value_concept(self) -> Concept | None:
        """The value of a CODE item."""
        return _first_concept(self.attributes, "ConceptCodeSequence")

    @property
    def text(self) -> str | None:
        """The value of a TEXT item."""
        return self.attributes.text("TextValue")

    @property
    def person_names(self) -> dict[str, PersonName]:
        """The value of a PNAME item, by component group."""
        return self.attributes.person_names("PersonName")

    @property
    def date_time(self) -> str | None:
        """The value of a DATETIME item, as it is written."""
        return self.attributes.text("DateTime")

    def uid(self, keyword: str) -> str | None:
        """The value of a UIDREF item, which vendors write as TEXT too. Findings name `keyword`."""
        text = self.attributes.text("UID") or self.text
        if text is None:
            return None
        if len(text) > UID_MAX_LENGTH or not OID.fullmatch(text):
            self.attributes.find(keyword, "invalid-uid")
            return None
        if not UID.fullmatch(text):
            self.attributes.find(keyword, "irregular-uid")
        return text

    def measured(self, keyword: str) -> Measured | None:
        """The value of a NUM item; None where there is no number. Findings name `keyword`."""
        value = next(self.attributes.items("MeasuredValueSequence"), None)
        numbers = value.values("NumericValue") if value else []
        if value is None or not numbers:
            return None
        if len(numbers) > 1:
            self.attributes.find(keyword, "several-values")
        number = _decimal(numbers[0])
        if number is None:
            self.attributes.find(keyword, "invalid-number")
            return None
        unit = next(value.items("MeasurementUnitsCodeSequence"), None)
        concept = _concept(unit) if unit else None
        meaning = unit.text("CodeMeaning") if unit else None
        return Measured(number, concept.code if concept else meaning or "", concept.scheme if concept else "")


def _first_concept(attributes: Attributes, keyword: str) -> Concept | None:
    item = next(attributes.items(keyword), None)
    return _concept(item) if item else None


def _concept(item: Attributes) -> Concept | None:
    code = next((text for text in map(item.text, CODE_KEYWORDS) if text), None)
    if code is None:
        return None
    scheme = item.text("CodingSchemeDesignator") or ""
    # SNOMED CT codes are digits; under its designator codes of SNOMED RT are met
    is_snomed_rt = scheme in SNOMED_RT or (scheme == "SCT" and not code.isdecimal())
    return Concept("SRT" if is_snomed_rt else scheme, code)


def _decimal(value: Any) -> Decimal | None:
    """A DS value, which DICOM JSON carries as a number or as text (PS3.18 F.2.3)."""
    if isinstance(value, str):
        text = value.strip("\0 ")
        return Decimal(text) if len(text) <= DECIMAL_MAX_LENGTH and DECIMAL.fullmatch(text) else None
    if isinstance(value, float):
        # the shortest text of the float is what was sent
        return Decimal(repr(value)) if math.isfinite(value) else None
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None
