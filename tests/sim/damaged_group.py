"""A group of damaged studies beside healthy ones, in simulated time: the real runner, circuit and reads of DICOM."""

import asyncio
import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from shared.dicom.client import DicomClient
from shared.fhir.bundle import Entry
from shared.fhir.client import FhirClient
from shared.model import DEFAULT_PARTITION, InstanceKey, Outcome, StudyChange, StudyKey
from shared.storage.error_records import ErrorRecords, ErrorTable
from shared.storage.study_state import StudyStateStore
from shared.sync.attempt import Result
from shared.sync.damage import next_try
from shared.sync.narrower import read_whole
from shared.sync.runner import Runner
from shared.sync.truth import Wanted, ask_whole
from tests.sim.parts import SimHost, SimQueue, SimTable
from tests.sim.virtual_time import run_virtually
from tests.unit.datasets import dataset

BEGINS_AT = datetime(2021, 3, 1, tzinfo=UTC)
JSON = {"content-type": "application/dicom+json"}
PAGE_S = 0.02, 0.08  # the time that an answer takes
FHIR_S = 0.5


@dataclass(frozen=True)
class Plan:
    """Studies of one image each: `old` ones that were synced before; then `damaged` ones whose metadata answers 5xx, at
    once; and `healthy` ones that arrive one by one within `within_s` after them.

    down_s: for how long from the beginning on the storage of metadata answers for nothing; feed and index do.
    is_write_refused: the damaged ones can be read, and FHIR answers 500 when they are written.
    are_named: whether messages name their instances; has_index: whether searches answer.
    """

    damaged: int
    healthy: int
    is_write_refused: bool = False
    old: int = 0
    within_s: float = 600.0
    down_s: float = 0.0
    are_named: bool = True
    has_index: bool = True
    workers: int = 4
    seed: int = 1
    most_s: float = 24 * 3600.0


def key_of(uid):
    return InstanceKey(f"{uid}.1", f"{uid}.1.1")


