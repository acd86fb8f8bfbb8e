"""The app before a FHIR server that behaves as Microsoft's may: the end is the same as with any other."""

import asyncio
import random
import time
from types import SimpleNamespace

import pytest

from tests.builders import make_instance
from tests.flow.life import EQUIPMENT, STEPS, assert_nothing_left, differences, linked, twins
from tests.flow.test_laws import changes_and_messages

EXPECTED = {}
TRANSACTION = {"methods": ["POST"], "holds": '"type":"transaction"'}
WORDS = {"swap_refusals": True, "extra_entry": True, "location_on_update": False}


@pytest.fixture
def client_ids():
    return True


@pytest.fixture
async def expected(new_stack, fresh_projection):
    """What FHIR says after each step where nothing is in the way."""
    if not EXPECTED:
        stack = new_stack()
        for step in STEPS:
            await step(stack)
            await stack.drain()
            content = linked(await stack.content())
            assert differences(content, await fresh_projection()) == [], step.__name__
            EXPECTED[step] = content
    return EXPECTED


async def live(stack, expected, before_step=lambda: None):
    for step in STEPS:
        await step(stack)
        before_step()
        await stack.drain()
        assert differences(linked(await stack.content()), expected[step]) == [], step.__name__
        await assert_nothing_left(stack)


def in_words(settings):
    return "-".join(f"{name}={value}" for name, value in settings.items())


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize(
    "switches",
    [
        {"searched_creates_s": 0.05},
        {"lost_creates": 9},
        {"lag_s": 0.3},
        WORDS,
        WORDS | {"searched_creates_s": 0.05, "lost_creates": 9},
        {"lost_creates": 9, "lag_s": 0.3},
    ],
    ids=in_words,
)
async def test_each_switch(expected, stack, between, switches):
    before = await between("fhir")
    before["fhir"].use([], fhir=switches)
    await live(stack, expected)


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize(
    "refusal",
    [
        {"status": 409, "times": 5},
        {"status": 412, "times": 2},
        {"status": 429, "times": 3, "retry_after_s": 1, "retry_after_ms": 20},
        {"status": 500, "times": 3},
        {"status": 500, "times": 3, "carried_out": True},
    ],
    ids=in_words,
)
async def test_each_refusal(expected, stack, between, refusal):
    """409 and 412 last longer than a pass is run again; 500 is a deadlock that was rolled back, or comes too late."""
    before = await between("fhir")
    await live(stack, expected, lambda: before["fhir"].use([TRANSACTION | refusal]))
    assert before["fhir"].rules.stats.faults.total() > len(STEPS)


async def test_a_refusal_says_how_long_to_wait(stack, between, monkeypatch):
    before = await between("fhir")
    before["fhir"].use([TRANSACTION | {"status": 429, "retry_after_s": 60, "retry_after_ms": 2900, "times": 1}])
    monkeypatch.setattr("shared.sync.backoff.random", SimpleNamespace(uniform=lambda shortest, _: shortest))
    await stack.store(make_instance())
    await stack.poll()
    assert await stack.run(*await stack.messages()) == ["retrying"]
    refused_at = time.monotonic()
    while not (texts := await stack.messages()):
        await asyncio.sleep(0.05)
    assert time.monotonic() - refused_at > 2.5
    assert await stack.run(*texts) == ["created"]
    await stack.drain()
    await stack.one("ImagingStudy")
    await assert_nothing_left(stack)


@pytest.fixture
def slow_creates(between):
    """Four workers, and a server that inserts what it searched a while ago."""

    async def start():
        before = await between("fhir")
        before["fhir"].use([], fhir={"searched_creates_s": 0.2})
        return [before.stack.app, *(before.new_app() for _ in range(3))]

    return start


async def first_studies(stack, workers):
    """Two studies of each new patient at once, all on one scanner."""
    names = [(patient, study) for patient in range(1, 4) for study in (10 * patient, 10 * patient + 1)]
    for patient, study in names:
        await stack.store(make_instance(study, PatientID=f"MRN-{patient}", **EQUIPMENT))
    await stack.poll()
    texts = await stack.messages()
    await asyncio.gather(*(stack.run(*texts[number::4], app=app) for number, app in enumerate(workers)))


@pytest.mark.usefixtures("prompt")
async def test_first_studies_of_new_patients_make_no_twins(stack, slow_creates, fresh_projection):
    await first_studies(stack, await slow_creates())
    await stack.drain()
    assert await twins(stack) == []
    assert differences(await stack.content(), await fresh_projection()) == []
    await assert_nothing_left(stack)


async def test_they_do_where_the_server_chooses_ids_and_does_not_serialise(stack, slow_creates):
    """So that the test above can fail. The Endpoint is there, or conflicts over it would pull the workers apart."""
    await stack.fhir_dev("settings", {"update_creates": False})
    await stack.store(make_instance(99))
    await stack.drain()
    await first_studies(stack, await slow_creates())
    assert [twin for twin in await twins(stack) if "Device" in twin] != []


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize("seed", range(2))
async def test_all_of_it_at_once(stack, between, fresh_projection, seed):
    choose = random.Random(400 + seed)
    before = await between("fhir")
    workers = [stack.app, *(before.new_app() for _ in range(3))]
    texts = await changes_and_messages(stack, choose, 8)
    texts += choose.choices(texts, k=len(texts))
    choose.shuffle(texts)
    statuses = [{"status": status} for status in (409, 412, 429, 500)] + [{"status": 500, "carried_out": True}]
    rules = [TRANSACTION | status | {"probability": 0.06} for status in statuses]
    before["fhir"].use(rules, seed, WORDS | {"searched_creates_s": 0.05, "lost_creates": 3, "lag_s": 0.2})
    await asyncio.gather(*(stack.run(*texts[number::4], app=app) for number, app in enumerate(workers)))
    before["fhir"].use([], fhir=WORDS | {"lag_s": 0.2})
    await stack.drain()
    assert await twins(stack) == []
    assert differences(linked(await stack.content()), linked(await fresh_projection())) == []
    await assert_nothing_left(stack)
