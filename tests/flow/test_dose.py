"""Dose reports of a study as Observations, on the running servers."""

import asyncio
import random

import pytest
from pydicom.dataset import Dataset

from tests.builders import make_instance
from tests.unit.datasets import dataset
from tests.unit.dose.reports import STUDY, ct_report, dose_report, event_uid, nuclear_report, num, report_uid

SERIES = f"{STUDY}.1"
DICOM_UID = "urn:dicom:uid"
EQUIPMENT = {
    "Manufacturer": "ACME",
    "ManufacturerModelName": "Ray",
    "DeviceSerialNumber": "SN1",
    "StationName": "CT01",
    "SoftwareVersions": "VA1",
}


@pytest.fixture
def client_ids():
    return True


def report(found, patient="MRN-0001"):
    """A report in the form that can be stored."""
    values = dataset(PatientID=patient, SeriesInstanceUID=SERIES, Modality="SR", StudyDate="20210301", **EQUIPMENT)
    return Dataset.from_json(found | values)


def path(number):
    return f"{STUDY}/series/{SERIES}/instances/{report_uid(number)}"


def uid_of(observation):
    return observation["identifier"][0]["value"].removeprefix("urn:oid:")


async def observations(stack):
    return {uid_of(one): one for one in await stack.resources("Observation")}


def values(observation):
    return {
        row["code"]["coding"][0]["code"]: row.get("valueQuantity", {}).get("value", row.get("valueInteger"))
        for row in observation["component"]
        if "valueCodeableConcept" not in row
    }


async def test_a_report_becomes_a_summary_and_its_events(stack):
    images = [make_instance(7, 2, number, StudyInstanceUID=STUDY, **EQUIPMENT) for number in (1, 2)]
    await stack.store(report(ct_report([1, 2], total=20)), *images)
    await stack.drain()
    study, patient, device = await stack.one("ImagingStudy"), await stack.one("Patient"), await stack.one("Device")
    found = await observations(stack)
    assert set(found) == {report_uid(1), event_uid(1), event_uid(2)}
    summary = found[report_uid(1)]
    assert values(summary) == {"113812": 2, "113813": 20}
    assert summary["status"] == "final"
    target = {"reference": f"ImagingStudy/{study['id']}"}
    for one in found.values():
        assert one["subject"] == {"reference": f"Patient/{patient['id']}"}
        assert [focus["reference"] for focus in one["focus"]] == [target["reference"]]
        assert one["partOf"][0]["reference"] == target["reference"]
        assert one["device"] == {"reference": f"Device/{device['id']}"}
    events = {f"Observation/{found[event_uid(number)]['id']}" for number in (1, 2)}
    assert {one["reference"] for one in summary["hasMember"]} == events
    performers = [row["actor"]["reference"] for series in study["series"] for row in series["performer"]]
    assert performers == [f"Device/{device['id']}"] * 2
    versions = await stack.versions()
    await stack.forget("SyncStateTable")
    await stack.drain()
    assert await stack.versions() == versions


async def test_a_cumulative_report_takes_the_place_of_the_one_before(stack):
    await stack.store(report(ct_report([1], total=10, number=1)))
    await stack.drain()
    await stack.store(report(ct_report([1, 2], total=20, number=2)))
    await stack.drain()
    found = await observations(stack)
    assert {uid: one["status"] for uid, one in found.items()} == {
        report_uid(1): "preliminary",
        report_uid(2): "final",
        event_uid(1): "final",
        event_uid(2): "final",
    }
    await stack.delete(path(2))
    await stack.drain()
    found = await observations(stack)
    assert {uid: one["status"] for uid, one in found.items()} == {report_uid(1): "final", event_uid(1): "final"}
    assert len(found[report_uid(1)]["hasMember"]) == 1
    await stack.delete(path(1))
    await stack.drain()
    assert await stack.resources("Observation") == []
    assert await stack.resources("ImagingStudy") == []


async def test_observations_follow_their_study_to_another_patient(stack):
    await stack.store(report(ct_report([1])))
    await stack.drain()
    await stack.bulk_update(STUDY, **dataset(PatientID="MRN-0002"))
    await stack.drain()
    (patient,) = [one for one in await stack.resources("Patient") if one["identifier"][0]["value"] == "MRN-0002"]
    for one in await stack.resources("Observation"):
        assert one["subject"] == {"reference": f"Patient/{patient['id']}"}


