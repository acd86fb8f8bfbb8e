"""Pure: the datasets that a metadata answer holds, by instance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.dicom.values import Attributes, Dataset
from shared.model import InstanceKey


@dataclass(frozen=True, slots=True)
class SeriesContent:
    """What was read of one series: the dataset its own values come from (None: keep those stored), its instances."""

    newest: Dataset | None
    instances: Mapping[str, Dataset]


@dataclass(frozen=True, slots=True)
class StudyContent:
    """What was read of a study: the dataset its own values come from (None: keep those stored), its series."""

    newest: Dataset | None
    series: Mapping[str, SeriesContent] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Truth:
    """What was read.

    instances: the datasets that are there.
    unreadable: instances whose metadata came and cannot be read. unanswered: those that the service failed to answer
    for. Nothing is concluded about either.
    is_whole: every instance of the study was looked for, so what is not here is gone.
    """

    instances: Mapping[InstanceKey, Dataset] = field(default_factory=dict)
    unreadable: frozenset[InstanceKey] = frozenset()
    unanswered: frozenset[InstanceKey] = frozenset()
    is_whole: bool = False

    @property
    def unknown(self) -> frozenset[InstanceKey]:
        """Instances about which nothing is concluded."""
        return self.unreadable | self.unanswered


def by_instance(study_instance_uid: str, datasets: Iterable[Any]) -> tuple[dict[InstanceKey, Dataset], int]:
    """Datasets by instance, and how many could not be read as one of this study."""
    instances: dict[InstanceKey, Dataset] = {}
    unreadable = 0
    for dataset in datasets:
        key = _key_of(study_instance_uid, dataset)
        if key is None:
            unreadable += 1
        else:
            instances[key] = dataset
    return instances, unreadable


def _key_of(study_instance_uid: str, dataset: Any) -> InstanceKey | None:
    if not isinstance(dataset, Mapping):
        return None
    attributes = Attributes(dataset)
    series, sop = attributes.uid("SeriesInstanceUID"), attributes.uid("SOPInstanceUID")
    if series is None or sop is None or attributes.text("StudyInstanceUID") not in (study_instance_uid, None):
        return None
    return InstanceKey(series, sop)
