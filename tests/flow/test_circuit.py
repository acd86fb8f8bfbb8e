"""A service that refuses everyone: said once, asked little, caught up with when it is back."""

import json
import logging
from collections import Counter

import pytest

from tests.builders import make_instance

STUDIES = 40


def events(caplog):
    return Counter(record.event for record in caplog.records if hasattr(record, "event"))


@pytest.mark.parametrize(
    "rule", [{"status": 503}, {"status": 401}, {"kind": "drop"}, {"status": 429, "retry_after_s": 2}], ids=str
)
async def test_a_fhir_server_that_refuses_everyone(stack, monkeypatch, caplog, rule):
    monkeypatch.setattr("shared.sync.aside.delay_s", lambda *_: 0)
    monkeypatch.setattr("shared.sync.runner.TURN_S", 0.0)
    monkeypatch.setattr("shared.sync.circuit.FIRST_WAIT_S", 1.0)
    monkeypatch.setattr("shared.sync.circuit.LONGEST_WAIT_S", 1.0)
    caplog.set_level(logging.INFO)
    app = stack.new_app()
    await stack.store(*(make_instance(number) for number in range(1, STUDIES + 1)))
    await stack.fhir_dev("faults", [{"route": "*", **rule}])
    await stack.poll(app)
    before = await stack.fhir_requests()
    for _ in range(3):
        outcomes = await stack.run(*await stack.messages(), app=app)
        assert set(outcomes) == {"retrying"}
        assert len(outcomes) == STUDIES
    asked = await stack.fhir_requests() - before
    assert asked < STUDIES, "a service that is down is not asked for each study"
    said = events(caplog)
    assert said["services_refuse"] == 1
    assert said["study_not_synced"] <= 5
    await stack.fhir_dev("faults", [])
    while await app.queue.depth():
        await stack.run(*await stack.messages(), app=app)
    assert len(await stack.resources("ImagingStudy")) == STUDIES
    assert events(caplog)["services_back"] == 1
    assert await stack.rows("FhirFailToStoreExceptionTable") == []
    assert await stack.rows("TransientFailureExceptionTable") == []


async def test_messages_that_wait_keep_their_age(stack, monkeypatch):
    """An outage that lasts longer than studies are retried for must park them, tried or not."""
    monkeypatch.setattr("shared.sync.aside.delay_s", lambda *_: 0)
    monkeypatch.setattr("shared.sync.runner.TURN_S", 0.0)
    app = stack.new_app()
    await stack.store(*(make_instance(number) for number in range(1, 11)))
    await stack.fhir_dev("faults", [{"route": "*", "status": 503}])
    await stack.poll(app)
    await stack.run(*await stack.messages(), app=app)
    first = [json.loads(text) for text in await stack.messages()]
    assert len(first) == 10
    assert all(message["attempts"] == 1 and message["firstFailedAt"] for message in first)


async def test_what_is_done_does_not_wait_for_services_that_refuse_everyone(stack, monkeypatch):
    monkeypatch.setattr("shared.sync.runner.TURN_S", 0.0)
    await stack.store(make_instance(1))
    await stack.poll()
    (text,) = await stack.messages()
    await stack.run(text)
    await stack.store(*(make_instance(number) for number in range(2, 12)))
    await stack.fhir_dev("faults", [{"route": "*", "status": 503}])
    await stack.poll()
    assert set(await stack.run(*await stack.messages())) == {"retrying"}
    waiting = await stack.app.queue.depth()
    assert await stack.run(text) == ["superseded"]
    assert await stack.app.queue.depth() == waiting
