"""A worker that is stopped before any of its calls, for minutes, and goes on with what it read before.

Meanwhile its message comes again, the study changes, its claims expire and others finish everything there is to do.
"""

import pytest

from tests.builders import make_instance, study_uid
from tests.flow.life import assert_nothing_left, differences, linked
from tests.flow.pauses import Clock, Pause, pausable
from tests.unit.datasets import dataset

MOST = 60


class Place:
    """One point at which a worker is stopped, with a study and patients of its own."""

    def __init__(self, stack, number):
        self.stack = stack
        self.study = 100 + 2 * number
        self.uid = study_uid(self.study)
        self.patients = [f"MRN-{number}{letter}" for letter in "AB"]
        self.equipment = {"Manufacturer": "ACME", "DeviceSerialNumber": f"SN{number}"}

    def instance(self, number=1, study=None, **attributes):
        values = {"PatientID": self.patients[0], **self.equipment, **attributes}
        return make_instance(study or self.study, 1, number, **values)

    async def update(self, **attributes):
        await self.stack.bulk_update(self.uid, **dataset(**attributes))


async def nothing(_):
    """Before the change there is nothing."""


async def one_study(place):
    await place.stack.store(place.instance())


async def first_study(place):
    await place.stack.store(place.instance())


async def more_of_a_new_patient(place):
    await place.stack.store(place.instance(2, StudyDescription="other"))
    await place.stack.store(place.instance(study=place.study + 1, PatientName="Lund^Bo"))


async def corrected(place):
    await place.update(StudyDescription="corrected", PatientName={"Alphabetic": "Lund^Bo"})


async def corrected_back(place):
    await place.update(StudyDescription="CT head", PatientName={"Alphabetic": "Rivera^Ana^Maria^Dr^Jr"})


async def to_another_patient(place):
    await place.update(PatientID=place.patients[1])


async def back_to_its_patient(place):
    await place.update(PatientID=place.patients[0])


async def deleted(place):
    await place.stack.delete(place.uid)


async def stored_again(place):
    await place.stack.store(place.instance())


SCENES = {
    "store": (nothing, first_study, more_of_a_new_patient),
    "update": (one_study, corrected, corrected_back),
    "relink": (one_study, to_another_patient, back_to_its_patient),
    "delete": (one_study, deleted, stored_again),
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
    print(scene, len(places), list(places.values()))
