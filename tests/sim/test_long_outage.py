"""Six hours without a FHIR server, in simulated time: the real runner, backoff and circuit, no clock but the loop's."""

import asyncio
import logging
from collections import Counter
from datetime import timedelta

import httpx
import pytest

from shared.errors import Throttled
from shared.model import StudyChange, StudyKey
from shared.storage.error_records import ErrorTable
from tests.sim.virtual_time import run_virtually
from tests.sim.world import HOUR_S, Plan, World, answers_401, answers_503, does_not_answer, lived

SIX_HOURS = Plan(
    studies=2_000, arrive_within_h=6.5, outage=((answers_503, 2.0), (does_not_answer, 2.0), (answers_401, 2.0))
)
REQUESTS_OF_A_STUDY = 6
PARKED = (ErrorTable.FHIR, ErrorTable.TRANSIENT_FAILURE)


class Said(logging.Handler):
    """Events of the app, as (name, code)."""

    def __init__(self):
        super().__init__()
        self.events = Counter()

    def emit(self, record):
        self.events[record.event, getattr(record, "field_code", None)] += 1


@pytest.fixture(scope="module")
def lives():
    """The world after six hours, and what was said."""
    handler, logger = Said(), logging.getLogger("dicom_fhir_sync")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield lived(SIX_HOURS), handler.events
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def world(lives):
    return lives[0]


@pytest.fixture
def said(lives):
    return lives[1]


def test_nothing_is_lost(world):
    assert len(world.done) == len(world.arrived_at_s) == SIX_HOURS.studies
    assert set(world.done) == set(world.arrived_at_s)
    assert (len(world.queue), world.queue.poison) == (0, [])
    assert world.waiting > 1_700


def test_nothing_is_parked_and_no_row_is_left(world):
    assert {table: world.rows(table) for table in ErrorTable} == {table: [] for table in ErrorTable}


def test_a_server_that_is_down_is_asked_little(world):
    minutes = world.by_minute()
    assert max(minutes) < 120, "the first minutes, until every worker knows"
    calm = minutes[10:]
    assert max(calm) <= SIX_HOURS.workers * 6, "when the kind of refusal changes"
    assert sum(calm) / len(calm) < SIX_HOURS.workers * 3.5, "one study a minute and worker, three requests each"
    assert min(sum(calm[start : start + 5]) for start in range(0, len(calm) - 5, 5)) > 0, "it is never given up"


def test_a_server_that_is_back_is_not_run_over(world):
    after = world.asked_after
    begins = int(SIX_HOURS.back_at_s)
    assert max(after.values()) < 2 * SIX_HOURS.capacity
    assert sum(after.get(begins + second, 0) for second in range(10)) < 5 * SIX_HOURS.capacity, "it comes gently"
    minutes = Counter()
    for second, count in after.items():
        minutes[(second - begins) // 60] += count
    assert max(minutes.values()) / 60 < 1.25 * SIX_HOURS.capacity
    assert sum(after.values()) < 1.3 * SIX_HOURS.studies * REQUESTS_OF_A_STUDY


def test_it_catches_up_within_half_an_hour(world):
    late = [at_s - max(world.arrived_at_s[study], SIX_HOURS.back_at_s) for study, at_s in world.done.items()]
    assert sorted(late)[len(late) // 2] < 10 * 60
    assert max(late) < 40 * 60


def test_each_worker_says_it_once(said):
    refused = {code: count for (name, code), count in said.items() if name == "services_refuse"}
    each = SIX_HOURS.workers
    assert refused == {"server-error": each, "unavailable": each, "access-refused": each}
    assert said["services_back", None] == each
    assert sum(count for (name, _), count in said.items() if name == "study_not_synced") < each * 20


def test_a_server_that_can_do_little_is_not_kept_from_it():
    """Back after two minutes, when everybody comes again within seconds."""
    plan = Plan(studies=800, arrive_within_h=0.03, outage=((answers_503, 0.03),), capacity=15, workers=6)
    world = lived(plan)
    needed = plan.studies * REQUESTS_OF_A_STUDY
    assert len(world.done) == plan.studies
    assert sum(world.fhir.answered.values()) < 1.12 * needed, "what was answered is seldom asked again"
    assert sum(world.asked_after.values()) < 1.75 * needed
    assert max(world.asked_after.values()) < 3 * plan.capacity


def test_few_messages_are_sent_again_in_an_outage_of_minutes():
    """What a worker holds while it waits stays with it, and the rest stays in the queue."""
    world = lived(Plan(studies=800, arrive_within_h=0.03, outage=((answers_503, 0.03),), capacity=300))
    assert len(world.done) == 800
    assert world.queue.sent < 2 * 800
    assert sum(world.asked_after.values()) < 1.05 * 800 * REQUESTS_OF_A_STUDY
    assert max(at_s - world.plan.back_at_s for at_s in world.done.values()) < 2 * 60


def test_longer_than_studies_are_tried_for_parks_them_and_not_a_moment_earlier():
    limit = timedelta(hours=2)
    world = lived(Plan(studies=100, arrive_within_h=1, outage=((answers_503, 4.0),), total_retry_duration=limit))
    assert world.done == {}
    table = world.tables[ErrorTable.TRANSIENT_FAILURE]
    arrived = {study.study_instance_uid: at_s for study, at_s in world.arrived_at_s.items()}
    waited = [at_s - arrived[uid] for (uid, _), at_s in table.written_at.items()]
    assert len(waited) == 100
    assert min(waited) >= limit.total_seconds()
    assert max(waited) < limit.total_seconds() + 30 * 60
    assert (len(world.queue), world.queue.poison) == (0, [])
    assert [entity["Parked"] for entity, _ in world.states.entities.values()] == [True] * 100


def test_refused_access_parks_nothing_however_long_it_lasts():
    outage = ((answers_503, 0.5), (answers_401, 2.5))
    plan = Plan(studies=60, arrive_within_h=0.4, outage=outage, total_retry_duration=timedelta(hours=1))
    world = lived(plan)
    assert len(world.done) == 60
    assert [row for table in PARKED for row in world.rows(table)] == []
    assert world.ended_at_s < plan.back_at_s + HOUR_S / 2


def test_messages_that_rest_together_follow_one_another_then():
    """A server that asked for less, and answers at once since."""

    async def answers_at_once():
        await asyncio.sleep(0.01)
        return httpx.Response(200)

    async def rest_together():
        world = World(Plan(studies=0, arrive_within_h=0, outage=()))
        runner, world.fhir.request = world.runner(), answers_at_once
        study = StudyKey("Microsoft.Default", "1.2.0")
        for _ in range(10):
            runner._circuit.failed(study, Throttled("429"))
        changes = [StudyChange(StudyKey("Microsoft.Default", f"1.2.{number}"), number) for number in range(1, 9)]
        await asyncio.gather(*(runner.run(change.to_json()) for change in changes))
        return world

    world = run_virtually(rest_together())
    assert (len(world.done), world.queue.sent) == (8, 0)
