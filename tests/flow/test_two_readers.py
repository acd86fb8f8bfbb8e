"""DICOM Cast moves the checkpoint while the app runs, or was gone back to: with the app's tables, on the same feed.

Its resources come from the re-enactment of its algorithm in bench/dicom_cast; the checkpoint is written as by the real
one: `SyncedSequence` alone is merged into the row, whatever its ETag.
"""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from azure.data.tables import EntityProperty, UpdateMode

from bench.dicom_cast.worker import DicomCast
from shared.errors import Misconfigured, VersionConflict
from shared.health import Health
from tests.builders import make_instance, series_uid, sop_uid, study_uid
from tests.flow.life import differences, linked
from tests.flow.test_dose import report
from tests.flow.test_health import checks_of
from tests.flow.test_parked import operated
from tests.unit.dose.reports import STUDY, ct_report, report_uid

KEYS = {"PartitionKey": "SyncStatePartitionKey", "RowKey": "SyncStateRowKey"}


class Cast:
    """A DICOM Cast that was not stopped. `sequence` is where it goes on."""

    def __init__(self, stack):
        self._stack = stack

    async def moves_to(self, sequence):
        await self.writes({"SyncedSequence": EntityProperty(sequence, "Edm.Int64")})

    async def writes(self, columns):
        client = self._stack.tables.get_table_client(f"{self._stack.name}SyncStateTable")
        async with client:
            await client.upsert_entity({**KEYS, **columns}, mode=UpdateMode.MERGE)

    async def works(self, after, *, moves=True):
        """Work the feed from this sequence to its end; moves: not if it is stopped before it writes how far it came."""
        cast = DicomCast(self._stack.dicom, self._stack.fhir, sequence=after)
        cast.catch_up()
        cast.close()
        if moves:
            await self.moves_to(cast.sequence)


@pytest.fixture
def client_ids():
    return True


@pytest.fixture
def cast(stack):
    return Cast(stack)


async def codes(stack):
    return sorted(one["code"]["coding"][0]["code"] for one in await stack.resources("Observation"))


async def row(stack):
    (found,) = await stack.rows("SyncStateTable")
    return found


def said(caplog, name):
    return [message for message in caplog.messages if message.startswith(name)]


async def assert_as_new(stack, fresh_projection):
    assert differences(linked(await stack.content()), linked(await fresh_projection())) == []


async def test_a_moved_checkpoint_is_said_at_the_next_poll(stack, cast, caplog, capsys):
    await stack.store(make_instance(1))
    await stack.drain()
    await stack.app.readers()
    await stack.store(make_instance(2), make_instance(3))
    await cast.moves_to(3)
    polled = await stack.poll()
    assert (polled.entries, polled.sequence) == (2, 3)  # what it passed over is read all the same
    (line,) = said(caplog, "checkpoint_moved")
    assert line.startswith("checkpoint_moved sequence=1 moved_to=3 reason=another reader")
    _, _, told = await operated(capsys, "list")
    assert "two-readers: somebody else moved the checkpoint 1 minute ago: DICOM Cast" in told
    problems = (await Health(checks_of(stack), "0 * * * * *").answer())["problems"]
    assert [problem.split(":")[0] for problem in problems] == ["two-readers"]
    caplog.clear()
    await stack.poll()
    assert said(caplog, "checkpoint_moved") == []
    with pytest.raises(Misconfigured, match="somebody else moved the checkpoint"):
        await stack.app.readers()


async def test_after_a_return_no_second_reader_is_said_until_it_moves_the_checkpoint_again(stack, cast, caplog):
    """The alert `set-up` comes on for a second reader. DICOM Cast was stopped before the app was started again."""
    await stack.store(make_instance(1))
    await stack.drain()
    await stack.store(make_instance(2))
    await cast.works(1)
    await cast.writes({"SyncedDate": datetime.now(UTC) - timedelta(days=2)})
    stack.app = stack.new_app()
    await stack.app.readers()
    await stack.poll()
    assert len(said(caplog, "checkpoint_moved")) == 1
    assert await stack.app.readers() == {}
    await stack.drain()
    assert await stack.app.readers() == {}
    await cast.moves_to(2)
    with pytest.raises(Misconfigured, match="somebody else moved the checkpoint"):
        await stack.app.readers()
    await stack.poll()
    with pytest.raises(Misconfigured, match="somebody else moved the checkpoint"):
        await stack.app.readers()


