"""Two persons, or two authorities, under one patient number; and what a Patient keeps when a study leaves it."""

import pytest
from pydicom.dataset import Dataset

from shared.model import StudyKey
from shared.sync.others import look_again
from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid
from tests.unit.datasets import dataset

FOUND = "InvalidDicomTagExceptionTable"
NUMBER = {"value": "MRN-0001"}
ANA = {"PatientName": "Rivera^Ana", "PatientSex": "F", "PatientBirthDate": "19700102"}
BO = {"PatientName": "Lund^Bo", "PatientSex": "M", "PatientBirthDate": "19880304"}
NOTHING_ELSE = {"PatientSex": "", "PatientBirthDate": ""}


async def recorded(stack, code):
    return sorted(row["StudyUid"] for row in await stack.rows(FOUND) if str(row["Exception"]).startswith(code))


def person(resource):
    names = [one.get("family") for one in resource.get("name", [])]
    return names, resource.get("gender"), resource.get("birthDate")


async def of_number(stack, value="MRN-0001"):
    return next(one for one in await stack.resources("Patient") if one["identifier"][0]["value"] == value)


# two persons under one number


@pytest.mark.parametrize("late", [1, 2], ids=["the newer study first", "the older study first"])
async def test_two_persons_under_one_number_are_recorded(stack, late):
    await stack.store(make_instance(1, **ANA))
    await stack.store(make_instance(2, **BO))
    await stack.poll()
    texts = sorted(await stack.messages(), key=lambda text: study_uid(late) in text)
    assert study_uid(late) in texts[-1]
    await stack.run(*texts)
    await stack.drain()
    assert person(await stack.one("Patient")) == (["Lund"], "male", "1988-03-04")
    assert await recorded(stack, "demographics-conflict") == [study_uid(1)]
    rows = [row for row in await stack.rows(FOUND) if "demographics-conflict" in str(row["Exception"])]
    assert [row["Exception"] for row in rows] == [
        "demographics-conflict: PatientName, PatientSex, PatientBirthDate",
    ]
    tables = [await stack.rows(name) for name in (FOUND, "PatientStateTable", "StudyStateTable")]
    assert not any(value in str(tables) for value in ("Rivera", "Lund", "1970", "1988", "MRN-0001"))


@pytest.mark.parametrize("part", ["PatientName", "PatientSex", "PatientBirthDate"])
async def test_what_agrees_in_one_of_them_is_no_conflict(stack, part):
    await stack.store(make_instance(1, **ANA), make_instance(2, **BO | {part: ANA[part]}))
    await stack.drain()
    assert await recorded(stack, "demographics-conflict") == []


async def test_what_is_empty_contradicts_nothing(stack):
    await stack.store(make_instance(1, **ANA), make_instance(2, **BO | {"PatientBirthDate": ""}))
    await stack.drain()
    assert await recorded(stack, "demographics-conflict") == []


@pytest.mark.parametrize("number", [1, 2])
async def test_the_record_goes_when_a_study_gets_its_number(stack, number):
    await stack.store(make_instance(1, **ANA))
    await stack.store(make_instance(2, **BO))
    await stack.drain()
    assert await recorded(stack, "demographics-conflict") == [study_uid(1)]
    await stack.bulk_update(study_uid(number), **dataset(PatientID="MRN-0002"))
    await stack.drain()
    assert await recorded(stack, "demographics-conflict") == []
    assert person(await of_number(stack)) == (
        (["Lund"], "male", "1988-03-04") if number == 1 else (["Rivera"], "female", "1970-01-02")
    )


async def test_the_record_goes_when_the_newer_study_is_corrected_or_deleted(stack):
    await stack.store(make_instance(1, **ANA))
    await stack.store(make_instance(2, **BO))
    await stack.drain()
    await stack.bulk_update(study_uid(2), **dataset(PatientSex="F"))
    await stack.drain()
    assert await recorded(stack, "demographics-conflict") == []
    await stack.bulk_update(study_uid(2), **dataset(PatientSex="M"))
    await stack.drain()
    await stack.app.queue.send(look_again(StudyKey("Microsoft.Default", study_uid(1)), 0))
    await stack.drain()
    assert await recorded(stack, "demographics-conflict") == [study_uid(1)]
    await stack.delete(study_uid(2))
    await stack.drain()
    assert await recorded(stack, "demographics-conflict") == []
    assert person(await stack.one("Patient")) == (["Rivera"], "female", "1970-01-02")