async def test_observations_follow_when_another_instance_moves_the_study(stack):
    """The report itself is not looked at then."""
    await stack.store(report(ct_report([1])))
    await stack.drain()
    await stack.store(make_instance(7, 2, 1, StudyInstanceUID=STUDY, PatientID="MRN-0002"))
    await stack.drain()
    (patient,) = [one for one in await stack.resources("Patient") if one["identifier"][0]["value"] == "MRN-0002"]
    assert {one["subject"]["reference"] for one in await stack.resources("Observation")} == {f"Patient/{patient['id']}"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"DicomCast__Features__GenerateObservations": "false"}, set()),
        ({"DicomCast__Features__GenerateIrradiationEvents": "false"}, {report_uid(1)}),
    ],
)
async def test_switched_off(stack, settings, expected):
    app = stack.new_app(**settings)
    await stack.store(report(ct_report([1])))
    await stack.drain(app)
    assert set(await observations(stack)) == expected
    assert len((await stack.one("ImagingStudy"))["series"]) == 1


async def test_a_bad_report_harms_nothing_else(stack):
    bad = ct_report([1], number=1)
    bad["0040A730"]["Value"] += [{"0040A040": {"vr": "CS", "Value": ["NUM"]}}, {}]
    odd = dose_report(num("113813", "12", "furlong"), number=2)
    await stack.store(report(bad), report(odd), make_instance(7, 2, 1, StudyInstanceUID=STUDY))
    await stack.drain()
    assert {report_uid(1), report_uid(2)} <= set(await observations(stack))
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 3


@pytest.mark.not_on("hapi", "a fault of the server, which it cannot be given")
async def test_a_report_that_the_server_refuses_keeps_only_itself_out(stack):
    await stack.fhir_dev("faults", [{"route": "transaction", "status": 422, "holds": '"resourceType":"Observation"'}])
    await stack.store(report(ct_report([1])), make_instance(7, 2, 1, StudyInstanceUID=STUDY))
    assert dict(await stack.drain()) == {"failed": 1}
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 2
    assert [row["StudyUid"] for row in await stack.rows("FhirFailToStoreExceptionTable")] == [STUDY]
    await stack.fhir_dev("faults", [])
    await stack.store(make_instance(7, 2, 2, StudyInstanceUID=STUDY))
    await stack.drain()
    assert set(await observations(stack)) == {report_uid(1), event_uid(1)}
    assert await stack.rows("FhirFailToStoreExceptionTable") == []


@pytest.mark.parametrize(("is_first", "most"), [(True, 11), (False, 8)], ids=["of all", "later"])
async def test_requests_of_a_new_study(stack, is_first, most):
    """However many instances and events, the question for the server's abilities included. The first of all costs
    three more, which make the key of ids.
    """
    if not is_first:
        await stack.store(make_instance(99, PatientID="MRN-0099"))
        await stack.drain(stack.new_app())
    images = [make_instance(7, 2, number, StudyInstanceUID=STUDY, **EQUIPMENT) for number in range(1, 101)]
    await stack.store(report(ct_report(list(range(1, 151)))), *images)
    before = await stack.fhir_requests()
    await stack.drain()
    assert await stack.fhir_requests() - before <= most
    assert len(await stack.resources("Observation")) == 151


async def test_many_events(stack):
    """More than one bundle holds."""
    await stack.store(report(ct_report(list(range(1, 251)))))
    before = await stack.fhir_requests()
    await stack.drain()
    assert await stack.fhir_requests() - before <= 13
    found = await observations(stack)
    assert len(found) == 251
    assert len(found[report_uid(1)]["hasMember"]) == 250
    await stack.delete(STUDY)
    await stack.drain()
    assert await stack.resources("Observation") == []


async def cast(stack, study, patient, code, *components):
    return await stack.post(
        {
            "resourceType": "Observation",
            "status": "preliminary",
            "code": {"coding": [code]},
            "identifier": [{"system": DICOM_UID, "value": f"urn:oid:{STUDY}"}],
            "subject": patient,
            "partOf": [{"reference": study}],
            "component": [
                {
                    "code": {"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": component}]},
                    **value,
                }
                for component, value in components
            ],
        }
    )


LOINC = {"system": "http://loinc.org", "code": "73569-6", "display": "Radiation exposure and protection information"}
EVENT = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "113852"}


