"""What is remembered between passes: plain, frozen, without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Provides(NamedTuple):
    """Which elements an instance has a usable value of, by their names, and whose it is.

    patient: digest of its PatientID; requests: digests of the requests that it names. Both within the study.
    """

    study: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()
    demographics: frozenset[str] = frozenset()
    patient: str = ""
    requests: frozenset[str] = frozenset()


class LedgerRow(NamedTuple):
    """What is remembered of an instance.

    sequence: the highest of the change feed that is known. series: a digest of its series. provides: None where it was
    written by an earlier version, and not read since.
    """

    sequence: int
    is_there: bool
    provides: Provides | None = None
    series: bytes = bytes(6)


class Written(NamedTuple):
    """The newest version of a resource, or of several, that this app wrote: its `meta.lastUpdated`, nothing where it is
    not known; and when it was written by the clock of the FHIR server (seconds). is_gone: it was deleted then.
    """

    updated_at: str
    at: float
    is_gone: bool = False


class Writer(NamedTuple):
    """An announced write: by which message, in which attempt at it, when (seconds), and to which Patient if any.

    looks: how many passes came after it to mend what it may have done; two are enough, and more would never end.
    """

    message_id: str
    attempt: str
    announced_at: int
    patient: str
    looks: int = 0


@dataclass(frozen=True, slots=True)
class StudyState:
    """What is remembered of a study, guarded by the ETag of its row.

    ledger: digest of each instance ever written for this study -> what is remembered of it (see `sync.ledger`).
    full_poll: a whole read has covered every message of polls up to this one.
    done: the last messages that were brought to an end, oldest first.
    writers: writes that were announced and not confirmed; their messages must not be skipped as overtaken.
    patient: key of the Patient the study is linked to. subject: the reference to it that this app wrote.
    has_records: error rows may exist for this study.
    parked: a message was parked; the next pass must read the whole study.
    fatal_poll: the poll of the last message that ended its own process or held it for too long, 0 for none. Later
    messages of the study are worked on alone, until one succeeds.
    written: what was last written of the study, by resource type.
    offers: sequence of each demographic element that the study offers to its Patient, as its row there says.
    offered: keys of other Patients that may have such a row, of passes that were not brought to an end.
    refused: elements that the FHIR server refused, as the study was at poll `refused_at`.
    is_cut: whether instances that are there are missing in the ledger, since it has no room for them.
    too_large: the number of instances with which the FHIR server refused the study as too large, 0 for none.
    reports: instances that may be dose reports (`InstanceKey`), of a study that does not list its instances.
    """

    ledger: Mapping[bytes, LedgerRow] = field(default_factory=dict)
    full_poll: int = 0
    done: tuple[str, ...] = ()
    writers: tuple[Writer, ...] = ()
    patient: str = ""
    subject: str = ""
    has_records: bool = False
    parked: bool = False
    fatal_poll: int = 0
    written: Mapping[str, Written] = field(default_factory=dict)
    offers: Mapping[str, int] = field(default_factory=dict)
    offered: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    refused_at: int = 0
    is_cut: bool = False
    too_large: int = 0
    reports: tuple[tuple[str, str], ...] = ()
    etag: str | None = None


class Told(NamedTuple):
    """The change that a demographic element came from; of two, the greater has the word."""

    sequence: int
    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class PatientState:
    """Which change each of a Patient's demographics came from, by element, and whether its birth date is ours.

    open_by: studies that stopped providing an element and have not asked the next provider yet; each asks by itself.
    is_known: every study that is linked to the Patient has a row of what it offers.
    ours: elements that this app wrote, and did not find as they are. unprovided: those that no study provides any more,
    and that may still be in FHIR. conflicts: studies whose values contradict those of the Patient, with the codes.
    resource: reference to the Patient that `ours`, `written` and the birth date are about, empty where it is not known.
    written: the Patient as it was last written. creating_at: when a study was about to create it (seconds since 1970),
    as long as none has said that it is there.
    """

    told: Mapping[str, Told] = field(default_factory=dict)
    birth_date_is_ours: bool = False
    open_by: tuple[str, ...] = ()
    is_known: bool = False
    ours: tuple[str, ...] = ()
    unprovided: tuple[str, ...] = ()
    conflicts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resource: str = ""
    written: Written | None = None
    creating_at: int = 0
    etag: str | None = None
