"""What FHIR says of a study while some of its instances are damaged, and once they are mended."""

import pytest

from shared.model import DEFAULT_PARTITION, StudyChange, StudyKey
from shared.sync import findings
from shared.sync.others import look_again
from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid
from tests.flow.life import assert_nothing_left
from tests.unit.datasets import dataset

pytestmark = pytest.mark.usefixtures("prompt")


async def damage(stack, instance, study=1):
    uid = sop_uid(study, 1, instance)
    await stack.dicom_dev("feed", {"malform_metadata": {"sop_instance_uid": uid, "how": "status_503"}})


async def heal(stack, instance, study=1):
    body = {"malform_metadata": {"sop_instance_uid": sop_uid(study, 1, instance), "how": "none"}}
    await stack.http.post(f"{stack.dicom}/_dev/feed", json=body)


async def study_of(stack, number=1):
    """The ImagingStudy and its PatientID."""
    patients = {f"Patient/{one['id']}": one["identifier"][0]["value"] for one in await stack.resources("Patient")}
    uid = f"urn:oid:{study_uid(number)}"
    (study,) = [one for one in await stack.resources("ImagingStudy") if one["identifier"][0]["value"] == uid]
    return study, patients[study["subject"]["reference"]]


@pytest.mark.parametrize("per_series", [3, 30])
async def test_the_newest_instance_is_damaged_and_the_others_move_to_another_patient(stack, per_series):
    """Its change is the newest: the others are to be believed all the same."""
    await stack.store(make_instance(9, PatientID="MRN-9"))
    await stack.store(*make_series(1, 1, per_series))
    await stack.drain()
    await stack.bulk_update(study_uid(1), **dataset(PatientID="MRN-0002", StudyDescription="other"))
    await stack.poll()
    texts = await stack.messages()
    (listed,) = [StudyChange.from_json(text).instances for text in texts]
    newest = max(listed, key=listed.get)
    number = int(newest.sop_instance_uid.rpartition(".")[2])
    await damage(stack, number)
    await stack.run(*texts)
    study, patient = await study_of(stack)
    assert (patient, study["description"]) == ("MRN-0002", "other")

    await heal(stack, number)
    await stack.drain()
    study, patient = await study_of(stack)
    assert (patient, study["description"]) == ("MRN-0002", "other")
    await assert_nothing_left(stack)


async def test_a_pass_that_comes_between_leaves_no_record_behind(stack, monkeypatch):
    """Another worker reads all of the study after this one failed to, and before it records that."""
    await stack.store(*make_series(1, 1, 3))
    await stack.drain()
    await stack.store(make_instance(1, 1, 4), make_instance(1, 1, 5))
    await stack.poll()
    texts = await stack.messages()
    await damage(stack, 4)
    record, other = findings.record, stack.new_app()
    late = iter([True])

    async def after_another(*arguments, **options):
        if next(late, False):
            await heal(stack, 4)
            await stack.run(look_again(StudyKey(DEFAULT_PARTITION, study_uid(1)), 0).to_json(), app=other)
        return await record(*arguments, **options)

    monkeypatch.setattr(findings, "record", after_another)
    await stack.run(*texts)
    monkeypatch.undo()
    await stack.drain(waiting=1)
    assert len((await stack.one("ImagingStudy"))["series"][0]["instance"]) == 5
    await assert_nothing_left(stack)


async def test_what_the_newest_said_goes_with_it(stack):
    await stack.store(make_instance(9, PatientID="MRN-9"))
    await stack.store(make_instance(1, 1, 1, StudyDescription="one"))
    await stack.drain()
    await stack.store(make_instance(1, 1, 2, StudyDescription="two"))
    await stack.drain()
    await damage(stack, 2)
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 2)}")
    await stack.store(make_instance(1, 1, 2, StudyDescription="three"))
    await stack.poll()
    await stack.run(*await stack.messages())
    study, _ = await study_of(stack)
    assert study["description"] == "one"


async def test_all_damaged_then_healed_then_deleted(stack):
    await stack.store(make_instance(9, PatientID="MRN-9"))
    await stack.store(*make_series(1, 1, 3))
    await stack.drain()
    before = await stack.content()
    for n in (1, 2, 3):
        await damage(stack, n)
    await stack.bulk_update(study_uid(1), **dataset(StudyDescription="other"))
    await stack.drain()
    assert await stack.content() == before
    for n in (1, 2, 3):
        await heal(stack, n)
    await stack.app.queue.send(look_again(StudyKey(DEFAULT_PARTITION, study_uid(1)), 0))
    await stack.drain()
    study, _ = await study_of(stack)
    assert study["description"] == "other"
    await assert_nothing_left(stack)
    for n in (1, 2):
        await damage(stack, n)
    await stack.delete(study_uid(1))
    await stack.drain()
    assert len(await stack.resources("ImagingStudy")) == 1
