"""Interleavings that once went wrong: each cuts a worker off, or lets another one in, at one particular place."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dev.process import running
from shared.dicom.feed import Latest, parse_row
from shared.errors import Rejected, SyncError, Throttled, VersionConflict
from shared.fhir.client import FhirClient
from shared.model import DEFAULT_PARTITION, Checkpoint, StudyChange, StudyKey
from shared.state import Writer
from shared.sync import reconciler
from shared.sync.others import OtherStudies
from shared.sync.poller import Poller
from tests.builders import make_instance, part10, series_uid, sop_uid, study_uid
from tests.conftest import _empty
from tests.flow.life import twins
from tests.flow.test_laws import assert_in_step
from tests.stack import BOUNDARY, Stack


@pytest.fixture
def client_ids():
    return True


class Kill(BaseException):
    pass


def kill_once(monkeypatch, owner, name, *, before=True):
    original = getattr(owner, name)
    state = {"armed": True}

    async def dying(*args, **kwargs):
        if state["armed"]:
            state["armed"] = False
            if not before:
                await original(*args, **kwargs)
            raise Kill
        return await original(*args, **kwargs)

    monkeypatch.setattr(owner, name, dying)


async def killed(stack, texts):
    with pytest.raises(Kill):
        await stack.run(*texts)


async def polled(stack):
    await stack.poll()
    return await stack.messages()


def rec(stack):
    return stack.app.runner._reconciler


async def inst(stack, s, se, i):
    await stack.delete(f"{study_uid(s)}/series/{series_uid(s, se)}/instances/{sop_uid(s, se, i)}")


async def test_an_instance_deleted_between_crash_and_redelivery(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(1, 1, 1, StudyDescription="one", PatientID="X"))
    await stack.drain()
    await stack.store(make_instance(1, 1, 2, StudyDescription="two", PatientID="Y"))
    m1 = await polled(stack)
    kill_once(monkeypatch, rec(stack), "_confirm")
    await killed(stack, m1)
    await inst(stack, 1, 1, 2)
    await stack.run(*m1)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_an_instance_deleted_between_announcement_and_write(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(1, 1, 1, StudyDescription="one", PatientID="X"))
    await stack.drain()
    await stack.store(make_instance(1, 1, 2, StudyDescription="two", PatientID="Y"))
    m1 = await polled(stack)
    other = stack.new_app()
    r = rec(stack)
    orig = r._write
    done = []

    async def write(attempt, plan, **options):
        if not done:
            done.append(1)
            await inst(stack, 1, 1, 2)
            m2 = await polled(stack)
            await stack.run(*m2, app=other)
        return await orig(attempt, plan, **options)

    monkeypatch.setattr(r, "_write", write)
    await stack.run(*m1)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_a_crash_after_the_study_left_its_patient_by_delete(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(1, PatientName="Lund^Bo"))
    await stack.drain()
    await stack.store(make_instance(2, PatientName="Okafor^Chi"))
    await stack.drain()
    await stack.delete(study_uid(2))
    m = await polled(stack)
    kill_once(monkeypatch, rec(stack), "_confirm")
    await killed(stack, m)
    await stack.run(*m)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_a_crash_after_the_study_left_its_patient_by_relinking(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(1, PatientName="Lund^Bo"))
    await stack.drain()
    await stack.store(make_instance(2, PatientName="Okafor^Chi"))
    await stack.drain()
    await stack.bulk_update(study_uid(2), **{"00100020": {"vr": "LO", "Value": ["MRN-0002"]}})
    m = await polled(stack)
    kill_once(monkeypatch, rec(stack), "_confirm")
    await killed(stack, m)
    await stack.run(*m)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


@pytest.mark.parametrize("place", ["_write", "_confirm"])
async def test_a_creator_of_a_patient_that_dies_leaves_the_birth_date_to_the_newest(
    stack, fresh_projection, monkeypatch, place
):
    """Before it could say that the birth date is ours, or before the Patient was there at all."""
    await stack.store(make_instance(1, PatientBirthDate="19700101"))
    m1 = await polled(stack)
    kill_once(monkeypatch, rec(stack), place)
    await killed(stack, m1)
    await stack.store(make_instance(2, PatientBirthDate="19800202"))
    await stack.drain()
    assert (await stack.one("Patient"))["birthDate"] == "1980-02-02"
    await stack.run(*m1)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_a_conflict_while_leaving_a_patient(stack, fresh_projection, monkeypatch):

    await stack.store(make_instance(1, PatientName="Lund^Bo"))
    await stack.drain()
    await stack.store(make_instance(2, PatientName="Okafor^Chi"))
    await stack.drain()
    await stack.delete(study_uid(2))
    m = await polled(stack)
    orig = reconciler.leave
    done = []

    async def leave(*a, **kw):
        if not done:
            done.append(1)
            raise VersionConflict("lost")
        return await orig(*a, **kw)

    monkeypatch.setattr(reconciler, "leave", leave)
    await stack.run(*m)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_the_birth_date_stays_ours_after_a_crash(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(1, PatientBirthDate="19700102"))
    m = await polled(stack)
    kill_once(monkeypatch, rec(stack), "_confirm")
    await killed(stack, m)
    await stack.run(*m)
    await stack.drain()
    await stack.bulk_update(study_uid(1), **{"00100030": {"vr": "DA", "Value": ["19710203"]}})
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_the_birth_date_stays_ours_between_two_studies(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(1, PatientBirthDate="19700102"), make_instance(2, PatientBirthDate="19700102"))
    m = await polled(stack)
    other = stack.new_app()
    r = rec(stack)
    orig = r._confirm
    done = []

    async def confirm(*a, **options):
        if not done:
            done.append(1)
            await stack.run(m[1], app=other)
        return await orig(*a, **options)

    monkeypatch.setattr(r, "_confirm", confirm)
    await stack.run(m[0])
    await stack.drain()
    await stack.bulk_update(study_uid(1), **{"00100030": {"vr": "DA", "Value": ["19710203"]}})
    await stack.drain()
    await stack.bulk_update(study_uid(2), **{"00100030": {"vr": "DA", "Value": ["19710203"]}})
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_the_word_taken_while_it_is_open(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(1, 1, 1, PatientName="A^One"))  # A seq 1
    await stack.drain()
    await stack.store(make_instance(2, 1, 1, PatientName="B^Two"))  # B seq 2
    mb = await polled(stack)  # B's message is delayed
    await stack.store(make_instance(3, 1, 1, PatientName="C^Three"))  # C seq 3
    await stack.drain()
    await stack.store(make_instance(1, 1, 2, PatientName="A^Four"))  # A seq 4
    await stack.drain()
    await inst(stack, 1, 1, 2)  # A steps back to 1
    ma = await polled(stack)
    kill_once(monkeypatch, OtherStudies, "study")
    await killed(stack, ma)
    await stack.run(*mb)
    await stack.run(*ma)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_a_study_of_somebody_else_is_not_looked_at(stack):
    await stack.store(make_instance(1, 1, 1))
    await stack.drain()
    patient = await stack.one("Patient")
    foreign = await stack.post(
        {
            "resourceType": "ImagingStudy",
            "status": "available",
            "meta": {"source": "https://other.example/dicom"},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(77)}"}],
            "subject": {"reference": f"Patient/{patient['id']}"},
            "numberOfSeries": 4,
            "numberOfInstances": 400,
            "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "MR"}],
        }
    )
    await stack.store(make_instance(1, 1, 2))
    await stack.drain()
    await inst(stack, 1, 1, 2)
    await stack.drain()
    now = next(s for s in await stack.resources("ImagingStudy") if s["id"] == foreign["id"])
    assert {**now, "meta": None} == {**foreign, "meta": None}


@pytest.mark.parametrize("crash", [False, True])
async def test_a_crash_at_first_contact_with_a_study_of_dicom_cast(stack, monkeypatch, crash):
    await stack.store(make_instance(1, 1, 1, StudyDescription="new"))
    await stack.post(
        {
            "resourceType": "ImagingStudy",
            "status": "available",
            "meta": {"source": stack.dicom + "/"},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(1)}"}],
            "subject": {"display": "x"},
            "note": [{"text": "old"}],
            "series": [
                {
                    "uid": series_uid(1, 1),
                    "modality": {"system": "DCM", "code": "CT"},
                    "instance": [{"uid": sop_uid(1, 1, 9), "sopClass": {"code": "1.2.3"}}],
                }
            ],
        }
    )
    m = await polled(stack)
    if crash:
        kill_once(monkeypatch, rec(stack), "_write")
        await killed(stack, m)
    await stack.run(*m)
    await stack.drain()
    s = await stack.one("ImagingStudy")
    assert [n["text"] for n in s["note"]] == ["old", "new"]
    assert [i["uid"] for i in s["series"][0]["instance"]] == [sop_uid(1, 1, 1)]


async def test_announcements_do_not_pile_up(stack, monkeypatch):

    await stack.store(make_instance(1, 1, 1))
    m = await polled(stack)

    orig = FhirClient.transact

    async def transact(_, __):
        raise Throttled("429")

    monkeypatch.setattr(FhirClient, "transact", transact)

    codes = []
    for n in range(120):
        try:
            await rec(stack).reconcile(StudyChange.from_json(m[0]))
        except SyncError as e:
            if not codes or codes[-1][1] != str(e):
                codes.append((n, str(e)))
    monkeypatch.setattr(FhirClient, "transact", orig)
    await stack.run(*m)
    assert await stack.resources("ImagingStudy")


@pytest.fixture(scope="module")
def partitioned():
    with running("dicom", "--port", "0", "--partitions") as part:
        yield part.urls["url"]


@pytest.fixture
async def pstack(monkeypatch, azurite, partitioned, fhir_server):
    monkeypatch.setenv(
        "Patient__PartitionSystemIds", '{"p1": "urn:mrn", "p2": "urn:mrn", "one": "urn:mrn", "two": "urn:mrn"}'
    )
    _empty(partitioned, fhir_server)
    stack = Stack(monkeypatch, azurite, partitioned, fhir_server)
    yield stack
    await stack.close()


async def pstore(stack, partition, dataset):
    body = b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--%s--" % (
        BOUNDARY.encode(),
        part10(dataset),
        BOUNDARY.encode(),
    )
    answer = await stack.http.post(
        f"{stack.dicom}/v2/partitions/{partition}/studies",
        content=body,
        headers={
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
            "Accept": "application/dicom+json",
        },
    )
    assert answer.status_code in (200, 202), answer.text


async def pdelete(stack, partition, s, se, i):
    path = f"{study_uid(s)}/series/{series_uid(s, se)}/instances/{sop_uid(s, se, i)}"
    answer = await stack.http.delete(f"{stack.dicom}/v2/partitions/{partition}/studies/{path}")
    assert answer.status_code == 204, answer.text


async def test_looking_again_keeps_to_the_data_partition(pstack):
    stack = pstack
    await pstore(stack, "p1", make_instance(1, 1, 1))
    await pstore(stack, "p2", make_instance(2, 1, 1))
    await stack.drain()
    await pstore(stack, "p1", make_instance(1, 1, 2))
    await stack.drain()
    assert len(await stack.resources("ImagingStudy")) == 2
    await pdelete(stack, "p1", 1, 1, 2)
    await stack.drain()
    assert len(await stack.resources("ImagingStudy")) == 2


async def test_one_study_in_two_data_partitions(pstack):
    stack = pstack
    await pstore(stack, "p1", make_instance(1, 1, 1))
    await stack.drain()
    await pstore(stack, "p2", make_instance(1, 1, 2))
    await stack.drain()
    s = await stack.one("ImagingStudy")
    assert [i["uid"] for i in s["series"][0]["instance"]] == [sop_uid(1, 1, 1), sop_uid(1, 1, 2)]


# holes
class Fake:
    def __init__(self, now):
        self.now = now
        self.saved = None
        self.sent = []
        self.rows = []
        self.pages = []

    async def latest(self):
        newest = max(self.rows, key=lambda r: r["Sequence"])
        return Latest(newest["Sequence"], self.now[0], parse_row(newest))

    async def feed_page(self, after, width=100):
        self.pages.append((after, width))
        return [r for r in self.rows if after < r["Sequence"] <= after + width]

    async def get(self):
        return self.saved or Checkpoint()

    async def save(self, c):
        self.saved = c
        return c

    async def send(self, c):
        self.sent.append(c)


def row(seq, at):
    return {
        "Sequence": seq,
        "StudyInstanceUid": "1.2",
        "SeriesInstanceUid": "1.2.3",
        "SopInstanceUid": f"1.2.3.{seq}",
        "Timestamp": at.isoformat(),
    }


@pytest.mark.parametrize(
    ("ages", "every"),
    [((10, 1), 60), ((10, 1), 300), ((180, 1), 60)],
    ids=["ok", "poll every 5 min", "page spans 3 min"],
)
async def test_late_sequences_are_found(ages, every):

    now = [datetime(2021, 3, 1, 10, tzinfo=UTC)]
    f = Fake(now)
    f.rows = [row(1, now[0] - timedelta(seconds=ages[0])), row(3, now[0] - timedelta(seconds=ages[1]))]
    p = Poller(f, f, f, None, lambda: now[0])
    await p.poll()
    f.rows.append(row(2, now[0] - timedelta(seconds=2)))  # commits one second later
    now[0] += timedelta(seconds=every)
    await p.poll()
    assert any(2 in m.instances.values() for m in f.sent)


async def test_hole_of_a_large_delete():

    now = [datetime(2021, 3, 1, 10, tzinfo=UTC)]
    f = Fake(now)
    f.rows = [row(1, now[0]), row(1202, now[0])]
    p = Poller(f, f, f, None, lambda: now[0])
    await p.poll()
    f.rows += [row(n, now[0]) for n in range(2, 1202)]
    f.rows.sort(key=lambda r: r["Sequence"])
    now[0] += timedelta(seconds=60)
    await p.poll()
    assert any(2 in m.instances.values() for m in f.sent)


async def test_the_word_left_open_by_a_crash(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(1, 1, 1, PatientName="A^One"))
    await stack.drain()
    await stack.store(make_instance(3, 1, 1, PatientName="C^Three"))
    await stack.drain()
    await stack.store(make_instance(1, 1, 2, PatientName="A^Four"))
    await stack.drain()
    await inst(stack, 1, 1, 2)
    ma = await polled(stack)
    kill_once(monkeypatch, OtherStudies, "study")
    await killed(stack, ma)
    await stack.run(*ma)
    await stack.drain()
    await stack.rows("PatientStateTable")
    await assert_in_step(stack, fresh_projection)


async def test_the_word_taken_while_a_study_leaves(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(2, 1, 1, PatientName="B^Two"))  # B seq 1
    mb = await polled(stack)  # delayed
    await stack.store(make_instance(3, 1, 1, PatientName="C^Three"))  # C seq 2
    await stack.drain()
    await stack.store(make_instance(1, 1, 1, PatientName="A^Four"))  # A seq 3
    await stack.drain()
    await stack.delete(study_uid(1))
    ma = await polled(stack)
    # killed before DELETE is not the point: only look_again is lost
    kill_once(monkeypatch, OtherStudies, "study")
    await killed(stack, ma)
    await stack.run(*mb)
    await stack.run(*ma)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_a_study_of_dicom_cast_parked_at_first_contact(stack, monkeypatch):

    await stack.store(make_instance(1, 1, 1, StudyDescription="new"))
    await stack.post(
        {
            "resourceType": "ImagingStudy",
            "status": "available",
            "meta": {"source": stack.dicom + "/"},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(1)}"}],
            "subject": {"display": "x"},
            "note": [{"text": "old"}],
            "series": [
                {
                    "uid": series_uid(1, 1),
                    "modality": {"system": "DCM", "code": "CT"},
                    "instance": [{"uid": sop_uid(1, 1, 9), "sopClass": {"code": "1.2.3"}}],
                }
            ],
        }
    )
    m = await polled(stack)
    orig = FhirClient.find

    async def find(_, __):
        raise Rejected("no")

    monkeypatch.setattr(FhirClient, "find", find)
    await stack.run(*m)
    monkeypatch.setattr(FhirClient, "find", orig)
    await stack.run(*m)
    s = await stack.one("ImagingStudy")
    assert [i["uid"] for i in s["series"][0]["instance"]] == [sop_uid(1, 1, 1)]


async def test_replay_after_checkpoint_was_deleted(stack, fresh_projection):
    await stack.store(make_instance(1, 1, 1))
    await stack.drain()
    await stack.fhir_dev("reset", {})  # the FHIR server is set up anew
    await stack.forget("SyncStateTable")
    await stack.drain(stack.new_app())
    await assert_in_step(stack, fresh_projection)


async def test_feed_begins_anew(stack, fresh_projection):
    await stack.store(make_instance(1, 1, 1))
    await stack.bulk_update(study_uid(1), **{"00081030": {"vr": "LO", "Value": ["x"]}})
    await stack.drain()
    await stack.dicom_dev("reset")  # another DICOM service: as the error's text advises
    for table in ("SyncStateTable", "StudyStateTable", "PatientStateTable"):
        await stack.forget(table)
    await stack.store(make_instance(1, 1, 1, StudyDescription="another"))
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


@pytest.mark.not_on("hapi", "a fault of the server, which it cannot be given")
async def test_wrong_configuration_does_not_count_as_retry_time(stack):
    await stack.store(make_instance(1, 1, 1))
    m = await polled(stack)
    await stack.fhir_dev("faults", [{"route": "*", "status": 401}])
    assert await stack.run(*m) == ["retrying"]
    await stack.fhir_dev("faults", [])
    await asyncio.sleep(4.5)
    (again,) = await stack.messages()
    assert json.loads(again).get("firstFailedAt") is None
    assert json.loads(again)["attempts"] == 1


async def test_stored_and_deleted_before_the_poll_where_somebody_else_has_the_study(stack):
    foreign = await stack.post(
        {
            "resourceType": "ImagingStudy",
            "status": "available",
            "meta": {"source": "https://other.example/dicom"},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(1)}"}],
            "subject": {"display": "x"},
            "numberOfSeries": 4,
            "numberOfInstances": 400,
        }
    )
    await stack.store(make_instance(1, 1, 1))
    await stack.delete(study_uid(1))
    await stack.drain()
    now = await stack.one("ImagingStudy")
    assert {k: v for k, v in now.items() if k != "meta"} == {k: v for k, v in foreign.items() if k != "meta"}


async def test_a_stale_delete_after_a_second_delivery(stack, fresh_projection, monkeypatch):
    await stack.store(make_instance(1, 1, 1))
    await stack.drain()
    await stack.delete(study_uid(1))
    m1 = await polled(stack)
    other = stack.new_app()
    r = rec(stack)
    orig = r._write
    done = []

    async def write(attempt, plan, **options):
        if not done:
            done.append(1)
            await stack.store(make_instance(1, 1, 1))
            m2 = await polled(stack)
            await stack.run(*m2, app=other), await stack.run(*m1, app=other)
            await orig(attempt, plan, **options)
            raise Kill
        return await orig(attempt, plan, **options)

    monkeypatch.setattr(r, "_write", write)
    await killed(stack, m1)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


async def test_looks_that_mend_come_to_an_end(stack):
    """Workers died at later looks at two studies, each after it wrote to the Patient of the other study."""
    await stack.store(make_instance(1, PatientID="A"), make_instance(2, PatientID="B"))
    await stack.drain()
    states = rec(stack)._stores.studies
    studies = [StudyKey(DEFAULT_PARTITION, study_uid(number)) for number in (1, 2)]
    before = [await states.get(study) for study in studies]
    for study, state, other in zip(studies, before, reversed(before), strict=True):
        died = Writer("7.-1", "died", int(time.time()), other.patient)
        await states.save(study, replace(state, writers=(died,)))
    await stack.app.queue.send(StudyChange(studies[0], 7, -1))
    looks = 0
    while await stack.app.queue.depth():
        texts = await stack.messages()
        await stack.run(*texts)
        looks += len(texts)
        assert looks < 10
        await asyncio.sleep(0.1)
    assert looks > 2


async def test_a_device_that_others_forget_meanwhile_is_created_once(stack, between, monkeypatch):
    """A refused write, or ten minutes, make a worker forget its Devices while two other studies are under way."""
    equipment = {"Manufacturer": "ACME", "DeviceSerialNumber": "SN1"}
    before = await between("fhir")
    await stack.store(make_instance(1, **equipment))
    await stack.drain()
    device = await stack.one("Device")
    await stack.http.delete(f"{stack.fhir}/Device/{device['id']}")
    await stack.store(*(make_instance(number, PatientID=f"MRN-{number}", **equipment) for number in (2, 3)))
    texts = await polled(stack)
    original, forgotten = FhirClient.find_all, []

    async def find(self, identity):
        found = await original(self, identity)
        if identity.resource_type == "Patient" and len(forgotten) < len(texts):
            forgotten.append(identity)
            rec(stack)._planner.forget()
        return found

    monkeypatch.setattr(FhirClient, "find_all", find)
    before["fhir"].use([], fhir={"searched_creates_s": 0.5})
    await asyncio.gather(*map(stack.run, texts))
    await stack.drain()
    assert len(forgotten) == 2
    assert await twins(stack) == []


async def test_a_subject_that_is_corrected_after_a_crash_holds(stack, monkeypatch):
    """The announcement of who died stays for a day. Once its message was done again, it made no difference."""
    await stack.store(make_instance(1, 1, 1))
    await stack.drain()
    await stack.store(make_instance(1, 1, 2))
    texts = await polled(stack)
    kill_once(monkeypatch, FhirClient, "transact", before=False)
    await killed(stack, texts)
    await stack.run(*texts, *texts)
    corrected = await stack.post({"resourceType": "Patient", "identifier": [{"value": "OTHER"}]})
    subject = {"reference": f"Patient/{corrected['id']}"}
    await stack.put({**await stack.one("ImagingStudy"), "subject": subject})
    await stack.store(make_instance(1, 1, 3))
    await stack.run(*await polled(stack))
    study = await stack.one("ImagingStudy")
    assert (study["subject"], study["numberOfInstances"]) == (subject, 3)
