"""Creations by update: which id, what is there already, what came late, and the key that all workers share."""

import asyncio

import pytest

from shared.errors import Overwritten, VersionConflict
from shared.fhir.bundle import Entry
from shared.fhir.id_key import KEY_ID, KEY_REFERENCE, KEY_SYSTEM, id_of, key_in
from shared.fhir.identifiers import by_code, by_identifier
from tests.schedules.services import MemoryFhir
from tests.schedules.world import Guards

MINE = by_identifier("Patient", "urn:mrn", "1")
OTHER = by_identifier("Patient", "urn:mrn", "2")


class AtOnce:
    """A world in which every call happens when it is made; `before` may do something right before one."""

    guards = Guards()

    def __init__(self):
        self.before = {}

    async def step(self, label, act, **_):
        self.before.pop(label, lambda: None)()
        await asyncio.sleep(0)
        return act()


@pytest.fixture
def world():
    return AtOnce()


@pytest.fixture
def fhir(world):
    return MemoryFhir(world, client_ids=True)


def patient(identity=MINE, **elements):
    return {"resourceType": "Patient", "identifier": [{"system": identity.system, "value": identity.value}], **elements}


def put_by_another(fhir, target, resource):
    """Somebody else writes it, whoever wrote it before."""
    fhir._store(target, {**resource, "id": target.partition("/")[2]})


def key_of(fhir):
    return key_in(fhir.resources[KEY_REFERENCE])


async def test_the_id_is_made_of_the_identity(fhir):
    study = {"resourceType": "ImagingStudy", "subject": {"reference": ""}}
    created = Entry.create(MINE, patient())
    entry = Entry.create(by_identifier("ImagingStudy", "urn:dicom:uid", "urn:oid:1"), study)
    study["subject"]["reference"] = created.target
    answers = await fhir.transact([created, entry])
    assert answers[0].reference == id_of(key_of(fhir), MINE)
    assert fhir.resources[answers[1].reference]["subject"]["reference"] == answers[0].reference
    assert MINE.value not in answers[0].reference.partition("/")[2].split("-")


def test_ids_of_types_identities_and_keys_differ():
    other_type = by_identifier("Device", "urn:mrn", "1")
    two = [by_code("Observation", code, ("s", "1"), ("s", "2")) for code in (("a", "1"), ("a", "2"))]
    ids = {id_of(key, one) for key in ("k", "l") for one in (MINE, OTHER, other_type, *two)}
    assert len(ids) == 10


async def test_what_a_search_does_not_show_is_found_by_its_id(fhir):
    await fhir.transact([Entry.create(MINE, patient())])
    target = id_of(key_of(fhir), MINE)
    shown, fhir._found = fhir._found, lambda *_: []
    with pytest.raises(VersionConflict):
        await fhir.transact([Entry.create(MINE, patient(gender="male"))])
    assert [f"Patient/{one['id']}" for one in await fhir.find_all(MINE)] == [target]
    fhir._found = shown
    assert fhir.resources[target].get("gender") is None


@pytest.mark.parametrize("has_moved", [False, True], ids=["not moved yet", "moved by another worker"])
async def test_what_was_created_before_its_system_changed_is_found_by_its_id(fhir, has_moved):
    """The id is made of the first system: a slow search makes no second resource after the change."""
    await fhir.transact([Entry.create(MINE, patient())])
    target = id_of(key_of(fhir), MINE)
    now = by_identifier("Patient", "urn:new", "1", ("urn:mrn",))
    if has_moved:
        put_by_another(fhir, target, patient(now))
    fhir._found = lambda *_: []
    with pytest.raises(VersionConflict):
        await fhir.transact([Entry.create(now, patient(now))])
    assert [f"Patient/{one['id']}" for one in await fhir.find_all(now)] == [target]
    assert [one for one in fhir.resources if one.startswith("Patient/")] == [target]


async def test_an_id_with_another_identity_is_left_alone(fhir):
    """A person moved the identifier to another Patient, and took it away there."""
    await fhir.transact([Entry.create(MINE, patient())])
    target = id_of(key_of(fhir), MINE)
    put_by_another(fhir, target, patient(OTHER))
    (answer,) = await fhir.transact([Entry.create(MINE, patient())])
    assert answer.reference != target
    assert [one["id"] for one in await fhir.find_all(MINE)] == [answer.reference.partition("/")[2]]
    assert OTHER.matches(fhir.resources[target])


async def test_two_writers_take_the_same_next_id(fhir):
    """Conditional creates at the same moment make two, on Microsoft's FHIR server."""
    await fhir.transact([Entry.create(MINE, patient())])
    put_by_another(fhir, id_of(key_of(fhir), MINE), patient(OTHER))
    entries = [(await one._creation.prepared([Entry.create(MINE, patient())]))[0] for one in (fhir, fhir.for_worker())]
    assert [entry.method for entry in entries] == ["PUT", "PUT"]
    assert {entry.url for entry in entries} == {id_of(key_of(fhir), MINE, 1)}