@pytest.mark.parametrize("copies", [1, 3])
async def test_observations_of_dicom_cast_are_not_doubled(stack, copies):
    await stack.store(report(ct_report([1], total=20)))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    for one in await stack.resources("Observation"):
        await stack.http.delete(f"{stack.fhir}/Observation/{one['id']}")
    theirs = [
        await cast(
            stack,
            f"ImagingStudy/{study['id']}",
            study["subject"],
            LOINC,
            ("113813", {"valueQuantity": {"value": 19, "unit": "mGycm"}}),
        )
        for _ in range(copies)
    ]
    await cast(stack, f"ImagingStudy/{study['id']}", study["subject"], EVENT, ("113838", {"valueInteger": 1}))
    await stack.forget("SyncStateTable")
    await stack.forget("StudyStateTable")
    await stack.drain()
    found = await observations(stack)
    assert set(found) == {report_uid(1), event_uid(1)}
    assert values(found[report_uid(1)]) == {"113812": 1, "113813": 20}
    assert found[report_uid(1)]["id"] in {one["id"] for one in theirs}
    assert len(await stack.resources("Observation")) == 2


async def test_what_others_put_into_our_observations_stays(stack):
    await stack.store(report(ct_report([1])))
    await stack.drain()
    summary = (await observations(stack))[report_uid(1)]
    ssde = {"code": {"text": "SSDE"}, "valueQuantity": {"value": 7, "unit": "mGy"}}
    summary["component"].append(ssde)
    summary["note"] = [{"text": "looked at"}]
    reader = await stack.post({"resourceType": "Practitioner"})
    performer = {"reference": f"Practitioner/{reader['id']}"}
    summary["performer"].append(performer)
    await stack.put(summary)
    await stack.store(report(ct_report([1, 2], number=2)))
    await stack.drain()
    summary = (await observations(stack))[report_uid(1)]
    assert summary["status"] == "preliminary"
    assert ssde in summary["component"]
    assert summary["note"] == [{"text": "looked at"}]
    assert performer in summary["performer"]


async def test_a_report_in_two_studies(stack):
    """After a merge the same SOP Instance UID may be in both; each study has its own Observation."""
    other = f"{STUDY}.99"
    moved = report(ct_report([1]))
    moved.StudyInstanceUID = other
    await stack.store(report(ct_report([1])))
    await stack.store(moved)
    await stack.drain()
    assert len(await stack.resources("Observation")) == 4
    await stack.delete(STUDY)
    await stack.drain()
    left = await stack.resources("Observation")
    assert {one["partOf"][0]["identifier"]["value"] for one in left} == {f"urn:oid:{other}"}
    assert len(left) == 2


async def test_two_workers_at_one_study(stack):
    other = stack.new_app()
    await stack.store(*(report(ct_report([number], number=number)) for number in range(1, 4)))
    await stack.poll()
    texts = await stack.messages()
    await asyncio.gather(*(stack.run(*texts, app=app) for app in (stack.app, other, stack.app)))
    await stack.drain()
    assert len(await stack.resources("Observation")) == 6
    assert len(await stack.resources("Device")) == 1


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_of_messages(stack, fresh_projection, seed):
    """Reports come, go and are issued again while messages are delayed and doubled."""
    choose = random.Random(seed)
    alive, texts = set(), []
    for _ in range(10):
        number = choose.randint(1, 5)
        if number in alive:
            await stack.delete(path(number))
            alive.remove(number)
        else:
            made = (
                nuclear_report(num("113507", "394", "MBq"), event=9, number=number)
                if number == 5
                else ct_report(list(range(1, number + 1)), total=number * 10, number=number)
            )
            await stack.store(report(made, choose.choice(("MRN-0001", "MRN-0002"))))
            alive.add(number)
        await stack.poll()
        texts += await stack.messages()
        if choose.random() < 0.5:
            choose.shuffle(texts)
            await stack.run(*texts[: len(texts) // 2])
    texts += choose.choices(texts, k=len(texts) // 2)
    choose.shuffle(texts)
    await stack.run(*texts)
    await stack.drain()
    fresh = await fresh_projection()
    dose = ("Observation", "ImagingStudy")
    content = [one for one in await stack.content() if one["resourceType"] in dose]
    assert content == [one for one in fresh if one["resourceType"] in dose]
    versions = await stack.versions()
    await stack.run(*texts)
    assert await stack.versions() == versions
