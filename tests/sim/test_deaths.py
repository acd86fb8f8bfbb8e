"""What the runner makes of messages whose process ended, and of those that take too long: the real rules, in simulated
time; processes are told how to end.
"""

import asyncio
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Raised, Rejected
from shared.model import InstanceKey, Outcome, StudyChange, StudyKey
from shared.storage.error_records import ErrorRecords, ErrorTable
from shared.storage.study_state import StudyStateStore
from shared.sync.alone import MOST_DEATHS, MOST_DEATHS_OF_WORKERS, Died, Done, Failed, NotStarted, Overran
from shared.sync.attempt import GoesAlone, Result
from shared.sync.runner import Runner
from tests.sim.parts import SimQueue, SimTable
from tests.sim.virtual_time import run_virtually

STUDY = StudyKey("Microsoft.Default", "1.2.3")
CHANGE = StudyChange(STUDY, 7, instances={InstanceKey("1.2.3.1", "1.2.3.1.1"): 5})
ALONE = StudyChange(STUDY, 7, instances=CHANGE.instances, alone=True)
LIMIT_S = 300.0
SYNCED = Done(Result(Outcome.CREATED))


class World:
    """One worker. reconcile: what a pass does; endings: how processes end, one after another, the last for ever."""

    def __init__(self, reconcile=None, endings=(SYNCED,)):
        self.queue = SimQueue()
        self.tables = {table: SimTable() for table in ErrorTable}
        self.states = SimTable()
        self.alone = []
        self.most_at_once = self.under_way = 0
        self._endings = list(endings)
        self.reconcile = reconcile or self._synced
        self.superseded = False
        self.takes_s = 2
        loop = asyncio.get_running_loop()
        self.runner = Runner(
            self,
            StudyStateStore(self.states),
            self.queue,
            ErrorRecords(self.tables),
            timedelta(days=7),
            lambda: datetime(2021, 3, 1, tzinfo=UTC) + timedelta(seconds=loop.time()),
            loop.time,
            limit_s=LIMIT_S,
            work_alone=self._work,
        )

    async def is_superseded(self, _):
        return self.superseded

    async def _synced(self, _):
        return Result(Outcome.CREATED)

    async def _work(self, text):
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(self.takes_s)
        self.under_way -= 1
        self.alone.append(StudyChange.from_json(text))
        return self._endings.pop(0) if len(self._endings) > 1 else self._endings[0]

    async def sent(self):
        """What the queue gives out next, however long that takes."""
        while not (taken := self.queue.take(32)):
            assert len(self.queue), "nothing is in the queue"
            await asyncio.sleep(0.5)
        self.queue.under_way -= len(taken)
        return [StudyChange.from_json(text) for text, _ in taken]

    async def until_quiet(self):
        """Deliver what comes, each message once; how many there were."""
        count = 0
        while len(self.queue):
            for change in await self.sent():
                count += 1
                await self.runner.run(change.to_json())
        return count

    def codes(self, table=ErrorTable.FHIR):
        return [entity["Exception"].partition(":")[0] for entity, _ in self.tables[table].entities.values()]

    async def state(self):
        return await StudyStateStore(self.states).get(STUDY)


