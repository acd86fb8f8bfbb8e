"""How much of a study is read: few instances one by one, otherwise all of it."""

import asyncio

import pytest

from shared.dicom.feed import Changes
from shared.errors import Misconfigured
from shared.model import DEFAULT_PARTITION, ChangeFeedEntry, InstanceKey, StudyChange, StudyKey
from shared.state import LedgerRow, StudyState
from shared.sync.look import needs_whole
from shared.sync.truth import read_each

STUDY = StudyKey(DEFAULT_PARTITION, "1.2")


def known(count):
    """The state of a study of so many instances that was once read whole."""
    return StudyState(
        ledger={number.to_bytes(12, "big"): LedgerRow(1, is_there=True) for number in range(count)}, full_poll=1
    )


@pytest.mark.parametrize(
    ("changed", "of", "expected"),
    [
        pytest.param(0, 10, True, id="none listed"),
        pytest.param(8, 8, False, id="few"),
        pytest.param(9, 80, True, id="many of a small study"),
        pytest.param(20, 1_000, False, id="a small part of a large one"),
        pytest.param(101, 1_000, True, id="a large part"),
    ],
)
def test_how_much_is_read(changed, of, expected):
    listed = {InstanceKey("1.2.3", f"1.2.3.{number}"): number for number in range(1, changed + 1)}
    assert needs_whole(StudyChange(STUDY, 2, instances=listed), known(of), repeats=False) is expected


@pytest.mark.parametrize("uid_length", [20, 64])
@pytest.mark.parametrize("per_series", [1, 20_000])
def test_of_a_study_with_several_messages_all_is_read_once(uid_length, per_series):
    """Each of them would cost as many requests as it lists; one look at the whole study covers them all."""
    changes = Changes()
    for number in range(1, 20_001):
        uids = (f"1.2.{number // per_series}".ljust(uid_length, "3"), f"1.2.3.{number}.".ljust(uid_length, "4"))
        changes.add(ChangeFeedEntry(number, STUDY, InstanceKey(*uids)))
    *messages, _ = changes.messages(2)
    assert messages
    assert all(needs_whole(message, known(20_000), repeats=False) for message in messages)


class Refusing:
    """A DICOM service that refuses one instance, and takes its time over the others."""

    async def instance_metadata(self, _, key, __, **___):
        if key.sop_instance_uid == "1":
            raise Misconfigured("m")
        await asyncio.sleep(0.05)


async def test_nothing_is_read_on_once_a_read_was_refused():
    """The message waits then; hundreds of reads that nobody waits for would go on meanwhile."""
    keys = {InstanceKey("1.2.3", str(number)): number for number in range(1, 201)}
    with pytest.raises(Misconfigured):
        await read_each(Refusing(), STUDY, keys, None)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
