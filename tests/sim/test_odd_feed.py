"""10,000 rows of the feed and 10,000 messages, most of them none: what is good gets through, the rest is told once."""

import gc
import json
import logging
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from shared.dicom.client import DicomClient
from shared.model import Outcome, StudyChange
from shared.storage.checkpoint import CheckpointStore
from shared.storage.error_records import ErrorRecords, ErrorTable
from shared.storage.study_state import StudyStateStore
from shared.sync import chunk as chunks
from shared.sync.attempt import Result
from shared.sync.poller import Poller
from shared.sync.runner import Runner
from tests.sim.feed_service import BROKEN, FeedService
from tests.sim.parts import SimQueue, SimTable

ROWS = 10_000
ODD, SPOILS = 0.8, 0.004
NOW = datetime(2021, 3, 1, 10, tzinfo=UTC)
JUNK = (
    "null",
    "7",
    '"row"',
    "[]",
    "{}",
    '[{"sequence": 3}]',
    '{"sequence": 9e99}',
    '{"Sequence": "' + "9" * 5000 + '"}',
)
NO_UIDS = ("", "1.2/../3", "x" * 80, "1" * 65, None, 7, [], {}, True, "\ud800")


def row(sequence, **members):
    uids = {
        "studyInstanceUid": f"1.2.{sequence % 97}",
        "seriesInstanceUid": "1.2.3",
        "sopInstanceUid": f"1.2.{sequence}",
    }
    return {"sequence": sequence, "partitionName": "Microsoft.Default", **uids, "action": "Create", **members}


def odd_text(choose, sequence):
    """The text of a row that cannot be read; now and then one that spoils its page."""
    if choose.random() < SPOILS:
        return BROKEN
    name = choose.choice(("studyInstanceUid", "seriesInstanceUid", "sopInstanceUid"))
    return choose.choice(
        (
            choose.choice(JUNK),
            json.dumps(row(sequence, **{name: choose.choice(NO_UIDS)})),
            json.dumps(row(sequence, partitionName=choose.choice(("a/b", "x" * 65, 7, [1])))),
            json.dumps(row(sequence) | {"sequence": choose.choice((-1, True, 1.5, 10**25, [], "soon"))}),
        )
    )


def archive(count, seed=3):
    """Texts of rows by sequence, and the sequences of those that can be read."""
    choose = Random(seed)
    odd = {sequence for sequence in range(1, count + 1) if choose.random() < ODD}
    texts = {
        sequence: odd_text(choose, sequence) if sequence in odd else json.dumps(row(sequence))
        for sequence in range(1, count + 1)
    }
    return texts, set(texts) - odd


class World:
    def __init__(self, service):
        self.tables = {table: SimTable() for table in ErrorTable}
        self.state, self.queue = SimTable(), SimQueue()
        self.client = service.client()
        self.checkpoints = CheckpointStore(self.state)
        records = ErrorRecords(self.tables)
        self.poller = Poller(DicomClient(self.client), self.checkpoints, self.queue, records, lambda: NOW)

    def recorded(self):
        return Counter(
            entity["ChangeFeedSequence"].value for entity, _ in self.tables[ErrorTable.DICOM].entities.values()
        )

    def told(self):
        """Sequences that messages tell, each message once."""
        changes = [StudyChange.from_json(text) for text, _ in self.queue.take(ROWS)]
        return {sequence for change in changes for sequence in change.instances.values()}


@pytest.fixture
async def world():
    world = World(FeedService(archive(ROWS)[0]))
    yield world
    await world.client.aclose()


async def test_ten_thousand_rows_of_which_most_are_none(world):
    _, good = archive(ROWS)
    polled = await world.poller.poll()
    assert (polled.sequence, polled.latest) == (ROWS, ROWS)
    assert world.told() == good
    assert world.recorded() == Counter(set(range(1, ROWS + 1)) - good), "each once"
    world.state.entities.clear()
    assert (await world.poller.poll()).sequence == ROWS
    assert world.told() == good
    assert world.recorded() == Counter(set(range(1, ROWS + 1)) - good), "a replay adds nothing"
    assert (await world.poller.poll()).entries == 0


