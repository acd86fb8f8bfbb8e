"""Read what DICOM says now of a study: few instances one by one, many as the whole study in one request.

One instance that is damaged makes the service refuse its whole study, or break off in the middle of the answer. That is
no outage, and no reason to keep the others out: narrower questions follow, see `shared.sync.narrower`.
"""

import asyncio
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from shared.dicom.answering import check_answers
from shared.dicom.client import Confirm, DicomClient, is_about_the_question
from shared.dicom.study import Truth, by_instance, joined
from shared.errors import SyncError, Unavailable
from shared.model import InstanceKey, StudyKey

AT_ONCE = 8  # requests
# instances known to be damaged that are asked for once more beside what a message lists
MOST_RECORDED = 64
# instances whose failed reads are repeated at once
MOST_REPEATED = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a look at a study has to show.

    listed: instances that changed, with their sequences. reports: those that may be dose reports. recorded: those that
    could not be read before. stored: those that FHIR lists. confirm: raises unless absence can be believed.
    everything: also what a series holds besides, however much must be asked for by itself.
    """

    listed: Mapping[InstanceKey, int]
    confirm: Confirm
    reports: Collection[InstanceKey] = ()
    recorded: Collection[InstanceKey] = ()
    stored: Collection[InstanceKey] = ()
    everything: bool = True

    @property
    def first(self) -> set[InstanceKey]:
        """What is asked for in any case."""
        return {*self.listed, *self.reports, *islice(self.recorded, MOST_RECORDED)}

    @property
    def known(self) -> set[InstanceKey]:
        """All instances whose UIDs are known."""
        return {*self.listed, *self.reports, *self.recorded, *self.stored}


@dataclass(frozen=True, slots=True)
class Failure:
    """The service failed to answer for a whole study, which can be the fault of some of its instances."""

    error: SyncError


Answer = list[Any] | Failure


async def ask_whole(dicom: DicomClient, study: StudyKey, confirm: Confirm) -> Answer:
    """The datasets of the whole study, none where it is gone."""
    try:
        return await dicom.study_metadata(study, confirm) or []
    except SyncError as error:
        if not is_about_the_question(error):
            raise
        return Failure(error)


async def complete(
    dicom: DicomClient,
    study: StudyKey,
    datasets: list[Any],
    wanted: Wanted,
    known: Collection[InstanceKey],
    series_instance_uid: str | None = None,
) -> Truth:
    """What an answer for a whole study or, where one is named, series holds; what of `known` is missing in it is gone.

    Where it holds datasets of others, or of which nobody can say whose they are, the missing are asked for by
    themselves. Otherwise the newest of those that a message lists is: raises Unavailable where it is there, for then
    the answer is an old one, of a cache, say.
    """
    instances, unreadable = by_instance(study.study_instance_uid, datasets, series_instance_uid)
    missing = [key for key in known if key not in instances]
    if not unreadable:
        if instances and (listed := [key for key in missing if key in wanted.listed]):
            await _check_missing(dicom, study, max(listed, key=wanted.listed.__getitem__), wanted.confirm)
        return Truth(instances, gone=frozenset(missing), is_whole=True)
    alone = await read_each(dicom, study, missing, wanted.confirm)
    hidden = max(0, unreadable - len(alone.unknown) - len(alone.instances))
    return joined(Truth(instances, hidden=hidden), alone, is_whole=True)


async def _check_missing(dicom: DicomClient, study: StudyKey, key: InstanceKey, confirm: Confirm) -> None:
    if (await read_each(dicom, study, [key], confirm)).instances:
        raise Unavailable(
            "the DICOM service answered for all of the study without an instance that it has; does something before it "
            "keep old answers?"
        )


async def read_some(dicom: DicomClient, study: StudyKey, keys: Collection[InstanceKey], confirm: Confirm) -> Truth:
    """These instances, each by a request of its own. Raises Unavailable when the service answers for nothing."""
    truth = await read_each(dicom, study, keys, confirm)
    if len(truth.unknown) == len(keys):
        await check_answers(dicom, study)
    return truth


async def read_each(
    dicom: DicomClient,
    study: StudyKey,
    keys: Collection[InstanceKey],
    confirm: Confirm,
    slots: asyncio.Semaphore | None = None,
) -> Truth:
    """As `read_some`, without asking whether it is an outage when no instance is answered for.

    slots: bound on requests at once that is shared with other reads. A failed read is repeated only where few fail: of
    thousands that are damaged, each would take a second.
    """
    room, are_few = slots or asyncio.Semaphore(AT_ONCE), len(keys) <= MOST_REPEATED

    async def read(key: InstanceKey) -> Truth:
        async with room:
            try:
                datasets = await dicom.instance_metadata(study, key, confirm, is_repeated=are_few)
            except SyncError as error:
                if not is_about_the_question(error):
                    raise
                return Truth(unknown=frozenset([key]))
        if datasets is None:
            return Truth(gone=frozenset([key]))
        instances, _ = by_instance(study.study_instance_uid, datasets)
        return Truth({key: instances[key]}) if key in instances else Truth(unknown=frozenset([key]))

    truth = joined(*await all_or_none([read(key) for key in keys]))
    if are_few or not 0 < len(truth.unknown) <= MOST_REPEATED:
        return truth
    return joined(replace(truth, unknown=frozenset()), await read_each(dicom, study, truth.unknown, confirm, slots))


async def all_or_none(reads: list[Awaitable[T]]) -> list[T]:
    """The results of reads that run at once; once one failed nobody waits for the others."""
    tasks = [asyncio.ensure_future(read) for read in reads]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
