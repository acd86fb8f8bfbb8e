"""Damaged feed entries, damaged metadata, missing values: recorded once, and everything else goes on."""

import logging
import re

import pytest

from shared.sync.damage import DELAYS_S
from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid


def listed(study):
    return [instance["uid"] for series in study.get("series", []) for instance in series["instance"]]


async def failures(stack, table="DicomFailToStoreExceptionTable"):
    """Rows of an error table as (StudyUid, SeriesUid, InstanceUid, ChangeFeedSequence, Exception)."""
    rows = await stack.rows(table)
    return sorted(
        (
            row["StudyUid"],
            row["SeriesUid"],
            row["InstanceUid"],
            row["ChangeFeedSequence"].value,
            row["Exception"],
        )
        for row in rows
    )


@pytest.mark.parametrize("how", ["unknown_action", "unknown_member", "bad_metadata"])
async def test_odd_feed_entries_are_read_all_the_same(stack, how):
    await stack.store(*make_series(instances=3))
    await stack.dicom_dev("feed", {"malform": {"sequence": 2, "how": how}})
    await stack.drain()
    assert len(listed(await stack.one("ImagingStudy"))) == 3
    assert await failures(stack) == []


@pytest.mark.parametrize("casing", ["pascal", "lower_enums"])
async def test_feed_members_in_any_case(stack, casing):
    await stack.dicom_dev("feed", {"casing": casing})
    await stack.store(*make_series(instances=3))
    await stack.drain()
    assert len(listed(await stack.one("ImagingStudy"))) == 3


@pytest.mark.parametrize(
    ("how", "row"),
    [
        ("not_an_object", ("", "", "", 2, "malformed-entry: not-an-object at sequence 2")),
        ("missing_uid", ("", series_uid(2, 1), sop_uid(2, 1, 1), 2, "malformed-entry: no-uid at sequence 2")),
    ],
)
async def test_a_damaged_feed_entry_is_recorded_once_and_the_page_goes_on(stack, how, row):
    for study in (1, 2, 3):
        await stack.store(make_instance(study))
    await stack.dicom_dev("feed", {"malform": {"sequence": 2, "how": how}})
    for _ in range(2):
        await stack.drain()
        assert sorted(listed(one)[0] for one in await stack.resources("ImagingStudy")) == [
            sop_uid(1, 1, 1),
            sop_uid(3, 1, 1),
        ]
        assert await failures(stack) == [row]
        await stack.forget("SyncStateTable")


@pytest.mark.parametrize("how", ["nan", "nulls", "strings"])
async def test_odd_metadata_is_mapped(stack, how):
    await stack.store(*make_series(instances=2, Rows=4, SliceThickness="1.5", PixelSpacing=["1", "2"]))
    await stack.dicom_dev("feed", {"malform_metadata": {"sop_instance_uid": sop_uid(1, 1, 1), "how": how}})
    await stack.drain()
    assert len(listed(await stack.one("ImagingStudy"))) == 2


LOSES_BY_COUNT = pytest.mark.not_on(
    "dicom-server", "it loses the metadata of every so-manieth instance, not of a named one"
)


@pytest.mark.parametrize("how", ["not_a_dataset", "broken_json", pytest.param("status_503", marks=LOSES_BY_COUNT)])
async def test_metadata_that_cannot_be_had_is_recorded_and_the_rest_written(stack, how):
    await stack.store(*make_series(instances=3), make_instance(2))
    await stack.dicom_dev("feed", {"malform_metadata": {"sop_instance_uid": sop_uid(1, 1, 2), "how": how}})
    assert await stack.drain(waiting=1) == {"created": 2}
    written = await stack.resources("ImagingStudy")
    assert [sop_uid(1, 1, 1), sop_uid(1, 1, 3)] in [listed(one) for one in written]
    row = (study_uid(1), series_uid(1, 1), sop_uid(1, 1, 2), 2, "unreadable-metadata: the service gives none")
    assert await failures(stack) == [row]


@LOSES_BY_COUNT
@pytest.mark.usefixtures("prompt")
async def test_metadata_that_cannot_be_had_is_tried_again_for_a_while(stack):
    """Each try is a message of its own; the study's change is done with."""
    await stack.store(*make_series(instances=3))
    await stack.dicom_dev("feed", {"malform_metadata": {"sop_instance_uid": sop_uid(1, 1, 2), "how": "status_503"}})
    assert await stack.drain() == {"created": 1, "unchanged": len(DELAYS_S)}
    assert len(await failures(stack)) == 1


@LOSES_BY_COUNT
@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize("by", ["its try", "the next change of its study"])
async def test_metadata_that_can_be_had_again_comes_in(stack, by):
    await stack.store(*make_series(instances=3))
    await stack.dicom_dev("feed", {"malform_metadata": {"sop_instance_uid": sop_uid(1, 1, 2), "how": "status_503"}})
    await stack.poll()
    assert await stack.run(*await stack.messages()) == ["created"]
    await stack.dicom_dev("feed", {"malform_metadata": {"sop_instance_uid": sop_uid(1, 1, 2), "how": "nulls"}})
    if by == "its try":
        assert await stack.run(*await stack.messages()) == ["updated"]
    else:
        await stack.messages()  # the try is lost
        await stack.store(make_instance(instance=4))
        await stack.drain()
    assert sop_uid(1, 1, 2) in listed(await stack.one("ImagingStudy"))
    assert await failures(stack) == []


async def test_the_log_names_instances_that_are_skipped_and_why(stack, caplog):
    caplog.set_level(logging.INFO)
    await stack.store(
        *(make_instance(instance=number, PatientID="") for number in range(1, 9)), make_instance(instance=9)
    )
    await stack.drain()
    [line] = [record.getMessage() for record in caplog.records if record.getMessage().startswith("study_synced")]
    assert "instances_skipped=8 skipped=" in line
    named = re.search(r"skipped=(\S+) ", line.partition("instances_skipped=")[2])[1].split(",")
    assert named == [f"{sop_uid(1, 1, number)}:missing" for number in range(1, 6)]


async def test_an_instance_without_patient_id_is_recorded_until_it_is_mended(stack):
    await stack.store(make_instance(instance=1), make_instance(instance=2, PatientID=""), make_instance(instance=3))
    await stack.drain()
    assert listed(await stack.one("ImagingStudy")) == [sop_uid(1, 1, 1), sop_uid(1, 1, 3)]
    row = (study_uid(1), series_uid(1, 1), sop_uid(1, 1, 2), 2, "missing: PatientID")
    assert await failures(stack) == [row]
    await stack.bulk_update(study_uid(1), **{"00100020": {"vr": "LO", "Value": ["MRN-0001"]}})
    await stack.drain()
    assert len(listed(await stack.one("ImagingStudy"))) == 3
    assert await failures(stack) == []


async def test_a_study_without_any_patient_id_writes_nothing(stack):
    await stack.store(make_instance(PatientID=""))
    assert await stack.drain() == {"unchanged": 1}
    assert await stack.resources() == []


async def test_values_that_cannot_be_used_are_left_out_and_recorded(stack):
    odd = {"StudyDate": "20219901", "PatientBirthDate": "unknown", "PatientSex": "X", "InstanceNumber": -4}
    dataset = make_instance()
    for keyword, value in odd.items():
        dataset[keyword] = dataset.data_element(keyword).__class__(dataset.data_element(keyword).tag, "LO", str(value))
    await stack.store(dataset, version="v2")
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert "started" not in study
    patient = await stack.one("Patient")
    assert "birthDate" not in patient
    assert "gender" not in patient