async def test_a_write_that_leaves_the_sequence_as_it_is_is_noticed(stack, cast, caplog):
    await stack.store(make_instance(1))
    await stack.drain()
    await cast.moves_to(1)
    await stack.poll()
    assert len(said(caplog, "checkpoint_moved")) == 1


@pytest.mark.parametrize("known", [False, True], ids=["at the takeover", "later"])
async def test_one_that_writes_all_the_time_holds_up_no_poll(stack, cast, caplog, monkeypatch, known):
    """It asks for no ETag, so a poll whose checkpoint was moved meanwhile would never save its own."""
    await stack.store(make_instance(1), make_instance(2))
    if known:
        await stack.drain()
    else:
        await stack.tables.create_table(f"{stack.name}SyncStateTable")
        await cast.moves_to(1)
    await stack.store(*(make_instance(number) for number in range(3, 9)))
    save = type(stack.app.checkpoints).save
    moves = iter([5, 6, 7])

    async def seldom(self, checkpoint):
        if (sequence := next(moves, None)) is not None:
            await cast.moves_to(sequence)
        return await save(self, checkpoint)

    monkeypatch.setattr(type(stack.app.checkpoints), "save", seldom)
    polled = await stack.poll()
    assert (polled.entries, polled.sequence) == (6 if known else 7, 8)
    assert said(caplog, "checkpoint_moved") != []
    monkeypatch.undo()
    checkpoint = await stack.app.checkpoints.get()
    assert (checkpoint.sequence, checkpoint.others.again_to) == (8, 7)


async def test_a_refused_write_of_a_row_that_nobody_changed_is_no_move(stack, caplog, monkeypatch):
    """Gateways answer 412, too: the studies would be read again, and health would name a second reader."""
    await stack.store(make_instance(1))
    await stack.drain()
    await stack.store(make_instance(2))
    save = type(stack.app.checkpoints).save
    refused = iter([True])

    async def late(self, checkpoint):
        if next(refused, False):
            raise VersionConflict("refused")
        return await save(self, checkpoint)

    monkeypatch.setattr(type(stack.app.checkpoints), "save", late)
    assert (await stack.poll()).sequence == 2
    checkpoint = await stack.app.checkpoints.get()
    assert (checkpoint.others.again_to, checkpoint.others.moved_at) == (0, None)
    assert said(caplog, "checkpoint_moved") == []


async def test_a_poll_gives_way_to_another_of_this_app(stack, monkeypatch):
    await stack.store(make_instance(1))
    other, save = stack.new_app(), type(stack.app.checkpoints).save
    polls = iter([True])

    async def late(self, checkpoint):
        if next(polls, False):
            assert (await stack.poll(other)).sequence == 1
        return await save(self, checkpoint)

    monkeypatch.setattr(type(stack.app.checkpoints), "save", late)
    with pytest.raises(VersionConflict):
        await stack.poll()


async def test_the_checkpoint_never_goes_back_for_others(stack, cast):
    """Or DICOM Cast would write once more what it has written, and double its dose reports."""
    await stack.store(make_instance(1))
    await stack.drain()
    await stack.store(make_instance(2), make_instance(3), make_instance(4))
    await cast.moves_to(4)
    checkpoint = await stack.app.checkpoints.get()
    assert (checkpoint.sequence, checkpoint.moved_to) == (1, 4)
    await stack.app.checkpoints.save(checkpoint)
    assert (await row(stack))["SyncedSequence"].value == 4
    assert (await stack.app.checkpoints.get()).sequence == 1


async def test_what_both_wrote_is_in_sync_when_dicom_cast_is_quiet(stack, cast, fresh_projection):
    await stack.store(make_instance(1))
    await stack.drain()
    before = (await row(stack))["SyncedSequence"].value
    await stack.store(report(ct_report([1, 2])), make_instance(2), make_instance(2, 1, 2))
    await stack.drain()
    await cast.works(before)  # it read the checkpoint before, and writes after the app
    assert len(await codes(stack)) == 6
    await stack.drain()
    assert len(await codes(stack)) == 3
    await assert_as_new(stack, fresh_projection)


