"""A queue, tables, a FHIR server and hosts of a simulated time. They behave as the real ones where it matters here."""

import asyncio
import heapq
import itertools
from collections import Counter, deque

import httpx

from shared.errors import Throttled, VersionConflict
from shared.http import error_for, error_for_read
from shared.model import Outcome
from shared.retry import repeated
from shared.sync.attempt import Result

BATCH, THRESHOLD, IDLE_S = 8, 4, 1.0  # host.json
FAILED_VISIBILITY_S, MOST_DELIVERIES = 60, 5


class SimTable:
    """`shared.storage.table.Table` in memory."""

    def __init__(self):
        self.entities = {}
        self.written_at = {}
        self._etags = itertools.count(1)
        self.name = "simulated"

    async def get(self, partition_key, row_key):
        return self.entities.get((partition_key, row_key))

    async def save(self, entity, etag):
        key = (entity["PartitionKey"], entity["RowKey"])
        if (self.entities[key][1] if key in self.entities else None) != etag:
            raise VersionConflict("m")
        self.entities[key] = (dict(entity), str(next(self._etags)))
        return self.entities[key][1]

    async def upsert(self, entity):
        self.written_at[entity["PartitionKey"], entity["RowKey"]] = asyncio.get_running_loop().time()
        self.entities[entity["PartitionKey"], entity["RowKey"]] = (dict(entity), str(next(self._etags)))

    async def delete(self, partition_key, row_key, etag=None):
        if etag in (None, self.entities.get((partition_key, row_key), (None, None))[1]):
            self.entities.pop((partition_key, row_key), None)

    async def rows(self, partition_key=None):
        for (partition, _), (entity, _) in list(self.entities.items()):
            if partition_key in (None, partition):
                yield entity

    async def rows_between(self, first, before):
        for (partition, _), (entity, _) in list(self.entities.items()):
            if first <= partition < before:
                yield entity


class SimQueue:
    """`shared.storage.study_queue.StudyQueue` in memory: texts, each visible from a moment on."""

    def __init__(self):
        self._waiting = []
        self._numbers = itertools.count()
        self.poison = []
        self.under_way = 0
        self.sent = 0

    def __len__(self):
        return len(self._waiting) + self.under_way

    async def send(self, change, delay_s=0):
        self.sent += 1
        self.put(change.to_json(), int(delay_s))

    def put(self, text, delay_s=0.0, deliveries=0):
        at_s = asyncio.get_running_loop().time() + delay_s
        heapq.heappush(self._waiting, (at_s, next(self._numbers), text, deliveries))

    def take(self, most):
        taken = []
        while self._waiting and len(taken) < most and self._waiting[0][0] <= asyncio.get_running_loop().time():
            taken.append(heapq.heappop(self._waiting)[2:])
        self.under_way += len(taken)
        return taken


class SimFhir:
    """Refuses with `down` while it is set, else carries out `capacity` requests a second and refuses more with 429."""

    def __init__(self, capacity, choose):
        self.capacity, self._choose = capacity, choose
        self.down = None
        self.asked = Counter()  # requests by second, refused ones too
        self.answered = Counter()
        self._recent = deque()

    async def request(self):
        now_s = asyncio.get_running_loop().time()
        self.asked[int(now_s)] += 1
        if self.down is not None:
            return await self.down()
        while self._recent and self._recent[0] <= now_s - 1:
            self._recent.popleft()
        if len(self._recent) >= self.capacity:
            return httpx.Response(429, headers={"Retry-After": "1", "x-ms-retry-after-ms": "500"})
        self._recent.append(now_s)
        self.answered[int(now_s)] += 1
        await asyncio.sleep(self._choose.uniform(0.02, 0.15))
        return httpx.Response(200)


class SimReconciler:
    """A pass as far as its requests go: reads, then a transaction, repeated as the real ones are."""

    READS = 5

    def __init__(self, fhir):
        self._fhir = fhir
        self.done = {}

    async def is_superseded(self, _):
        return False

    async def reconcile(self, change):
        for _ in range(self.READS):
            await repeated(self._read)
        await repeated(self._write, Throttled)
        self.done[change.study] = asyncio.get_running_loop().time()
        return Result(Outcome.CREATED)

    async def _write(self):
        response = await self._fhir.request()
        if not response.is_success:
            raise error_for("the FHIR server", response)

    async def _read(self):
        response = await self._fhir.request()
        if not response.is_success:
            raise error_for_read("the FHIR server", response)


class SimHost:
    """One worker process: takes messages as the host does, and settles them as it does."""

    def __init__(self, queue, runner):
        self._queue, self._runner = queue, runner
        self._running = set()

    async def run(self):
        idle_s = 0.1
        while True:
            taken = self._queue.take(BATCH) if len(self._running) <= THRESHOLD else []
            for text, deliveries in taken:
                task = asyncio.create_task(self._deliver(text, deliveries + 1))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            idle_s = 0.1 if taken or self._running else min(idle_s * 2, IDLE_S)
            await asyncio.sleep(idle_s)

    async def _deliver(self, text, deliveries):
        try:
            await self._runner.run(text)
        except Exception:  # noqa: BLE001 - what the platform does with whatever is raised
            if deliveries < MOST_DELIVERIES:
                self._queue.put(text, FAILED_VISIBILITY_S, deliveries)
            else:
                self._queue.poison.append(text)
        self._queue.under_way -= 1
