"""The archive's address changes, or the system of the patient identifiers: what FHIR has under the former one moves."""

import asyncio
import json
import logging

import pytest

from shared.model import DEFAULT_PARTITION, StudyChange, StudyKey
from tests.builders import make_instance, sop_uid, study_uid
from tests.flow.life import assert_nothing_left, twins
from tests.flow.test_dose import report
from tests.unit.dose.reports import STUDY as DOSE_STUDY
from tests.unit.dose.reports import ct_report

OLD, NEW = "https://old.example.org/dicom", "https://new.example.org/archive"
NAME = "DICOM WADO-RS endpoint "
STUDY = study_uid(1)
SYSTEMS = ("urn:oid:1.2.3", "urn:oid:4.5.6")


def app_at(stack, address, *former, **settings):
    """An app whose archive has this address; it is connected to by a private one, which stays."""
    return stack.new_app(
        DicomWeb__PrivateEndpoint=stack.dicom,
        DicomWeb__Endpoint=address,
        DicomWeb__FormerEndpoints=json.dumps(former),
        **settings,
    )


async def at_the_old_address(stack, *datasets):
    before = app_at(stack, OLD)
    await stack.store(*datasets)
    await stack.drain(before)
    return before


def source_of(resource):
    return resource["meta"]["source"].split("#")[0]


def listed(study):
    return sorted(one["uid"] for row in study["series"] for one in row["instance"])


async def test_one_endpoint_one_study_and_nothing_left(stack):
    await at_the_old_address(stack, make_instance(1, 1, 1))
    before = await stack.one("Endpoint")
    now = app_at(stack, NEW, OLD)
    await stack.store(make_instance(1, 1, 2))
    await stack.drain(now)
    endpoint, study = await stack.one("Endpoint"), await stack.one("ImagingStudy")
    assert (endpoint["id"], endpoint["name"], endpoint["address"]) == (before["id"], NAME + NEW, NEW)
    reference = [{"reference": f"Endpoint/{endpoint['id']}"}]
    assert [study["endpoint"], study["series"][0]["endpoint"]] == [reference, reference]
    assert (source_of(study), listed(study)) == (NEW, [sop_uid(1, 1, 1), sop_uid(1, 1, 2)])
    assert "extension" not in study
    versions = await stack.versions()
    assert await stack.drain(app_at(stack, NEW, OLD)) == {}
    assert await stack.versions() == versions
    await stack.delete(STUDY)
    assert await stack.drain(now) == {"removed": 1}
    assert await stack.resources("ImagingStudy") == []
    await assert_nothing_left(stack)


async def test_a_study_that_was_not_looked_at_since_is_removed(stack):
    await at_the_old_address(stack, make_instance(1, 1, 1), report(ct_report((1, 2))))
    now = app_at(stack, NEW, OLD)
    for study in (STUDY, DOSE_STUDY):
        await stack.delete(study)
    assert await stack.drain(now) == {"removed": 2}
    assert [await stack.resources(name) for name in ("ImagingStudy", "Observation")] == [[], []]


async def test_dose_observations_move_with_their_study(stack, request):
    await at_the_old_address(stack, report(ct_report((1, 2))))
    before = {one["id"] for one in await stack.resources("Observation")}
    image = make_instance(1, 3, 1, StudyInstanceUID=DOSE_STUDY, PatientID=report(ct_report((1, 2))).PatientID)
    await stack.store(image)
    now = app_at(stack, NEW, OLD)
    await stack.drain(now)
    found = await stack.resources("Observation")
    assert {one["id"] for one in found} == before != set()
    # to HAPI a source alone is no change: it goes with the next one, and until then the former address is ours
    is_hapi = request.config.getoption("--fhir") == "hapi"
    assert {source_of(one) for one in found} == {OLD if is_hapi else NEW}
    await stack.delete(DOSE_STUDY)
    await stack.drain(now)
    assert await stack.resources("Observation") == []


async def test_references_leave_the_former_endpoint_where_there_are_two(stack):
    """The app ran at the new address before anybody named the former one."""
    await at_the_old_address(stack, make_instance(1, 1, 1))
    unaware = app_at(stack, NEW)
    await stack.store(make_instance(1, 2, 1), make_instance(2, 1, 1))
    await stack.drain(unaware)
    assert len(await stack.resources("Endpoint")) == 2
    now = app_at(stack, NEW, OLD)
    await stack.store(make_instance(1, 1, 2))
    await stack.drain(now)
    (present,) = [one for one in await stack.resources("Endpoint") if one["address"] == NEW]
    reference = [{"reference": f"Endpoint/{present['id']}"}]
    (study,) = [one for one in await stack.resources("ImagingStudy") if len(listed(one)) == 3]
    assert [study["endpoint"], *(row["endpoint"] for row in study["series"])] == [reference] * 3
    assert (source_of(study), "extension" in study) == (NEW, False)
    for uid in (STUDY, study_uid(2)):
        await stack.delete(uid)
    assert (await stack.drain(now))["removed"] == 2
    assert await stack.resources("ImagingStudy") == []


