"""Searches that a replica answers, which does not have yet what was written a moment ago."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from shared.sync.truth import ask_whole
from tests.builders import make_instance
from tests.flow.life import OTHER, assert_nothing_left, differences, dose, image, linked
from tests.flow.test_dose import path
from tests.unit.datasets import dataset
from tests.unit.dose.reports import STUDY

TRIES = 2


@pytest.fixture
def client_ids():
    return True


@pytest.fixture
async def replica(between, monkeypatch, prompt):
    """The app, and a replica that stands still until it is let go."""
    assert prompt is None
    monkeypatch.setattr("shared.sync.replica.LAG_S", 60)
    return Replica(await between("fhir"))


class Replica:
    def __init__(self, between):
        self.stack = between.stack
        self._proxy = between["fhir"]

    def stands_still(self):
        self._proxy.use([], fhir={"replica_at": time.time()})

    def catches_up(self):
        self._proxy.use([])

    async def work(self):
        """Poll, and run what comes, and what is deferred, a few times."""
        await self.stack.poll()
        for _ in range(TRIES):
            await self.stack.run(*await self.stack.messages())


async def described(stack, study, text):
    await stack.bulk_update(study, **dataset(StudyDescription=text))


async def update(stack):
    await described(stack, STUDY, "corrected")


async def relink(stack):
    await stack.bulk_update(STUDY, **dataset(PatientID=OTHER))


async def another_report(stack):
    await stack.store(dose(1, 2, 3, number=2))


async def report_gone(stack):
    await stack.delete(path(1))


async def study_gone(stack):
    await stack.delete(STUDY)


async def gone_and_back(stack):
    await stack.delete(STUDY)
    await stack.poll()
    await stack.run(*await stack.messages())
    await stack.store(dose(1, 2), image(1))


async def there_and_back(stack):
    await described(stack, STUDY, "corrected")
    await stack.poll()
    await stack.run(*await stack.messages())
    await described(stack, STUDY, "CT head")


async def another_study(stack):
    """Of the same, new Patient."""
    await stack.store(make_instance(8))


async def other_demographics(stack):
    """Another study has the word for a moment."""
    await stack.store(make_instance(8, PatientName="Lund^Bo"))
    await stack.poll()
    await stack.run(*await stack.messages())
    await stack.bulk_update(STUDY, **dataset(PatientName={"Alphabetic": "Rivera^Ana^Maria^Dr^Jr"}))


KNOWN = [
    update,
    relink,
    another_report,
    report_gone,
    study_gone,
    gone_and_back,
    there_and_back,
    another_study,
    other_demographics,
]
NEW = [update, another_report, study_gone, another_study]


def name_of(change):
    return change.__name__


@pytest.mark.parametrize("change", KNOWN, ids=name_of)
async def test_a_change_of_a_known_study(replica, fresh_projection, change):
    await replica.stack.store(dose(1, 2), image(1))
    await replica.stack.drain()
    replica.stands_still()
    await changed(replica, change)
    assert differences(linked(await replica.stack.content()), await fresh_projection()) == []


@pytest.mark.parametrize("change", NEW, ids=name_of)
async def test_a_change_of_a_study_that_the_replica_does_not_have(replica, fresh_projection, change):
    replica.stands_still()
    await replica.stack.store(dose(1, 2), image(1))
    await replica.work()
    await changed(replica, change)
    assert differences(linked(await replica.stack.content()), await fresh_projection()) == []


async def test_dicom_is_read_for_longer_than_replicas_lag(replica, fresh_projection, monkeypatch):
    """What was searched before it is as old as the search."""
    passed_s = 0

    async def slow(*what):
        nonlocal passed_s
        await asyncio.sleep(0.5)
        replica.catches_up()
        passed_s = 100
        return await ask_whole(*what)

    stack = replica.stack
    await stack.store(*map(image, range(1, 10)))
    await stack.drain()
    replica.stands_still()
    await described(stack, STUDY, "corrected")
    await stack.poll()
    await stack.run(*await stack.messages())
    await described(stack, STUDY, "CT head")
    monkeypatch.setattr("shared.sync.reconciler.ask_whole", slow)
    clock = SimpleNamespace(time=lambda: time.time() + passed_s, monotonic=lambda: time.monotonic() + passed_s)
    for module in ("shared.sync.reconciler", "shared.http"):
        monkeypatch.setattr(f"{module}.time", clock)
    await stack.drain()
    assert passed_s
    assert differences(linked(await stack.content()), await fresh_projection()) == []
    await assert_nothing_left(stack)


@pytest.mark.parametrize("ahead_s", [61, 3600, -3600])
async def test_clocks_of_workers_differ(replica, fresh_projection, monkeypatch, ahead_s):
    """That of the second one here, which sees by it how long ago the first one wrote."""
    stack = replica.stack
    await stack.store(dose(1, 2), image(1))
    await stack.drain()
    replica.stands_still()
    await described(stack, STUDY, "corrected")
    await stack.poll()
    await stack.run(*await stack.messages())
    clock = SimpleNamespace(time=lambda: time.time() + ahead_s, monotonic=time.monotonic)
    for module in ("sync.reconciler", "sync.plan", "sync.observations", "http"):
        monkeypatch.setattr(f"shared.{module}.time", clock, raising=False)
    await changed(replica, lambda stack: described(stack, STUDY, "CT head"))
    assert differences(linked(await stack.content()), await fresh_projection()) == []


async def changed(replica, change):
    """The change, a few looks that the old answers must not mislead, and what is left to do afterwards."""
    await change(replica.stack)
    await replica.work()
    replica.catches_up()
    await replica.stack.drain()
    await assert_nothing_left(replica.stack)
