"""A site that ran DICOM Cast: its tables and resources as it left them, and what this app makes of them.

Its resources come from the re-enactment in bench/dicom_cast, whose requests are those of the real one
(tests/servers/test_re_enactment.py). tests/flow/test_dicom_cast.py has the whole takeover with the real one.
"""

from datetime import UTC, datetime

import pytest
from azure.data.tables import EntityProperty

from bench.dicom_cast.worker import DicomCast
from tests.builders import make_instance, series_uid, sop_uid, study_uid
from tests.flow.test_dose import report
from tests.flow.test_laws import assert_in_step
from tests.unit.datasets import dataset
from tests.unit.dose.reports import STUDY, ct_report

CHECKPOINT = "SyncStateTable"
FAILED = "FhirFailToStoreExceptionTable"
SAID = {
    "Modality": "CT",
    "StudyDescription": "thorax",
    "AccessionNumber": "A1",
    "PatientSex": "F",
    "PatientBirthDate": "19700101",
    "StudyDate": "20200102",
    "SeriesNumber": "1",
}


@pytest.fixture
async def site(stack):
    """Three studies of two patients and a dose report, written by DICOM Cast; its sync state is in the table."""
    await stack.store(make_instance(1, 1, 1, **SAID), make_instance(1, 1, 2, **SAID), make_instance(1, 2, 1, **SAID))
    await stack.store(make_instance(2, **SAID), make_instance(3, PatientID="MRN-0003", **SAID))
    await stack.store(report(ct_report([1, 2])))
    cast = DicomCast(stack.dicom, stack.fhir)
    cast.catch_up()
    cast.close()
    await row(
        stack,
        CHECKPOINT,
        PartitionKey="SyncStatePartitionKey",
        RowKey="SyncStateRowKey",
        SyncedSequence=EntityProperty(cast.sequence, "Edm.Int64"),
        SyncedDate=datetime.now(UTC),
    )
    return stack


async def row(stack, table, **entity):
    client = stack.tables.get_table_client(stack.name + table)
    async with client:
        await stack.tables.create_table_if_not_exists(stack.name + table)
        await client.create_entity(entity)


async def ids(stack):
    return {(one["resourceType"], one["id"]) for one in await stack.resources()}


def by_type(found):
    return sorted(kind for kind, _ in found)


async def test_nothing_happens_until_something_changes(site):
    before = await site.versions()
    polled = await site.poll()
    assert (polled.entries, polled.messages) == (0, 0)
    assert polled.sequence == polled.latest > 0
    assert await site.versions() == before


async def test_it_goes_on_where_dicom_cast_stopped(site):
    before = await ids(site)
    await site.store(make_instance(4, PatientID="MRN-0004", **SAID))
    polled = await site.poll()
    assert (polled.entries, polled.messages) == (1, 1)
    await site.run(*await site.messages())
    assert by_type(await ids(site) - before) == ["ImagingStudy", "Patient"]


async def test_changes_merge_into_its_resources(site, fresh_projection):
    """Every study changes once: nothing is doubled, and all is as if this app had written it from the beginning."""
    before = await ids(site)
    await site.bulk_update(study_uid(1), **dataset(StudyDescription="corrected"))
    await site.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 2)}")
    await site.bulk_update(study_uid(2), **dataset(PatientID="MRN-0003"))
    await site.store(make_instance(3, 2, 1, PatientID="MRN-0003", **SAID))
    await site.bulk_update(STUDY, **dataset(StudyDescription="dose"))
    await site.drain()
    after = await ids(site)
    assert {one for one in before if one[0] != "Observation"} <= after
    summaries = [one for one in before if one[0] == "Observation"]
    kept = [one for one in summaries if one in after]
    assert len(kept) == 1  # the summary; DICOM Cast's events cannot be told apart and are replaced
    new = by_type(after - before)
    assert set(new) <= {"Observation", "Device"}
    studies = await site.resources("ImagingStudy")
    assert {row.get("system") for study in studies for row in study["modality"]} == {
        "http://dicom.nema.org/resources/ontology/DCM"
    }
    await assert_observations_are(site, fresh_projection)


