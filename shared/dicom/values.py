"""Pure: values of the DICOM JSON model (PS3.18 F.2) as Python values, tolerant of what archives really send.

A value that is present and cannot be used becomes a finding, never an exception. Nothing here knows FHIR.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword

from shared.model import Finding

Dataset = Mapping[str, Any]
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")  # PS3.18 F.2.2, in the order of PS3.5 6.2.1
COMPONENTS = 5
UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*", re.ASCII)
IRREGULAR_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
UID_MAX_LENGTH = 64
PLAUSIBLE_FROM, PLAUSIBLE_TO = "1800", "2099"  # years of dates that are not whole
DATE = re.compile(r"(\d{4})(?:\.?(\d{2})(?:\.?(\d{2}))?)?", re.ASCII)
TIME = re.compile(r"([01]\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII)
OFFSET = re.compile(r"([+-])(0\d|1[0-3]|14(?=00))([0-5]\d)", re.ASCII)
PADDING = "\0 "  # PS3.5 6.2
UNUSABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
INTEGER = re.compile(r"[+-]?\d{1,12}(\.0*)?", re.ASCII)
# characters that a value may have (PS3.5 table 6.2-1); the others have no bound, or one that is checked by their form
MAX_LENGTHS = {"AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "LT": 10240, "SH": 16, "ST": 1024}
PERSON_NAME_MAX_LENGTH = 64


class PersonName(NamedTuple):
    """One component group of a PN value (PS3.5 6.2.1): its five components, empty where absent."""

    family: str
    given: str
    middle: str
    prefix: str
    suffix: str


@lru_cache(maxsize=512)
def tag_of(keyword: str) -> str:
    """The eight hexadecimal digits that DICOM JSON uses as key."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return f"{tag:08X}"


@lru_cache(maxsize=512)
def max_length(keyword: str) -> int | None:
    """Characters that a value of this attribute may have; None where its VR sets no bound."""
    return MAX_LENGTHS.get(dictionary_VR(keyword))


