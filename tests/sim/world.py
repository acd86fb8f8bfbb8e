"""Hours of a simulated archive: studies arrive, a FHIR server refuses and comes back, workers do what they do."""

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from shared.errors import Unavailable
from shared.model import StudyChange, StudyKey
from shared.storage.error_records import ErrorRecords, ErrorTable
from shared.storage.study_state import StudyStateStore
from shared.sync.runner import Runner
from tests.sim.parts import SimFhir, SimHost, SimQueue, SimReconciler, SimTable
from tests.sim.virtual_time import run_virtually

BEGINS_AT = datetime(2021, 3, 1, tzinfo=UTC)
HOUR_S = 3600


async def answers_503():
    await asyncio.sleep(0.05)
    return httpx.Response(503)


async def answers_401():
    await asyncio.sleep(0.05)
    return httpx.Response(401)


async def does_not_answer():
    await asyncio.sleep(10)
    raise Unavailable("the FHIR server gave no answer (ConnectTimeout)", outcome_unknown=False)


@dataclass(frozen=True)
class Plan:
    """studies: how many arrive within how many hours. outage: how the server refuses, for how many hours each, from the
    beginning on; then it carries out `capacity` requests a second.
    """

    studies: int
    arrive_within_h: float
    outage: tuple
    total_retry_duration: timedelta = timedelta(days=7)
    capacity: int = 30
    workers: int = 4
    seed: int = 1

    @property
    def back_at_s(self):
        return sum(hours for _, hours in self.outage) * HOUR_S


@dataclass
class World:
    """What there is at the end. `asked`: requests by second. `waiting`: messages when the server came back."""

    plan: Plan
    queue: SimQueue = field(default_factory=SimQueue)
    tables: dict = field(default_factory=lambda: {table: SimTable() for table in ErrorTable})
    states: SimTable = field(default_factory=SimTable)
    arrived_at_s: dict = field(default_factory=dict)
    waiting: int = 0
    ended_at_s: float = 0.0

    def __post_init__(self):
        self.fhir = SimFhir(self.plan.capacity, random.Random(self.plan.seed))
        self.reconciler = SimReconciler(self.fhir)

    @property
    def asked(self):
        return self.fhir.asked

    @property
    def done(self):
        return self.reconciler.done

    @property
    def asked_after(self):
        return {second: count for second, count in self.asked.items() if second >= self.plan.back_at_s}

    def by_minute(self):
        """Requests to the server by minute, from the beginning until it is back."""
        minutes = Counter()
        for second, count in self.asked.items():
            if second < self.plan.back_at_s:
                minutes[second // 60] += count
        return [minutes[minute] for minute in range(int(self.plan.back_at_s // 60))]

    def rows(self, table):
        return [entity for entity, _ in self.tables[table].entities.values()]

    def runner(self):
        loop = asyncio.get_running_loop()
        return Runner(
            self.reconciler,
            StudyStateStore(self.states),
            self.queue,
            ErrorRecords(self.tables),
            self.plan.total_retry_duration,
            lambda: BEGINS_AT + timedelta(seconds=loop.time()),
            loop.time,
        )

    async def arrive(self):
        choose = random.Random(self.plan.seed)
        span_s = self.plan.arrive_within_h * HOUR_S
        moments = sorted(choose.uniform(0, span_s) for _ in range(self.plan.studies))
        for number, moment in enumerate(moments, 1):
            await asyncio.sleep(moment - asyncio.get_running_loop().time())
            change = StudyChange(StudyKey("Microsoft.Default", f"1.2.{number}"), number)
            self.arrived_at_s[change.study] = asyncio.get_running_loop().time()
            await self.queue.send(change)

    async def refuse(self):
        for refusal, hours in self.plan.outage:
            self.fhir.down = refusal
            await asyncio.sleep(hours * HOUR_S)
        self.fhir.down = None
        self.waiting = len(self.queue)


async def live(plan):
    """From the first study until nothing is left to do."""
    random.seed(plan.seed)  # jitter
    world = World(plan)
    hosts = [asyncio.create_task(SimHost(world.queue, world.runner()).run()) for _ in range(plan.workers)]
    await asyncio.gather(world.arrive(), world.refuse())
    for _ in itertools.repeat(None, 10_000):
        if not len(world.queue):
            break
        await asyncio.sleep(5)
    world.ended_at_s = asyncio.get_running_loop().time()
    for host in hosts:
        host.cancel()
    return world


def lived(plan):
    return run_virtually(live(plan))
