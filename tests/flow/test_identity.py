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
