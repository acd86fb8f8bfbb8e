"""The status line on the parts of the local stack: what it says is in the services, tables and queues."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.pipeline.transport import AioHttpTransport

from bench.costs import FHIR_PER_STATUS, QUEUE_PER_STATUS, TABLE_PER_STATUS
from bench.usage import StorageCalls
from shared.advice import SET_UP
from shared.errors import Misconfigured
from shared.http import STATUSES
from shared.status import StatusLine
from shared.worker import Worker
from tests.builders import make_instance
from tests.infra.settings import status_fields
from tests.test_docs import constants

EVERY_MINUTE = "0 * * * * *"
NOW = datetime(2026, 11, 27, 12, 0, 30, tzinfo=UTC)
REFUSES = [{"route": "transaction", "status": 422}]


class Watch:
    """Writes status lines of an app, a minute apart each."""

    def __init__(self, stack, caplog):
        self._stack, self._caplog = stack, caplog
        self._now = NOW
        caplog.set_level(logging.INFO)

    async def line(self, **known):
        """The fields of the next line, as of a process that has just begun."""

        async def checks():
            return self._stack.app.checks

        self._now += timedelta(minutes=1)
        self._caplog.clear()
        await StatusLine(EVERY_MINUTE, lambda: self._now).write(checks, **known)
        return fields_of(self._caplog)[0]


def fields_of(caplog):
    """The fields of each status line that was written."""
    texts = [record.getMessage() for record in caplog.records]
    lines = [text.split()[1:] for text in texts if text.startswith("status ")]
    return [dict(field.split("=", 1) for field in line) for line in lines]


@pytest.fixture
def watch(stack, caplog):
    return Watch(stack, caplog)


async def test_a_quiet_app(stack, watch):
    await stack.drain()
    line = await watch.line(lag=0)
    assert line.pop("version")
    assert line == {
        "poll": "ok",
        "polled_s": "0",
        "due_s": "60",
        "lag": "0",
        "queue": "0",
        "poison": "0",
        "retrying": "0",
        "set_up": "0",
        "failed": "0",
        "skipped": "0",
        **dict.fromkeys(("dicom", "fhir", "tables", "queues", "readers", "settings"), "ok"),
    }
    assert (await watch.line())["lag"] == "0"  # asked, where no poll said it


async def test_what_waits_failed_and_was_skipped_is_counted_by_code(stack, watch):
    await stack.fhir_dev("faults", REFUSES)
    await stack.store(make_instance(1))
    await stack.drain()
    await stack.fhir_dev("faults", [])
    await stack.store(make_instance(2, 1, 1), make_instance(2, 1, 2, PatientID=""))
    await stack.drain()
    await stack.store(make_instance(3))
    assert (await watch.line())["lag"] == "1"
    await stack.poll()
    line = await watch.line()
    assert (line["lag"], line["queue"], int(line["queue_age_s"]) < 3600) == ("0", "1", True)
    await stack.fhir_dev("faults", [{"route": "transaction", "status": 503}])
    await stack.run(*await stack.messages())
    line = await watch.line()
    assert "queue_age_s" not in line, "it is hidden until its next try"
    assert {name: line[name] for name in line if name.startswith(("retry", "failed", "skipped", "set_up"))} == {
        "retrying": "1",
        "retrying_codes": "server-error:1",
        "retry_age_s": line["retry_age_s"],
        "set_up": "0",
        "failed": "1",
        "failed_codes": "rejected:1",
        "skipped": "1",
        "skipped_codes": "missing:1",
    }
    await stack.fhir_dev("faults", [])
    await stack.drain()
    line = await watch.line()
    assert (line["retrying"], line["failed"], line["skipped"]) == ("0", "1", "1")


async def test_a_refusal_of_writes_is_seen_by_who_only_reads(stack, watch):
    """The worker that met it is another process, perhaps on another machine."""
    await stack.store(make_instance())
    await stack.poll()
    await stack.fhir_dev("faults", [{"route": "transaction", "status": 403}])
    assert await stack.run(*await stack.messages()) == ["retrying"]
    line = await watch.line()
    assert (line["fhir"], line["set_up"], line["retrying_codes"]) == ("ok", "1", "access-refused:1")
    await stack.fhir_dev("faults", [])
    await stack.drain()
    assert (await watch.line())["set_up"] == "0"
    assert await stack.rows("TransientRetryExceptionTable") == []


async def test_each_service_has_its_state(stack, watch):
    await stack.drain()
    await stack.fhir_dev("faults", [{"route": "*", "status": 401}])
    await stack.dicom_dev("faults", [{"route": "*", "status": 503}])
    error = Misconfigured("the change feed has no entry at 3", code="feed-reset")
    line = await watch.line(poll_error=error)
    assert {name: line[name] for name in ("poll", "dicom", "fhir", "tables", "queues")} == {
        "poll": "misconfigured:feed-reset",
        "dicom": "failing:server-error",
        "fhir": "misconfigured:access-refused",
        "tables": "ok",
        "queues": "ok",
    }
    assert "lag" not in line


async def test_a_line_takes_the_requests_that_docs_costs_counts(stack, watch, monkeypatch):
    await stack.store(make_instance())
    await stack.drain()
    await watch.line(lag=0)  # a new process asks once what the server offers
    fhir, dicom = await stack.fhir_requests(), await stack.dicom_requests()
    monkeypatch.setattr(AioHttpTransport, "send", AioHttpTransport.send)  # put back afterwards
    calls = StorageCalls(stack.queue.url)
    await watch.line(lag=0)
    assert calls.counts == {"table GET": TABLE_PER_STATUS, "queue GET": QUEUE_PER_STATUS}
    assert await stack.fhir_requests() - fhir == FHIR_PER_STATUS
    assert await stack.dicom_requests() == dicom


@pytest.mark.usefixtures("stack")
async def test_the_timer_writes_it_once_a_minute_also_while_settings_are_wrong(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    worker = Worker()
    worker._status = StatusLine(EVERY_MINUTE, lambda: NOW)
    monkeypatch.setenv("Paitent__IsIssuerIdUsed", "true")
    for _ in range(3):
        await worker.poll()
    (line,) = fields_of(caplog)
    assert (line["poll"], line["lag"], line["unknown_settings"]) == ("ok", "0", "1")
    (warning,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("setting_unknown")]
    assert "is Patient__IsIssuerIdUsed meant?" in warning
    await (await worker.app()).close()
    caplog.clear()
    monkeypatch.setenv("SYNC_SCHEDULE", "every minute")
    assert await Worker().poll() is None
    ((line,), failed) = fields_of(caplog), caplog.records[0].getMessage()
    assert {name: line[name] for name in ("poll", "settings")} == {
        "poll": "misconfigured:settings",
        "settings": "misconfigured:settings",
    }
    assert "SYNC_SCHEDULE must be" in failed


async def test_every_field_is_documented(stack, watch, monkeypatch):
    monkeypatch.setenv("Fhir__Endpont", "x")
    stack.app = stack.new_app()
    await stack.fhir_dev("faults", REFUSES)
    await stack.store(make_instance(1), make_instance(2, PatientID=""))
    await stack.drain()
    await stack.fhir_dev("faults", [{"route": "transaction", "status": 503}])
    await stack.store(make_instance(3))
    await stack.poll()
    await stack.run(*await stack.messages())
    await stack.fhir_dev("faults", [])
    await stack.store(make_instance(4))
    await stack.poll()
    assert set(await watch.line()) == status_fields()


def test_what_has_to_be_set_up_rightly_is_known_by_its_code():
    """The status line counts rows, and a row has a code only."""
    of_statuses = {one.code for one in STATUSES.values() if one.kind is Misconfigured}
    calls = {"Misconfigured", "_misconfigured"}
    raised = {*constants({"Misconfigured"}, keyword="code"), *constants(calls, position=1), Misconfigured.code}
    assert {code for code in raised | of_statuses if " " not in code and code} <= SET_UP
    assert SET_UP - raised - of_statuses <= {"refused-request"}