@dataclass(slots=True)
class Attributes:
    """A dataset read by keyword. What cannot be used is added to `findings`."""

    dataset: Dataset
    findings: list[Finding] = field(default_factory=list)

    def values(self, keyword: str) -> list[Any]:
        """The values that are there; nulls and empty texts are left out."""
        return [value for value in self.places(keyword) if value not in (None, "")]

    def places(self, keyword: str) -> Sequence[Any]:
        """The values with nulls and empty texts, where their place says what they belong to."""
        element = self.dataset.get(tag_of(keyword))
        if element is None:
            return []
        values = element.get("Value", []) if isinstance(element, dict) else None
        if not isinstance(values, list):
            self.find(keyword, "malformed-element")
            return []
        return values

    def joined(self, keyword: str) -> str | None:
        r"""All values in DICOM's own form, `A\B`, in which empty ones keep their place (PS3.5 6.4)."""
        texts = [self._text_of(keyword, value) for value in self.places(keyword)]
        return "\\".join(texts) if any(texts) else None

    def texts(self, keyword: str) -> list[str]:
        """Values as text, trimmed of padding (spaces and NUL, PS3.5 6.2)."""
        return [text for text in (self._text_of(keyword, value) for value in self.places(keyword)) if text]

    def text(self, keyword: str) -> str | None:
        """The first value as text; more than one is a finding."""
        places = self.places(keyword)
        if len(places) == 1:
            return self._text_of(keyword, places[0]) or None
        texts = self.texts(keyword)
        if len(texts) > 1:
            self.find(keyword, "several-values")
        return texts[0] if texts else None

    def uid(self, keyword: str) -> str | None:
        """A UID (PS3.5 9.1); components with leading zeros are common, and kept with a finding."""
        text = self.text(keyword)
        if text is None or (len(text) <= UID_MAX_LENGTH and UID.fullmatch(text)):
            return text
        is_irregular = len(text) <= UID_MAX_LENGTH and IRREGULAR_UID.fullmatch(text)
        self.find(keyword, "irregular-uid" if is_irregular else "invalid-uid")
        return text if is_irregular else None

    def integer(self, keyword: str) -> int | None:
        """An integer, sent as a number or as text."""
        text = self.text(keyword)
        if text is None:
            return None
        if not INTEGER.fullmatch(text):
            self.find(keyword, "invalid-integer")
            return None
        return int(text.split(".")[0])

    def date(self, keyword: str) -> str | None:
        """A DA value as YYYY-MM-DD; partial dates and the dotted form of ACR-NEMA are read too."""
        text = self.text(keyword)
        if text is None:
            return None
        found = DATE.fullmatch(text)
        if not found or not _is_calendar_date(*found.groups()):
            self.find(keyword, "invalid-date")
            return None
        if len(text) < len("20210301") and not PLAUSIBLE_FROM <= text[:4] <= PLAUSIBLE_TO:
            self.find(keyword, "invalid-date")  # six digits of YYMMDD, likely
            return None
        if "." in text:
            self.find(keyword, "irregular-date")
        return "-".join(part for part in found.groups() if part)

    def time(self, keyword: str) -> str | None:
        """A TM value as HH:MM:SS[.ffffff]; missing parts are zero."""
        text = self.text(keyword)
        if text is None:
            return None
        found = TIME.fullmatch(text)
        if not found:
            self.find(keyword, "invalid-time")
            return None
        hour, minute, second, fraction = found.groups()
        return f"{hour}:{minute or '00'}:{second or '00'}{fraction or ''}"

    def utc_offset(self) -> str | None:
        """Timezone Offset From UTC (0008,0201) as ±HH:MM (PS3.3 C.12.1.1.8)."""
        text = self.text("TimezoneOffsetFromUTC")
        if text is None:
            return None
        found = OFFSET.fullmatch(text)
        if not found or text == "-0000":
            self.find("TimezoneOffsetFromUTC", "invalid-offset")
            return None
        return f"{found[1]}{found[2]}:{found[3]}"

    def person_names(self, keyword: str) -> dict[str, PersonName]:
        """The first PN value by component group; more than one is a finding."""
        names = [self._groups(keyword, value) for value in self.values(keyword)]
        if len(names) > 1:
            self.find(keyword, "several-values")
        return names[0] if names else {}

    def names(self, keyword: str) -> list[dict[str, PersonName]]:
        """PN values, each by component group: Alphabetic, Ideographic, Phonetic; nothing where one is empty."""
        return [self._groups(keyword, {} if value in (None, "") else value) for value in self.places(keyword)]

    def _groups(self, keyword: str, value: Any) -> dict[str, PersonName]:
        text = value.get("Alphabetic") if isinstance(value, Mapping) and len(value) == 1 else value
        if isinstance(text, str) and (isinstance(value, str) or "=" in text):
            if isinstance(value, Mapping):  # all groups in one
                self.find(keyword, "irregular-name")
            value = dict(zip(GROUPS, text.split("="), strict=False))
        if not isinstance(value, Mapping):
            self.find(keyword, "invalid-name")
            return {}
        groups = {group: value.get(group) for group in GROUPS}
        if any(text is not None and not isinstance(text, str) for text in groups.values()):
            self.find(keyword, "invalid-name")
        names = {group: self._person_name(keyword, text) for group, text in groups.items() if isinstance(text, str)}
        return {group: name for group, name in names.items() if any(name)}

    def items(self, keyword: str) -> Iterator["Attributes"]:
        """The items of a sequence; findings go to the same list."""
        for value in self.values(keyword):
            if isinstance(value, Mapping):
                yield Attributes(value, self.findings)
            else:
                self.find(keyword, "malformed-item")

    def _text_of(self, keyword: str, value: Any) -> str:
        if isinstance(value, str):
            return self._clean(keyword, value, max_length(keyword))
        is_number = isinstance(value, int) or (isinstance(value, float) and isfinite(value))
        if is_number and not isinstance(value, bool):
            return str(value)
        if value is not None:
            self.find(keyword, "not-text")
        return ""

    def _person_name(self, keyword: str, text: str) -> PersonName:
        if len(text) > PERSON_NAME_MAX_LENGTH:
            self.find(keyword, "too-long")
        components = [self._clean(keyword, component) for component in text.split("^")]
        if len(components) > COMPONENTS:
            self.find(keyword, "too-many-components")
        return PersonName(*(components + [""] * COMPONENTS)[:COMPONENTS])

    def _clean(self, keyword: str, text: str, longest: int | None = None) -> str:
        """Without padding, and without characters that FHIR's string cannot hold (R4, datatypes.html#string).

        A text that is longer than its VR allows is kept as it is, with a finding.
        """
        text = text.strip("\0").strip()
        if longest is not None and len(text) > longest:
            self.find(keyword, "too-long")
        if UNUSABLE.search(text):
            self.find(keyword, "invalid-characters")
            text = UNUSABLE.sub("", text).strip()
        return text

    def find(self, keyword: str, code: str) -> None:
        """Record that this attribute was present and could not be used as it is."""
        finding = Finding(keyword, code)
        if finding not in self.findings:
            self.findings.append(finding)


def _is_calendar_date(year: str, month: str | None, day: str | None) -> bool:
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return False
    return True
