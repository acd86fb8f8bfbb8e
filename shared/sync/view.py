"""Pure: what a pass makes of the truth it read: which instances are there or gone, and which speaks for the others."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.dicom.study import SeriesContent, StudyContent, Truth
from shared.dicom.values import Dataset
from shared.model import Finding, InstanceKey
from shared.sync import marks

UNREAD = "unreadable-metadata"
WHY_UNREAD = "the service gives none"  # in the place of a keyword: it is no attribute


@dataclass(frozen=True, slots=True)
class View:
    """content: what to lay over the ImagingStudy. gone: what to take out of it. marks: what to remember.

    newest: the instance that speaks for the study, None where what is stored stays; sequence: that of its change.
    """

    content: StudyContent
    gone: frozenset[InstanceKey]
    marks: Mapping[bytes, int]
    newest: InstanceKey | None
    sequence: int


def view_of(
    truth: Truth,
    failed: Collection[InstanceKey],
    known: marks.Marks,
    listed: Mapping[InstanceKey, int],
    stored: Collection[InstanceKey],
    *,
    adopted: bool,
    final: bool,
) -> View | None:
    """The view of one look; None when it did not show enough and the whole study must be read.

    stored: instances that the ImagingStudy lists. adopted: all of these count as ours, for nothing is remembered.
    final: no further look is possible; what was not shown stays as it is stored.
    """
    there = {key: dataset for key, dataset in truth.instances.items() if key not in failed}
    gone = _gone(truth, there, known, listed, stored, adopted=adopted)
    after = marks.merge(known, listed, there, gone, truth.unknown)
    if truth.is_whole:
        after = _without_unseen(after, {*there, *truth.unknown})
    names = {marks.digest(key): key for key in there}
    unread = {marks.digest(key) for key in truth.unknown}
    # one whose values cannot be had must not keep what the others say out
    now = marks.speakers({name: mark for name, mark in after.items() if name not in unread})
    before = marks.speakers(known)
    colliding = marks.colliding(key.series_instance_uid for key in (*there, *stored, *listed))
    if not final and (colliding or any(name not in names and before.get(scope) != name for scope, name in now.items())):
        return None
    newest = now.get(marks.STUDY)
    speaker = names.get(newest) if newest else None
    content = StudyContent(there[speaker] if speaker else None, _series(there, now, names, after, colliding))
    return View(content, gone, after, speaker, marks.sequence_of(after[newest]) if newest else 0)


def unreadable(truth: Truth) -> dict[InstanceKey, list[Finding]]:
    """A finding for each instance whose metadata cannot be had."""
    return {key: [Finding(WHY_UNREAD, UNREAD)] for key in truth.unknown}


def _gone(
    truth: Truth,
    there: Mapping[InstanceKey, Dataset],
    known: marks.Marks,
    listed: Mapping[InstanceKey, int],
    stored: Collection[InstanceKey],
    *,
    adopted: bool,
) -> frozenset[InstanceKey]:
    """What is kept out although it was read, and what is not there any more: of that what a message lists, and what is
    ours of the stored.
    """
    ours = set(listed) | {key for key in stored if adopted or marks.digest(key) in known}
    return frozenset((truth.instances.keys() - there.keys()) | (truth.gone & ours))


def _without_unseen(after: dict[bytes, int], seen: Collection[InstanceKey]) -> dict[bytes, int]:
    names = {marks.digest(key) for key in seen}
    return {name: mark if name in names or not marks.is_there(mark) else -mark - 1 for name, mark in after.items()}


def _series(
    there: Mapping[InstanceKey, Dataset],
    speakers: Mapping[bytes, bytes],
    names: Mapping[bytes, InstanceKey],
    after: marks.Marks,
    colliding: Collection[str],
) -> dict[str, SeriesContent]:
    """The series by their UIDs. One of the `colliding` goes by its own instances, as far as they were read."""
    by_series: dict[str, dict[str, Dataset]] = {}
    for key, dataset in there.items():
        by_series.setdefault(key.series_instance_uid, {})[key.sop_instance_uid] = dataset
    content: dict[str, SeriesContent] = {}
    for uid, instances in by_series.items():
        speaker = names.get(speakers[marks.series_digest(uid)])
        if uid in colliding:
            own = [InstanceKey(uid, sop) for sop in instances]
            speaker = max(own, key=lambda key: (after[marks.digest(key)], marks.digest(key)))
        content[uid] = SeriesContent(there[speaker] if speaker else None, instances)
    return content
