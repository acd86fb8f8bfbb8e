"""Every row of the change feed comes to the queue, or a line or a row says which did not: whatever gaps, late rows,
clocks, pages that fail and pollers that end there are.
"""

import asyncio
import contextlib
import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicom import feed
from shared.dicom.client import DicomClient
from shared.errors import Misconfigured, Unavailable
from shared.model import Checkpoint, StudyChange
from shared.storage.checkpoint import CheckpointStore
from shared.storage.error_records import ErrorRecords, ErrorTable
from shared.sync import chunk as chunks
from shared.sync import gaps, poller
from shared.sync.poller import Poller
from tests.sim.feed_service import FeedService
from tests.sim.parts import SimTable
from tests.sim.test_odd_feed import row

BEGINS_AT = datetime(2021, 3, 1, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# the service's transactions end within so much of it
COMMITS_WITHIN_S = 100


class Died(BaseException):
    """The process of the poller ended."""


@dataclass
class Archive(FeedService):
    """A service whose rows become visible when their time has come, by a clock of its own; `database` is how far that
    of its rows is from that of its answers. `dies_in`: how many more of its calls a poller lives for, None for ever.
    """

    database: timedelta = timedelta()
    now: datetime = BEGINS_AT
    to_come: list = field(default_factory=list)
    rows: dict = field(default_factory=dict)
    asked: Counter = field(default_factory=Counter)
    latest: int = 0
    taken: int = 0
    dies_in: int | None = None

    def write(self, *, late_s=0, never=False, claims=None, **members):
        """Take a number, and write the row now, later, or never; it may claim another number than its own."""
        self.taken += 1
        if not never:
            at = (self.now + self.database).isoformat()
            text = json.dumps(row(self.taken, timestamp=at, **members) | ({"sequence": claims} if claims else {}))
            self.to_come.append((self.now + timedelta(seconds=late_s), self.taken, text))
        self.pass_time(timedelta())

    def pass_time(self, by):
        self.now += by
        for one in [one for one in self.to_come if one[0] <= self.now]:
            self.to_come.remove(one)
            self.rows[one[1]] = one[2]
        self.latest = max(self.rows, default=0)

    def __call__(self, request):
        self.step()
        return super().__call__(request)

    def step(self):
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                raise Died


class Dying(SimTable):
    """A table whose writer may end before or after it writes."""

    def __init__(self, archive):
        super().__init__()
        self._archive = archive

    async def save(self, entity, etag):
        self._archive.step()
        saved = await super().save(entity, etag)
        self._archive.step()
        return saved


class Sent:
    """A queue that keeps what was sent."""

    def __init__(self, archive):
        self._archive = archive
        self.messages = []

    async def send(self, change, delay_s=0):
        assert not delay_s
        self._archive.step()
        self.messages.append(StudyChange.from_json(change.to_json()))
        self._archive.step()

    def told(self):
        return {sequence for message in self.messages for sequence in message.instances.values()}


class World:
    def __init__(self, archive):
        self.archive = archive
        self.tables = {table: SimTable() for table in ErrorTable}
        self.checkpoints = CheckpointStore(Dying(archive))
        self.queue = Sent(archive)
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(archive), base_url="http://dicom.example.org/")

    async def poll(self, skew=timedelta()):
        """By a process of its own, whose clock is so far from that of the service."""
        dicom, records = DicomClient(self.client), ErrorRecords(self.tables)
        now = self.archive.now + skew
        return await Poller(dicom, self.checkpoints, self.queue, records, lambda: now).poll()

    async def poll_until_caught_up(self, skew=timedelta()):
        for _ in range(100):
            polled = await self.poll(skew)
            if polled.sequence >= polled.latest:
                return
            self.archive.pass_time(MINUTE)
        raise AssertionError("the checkpoint does not get on")

    def recorded(self):
        rows = self.tables[ErrorTable.DICOM].entities.values()
        return {entity["ChangeFeedSequence"].value for entity, _ in rows}


