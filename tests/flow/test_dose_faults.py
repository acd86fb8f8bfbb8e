"""Observations while something is unreadable, refused, cut off, or somebody else's."""

import json

import pytest

from shared.fhir.client import FhirClient
from tests.builders import make_instance
from tests.flow.life import assert_nothing_left, twins
from tests.flow.test_dose import EVENT, LOINC, cast, observations, path, report
from tests.flow.test_interleavings import Kill, killed, partitioned, pdelete, polled, pstack, pstore, rec
from tests.unit.datasets import dataset
from tests.unit.dose.reports import STUDY, ct_report, event_uid, report_uid

assert partitioned, rec  # fixtures of `pstack`
assert pstack
OTHERS = "https://other.example.org/"
IDENTIFIER_TYPE = "http://hl7.org/fhir/uv/radiation-dose-summary/CodeSystem/dicom-identifier-type"
NO_DELETES = {"route": "transaction", "holds": '"method":"DELETE","url":"Observation'}


def image(number, **attributes):
    return make_instance(7, 2, number, StudyInstanceUID=STUDY, **attributes)


def images(*numbers, **attributes):
    return [image(number, **attributes) for number in range(*numbers)]


async def malform(stack, uid, how):
    await stack.dicom_dev("feed", {"malform_metadata": {"sop_instance_uid": uid, "how": how}})


async def with_a_report(stack, *events):
    await stack.store(report(ct_report(list(events or (1,)))), image(1))
    await stack.drain()


async def statuses(stack):
    return {uid: one["status"] for uid, one in (await observations(stack)).items()}


async def listed(stack):
    return {row["uid"] for series in (await stack.one("ImagingStudy"))["series"] for row in series["instance"]}


async def test_what_was_not_read_stays(stack):
    """An old image makes the service fail for the whole study and for its series."""
    await with_a_report(stack)
    await stack.store(*images(2, 13), report(ct_report([5], number=2)))
    await malform(stack, image(1).SOPInstanceUID, "status_503")
    await stack.run(*await polled(stack))
    assert set(await observations(stack)) == {report_uid(1), event_uid(1), report_uid(2), event_uid(5)}


async def test_a_report_that_is_included_is_found_so_though_the_whole_cannot_be_read(stack):
    await with_a_report(stack)
    await stack.store(*images(2, 13), report(ct_report([1, 2], number=2)))
    await malform(stack, image(1).SOPInstanceUID, "status_503")
    await stack.run(*await polled(stack))
    assert (await statuses(stack))[report_uid(1)] == "preliminary"


async def test_an_unreadable_report_keeps_others_from_becoming_final(stack):
    await with_a_report(stack)
    await stack.store(report(ct_report([1, 2], number=2)))
    await stack.drain()
    await malform(stack, report_uid(2), "not_a_dataset")
    await stack.store(report(ct_report([7], number=3)))
    await stack.drain(waiting=1)
    assert (await statuses(stack))[report_uid(1)] == "preliminary"


async def test_an_old_report_that_cannot_be_had_does_not_hold_up_a_new_one(stack):
    await with_a_report(stack)
    await malform(stack, report_uid(1), "status_503")
    await stack.store(report(ct_report([2], number=2)))
    await stack.run(*await polled(stack))
    assert report_uid(2) in await listed(stack)
    assert {report_uid(1), report_uid(2)} <= set(await observations(stack))


async def test_an_unreadable_report_follows_to_another_patient(stack):
    await with_a_report(stack)
    await malform(stack, report_uid(1), "not_a_dataset")
    await stack.store(*images(2, 13, PatientID="MRN-0002"))
    await stack.drain(waiting=1)
    subject = (await stack.one("ImagingStudy"))["subject"]["reference"]
    assert {one["subject"]["reference"] for one in await stack.resources("Observation")} == {subject}


async def test_observations_follow_though_they_are_switched_off(stack):
    await with_a_report(stack)
    app = stack.new_app(DicomCast__Features__GenerateObservations="false")
    await stack.store(image(2, PatientID="MRN-0002"))
    await stack.drain(app)
    subject = (await stack.one("ImagingStudy"))["subject"]["reference"]
    assert {one["subject"]["reference"] for one in await stack.resources("Observation")} == {subject}


async def test_a_crash_between_bundles_leaves_nothing_behind(stack, monkeypatch):
    await with_a_report(stack, *range(1, 251))
    await stack.delete(path(1))
    texts = await polled(stack)
    carry_out, bundles = FhirClient._transact, []

    async def dying(self, entries):
        bundles.append(entries)
        if len(bundles) == 2:
            raise Kill
        return await carry_out(self, entries)

    monkeypatch.setattr(FhirClient, "_transact", dying)
    await killed(stack, texts)
    await stack.run(*texts)
    await stack.drain()
    assert await stack.resources("Observation") == []