@dataclass
class Archive:
    """A DICOM service in memory, with the metadata of some studies damaged. asked: requests for metadata, by second."""

    feed: list = field(default_factory=list)
    damaged: set = field(default_factory=set)
    refused: set = field(default_factory=set)
    is_down: bool = False
    has_index: bool = True
    asked: Counter = field(default_factory=Counter)
    choose: random.Random = field(default_factory=lambda: random.Random(1))

    def client(self):
        transport = httpx.MockTransport(self._serve)
        return DicomClient(httpx.AsyncClient(transport=transport, base_url="http://dicom.example.org/"))

    async def _serve(self, request):
        await asyncio.sleep(self.choose.uniform(*PAGE_S))
        self.asked[int(asyncio.get_running_loop().time())] += 1
        path, query = request.url.path.split("/")[2:], dict(request.url.params)
        if path[0] == "changefeed":
            return self._of_feed(path, query)
        uid = path[1] if len(path) > 1 else query.get("StudyInstanceUID")
        if path[-1] != "metadata":
            row = dataset(StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", NumberOfSeriesRelatedInstances=1)
            return _found(row) if self.has_index else httpx.Response(503)
        if self.is_down or uid in self.damaged:
            return httpx.Response(503, text="The data store operation failed.")
        return _found(dataset(StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", SOPInstanceUID=f"{uid}.1.1"))

    def _of_feed(self, path, query):
        if len(path) > 1:
            return httpx.Response(200, json={"sequence": len(self.feed)})
        start = int(query["offset"])
        some = self.feed[start : start + int(query["limit"])]
        return httpx.Response(200, json=[_row(number, uid) for number, uid in enumerate(some, start + 1)])


def _row(sequence, uid):
    series, sop = key_of(uid)
    of = {"studyInstanceUid": uid, "seriesInstanceUid": series, "sopInstanceUid": sop}
    return {"sequence": sequence, **of, "action": "Create", "state": "Current"}


def _found(row):
    return httpx.Response(200, headers=JSON, content=json.dumps([row]))


async def _confirm():
    """It is the service that was read so far."""


class Pass:
    """A pass of one worker as far as DICOM goes; FHIR takes its time and answers."""

    def __init__(self, world):
        self._world = world
        self._dicom = world.archive.client()
        transport = httpx.MockTransport(self._write)
        self._fhir = FhirClient(httpx.AsyncClient(transport=transport, base_url="http://fhir.example.org/"))

    async def is_superseded(self, _):
        return False

    async def _write(self, request):
        if request.url.path == "/metadata":
            offers = {"mode": "server", "interaction": [{"code": "transaction"}]}
            return httpx.Response(
                200, json={"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [offers]}
            )
        [entry] = json.loads(request.content)["entry"]
        if entry["request"]["url"].partition("/")[2] in self._world.archive.refused:
            return httpx.Response(500)
        return httpx.Response(200, json={"resourceType": "Bundle", "entry": [{"response": {"status": "200"}}]})

    async def reconcile(self, change):
        world = self._world
        recorded = world.recorded.setdefault(change.study, set())
        answer = await ask_whole(self._dicom, change.study, _confirm)
        wanted = Wanted(change.instances, recorded=recorded, confirm=_confirm)
        truth = await read_whole(self._dicom, change.study, answer, wanted)
        await asyncio.sleep(FHIR_S)
        study = {"resourceType": "ImagingStudy", "id": change.study.study_instance_uid, "meta": {"versionId": "1"}}
        await self._fhir.transact([Entry.update(study, study)])
        if again := next_try(change, truth.unknown, recorded):
            await world.queue.send(*again)
        recorded |= truth.unknown
        if truth.instances:
            world.done.setdefault(change.study.study_instance_uid, asyncio.get_running_loop().time())
        return Result(Outcome.CREATED if truth.instances else Outcome.UNCHANGED, len(truth.unknown))


class World:
    """`lags`: of each healthy study the seconds from its arrival until it is in FHIR."""

    def __init__(self, plan):
        self.plan = plan
        self.archive = Archive(has_index=plan.has_index)
        self.queue = SimQueue()
        self.tables = {table: SimTable() for table in ErrorTable}
        self.states = SimTable()
        self.recorded, self.done, self.arrived = {}, {}, {}

    @property
    def lags(self):
        return sorted(self.done[uid] - at_s for uid, at_s in self.arrived.items() if uid in self.done)

    def lag(self, part):
        return self.lags[int(len(self.lags) * part)]

    def rows(self, table):
        return [entity for entity, _ in self.tables[table].entities.values()]

    def runner(self):
        loop = asyncio.get_running_loop()
        return Runner(
            Pass(self),
            StudyStateStore(self.states),
            self.queue,
            ErrorRecords(self.tables),
            timedelta(days=7),
            lambda: BEGINS_AT + timedelta(seconds=loop.time()),
            loop.time,
        )

    async def arrive(self, uid, *, is_damaged):
        self.archive.feed.append(uid)
        bad = self.archive.refused if self.plan.is_write_refused else self.archive.damaged
        bad |= {uid} if is_damaged else set()
        instances = {key_of(uid): len(self.archive.feed)} if self.plan.are_named else {}
        await self.queue.send(StudyChange(StudyKey(DEFAULT_PARTITION, uid), len(self.archive.feed), 0, instances))

    async def day(self):
        plan, loop = self.plan, asyncio.get_running_loop()
        self.archive.feed += [f"1.3.{number}" for number in range(1, plan.old + 1)]
        self.archive.is_down = bool(plan.down_s)
        for number in range(1, plan.damaged + 1):
            await self.arrive(f"1.4.{number}", is_damaged=True)
        for number in range(1, plan.healthy + 1):
            await asyncio.sleep(plan.within_s / plan.healthy)
            self.archive.is_down = loop.time() < plan.down_s
            self.arrived[f"1.5.{number}"] = loop.time()
            await self.arrive(f"1.5.{number}", is_damaged=False)


async def _live(plan):
    random.seed(plan.seed)  # jitter
    world = World(plan)
    hosts = [asyncio.create_task(SimHost(world.queue, world.runner()).run()) for _ in range(plan.workers)]
    await world.day()
    for _ in itertools.repeat(None, int(plan.most_s // 5)):
        world.archive.is_down = asyncio.get_running_loop().time() < plan.down_s
        if len(world.lags) == plan.healthy:
            break
        await asyncio.sleep(5)
    for host in hosts:
        host.cancel()
    return world


def lived(plan):
    """The world once every healthy study is in FHIR."""
    return run_virtually(_live(plan))
