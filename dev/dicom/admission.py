"""Whether a file may be stored, and what is left out of its metadata (dicom-server: StoreDatasetValidator.cs).

v1 refuses an instance for any invalid indexed attribute. v2 refuses it only for the required ones; other invalid
attributes become warnings and leave the metadata, while the file keeps them.
"""

from dataclasses import dataclass, field

from dev.dicom import rules
from dev.dicom.indexed import INDEXED, UIDS
from dev.dicom.reading import IMPLICIT_LITTLE_ENDIAN, Problem, Reading

PROCESSING_FAILURE, VALIDATION_FAILURE = 272, 43264
NOT_MATCHING_SOP_CLASS, VALIDATION_WARNING = 45063, 1
_SOP_CLASS, _PATIENT_ID = "00080016", "00100020"
_REQUIRED = frozenset({*UIDS, _SOP_CLASS, _PATIENT_ID})


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
    multiple_values: bool = False


def admit(reading: Reading, study: str | None, version: int) -> Admitted:
    """Decide; drops invalid attributes from `reading` in v2. Raises Rejected."""
    failures = _missing(reading, version)
    uids = tuple(reading.first(tag) for tag in UIDS)
    failures += [_comment(tag, "Value is not a valid UID.") for tag, uid in zip(UIDS, uids, strict=True) if _odd(uid)]
    if study and uids[0] and uids[0] != study:
        failures.append(_comment(UIDS[0], "The value does not match the study of the request."))
    fatal = _REQUIRED if version > 1 else INDEXED | _REQUIRED
    failures += [_comment(p.tag, p.text) for p in reading.problems if p.top == p.tag in fatal - set(UIDS)]
    if failures:
        raise Rejected(VALIDATION_FAILURE, list(dict.fromkeys(failures)))
    comments = _drop(reading) if version > 1 else []
    if reading.unwritable:
        raise Rejected(PROCESSING_FAILURE, [])
    return Admitted((uids[0], uids[1], uids[2]), comments, _warning(reading, comments), _several(reading))


def _missing(reading: Reading, version: int) -> list[str]:
    failures = [
        _comment(tag, "The required attribute is missing or empty.")
        for tag in sorted(_REQUIRED - {_PATIENT_ID})
        if not reading.first(tag)
    ]
    absent = _PATIENT_ID not in reading.attributes
    if absent or (version == 1 and not reading.first(_PATIENT_ID)):
        failures.append(_comment(_PATIENT_ID, "The required attribute is missing or empty."))
    return failures


def _odd(uid: str) -> bool:
    return bool(uid) and not rules.uid_is_valid(uid)


def _drop(reading: Reading) -> list[str]:
    """Take invalid top-level attributes out of the metadata; nested ones stay where they are."""
    problems = list(reading.problems)
    if not reading.first(_PATIENT_ID):
        problems.append(Problem(_PATIENT_ID, _PATIENT_ID, "The value is empty."))
    for tag in {problem.tag for problem in problems}:
        reading.attributes.pop(tag, None)
        reading.unwritable.discard(tag)
    return list(dict.fromkeys(_comment(problem.tag, problem.text) for problem in problems))


def _warning(reading: Reading, comments: list[str]) -> int | None:
    if reading.syntax == IMPLICIT_LITTLE_ENDIAN:
        return NOT_MATCHING_SOP_CLASS
    return VALIDATION_WARNING if comments else None


def _several(reading: Reading) -> bool:
    return any(len(reading.attributes[tag].get("Value", ())) > 1 for tag in INDEXED & reading.attributes.keys())


def _comment(tag: str, text: str) -> str:
    return f"DICOM100: ({tag[:4].lower()},{tag[4:].lower()}) - {text}"
