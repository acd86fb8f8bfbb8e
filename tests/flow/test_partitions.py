"""One study in several data partitions: each gives up its own only, in whatever order that is noticed."""

import asyncio
import itertools
import random

import httpx
import pytest

from shared.model import StudyKey
from shared.sync import reconciler
from shared.sync.others import look_again
from tests.builders import make_instance, series_uid, sop_uid, study_uid
from tests.conftest import FIRST_START_S, _empty, _part, _parts
from tests.flow.life import assert_nothing_left, differences, linked, strays, twins
from tests.flow.test_interleavings import kill_once, killed, rec
from tests.stack import Stack

ONE, TWO = "clinic-a", "clinic-b"
SYSTEMS = {"Patient__PartitionSystemIds": '{"clinic-a": "urn:clinic:a", "Clinic-B": "urn:clinic:b"}'}
STUDY = study_uid(1)
FAILED = "FhirFailToStoreExceptionTable"


def instance(series=1, number=1, **attributes):
    return make_instance(1, series, number, **attributes)


def listed(study):
    return sorted((row["uid"], one["uid"]) for row in study["series"] for one in row["instance"])


def uids(*places):
    return sorted((series_uid(1, series), sop_uid(1, series, number)) for series, number in places)


@pytest.fixture(scope="session")
def partitioned_service(request):
    """The DICOM service under test, with data partitions."""
    command = _parts(request.config).dicom.command
    admin = ("--admin",) if command == "dicom-server" else ()
    return _part(request, command, "--port", "0", "--partitions", *admin, timeout_s=FIRST_START_S).urls["url"]


@pytest.fixture
async def stack(monkeypatch, short_waits, azurite, partitioned_service, fhir_server):
    assert short_waits is None
    for name, value in SYSTEMS.items():
        monkeypatch.setenv(name, value)
    _empty(partitioned_service, fhir_server)
    stack = Stack(monkeypatch, azurite, partitioned_service, fhir_server)
    yield stack
    await stack.close()


@pytest.fixture
async def in_step(stack, monkeypatch, azurite, second_fhir_server):
    """That FHIR equals what an app that starts from nothing makes of all partitions."""
    made = []

    async def check():
        _empty_fhir(second_fhir_server)
        made.append(Stack(monkeypatch, azurite, stack.dicom, second_fhir_server))
        await made[-1].drain()
        assert differences(linked(await stack.content()), linked(await made[-1].content())) == []
        assert await twins(stack) == []
        assert await strays(stack) == await strays(made[-1])
        await assert_nothing_left(stack)

    yield check
    for one in made:
        await one.close()


def _empty_fhir(url):
    httpx.post(url.split("/fhir")[0] + "/_dev/reset", trust_env=False, timeout=120).raise_for_status()


async def moved(stack, first, second, are_noticed):
    """The ImagingStudy of two instances that were stored in another partition, then deleted in the one before."""
    both = [instance(1, number) for number in (1, 2)]
    await stack.store(*both, partition=first)
    await stack.drain()
    await stack.store(*both, partition=second)
    if are_noticed == "each by itself":
        await stack.drain()
    await stack.delete(STUDY, partition=first)
    if are_noticed == "the delete first":
        await stack.poll()
        texts = await stack.messages()
        await stack.run(*sorted(texts, key=lambda text: first not in text))
    await stack.drain()
    return await stack.one("ImagingStudy")


@pytest.mark.parametrize("first", [ONE, TWO])
@pytest.mark.parametrize("are_noticed", ["each by itself", "together", "the delete first"])
async def test_a_study_that_moves_stays(stack, in_step, first, are_noticed):
    second = TWO if first == ONE else ONE
    study = await moved(stack, first, second, are_noticed)
    assert listed(study) == uids((1, 1), (1, 2))
    assert study["description"] == "CT head"
    await in_step()
    await stack.delete(STUDY, partition=second)
    await stack.drain()
    assert await stack.resources("ImagingStudy") == []
    await in_step()


