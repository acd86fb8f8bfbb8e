"""What FHIR says of a study is what the whole study says, and what people corrected there holds."""

import itertools
import logging

import pytest
from pydicom.dataset import Dataset

from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid
from tests.flow.test_dose import report
from tests.unit.dose.reports import STUDY as DOSE_STUDY
from tests.unit.dose.reports import ct_report

OF_STUDY = {
    "StudyDescription": "CT head",
    "StudyDate": "20210301",
    "StudyTime": "101530",
    "TimezoneOffsetFromUTC": "+0100",
    "AccessionNumber": "ACC1",
    "StudyID": "S1",
    "ReferringPhysicianName": "Lund^Bo",
    "InstitutionalDepartmentName": "Radiology",
    "NameOfPhysiciansReadingStudy": "Ray^Ann",
}
EMPTY = dict.fromkeys(OF_STUDY, "")
ABSENT = dict.fromkeys(OF_STUDY)
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"


def _code(value, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def _images():
    procedures = {"ProcedureCodeSequence": [_code("77477000", "CT")]}
    return make_series(1, 1, 3, **OF_STUDY, **procedures)


def _late_object(empty):
    said = {
        "SOPClassUID": PRESENTATION_STATE,
        "Modality": "PR",
        "ProcedureCodeSequence": [],
        "SeriesDescription": "marks",
    }
    return make_instance(1, 9, 1, **said, **empty)


def _study_level(study):
    left = {"series", "numberOfSeries", "numberOfInstances", "modality", "meta"}
    return {name: value for name, value in study.items() if name not in left}


@pytest.mark.parametrize("empty", [EMPTY, ABSENT], ids=["empty", "absent"])
@pytest.mark.parametrize("is_first", [False, True], ids=["last", "first"])
async def test_a_late_object_without_values_takes_none_away(stack, empty, is_first):
    bursts = [_images(), [_late_object(empty)]]
    for burst in reversed(bursts) if is_first else bursts:
        await stack.store(*burst)
        await stack.drain()
    study = await stack.one("ImagingStudy")
    assert (study["description"], study["note"], study["started"]) == (
        "CT head",
        [{"text": "CT head"}],
        "2021-03-01T10:15:30+01:00",
    )
    assert [row["value"] for row in study["identifier"][1:]] == ["ACC1", "S1"]
    assert (study["referrer"]["display"], study["interpreter"][0]["display"]) == ("Bo Lund", "Ann Ray")
    assert (study["location"]["display"], study["procedureCode"][0]["text"]) == ("Radiology", "CT")
    assert len(study["series"]) == 2


@pytest.mark.parametrize("is_first", [False, True], ids=["last", "first"])
async def test_a_dose_report_without_the_modules_of_the_images_takes_nothing_away(stack, is_first):
    request = Dataset()
    request.ReasonForTheRequestedProcedure = "cough"
    said = {**OF_STUDY, "ProcedureCodeSequence": [_code("77477000", "CT")], "RequestAttributesSequence": [request]}
    images = [make_instance(7, 2, number, StudyInstanceUID=DOSE_STUDY, **said) for number in (1, 2, 3)]
    bursts = [images, [report(ct_report((1,)))]]
    for burst in reversed(bursts) if is_first else bursts:
        await stack.store(*burst)
        await stack.drain()
    study = await stack.one("ImagingStudy")
    assert [row["text"] for row in study["reasonCode"]] == ["cough"]
    assert (study["location"]["display"], study["procedureCode"][0]["text"]) == ("Radiology", "CT")
    assert len(await stack.resources("Observation")) == 2


async def test_a_series_keeps_what_its_second_image_does_not_say(stack):
    await stack.store(make_instance(1, 1, 1, BodyPartExamined="CHEST", Laterality="L"))
    await stack.drain()
    await stack.store(make_instance(1, 1, 2, SeriesDescription=None, BodyPartExamined="", Laterality=None))
    await stack.drain()
    (series,) = (await stack.one("ImagingStudy"))["series"]
    assert (series["description"], series["bodySite"]["display"], series["laterality"]["code"]) == (
        "axial",
        "Chest",
        "419161000",
    )


async def test_a_late_object_without_values_costs_no_read_of_the_whole_study(stack):
    await stack.store(*make_series(1, 1, 60, **OF_STUDY))
    await stack.drain()
    whole = await stack.http.get(f"{stack.dicom}/v2/studies/{study_uid(1)}/metadata")
    await stack.store(_late_object(EMPTY))
    before = (await stack.dicom_requests())["bytes_out"]
    await stack.drain()
    assert 0 < (await stack.dicom_requests())["bytes_out"] - before < len(whole.content) / 5
    assert len((await stack.one("ImagingStudy"))["series"]) == 2


@pytest.mark.parametrize("modality", ["CT", None])
async def test_a_series_that_somebody_took_out_comes_back_whole(stack, fresh_projection, modality):
    """Its next image may not say what the others did, and R4 requires a modality."""
    described = make_instance(1, 1, 1, SeriesDescription="axial", BodyPartExamined="CHEST")
    await stack.store(described, make_instance(1, 1, 2), make_instance(1, 2, 1))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    await stack.put({**study, "series": [row for row in study["series"] if row["uid"] != series_uid(1, 1)]})
    await stack.store(make_instance(1, 1, 3, Modality=modality, SeriesDescription=None, BodyPartExamined=None))
    await stack.drain()
    assert await stack.content() == await fresh_projection()


async def test_a_value_goes_with_the_only_instance_that_had_it(stack):
    await stack.store(make_instance(1, 1, 1), make_instance(1, 1, 2, StudyDescription="", SeriesDescription=None))
    await stack.drain()
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 1)}")
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert {"description", "note"} & study.keys() == set()
    assert "description" not in study["series"][0]


