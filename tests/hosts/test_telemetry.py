"""What Microsoft's own host writes: on the console, and as rows that are paid for and that alerts count."""

import asyncio
import base64
import re
import shutil

import httpx
import pytest
from azure.storage.queue.aio import QueueServiceClient

from dev.process import ROOT
from tests.builders import make_series
from tests.hosts.telemetry import FunctionsHost, Ingestion
from tests.logs.workspace import RULES

pytestmark = [
    pytest.mark.real("func"),
    pytest.mark.timeout(400),
]
APP = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
exec(open({str(ROOT / "function_app.py")!r}).read())
"""
# the first message that has been there for a while takes the process with it, and whatever else is under way
DEADLY = """
import asyncio, os
async def dies(*_, **__):
    await asyncio.sleep(5)
    os._exit(1)
WORKER.sync = dies
"""
IN_FLIGHT = 8
APP_S = 120


@pytest.fixture
def ingestion():
    one = Ingestion()
    yield one
    one.close()


@pytest.fixture
def start(stack, tmp_path, ingestion):
    """Start a host of this stack's settings on the app and what is put behind it."""
    hosts = []

    def started(behind="", **settings):
        (tmp_path / "function_app.py").write_text(APP + behind)
        shutil.copy(ROOT / "host.json", tmp_path)
        env = {
            "AzureWebJobsStorage": stack.azurite["connection_string"],
            "AzureFunctionsWebHost__hostid": stack.name[:32],
            "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
            "DicomWeb__Endpoint": stack.dicom,
            "Fhir__Endpoint": stack.fhir,
            "TableStore__TableNamePrefix": stack.name,
            "STUDY_QUEUE_NAME": stack.name,
            "SYNC_SCHEDULE": "*/5 * * * * *",
        }
        hosts.append(FunctionsHost(tmp_path, env | settings))
        return hosts[-1]

    yield started
    for one in hosts:
        one.stop()


async def until(what):
    async with asyncio.timeout(APP_S):
        while not what():
            await asyncio.sleep(0.5)


async def test_the_app_makes_its_queues_and_only_its_own_lines_are_logged(stack, start, ingestion):
    host = start()
    await until(lambda: ingestion.requests("poll_change_feed").count(True) >= 2)
    async with QueueServiceClient.from_connection_string(stack.azurite["connection_string"]) as service:
        queues = [one.name async for one in service.list_queues(name_starts_with=stack.name)]
    assert queues == [stack.name, f"{stack.name}-poison"]
    await stack.store(*make_series(1, 1, 2))
    await stack.until_in_step()
    await until(lambda: ingestion.requests("sync_study") == [True])
    of_the_app = [text for category, text in ingestion.traces() if category.endswith(".User")]
    events = [text.split()[0] for text in of_the_app]
    assert [name for name in events if name != "status"] == ["feed_polled", "study_synced"]
    assert "status" in events
    others = {category for category, _ in ingestion.traces() if not category.endswith(".User")}
    assert others <= {"Host.Startup"}, "the host id of the test is named there"
    assert "Error response" not in host.console
    assert re.findall(r"\] (\w+) study=", host.console) == ["study_synced"]


async def test_one_death_of_a_worker_is_more_failed_runs_than_the_alert_waits_for(stack, start, ingestion):
    """Each message that was in flight is a failed request; the alert `failing` wants more than five of them."""
    (threshold,) = re.findall(r"where Studies > (\d+) or Poison > 0", RULES["failing"]["query"])
    await stack.app.ensure_queues()
    for _ in range(IN_FLIGHT):
        await stack.queue.send_message(base64.b64encode(b"{}").decode())
    start(DEADLY, SYNC_SCHEDULE="0 0 0 1 1 *")
    await until(lambda: len(ingestion.requests("sync_study")) >= IN_FLIGHT)
    assert ingestion.requests("sync_study")[:IN_FLIGHT] == [False] * IN_FLIGHT
    assert int(threshold) < IN_FLIGHT


async def test_a_schedule_that_the_host_cannot_read_is_named_by_log_and_health(start, ingestion):
    """The timer runs all the same, once a minute, and polls nothing."""
    host = start(SYNC_SCHEDULE="every minute")
    async with asyncio.timeout(APP_S), httpx.AsyncClient(trust_env=False, timeout=60) as client:
        while (answer := await client.get(f"{host.url}/api/health")).status_code == 404:
            await asyncio.sleep(0.5)
    assert answer.status_code == 503
    assert any("SYNC_SCHEDULE" in problem for problem in answer.json()["problems"])
    await until(lambda: any(text.startswith("status ") for _, text in ingestion.traces()))
    (failed,) = [text for _, text in ingestion.traces() if text.startswith("poll_failed ")]
    assert "SYNC_SCHEDULE must be" in failed
    assert "is in error" not in host.console