@pytest.mark.parametrize("missing", [range(40, 45), range(95, 101), range(95, 106), range(101, 106), range(395, 406)])
@pytest.mark.parametrize(("age", "kept"), [(timedelta(minutes=1), True), (timedelta(hours=1), False)])
async def test_how_old_a_gap_is_the_row_behind_it_tells(missing, age, kept):
    """Wherever pages end."""
    changed_at, newest = ((NOW + after).isoformat().replace("+00:00", "Z") for after in (-age, timedelta()))
    rows = {number: json.dumps(row(number, timestamp=changed_at)) for number in range(1, 501) if number not in missing}
    rows[501] = json.dumps(row(501, timestamp=newest))
    world = World(FeedService(rows))
    await world.poller.poll()
    assert world.told() == set(rows)
    gaps = (await world.checkpoints.get()).gaps
    assert {number for gap in gaps for number in range(gap.first, gap.last + 1)} == (set(missing) if kept else set())
    await world.client.aclose()


@pytest.fixture
def no_garbage():
    """It is collected at once, as if nothing else were on the heap; what is held is to be seen, not what is left."""
    before = gc.get_threshold()
    gc.freeze()
    gc.collect()  # forgets how large the heap was
    gc.set_threshold(100, 2, 2)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("no_garbage")
async def test_what_is_held_at_once_has_a_bound(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_ENTRIES", 250)
    peaks = {}
    for count in (1_000, 5_000):
        service = FeedService(archive(count)[0])
        world = World(service)
        monkeypatch.setattr(SimTable, "upsert", _forgets)
        monkeypatch.setattr(world.queue, "send", _forgets)
        tracemalloc.start()
        await world.poller.poll()
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await world.client.aclose()
    assert peaks[5_000] < 2 * peaks[1_000]


async def _forgets(*_):
    pass


# --- messages --------------------------------------------------------------------------------------------------------

VALID = {"partition": "Microsoft.Default", "study": "1.2", "poll": 5, "part": 0, "series": {"1.2.3": {"1.2.3.4": 7}}}
MEMBERS = (*VALID, "attempts", "firstFailedAt")
ODD_VALUES = (
    *NO_UIDS,
    -1,
    1.5,
    2**63,
    10**40,
    float("nan"),
    {"1.2.3": 7},
    {"x": {"y": 1}},
    "2021-03-01T10:15:30+00:00",
)


def message(choose):
    """The text of a message, of which something may be odd."""
    kind = choose.random()
    if kind < 0.1:
        return "".join(chr(choose.randrange(1, 0x500)) for _ in range(choose.randrange(40)))
    if kind < 0.2:
        return json.dumps(choose.choice((*ODD_VALUES, [VALID], [], {"study": "1.2"})))
    odd = {choose.choice(MEMBERS): choose.choice(ODD_VALUES) for _ in range(choose.randrange(3))}
    return json.dumps(VALID | odd | {"part": choose.randrange(10**6)} | odd)


class Seen:
    """A reconciler that only notes what it is asked for."""

    def __init__(self):
        self.changes = []

    async def reconcile(self, change):
        self.changes.append(change)
        return Result(Outcome.UNCHANGED)


async def test_ten_thousand_messages_are_run_or_end_as_one_poison_record(caplog):
    caplog.set_level(logging.CRITICAL, "dicom_fhir_sync")
    choose = Random(5)
    texts = {message(choose) for _ in range(ROWS)}
    seen, tables = Seen(), {table: SimTable() for table in ErrorTable}
    runner = Runner(seen, StudyStateStore(SimTable()), SimQueue(), ErrorRecords(tables), timedelta(days=7), lambda: NOW)
    unread = set()
    for text in texts:
        try:
            await runner.run(text)
        except ValueError:
            unread.add(text)
            for _ in range(2):  # the poison queue delivers at least once
                await runner.record_poison(text)
    poison = [entity for entity, _ in tables[ErrorTable.FHIR].entities.values()]
    assert len(poison) == len(unread) > 4_000
    assert {entity["Exception"].partition(":")[0] for entity in poison} == {"malformed-message"}
    assert len(seen.changes) == len(texts - unread) > 2_000
    assert all(StudyChange.from_json(change.to_json()) == change for change in seen.changes)