async def test_summaries_are_deleted_before_their_events(stack, monkeypatch):
    """Servers with referential integrity refuse it the other way round."""
    await with_a_report(stack, *range(1, 251))
    summary = (await observations(stack))[report_uid(1)]["id"]
    await stack.delete(path(1))
    carry_out, deleted = FhirClient._transact, []

    async def watched(self, entries):
        deleted.extend(entry.url for entry in entries if entry.method == "DELETE")
        return await carry_out(self, entries)

    monkeypatch.setattr(FhirClient, "_transact", watched)
    await stack.drain()
    assert deleted[0] == f"Observation/{summary}"


async def test_a_refused_delete_is_not_forgotten(stack):
    await with_a_report(stack)
    await stack.delete(path(1))
    await stack.fhir_dev("faults", [NO_DELETES | {"status": 422}])
    await stack.drain()
    assert report_uid(1) not in await listed(stack)
    await stack.fhir_dev("faults", [])
    await stack.store(image(2))
    await stack.drain()
    assert await stack.resources("Observation") == []


async def test_a_conflict_over_a_delete_does_not_hold_up_images(stack):
    """Somebody's DiagnosticReport refers to it, on a server with referential integrity."""
    await with_a_report(stack)
    await stack.delete(path(1))
    await stack.fhir_dev("faults", [NO_DELETES | {"status": 409}])
    await stack.store(image(2))
    assert await stack.run(*await polled(stack)) == ["retrying"]
    assert image(2).SOPInstanceUID in await listed(stack)


async def test_a_hit_that_two_pages_hold_is_no_twin(stack, monkeypatch):
    await with_a_report(stack)
    search = FhirClient._search

    async def twice(self, resource_type, criteria):
        hits = await search(self, resource_type, criteria)
        return hits * 2 if resource_type == "Observation" else hits

    monkeypatch.setattr(FhirClient, "_search", twice)
    await stack.forget("SyncStateTable")
    await stack.drain()
    assert len(await stack.resources("Observation")) == 2


async def test_a_second_worker_between_the_bundles_of_a_new_study(stack, monkeypatch):
    await stack.store(report(ct_report(list(range(1, 21)))))
    first, other = await polled(stack), stack.new_app()
    carry_out, bundles, counts = FhirClient._transact, [], []

    async def interrupted(self, entries):
        if self is stack.app.fhir:
            bundles.append(entries)
            if len(bundles) == 2:
                await stack.store(image(1))
                await stack.run(*await polled(stack), app=other)
        answer = await carry_out(self, entries)
        counts.append(len(await stack.resources("Observation")))
        return answer

    monkeypatch.setattr(FhirClient, "_transact", interrupted)
    await stack.run(*first)
    await stack.drain()
    assert max(counts) == 21
    assert len(await stack.resources("Observation")) == 21


async def test_a_device_that_is_gone_is_created_again(stack):
    equipment = {"Manufacturer": "ACME", "DeviceSerialNumber": "SN1"}
    await stack.store(make_instance(1, **equipment))
    await stack.drain()
    device = await stack.one("Device")
    await stack.http.delete(f"{stack.fhir}/Device/{device['id']}")
    # what a server with referential integrity answers
    rule = {"route": "transaction", "status": 400, "holds": f"Device/{device['id']}"}
    await stack.fhir_dev("faults", [rule])
    await stack.store(make_instance(2, **equipment))
    assert dict(await stack.drain()) == {"created": 1}


async def test_an_event_that_is_gone_is_created_again(stack):
    await with_a_report(stack, 1, 2)
    event = (await observations(stack))[event_uid(1)]
    await stack.http.delete(f"{stack.fhir}/Observation/{event['id']}")
    await stack.forget("SyncStateTable")
    await stack.drain()
    found = await observations(stack)
    members = {one["reference"] for one in found[report_uid(1)]["hasMember"]}
    assert members == {f"Observation/{found[event_uid(number)]['id']}" for number in (1, 2)}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_the_issuer_comes_from_the_newest_change_that_has_one(stack, order):
    await stack.store(make_instance(1, IssuerOfPatientID="HOSP"))
    texts = await polled(stack)
    await stack.store(make_instance(2))
    texts += await polled(stack)
    by_study = sorted(texts, key=lambda text: json.loads(text)["study"])
    await stack.run(*(by_study[place] for place in order))
    assert (await stack.one("Patient"))["identifier"][0]["assigner"]["display"] == "HOSP"


