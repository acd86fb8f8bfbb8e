"""Workers, an archive that changes and a queue, one step at a time: what can happen, and what the world is then."""

import contextlib
import contextvars
import itertools
import logging
import random
import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.errors import Unavailable, VersionConflict
from shared.mapping.patient import PatientRules
from shared.model import StudyChange
from shared.storage.error_records import ErrorRecords, ErrorTable
from shared.storage.patient_state import PatientStateStore
from shared.storage.study_state import StudyStateStore
from shared.sync.attempt import Stores
from shared.sync.reconciler import Reconciler
from shared.sync.rules import Rules
from shared.sync.runner import Runner
from tests.schedules.loop import SteppedLoop
from tests.schedules.services import MemoryDicom, MemoryFhir, MemoryQueue, MemoryTable, digest

START_S = 1_600_000_000.0
PARTITION = "other"
ENDPOINT = "http://dicom.example.org"
MOST_DELIVERIES = 5
VISIBLE_AGAIN_S = 60.0  # after a worker died
LONGEST_TRANSACTION_S = 100.0  # on Microsoft's FHIR server
WORKER = contextvars.ContextVar("worker")
CURRENT = []  # the world that is at work, last
OF_FHIR = ("resources", "versions", "commits", "histories", "digests")


class Believed:
    """There is one DICOM service here, and it is the right one."""

    async def confirm(self, _):
        return


class Over(BaseException):
    """The world has ended; whoever still waits in it ends, too."""


@dataclass(frozen=True)
class Guards:
    """What keeps workers apart. Each can be taken away, to see that the schedules notice."""

    etag: bool = True
    if_match: bool = True


ALL_GUARDS = Guards()


@dataclass
class Call:
    """A call that a worker waits for."""

    worker: "Worker"
    number: int
    label: str
    act: object
    future: object
    writes: bool
    conflicts: bool
    late: object = None


@dataclass
class Worker:
    """One process with one message at a time. `seen`: every answer that it ever had, which is all that it knows."""

    name: str
    runner: object = None
    fhir: object = None
    message: tuple | None = None
    task: object = None
    life: int = 0
    counter: object = None
    seen: set = field(default_factory=set)
    calls: dict = field(default_factory=dict)


