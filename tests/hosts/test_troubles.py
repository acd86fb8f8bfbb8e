"""What Application Insights gets from Microsoft's host in each trouble, and which alerts are on for how long.

An hour is a minute here: the timer ticks each second and writes a status line each time. The rows are then read as if
each second had been a minute, in their times and in each count of seconds of a line.
"""

import asyncio
import json
import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from dev.process import ROOT
from tests.builders import make_instance
from tests.flow.test_phi import TELLTALE, clean
from tests.hosts.telemetry import FunctionsHost, Ingestion
from tests.logs.queries import every_query
from tests.logs.tables import row_of
from tests.logs.workspace import Alerts, Workspace, stretched

pytestmark = [
    pytest.mark.real("func"),
    pytest.mark.stand_in,
    pytest.mark.timeout(1500),
]
FACTOR = 60
# `raise` and `die` are files. While there is the one, each study meets a defect of the app; the other ends the process
# once, with all that is under way
APP = """
import asyncio, os, sys
sys.path.insert(0, {root!r})
exec(open({app!r}).read())
from shared import status
from shared.sync import backoff, circuit, reconciler, writers
status.MINUTE_S = 1
writers.SETTLED_AFTER_S = 3
backoff.FIRST_S, backoff.LONGEST_S = 0.5, 10.0
circuit.FIRST_WAIT_S, circuit.LONGEST_WAIT_S = 0.2, 1.0
sync, look_at = WORKER.sync, reconciler.look_at
async def fatal(text, tries):
    if os.path.exists("die"):
        await asyncio.sleep(5)
        os.unlink("die")
        os._exit(1)
    await sync(text, tries)
async def defective(*parts):
    if os.path.exists("raise"):
        raise KeyError("a defect")
    return await look_at(*parts)
WORKER.sync, reconciler.look_at = fatal, defective
"""
TELLING = {name: value for name, value in TELLTALE.items() if value and name != "StudyTime"}
LOG = logging.getLogger(__name__)


class Trial:
    """A host on this stack, what it sends, and from when to when there was which trouble."""

    def __init__(self, stack, folder, levels):
        self.stack, self.folder = stack, folder
        self.ingestion = Ingestion()
        self.troubles = []
        self.host = None
        (folder / "function_app.py").write_text(APP.format(root=str(ROOT), app=str(ROOT / "function_app.py")))
        host = json.loads((ROOT / "host.json").read_text())
        host["extensions"]["queues"]["visibilityTimeout"] = "00:00:01"
        host["logging"]["logLevel"] = levels or host["logging"]["logLevel"]
        (folder / "host.json").write_text(json.dumps(host))

    def start(self):
        env = {
            "AzureWebJobsStorage": self.stack.azurite["connection_string"],
            "AzureFunctionsWebHost__hostid": self.stack.name[:32],
            "APPLICATIONINSIGHTS_CONNECTION_STRING": self.ingestion.connection_string,
            "DicomWeb__Endpoint": self.stack.dicom,
            "Fhir__Endpoint": self.stack.fhir,
            "TableStore__TableNamePrefix": self.stack.name,
            "STUDY_QUEUE_NAME": self.stack.name,
            "SYNC_SCHEDULE": "*/1 * * * * *",
        }
        self.host = FunctionsHost(self.folder, env)

    @property
    def rows(self):
        return [found for sent in list(self.ingestion.rows) if (found := row_of(sent))]

    @property
    def lines(self):
        """Time and text of each status line."""
        traces = [row for table, row in self.rows if table == "AppTraces" and row["Message"].startswith("status ")]
        return [(row["TimeGenerated"], row["Message"]) for row in traces]

    async def until_a_line(self, says, *, within_s=300):
        """Until a status line that is written from now on fits."""
        since, deadline = _now(), time.monotonic() + within_s
        while not any(says(line) for at, line in self.lines if at > since):
            assert time.monotonic() < deadline, self.lines[-3:]
            await asyncio.sleep(0.5)

    async def is_well_again(self):
        await self.until_a_line(_is_well)
        await self.stack.until_in_step()

    async def store(self, *studies, instance=1):
        await self.stack.store(*(make_instance(study, 1, instance, **TELLING) for study in studies))

    @contextmanager
    def trouble(self, *alerts):
        """The alerts that are to come on in a `with` block, or soon after it."""
        began = _now()
        yield
        self.troubles.append((alerts, began, _now()))

    def trouble_at(self, instant):
        """The number of the last trouble that began before; -1 before all."""
        return sum(began <= instant for _, began, _ in self.troubles) - 1

    def read(self):
        """The rows as a workspace has them, and which alert was on from which to which instant of the run."""
        logs, begin = Workspace(), self.lines[0][0]
        for table, row in self.rows:
            at = begin + (row["TimeGenerated"] - begin) * FACTOR
            line = {"Message": stretched(row["Message"], FACTOR)} if "Message" in row else {}
            logs.add(table, {**row, **line, "TimeGenerated": at, "Properties": None})
        alerts = Alerts(logs)
        for minute in range(5, int((_now() - begin).total_seconds()), 5):
            alerts.ask(minute, begin + timedelta(minutes=minute))
        found = {
            name: [(begin + timedelta(seconds=a), begin + timedelta(seconds=b) if b else None) for a, b in periods]
            for name, periods in alerts.was_on.items()
        }
        return logs, found