async def foreign_study(stack):
    patient = await stack.post({"resourceType": "Patient", "identifier": [{"value": "MRN-0001"}]})
    sop_class = {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.88.67"}
    return await stack.post(
        {
            "resourceType": "ImagingStudy",
            "status": "available",
            "meta": {"source": OTHERS},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
            "subject": {"reference": f"Patient/{patient['id']}"},
            "series": [
                {
                    "uid": f"{STUDY}.77",
                    "modality": {"code": "SR"},
                    "instance": [{"uid": f"{STUDY}.77.1", "sopClass": sop_class}],
                }
            ],
        }
    )


async def test_observations_of_a_study_of_others_stay(stack):
    study = await foreign_study(stack)
    reference = f"ImagingStudy/{study['id']}"
    theirs = await cast(stack, reference, study["subject"], LOINC, ("113813", {"valueQuantity": {"value": 19}}))
    await stack.store(image(1))
    await stack.drain()
    assert [one["id"] for one in await stack.resources("Observation")] == [theirs["id"]]


async def test_another_producer_by_the_same_guide(stack):
    patient = await stack.post({"resourceType": "Patient", "identifier": [{"value": "MRN-0001"}]})
    kinds = {"sop-instance-uid": "urn:oid:1.2.3.4", "study-instance-uid": f"urn:oid:{STUDY}"}
    theirs = await stack.post(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [LOINC]},
            "meta": {"source": OTHERS},
            "subject": {"reference": f"Patient/{patient['id']}"},
            "identifier": [
                {
                    "type": {"coding": [{"system": IDENTIFIER_TYPE, "code": kind}]},
                    "system": "urn:dicom:uid",
                    "value": value,
                }
                for kind, value in kinds.items()
            ],
        }
    )
    await with_a_report(stack)
    await stack.delete(path(1))
    await stack.drain()
    assert [one["id"] for one in await stack.resources("Observation")] == [theirs["id"]]


async def test_dicom_casts_observation_stays_while_its_report_is_unreadable(stack):
    await with_a_report(stack)
    study = await stack.one("ImagingStudy")
    for one in await stack.resources("Observation"):
        await stack.http.delete(f"{stack.fhir}/Observation/{one['id']}")
    theirs = await cast(stack, f"ImagingStudy/{study['id']}", study["subject"], EVENT)
    await stack.forget("SyncStateTable")
    await stack.forget("StudyStateTable")
    await malform(stack, report_uid(1), "not_a_dataset")
    await stack.drain(waiting=1)
    assert [one["id"] for one in await stack.resources("Observation")] == [theirs["id"]]


@pytest.mark.parametrize("is_removed", [False, True])
async def test_the_same_study_in_another_partition(pstack, is_removed):
    await pstore(pstack, "two", image(1))
    await pstack.drain()
    await pstore(pstack, "one", report(ct_report([1])))
    await pstack.drain()
    if is_removed:
        await pdelete(pstack, "two", 7, 2, 1)
    else:
        await pstore(pstack, "two", image(2))
    await pstack.drain()
    assert len(await pstack.resources("Observation")) == 2


@pytest.mark.parametrize("client_ids", [True, False])
async def test_observations_that_somebody_made_theirs_do_not_hold_up_their_study(stack):
    """A record system writes the Observations of a report back, and says itself where they are from."""
    await stack.store(report(ct_report([1, 2])))
    await stack.drain()
    before = await stack.resources("Observation")
    theirs = [one | {"meta": {"source": OTHERS}, "note": [{"text": "seen"}]} for one in before]
    for one in theirs:
        await stack.put(one)
    await stack.store(report(ct_report([1, 2, 3], number=2)))
    await stack.drain()
    await assert_nothing_left(stack)
    found = {one["id"]: one for one in await stack.resources("Observation")}
    assert len(found) == len(theirs) + 2
    assert all(found[one["id"]]["note"] == one["note"] for one in theirs)
    assert await twins(stack) == []
    await stack.bulk_update(STUDY, **dataset(PatientID="MRN-0002"))
    await stack.drain()
    subject = (await stack.one("ImagingStudy"))["subject"]
    assert [one["subject"] for one in await stack.resources("Observation")] == [subject] * len(found)
    await stack.delete(STUDY)
    await stack.drain()
    assert sorted(one["id"] for one in await stack.resources("Observation")) == sorted(one["id"] for one in theirs)
    await assert_nothing_left(stack)


async def test_observations_that_lost_their_source_are_still_ours(stack):
    """A record system writes them back without `meta`."""
    await stack.store(report(ct_report([1, 2])))
    await stack.drain()
    before = await stack.resources("Observation")
    for one in before:
        await stack.put({name: value for name, value in one.items() if name != "meta"} | {"note": [{"text": "seen"}]})
    await stack.bulk_update(STUDY, **dataset(PatientID="MRN-0002"))
    await stack.drain()
    found = await stack.resources("Observation")
    assert sorted(one["id"] for one in found) == sorted(one["id"] for one in before)
    assert {one["subject"]["reference"] for one in found} == {(await stack.one("ImagingStudy"))["subject"]["reference"]}
    assert all(one["note"] == [{"text": "seen"}] for one in found)
    await stack.delete(STUDY)
    await stack.drain()
    assert await stack.resources("Observation") == []
    await assert_nothing_left(stack)
