"""Pure: the datasets that a metadata answer holds, by instance."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.dicom.values import Attributes, Dataset
from shared.model import InstanceKey

# an element by its name -> the dataset that provides it, None where no instance has a value of it any more. What is not
# named stays as it is stored: its provider was not read and has not changed.
Provided = Mapping[str, Dataset | None]


@dataclass(frozen=True, slots=True)
class SeriesContent:
    """What was read of one series: the providers of its elements, its instances by SOP Instance UID."""

    elements: Provided
    instances: Mapping[str, Dataset]


@dataclass(frozen=True, slots=True)
class StudyContent:
    """What was read of a study: the providers of its elements, its series.

    requests: digests of all requests that its instances name, None where some may be unknown. requesting: of the
    instances that were read, one for each set of requests that they name.
    """

    elements: Provided = field(default_factory=dict)
    series: Mapping[str, SeriesContent] = field(default_factory=dict)
    requests: frozenset[str] | None = None
    requesting: Collection[Dataset] = ()


@dataclass(frozen=True, slots=True)
class Truth:
    """What was read.

    instances: the datasets that are there. unknown: instances whose metadata cannot be had; nothing is concluded about
    them. gone: instances that were asked for by themselves, or with the whole of their series or study, and are not
    there.
    is_whole: every instance of the study was looked for. hidden: how many of them cannot be had and are known to nobody
    by their UIDs.
    """

    instances: Mapping[InstanceKey, Dataset] = field(default_factory=dict)
    unknown: frozenset[InstanceKey] = frozenset()
    gone: frozenset[InstanceKey] = frozenset()
    is_whole: bool = False
    hidden: int = 0


def joined(*truths: Truth, is_whole: bool = False) -> Truth:
    """What several reads of a study showed together. What one of them had is there, whatever the others say."""
    instances = {key: dataset for truth in truths for key, dataset in truth.instances.items()}
    unknown = frozenset(key for truth in truths for key in truth.unknown) - instances.keys()
    gone = frozenset(key for truth in truths for key in truth.gone) - instances.keys() - unknown
    return Truth(instances, unknown, gone, is_whole, sum(truth.hidden for truth in truths))


def by_instance(
    study_instance_uid: str, datasets: Iterable[Any], series_instance_uid: str | None = None
) -> tuple[dict[InstanceKey, Dataset], int]:
    """Datasets by instance, and how many could not be read as one of this study, or of this series if one is named."""
    instances: dict[InstanceKey, Dataset] = {}
    unreadable = 0
    for dataset in datasets:
        key = key_of(study_instance_uid, dataset)
        if key is None or series_instance_uid not in (None, key.series_instance_uid):
            unreadable += 1
        else:
            instances[key] = dataset
    return instances, unreadable


def key_of(study_instance_uid: str, dataset: Any) -> InstanceKey | None:
    """The instance that a dataset is about; None where it is not a dataset of this study."""
    if not isinstance(dataset, Mapping):
        return None
    attributes = Attributes(dataset)
    series, sop = attributes.uid("SeriesInstanceUID"), attributes.uid("SOPInstanceUID")
    if series is None or sop is None or attributes.text("StudyInstanceUID") not in (study_instance_uid, None):
        return None
    return InstanceKey(series, sop)