async def test_a_value_that_is_emptied_on_all_instances_goes(stack):
    await stack.store(*make_series(1, 1, 3), *make_series(1, 2, 12))
    await stack.drain()
    await stack.bulk_update(study_uid(1), **{"00081030": {"vr": "LO"}})
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert {"description", "note"} & study.keys() == set()


async def test_numbers_of_all_requests_are_there_once(stack):
    first, second = Dataset(), Dataset()
    first.AccessionNumber, second.AccessionNumber = "R1", "R2"
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = "RIS"
    second.IssuerOfAccessionNumberSequence = [issuer]
    for series in (1, 2):
        await stack.store(make_instance(1, series, 1, AccessionNumber="", RequestAttributesSequence=[first, second]))
        await stack.drain()
    study = await stack.one("ImagingStudy")
    numbers = study["identifier"][1:]
    assert [(one["value"], one.get("assigner", {}).get("display")) for one in numbers] == [("R1", None), ("R2", "RIS")]
    assert [{**one["identifier"], "id": f"dicom-accession-{n}"} for n, one in enumerate(study["basedOn"], 1)] == numbers


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
async def test_a_study_that_was_retired_stays_retired(stack, status):
    await stack.store(*make_series(1, 1, 2))
    await stack.drain()
    await stack.put({**await stack.one("ImagingStudy"), "status": status})
    await stack.store(make_instance(1, 1, 3))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert (study["status"], study["numberOfInstances"]) == (status, 3)
    assert "status-kept" in str(await stack.rows("InvalidDicomTagExceptionTable"))


async def test_a_series_that_began_before_its_study_is_recorded_and_written_as_dicom_says(stack):
    """The record goes when the clock is corrected, though nothing of that series is listed by the message."""
    zone = {"TimezoneOffsetFromUTC": "+0100"}
    early, late = {"SeriesDate": "20210301", "SeriesTime": "101529"}, {"SeriesDate": "20210301", "SeriesTime": "101530"}
    await stack.store(make_instance(1, 1, 1, **zone, **late), make_instance(1, 2, 1, **zone, **early))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert [row["started"][11:19] for row in study["series"]] == ["10:15:30", "10:15:29"]
    (row,) = await stack.rows("InvalidDicomTagExceptionTable")
    assert (row["SeriesUid"], row["InstanceUid"], row["Exception"]) == (
        series_uid(1, 2),
        "",
        "started-before-study: SeriesTime",
    )
    await stack.store(make_instance(1, 3, 1, **zone, **late, StudyTime="101529"))
    await stack.drain()
    assert await stack.rows("InvalidDicomTagExceptionTable") == []