async def test_the_record_goes_with_its_study(stack):
    await stack.store(make_instance(1, **ANA))
    await stack.store(make_instance(2, **BO))
    await stack.drain()
    await stack.delete(study_uid(1))
    await stack.drain()
    assert await recorded(stack, "demographics-conflict") == []
    assert [row["Conflicts"] for row in await stack.rows("PatientStateTable") if "Conflicts" in row] == ["{}"]


async def test_a_look_that_reads_nothing_of_the_patient_keeps_the_record(stack):
    await stack.store(*make_series(1, 1, 3, **ANA))
    await stack.store(make_instance(2, **BO))
    await stack.drain()
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 1)}")
    await stack.drain()
    assert await recorded(stack, "demographics-conflict") == [study_uid(1)]


async def test_a_second_pass_changes_nothing(stack):
    await stack.store(make_instance(1, **ANA))
    await stack.store(make_instance(2, **BO))
    await stack.drain()
    before = await stack.versions(), await stack.rows(FOUND)
    await stack.forget("SyncStateTable")
    await stack.drain()
    after = await stack.versions(), await stack.rows(FOUND)
    assert after[0] == before[0]
    assert [row["Exception"] for row in after[1]] == [row["Exception"] for row in before[1]]


# two authorities of one number


async def test_two_authorities_of_one_number_are_recorded(stack):
    await stack.store(make_instance(1, IssuerOfPatientID="HOSP_A"))
    await stack.store(make_instance(2, IssuerOfPatientID="HOSP_B"))
    await stack.drain()
    patient = await stack.one("Patient")
    assert patient["identifier"][0]["assigner"]["display"] == "HOSP_B"
    assert await recorded(stack, "issuer-conflict") == [study_uid(1)]
    assert not any("HOSP" in str(row) for row in await stack.rows(FOUND))
    await stack.bulk_update(study_uid(1), **dataset(IssuerOfPatientID="HOSP_B"))
    await stack.drain()
    assert await recorded(stack, "issuer-conflict") == []


async def test_authorities_make_two_patients_where_they_are_the_system(stack):
    stack.app = stack.new_app(Patient__IsIssuerIdUsed="true")
    await stack.store(make_instance(1, IssuerOfPatientID="HOSP_A"))
    await stack.store(make_instance(2, IssuerOfPatientID="HOSP_B"))
    await stack.drain()
    assert len(await stack.resources("Patient")) == 2
    assert await recorded(stack, "issuer-conflict") == []


async def test_authorities_are_named_by_their_qualifiers_too(stack):
    stack.app = stack.new_app(Patient__IsIssuerIdUsed="true")
    for number in (1, 2):
        qualifiers = Dataset()
        qualifiers.UniversalEntityID, qualifiers.UniversalEntityIDType = f"1.2.3.{number}", "ISO"
        await stack.store(make_instance(number, IssuerOfPatientIDQualifiersSequence=[qualifiers]))
    await stack.drain()
    identifiers = [one["identifier"][0] for one in await stack.resources("Patient")]
    assert sorted((one["system"], one["value"]) for one in identifiers) == [
        ("urn:oid:1.2.3.1", "MRN-0001"),
        ("urn:oid:1.2.3.2", "MRN-0001"),
    ]


# what is left of a study that goes


async def test_a_value_goes_with_the_only_study_that_had_it(stack):
    await stack.store(make_instance(1, **ANA | NOTHING_ELSE))
    await stack.store(make_instance(2, **BO, IssuerOfPatientID="HOSP_B"))
    await stack.drain()
    assert person(await stack.one("Patient")) == (["Lund"], "male", "1988-03-04")
    await stack.bulk_update(study_uid(2), **dataset(PatientID="MRN-0002"))
    await stack.drain()
    patient = await of_number(stack)
    assert person(patient) == (["Rivera"], None, None)
    assert patient["identifier"] == [NUMBER]
    assert person(await of_number(stack, "MRN-0002")) == (["Lund"], "male", "1988-03-04")


@pytest.mark.parametrize("is_emptied", [True, False], ids=["emptied", "deleted"])
async def test_so_it_does_when_dicom_has_it_no_more(stack, is_emptied):
    await stack.store(make_instance(1, **ANA | NOTHING_ELSE))
    await stack.store(make_instance(2, **BO))
    await stack.drain()
    if is_emptied:
        await stack.bulk_update(study_uid(2), **dataset(PatientSex=None, PatientBirthDate=None))
    else:
        await stack.delete(study_uid(2))
    await stack.drain()
    assert person(await stack.one("Patient")) == (["Lund" if is_emptied else "Rivera"], None, None)


