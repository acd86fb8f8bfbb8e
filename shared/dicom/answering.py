"""Tell an outage of the DICOM service from damage of what was asked for."""

import random
from collections.abc import Collection

from shared.dicom.client import SERVICE, DicomClient, is_about_the_question
from shared.dicom.feed import parse_page
from shared.errors import SyncError, Unavailable
from shared.http import SERVER_ERROR
from shared.model import InstanceKey, StudyKey

WIDTH = 100  # rows of the change feed at each of its ends
TRIES = 4


async def check_answers(dicom: DicomClient, study: StudyKey, own: Collection[InstanceKey] = ()) -> None:
    """Raise Unavailable when the service answers for nothing else than this study either.

    Its change feed must answer, and so must the metadata of some instance: the one that was read last, or one of
    another study from either end of the feed, or some of `own`, instances of this study: each study can have a damaged
    one. Where there is nothing else to ask, the feed is enough.
    """
    latest = await dicom.latest_sequence()
    if dicom.last_read is not None and await _is_read(dicom, *dicom.last_read):
        return
    failed = False
    for key, instance in await _others(dicom, study, latest):
        answer = await _is_read(dicom, key, instance)
        if answer:
            return
        failed = failed or answer is False
    if not failed:
        return
    for instance in random.sample(sorted(own), min(TRIES, len(own))):
        if await _is_read(dicom, study, instance):
            return
    raise Unavailable(f"{SERVICE} fails for every instance that it is asked for", code=SERVER_ERROR)


async def _others(dicom: DicomClient, study: StudyKey, latest: int) -> list[tuple[StudyKey, InstanceKey]]:
    """Some instances of other studies, each of another one."""
    chosen: dict[StudyKey, InstanceKey] = {}
    for after in dict.fromkeys((max(0, latest - WIDTH), 0)):
        page = parse_page(await dicom.feed_page(after, WIDTH), after, after + WIDTH)
        for entry in reversed(page.entries):
            if entry.study != study and len(chosen) < (TRIES // 2 if after else TRIES):
                chosen.setdefault(entry.study, entry.instance)
    return list(chosen.items())


async def _is_read(dicom: DicomClient, study: StudyKey, instance: InstanceKey) -> bool | None:
    """Whether its metadata comes; None where it is not there any more, which shows nothing."""
    try:
        found = await dicom.instance_metadata(study, instance, _nothing_follows, is_repeated=False)
    except SyncError as error:
        if not is_about_the_question(error):
            raise
        return False
    return True if found is not None else None


async def _nothing_follows() -> None:
    """Whatever service says that this instance is absent: nothing is concluded from it."""
