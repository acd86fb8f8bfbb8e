"""Read what DICOM says now of a study: few instances one by one, many as the whole study in one request."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.dicom.client import DicomClient
from shared.dicom.study import by_instance
from shared.dicom.values import Dataset
from shared.errors import Unavailable
from shared.http import UNREADABLE
from shared.model import InstanceKey, StudyKey

SINGLE_READS = 8
CONCURRENT_READS = 8
UNREADABLE_METADATA = "unreadable-metadata"


@dataclass(frozen=True, slots=True)
class Truth:
    """What was read.

    instances: the datasets that are there.
    unknown: instances whose metadata cannot be read; nothing is concluded about them.
    is_whole: every instance of the study was looked for, so what is not here is gone.
    """

    instances: Mapping[InstanceKey, Dataset] = field(default_factory=dict)
    unknown: frozenset[InstanceKey] = frozenset()
    is_whole: bool = False


async def read_whole(dicom: DicomClient, study: StudyKey, known: Collection[InstanceKey]) -> Truth:
    """The whole study. Where its metadata cannot be read at once, the `known` instances are read one by one."""
    try:
        datasets = await dicom.study_metadata(study)
    except Unavailable as error:
        if error.code != UNREADABLE:
            raise
        return await read_some(dicom, study, known)
    instances, unreadable = by_instance(study.study_instance_uid, datasets or [])
    if not unreadable:
        return Truth(instances, is_whole=True)
    rest = await read_some(dicom, study, [key for key in known if key not in instances])
    return Truth({**instances, **rest.instances}, rest.unknown)


async def read_some(dicom: DicomClient, study: StudyKey, keys: Collection[InstanceKey]) -> Truth:
    """These instances, each by a request of its own."""
    slots = asyncio.Semaphore(CONCURRENT_READS)

    async def read(key: InstanceKey) -> Dataset | str | None:
        async with slots:
            try:
                datasets = await dicom.instance_metadata(study, key)
            except Unavailable as error:
                if error.code != UNREADABLE:
                    raise
                return UNREADABLE_METADATA
        instances, unreadable = by_instance(study.study_instance_uid, datasets or [])
        return UNREADABLE_METADATA if unreadable else instances.get(key)

    answers = dict(zip(keys, await asyncio.gather(*map(read, keys)), strict=True))
    return Truth(
        {key: answer for key, answer in answers.items() if isinstance(answer, Mapping)},
        frozenset(key for key, answer in answers.items() if answer == UNREADABLE_METADATA),
    )
