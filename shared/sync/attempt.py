"""What a pass over a study works with, what it remembers of earlier ones, and what comes of it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from shared.errors import Rejected
from shared.model import InstanceKey, Outcome, StudyChange
from shared.state import Written
from shared.storage.error_records import ErrorRecords
from shared.storage.patient_state import PatientStateStore
from shared.storage.study_state import StudyStateStore


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that is remembered."""

    studies: StudyStateStore
    patients: PatientStateStore
    records: ErrorRecords


class Left(NamedTuple):
    """What of a removed study is still in FHIR, and why. is_doubtful: it may be what this app wrote."""

    text: str
    is_doubtful: bool


class Result(NamedTuple):
    """What the study was, how many of its instances were kept out, and how many values could not be used.

    code: of the error for which it was set aside. skipped: some of those instances, each with its codes.
    strays: how many of the instances that were read are of another patient than the study; has_new_strays: whether one
    was not known as such before. left: what of a removed study is still in FHIR, and why.
    """

    outcome: Outcome
    failed: int = 0
    findings: int = 0
    code: str = ""
    skipped: str = ""
    strays: int = 0
    has_new_strays: bool = False
    left: Left | None = None


class GoesAlone(Exception):
    """The study ended its process before: nothing was done, and it is to be worked on in a process of its own."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of a message; what its passes did, also those that had to be run again afterwards.

    refused: elements to write the study without. refusals: how the server refused what was written. asked_again:
    instances that could not be read, and for which a later message was sent. offered: keys of the Patients that were
    told what the study offers. too_large: numbers of instances with which the server refused the study as too large.
    """

    change: StudyChange
    name: str
    outcomes: list[Outcome] = field(default_factory=list)
    written: dict[str, Written] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    refusals: list[Rejected] = field(default_factory=list)
    asked_again: set[InstanceKey] = field(default_factory=set)
    offered: set[str] = field(default_factory=set)
    too_large: set[int] = field(default_factory=set)