async def test_what_it_wrote_of_a_page_that_it_was_stopped_in_is_in_sync_an_hour_later(
    stack, cast, monkeypatch, fresh_projection
):
    """It moves the checkpoint behind a page. A study that it wrote once more after its deletion has no next change."""
    await stack.store(make_instance(1))
    await stack.drain()
    await cast.moves_to(1)
    await stack.store(report(ct_report([1, 2])), make_instance(2))
    await stack.drain()
    (deleted,) = [one for one in await stack.resources("ImagingStudy") if study_uid(2) in json.dumps(one)]
    await stack.delete(study_uid(2))
    await stack.drain()
    await cast.works(1, moves=False)
    await stack.post({name: value for name, value in deleted.items() if name != "id"})
    await stack.drain()
    assert len(await codes(stack)) == 6
    for hours in (1, 2, 3):
        later = datetime.now(UTC) + timedelta(hours=hours)
        monkeypatch.setattr(stack.app.poller._others, "_now", lambda later=later: later)
        await stack.drain()
        assert len(await codes(stack)) == 3
    await assert_as_new(stack, fresh_projection)
    assert (await stack.app.checkpoints.get()).others.seen_to == 4


async def test_without_the_notice_the_next_change_of_the_study_puts_it_in_sync(stack, cast, fresh_projection):
    """The process that saved the checkpoint is gone, and DICOM Cast wrote the same sequence."""
    await stack.store(report(ct_report([1, 2])), make_instance(7, 2, 1, StudyInstanceUID=STUDY))
    await stack.drain()
    await cast.works(0)
    stack.app = stack.new_app()
    assert (await stack.poll()).entries == 0
    assert len(await codes(stack)) == 6
    await stack.store(make_instance(7, 2, 2, StudyInstanceUID=STUDY))
    await stack.drain()
    assert len(await codes(stack)) == 3
    await assert_as_new(stack, fresh_projection)


async def test_dose_that_dicom_cast_deleted_comes_back(stack, cast, fresh_projection):
    """It deletes all Observations of a study with any of its instances."""
    await stack.store(report(ct_report([1])), make_instance(7, 2, 1, StudyInstanceUID=STUDY))
    await stack.drain()
    for one in await stack.resources("Observation"):
        await stack.http.delete(f"{stack.fhir}/Observation/{one['id']}")
    await stack.delete(f"{STUDY}/series/{series_uid(7, 2)}/instances/{sop_uid(7, 2, 1)}")
    await cast.moves_to(3)
    await stack.drain()
    found = {one["identifier"][0]["value"] for one in await stack.resources("Observation")}
    assert f"urn:oid:{report_uid(1)}" in found
    await assert_as_new(stack, fresh_projection)


async def test_counts_are_right_at_once_after_a_return(stack, cast, fresh_projection):
    await stack.store(make_instance(1, AccessionNumber="A1"))
    await stack.drain()
    await stack.store(make_instance(1, 1, 2, AccessionNumber="A2"), make_instance(2))
    await cast.works(1)
    studies = [one for one in await stack.resources("ImagingStudy") if one.get("numberOfInstances") == 1]
    assert [len(study["series"][0]["instance"]) for study in studies] == [2]  # what DICOM Cast leaves
    await stack.drain()
    await assert_as_new(stack, fresh_projection)
    assert {one["numberOfInstances"] for one in await stack.resources("ImagingStudy")} == {1, 2}


@pytest.mark.parametrize("zone", ["", "Europe/Berlin"])
async def test_the_first_poll_of_its_checkpoint_says_that_times_will_go(stack, cast, caplog, zone):
    caplog.set_level(logging.INFO)
    await stack.store(make_instance(1), make_instance(2))
    stack.app = stack.new_app(**({"DicomWeb__DefaultTimeZone": zone} if zone else {}))
    await stack.poll()
    await stack.forget("SyncStateTable")
    await stack.tables.create_table(f"{stack.name}SyncStateTable")
    await cast.moves_to(1)
    caplog.clear()
    await stack.poll()
    assert said(caplog, "checkpoint_taken_over") == ["checkpoint_taken_over sequence=1"]
    assert len(said(caplog, "no_default_zone")) == (0 if zone else 1)
    caplog.clear()
    await stack.poll()
    assert said(caplog, "checkpoint_taken_over") + said(caplog, "no_default_zone") == []