async def test_a_corrected_subject_holds_until_dicom_changes_the_patient(stack):
    await stack.store(*make_series(1, 1, 2))
    await stack.drain()
    corrected = await stack.post({"resourceType": "Patient", "identifier": [{"value": "OTHER"}]})
    subject = {"reference": f"Patient/{corrected['id']}"}
    await stack.put({**await stack.one("ImagingStudy"), "subject": subject})
    await stack.store(make_instance(1, 1, 3))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert (study["subject"], study["numberOfInstances"]) == (subject, 3)
    assert "subject-kept" in str(await stack.rows("InvalidDicomTagExceptionTable"))
    await stack.bulk_update(study_uid(1), **{"00100020": {"vr": "LO", "Value": ["MRN-0002"]}})
    await stack.drain()
    patients = {one["identifier"][0]["value"]: one["id"] for one in await stack.resources("Patient")}
    assert (await stack.one("ImagingStudy"))["subject"]["reference"] == f"Patient/{patients['MRN-0002']}"
    assert "subject-kept" not in str(await stack.rows("InvalidDicomTagExceptionTable"))


ORDERS = list(itertools.permutations(range(4)))[::5]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
async def test_a_stray_object_does_not_move_the_study(stack, order):
    instances = [*make_series(1, 1, 3), make_instance(1, 2, 1, PatientID="MRN-0009", PatientName="Other^Person")]
    for place in order:
        await stack.store(instances[place])
        await stack.drain()
    study = await stack.one("ImagingStudy")
    patients = {f"Patient/{one['id']}": one for one in await stack.resources("Patient")}
    patient = patients[study["subject"]["reference"]]
    assert (patient["identifier"][0]["value"], patient["name"][0]["family"]) == ("MRN-0001", "Rivera")
    assert study["numberOfInstances"] == 4
    rows = await stack.rows("InvalidDicomTagExceptionTable")
    assert [row["InstanceUid"] for row in rows if "patient-conflict" in str(row)] == [sop_uid(1, 2, 1)]


async def test_a_stray_object_is_warned_of(stack, caplog):
    await stack.store(*make_series(1, 1, 3), make_instance(1, 2, 1, PatientID="MRN-0009"))
    with caplog.at_level(logging.INFO, logger="dicom_fhir_sync"):
        await stack.drain()
    (line,) = [one for one in caplog.records if "study_synced" in one.getMessage()]
    assert (line.levelname, "of_another_patient=1" in line.getMessage()) == ("WARNING", True)
    assert "MRN" not in line.getMessage()


async def test_a_stray_object_is_warned_of_once(stack, caplog):
    """A study that arrives in many bursts is read whole with each of them."""
    caplog.set_level(logging.INFO, logger="dicom_fhir_sync")
    await stack.store(*make_series(1, 1, 12), make_instance(1, 9, 1, PatientID="MRN-0009"))
    await stack.drain()
    await stack.store(*make_series(1, 2, 12))
    await stack.drain()
    await stack.store(make_instance(1, 9, 2, PatientID="MRN-0009"))
    await stack.drain()
    lines = [one for one in caplog.records if "study_synced" in one.getMessage()]
    assert [line.levelname for line in lines] == ["WARNING", "INFO", "WARNING"]
    assert "of_another_patient=1" in lines[1].getMessage()


async def test_a_study_moves_when_its_instances_are_corrected(stack):
    await stack.store(*make_series(1, 1, 3), make_instance(1, 2, 1, PatientID="MRN-0009"))
    await stack.drain()
    await stack.bulk_update(study_uid(1), **{"00100020": {"vr": "LO", "Value": ["MRN-0009"]}})
    await stack.drain()
    patients = {one["identifier"][0]["value"]: f"Patient/{one['id']}" for one in await stack.resources("Patient")}
    assert (await stack.one("ImagingStudy"))["subject"]["reference"] == patients["MRN-0009"]
    assert "patient-conflict" not in str(await stack.rows("InvalidDicomTagExceptionTable"))


async def test_the_next_study_provides_what_the_only_provider_of_a_study_takes_along(stack):
    """Nothing of the study is left to be read for it."""
    nothing = {"PatientName": "", "PatientSex": "", "PatientBirthDate": ""}
    for instance in (
        make_instance(1, PatientName="Lund^Bo", PatientSex="M"),
        make_instance(2, 1, 1, PatientName="Okafor^Chi", PatientSex="F"),
        make_instance(2, 1, 2, **nothing),
    ):
        await stack.store(instance)
        await stack.drain()
    await stack.delete(f"{study_uid(2)}/series/{series_uid(2, 1)}/instances/{sop_uid(2, 1, 1)}")
    await stack.drain()
    patient = await stack.one("Patient")
    assert (patient["name"][0]["family"], patient["gender"]) == ("Lund", "male")