def passed(caplog):
    """Numbers that a line says are not looked at any more."""
    lines = [one for one in caplog.records if getattr(one, "event", "") == "gaps_passed"]
    return sum(line.field_numbers for line in lines)


SKEWS = st.sampled_from([timedelta(minutes=minutes) for minutes in (-10, -2, 0, 2, 10)])
WRITES = st.fixed_dictionaries(
    {
        "count": st.integers(1, 60),
        "late_s": st.sampled_from([0, 0, 0, 1, 30, COMMITS_WITHIN_S]),
        "never": st.sampled_from([False, False, False, True]),
    }
)
STEPS = st.one_of(
    WRITES,
    st.sampled_from([timedelta(seconds=seconds) for seconds in (1, 59, 121, 600)]),
    st.tuples(SKEWS, st.one_of(st.none(), st.integers(0, 12))),
    st.sampled_from(["far row", "no row"]),
)


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(STEPS, max_size=25),
    database=SKEWS,
    page=st.sampled_from([1, 2, 7, 100]),
    most_gaps=st.sampled_from([1, 3, 500]),
    chunk=st.sampled_from([1, 10, 20_000]),
)
async def test_every_row_comes_to_the_queue_or_is_recorded(steps, database, page, most_gaps, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poller, "PAGE_LIMIT", page)
        patch.setattr(chunks, "CHUNK_ENTRIES", chunk)
        for module in (gaps, chunks):
            patch.setattr(module, "MOST_GAPS", most_gaps)
        archive = Archive(database=database)
        world = World(archive)
        odd = set()
        for step in steps:
            if isinstance(step, dict):
                for _ in range(step["count"]):
                    archive.write(late_s=step["late_s"], never=step["never"])
            elif isinstance(step, timedelta):
                archive.pass_time(step)
            elif isinstance(step, tuple):
                skew, archive.dies_in = step
                with contextlib.suppress(Died):
                    await world.poll(skew)
                archive.dies_in = None
            else:
                odd.add(archive.taken + 1)
                archive.write(**({"claims": archive.taken + 4000} if step == "far row" else {"studyInstanceUid": ""}))
        archive.pass_time(timedelta(seconds=COMMITS_WITHIN_S))
        for _ in range(3):
            await world.poll_until_caught_up()
            archive.pass_time(3 * MINUTE)
        assert world.queue.told() == archive.rows.keys() - odd
        assert len(world.recorded()) >= len(odd) > 0 or not odd
        assert (await world.checkpoints.get()).gaps == ()
        await world.client.aclose()


async def test_more_gaps_than_can_be_remembered():
    """All are young, and every late row comes: the checkpoint waits for them."""
    archive = Archive()
    world = World(archive)
    for _ in range(2 * gaps.MOST_GAPS):
        archive.write(late_s=COMMITS_WITHIN_S)
        archive.write()
    polled = await world.poll()
    assert (polled.sequence, polled.latest) == (2 * gaps.MOST_GAPS, 4 * gaps.MOST_GAPS)
    assert len(world.queue.told()) == gaps.MOST_GAPS
    archive.pass_time(timedelta(seconds=COMMITS_WITHIN_S))
    await world.poll_until_caught_up()
    assert world.queue.told() == archive.rows.keys()
    assert Counter(number for message in world.queue.messages for number in message.instances.values()) == Counter(
        archive.rows.keys()
    ), "none twice"


@pytest.mark.parametrize("skew", [timedelta(minutes=2), timedelta(minutes=10), -timedelta(minutes=10)])
async def test_how_the_clock_of_a_poller_stands_is_of_no_account(skew):
    archive = Archive()
    world = World(archive)
    archive.write(late_s=COMMITS_WITHIN_S)
    archive.write()
    await world.poll(skew)
    archive.pass_time(timedelta(seconds=COMMITS_WITHIN_S))
    await world.poll(-skew)
    assert world.queue.told() == {1, 2}


