"""How many rows and bytes Microsoft's host sends with the app's own host.json: docs/costs.md has these figures."""

import asyncio
import json
import logging
import re
import shutil
import time

import pytest

from dev.process import ROOT
from tests.builders import make_series
from tests.hosts.telemetry import FunctionsHost, Ingestion

pytestmark = [
    pytest.mark.real("func"),
    pytest.mark.stand_in,
    pytest.mark.timeout(900),
]
LOG = logging.getLogger(__name__)
APP = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
exec(open({str(ROOT / "function_app.py")!r}).read())
"""
STUDIES = 20
WAIT_S = 130  # two polls of the default schedule
FLUSHED_S = 35  # the host sends what it has twice a minute


def documented():
    """Rows and bytes of an hour idle, a message, and an hour of an outage, by docs/costs.md."""
    page = (ROOT / "docs" / "costs.md").read_text()
    found = re.findall(r"^\| (.+?) \| ([\d,]+)\D.*? \| ([\d,]+) \|$", page, re.MULTILINE)
    return {name: (int(rows.replace(",", "")), int(size.replace(",", ""))) for name, rows, size in found}


class Meter:
    """Rows and bytes that were sent between two moments."""

    def __init__(self, ingestion):
        self._ingestion, self._seen = ingestion, 0

    async def read(self):
        await asyncio.sleep(FLUSHED_S)
        rows = self._ingestion.rows[self._seen :]
        self._seen += len(rows)
        return len(rows), sum(len(json.dumps(row, separators=(",", ":"))) for row in rows)


async def test_rows_and_bytes_are_those_of_the_page(stack, tmp_path):
    ingestion = Ingestion()
    (tmp_path / "function_app.py").write_text(APP)
    shutil.copy(ROOT / "host.json", tmp_path)
    env = {
        "AzureWebJobsStorage": stack.azurite["connection_string"],
        "AzureFunctionsWebHost__hostid": stack.name[:32],
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
        "DicomWeb__Endpoint": stack.dicom,
        "Fhir__Endpoint": stack.fhir,
        "TableStore__TableNamePrefix": stack.name,
        "STUDY_QUEUE_NAME": stack.name,
    }
    await stack.app.ensure_queues()
    host = FunctionsHost(tmp_path, env)
    try:
        await _until(lambda: ingestion.requests("poll_change_feed"))
        meter, found = Meter(ingestion), {}
        await meter.read()
        found["idle"] = await _measured(meter)
        for number in range(1, STUDIES + 1):
            await stack.store(*make_series(number, 1, 2))
        await stack.until_in_step()
        found["studies"] = await _measured(meter)
        await stack.fhir_dev("faults", [{"status": 503}])
        for number in range(101, 101 + STUDIES):
            await stack.store(*make_series(number, 1, 2))
        await _measured(meter)  # the first tries
        found["outage"] = await _measured(meter)
    finally:
        host.stop()
        ingestion.close()
    for name, (rows, size, seconds) in found.items():
        LOG.info("%s: %d rows, %d bytes in %d s", name, rows, size, seconds)
    page = documented()
    for name, heading in (("idle", "an hour with nothing to do"), ("outage", "an hour of an outage")):
        rows, size, seconds = found[name]
        assert page[heading][0] * 0.6 < rows * 3600 / seconds < page[heading][0] * 1.5
        assert page[heading][1] * 0.6 < size * 3600 / seconds < page[heading][1] * 1.5


async def _measured(meter):
    began = time.monotonic()
    await asyncio.sleep(WAIT_S)
    rows, size = await meter.read()
    return rows, size, time.monotonic() - began


async def _until(what):
    async with asyncio.timeout(200):
        while not what():
            await asyncio.sleep(0.5)