def _now():
    return datetime.now(UTC).replace(tzinfo=None)


def _is_well(line):
    return all(f" {name}=ok" in line for name in ("poll", "dicom", "fhir", "tables", "queues")) and " failed=0" in line


@pytest.fixture
def levels():
    """The app's own; a test may ask for others."""
    return {}


@pytest.fixture
def trial(stack, tmp_path, levels):
    one = Trial(stack, tmp_path, levels)
    yield one
    if one.host:
        one.host.stop()
    one.ingestion.close()


async def outage(trial):
    with trial.trouble("outage"):
        await trial.stack.fhir_dev("faults", [{"status": 503}])
        await trial.store(2)
        await asyncio.sleep(25)
    await trial.stack.fhir_dev("faults", [])


async def wrong_settings(trial):
    with trial.trouble("set-up"):
        await trial.stack.fhir_dev("faults", [{"status": 403}])
        await asyncio.sleep(20)
    await trial.stack.fhir_dev("faults", [])


async def failing_study(trial):
    with trial.trouble("failed"):
        await trial.stack.fhir_dev("faults", [{"route": "transaction", "status": 422}])
        await trial.store(3)
        await trial.until_a_line(lambda line: " failed=1" in line)
        await asyncio.sleep(20)
    await trial.stack.fhir_dev("faults", [])
    await trial.store(3, instance=2)


async def poison(trial):
    with trial.trouble("poison", "failed"):
        (trial.folder / "raise").touch()
        await trial.store(4)
        await trial.until_a_line(lambda line: "failed_codes=bug:1" in line)
        await asyncio.sleep(20)
    (trial.folder / "raise").unlink()
    await trial.store(4, instance=2)


async def a_worker_dies(trial):
    with trial.trouble("failing"):
        (trial.folder / "die").touch()
        await trial.store(*range(10, 18))
        while (trial.folder / "die").exists():
            await asyncio.sleep(0.2)


async def storm(trial):
    """Forty studies at once are no trouble."""
    with trial.trouble():
        await trial.store(*range(100, 140))


async def nobody_polls(trial):
    with trial.trouble("not-polling"):
        trial.host.stop()
        await asyncio.sleep(30)
    trial.start()


async def days_with(trial, *troubles):
    """These troubles one after another, each with half an hour of peace after it. Each alert must be on for its trouble
    alone, and as long as that lasts. Returns the rows.
    """
    await trial.stack.app.ensure_queues()
    await trial.store(1)
    trial.start()
    await trial.is_well_again()
    with trial.trouble():
        await asyncio.sleep(30)
    for trouble in troubles:
        await trouble(trial)
        await trial.is_well_again()
        await asyncio.sleep(31)  # as long as `failing` looks back, and each alert is asked once more
    logs, found = trial.read()
    for name, periods in found.items():
        LOG.info("%s: on for %s", name, [f"{(b - a).total_seconds():.0f} s" if b else "ever" for a, b in periods])
    came = [(name, trial.trouble_at(began)) for name, periods in found.items() for began, _ in periods]
    wanted = [(name, number) for number, (names, *_) in enumerate(trial.troubles) for name in names]
    assert sorted(came) == sorted(wanted)
    for name, periods in found.items():
        for began, ended in periods:
            _, _, over = trial.troubles[trial.trouble_at(began)]
            assert ended is not None, f"{name} is still on"
            assert ended >= over, f"{name} went while its trouble lasted"
    return logs


async def test_services_that_do_not_answer_or_refuse(trial):
    await days_with(trial, outage, wrong_settings)


async def test_a_worker_that_dies_and_nobody_who_polls(trial):
    await days_with(trial, a_worker_dies, storm, nobody_polls)


async def test_studies_that_fail_are_on_the_workbook_too(trial):
    logs = await days_with(trial, failing_study, poison)
    (begin, _), (last, _) = trial.lines[0], trial.lines[-1]
    now = begin + (last - begin) * FACTOR
    shown = {name: logs.ask(query, now) for name, query in every_query().items() if "workbook" in name}
    assert [name for name, rows in shown.items() if not rows] == []


@pytest.mark.parametrize("levels", [{"default": "Trace"}])
async def test_no_row_names_a_patient(trial):
    """At every level, and where a service puts the name into its answer."""
    await trial.stack.app.ensure_queues()
    await trial.stack.dicom_dev("faults", [{"route": "metadata", "status": 503, "body": "ZZFAMILY", "times": 2}])
    await trial.store(1)
    trial.start()
    await trial.is_well_again()
    await trial.stack.fhir_dev("faults", [{"route": "transaction", "status": 422}])
    await trial.store(2)
    await trial.until_a_line(lambda line: " failed=1" in line)
    (trial.folder / "raise").touch()
    await trial.store(3)
    await trial.until_a_line(lambda line: "bug:1" in line)
    trial.host.stop()
    assert {table for table, _ in trial.rows} >= {"AppTraces", "AppRequests", "AppExceptions"}
    assert {row.get("SeverityLevel") for table, row in trial.rows if table == "AppTraces"} >= {0, 1}
    assert clean(json.dumps(trial.ingestion.rows)) == []
