"""A new worker that gets many messages at once asks once for what all of them need."""

import asyncio

import pytest

from tests.builders import make_instance
from tests.flow.life import EQUIPMENT, assert_nothing_left

MESSAGES = 12
ASKED_ONCE = ("GET metadata", "POST Endpoint/_search", "POST Device/_search")


@pytest.fixture
async def begun(stack, monkeypatch):
    """A new worker, on servers that know the Endpoint and the Device, and a message for each of many studies."""
    monkeypatch.setattr("shared.sync.circuit.FIRST_WAIT_S", 0.1)  # messages that wait come back at once, for ever
    await stack.store(make_instance(99, **EQUIPMENT))
    await stack.drain()
    for number in range(1, MESSAGES + 1):
        await stack.store(make_instance(number, PatientID=f"MRN-{number}", **EQUIPMENT))
    await stack.poll()
    return stack.new_app(), await stack.messages()


async def asked(stack):
    counts = (await stack.fhir_dev("stats"))["requests"]
    return {label: counts.get(label, 0) for label in ASKED_ONCE}


@pytest.mark.usefixtures("prompt")
@pytest.mark.not_on("hapi", "it has no counters of requests")
async def test_metadata_endpoint_and_device_are_asked_for_once(stack, begun):
    app, texts = begun
    assert len(texts) == MESSAGES
    before = await asked(stack)
    results = await asyncio.gather(*(app.runner.run(text) for text in texts))
    assert {str(one.outcome) for one in results} == {"created"}
    assert {label: count - before[label] for label, count in (await asked(stack)).items()} == dict.fromkeys(
        ASKED_ONCE, 1
    )
    await assert_nothing_left(stack)


@pytest.mark.usefixtures("prompt")
@pytest.mark.not_on("hapi", "it has no counters of requests")
async def test_a_failure_is_shared_and_asked_about_again(stack, begun):
    app, texts = begun
    before = await asked(stack)
    await stack.fhir_dev("faults", [{"route": "metadata", "status": 503}])
    results = await asyncio.gather(*(app.runner.run(text) for text in texts))
    assert {str(one.outcome) for one in results} == {"retrying"}
    tries = (await asked(stack))["GET metadata"] - before["GET metadata"]
    assert tries == 3, "one flight, repeated as any read is"
    await stack.fhir_dev("faults", [])
    await stack.drain(app)
    assert len(await stack.resources("ImagingStudy")) == MESSAGES + 1