@pytest.mark.parametrize("deleted", [ONE, TWO])
async def test_different_series_in_each(stack, in_step, deleted):
    await stack.store(instance(1, 1), instance(1, 2), partition=ONE)
    await stack.store(instance(2, 1, StudyDescription="other", AccessionNumber="B"), partition=TWO)
    await stack.drain()
    assert listed(await stack.one("ImagingStudy")) == uids((1, 1), (1, 2), (2, 1))
    await in_step()
    await stack.delete(STUDY, partition=deleted)
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert listed(study) == (uids((2, 1)) if deleted == ONE else uids((1, 1), (1, 2)))
    assert study["description"] == ("other" if deleted == ONE else "CT head")
    await in_step()


@pytest.mark.parametrize("deleted", [ONE, TWO])
async def test_one_of_the_instances_that_both_have_is_deleted_in_one(stack, in_step, deleted):
    for partition in (ONE, TWO):
        await stack.store(
            *(instance(1, number, StudyDescription=partition) for number in (1, 2, 3)), partition=partition
        )
    await stack.drain()
    await stack.delete(f"{STUDY}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 2)}", partition=deleted)
    await stack.drain()
    assert listed(await stack.one("ImagingStudy")) == uids((1, 1), (1, 2), (1, 3))
    await in_step()
    await stack.delete(
        f"{STUDY}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 2)}", partition=TWO if deleted == ONE else ONE
    )
    await stack.drain()
    assert listed(await stack.one("ImagingStudy")) == uids((1, 1), (1, 3))
    await in_step()


def owner_of(stack, place):
    """Where a step of a pass is looked up."""
    return rec(stack) if place.startswith("_") else reconciler


