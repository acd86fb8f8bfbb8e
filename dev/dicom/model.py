"""What the archive holds: instances with their versions, grouped into series and studies.

A version is numbered by a watermark that grows over the whole service; an instance keeps its newest and its original
version (dicom-server: Instance table, Watermark and OriginalWatermark).
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

DEFAULT_PARTITION = "Microsoft.Default"

Element = dict[str, Any]  # one attribute in DICOM JSON
Attributes = dict[str, Element]  # tag as eight hex digits -> attribute


class Key(NamedTuple):
    """The identity of an instance: the same UIDs in another partition or series are another instance."""

    partition: str
    study: str
    series: str
    sop: str


class Rendered(Protocol):
    """Metadata that is written when it is asked for, so that a synthetic backlog costs no memory."""

    def __call__(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Version:
    """One state of an instance; its object is the file named after the watermark.

    is_damaged: the service cannot read the metadata that it keeps.
    """

    watermark: int
    content: bytes | Rendered
    syntax: str
    is_damaged: bool = False

    @property
    def metadata(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content()


@dataclass(slots=True)
class Instance:
    """A stored instance; `index` holds its searchable attributes and is shared where equal."""

    key: Key
    current: Version
    original: Version
    index: Attributes


@dataclass(slots=True)
class Series:
    """The instances of a series by SOPInstanceUID, oldest first."""

    uid: str
    index: Attributes = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)


@dataclass(slots=True)
class Study:
    """The series of a study by SeriesInstanceUID, oldest first."""

    partition: str
    uid: str
    index: Attributes = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)

    def instances(self) -> list[Instance]:
        return [instance for series in self.series.values() for instance in series.instances.values()]
