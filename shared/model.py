"""Values that cross layers: plain, frozen, without behaviour beyond their own text form."""

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple, Self

DEFAULT_PARTITION = "Microsoft.Default"
# `.` and `..` are names to the service, and steps of a path to everybody on the way to it (RFC 3986, 5.2.4)
PARTITION_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}")
UID_MAX_LENGTH = 64
MAX_INT64 = 2**63 - 1
MAX_INT32 = 2**31 - 1  # of a plain integer in Table Storage


def is_uid(text: Any) -> bool:
    """Whether this can be a UID as archives really have them. What is none must not reach tables, messages or URLs."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= UID_MAX_LENGTH
        and text.isascii()
        and text.replace(".", "").isdecimal()
    )


class InstanceKey(NamedTuple):
    """An instance within its study."""

    series_instance_uid: str
    sop_instance_uid: str


class StudyKey(NamedTuple):
    """A study within the DICOM service; the same UID may exist in several data partitions."""

    partition_name: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class ChangeFeedEntry:
    """One row of the change feed: at `sequence`, this instance changed. What it is now must be read."""

    sequence: int
    study: StudyKey
    instance: InstanceKey
    changed_at: datetime | None = None

    @property
    def fingerprint(self) -> "Fingerprint":
        """What tells this entry from the one that another service has at the same sequence."""
        said = "\n".join((*self.study, *self.instance, str(self.changed_at)))
        return Fingerprint(self.sequence, blake2b(said.encode(), digest_size=8).hexdigest())


class Fingerprint(NamedTuple):
    """An entry that the change feed once had: its sequence and a digest of it."""

    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class MalformedEntry:
    """A row of the change feed that cannot be read: where it stands as far as the rows around it show, and its UIDs."""

    sequence: int
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StudyChange:
    """The queue message: instances of one study that changed, each with its highest sequence.

    `poll` orders polls: whatever is listed here was visible in DICOM before any message of a later poll was sent.
    No instances listed means: look at the whole study. `part` numbers the messages of a poll to one study; it is below
    zero in one that no poll sent. alone: to be worked on in a process of its own. deaths: how many processes ended
    without a result while they had it. tries: how often the message asked for instances that could not be read
    (`sync.damage`).
    """

    study: StudyKey
    poll: int
    part: int = 0
    instances: Mapping[InstanceKey, int] = field(default_factory=dict)
    attempts: int = 0
    first_failed_at: datetime | None = None
    alone: bool = False
    deaths: int = 0
    tries: int = 0

    @property
    def message_id(self) -> str:
        """The identity of the work, the same however often it is delivered or deferred."""
        return f"{self.poll}.{self.part}"

    @property
    def sequence(self) -> int:
        """The highest sequence listed; 0 when none is."""
        return max(self.instances.values(), default=0)

    def deferred(self, now: datetime | None) -> Self:
        """The same work after one more failed attempt; without `now` it does not begin to age."""
        return replace(self, attempts=self.attempts + 1, first_failed_at=self.first_failed_at or now)

    def to_json(self) -> str:
        """Text of the queue message: partition, UIDs, sequences and counters, nothing else."""
        series: dict[str, dict[str, int]] = {}
        for key, sequence in self.instances.items():
            series.setdefault(key.series_instance_uid, {})[key.sop_instance_uid] = sequence
        message: dict[str, Any] = {
            "partition": self.study.partition_name,
            "study": self.study.study_instance_uid,
            "poll": self.poll,
            "part": self.part,
            "series": series,
        }
        if self.attempts:
            message["attempts"] = self.attempts
        if self.first_failed_at:
            message["firstFailedAt"] = self.first_failed_at.isoformat()
        if self.alone:
            message["alone"] = True
        if self.deaths:
            message["deaths"] = self.deaths
        if self.tries:
            message["tries"] = self.tries
        return json.dumps(message, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; raise ValueError for anything else."""
        try:
            message = json.loads(text)
            first_failed_at = message.get("firstFailedAt")
            return cls(
                study=StudyKey(_partition(message["partition"]), _uid(message["study"])),
                poll=_whole(message["poll"]),
                part=_whole(message.get("part", 0), lowest=-MAX_INT64),
                instances={
                    InstanceKey(_uid(series), _uid(sop)): _whole(sequence)
                    for series, instances in message.get("series", {}).items()
                    for sop, sequence in instances.items()
                },
                attempts=_whole(message.get("attempts", 0), most=MAX_INT32),
                first_failed_at=datetime.fromisoformat(first_failed_at).astimezone(UTC) if first_failed_at else None,
                alone=message.get("alone") is True,
                deaths=_whole(message.get("deaths", 0), most=MAX_INT32),
                tries=_whole(message.get("tries", 0), most=MAX_INT32),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise ValueError("not a StudyChange message") from None


def _uid(text: Any) -> str:
    if not is_uid(text):
        raise ValueError("not a UID")
    return str(text)


def _partition(text: Any) -> str:
    if not PARTITION_NAME.fullmatch(text):
        raise ValueError("not the name of a data partition")
    return str(text)


def _whole(value: Any, lowest: int = 0, most: int = MAX_INT64) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= most:
        raise ValueError("not such a number")
    return value


class Outcome(enum.StrEnum):
    """Completes the sentence "the study was …"."""

    CREATED = "created"
    UPDATED = "updated"
    REMOVED = "removed"
    REDUCED = "reduced"  # series of others are left
    EMPTIED = "emptied"  # all its instances were removed; the ImagingStudy is somebody else's
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"  # a later pass has done this work
    RETRYING = "retrying"
    FAILED = "failed"

    @property
    def is_removal(self) -> bool:
        """Whether no instance of ours is left."""
        return self in (Outcome.REMOVED, Outcome.REDUCED, Outcome.EMPTIED)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """An attribute that was present and could not be used; never its value."""

    keyword: str
    code: str


@dataclass(frozen=True, slots=True)
class SequenceRange:
    """A gap: sequences `first` to `last`, missing when the feed was read past them, at `seen_at` by its own clock."""

    first: int
    last: int
    seen_at: datetime


class OtherReaders(NamedTuple):
    """What is known of others that move the checkpoint, as a DICOM Cast does that was not stopped.

    seen_to: studies with rows up to here were processed again after others had them. seen_at: since when. again_to: how
    far others were seen; studies with rows from `seen_to` to here are to be processed again. moved_at: when the
    checkpoint was last found moved while this app polled, or an hour before it was taken over from DICOM Cast.
    """

    seen_to: int
    seen_at: datetime
    again_to: int = 0
    moved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the feed has been enqueued; `poll` is the number of the last poll, `fingerprint` that of the last entry,
    `saved_at` when the row was written, by the clock of the poller.

    synced: the highest sequence that the row has told anybody, which others may have written. moved_to: the sequence
    that somebody else wrote since this app saved the row; None where nobody did. others: None in a row that this app,
    or this version of it, has not written yet.
    """

    sequence: int = 0
    poll: int = 0
    gaps: tuple[SequenceRange, ...] = ()
    etag: str | None = None
    fingerprint: Fingerprint | None = None
    saved_at: datetime | None = None
    synced: int = 0
    moved_to: int | None = None
    others: OtherReaders | None = None

    @property
    def is_of_dicom_cast(self) -> bool:
        """Whether the row was never written by this app."""
        return self.etag is not None and self.sequence > 0 and self.poll == 0 and self.others is None
