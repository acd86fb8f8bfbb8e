"""First studies of a new patient that reach several workers at once: nothing that they share is made twice."""

import asyncio
from collections import Counter

import pytest

from tests.builders import make_instance, study_uid

WORKERS = 4
STUDIES = 6  # of each patient; two workers have a second one


@pytest.fixture(params=[True, False], ids=["ids of clients", "ids of the server"])
def client_ids(request):
    return request.param


def numbers_of(race):
    return range(race * STUDIES + 1, (race + 1) * STUDIES + 1)


def shared_by(race):
    """What the studies of one race have in common: PatientID, serial number of the equipment, DICOM endpoint."""
    return f"MRN-{race}", f"SN-{race}", f"https://race-{race}.example.org/"


async def run_race(stack, race):
    """New workers, that remember nothing, take one message each at the same time."""
    patient_id, serial_number, endpoint = shared_by(race)
    equipment = {"Manufacturer": "ACME", "DeviceSerialNumber": serial_number}
    await stack.store(*(make_instance(number, PatientID=patient_id, **equipment) for number in numbers_of(race)))
    where = {"DicomWeb__Endpoint": endpoint, "DicomWeb__PrivateEndpoint": stack.dicom}
    workers = [stack.new_app(**where) for _ in range(WORKERS)]
    await stack.poll(workers[0])
    texts = await stack.messages()
    assert len(texts) == STUDIES
    await asyncio.gather(*(stack.run(*texts[number::WORKERS], app=app) for number, app in enumerate(workers)))
    # who lost too often comes back
    await stack.drain(workers[0])
    for app in workers:
        await app.close()


async def links(stack):
    """By study, what it refers to: PatientID, serial number, DICOM endpoint."""
    resources = await stack.resources()
    by_reference = {f"{one['resourceType']}/{one['id']}": one for one in resources}
    found = {}
    for study in (one for one in resources if one["resourceType"] == "ImagingStudy"):
        (series,), (endpoint,) = study["series"], study["endpoint"]
        (performer,) = series["performer"]
        targets = [by_reference[one["reference"]] for one in (study["subject"], performer["actor"], endpoint)]
        uid = study["identifier"][0]["value"].removeprefix("urn:oid:")
        found[uid] = (
            targets[0]["identifier"][0]["value"],
            targets[1]["serialNumber"],
            targets[2]["address"],
        )
    return found


@pytest.mark.timeout(1200)
async def test_no_twins(stack, rounds):
    for race in range(rounds):
        await run_race(stack, race)
    counts = Counter(one["resourceType"] for one in await stack.resources())
    assert counts == {"Patient": rounds, "Endpoint": rounds, "Device": rounds, "ImagingStudy": rounds * STUDIES}
    assert await links(stack) == {
        study_uid(number): shared_by(race) for race in range(rounds) for number in numbers_of(race)
    }
