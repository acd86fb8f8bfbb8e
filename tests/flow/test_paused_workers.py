"""A worker that is stopped before any of its calls, for minutes, and goes on with what it read before.

Meanwhile its message comes again, the study changes and others finish everything there is to do.
"""

import asyncio

import pytest
from pydicom.dataset import Dataset

from tests.builders import DEFAULTS, make_instance, study_uid
from tests.flow.life import assert_nothing_left, differences, linked, twins
from tests.flow.pauses import Clock, Pause, pausable
from tests.unit.datasets import dataset
from tests.unit.dose.reports import ct_report

MOST = 60


@pytest.fixture
def client_ids():
    return True


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
def clock(prompt, monkeypatch):
    """What stops workers, and makes minutes of it."""
    assert prompt is None
    pausable(monkeypatch)
    return Clock(monkeypatch)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scene", SCENES)
async def test_a_worker_stopped_anywhere(clock, stack, fresh_projection, scene):
    before, change, meanwhile = SCENES[scene]
    stopped, stack.app = stack.new_app(), stack.new_app()
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
        places[place.uid] = pause.place
    assert len(places) > 12
    assert differences(linked(await stack.content()), linked(await fresh_projection())) == [], places
    await assert_nothing_left(stack)


@pytest.mark.parametrize("update_creates", [True, False], ids=["own ids", "ids of the server"])
async def test_what_was_deleted_and_stored_again_is_not_brought_back(clock, stack, fresh_projection, update_creates):
    """A worker is stopped in the moment before it updates a study."""
    await stack.fhir_dev("settings", {"update_creates": update_creates})
    stopped, place = stack.new_app(), Place(stack, 1)
    await stack.store(place.image(), place.image(study=place.study + 1))
    await stack.drain()
    await place.update(StudyDescription="corrected")
    await stack.poll()
    (text,) = await stack.messages()

    async def go_on():
        await stack.delete(place.uid)
        await stack.drain()
        await stack.store(place.image(2))
        await stack.drain()

    pause = Pause(clock, "_transact")
    await pause.around(stack.run(text, app=stopped), go_on)
    assert pause.place
    await stack.drain()
    assert await twins(stack) == []
    assert differences(linked(await stack.content()), linked(await fresh_projection())) == []
    await assert_nothing_left(stack)


async def at_the_same_moment(stack, clock, before, *, is_same):
    """A worker is stopped in the moment before it sends. It goes on while another one, at the same study or at another
    one of the patient, is between its search and its insertion.
    """
    proxy, stopped, other = before["fhir"], before.new_app(), before.new_app()
    place = Place(stack, 1)
    await place.stack.store(place.image(), *([] if is_same else [place.image(study=place.study + 1)]))
    await stack.poll()
    texts = await stack.messages()
    running = []

    async def go_on():
        already = proxy.rules.stats.writes
        running.append(asyncio.create_task(stack.run(texts[-1], app=other)))
        while proxy.rules.stats.writes == already:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)

    await Pause(clock, "_transact").around(stack.run(texts[0], app=stopped), go_on)
    assert running
    await running[0]


@pytest.mark.parametrize("is_same", [True, False], ids=["same study", "same patient"])
@pytest.mark.parametrize("switches", [{}, {"searched_creates_s": 0.3}], ids=["conditional", "searched"])
async def test_a_worker_that_wakes_up_while_another_one_creates(
    clock, stack, between, fresh_projection, switches, is_same
):
    before = await between("fhir")
    await stack.store(make_instance(90))
    await stack.drain()
    before["fhir"].use([], fhir=switches)
    await at_the_same_moment(stack, clock, before, is_same=is_same)
    await stack.drain()
    assert differences(await stack.content(), await fresh_projection()) == []
    await assert_nothing_left(stack)


async def test_two_that_create_at_once_would_make_twins(clock, stack, between):
    """So that the test above can fail: where the server chooses ids, and does not serialise."""
    await stack.fhir_dev("settings", {"update_creates": False})
    before = await between("fhir")
    before["fhir"].use([], fhir={"searched_creates_s": 0.3})
    await at_the_same_moment(stack, clock, before, is_same=True)
    assert {"Patient", "Device", "ImagingStudy"} <= {name.split("'")[1] for name in await twins(stack)}