async def test_what_a_search_does_not_show_is_found_by_its_next_id(fhir):
    await fhir.transact([Entry.create(MINE, patient())])
    put_by_another(fhir, id_of(key_of(fhir), MINE), patient(OTHER))
    await fhir.transact([Entry.create(MINE, patient())])
    fhir._found = lambda *_: []
    with pytest.raises(VersionConflict):
        await fhir.transact([Entry.create(MINE, patient(gender="male"))])
    (found,) = await fhir.find_all(MINE)
    assert f"Patient/{found['id']}" == id_of(key_of(fhir), MINE, 1)


async def test_a_deleted_id_is_taken_again(fhir):
    await fhir.transact([Entry.create(MINE, patient(gender="male"))])
    target = id_of(key_of(fhir), MINE)
    fhir._store(target, None)
    (answer,) = await fhir.transact([Entry.create(MINE, patient())])
    assert answer.reference == target
    assert "gender" not in fhir.resources[target]


async def test_what_was_overwritten_is_put_back(fhir, world):
    await fhir.transact([Entry.create(OTHER, patient(OTHER))])
    target = id_of(key_of(fhir), MINE)
    world.before["fhir.begin"] = lambda: put_by_another(fhir, target, patient(gender="male", active=True))
    with pytest.raises(Overwritten):
        await fhir.transact([Entry.create(MINE, patient(gender="female"))])
    assert (fhir.resources[target]["gender"], fhir.resources[target]["active"]) == ("male", True)
    assert [one and one["gender"] for one in fhir.histories[target]] == ["male", "female", "male"]


async def test_what_others_wrote_over_it_stays(fhir, world):
    await fhir.transact([Entry.create(OTHER, patient(OTHER))])
    target = id_of(key_of(fhir), MINE)
    world.before["fhir.begin"] = lambda: put_by_another(fhir, target, patient(gender="male"))
    world.before["fhir.history"] = lambda: put_by_another(fhir, target, patient(gender="other"))
    with pytest.raises(Overwritten):
        await fhir.transact([Entry.create(MINE, patient(gender="female"))])
    assert fhir.resources[target]["gender"] == "other"


async def test_workers_that_begin_at_once_agree_on_the_key(fhir):
    workers = [fhir.for_worker() for _ in range(5)]
    keys = await asyncio.gather(*(worker._creation._key.get() for worker in workers))
    assert set(keys) == {key_of(fhir)}


@pytest.mark.parametrize("person", ["edits", "deletes"])
async def test_a_key_that_a_person_takes_away_is_put_back(fhir, person):
    await fhir.transact([Entry.create(MINE, patient())])
    key, device = key_of(fhir), fhir.resources[KEY_REFERENCE]
    put_by_another(fhir, KEY_REFERENCE, {**device, "identifier": [], "note": [{"text": "x"}]})
    if person == "deletes":
        fhir._store(KEY_REFERENCE, None)
    with pytest.raises(VersionConflict):
        await fhir.transact([Entry.create(OTHER, patient(OTHER))])
    (answer,) = await fhir.transact([Entry.create(OTHER, patient(OTHER))])
    assert answer.reference == id_of(key, OTHER)
    assert key_of(fhir) == key
    assert ("note" in fhir.resources[KEY_REFERENCE]) == (person == "edits")


async def test_every_worker_notices_a_new_key(fhir):
    """The Device and all of its history are gone."""
    await fhir.transact([Entry.create(MINE, patient())])
    old, one = key_of(fhir), fhir.for_worker()
    assert await one._creation._key.get() == old
    del fhir.resources[KEY_REFERENCE], fhir.histories[KEY_REFERENCE]
    assert await fhir.for_worker()._creation._key.get() != old
    with pytest.raises(VersionConflict):
        await one.transact([Entry.create(OTHER, patient(OTHER))])
    (answer,) = await one.transact([Entry.create(OTHER, patient(OTHER))])
    assert answer.reference == id_of(key_of(fhir), OTHER)


async def test_the_key_is_in_no_text_of_an_error(fhir):
    await fhir.transact([Entry.create(MINE, patient())])
    key = key_of(fhir)
    put_by_another(
        fhir, KEY_REFERENCE, {"resourceType": "Device", "identifier": [{"system": KEY_SYSTEM, "value": "x"}]}
    )
    with pytest.raises(VersionConflict) as raised:
        await fhir.transact([Entry.create(OTHER, patient(OTHER))])
    assert key not in str(raised.value)


async def test_the_device_of_the_key_says_what_it_is(fhir):
    await fhir.transact([Entry.create(MINE, patient())])
    (name,) = fhir.resources[KEY_REFERENCE]["deviceName"]
    assert KEY_ID in name["name"]


async def test_where_the_server_chooses_ids_creations_stay_conditional(world):
    fhir = MemoryFhir(world, client_ids=False)
    await fhir.transact([Entry.create(MINE, patient())])
    with pytest.raises(VersionConflict):
        await fhir.transact([Entry.create(MINE, patient())])
    assert KEY_REFERENCE not in fhir.resources
    assert len(fhir.resources) == 1
