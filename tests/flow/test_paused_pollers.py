"""A poller that is stopped before any of its calls, for minutes, while another one polls all there is."""

from datetime import timedelta

import pytest

from shared.errors import VersionConflict
from tests.builders import make_instance, study_uid
from tests.flow.life import assert_nothing_left
from tests.flow.pauses import Clock, Pause, pausable

MOST = 20


@pytest.fixture
def clock(prompt, monkeypatch):
    assert prompt is None
    pausable(monkeypatch)
    return Clock(monkeypatch)


async def checkpoint(stack):
    rows = await stack.rows("SyncStateTable")
    return [(row["SyncedSequence"].value, row["Poll"].value) for row in rows]


async def stopped_poll(stack, clock, number, stop_at):
    """Stop a poll of a study, and of one before it that comes to sight meanwhile, as does one behind it; where it was
    stopped, and the studies there are.
    """
    clock.passed = timedelta()  # the DICOM service's clock knows nothing of pauses
    seen, last = [], make_instance(number + 3)
    await stack.dicom_dev("feed", {"hold": 1})
    await stack.store(make_instance(number))
    await stack.store(make_instance(number + 1))
    if number > 10:  # what is missing is in the checkpoint already
        await stack.poll()
        await stack.store(make_instance(number + 2))

    async def go_on():
        await stack.dicom_dev("feed", {"release": True})
        await stack.store(last)
        await stack.poll()
        await stack.run(*await stack.messages())
        seen.extend(await checkpoint(stack))

    pause = Pause(clock, stop_at)
    task = await pause.around(stack.new_app().poller.poll(), go_on)
    assert isinstance(task.exception(), VersionConflict | None), pause.place
    assert await checkpoint(stack) >= seen, pause.place
    return pause.place


async def studies(stack):
    return {one["identifier"][0]["value"].rpartition(".")[2] for one in await stack.resources("ImagingStudy")}


@pytest.mark.not_on("dicom-server", "its late rows come by chance, not at a named row")
@pytest.mark.parametrize("stop_at", range(1, 7))
async def test_the_first_poll_stopped(clock, stack, stop_at):
    place = await stopped_poll(stack, clock, 10, stop_at)
    assert place
    await stack.drain()
    assert await studies(stack) == {"10", "11", "13"}, place
    await assert_nothing_left(stack)


@pytest.mark.not_on("dicom-server", "its late rows come by chance, not at a named row")
async def test_a_later_poll_stopped_anywhere(clock, stack):
    places = {}
    for stop_at in range(1, MOST):
        place = await stopped_poll(stack, clock, 10 + 10 * stop_at, stop_at)
        if place is None:
            break
        places[10 + 10 * stop_at] = place
    assert len(places) > 5
    await stack.dicom_dev("feed", {"release": True})
    await stack.drain()
    lost = {
        study_uid(one).rpartition(".")[2] for number in places for one in range(number, number + 4)
    } - await studies(stack)
    assert lost == set(), places
    await assert_nothing_left(stack)
