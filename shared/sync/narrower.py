"""Read a study whose metadata does not come in one answer: series by series, and those that fail instance by instance.

What can be had is read, so that no study waits for one object. What cannot is damage of the archive, for the service
answers for other things. Nothing is taken for gone because a search does not find it: a series and an instance whose
UIDs are known are asked for by themselves.
"""

import asyncio
from dataclasses import replace

from shared.dicom.answering import check_answers
from shared.dicom.client import DicomClient, is_about_the_question
from shared.dicom.listing import instances_of, series_of
from shared.dicom.study import Truth, joined
from shared.errors import SyncError, Unavailable
from shared.model import InstanceKey, StudyKey
from shared.retry import TOO_LARGE
from shared.sync.truth import AT_ONCE, Answer, Failure, Wanted, all_or_none, complete, read_each

SERIES_AT_ONCE = 4
# instances of a damaged series that are read beside what must be read, or as many again
MOST_BESIDE = 64


async def read_whole(dicom: DicomClient, study: StudyKey, answer: Answer, wanted: Wanted) -> Truth:
    """What the answer to `ask_whole` holds; where it failed, as much of the study as can be had.

    Raises Unavailable when it is an outage.
    """
    if not isinstance(answer, Failure):
        return await complete(dicom, study, answer, wanted, wanted.known)
    is_large = answer.error.code == TOO_LARGE  # the service answers
    if not is_large:
        await check_answers(dicom, study, wanted.known)
    counts = await series_of(dicom, study)
    known: dict[str, set[InstanceKey]] = {uid: set() for uid in counts or ()}
    for key in wanted.known:
        known.setdefault(key.series_instance_uid, set()).add(key)
    if not known:
        dicom.forget_size(study)
        if answer.error.code == TOO_LARGE:
            raise answer.error
        # nothing is known to ask for, and a search alone is no word for absence
        raise Unavailable(f"{answer.error}, and answers for others", code="unreadable-study")
    some, single = asyncio.Semaphore(SERIES_AT_ONCE), asyncio.Semaphore(AT_ONCE)

    async def read(uid: str) -> Truth:
        count = None if counts is None else counts.get(uid, 0)
        async with some:
            return await _series(dicom, study, uid, count, known[uid], wanted, single)

    truths = await all_or_none([read(uid) for uid in known])
    truth = joined(*truths, is_whole=counts is not None and all(truth.is_whole for truth in truths))
    if truth.unknown:
        await check_answers(dicom, study, truth.instances)  # an outage may have begun meanwhile
    return truth


async def _series(
    dicom: DicomClient,
    study: StudyKey,
    uid: str,
    count: int | None,
    known: set[InstanceKey],
    wanted: Wanted,
    slots: asyncio.Semaphore,
) -> Truth:
    """One series in one answer, or what its instances say one by one."""
    try:
        async with slots:
            datasets = await dicom.series_metadata(study, uid, wanted.confirm)
    except SyncError as error:
        if not is_about_the_question(error):
            raise
        if error.code == TOO_LARGE:  # each instance once; what that covers no other message asks for
            wanted = replace(wanted, everything=True)
    else:
        return await complete(dicom, study, datasets or [], wanted, known, uid)
    first = wanted.first & known
    keys, is_whole = _chosen(first, known - first, wanted)
    truth = await read_each(dicom, study, keys, wanted.confirm, slots)
    if is_whole and _missing(truth, count):
        found = await instances_of(dicom, study, uid, count or 0) - keys
        others, is_whole = _chosen(keys, found, wanted)
        if is_whole:
            truth = joined(truth, await read_each(dicom, study, others - keys, wanted.confirm, slots))
    hidden = _missing(truth, count) if is_whole else 0
    return joined(truth, Truth(hidden=hidden), is_whole=is_whole and count is not None)


def _missing(truth: Truth, count: int | None) -> int:
    """How many of the `count` instances of a series are neither read nor known not to be readable."""
    return max(0, (count or 0) - len(truth.instances) - len(truth.unknown))


def _chosen(first: set[InstanceKey], others: set[InstanceKey], wanted: Wanted) -> tuple[set[InstanceKey], bool]:
    """What to read of a damaged series, and whether that is all of it. Of a large one each message reads what it lists:
    the messages of a burst would otherwise cost as many reads as the series has instances, each of them.
    """
    is_whole = wanted.everything or len(others) <= max(MOST_BESIDE, len(first))
    return (first | others, True) if is_whole else (first, False)