LATE = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1", "Modality": "PR"}
NOTHING = dict.fromkeys(("StudyDescription", "AccessionNumber", "StudyDate", "StudyTime"), "")


@pytest.mark.parametrize("knows_it", [False, True], ids=["first change", "second change"])
async def test_a_late_object_without_values_takes_nothing_away(site, knows_it):
    if knows_it:
        await site.store(make_instance(1, 1, 3, **SAID))
        await site.drain()
    uid = {"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(1)}"}
    (before,) = [one for one in await site.resources("ImagingStudy") if uid in one["identifier"]]
    await site.store(make_instance(1, 9, 1, **LATE, **NOTHING))
    await site.drain()
    (study,) = [one for one in await site.resources("ImagingStudy") if one["id"] == before["id"]]
    assert len(study["series"]) == len(before["series"]) + 1
    assert study["note"] == before["note"] == [{"text": "thorax"}]
    assert study["started"] == "2020-01-02"  # its time of day was in no known zone, and DICOM Cast took it for UTC
    assert [row["value"] for row in study["identifier"]] == [row["value"] for row in before["identifier"]]
    assert study["identifier"][1]["value"] == "A1"
    assert study["description"] == "thorax"


async def test_its_accession_number_is_corrected_and_that_of_others_stays(site):
    uid = {"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(1)}"}
    await site.bulk_update(study_uid(1), **dataset(AccessionNumber="A2"))
    await site.drain()
    (study,) = [one for one in await site.resources("ImagingStudy") if uid in one["identifier"]]
    assert [row["value"] for row in study["identifier"][1:]] == ["A2"]
    theirs = {"type": study["identifier"][1]["type"], "value": "THEIRS"}
    await site.put({**study, "identifier": [*study["identifier"], theirs]})
    await site.bulk_update(study_uid(1), **dataset(AccessionNumber="A3"))
    await site.drain()
    (study,) = [one for one in await site.resources("ImagingStudy") if uid in one["identifier"]]
    assert sorted(row["value"] for row in study["identifier"][1:]) == ["A3", "THEIRS"]


async def test_two_accession_numbers_of_a_study_stay(stack, fresh_projection):
    """Each instance has one; a search by either finds the study."""
    await stack.store(make_instance(1, 1, 1, AccessionNumber="A1"), make_instance(1, 1, 2, AccessionNumber="A2"))
    cast = DicomCast(stack.dicom, stack.fhir)
    cast.catch_up()
    cast.close()
    await stack.store(make_instance(1, 1, 3, AccessionNumber="A2"))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert [row["value"] for row in study["identifier"][1:]] == ["A1", "A2"]
    await assert_in_step(stack, fresh_projection)


async def assert_observations_are(site, fresh_projection):
    fresh = [one for one in await fresh_projection() if one["resourceType"] == "Observation"]
    assert [one for one in await site.content() if one["resourceType"] == "Observation"] == fresh


async def test_what_it_left_is_removed_with_its_study(site):
    for study in (study_uid(1), study_uid(2), study_uid(3), STUDY):
        await site.delete(study)
    await site.drain()
    assert by_type(await ids(site)) == ["Endpoint", "Patient", "Patient"]


async def test_a_replay_from_the_beginning_doubles_nothing(site, fresh_projection):
    before = await ids(site)
    await site.forget(CHECKPOINT)
    await site.drain()
    after = await ids(site)
    assert {one for one in before if one[0] != "Observation"} <= after
    assert set(by_type(after - before)) <= {"Observation", "Device"}
    await assert_in_step(site, fresh_projection)


async def test_its_failures_are_understood(site):
    await row(
        site,
        FAILED,
        PartitionKey="FhirResourceValidationException",
        RowKey="6f1f2e9c-0000-4000-8000-000000000001",
        StudyUid=study_uid(2),
        SeriesUid=series_uid(2, 1),
        InstanceUid=sop_uid(2, 1, 1),
        ChangeFeedSequence=EntityProperty(4, "Edm.Int64"),
        Exception="Text of an exception",
    )
    (old,) = await site.rows(FAILED)
    await site.bulk_update(study_uid(1), **dataset(StudyDescription="corrected"))
    await site.drain()
    assert await site.rows(FAILED) == [old]  # nothing of this study changed