async def test_two_moves(stack):
    await at_the_old_address(stack, make_instance(1, 1, 1))
    before = await stack.one("Endpoint")
    await stack.store(make_instance(2, 1, 1))
    await stack.drain(app_at(stack, NEW, OLD))
    third = "https://third.example.org/"
    await stack.store(make_instance(1, 1, 2), make_instance(2, 1, 2))
    await stack.drain(app_at(stack, third, OLD, NEW))
    endpoint = await stack.one("Endpoint")
    assert (endpoint["id"], endpoint["address"]) == (before["id"], third)
    assert {source_of(one) for one in await stack.resources("ImagingStudy")} == {third}


async def test_workers_that_move_at_once_leave_one_endpoint(stack, rounds):
    for one in range(rounds):
        old, new = (f"{address}/{one}" for address in (OLD, NEW))
        before = app_at(stack, old)
        await stack.store(make_instance(one * 10 + 1, 1, 1))
        await stack.drain(before)
        workers = [app_at(stack, new, old) for _ in range(4)]
        await stack.store(*(make_instance(one * 10 + number, 1, 2) for number in range(1, 5)))
        await stack.poll(workers[0])
        texts = await stack.messages()
        await asyncio.gather(*(stack.run(text, app=app) for text, app in zip(texts, workers, strict=True)))
        await stack.drain(workers[0])
        (endpoint,) = [one for one in await stack.resources("Endpoint") if one["address"] in (old, new)]
        assert endpoint["name"] == NAME + new
    assert await twins(stack) == []


async def test_a_source_that_the_server_cut_is_still_ours(stack):
    """As HAPI does beyond its column, with its request id behind."""
    address = f"{OLD}/{'a' * 100}"
    now = app_at(stack, address)
    await stack.store(make_instance(1, 1, 1))
    await stack.drain(now)
    study = await stack.one("ImagingStudy")
    await stack.put(study | {"meta": {**study["meta"], "source": f"{address[:100]}#XvB3"}})
    versions = await stack.versions()
    await now.queue.send(release(STUDY))
    assert await stack.drain(now) == {"unchanged": 1}
    assert await stack.versions() == versions
    await stack.delete(STUDY)
    assert await stack.drain(now) == {"removed": 1}
    assert await stack.resources("ImagingStudy") == []


@pytest.mark.parametrize("has_endpoint", [True, False])
async def test_without_the_setting_the_log_says_what_is_left_and_why(stack, caplog, has_endpoint):
    """With its Endpoint it looks like the study of another service, without like that of a record system."""
    await at_the_old_address(stack, make_instance(1, 1, 1))
    if not has_endpoint:
        (endpoint,) = await stack.resources("Endpoint")
        await stack.put(endpoint | {"name": "renamed by somebody"})
    unaware = app_at(stack, NEW)
    await stack.delete(STUDY)
    with caplog.at_level(logging.INFO, "dicom_fhir_sync"):
        assert await stack.drain(unaware) == {"unchanged" if has_endpoint else "reduced": 1}
    (line,) = [one for one in caplog.records if one.getMessage().startswith("study_synced")]
    assert line.levelno == logging.WARNING
    assert "1 series of others" in line.getMessage()
    assert f"the source is {OLD}; if the archive had this address, name it in DicomWeb__Former" in line.getMessage()
    assert listed(await stack.one("ImagingStudy")) == [sop_uid(1, 1, 1)]
    now = app_at(stack, NEW, OLD)
    await now.queue.send(release(STUDY))
    assert await stack.drain(now) == {"removed": 1}
    assert await stack.resources("ImagingStudy") == []


def release(study):
    return StudyChange(StudyKey(DEFAULT_PARTITION, study), 0, part=-1)


async def test_the_same_content_at_another_address_is_no_reset(stack):
    """The checkpoint's fingerprint is of the feed, not of the address: neither polls nor removals stop."""
    await at_the_old_address(stack, make_instance(1, 1, 1), make_instance(2, 1, 1))
    tables = {name: await stack.rows(name) for name in ("SyncStateTable", "StudyStateTable")}
    now = app_at(stack, NEW, OLD)
    assert await stack.drain(now) == {}
    assert {name: await stack.rows(name) for name in tables} == tables
    assert await now.lag() == 0
    await stack.delete(STUDY)
    assert await stack.drain(now) == {"removed": 1}
    assert len(await stack.resources("ImagingStudy")) == 1