@pytest.mark.parametrize("place", ["announce", "_write", "_confirm"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("leaving", [ONE, TWO])
async def test_a_crash_in_the_middle_of_a_move(stack, in_step, monkeypatch, place, before, leaving):
    staying = TWO if leaving == ONE else ONE
    await stack.store(instance(1, 1), instance(1, 2, StudyDescription="first"), partition=leaving)
    await stack.drain()
    await stack.store(instance(1, 1), instance(1, 2, StudyDescription="second"), partition=staying)
    await stack.drain()
    await stack.delete(STUDY, partition=leaving)
    await stack.poll()
    texts = await stack.messages()
    kill_once(monkeypatch, owner_of(stack, place), place, before=before)
    await killed(stack, texts)
    await stack.run(*texts)
    await stack.drain()
    assert (await stack.one("ImagingStudy"))["description"] == "second"
    await in_step()


@pytest.fixture
async def other_app(stack, monkeypatch, azurite):
    """An app with tables and a queue of its own, at the same two services."""
    app = Stack(monkeypatch, azurite, stack.dicom, stack.fhir)
    yield app
    await app.close()


async def test_what_another_app_wrote_stays_of_its_partition(stack, other_app, in_step):
    """The first app finds the partition empty before it learns of an instance that the other one wrote for it."""
    await stack.store(instance(1, 1), partition=ONE)
    await stack.store(instance(2, 1), partition=TWO)
    for app in (stack, other_app):
        await app.drain()
    await stack.store(instance(3, 1), partition=ONE)
    await other_app.drain()
    await stack.delete(STUDY, partition=ONE)
    await stack.run(look_again(StudyKey(ONE, STUDY), 0).to_json())
    for app in (stack, other_app):
        await app.drain()
    assert listed(await stack.one("ImagingStudy")) == uids((2, 1))
    await in_step()


@pytest.mark.parametrize("order", [(ONE, TWO), (TWO, ONE)])
async def test_accession_numbers_are_those_of_the_first_partition(stack, in_step, order):
    """Whichever partition is read last: it neither adds its own nor takes those of the other away."""
    await stack.store(instance(1, 1, AccessionNumber="A1"), partition=ONE)
    await stack.store(instance(2, 1, AccessionNumber="A2"), partition=TWO)
    await stack.drain()
    for partition in order:
        series = 1 if partition == ONE else 2
        await stack.store(instance(series, 2, AccessionNumber=f"A{series}"), partition=partition)
        await stack.drain()
        study = await stack.one("ImagingStudy")
        assert [row["value"] for row in study["identifier"] if "system" not in row] == ["A1"]
        await in_step()


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_of_events_of_two_partitions(stack, in_step, seed):
    choose = random.Random(500 + seed)
    alive = {ONE: set(), TWO: set()}
    delayed = []
    workers = [stack.app, stack.new_app(), stack.new_app()]
    for _ in range(14):
        await _change_something(stack, choose, alive)
        if choose.random() < 0.6:
            await stack.poll()
            delayed += await stack.messages()
            choose.shuffle(delayed)
            now, delayed = delayed[: len(delayed) // 2], delayed[len(delayed) // 2 :]
            now += choose.choices(now, k=len(now) // 2) if now else []
            await asyncio.gather(*(stack.run(*now[place::3], app=app) for place, app in enumerate(workers)))
    await stack.run(*delayed)
    await stack.drain()
    await in_step()


async def _change_something(stack, choose, alive):
    partition = choose.choice((ONE, TWO))
    there = alive[partition]
    kind = choose.choices(("store", "instance", "series", "study", "update"), (7, 2, 1, 2, 2))[0]
    if kind == "store" or not there:
        new = {(choose.randint(1, 2), choose.randint(1, 6)) for _ in range(choose.randint(1, 4))} - there
        described = {"StudyDescription": choose.choice(("one", "two", None)), "SeriesDescription": f"in {partition}"}
        if new:
            await stack.store(*(instance(*place, **described) for place in sorted(new)), partition=partition)
        there |= new
        return
    series, number = choose.choice(sorted(there))
    if kind == "update":
        text = {"vr": "LO", "Value": [f"corrected {choose.randint(1, 4)}"]}
        patient = {"vr": "LO", "Value": [choose.choice(("MRN-0001", "MRN-0002"))]}
        await stack.bulk_update(STUDY, partition, **{"00081030": text, "00100020": patient})
        return
    path = {
        "study": STUDY,
        "series": f"{STUDY}/series/{series_uid(1, series)}",
        "instance": f"{STUDY}/series/{series_uid(1, series)}/instances/{sop_uid(1, series, number)}",
    }[kind]
    await stack.delete(path, partition)
    depth = {"study": 0, "series": 1, "instance": 2}[kind]
    alive[partition] -= {place for place in there if place[:depth] == (series, number)[:depth]}


async def test_a_partition_deletes_while_the_other_stores(stack, in_step, monkeypatch):
    """The other one's write comes between the last look of the first at FHIR and its delete."""
    await stack.store(instance(1, 1), partition=ONE)
    await stack.drain()
    await stack.store(instance(1, 1), partition=TWO)
    await stack.poll()
    stored = await stack.messages()
    await stack.delete(STUDY, partition=ONE)
    await stack.poll()
    deleted = await stack.messages()
    other, fhir = stack.new_app(), stack.app.fhir
    transact, done = fhir._transact, []

    async def late(entries):
        if any(entry.method == "DELETE" for entry in entries) and not done:
            done.append(await stack.run(*stored, app=other))
        return await transact(entries)

    monkeypatch.setattr(fhir, "_transact", late)
    await stack.run(*deleted)
    assert done
    await stack.drain()
    assert listed(await stack.one("ImagingStudy")) == uids((1, 1))
    await in_step()


async def test_the_same_patient_id_in_two_partitions_is_two_persons(stack, in_step):
    await stack.store(make_instance(1, PatientID="1001", PatientName="Lund^Bo"), partition=ONE)
    await stack.store(make_instance(2, PatientID="1001", PatientName="Okafor^Chi"), partition=TWO)
    await stack.drain()
    found = {
        (one["identifier"][0]["system"], one["identifier"][0]["value"], one["name"][0]["family"])
        for one in await stack.resources("Patient")
    }
    assert found == {("urn:clinic:a", "1001", "Lund"), ("urn:clinic:b", "1001", "Okafor")}
    await in_step()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_patient_is_described_by_studies_that_are_theirs(stack, in_step, order):
    """A study of two partitions is that of the first one's Patient, whichever is read first."""
    await stack.store(make_instance(2, PatientID="77", PatientName="Lund^Bo"), partition=TWO)
    await stack.store(make_instance(1, PatientID="77", PatientName="Newer^Bo"), partition=TWO)
    await stack.store(make_instance(1, PatientID="1001", PatientName="Okafor^Chi"), partition=ONE)
    await stack.poll()
    texts = sorted(await stack.messages())
    await stack.run(*(texts[place] for place in order))
    await stack.drain()
    names = {one["identifier"][0]["value"]: one["name"][0]["family"] for one in await stack.resources("Patient")}
    assert names == {"77": "Lund", "1001": "Okafor"}
    await in_step()
    await stack.delete(STUDY, partition=ONE)
    await stack.drain()
    names = {one["identifier"][0]["value"]: one["name"][0]["family"] for one in await stack.resources("Patient")}
    assert names["77"] == "Newer"
    await in_step()


@pytest.mark.parametrize("place", ["_write", "_left", "_confirm"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_a_crash_while_the_first_partition_takes_a_study_over(stack, in_step, monkeypatch, place, before):
    await stack.store(make_instance(2, PatientID="77", PatientName="Lund^Bo"), partition=TWO)
    await stack.store(make_instance(1, PatientID="77", PatientName="Newer^Bo"), partition=TWO)
    await stack.drain()
    await stack.store(make_instance(1, PatientID="1001", PatientName="Okafor^Chi"), partition=ONE)
    await stack.poll()
    texts = await stack.messages()
    kill_once(monkeypatch, owner_of(stack, place), place, before=before)
    await killed(stack, texts)
    await stack.run(*texts)
    texts = await stack.messages()
    kill_once(monkeypatch, owner_of(stack, place), place, before=before)
    await killed(stack, texts)
    await stack.run(*texts)
    await stack.drain()
    await in_step()


async def test_a_partition_without_a_system_is_not_guessed(stack):
    await stack.store(make_instance(1, PatientID="1001"), partition="clinic-c")
    await stack.store(make_instance(2, PatientID="1001"), partition="Microsoft.Default")
    await stack.drain()
    assert [one["identifier"] for one in await stack.resources("Patient")] == [[{"value": "1001"}]]
    assert len(await stack.resources("ImagingStudy")) == 1
    (row,) = await stack.rows(FAILED)
    assert (row["StudyUid"], row["Exception"].split(":")[0]) == (STUDY, "no-partition-system")
    stack.app = stack.new_app(Patient__PartitionSystemIds='{"clinic-c": "urn:clinic:c"}')
    await stack.store(make_instance(1, 1, 2, PatientID="1001"), partition="clinic-c")
    await stack.drain()
    systems = [one["identifier"][0].get("system") for one in await stack.resources("Patient")]
    assert sorted(map(str, systems)) == ["None", "urn:clinic:c"]
    await assert_nothing_left(stack)


async def test_a_study_of_two_partitions_moves_with_the_archive(stack):
    """Its named sources get the present address, each with its partition, and each gives up its own."""
    old, new = "https://old.example.org/", "https://new.example.org/dicom"
    before = stack.new_app(DicomWeb__PrivateEndpoint=stack.dicom, DicomWeb__Endpoint=old)
    for partition, series in ((ONE, 1), (TWO, 2), ("Microsoft.Default", 3)):
        await stack.store(instance(series, 1), partition=partition)
    await stack.drain(before)
    now = stack.new_app(DicomWeb__Endpoint=new, DicomWeb__FormerEndpoints=f'["{old}"]')
    await stack.delete(STUDY, partition=ONE)
    await stack.drain(now)
    study = await stack.one("ImagingStudy")
    assert listed(study) == uids((2, 1), (3, 1))
    assert {row["valueUri"] for one in (study, *study["series"]) for row in one.get("extension", [])} == {
        new,
        f"{new}#{TWO}",
    }
    assert (study["meta"]["source"], (await stack.one("Endpoint"))["address"]) == (new, new)
    for partition in (TWO, "Microsoft.Default"):
        await stack.delete(STUDY, partition=partition)
    await stack.drain(now)
    assert await stack.resources("ImagingStudy") == []
    await assert_nothing_left(stack)


@pytest.mark.parametrize("first", [ONE, TWO])
async def test_a_partition_that_lets_go_writes_no_reference_that_leads_nowhere(stack, first):
    """The Endpoint is gone: somebody deleted it, or the archive has another address."""
    for partition in (ONE, TWO):
        await stack.store(instance(1, 1), partition=partition)
        await stack.drain()
    endpoint = await stack.one("Endpoint")
    await stack.http.delete(f"{stack.fhir}/Endpoint/{endpoint['id']}")
    now = stack.new_app()
    await stack.delete(STUDY, partition=first)
    await stack.poll(now)
    await stack.run(*await stack.messages(), app=now)
    study = await stack.one("ImagingStudy")
    references = {row["reference"] for one in (study, *study["series"]) for row in one["endpoint"]}
    assert {one.partition("/")[0] for one in references} == {"Endpoint"}
    assert {f"Endpoint/{one['id']}" for one in await stack.resources("Endpoint")} <= references


async def test_studies_of_before_lose_nothing(stack, in_step):
    """Versions of this app before named no sources: the marks of each partition tell."""
    await stack.store(instance(1, 1), instance(1, 2), instance(2, 1), partition=ONE)
    await stack.store(instance(1, 2), instance(3, 1), partition=TWO)
    await stack.drain()
    study = await stack.one("ImagingStudy")
    await stack.put(_without_sources(study))
    await stack.delete(STUDY, partition=ONE)
    await stack.drain()
    assert listed(await stack.one("ImagingStudy")) == uids((1, 2), (3, 1))
    await in_step()


def _without_sources(element):
    if isinstance(element, list):
        return [_without_sources(one) for one in element]
    if not isinstance(element, dict):
        return element
    kept = {name: _without_sources(value) for name, value in element.items() if name != "extension"}
    others = [row for row in element.get("extension", []) if row["url"] != "urn:dicom-fhir-sync:source"]
    return kept | ({"extension": others} if others else {})


async def test_the_default_partition_names_no_source(stack, in_step):
    await stack.store(instance(1, 1), instance(2, 1), partition="Microsoft.Default")
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert study == _without_sources(study)
    await in_step()
    await stack.store(instance(1, 1), partition=ONE)
    await stack.drain()
    await in_step()
    await stack.delete(STUDY, partition="Microsoft.Default")
    await stack.drain()
    assert listed(await stack.one("ImagingStudy")) == uids((1, 1))
    await in_step()


@pytest.fixture
def unlisted(monkeypatch, stack):
    """The app, and the one that starts from nothing, list no instances."""
    monkeypatch.setenv("ImagingStudy__Instances", "None")
    stack.app = stack.new_app()


def counts(study):
    return {row["uid"]: row["numberOfInstances"] for row in study["series"]}


@pytest.mark.usefixtures("unlisted")
@pytest.mark.parametrize("first", [ONE, TWO])
@pytest.mark.parametrize("are_noticed", ["each by itself", "together", "the delete first"])
async def test_a_study_that_moves_stays_where_nothing_is_listed(stack, in_step, first, are_noticed):
    second = TWO if first == ONE else ONE
    study = await moved(stack, first, second, are_noticed)
    assert (counts(study), study["description"]) == ({series_uid(1, 1): 2}, "CT head")
    await in_step()
    await stack.delete(STUDY, partition=second)
    await stack.drain()
    assert await stack.resources("ImagingStudy") == []
    await in_step()


@pytest.mark.usefixtures("unlisted")
@pytest.mark.parametrize("deleted", [ONE, TWO])
async def test_different_series_in_each_where_nothing_is_listed(stack, in_step, deleted):
    await stack.store(instance(1, 1), instance(1, 2), partition=ONE)
    await stack.store(instance(2, 1, StudyDescription="other", AccessionNumber="B"), partition=TWO)
    await stack.drain()
    assert counts(await stack.one("ImagingStudy")) == {series_uid(1, 1): 2, series_uid(1, 2): 1}
    await in_step()
    await stack.delete(STUDY, partition=deleted)
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert counts(study) == ({series_uid(1, 2): 1} if deleted == ONE else {series_uid(1, 1): 2})
    assert study["description"] == ("other" if deleted == ONE else "CT head")
    await in_step()


@pytest.mark.usefixtures("unlisted")
@pytest.mark.parametrize("deleted", [ONE, TWO])
async def test_the_larger_count_of_two_partitions_stands(stack, in_step, deleted):
    for partition in (ONE, TWO):
        await stack.store(*(instance(1, number) for number in (1, 2, 3)), partition=partition)
    await stack.drain()
    path = f"{STUDY}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 2)}"
    await stack.delete(path, partition=deleted)
    await stack.drain()
    assert counts(await stack.one("ImagingStudy")) == {series_uid(1, 1): 3}
    await in_step()
    await stack.delete(path, partition=TWO if deleted == ONE else ONE)
    await stack.drain()
    assert counts(await stack.one("ImagingStudy")) == {series_uid(1, 1): 2}
    await in_step()
