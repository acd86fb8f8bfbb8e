"""A worker that is stopped before any of its calls, for minutes, and goes on with what it read before.

Meanwhile its message comes again, the study changes, its claims expire and others finish everything there is to do.
"""

import pytest

from pydicom.dataset import Dataset

from tests.builders import DEFAULTS, make_instance, study_uid
from tests.flow.life import assert_nothing_left, differences, linked
from tests.flow.pauses import Clock, Pause, pausable
from tests.unit.datasets import dataset
from tests.unit.dose.reports import ct_report

MOST = 60


class Place:
    """One point at which a worker is stopped, with a study, patients and a scanner of its own."""

    def __init__(self, stack, number):
        self.stack = stack
        self.study = 100 + 2 * number
        self.uid = study_uid(self.study)
        self.patients = [f"MRN-{number}{letter}" for letter in "AB"]
        self.equipment = {"Manufacturer": "ACME", "DeviceSerialNumber": f"SN{number}"}

    def image(self, number=1, study=None, **attributes):
        values = {"PatientID": self.patients[0], **self.equipment, **attributes}
        return make_instance(study or self.study, 1, number, **values)

    def report(self, number, *events, **attributes):
        uids = {"StudyInstanceUID": self.uid, "SOPInstanceUID": f"{self.uid}.9.{number}"}
        values = {"SeriesInstanceUID": f"{self.uid}.9", "SeriesNumber": 9, "Modality": "SR", "InstanceNumber": number}
        said = {
            name: DEFAULTS[name] for name in DEFAULTS if name not in ("SOPClassUID", "Modality", "SeriesDescription")
        }
        found = Dataset.from_json(ct_report(events, number=number, **uids))
        for keyword, value in {**said, "PatientID": self.patients[0], **self.equipment, **values, **attributes}.items():
            setattr(found, keyword, value)
        return found

    async def update(self, **attributes):
        await self.stack.bulk_update(self.uid, **dataset(**attributes))


async def nothing(_):
    """Before the change there is nothing."""


async def stored(place):
    await place.stack.store(place.report(1, 1, 2), place.image())


async def more_of_a_new_patient(place):
    """The study says something else now, has another report, and is no longer the patient's only one."""
    said = {"StudyDescription": "other", "PatientName": "Lund^Bo"}
    await place.stack.store(place.image(2, **said), place.report(2, 1, 2, 3, **said))
    await place.stack.store(place.image(study=place.study + 1))


async def corrected(place):
    await place.update(PatientID=place.patients[1], StudyDescription="corrected")


async def corrected_back(place):
    await place.update(PatientID=place.patients[0], StudyDescription=DEFAULTS["StudyDescription"])


async def deleted(place):
    await place.stack.delete(place.uid)


SCENES = {
    "store": (nothing, stored, more_of_a_new_patient),
    "correct": (stored, corrected, corrected_back),
    "delete": (stored, deleted, stored),
}


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
async def workers(clock, prompt, stack, monkeypatch):
    """The one that is stopped, and another; made after the clock was set up."""
    assert prompt is None
    pausable(monkeypatch)
    return stack.new_app(), stack.new_app()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scene", SCENES)
async def test_a_worker_stopped_anywhere(stack, clock, workers, fresh_projection, scene):
    before, change, meanwhile = SCENES[scene]
    stopped, other = workers
    stack.app = other
    places = {}
    for number in range(1, MOST):
        place = Place(stack, number)
        await before(place)
        await stack.drain()
        await change(place)
        await stack.poll()
        (text,) = await stack.messages()

        async def go_on(place=place, text=text):
            await meanwhile(place)
            await stack.poll()
            await stack.run(text, *await stack.messages())
            await stack.drain()

        pause = Pause(clock, number)
        await pause.around(stack.run(text, app=stopped), go_on)
        await stack.drain()
        if pause.place is None:
            break
        places[number] = pause.place
    assert len(places) > 8
    found = differences(linked(await stack.content()), linked(await fresh_projection()))
    assert found == [], places
    await assert_nothing_left(stack)
    import sys

    print(scene, len(places), list(places.values()), file=sys.stderr)