async def test_its_requests_do_not_grow_with_the_studies_of_the_patient(stack):
    counts = []
    for studies in (2, 12):
        number = f"MRN-{studies}"
        numbers = range(100 * studies, 100 * studies + studies)
        await stack.store(*(make_instance(one, PatientID=number, **ANA | NOTHING_ELSE) for one in numbers[:-1]))
        await stack.drain()
        await stack.store(make_instance(numbers[-1], PatientID=number, **BO))
        await stack.drain()
        before = await stack.fhir_requests()
        await stack.bulk_update(study_uid(numbers[-1]), **dataset(PatientID=f"{number}-B"))
        await stack.drain()
        counts.append(await stack.fhir_requests() - before)
        assert person(await of_number(stack, number)) == (["Rivera"], None, None)
    assert counts[0] == counts[1]


async def test_nothing_of_another_person_stays_with_a_number_without_studies(stack):
    await stack.store(make_instance(1, **BO))
    await stack.drain()
    await stack.bulk_update(study_uid(1), **dataset(PatientID="MRN-0002"))
    await stack.drain()
    assert person(await of_number(stack)) == ([], None, None)


async def test_a_patient_whose_last_study_is_deleted_stays_as_it_was(stack):
    await stack.store(make_instance(1, **BO))
    await stack.drain()
    before = await stack.one("Patient")
    await stack.delete(study_uid(1))
    await stack.drain()
    assert await stack.one("Patient") == before


async def leave_after(stack, edit):
    """What is left of the Patient when the study leaves that somebody's edit came after."""
    await stack.store(make_instance(1, **ANA | NOTHING_ELSE))
    await stack.store(make_instance(2, **BO))
    await stack.drain()
    patient = await stack.one("Patient")
    await stack.put({**patient, **edit})
    await stack.bulk_update(study_uid(2), **dataset(PatientID="MRN-0002"))
    await stack.drain()
    return await of_number(stack)


async def test_what_somebody_else_set_since_stays(stack):
    assert person(await leave_after(stack, {"gender": "other"})) == (["Rivera"], "other", None)
    assert person(await of_number(stack, "MRN-0002")) == (["Lund"], "male", "1988-03-04")


async def test_other_elements_of_somebody_else_do_not_keep_ours(stack):
    patient = await leave_after(stack, {"telecom": [{"system": "phone", "value": "1"}]})
    assert person(patient) == (["Rivera"], None, None)
    assert patient["telecom"] == [{"system": "phone", "value": "1"}]


async def test_what_was_there_before_stays(stack):
    theirs = {"gender": "male", "birthDate": "1988-03-04"}
    await stack.post({"resourceType": "Patient", "identifier": [NUMBER], **theirs})
    await stack.store(make_instance(1, **BO))
    await stack.drain()
    await stack.bulk_update(study_uid(1), **dataset(PatientID="MRN-0002"))
    await stack.drain()
    assert person(await of_number(stack)) == ([], "male", "1988-03-04")


async def test_nothing_goes_where_dicom_only_creates(stack):
    stack.app = stack.new_app(Patient__Demographics="CreateOnly")
    await stack.store(make_instance(1, **BO))
    await stack.drain()
    before = await stack.one("Patient")
    await stack.bulk_update(study_uid(1), **dataset(PatientID="MRN-0002"))
    await stack.drain()
    assert await of_number(stack) == before


async def test_a_study_that_leaves_an_old_patient_takes_nothing_from_either(stack):
    await stack.store(make_instance(1, **BO))
    await stack.drain()
    survivor = await stack.post({"resourceType": "Patient", "gender": "male", "identifier": [{"value": "X"}]})
    old = await of_number(stack)
    replaced = {"type": "replaced-by", "other": {"reference": f"Patient/{survivor['id']}"}}
    await stack.put({**old, "active": False, "link": [replaced]})
    old = await of_number(stack)
    await stack.bulk_update(study_uid(1), **dataset(PatientID="MRN-0002"))
    await stack.drain()
    assert (await stack.read(old), await stack.read(survivor)) == (old, survivor)