def virtually(test):
    """Run a test in simulated time."""

    def run():
        run_virtually(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@virtually
async def test_a_message_whose_work_was_done_meanwhile_needs_no_process():
    world = World()
    await world.runner.run(CHANGE.to_json(), 2)
    world.superseded = True
    assert await world.until_quiet() == 1
    assert (world.alone, world.codes(), world.codes(ErrorTable.TRANSIENT_RETRY)) == ([], [], [])


@virtually
async def test_a_message_that_is_delivered_again_is_not_worked_on_beside_others():
    async def ends_the_process(_):
        raise AssertionError("worked on beside others")

    world = World(ends_the_process)
    assert (await world.runner.run(CHANGE.to_json(), 2)).outcome is Outcome.RETRYING
    [again] = await world.sent()
    assert again == ALONE, "the same, marked; its deliveries are counted from one"
    await world.runner.run(again.to_json())
    assert world.alone == [ALONE]
    assert world.codes() == []


@pytest.mark.parametrize("takes_s", [0.3, 2, 12])
def test_messages_that_go_alone_are_sent_few_times_more(takes_s):
    """However long a study takes: they come back when it is their turn, not each second."""

    async def main():
        world = World()
        world.takes_s = takes_s
        for number in range(40):
            world.queue.put(replace(ALONE, study=StudyKey("p", f"1.2.{number + 1}")).to_json())
        runs, tasks = 0, set()
        while len(world.queue) or not all(task.done() for task in tasks):
            for text, _ in world.queue.take(32):
                runs += 1
                world.queue.under_way -= 1
                tasks.add(asyncio.create_task(world.runner.run(text)))
            await asyncio.sleep(0.1)
        assert len(world.alone) == 40
        return runs

    assert run_virtually(main()) <= 4 * 40


@virtually
async def test_one_at_a_time_and_nothing_is_held_meanwhile():
    world = World()
    results = await asyncio.gather(*(world.runner.run(ALONE.to_json()) for _ in range(20)))
    assert [one.outcome for one in results].count(Outcome.RETRYING) == 19
    assert await world.until_quiet() < 19 * 3
    assert (world.most_at_once, len(world.alone)) == (1, 20)


@pytest.mark.parametrize(
    ("endings", "code", "processes"),
    [
        ([Died("exit code 3", is_certain=True)], "process-died", 1),
        ([Died("SIGSEGV", is_certain=True)], "process-died", 1),
        ([Overran(450)], "too-slow", 1),
        ([Died("SIGKILL", is_certain=False)], "process-died", MOST_DEATHS),
        ([Died("SIGKILL", is_certain=False), SYNCED], None, 2),
        ([NotStarted("m"), SYNCED], None, 2),
    ],
)
def test_how_a_process_ends_says_what_becomes_of_the_study(endings, code, processes):
    async def test():
        world = World(endings=endings)
        await world.queue.send(ALONE)
        await world.until_quiet()
        assert len(world.alone) == processes
        assert world.codes() == ([code] if code else [])
        assert world.codes(ErrorTable.TRANSIENT_RETRY) == [] or code is None
        state = await world.state()
        assert (state.parked, state.fatal_poll) == ((True, 7) if code else (False, 0))

    run_virtually(test())


@virtually
async def test_a_study_that_ended_its_process_before_goes_alone_at_once():
    async def ended_before(_):
        raise GoesAlone

    world = World(ended_before)
    assert (await world.runner.run(CHANGE.to_json())).outcome is Outcome.CREATED
    assert world.alone == [ALONE]


@virtually
async def test_a_worker_that_ends_under_a_message_alone_is_counted_and_the_study_neither_lost_nor_tried_for_ever():
    world = World()
    change = ALONE
    for deaths in range(1, MOST_DEATHS_OF_WORKERS):
        await world.runner.run(change.to_json(), 2)
        [change] = await world.sent()
        assert (change.alone, change.deaths) == (True, deaths)
    assert world.codes() == []
    await world.runner.run(change.to_json(), 2)
    assert len(world.queue) == 0
    assert world.codes() == ["process-died"]


@virtually
async def test_a_defect_is_raised_and_noted_and_is_no_death():
    async def defect(_):
        raise KeyError("a name")

    world = World(defect)
    for deliveries in range(1, 6):
        with pytest.raises(Raised, match=CHANGE.study.study_instance_uid) as raised:
            await world.runner.run(CHANGE.to_json(), deliveries)
        assert "KeyError at test_deaths.py" in str(raised.value)
        assert "a name" not in "".join(traceback.format_exception(raised.value))
    assert len(world.queue) == 0
    assert world.codes(ErrorTable.TRANSIENT_RETRY) == ["bug"]
    await world.runner.record_poison(CHANGE.to_json())
    assert (world.codes(), world.codes(ErrorTable.TRANSIENT_RETRY)) == (["bug"], [])
    assert (await world.state()).parked
    assert (await world.state()).fatal_poll == 0


@virtually
async def test_a_defect_tells_its_place_and_no_value():
    """The host writes type, text and lines of code of what is raised to its log."""

    async def defect(_):
        int("ZZFAMILY^ZZGIVEN")

    with pytest.raises(Raised) as raised:
        await World(defect).runner.run(CHANGE.to_json())
    told = "".join(traceback.format_exception(raised.value))
    assert "ValueError at test_deaths.py:" in told
    assert "ZZ" not in told


@virtually
async def test_a_defect_that_passes_leaves_nothing_behind():
    async def defect(_):
        raise KeyError("a name")

    world = World(defect)
    with pytest.raises(Raised):
        await world.runner.run(CHANGE.to_json())
    world.reconcile = world._synced
    assert (await world.runner.run(CHANGE.to_json(), 2)).outcome is Outcome.CREATED
    assert world.codes(ErrorTable.TRANSIENT_RETRY) == []


@virtually
async def test_a_process_that_ends_after_a_delivery_that_raised_is_a_death():
    async def defect(_):
        raise KeyError("a name")

    world = World(defect)
    with pytest.raises(Raised):
        await world.runner.run(CHANGE.to_json())
    await world.runner.run(CHANGE.to_json(), 3)  # the second ended with its process
    assert [one.alone for one in await world.sent()] == [True]


@virtually
async def test_a_lack_of_memory_beside_others_is_no_defect_of_the_study():
    async def no_memory(_):
        raise MemoryError

    world = World(no_memory)
    with pytest.raises(MemoryError):
        await world.runner.run(CHANGE.to_json())
    await world.runner.run(CHANGE.to_json(), 2)
    assert [one.alone for one in await world.sent()] == [True]


@virtually
async def test_a_defect_in_a_process_of_its_own_is_raised_here():
    world = World(endings=[Failed("KeyError at plan.py:3 plan")])
    for deliveries in range(1, 6):
        with pytest.raises(Raised, match=r"KeyError at plan\.py:3"):
            await world.runner.run(ALONE.to_json(), deliveries)
    await world.runner.record_poison(ALONE.to_json())
    assert world.codes() == ["bug"]


@virtually
async def test_a_healthy_study_in_the_poison_queue_is_sent_once_more_alone():
    world = World()
    await world.runner.record_poison(CHANGE.to_json())
    assert world.codes() == []
    await world.until_quiet()
    assert [one.study for one in world.alone] == [STUDY]
    assert world.codes() == []


@virtually
async def test_what_fails_while_poison_is_judged_sends_the_message_once_more():
    world = World()
    world.tables[ErrorTable.TRANSIENT_RETRY].rows = None  # a defect: not even a table
    await world.runner.record_poison(CHANGE.to_json())
    assert [one.study for one in await world.sent()] == [STUDY]


@virtually
async def test_a_pass_that_takes_too_long_is_ended_and_tried_again_when_claims_have_expired():
    async def endless(_):
        await asyncio.sleep(10_000)

    world = World(endless)
    loop = asyncio.get_running_loop()
    started = loop.time()
    result = await world.runner.run(CHANGE.to_json())
    assert (result.outcome, result.code) == (Outcome.RETRYING, "deadline")
    assert loop.time() - started == LIMIT_S
    assert world.codes(ErrorTable.TRANSIENT_RETRY) == ["deadline"]
    ended = loop.time()
    [again] = await world.sent()
    assert (again.attempts, again.alone) == (1, False)
    assert loop.time() - ended >= 180


@virtually
async def test_a_timeout_that_is_not_the_deadline_is_a_defect():
    async def defect(_):
        raise TimeoutError

    with pytest.raises(Raised, match="TimeoutError at"):
        await World(defect).runner.run(CHANGE.to_json())


@virtually
async def test_failing_otherwise_does_not_send_a_study_alone():
    async def rejected(_):
        raise Rejected("m")

    world = World(rejected)
    await world.runner.run(CHANGE.to_json())
    assert world.codes() == ["rejected"]
    assert (await world.state()).fatal_poll == 0
