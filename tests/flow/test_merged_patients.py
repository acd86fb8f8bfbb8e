"""A Patient that another one has replaced is not used any more: studies are linked to the survivor."""

import pytest

from shared.model import StudyChange, StudyKey
from tests.builders import make_instance, make_series, study_uid
from tests.flow.test_dose import observations, report
from tests.unit.dose.reports import STUDY, ct_report

NUMBER = {"value": "MRN-0001"}
OTHER_NUMBER = {"value": "MRN-0007"}
NAME = [{"use": "usual", "family": "Survivor"}]
PLACES = {"old": ([NUMBER], [OTHER_NUMBER]), "survivor": ([], [NUMBER]), "both": ([NUMBER], [OTHER_NUMBER, NUMBER])}
FAILED = "FhirFailToStoreExceptionTable"


def link(patient):
    return {"other": {"reference": f"Patient/{patient['id']}"}, "type": "replaced-by"}


async def patient(stack, *links, identifiers=(), active=True):
    return await stack.post(
        {
            "resourceType": "Patient",
            "active": active,
            "identifier": list(identifiers),
            "name": NAME,
            **({"link": list(links)} if links else {}),
        }
    )


async def merge(stack, where):
    """The record system merges the Patient MRN-0001, which it creates if there is none; both Patients afterwards."""
    of_old, of_survivor = PLACES[where]
    survivor = await patient(stack, identifiers=of_survivor)
    others = [one for one in await stack.resources("Patient") if one["id"] != survivor["id"]]
    old = others[0] if others else await patient(stack)
    await stack.put({**old, "active": False, "identifier": of_old, "link": [link(survivor)]})
    return await stack.read(old), await stack.read(survivor)


async def subject(stack):
    return (await stack.one("ImagingStudy"))["subject"]["reference"].removeprefix("Patient/")


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("is_before", [True, False], ids=["study before the merge", "study after the merge"])
async def test_a_study_belongs_to_the_survivor(stack, where, is_before):
    if is_before:
        await stack.store(*make_series(1, 1, 2))
        await stack.drain()
    old, survivor = await merge(stack, where)
    await stack.store(make_instance(1, 1, 3))
    await stack.drain()
    assert await subject(stack) == survivor["id"]
    assert await stack.read(old) == old
    if where != "survivor":
        assert await stack.read(survivor) == survivor
    assert len(await stack.resources("Patient")) == 2
    assert await stack.rows(FAILED) == []


async def test_any_look_moves_a_study_to_the_survivor(stack):
    await stack.store(make_instance(1))
    await stack.drain()
    _, survivor = await merge(stack, "old")
    await stack.app.queue.send(StudyChange(StudyKey("Microsoft.Default", study_uid(1)), 0))
    await stack.drain()
    assert await subject(stack) == survivor["id"]


async def test_dose_observations_follow_to_the_survivor(stack):
    await stack.store(report(ct_report([1])), make_instance(7, 2, 1, StudyInstanceUID=STUDY))
    await stack.drain()
    _, survivor = await merge(stack, "old")
    await stack.store(make_instance(7, 2, 2, StudyInstanceUID=STUDY))
    await stack.drain()
    assert await subject(stack) == survivor["id"]
    found = await observations(stack)
    assert {one["subject"]["reference"] for one in found.values()} == {f"Patient/{survivor['id']}"}


@pytest.mark.parametrize("place_of_subject", ["first", "second", "last"])
async def test_several_links_are_followed(stack, place_of_subject):
    """Wherever on the way the record system has put the study itself."""
    await stack.store(make_instance(1))
    await stack.drain()
    first = await stack.one("Patient")
    last = await patient(stack)
    second = await patient(stack, link(last), active=False)
    await stack.put({**first, "active": False, "link": [link(second)]})
    on_the_way = {"first": first, "second": second, "last": last}[place_of_subject]
    subject_there = {"reference": f"Patient/{on_the_way['id']}"}
    await stack.put({**await stack.one("ImagingStudy"), "subject": subject_there})
    await stack.store(make_instance(1, 1, 2))
    await stack.drain()
    assert await subject(stack) == last["id"]
    assert "subject-kept" not in str(await stack.rows("InvalidDicomTagExceptionTable"))


async def circle(stack, first):
    second = await patient(stack, link(first), active=False)
    return [link(second)]


async def third_of_a_circle(stack, first):
    del first
    third = await patient(stack, active=False)
    second = await patient(stack, link(third), active=False)
    await stack.put({**third, "link": [link(second)]})
    return [link(second)]


async def nowhere(stack, first):
    del stack, first
    return [link({"id": "not-there"})]


async def elsewhere(stack, first):
    del stack
    return [{"type": "replaced-by", "other": {"reference": f"https://elsewhere.example/fhir/Patient/{first['id']}"}}]


@pytest.mark.parametrize(
    ("links", "code"),
    [
        (circle, "patient-link-circle"),
        (third_of_a_circle, "patient-link-circle"),
        (nowhere, "patient-link-broken"),
        (elsewhere, "patient-link-broken"),
    ],
)
async def test_a_link_without_an_end_fails_its_study_alone(stack, links, code):
    await stack.store(make_instance(1))
    await stack.drain()
    first = await stack.one("Patient")
    made = await links(stack, first)
    await stack.put({**first, "active": False, "link": made})
    await stack.store(make_instance(1, 1, 2), make_instance(2, PatientID="MRN-0002"))
    await stack.drain()
    assert [(row["StudyUid"], row["Exception"][: len(code)]) for row in await stack.rows(FAILED)] == [
        (study_uid(1), code)
    ]
    assert len(await stack.resources("ImagingStudy")) == 2
    await stack.put({**first, "active": True})
    await stack.store(make_instance(1, 1, 3))
    await stack.drain()
    assert await stack.rows(FAILED) == []


