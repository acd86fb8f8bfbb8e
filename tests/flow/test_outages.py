"""Services that are down, odd, or not the ones that were meant: waited for, and nothing is concluded from it."""

import json

import pytest

from shared.errors import Misconfigured
from shared.version import version
from shared.worker import Worker
from tests.builders import make_instance, make_series, study_uid


async def dicom_fault(stack, **rule):
    await stack.dicom_dev("faults", [rule] if rule else [])


async def fhir_fault(stack, **rule):
    await stack.fhir_dev("faults", [rule] if rule else [])


async def look_now(stack, text):
    """Run a deferred message again without waiting for its delay."""
    message = {name: value for name, value in json.loads(text).items() if name not in ("attempts", "firstFailedAt")}
    return await stack.run(json.dumps(message))


@pytest.mark.parametrize(
    "rule",
    [
        {"status": 404, "body": "default backend - 404"},
        {"status": 404, "body": "html"},
        {"status": 400},
        {"status": 401},
        {"status": 429, "retry_after_s": 5},
        {"status": 500},
        {"status": 503, "body": "html"},
        {"kind": "html"},
        {"kind": "truncate"},
        {"kind": "drop"},
    ],
    ids=lambda rule: "-".join(map(str, rule.values())),
)
async def test_a_dicom_service_that_is_not_itself_removes_nothing(stack, rule):
    await stack.store(*make_series(1, 1, 12))
    await stack.drain()
    before = await stack.versions()
    await stack.bulk_update(study_uid(1), **{"00081030": {"vr": "LO", "Value": ["later"]}})
    await stack.poll()
    (text,) = await stack.messages()
    await dicom_fault(stack, route="*", **rule)
    assert await stack.run(text) == ["retrying"]
    assert await stack.versions() == before
    await dicom_fault(stack)
    assert await look_now(stack, text) == ["updated"]
    assert (await stack.one("ImagingStudy"))["description"] == "later"


async def test_one_refused_request_refuses_no_other_study(stack):
    await stack.store(make_instance(1))
    await stack.store(make_instance(2))
    await stack.poll()
    first, second = await stack.messages()
    await dicom_fault(stack, route="metadata", status=400, times=2)
    await stack.run(first)
    await dicom_fault(stack)
    assert await stack.run(second) == ["created"]
    assert await look_now(stack, first) in (["created"], ["superseded"])


@pytest.mark.parametrize(
    "rule",
    [
        {"route": "*", "status": 401},
        {"route": "*", "status": 403},
        {"route": "*", "status": 404},
        {"route": "search", "status": 400},
        {"route": "*", "status": 429, "retry_after_s": 5},
        {"route": "*", "status": 500},
        {"route": "transaction", "status": 409},
        {"route": "transaction", "status": 503, "body": "html"},
        {"route": "search", "kind": "html"},
        {"route": "search", "kind": "truncate"},
        {"route": "transaction", "kind": "drop"},
        {"route": "transaction", "kind": "drop_after"},
    ],
    ids=lambda rule: "-".join(map(str, rule.values())),
)
async def test_a_fhir_server_that_is_not_itself_is_waited_for(stack, rule):
    await stack.store(make_instance())
    await stack.poll()
    (text,) = await stack.messages()
    await fhir_fault(stack, **rule)
    assert await stack.run(text) == ["retrying"]
    await fhir_fault(stack)
    await stack.drain()
    await stack.one("ImagingStudy")
    await stack.one("Patient")
    assert await stack.rows("FhirFailToStoreExceptionTable") == []
    assert await stack.rows("TransientRetryExceptionTable") == []


async def test_a_service_that_was_set_up_anew_moves_and_removes_nothing(stack):
    await stack.store(make_instance())
    await stack.drain()
    await stack.delete(study_uid(1))
    await stack.store(make_instance(2))
    await stack.poll()
    texts = await stack.messages()
    before = await stack.versions()
    await stack.dicom_dev("reset")
    with pytest.raises(Misconfigured, match="no entry at 3"):
        await stack.poll()
    assert await stack.run(*texts) == ["retrying", "retrying"]
    assert await stack.versions() == before


NOTHING_WAITS = {"retrying": 0, "set_up": 0, "failed": 0, "skipped": 0}


async def test_health_names_what_is_wrong(stack, monkeypatch):
    worker = Worker()
    state = await worker.health()
    assert state.pop("version") == version()
    assert state == {"status": "healthy", "problems": [], "lag": 0, "queue": 0, "poison": 0, **NOTHING_WAITS}
    await fhir_fault(stack, route="*", status=401)
    await dicom_fault(stack, route="*", status=503)
    await (await worker.app()).close()
    worker = Worker()  # an answer is remembered for some seconds
    state = await worker.health()
    assert state["status"] == "unhealthy"
    assert [problem.split(":")[0] for problem in state["problems"]] == ["access-refused", "server-error"]
    await (await worker.app()).close()
    monkeypatch.setenv("Fhir__Endpoint", "nonsense")
    monkeypatch.delenv("DicomWeb__Endpoint")
    state = await Worker().health()
    assert state["status"] == "unhealthy"
    assert [problem.split(" ")[0] for problem in state["problems"]] == ["DicomWeb__Endpoint", "Fhir__Endpoint"]
    assert "nonsense" not in str(state)


async def test_wrong_settings_lose_no_message(stack, monkeypatch, caplog):
    await stack.store(make_instance())
    await stack.poll()
    (text,) = await stack.messages()
    monkeypatch.delenv("Fhir__Endpoint")
    await Worker().sync(text)
    assert f"study_not_synced study={study_uid(1)} sequence=1 code=settings" in caplog.text
    assert await stack.app.queue.depth() == 1
    await stack.drain()
    await stack.one("ImagingStudy")