async def test_a_row_that_claims_a_far_sequence(caplog):
    caplog.set_level(logging.INFO)
    archive = Archive()
    world = World(archive)
    for number in range(1, 5001):
        archive.write(claims=5000 if number == 51 else None)
    await world.poll()
    assert world.queue.told() == set(range(1, 5001)) - {51}
    assert world.recorded() == {51}
    (line,) = [one for one in caplog.records if getattr(one, "event", "") == "rows_malformed"]
    assert (line.field_rows, line.field_first) == (1, 51)


async def test_a_gap_that_is_not_looked_at_any_more_is_said(caplog):
    caplog.set_level(logging.INFO)
    archive = Archive()
    world = World(archive)
    archive.write()
    for _ in range(1500):
        archive.write(never=True)
    archive.write()
    await world.poll()
    (found,) = [one for one in caplog.records if getattr(one, "event", "") == "gap_found"]
    assert (found.field_first, found.field_last, found.field_numbers) == (2, 1501, 1500)
    archive.pass_time(MINUTE)
    await world.poll()
    assert passed(caplog) == 0
    archive.pass_time(MINUTE)
    await world.poll()
    assert passed(caplog) == 1500
    assert (await world.checkpoints.get()).gaps == ()


@pytest.mark.parametrize("restored", ["skips the number", "has another row there"])
async def test_a_restored_feed_that_goes_on_beyond_the_checkpoint(restored):
    archive = Archive()
    world = World(archive)
    for _ in range(5):
        archive.write()
    await world.poll()
    before = world.checkpoints, await world.checkpoints.get()
    del archive.rows[5]
    if restored == "has another row there":
        archive.rows[5] = json.dumps(row(5, sopInstanceUid="1.2.99"))
    for _ in range(5):
        archive.write()
    with pytest.raises(Misconfigured) as raised:
        await world.poll()
    assert raised.value.code == "feed-reset"
    assert await before[0].get() == before[1]
    assert world.queue.told() == {1, 2, 3, 4, 5}


class Road:
    """An address that leads to one service for some requests and to another one for the others."""

    def __init__(self, before, after, moment):
        self._before, self._after, self._left = before, after, moment

    def __call__(self, request):
        self._left -= 1
        return (self._before if self._left >= 0 else self._after)(request)


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 7, 9, 10])
@pytest.mark.parametrize("chunk", [100, 20_000])
@pytest.mark.parametrize("length", [700, 5000], ids=["shorter", "longer"])
@pytest.mark.parametrize("comes", ["leads to another", "leads back"])
async def test_an_address_that_leads_elsewhere_while_a_poll_is_under_way(moment, chunk, length, comes, monkeypatch):
    """Nothing of the feed is passed over, and the checkpoint stays that of the service that was read first."""
    monkeypatch.setattr(chunks, "CHUNK_ENTRIES", chunk)
    archive, other = Archive(), Archive(now=BEGINS_AT + timedelta(hours=1))
    for _ in range(300):
        archive.write()
    world = World(archive)
    await world.poll()
    for _ in range(700):
        archive.write()
    for _ in range(length):
        other.write(studyInstanceUid="9.9")
    ways = (archive, other) if comes == "leads to another" else (other, archive)
    world.client = httpx.AsyncClient(
        transport=httpx.MockTransport(Road(*ways, moment)), base_url="http://d.example.org/"
    )
    with contextlib.suppress(Unavailable, Misconfigured):
        await world.poll()
    world.client = httpx.AsyncClient(transport=httpx.MockTransport(other), base_url="http://d.example.org/")
    with pytest.raises(Misconfigured):
        await world.poll()
    world.client = httpx.AsyncClient(transport=httpx.MockTransport(archive), base_url="http://d.example.org/")
    archive.pass_time(10 * MINUTE)
    await world.poll_until_caught_up()
    told = [sequence for one in world.queue.messages if one.study[1] != "9.9" for sequence in one.instances.values()]
    assert set(told) == archive.rows.keys()


