"""When each alert is on: its query over status lines that the app writes of made-up services, minute by minute."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.checks import Checks
from shared.errors import Misconfigured, Throttled, Unavailable
from shared.status import StatusLine
from shared.sync.cases import State, Tally
from tests.logs.workspace import RULES, Alerts, Workspace

BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
EVERY_MINUTE, EVERY_FIVE, EVERY_HOUR = "0 * * * * *", "0 */5 * * * *", "0 0 * * * *"
NO_ANSWER = Unavailable("the FHIR server cannot be reached (ConnectError)")
REFUSED = Misconfigured("the FHIR server answered 403", code="access-refused")


class Scene:
    """An app whose services a test sets. Its timer runs by the schedule; a process is recycled when a test says so."""

    def __init__(self, schedule=EVERY_MINUTE):
        self.schedule = schedule
        self.minute = 0
        self.lines = 0
        self.logs = Workspace()
        self._alerts = Alerts(self.logs)
        self.recycle()
        self.is_running = True
        self.everything_is_well()

    @property
    def now(self):
        return BEGIN + timedelta(minutes=self.minute)

    def recycle(self):
        """Another process goes on, which remembers nothing."""
        self._line = StatusLine(self.schedule, lambda: self.now)

    def everything_is_well(self):
        self.errors = {}
        self.poll_error = self.settings_error = None
        self.lag, self.queue, self.queue_age_s, self.poison = 0, 0, None, 0
        self.codes = {state: Counter() for state in State}
        self.retried_since = None

    async def _checks(self):
        if self.settings_error is not None:
            raise self.settings_error
        return Checks({name: self._check(name) for name in ("dicom", "fhir", "tables", "queues")})

    def _check(self, name):
        async def check():
            if name in self.errors:
                raise self.errors[name]
            counted = Tally(self.codes, self.retried_since)
            return {
                "dicom": {"lag": self.lag},
                "fhir": {},
                "tables": {"polled_at": self.now, **counted.fields(self.now)},
                "queues": {"queue": self.queue, "queue_age_s": self.queue_age_s, "poison": self.poison},
            }[name]

        return check

    async def pass_by(self, caplog, asked_every=1, **time):
        """Let time pass: the timer writes its lines, and each alert is asked as often as it is in Azure.

        asked_every: minutes; more than Azure's where nothing else is expected, since each question takes 12 ms.
        """
        every = {EVERY_MINUTE: 1, EVERY_FIVE: 5, EVERY_HOUR: 60}[self.schedule]
        caplog.set_level(logging.INFO)
        for _ in range(int(timedelta(**time) / timedelta(minutes=1))):
            if self.is_running and self.minute % every == 0:
                caplog.clear()
                lag = None if self.poll_error else self.lag
                await self._line.write(self._checks, lag=lag, poll_error=self.poll_error)
                for one in caplog.records:
                    self.logs.add("AppTraces", {"TimeGenerated": self.now, "Message": one.getMessage()})
                    self.lines += 1
            if self.minute % asked_every == 0:
                self._alerts.ask(self.minute, self.now)
            self.minute += 1

    @property
    def was_on(self):
        """From which minute to which each alert was on; None for one that still is."""
        return self._alerts.was_on


@pytest.fixture
async def scene(caplog):
    one = Scene()
    await one.pass_by(caplog, minutes=30)
    assert one.was_on == {}
    return one


async def test_nothing_to_do_for_a_day_is_no_alert(caplog):
    scene = Scene(EVERY_FIVE)
    await scene.pass_by(caplog, asked_every=120, days=1)
    assert scene.was_on == {}
    assert scene.lines == 288


async def test_an_outage_with_one_waiting_study_is_on_as_long_as_it_lasts(scene, caplog):
    """No five studies in a row are needed, and none at all."""
    scene.errors["fhir"] = NO_ANSWER
    scene.codes[State.RETRYING]["unavailable"], scene.retried_since = 1, scene.now
    await scene.pass_by(caplog, hours=3)
    scene.everything_is_well()
    await scene.pass_by(caplog, asked_every=15, hours=1)
    assert scene.was_on == {"outage": [(40, 210)]}


async def test_an_outage_of_three_days_over_a_recycled_worker(caplog):
    """Longer than the two days that an alert can look back."""
    scene = Scene(EVERY_FIVE)
    await scene.pass_by(caplog, minutes=30)
    scene.errors["dicom"] = scene.poll_error = Unavailable("the DICOM service answered 503", code="server-error")
    await scene.pass_by(caplog, asked_every=15, hours=5)
    scene.recycle()
    await scene.pass_by(caplog, asked_every=360, days=3)
    scene.everything_is_well()
    await scene.pass_by(caplog, hours=2)
    (began, ended), *others = scene.was_on.pop("outage")
    assert (40 <= began <= 45, ended, others) == (True, 30 + 300 + 3 * 1440, [])
    assert scene.was_on == {"outage": [(began, ended)]}


async def test_a_service_that_asks_for_less_for_a_moment_is_no_alert(scene, caplog):
    scene.errors["fhir"] = Throttled("the FHIR server answered 429")
    await scene.pass_by(caplog, minutes=8)
    scene.everything_is_well()
    await scene.pass_by(caplog, minutes=60)
    assert scene.was_on == {}


@pytest.mark.parametrize("how", ["a service", "the poll", "writes only", "settings"])
async def test_what_is_set_up_wrongly_is_on_until_it_is_right(scene, caplog, how):
    if how == "a service":
        scene.errors["fhir"] = REFUSED
    elif how == "the poll":
        scene.poll_error = Misconfigured("the change feed has no entry at 3", code="feed-reset")
    elif how == "writes only":  # the role allows reads; one study waits
        scene.codes[State.RETRYING]["access-refused"] = 1
    else:
        scene.settings_error = scene.poll_error = Misconfigured("Fhir__Endpoint is missing", code="settings")
    await scene.pass_by(caplog, asked_every=15, hours=2)
    scene.recycle()
    await scene.pass_by(caplog, asked_every=15, hours=3)
    scene.everything_is_well()
    await scene.pass_by(caplog, asked_every=15, hours=1)
    assert scene.was_on == {"set-up": [(30, 330)]}


@pytest.mark.parametrize(
    ("state", "code", "alerts"),
    [
        (State.FAILED, "rejected", {"failed"}),
        (State.FAILED, "bug", {"failed", "poison"}),
        (State.SKIPPED, "missing", {"skipped"}),
        (State.SKIPPED, "malformed-message", {"skipped"}),
    ],
)
async def test_failed_and_skipped_are_on_until_somebody_has_acted(scene, caplog, state, code, alerts):
    scene.codes[state][code] = 1
    await scene.pass_by(caplog, asked_every=15, hours=3)
    scene.recycle()
    scene.errors["tables"] = NO_ANSWER  # nothing is known of the tables for a moment
    await scene.pass_by(caplog, minutes=5)
    scene.errors = {}
    await scene.pass_by(caplog, asked_every=15, hours=3)
    scene.everything_is_well()
    await scene.pass_by(caplog, asked_every=15, hours=1)
    assert scene.was_on == {name: [(30, 30 + 6 * 60 + 15)] for name in alerts}


async def test_a_study_that_does_not_come_through_is_on_after_an_hour(scene, caplog):
    scene.codes[State.RETRYING]["write-failed"], scene.retried_since = 1, scene.now
    await scene.pass_by(caplog, asked_every=15, hours=9)
    scene.everything_is_well()
    await scene.pass_by(caplog, asked_every=15, hours=1)
    assert scene.was_on == {"waiting": [(105, 30 + 9 * 60)]}


async def test_studies_that_waited_for_an_outage_are_no_alert_of_their_own(scene, caplog):
    scene.errors["fhir"] = NO_ANSWER
    scene.codes[State.RETRYING]["unavailable"], scene.retried_since = 4, scene.now
    await scene.pass_by(caplog, asked_every=15, hours=5)
    scene.errors = {}
    await scene.pass_by(caplog, minutes=30)  # they come one after another
    scene.everything_is_well()
    await scene.pass_by(caplog, asked_every=15, hours=1)
    assert scene.was_on.keys() == {"outage"}


async def test_a_queue_that_nobody_works_on(scene, caplog):
    scene.queue = 3
    for minute in range(6 * 60):
        scene.queue_age_s = minute * 60
        await scene.pass_by(caplog, asked_every=15, minutes=1)
    scene.everything_is_well()
    await scene.pass_by(caplog, asked_every=15, hours=1)
    assert scene.was_on == {"queue": [(75, 390)]}


async def test_a_queue_that_moves_is_no_alert_however_long_it_is(scene, caplog):
    scene.queue, scene.queue_age_s = 100_000, 600
    await scene.pass_by(caplog, asked_every=15, hours=3)
    assert scene.was_on == {}


async def test_a_feed_whose_end_no_poll_reaches(scene, caplog):
    scene.lag = 20_000
    await scene.pass_by(caplog, asked_every=15, hours=4)
    scene.everything_is_well()
    await scene.pass_by(caplog, asked_every=15, hours=1)
    assert scene.was_on == {"lag": [(60, 270)]}


@pytest.mark.parametrize(("schedule", "least", "most"), [(EVERY_MINUTE, 15, 25), (EVERY_HOUR, 75, 90)])
async def test_a_timer_that_does_not_run_is_on_as_its_schedule_says(caplog, schedule, least, most):
    scene = Scene(schedule)
    await scene.pass_by(caplog, asked_every=15, hours=5)
    scene.is_running = False  # for longer than an alert looks back
    await scene.pass_by(caplog, hours=3)
    await scene.pass_by(caplog, asked_every=360, days=2, hours=3)
    scene.is_running = True
    await scene.pass_by(caplog, hours=3)
    ((began, ended),) = scene.was_on.pop("not-polling")
    assert least <= began - 240 - 60 + (60 if schedule == EVERY_HOUR else 0) <= most
    assert ended == (5 + 54) * 60
    assert scene.was_on.keys() == {"not-polling"}


async def test_an_hourly_schedule_is_no_alert_between_its_lines(caplog):
    scene = Scene(EVERY_HOUR)
    await scene.pass_by(caplog, asked_every=15, hours=12)
    assert scene.was_on == {}


async def test_runs_that_fail_are_on_as_long_as_they_do(scene, caplog):
    for _ in range(60):
        for _ in range(2):
            failed = {"TimeGenerated": scene.now, "Success": False, "OperationName": "sync_study"}
            scene.logs.add("AppRequests", failed)
        await scene.pass_by(caplog, minutes=1)
    await scene.pass_by(caplog, asked_every=15, hours=1)
    assert scene.was_on == {"failing": [(35, 105)]}


def test_every_alert_is_driven():
    """By its name, in the tests above."""
    text = Path(__file__).read_text()
    assert [name for name in RULES if f'"{name}"' not in text] == []
