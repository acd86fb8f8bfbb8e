"""What `/api/health` answers, by what the services say; time and services are given."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.checks import Checks
from shared.errors import Misconfigured, Unavailable
from shared.health import Health
from shared.model import Checkpoint
from shared.storage.checkpoint import CheckpointStore
from tests.sim.parts import SimTable

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
EVERY_MINUTE = "0 * * * * *"


class Services:
    """Services whose answers a test sets; each question is counted."""

    def __init__(self):
        self.now, self.monotonic_s = NOW, 0.0
        self.polled_at = None
        self.queue, self.queue_age_s = 0, None
        self.unknown_settings = ()
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def health(self, schedule=EVERY_MINUTE):
        return Health(self.checks, schedule, lambda: self.now, lambda: self.monotonic_s)

    async def checks(self):
        async def queue():
            self.asked += 1
            await self.gate.wait()
            return {"queue": self.queue, "queue_age_s": self.queue_age_s}

        async def tables():
            return {"polled_at": self.polled_at}

        return Checks({"queues": queue, "tables": tables}, self.unknown_settings)

    def later(self, **time):
        self.now += timedelta(**time)
        self.monotonic_s += timedelta(**time).total_seconds()


def codes(answer):
    return [problem.partition(":")[0] for problem in answer["problems"]]


async def test_an_answer_is_asked_for_once_and_remembered_for_ten_seconds():
    services = Services()
    health = services.health()
    services.gate.clear()
    many = [asyncio.create_task(health.answer()) for _ in range(20)]
    await asyncio.sleep(0)
    many[0].cancel()  # a caller that goes away
    services.gate.set()
    assert await asyncio.gather(*many[1:]) == [{"status": "healthy", "problems": [], "queue": 0}] * 19
    services.queue = 3
    services.later(seconds=9)
    assert (await health.answer())["queue"] == 0
    assert services.asked == 1
    services.later(seconds=1)
    assert (await health.answer())["queue"] == 3
    assert services.asked == 2


async def test_a_fresh_app_has_time_for_its_first_poll():
    services = Services()
    health = services.health()
    services.later(minutes=10)
    assert codes(await health.answer()) == []
    services.later(minutes=2)
    assert codes(await health.answer()) == ["not-polling"]


@pytest.mark.parametrize(
    ("schedule", "age", "found"),
    [
        (EVERY_MINUTE, timedelta(minutes=10), []),
        (EVERY_MINUTE, timedelta(minutes=12), ["not-polling"]),
        ("*/2 * * * * *", timedelta(minutes=12), ["not-polling"]),
        ("0 0 * * * *", timedelta(minutes=64), []),  # at 11:00 the date of 10:56 was too young to be written again
        ("0 0 * * * *", timedelta(minutes=66), ["not-polling"]),
        ("0 0 * * * *", timedelta(hours=2, minutes=10), ["not-polling"]),
        ("0 */5 8-17 * * 1", timedelta(days=3), []),  # a schedule that rests all week but on Mondays
        ("%ELSEWHERE%", timedelta(days=30), []),
    ],
)
async def test_no_poll_for_longer_than_the_schedule_allows(schedule, age, found):
    services = Services()
    services.polled_at = NOW - age
    answer = await services.health(schedule).answer()
    assert codes(answer) == found
    assert answer["status"] == ("unhealthy" if found else "healthy")


async def test_a_schedule_that_is_never_due_is_named():
    services = Services()
    services.polled_at = NOW
    answer = await services.health("0 0 0 30 2 *").answer()
    assert answer["status"] == "unhealthy"
    assert answer["problems"] == ["settings: SYNC_SCHEDULE is never due, so the change feed is not polled"]


async def test_messages_that_nobody_can_take_now_are_explained():
    services = Services()
    services.polled_at, services.queue = NOW, 8
    answer = await services.health().answer()
    assert (answer["status"], answer["queue"]) == ("healthy", 8)
    assert "10 minutes" in answer["notes"][0]
    services.queue_age_s = 1
    answer = await services.health().answer()
    assert answer == {"status": "healthy", "problems": [], "queue": 8, "queue_age_s": 1}


async def test_a_setting_that_nobody_reads_is_a_problem():
    services = Services()
    services.polled_at = NOW
    services.unknown_settings = ("Fhir__Endpont is not a setting of this app, and nothing reads it",)
    answer = await services.health().answer()
    assert (answer["status"], answer["problems"]) == (
        "unhealthy",
        ["settings: Fhir__Endpont is not a setting of this app, and nothing reads it"],
    )


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (Misconfigured("x", problems=["A is missing"]), "A is missing"),
        (Unavailable("x is away"), "unavailable: x is away"),
    ],
)
async def test_without_an_app_the_reason_is_the_problem(error, problem):
    async def checks():
        raise error

    assert await Health(checks, EVERY_MINUTE).answer() == {"status": "unhealthy", "problems": [problem]}


async def test_the_checkpoint_keeps_when_it_was_saved():
    store = CheckpointStore(SimTable())
    saved = await store.save(Checkpoint(sequence=3, saved_at=NOW))
    assert (await store.get()).saved_at == saved.saved_at == NOW