@pytest.mark.parametrize("answer", [httpx.Response(204), httpx.Response(200), httpx.Response(200, json=[])])
async def test_an_answer_that_says_nothing_is_no_gap(answer, monkeypatch):
    """A gateway's, which answers pages of the feed while their rows are there."""
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.0)
    archive = Archive()
    world = World(archive)
    for _ in range(350):
        archive.write()
    archive.pass_time(10 * MINUTE)
    archive.write()
    is_away = {"100": True, "300": True}

    def instead(request):
        offset = request.url.params.get("offset")
        return answer if is_away.get(offset) else archive(request)

    world.client = httpx.AsyncClient(transport=httpx.MockTransport(instead), base_url="http://dicom.example.org/")
    for _ in range(3):
        with contextlib.suppress(Unavailable):
            await world.poll()
        archive.pass_time(MINUTE / 2)
    is_away.clear()
    await world.poll_until_caught_up()
    assert world.queue.told() == archive.rows.keys()


async def test_a_service_that_answers_more_rows_than_were_asked_for_floods_nothing(monkeypatch):
    """What it answers belongs to other pages, and is no row that cannot be read."""
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.0)
    archive = Archive()
    for _ in range(500):
        archive.write()
    world = World(archive)

    def everything(request):
        if request.url.path.endswith("latest"):
            return archive(request)
        return httpx.Response(200, json=[json.loads(text) for text in archive.rows.values()])

    world.client = httpx.AsyncClient(transport=httpx.MockTransport(everything), base_url="http://dicom.example.org/")
    with pytest.raises(Unavailable):
        await world.poll()
    assert world.recorded() == set()
    assert (await world.checkpoints.get()).sequence == 0


async def test_a_service_that_never_comes_to_an_end_of_its_answer_ends_no_worker(monkeypatch):
    """Each byte of a header begins the time of a read anew; at functionTimeout the host ends the process."""
    monkeypatch.setattr(poller, "LIMIT_S", 0.1)

    async def dribbles(_):
        await asyncio.sleep(60)

    world = World(Archive())
    world.client = httpx.AsyncClient(transport=httpx.MockTransport(dribbles), base_url="http://dicom.example.org/")
    with pytest.raises(Unavailable, match="was not done within"):
        async with asyncio.timeout(5):
            await world.poll()
    assert await world.checkpoints.get() == Checkpoint()


async def test_a_date_that_no_year_has_makes_no_checkpoint_that_cannot_be_read():
    archive = Archive()
    archive.write(never=True)
    archive.write()
    world = World(archive)

    def answer(request):
        found = archive(request)
        found.headers["date"] = "Fri, 31 Dec 9999 23:59:59 -1200"
        return found

    world.client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://dicom.example.org/")
    await world.poll()
    assert [(gap.first, gap.last) for gap in (await world.checkpoints.get()).gaps] == [(1, 1)]


@pytest.mark.parametrize("column", [{"Holes": '[["a", "b", 1]]'}, {"Witness": '["x", "y"]'}, {"Witness": "[1]"}])
async def test_a_checkpoint_that_somebody_changed_is_named(column):
    archive = Archive()
    archive.write()
    world = World(archive)
    await world.poll()
    rows = world.checkpoints._table.entities
    ((key, (entity, etag)),) = rows.items()
    rows[key] = ({**entity, **column}, etag)
    archive.write()
    with pytest.raises(Misconfigured) as raised:
        await world.poll()
    assert raised.value.code == "unreadable-row"


async def test_rows_that_are_large_are_read_in_narrower_pages(monkeypatch):
    """With metadata, say, though none were asked for: four pages of them at once could end the process."""
    monkeypatch.setattr("shared.dicom.client.MOST_OF_A_PAGE", 20_000)
    archive = Archive()
    for _ in range(200):
        archive.write(metadata="x" * 1500)
    world = World(archive)
    await world.poll()
    assert world.queue.told() == archive.rows.keys()


def test_the_width_of_a_page_is_the_service_s():
    assert feed.PAGE_LIMIT == poller.PAGE_LIMIT == 100
