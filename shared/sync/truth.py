"""Read what DICOM says now of a study: few instances one by one, many as the whole study in one request.

One instance whose metadata is damaged can make the service refuse the whole study, or answer something that cannot be
read. The others are then read one by one.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from shared.dicom.client import DicomClient
from shared.dicom.study import Truth, by_instance
from shared.dicom.values import Dataset
from shared.errors import Unavailable
from shared.http import SERVER_ERROR, UNREADABLE
from shared.model import InstanceKey, StudyKey

AT_ONCE = 8  # requests
PROBES = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """How the service failed to answer for a whole study, which can be the fault of some of its instances."""

    code: str


Answer = list[Any] | Failure


async def ask_whole(dicom: DicomClient, study: StudyKey, listed: Mapping[InstanceKey, int]) -> Answer:
    """The datasets of the whole study, none where it is gone."""
    try:
        return await dicom.study_metadata(study, max(listed.values(), default=0)) or []
    except Unavailable as error:
        if error.code not in (UNREADABLE, SERVER_ERROR) or not listed:
            raise
        return Failure(error.code)


async def read_whole(
    dicom: DicomClient,
    study: StudyKey,
    answer: Answer,
    listed: Mapping[InstanceKey, int],
    stored: Collection[InstanceKey],
    reports: Collection[InstanceKey],
) -> Truth:
    """What the answer to `ask_whole` holds; where it failed, as much of the study as can be had: what is listed, what
    may be a dose report, and where the answer cannot be read, whatever is stored.
    """
    if isinstance(answer, Failure):
        probe = await read_some(dicom, study, dict(list(listed.items())[:PROBES]))
        known = {**dict.fromkeys(stored if answer.code == UNREADABLE else reports, 0), **listed}
        rest = {key: sequence for key, sequence in known.items() if not _is_settled(probe, key)}
        return joined(probe, await read_each(dicom, study, rest))
    instances, unreadable = by_instance(study.study_instance_uid, answer)
    if not unreadable:
        return Truth(instances, is_whole=True)
    known = {**dict.fromkeys(stored, 0), **listed}
    missing = {key: sequence for key, sequence in known.items() if key not in instances}
    return joined(Truth(instances), await read_each(dicom, study, missing))


async def read_some(dicom: DicomClient, study: StudyKey, keys: Mapping[InstanceKey, int]) -> Truth:
    """These instances, with the sequences known of them, each by a request of its own.

    Raises Unavailable when the service answers for none of them.
    """
    truth = await read_each(dicom, study, keys)
    if truth.unanswered and len(truth.unanswered) == len(keys):
        raise Unavailable("the DICOM service fails to answer for the instances of the study", code=SERVER_ERROR)
    return truth


async def read_each(dicom: DicomClient, study: StudyKey, keys: Mapping[InstanceKey, int]) -> Truth:
    """As `read_some`, but it does not raise when the service answers for none."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def read(key: InstanceKey) -> Dataset | Unavailable | None:
        async with slots:
            try:
                datasets = await dicom.instance_metadata(study, key, keys.get(key, 0))
            except Unavailable as error:
                if error.code not in (UNREADABLE, SERVER_ERROR):
                    raise
                return error
        instances, unreadable = by_instance(study.study_instance_uid, datasets or [])
        return Unavailable("not a dataset", code=UNREADABLE) if unreadable else instances.get(key)

    reads = [asyncio.ensure_future(read(key)) for key in keys]
    try:
        answers = dict(zip(keys, await asyncio.gather(*reads), strict=True))
    finally:
        for one in reads:
            one.cancel()  # once one failed nobody waits for the others
    failures = {key: answer for key, answer in answers.items() if isinstance(answer, Unavailable)}
    unanswered = frozenset(key for key, error in failures.items() if error.code == SERVER_ERROR)
    return Truth(
        {key: answer for key, answer in answers.items() if isinstance(answer, Mapping)},
        frozenset(failures) - unanswered,
        unanswered,
    )


def _is_settled(truth: Truth, key: InstanceKey) -> bool:
    return key in truth.instances or key in truth.unreadable


def joined(one: Truth, other: Truth) -> Truth:
    """What two reads of a study showed together."""
    instances = {**one.instances, **other.instances}
    unanswered = (one.unanswered | other.unanswered) - instances.keys() - other.unreadable
    return Truth(instances, one.unreadable | other.unreadable, unanswered)
