"""Send studies through the queue once more, when a Patient's demographics have to be decided anew."""

import random
from collections.abc import Collection, Mapping

from shared.fhir.client import FhirClient
from shared.fhir.identifiers import Resource
from shared.model import InstanceKey, StudyChange, StudyKey, is_uid
from shared.storage.study_queue import StudyQueue
from shared.storage.study_state import StudyStateStore
from shared.sync import writers
from shared.sync.side_by_side import all_of

PART_BITS = 48
STUDY_UID_PREFIX = "urn:oid:"
AT_ONCE = 16  # studies that are looked up in the tables


def look_again(study: StudyKey, poll: int, instances: Mapping[InstanceKey, int] | None = None) -> StudyChange:
    """A message that no poll sent. Each has an identity of its own: one that shared its with another would find that
    one's announcements, look once more because of them, and so on without end.
    """
    return StudyChange(study, poll, part=-1 - random.getrandbits(PART_BITS), instances=instances or {})


class OtherStudies:
    """The studies beside the one that a message is about."""

    def __init__(self, fhir: FhirClient, states: StudyStateStore, queue: StudyQueue, change: StudyChange) -> None:
        self._fhir = fhir
        self._states = states
        self._queue = queue
        self._change = change

    @property
    def study_instance_uid(self) -> str:
        """Of the study that the message is about."""
        return self._change.study.study_instance_uid

    async def of_patient(self, patient: str, known: Collection[str] = ()) -> None:
        """All that are linked to this `Patient/id`, but for those already known."""
        found = {uid for study in await self._fhir.studies_of(patient) for uid in _study_uids(study)}
        uids = sorted(found - set(known))
        for start in range(0, len(uids), AT_ONCE):
            await all_of(self.study(uid) for uid in uids[start : start + AT_ONCE])

    async def this_one_later(self) -> None:
        """The study itself, when nothing that is under way now can still be written."""
        await self._queue.send(look_again(self._change.study, self._change.poll), writers.SETTLED_AFTER_S)

    async def study(self, study_instance_uid: str) -> None:
        """One study, in every data partition that it was written for; somebody else's is left alone."""
        if is_uid(study_instance_uid) and study_instance_uid != self._change.study.study_instance_uid:
            for study in await self._states.partitions_of(study_instance_uid):
                await self._queue.send(look_again(study, self._change.poll))

    async def other_partitions(self) -> None:
        """The study itself, in every other data partition that it was written for: what it has there may have been
        taken out, or is to be provided by that one from now on.
        """
        for study in await self._elsewhere():
            await self._queue.send(look_again(study, self._change.poll))

    async def patients_elsewhere(self) -> set[str]:
        """The Patients that the study has in other data partitions."""
        return {(await self._states.get(study)).patient for study in await self._elsewhere()}

    async def _elsewhere(self) -> list[StudyKey]:
        found = await self._states.partitions_of(self.study_instance_uid)
        return [study for study in found if study != self._change.study]


def _study_uids(study: Resource) -> set[str]:
    return {
        str(identifier["value"]).removeprefix(STUDY_UID_PREFIX)
        for identifier in study.get("identifier", [])
        if str(identifier.get("value", "")).startswith(STUDY_UID_PREFIX)
    }
