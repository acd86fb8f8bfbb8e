"""Whose a study is: not guessed where the DICOM service could not read it."""

from tests.builders import make_instance, study_uid
from tests.flow.life import assert_nothing_left
from tests.unit.datasets import dataset

KEPT_OUT = "DicomFailToStoreExceptionTable"


async def test_an_illegible_patient_id_keeps_its_instance_out_until_it_is_corrected(stack):
    """`?` stands for each byte that the service could not read: two persons would be one Patient."""
    await stack.store(make_instance(1, PatientID="M?l1"), make_instance(2, PatientID="M?l1", StudyTime="111111"))
    await stack.store(make_instance(3, PatientID="MRN-3"))
    await stack.drain()
    assert [one["identifier"][0]["value"] for one in await stack.resources("Patient")] == ["MRN-3"]
    rows = await stack.rows(KEPT_OUT)
    assert sorted((row["StudyUid"], row["Exception"]) for row in rows) == [
        (study_uid(number), "illegible-identity: PatientID") for number in (1, 2)
    ]
    for number in (1, 2):
        await stack.bulk_update(study_uid(number), **dataset(PatientID=f"MRN-{number}"))
    await stack.drain()
    assert len(await stack.resources("ImagingStudy")) == 3
    await assert_nothing_left(stack)


async def test_a_question_mark_that_the_character_set_can_say_is_one(stack):
    await stack.store(make_instance(PatientID="What?", SpecificCharacterSet="ISO_IR 192"))
    await stack.drain()
    assert (await stack.one("Patient"))["identifier"][0]["value"] == "What?"
    await assert_nothing_left(stack)


async def test_several_values_are_no_identity(stack):
    """Nor is the first of them: the Patient that has it as a number may be somebody else. Version 2 of the service's
    interface drops such a value; `tests/unit/test_legible.py` has what is made of it where it does not.
    """
    await stack.store(make_instance(1, PatientID="100", PatientName="Rivera^Ana"))
    await stack.drain()
    patient = await stack.one("Patient")
    await stack.store(make_instance(1, 1, 2, PatientID=["100", "200"], PatientName="Lund^Bo"))
    await stack.drain()
    assert await stack.one("Patient") == patient
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 1
    (row,) = await stack.rows(KEPT_OUT)
    assert row["Exception"] == "missing: PatientID"


async def test_a_patient_whose_number_has_a_letter_outside_ascii(stack):
    """Each study is written by an app that knows nothing of the others: the Patient is found by its number."""
    for number in (1, 2, 3):
        await stack.store(make_instance(number, PatientID="\u00c4\u65e5-1", SpecificCharacterSet="ISO_IR 192"))
        await stack.drain(stack.new_app())
        for row in await stack.resources("Patient"):
            await stack.put({**row, "active": True})  # as if somebody else had changed it
    assert len(await stack.resources("ImagingStudy")) == 3
    assert (await stack.one("Patient"))["identifier"][0]["value"] == "\u00c4\u65e5-1"
    await assert_nothing_left(stack)
