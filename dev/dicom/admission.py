"""Whether a file may be stored, and what is left out of its metadata (dicom-server: StoreDatasetValidator.cs).

v1 checks the searchable attributes, loosely, and refuses an instance for one that fails. v2 refuses it only for the
required ones, checks everything strictly, and drops what fails from the metadata, while the file keeps it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_VR, keyword_for_tag

from dev.dicom import rules
from dev.dicom.elements import IMPLICIT
from dev.dicom.indexed import INDEXED, INSTANCE_TAGS, UIDS
from dev.dicom.reading import Reading, Text

PROCESSING_FAILURE, VALIDATION_FAILURE = 272, 43264
NOT_MATCHING_SOP_CLASS, VALIDATION_WARNING = 45063, 1
_SOP_CLASS, _PATIENT_ID = "00080016", "00100020"
_REQUIRED = (_SOP_CLASS, *UIDS)


class Rejected(Exception):
    """The instance is not stored: failure reason and comments."""

    def __init__(self, reason: int, comments: list[str]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.comments = comments


@dataclass(slots=True)
class Admitted:
    """The identity of the instance and what the answer has to say about it."""

    uids: tuple[str, str, str]
    comments: list[str] = field(default_factory=list)
    warning: int | None = None


def admit(reading: Reading, study: str | None, version: int) -> Admitted:
    """Decide; drops invalid attributes from `reading` in v2. Raises Rejected."""
    missing = _missing(reading, study, version)
    wrong = missing | {tag: text for tag, text in _loosely_wrong(reading, version).items() if tag not in missing}
    if wrong:
        if version > 1:
            wrong |= {tag: text for tag, text in reading.problems.items() if tag not in wrong}
        raise Rejected(VALIDATION_FAILURE, list(wrong.values()))
    dropped = _drop(reading) if version > 1 else {}
    if reading.unwritable:
        raise Rejected(PROCESSING_FAILURE, [])
    uids = tuple(reading.first(tag).rstrip(" ") for tag in UIDS)
    return Admitted((uids[0], uids[1], uids[2]), list(dropped.values()), _warning(reading, dropped))


def has_several_values(reading: Reading, version: int) -> bool:
    """Whether a checked attribute has several values, of which only the first is searchable."""
    wrong = _loosely_wrong(reading, version)
    return any(len(text.values) > 1 for tag, text in _checked(reading, version).items() if tag not in wrong)


def _checked(reading: Reading, version: int) -> dict[str, Text]:
    """What a version checks loosely."""
    tags = INDEXED | INSTANCE_TAGS.keys() if version == 1 else {*_REQUIRED, _PATIENT_ID}
    return {tag: reading.texts[tag] for tag in sorted(tags & reading.texts.keys())}


def _loosely_wrong(reading: Reading, version: int) -> dict[str, str]:
    found = {tag: _loosely(tag, text, strict=version == 1) for tag, text in _checked(reading, version).items()}
    return {tag: rules.comment(tag, wrong) for tag, wrong in found.items() if wrong}


def _missing(reading: Reading, study: str | None, version: int) -> dict[str, str]:
    """The first required attribute that is not there with one value; of PatientID version 2 wants no value."""
    for tag in (*_REQUIRED, _PATIENT_ID):
        held = reading.texts.get(tag)
        there = tag in reading.attributes if tag == _PATIENT_ID and version > 1 else held and len(held.values) == 1
        if not there:
            return {tag: rules.comment(tag, rules.missing(tag))}
        if tag == UIDS[0] and study and reading.first(tag).rstrip(" ") != study.rstrip(" "):
            text = "The StudyInstanceUid in the payload does not match the specified StudyInstanceUid."
            return {tag: rules.comment(tag, text)}
    return {}


def _drop(reading: Reading) -> dict[str, str]:
    """Take what is invalid out of the top level; a nested one stays, and takes that of its tag at the top along."""
    for tag in reading.problems.keys() - set(UIDS):
        reading.attributes.pop(tag, None)
        reading.unwritable.discard(tag)
    return reading.problems


def _warning(reading: Reading, dropped: dict[str, str]) -> int | None:
    if reading.syntax == IMPLICIT:
        return NOT_MATCHING_SOP_CLASS
    return VALIDATION_WARNING if dropped else None


def _loosely(tag: str, text: Text, *, strict: bool) -> str | None:
    """What is wrong with the first value of an attribute by the loose rules; strict: trailing zero bytes count."""
    number = int(tag, 16)
    vr, name = dictionary_VR(number), keyword_for_tag(number)
    value = text.values[0] if text.values else ""
    if not strict:
        value = value.rstrip("\0")
    if text.vr != vr:
        wrong: str | None = (
            f"The extended query tag '{name}' is expected to have VR '{vr}' but has '{text.vr}' in file."
        )
    else:
        wrong = _LOOSE[vr](value) if value else None
    return f"Dicom element '{name}' failed validation for VR '{text.vr}': {wrong}" if wrong else None


def _longest(length: int) -> Callable[[str], str | None]:
    return lambda value: f"Value length exceeds maximum length of {length}." if len(value) > length else None


def _long_string(value: str) -> str | None:
    return _longest(64)(value) or ("Value contains invalid character." if rules.has_control(value) else None)


def _name(value: str) -> str | None:
    groups = value.split("=")
    if len(groups) > 3:
        return "Value contains more than 5 components."
    for group in groups:
        if len(group) > 64:
            return "One or more group of person name exceeds maxium length of 64."
        if rules.has_control(group):
            return "Value contains invalid character."
    return "Value contains more than 5 components." if any(group.count("^") > 4 for group in groups) else None


def _date(value: str) -> str | None:
    return None if rules.is_date(value) else "Value cannot be parsed as a valid date."


def _uid(value: str) -> str | None:
    text = (
        "DICOM Identifier is invalid. Value length should not exceed the maximum length of 64 characters. Value should "
        "contain characters in '0'-'9' and '.'. Each component must start with non-zero number."
    )
    return None if rules.uid_is_valid(value) else text


# ElementMinimumValidator.cs, for the VRs that occur among the searchable attributes
_LOOSE: dict[str, Callable[[str], str | None]] = {
    "CS": _longest(16),
    "DA": _date,
    "LO": _long_string,
    "PN": _name,
    "SH": _longest(16),
    "UI": _uid,
}