async def test_an_address_of_the_server_itself_is_no_other_server(stack):
    await stack.store(make_instance(1))
    await stack.drain()
    first, survivor = await stack.one("Patient"), await patient(stack)
    whole = {"type": "replaced-by", "other": {"reference": f"{stack.fhir}/Patient/{survivor['id']}"}}
    await stack.put({**first, "active": False, "link": [whole]})
    await stack.store(make_instance(1, 1, 2))
    await stack.drain()
    assert await subject(stack) == survivor["id"]


async def test_an_inactive_duplicate_makes_no_ambiguous_match(stack):
    await patient(stack, identifiers=[NUMBER], active=False)
    active = await patient(stack, identifiers=[NUMBER])
    await stack.store(make_instance(1))
    await stack.drain()
    assert await subject(stack) == active["id"]


async def test_a_single_inactive_patient_is_still_the_person(stack):
    inactive = await patient(stack, identifiers=[NUMBER], active=False)
    await stack.store(make_instance(1))
    await stack.drain()
    assert await subject(stack) == inactive["id"]
    assert (await stack.one("Patient"))["active"] is False


@pytest.mark.parametrize("active", [True, False])
async def test_two_of_a_kind_are_ambiguous(stack, active):
    for _ in range(2):
        await patient(stack, identifiers=[NUMBER], active=active)
    await stack.store(make_instance(1))
    await stack.drain()
    assert "ambiguous-match" in str(await stack.rows(FAILED))


async def test_two_survivors_are_ambiguous(stack):
    await patient(stack, link(await patient(stack)), link(await patient(stack)), identifiers=[NUMBER])
    await stack.store(make_instance(1))
    await stack.drain()
    assert "ambiguous-match" in str(await stack.rows(FAILED))


async def test_links_cost_requests_only_where_there_are_any(stack):
    await patient(stack, {"other": {"reference": "Patient/old"}, "type": "replaces"}, identifiers=[NUMBER])
    counts = []
    for number in (1, 2):
        await stack.store(make_instance(number, PatientID=f"MRN-000{number}"))
        before = await stack.fhir_requests()
        await stack.drain()
        counts.append(await stack.fhir_requests() - before)
    assert counts[1] <= counts[0]


@pytest.mark.parametrize("is_linked", [False, True], ids=["the other is inactive", "the number moved to the survivor"])
async def test_what_others_wrote_into_the_patient_that_is_meant_now_stays(stack, is_linked):
    """What this app wrote into the Patient that had the number before says nothing of this one."""
    dated = {"PatientSex": "M", "PatientBirthDate": "19600101"}
    await stack.store(make_instance(1, **dated))
    await stack.drain()
    before = await stack.one("Patient")
    now = await patient(stack, identifiers=[NUMBER])
    theirs = {"gender": "male", "birthDate": "1955-05-05"}
    await stack.put({**await stack.read(now), **theirs})
    links = {"identifier": [OTHER_NUMBER], "link": [link(now)]} if is_linked else {}
    await stack.put({**before, "active": False, **links})
    await stack.store(make_instance(1, 1, 2, **dated))
    await stack.drain()
    assert await subject(stack) == now["id"]
    found = await stack.read(now)
    assert {name: found.get(name) for name in theirs} == theirs
    await stack.bulk_update(study_uid(1), **{"00100020": {"vr": "LO", "Value": ["MRN-0009"]}})
    await stack.drain()
    found = await stack.read(now)
    assert {name: found.get(name) for name in theirs} == theirs


async def look_at(stack, *studies):
    for number in studies:
        await stack.app.queue.send(StudyChange(StudyKey("Microsoft.Default", study_uid(number)), 0))
    await stack.drain()


async def merged(stack):
    """Of two studies only the second has a sex and a birth date; both were looked at since their Patient was merged."""
    for number, dated in ((1, {}), (2, {"PatientSex": "M", "PatientBirthDate": "19600101"})):
        empty = {"PatientSex": "", "PatientBirthDate": ""}
        await stack.store(make_instance(number, PatientID="MRN-0001", **{**empty, **dated}))
        await stack.drain()
    before = await stack.one("Patient")
    assert before["birthDate"] == "1960-01-01"
    await merge(stack, "old")
    await look_at(stack, 1, 2)
    return before


async def unmerge(stack, before):
    now = await stack.read(before)
    await stack.put({name: value for name, value in now.items() if name not in ("link", "active")})


async def test_a_value_of_a_study_that_left_while_merged_goes_once_the_merge_is_undone(stack):
    before = await merged(stack)
    await stack.bulk_update(study_uid(2), **{"00100020": {"vr": "LO", "Value": ["MRN-0009"]}})
    await stack.drain()
    await unmerge(stack, before)
    await look_at(stack, 1)
    assert not {"gender", "birthDate"} & (await stack.read(before)).keys()


async def test_a_study_that_was_looked_at_while_merged_still_provides_its_values(stack):
    await stack.store(make_instance(3, PatientID="MRN-0001", PatientSex="", PatientBirthDate=""))
    await stack.drain()
    before = await merged(stack)
    await unmerge(stack, before)
    await stack.store(make_instance(1, 1, 2, PatientID="MRN-0001", PatientSex="", PatientBirthDate=""))
    await stack.drain()
    await stack.bulk_update(study_uid(1), **{"00100020": {"vr": "LO", "Value": ["MRN-0009"]}})
    await stack.drain()
    assert (await stack.read(before))["birthDate"] == "1960-01-01"