class World:
    """`faults`: how many calls may go wrong. `events`: what happens to the archive, in this order, at any moments."""

    def __init__(self, scenario):
        CURRENT[:] = [self]
        self.guards = scenario.guards
        self._apps = scenario.apps
        self.loop = SteppedLoop(START_S)
        self.queue = MemoryQueue(self)
        self.dicom = MemoryDicom(self)
        self.fhir = MemoryFhir(self, client_ids=scenario.client_ids)
        self.late = []  # writes whose senders were told that they failed: until when they happen, and what they are
        self.tables = {}
        self.faults = scenario.faults
        self.events = list(scenario.steps)
        self.poll = 1000
        self.sequence = 0
        self.newest = {}  # of each instance
        self.trace = []
        self.is_over = False
        self._abandoned = []  # of dead workers: nobody may run their `finally`
        self.workers = [Worker(f"w{number}") for number in range(scenario.workers)]
        for worker in self.workers:
            self._start(worker)
        scenario.begin(self)
        CURRENT[:] = [self]  # not the world in which it began

    def _start(self, worker):
        worker.life += 1
        worker.counter = itertools.count()
        worker.seen, worker.calls = set(), {}
        worker.message = worker.task = None
        prefix = f"{self._app_of(worker)}." if self._apps > 1 else ""
        tables = {name: self._table(prefix + name) for name in ErrorTable}
        states = StudyStateStore(self._table(prefix + "Studies"))
        records = ErrorRecords(tables)
        stores = Stores(states, PatientStateStore(self._table(prefix + "Patients")), records)
        rules = Rules(ENDPOINT, PatientRules("urn:mrn", partition_systems={PARTITION: "urn:mrn"}))
        worker.fhir = self.fhir.for_worker()
        reconciler = Reconciler(self.dicom, Believed(), worker.fhir, stores, self.queue, rules)
        worker.runner = Runner(
            reconciler,
            states,
            self.queue,
            records,
            timedelta(days=7),
            lambda: datetime.fromtimestamp(self.loop.now_s, UTC),
        )

    def _table(self, name):
        return self.tables.setdefault(str(name), MemoryTable(self, str(name)))

    # the calls of the workers

    async def step(self, label, act, *, writes=True, conflicts=False, late=None):
        if self.is_over:
            raise Over
        worker = WORKER.get()
        number = next(worker.counter)
        call = Call(worker, number, label, act, self.loop.create_future(), writes, conflicts, late)
        worker.calls[number] = call
        return await call.future

    # what can happen, and making it happen

    def choices(self):
        """Everything that can happen next, always in the same order."""
        found = []
        fresh = set()
        for worker in self.workers:
            if worker.message is None:
                state = (self._app_of(worker), self._known_by(worker))
                if state not in fresh:  # of workers that know the same, one is enough
                    fresh.add(state)
                    texts = {
                        text: index
                        for index, (at_s, text, _) in reversed(list(enumerate(self.queue.waiting)))
                        if at_s <= self.loop.now_s and self._is_for(worker, text)
                    }
                    found += [("deliver", worker.name, text) for text in sorted(texts)]
            for number in sorted(worker.calls):
                found.append(("answer", worker.name, number))
                if self.faults:
                    found += [(fault, worker.name, number) for fault in self._faults_of(worker.calls[number])]
        if self.events and getattr(self.events[0], "is_possible", lambda _: True)(self):
            found.append(("event", "archive", ""))
        until_s = min((one[0] for one in self.late), default=self.queue.next_s)
        if not found and self.queue.waiting and self.queue.next_s <= until_s:
            found.append(("wait", "clock", ""))
        return found + [("late", "server", number) for number in range(len(self.late))]

    def _app_of(self, worker):
        """Workers of different apps have tables and a queue of their own."""
        return int(worker.name[1:]) % self._apps

    def _is_for(self, worker, text):
        study_instance_uid = StudyChange.from_json(text).study.study_instance_uid
        return int(study_instance_uid.rpartition(".")[2]) % self._apps == self._app_of(worker)

    def _faults_of(self, call):
        yield "crash-before"
        if call.writes:
            yield "crash-after"
            yield "answer-lost"
        if call.conflicts:
            yield "conflict"
        if call.late:
            yield "goes-on"

    def apply(self, choice):
        """Let it happen, and run until everybody waits again."""
        kind, name, detail = choice
        self.trace.append(choice)
        if kind == "event":
            self.events.pop(0)(self)
        elif kind == "wait":
            self.loop.now_s = self.queue.waiting[0][0]
        elif kind == "late":
            with contextlib.suppress(VersionConflict):
                self.late.pop(detail)[2]()
        elif kind == "deliver":
            self._deliver(self._worker(name), detail)
        else:
            self._answer(kind, self._worker(name), detail)
        self.loop.run_until_idle()
        for worker in self.workers:
            if worker.task is not None and worker.task.done():
                self._ended(worker)

    def _worker(self, name):
        return next(worker for worker in self.workers if worker.name == name)

    def _deliver(self, worker, text):
        index = next(
            i for i, (at_s, one, _) in enumerate(self.queue.waiting) if one == text and at_s <= self.loop.now_s
        )
        _, _, deliveries = self.queue.waiting.pop(index)
        worker.message = (text, deliveries + 1)
        worker.seen.add(("message", next(worker.counter), text))
        context = contextvars.copy_context()
        context.run(WORKER.set, worker)
        worker.task = self.loop.create_task(worker.runner.run(text), context=context)

    def _answer(self, kind, worker, number):
        call = worker.calls.pop(number)
        result = error = None
        if kind == "conflict":
            error = VersionConflict("somebody else")
        elif kind == "goes-on":
            self.late.append((self.loop.now_s + LONGEST_TRANSACTION_S, *call.late))
            error = Unavailable("a gateway lost patience")
        elif kind != "crash-before":
            try:
                result = call.act()
            except Exception as failure:  # noqa: BLE001 - it is the worker's to handle
                error = failure
        if kind == "answer-lost":
            error = error or Unavailable("no answer")
        if kind != "answer":
            self.faults -= 1
        if kind.startswith("crash"):
            self._die(worker, call)
        elif error is not None:
            worker.seen.add((number, call.label, kind, type(error).__name__))
            call.future.set_exception(error)
        else:
            worker.seen.add((number, call.label, digest(result)))
            call.future.set_result(result)

    def _die(self, worker, call):
        text, deliveries = worker.message
        self._abandoned.append((worker.task, {**worker.calls, call.number: call}))
        self._give_back(text, deliveries, VISIBLE_AGAIN_S)
        self._start(worker)

    def _give_back(self, text, deliveries, delay_s):
        if deliveries < MOST_DELIVERIES:
            self.queue.put(text, delay_s, deliveries)
        else:
            self.queue.poison.append(text)

    def _ended(self, worker):
        text, deliveries = worker.message
        if worker.task.exception() is not None:
            if not isinstance(worker.task.exception(), (Unavailable, VersionConflict)):
                raise worker.task.exception()
            self._give_back(text, deliveries, VISIBLE_AGAIN_S)
        worker.message = worker.task = None
        worker.seen.add(("ended", next(worker.counter)))

    # what the world is

    def _known_by(self, worker):
        return frozenset(worker.seen)

    def key(self):
        """Two worlds with one key go on in the same ways."""
        return hash(
            (
                tuple(
                    (worker.name, worker.message, self._known_by(worker), tuple(worker.calls))
                    for worker in self.workers
                ),
                tuple(table.key() for table in self.tables.values()),
                self.queue.key(),
                self.dicom.key(),
                self.fhir.key(),
                len(self.events),
                tuple((until_s, what) for until_s, what, _ in self.late),
                self.faults,
                self.loop.now_s,
            )
        )

    def change(self, study, listed):
        """Send what a poll would send."""
        self.poll += 1
        self.queue.put(StudyChange(study, self.poll, 0, listed).to_json())

    def saved(self):
        """Everything that is stored, for `restore`."""
        return (
            {name: (dict(one.entities), dict(one.versions), dict(one.digests)) for name, one in self.tables.items()},
            tuple(dict(getattr(self.fhir, name)) for name in OF_FHIR),
            (dict(self.dicom.instances), dict(self.dicom.digests)),
            (self.poll, self.sequence, self.loop.now_s),
        )

    def restore(self, saved):
        """Begin with what another world stored."""
        tables, fhir, dicom, (self.poll, self.sequence, self.loop.now_s) = saved
        for name, (entities, versions, digests) in tables.items():
            table = self._table(name)
            table.entities, table.versions, table.digests = dict(entities), dict(versions), dict(digests)
        for name, value in zip(OF_FHIR, fhir, strict=True):
            getattr(self.fhir, name).update(value)
        self.dicom.instances, self.dicom.digests = map(dict, dicom)

    def close(self):
        """End everybody who still waits, so that nothing of this world happens in another one."""
        self.is_over = True
        waiting = self._abandoned + [(worker.task, worker.calls) for worker in self.workers if worker.task]
        for _, calls in waiting:
            for call in calls.values():
                if not call.future.done():
                    call.future.set_exception(Over())
        self.loop.run_until_idle()
        for task, _ in waiting:
            if task.done() and not task.cancelled():
                task.exception()


@contextlib.contextmanager
def without_chance():
    """Time, random numbers and names come from the world that is at work."""
    saved = time.time, time.monotonic, random.random, random.uniform, random.getrandbits, uuid.uuid4, secrets.token_hex
    levels = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    time.time = lambda: CURRENT[0].loop.now_s
    time.monotonic = lambda: CURRENT[0].loop.now_s
    random.random = lambda: 0.0
    random.uniform = lambda low, high: (low + high) / 2
    random.getrandbits = lambda bits: _name() % 2**bits
    uuid.uuid4 = lambda: uuid.UUID(int=_name() << 64)  # an attempt is named by the first digits
    secrets.token_hex = lambda size: f"{_name():0{2 * size}x}"
    try:
        yield
    finally:
        time.time, time.monotonic, random.random, random.uniform, random.getrandbits, uuid.uuid4 = saved[:-1]
        secrets.token_hex = saved[-1]
        logging.disable(levels)


def _name():
    worker = WORKER.get()
    return int(digest([worker.name, worker.life, next(worker.counter)]), 16)