@pytest.mark.parametrize("demographics", ["Sync", "CreateOnly"])
@pytest.mark.parametrize("former", ["", SYSTEMS[0]])
async def test_a_patient_of_a_former_system_is_found(stack, former, demographics):
    before = stack.new_app(Patient__PatientSystemId=former, Patient__Demographics=demographics)
    await stack.store(make_instance(1, 1, 1))
    await stack.drain(before)
    known = await stack.one("Patient")
    now = stack.new_app(Patient__PatientSystemId=SYSTEMS[1], Patient__FormerSystemIds=json.dumps([former]))
    await stack.store(make_instance(1, 1, 2))
    await stack.drain(now)
    patient = await stack.one("Patient")
    assert patient["id"] == known["id"]
    assert [(row.get("system", ""), row["value"]) for row in patient["identifier"]] == [
        (former, known["identifier"][0]["value"]),
        (SYSTEMS[1], known["identifier"][0]["value"]),
    ]
    assert patient["name"] == known["name"]
    versions = await stack.versions()
    await now.queue.send(release(STUDY))
    assert await stack.drain(now) == {"unchanged": 1}
    assert await stack.versions() == versions


async def test_an_older_study_takes_nothing_from_a_patient_that_moved(stack):
    """What is remembered of the Patient goes on, though its identifier changed."""
    before = stack.new_app(Patient__PatientSystemId=SYSTEMS[0])
    await stack.store(make_instance(1, 1, 1, PatientID="P1", PatientName="Old^Name"))
    await stack.store(make_instance(2, 1, 1, PatientID="P1", PatientName="New^Name"))
    await stack.drain(before)
    now = stack.new_app(Patient__PatientSystemId=SYSTEMS[1], Patient__FormerSystemIds=json.dumps([SYSTEMS[0]]))
    await now.queue.send(release(STUDY))
    await stack.drain(now)
    assert (await stack.one("Patient"))["name"][0]["family"] == "New"
    await stack.delete(study_uid(2))
    await stack.drain(now)
    assert (await stack.one("Patient"))["name"][0]["family"] == "Old"


async def test_two_patients_under_the_two_systems_are_ambiguous(stack):
    for system, number in zip(SYSTEMS, (1, 2), strict=True):
        await stack.store(make_instance(number, 1, 1, PatientID="P1"))
        await stack.drain(stack.new_app(Patient__PatientSystemId=system))
    assert len(await stack.resources("Patient")) == 2
    now = stack.new_app(Patient__PatientSystemId=SYSTEMS[1], Patient__FormerSystemIds=json.dumps([SYSTEMS[0]]))
    await stack.store(make_instance(1, 1, 2, PatientID="P1"))
    assert await stack.drain(now) == {"failed": 1}
    (row,) = await stack.rows("FhirFailToStoreExceptionTable")
    assert "ambiguous-match" in json.dumps(row, default=str)


async def test_one_request_finds_under_every_address_and_system(stack):
    """As many requests as without former ones."""
    counts = []
    for number, (former, system) in enumerate(
        [((), {}), ((OLD,), {"Patient__PatientSystemId": SYSTEMS[1], "Patient__FormerSystemIds": '["urn:oid:1.2.3"]'})]
    ):
        app = app_at(stack, f"{NEW}/{number}", *former, **system)
        await stack.store(make_instance(number + 1, 1, 1))
        await stack.drain(app)
        before = await stack.fhir_requests()
        await stack.store(make_instance(number + 1, 1, 2))
        await stack.drain(app)
        counts.append(await stack.fhir_requests() - before)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("sees_the_old_one", [False, True], ids=["a Patient of the present system", "one that moved"])
async def test_a_value_goes_with_its_only_study_also_after_the_system_changed(stack, sees_the_old_one):
    own = {"PatientSex": "", "PatientBirthDate": ""}
    former, present = SYSTEMS
    now = stack.new_app(Patient__PatientSystemId=present, Patient__FormerSystemIds=json.dumps([former]))
    first = stack.new_app(Patient__PatientSystemId=former) if sees_the_old_one else now
    await stack.store(make_instance(1, **own))
    await stack.drain(first)
    await stack.store(make_instance(2, PatientSex="F", PatientBirthDate="19700102"))
    await stack.drain(now)
    assert (await stack.one("Patient"))["birthDate"] == "1970-01-02"
    await stack.bulk_update(study_uid(2), **{"00100020": {"vr": "LO", "Value": ["MRN-0002"]}})
    await stack.drain(now)
    patients = {one["identifier"][-1]["value"]: one for one in await stack.resources("Patient")}
    assert not {"gender", "birthDate"} & patients["MRN-0001"].keys()
    assert patients["MRN-0002"]["birthDate"] == "1970-01-02"


async def test_what_is_not_listed_moves(stack):
    none = {"ImagingStudy__Instances": "None"}
    await stack.store(make_instance(1, 1, 1), make_instance(1, 1, 2))
    await stack.drain(app_at(stack, OLD, **none))
    now = app_at(stack, NEW, OLD, **none)
    await stack.store(make_instance(1, 1, 3))
    await stack.drain(now)
    study = await stack.one("ImagingStudy")
    assert study["numberOfInstances"] == 3
    assert OLD not in json.dumps(study)
    await stack.delete(STUDY)
    await stack.drain(now)
    assert await stack.resources("ImagingStudy") == []
