"""A write is carried out and its answer is lost, at every write of the protocol in turn: the end is the same."""

import pytest

from shared.errors import SyncError, Unavailable
from shared.fhir.client import FhirClient
from shared.storage.study_queue import StudyQueue
from shared.storage.table import Table
from tests.builders import make_instance
from tests.flow.test_dose import path, report
from tests.unit.datasets import dataset
from tests.unit.dose.reports import STUDY, ct_report

ENDS = ("ImagingStudy", "Observation")  # Patients and Devices stay when nothing refers to them
WRITES = [(Table, "save"), (Table, "upsert"), (Table, "delete"), (StudyQueue, "send"), (FhirClient, "_transact")]


@pytest.fixture
def client_ids():
    return True


class Lost:
    """Counts writes, and loses the answer of one of them."""

    def __init__(self, monkeypatch):
        self.count = 0
        self.which = 0
        for owner, name in WRITES:
            monkeypatch.setattr(owner, name, self._losing(getattr(owner, name)))

    def _losing(self, write):
        async def lossy(*args, **options):
            self.count += 1
            mine = self.count
            answer = await write(*args, **options)
            if mine == self.which:
                raise Unavailable("the answer was lost")
            return answer

        return lossy


async def in_step(stack):
    """Poll and run until nothing is left, as a host does: what raises comes again."""
    while True:
        try:
            polled = await stack.poll()
        except SyncError:
            continue
        texts = await stack.messages()
        for text in texts:
            for _ in range(5):
                try:
                    await stack.run(text)
                    break
                except SyncError:
                    continue
        if not texts and polled.sequence >= polled.latest and not await stack.app.queue.depth():
            return


async def changes(stack):
    """A study comes, is corrected, and loses its dose report."""
    await stack.store(report(ct_report([1, 2])), make_instance(7, 2, 1, StudyInstanceUID=STUDY))
    await in_step(stack)
    await stack.bulk_update(STUDY, **dataset(PatientID="MRN-0002", StudyDescription="corrected"))
    await in_step(stack)
    await stack.delete(path(1))
    await stack.store(make_instance(8))
    await in_step(stack)


@pytest.fixture
def hasty(monkeypatch):
    """Whoever waits for what is lost waits for moments."""
    monkeypatch.setattr("shared.sync.writers.SETTLED_AFTER_S", 0.3)
    monkeypatch.setattr("shared.sync.aside.delay_s", lambda *_: 0)


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("hasty")
async def test_every_write_in_turn(new_stack, fresh_projection, monkeypatch):
    lost = Lost(monkeypatch)
    stack = new_stack()
    await changes(stack)
    writes, expected = lost.count, await stack.content()
    assert writes > 20
    fresh = await fresh_projection()
    assert [one for one in expected if one["resourceType"] in ENDS] == [
        one for one in fresh if one["resourceType"] in ENDS
    ]
    for which in range(1, writes + 1):
        stack = new_stack()
        lost.count, lost.which = 0, which
        await changes(stack)
        assert lost.count >= which
        lost.which = 0
        assert await stack.content() == expected, f"after the answer to write {which} was lost"
        assert await stack.rows("FhirFailToStoreExceptionTable") == []
