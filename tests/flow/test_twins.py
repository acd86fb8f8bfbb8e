"""First studies of a new patient that reach several workers at once: nothing that they share is made twice."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from tests.builders import make_instance, study_uid
from tests.stack import Stack

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


async def counted(stack):
    return Counter(one["resourceType"] for one in await stack.resources())


@pytest.fixture
async def other_app(stack, monkeypatch, azurite):
    """An app with tables and a queue of its own, at the same two services."""
    app = Stack(monkeypatch, azurite, stack.dicom, stack.fhir)
    yield app
    await app.close()


@pytest.mark.usefixtures("prompt")
async def test_two_apps_with_two_prefixes(stack, other_app, rounds):
    """Neither knows the tables of the other. Both begin at once, also with the key of ids."""
    for race in range(rounds):
        patient_id, serial_number, _ = shared_by(race)
        equipment = {"Manufacturer": "ACME", "DeviceSerialNumber": serial_number}
        await stack.store(*(make_instance(number, PatientID=patient_id, **equipment) for number in numbers_of(race)))
        both = (stack, other_app)
        for app in both:
            await app.poll()
        texts = [await app.messages() for app in both]
        assert list(map(len, texts)) == [STUDIES, STUDIES]
        await asyncio.gather(*(app.run(text) for app, some in zip(both, texts, strict=True) for text in some))
        for app in both:
            await app.drain()
    assert await counted(stack) == {
        "Patient": rounds,
        "Endpoint": 1,
        "Device": rounds,
        "ImagingStudy": rounds * STUDIES,
    }


GATEWAY = {"methods": ["POST"], "holds": '"type":"transaction"', "body": "<h1>not now</h1>"}


@pytest.mark.parametrize("status", [500, 503, 524])
async def test_a_gateway_that_gives_up_while_the_server_goes_on(stack, between, fresh_projection, monkeypatch, status):
    """Its transaction is carried out after another worker has created what both need, and before it comes again."""
    monkeypatch.setattr("shared.sync.writers.SETTLED_AFTER_S", 4)
    before = await between("fhir")
    equipment = {"Manufacturer": "ACME", "DeviceSerialNumber": "SN"}
    await stack.store(make_instance(1, PatientName="Older^One", **equipment))
    await stack.store(make_instance(2, PatientName="Newer^One", **equipment))
    await stack.poll()
    first, second = await stack.messages()
    before["fhir"].use([GATEWAY | {"status": status, "late_s": 1.5, "times": 1}])
    assert await stack.run(first) == ["retrying"]
    # what the first has sent may be carried out before or after this
    await stack.run(second, app=stack.new_app())
    await asyncio.sleep(2)
    await stack.drain()
    assert await counted(stack) == {"Patient": 1, "Endpoint": 1, "Device": 1, "ImagingStudy": 2}
    assert await stack.content() == await fresh_projection()


@pytest.mark.usefixtures("prompt")
async def test_clocks_that_differ_by_minutes(stack, monkeypatch):
    """Nothing that keeps workers from creating twice looks at a clock."""
    ahead = stack.new_app()
    await stack.store(*(make_instance(number, PatientID="MRN") for number in range(1, 3)))
    await stack.poll()
    first, second = await stack.messages()
    now = datetime.now
    monkeypatch.setattr("shared.wiring.datetime", SimpleNamespace(now=lambda zone: now(zone) + timedelta(seconds=181)))
    await asyncio.gather(stack.run(first), stack.run(second, app=ahead))
    await stack.drain()
    assert await counted(stack) == {"Patient": 1, "Endpoint": 1, "ImagingStudy": 2}


@pytest.mark.not_on("fhir-server", "it always lets clients choose ids")
@pytest.mark.not_on("hapi", "it is started once, with what it lets clients do")
async def test_a_server_that_no_longer_lets_clients_choose_ids(stack):
    """It was set up otherwise while the worker went on: what it offers is asked again, not only by the next process."""
    await stack.store(make_instance(1))
    await stack.drain()
    await stack.fhir_dev("settings", {"update_creates": False})
    await stack.store(make_instance(2, PatientID="other"))
    assert await stack.drain() == {"created": 1}
