"""An ImagingStudy of a record system keeps what the record system wrote, while DICOM has the study and afterwards."""

import json

import pytest

from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid
from tests.flow.test_dose import report
from tests.unit.datasets import dataset
from tests.unit.dose.reports import STUDY, ct_report

RECORDS = "https://records.example.org/"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
EQUIPMENT = {"Manufacturer": "ACME", "DeviceSerialNumber": "SN1", "OperatorsName": "Op^Ann"}
# what the record system says, as DICOM would
EQUAL = {
    "StudyDescription": "CT head",
    "StudyDate": "20210301",
    "StudyTime": "101530",
    "TimezoneOffsetFromUTC": "+0100",
    "AccessionNumber": "ACC1",
    "SeriesDescription": "axial",
}
EMPTY = dict.fromkeys(EQUAL, "") | {"TimezoneOffsetFromUTC": None, "Modality": "", "SeriesNumber": ""}
OTHER = {
    "StudyDescription": "CT neck",
    "StudyDate": "20220202",
    "StudyTime": "111111",
    "AccessionNumber": "ACC9",
    "SeriesDescription": "sagittal",
    "SeriesNumber": "7",
    "InstanceNumber": "8",
    "Modality": "MR",
}
DATE_ONLY = {**EQUAL, "StudyTime": "", "TimezoneOffsetFromUTC": None}


async def record(stack, **elements):
    """The study as a record system wrote it: one series, with one instance that DICOM will have as well."""
    patient = await stack.post({"resourceType": "Patient", "identifier": [{"value": "RECORD-1"}]})
    sop_class = {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}
    instance = {"uid": sop_uid(1, 1, 1), "sopClass": sop_class, "number": 1, "title": "scout"}
    series = {
        "uid": series_uid(1, 1),
        "number": 1,
        "modality": {"system": DCM, "code": "CT", "display": "Computed Tomography"},
        "description": "axial",
        "numberOfInstances": 40,
        "started": "2021-03-01T10:16:00+01:00",
        "performer": [{"actor": {"display": "Ward 7"}}],
        "instance": [instance],
    }
    study = {
        "resourceType": "ImagingStudy",
        "meta": {"source": RECORDS},
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(1)}"},
            {"type": ACSN, "value": "ACC1"},
        ],
        "status": "registered",
        "modality": [{"system": DCM, "code": "CT", "display": "Computed Tomography"}],
        "subject": {"reference": f"Patient/{patient['id']}", "display": "the record's patient"},
        "started": "2021-03-01T10:15:30+01:00",
        "basedOn": [{"type": "ServiceRequest", "identifier": {"type": ACSN, "value": "ACC1"}}],
        "numberOfSeries": 3,
        "numberOfInstances": 400,
        "note": [{"text": "CT head"}],
        "description": "CT head",
        "series": [series],
    }
    return await stack.post({name: value for name, value in {**study, **elements}.items() if value is not None})


SINGLE = ("status", "subject", "started", "description", "numberOfSeries", "numberOfInstances")
OF_SERIES = ("number", "modality", "description", "numberOfInstances", "started")


def said(study, theirs):
    """Of a study, what the record system said: its single values and its items of lists."""
    kept = {name: study.get(name) for name in SINGLE}
    kept |= {name: [row for row in study[name] if row in theirs[name]] for name in ("identifier", "modality", "note")}
    row = next(row for row in study["series"] if row["uid"] == theirs["series"][0]["uid"])
    own = next(one for one in row["instance"] if one["uid"] == theirs["series"][0]["instance"][0]["uid"])
    return kept, {name: row.get(name) for name in OF_SERIES}, {name: own.get(name) for name in ("number", "title")}


def bare(study):
    return json.dumps({name: value for name, value in study.items() if name != "meta"})


@pytest.mark.parametrize(
    "values", [EMPTY, EQUAL, DATE_ONLY, OTHER], ids=["DICOM says nothing", "the same", "a date only", "something else"]
)
async def test_single_values_stay(stack, values):
    theirs = await record(stack)
    await stack.store(make_instance(1, 1, 1, **EQUIPMENT | values), make_instance(1, 1, 2, **EQUIPMENT | values))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert said(study, theirs) == said(theirs, theirs)
    assert [one["uid"] for one in study["series"][0]["instance"]] == [sop_uid(1, 1, 1), sop_uid(1, 1, 2)]
    assert len(study["endpoint"]) == 1
    before = await stack.versions()
    await stack.forget("SyncStateTable")
    await stack.drain()
    assert await stack.versions() == before


@pytest.mark.parametrize("values", [EMPTY, EQUAL, OTHER], ids=["DICOM says nothing", "the same", "something else"])
async def test_what_they_wrote_is_left_byte_for_byte(stack, values):
    theirs = await record(stack)
    ours = {**EQUIPMENT, **values, "ReferringPhysicianName": "Lund^Bo", "StudyID": "S1", "BodyPartExamined": "HEAD"}
    await stack.store(*make_series(1, 1, 3, **ours), *make_series(1, 2, 2, **ours), make_instance(1, 3, 1, **ours))
    await stack.drain()
    assert len((await stack.one("ImagingStudy"))["series"]) == 3
    await stack.bulk_update(study_uid(1), **dataset(StudyDescription="changed", AccessionNumber="ACC7"))
    await stack.drain()
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}")
    await stack.drain()
    study = await stack.one("ImagingStudy")
    row = next(row for row in study["series"] if row["uid"] == series_uid(1, 1))
    assert json.dumps(row) == json.dumps(theirs["series"][0])  # no endpoint and no performer of this app
    await stack.delete(study_uid(1))
    await stack.drain()
    assert bare(await stack.one("ImagingStudy")) == bare(theirs)


async def test_what_they_left_out_is_written_and_taken_back(stack):
    lacking = dict.fromkeys(("started", "description", "numberOfSeries", "numberOfInstances", "modality", "note"))
    theirs = await record(stack, **lacking, series=None)
    await stack.store(make_instance(1, 1, 1, **EQUAL))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert (study["started"], study["description"]) == ("2021-03-01T10:15:30+01:00", "CT head")
    assert study["_started"] == {"id": "dicom-started"}
    assert (study["numberOfInstances"], study["series"][0]["description"]) == (1, "axial")
    await stack.bulk_update(study_uid(1), **{"00081030": {"vr": "LO"}})
    await stack.drain()
    assert {"description", "_description"} & (await stack.one("ImagingStudy")).keys() == set()
    await stack.delete(study_uid(1))
    await stack.drain()
    assert bare(await stack.one("ImagingStudy")) == bare(theirs)


async def test_their_reference_to_the_endpoint_stays(stack):
    await stack.store(make_instance(2))
    await stack.drain()
    endpoint = await stack.one("Endpoint")
    theirs = await record(stack, endpoint=[{"reference": f"Endpoint/{endpoint['id']}"}])
    await stack.store(make_instance(1, 1, 1))
    await stack.drain()
    await stack.delete(study_uid(1))
    await stack.drain()
    (left,) = [one for one in await stack.resources("ImagingStudy") if one["id"] == theirs["id"]]
    assert bare(left) == bare(theirs)


async def test_their_subject_is_recorded_where_it_differs(stack):
    await record(stack)
    await stack.store(make_instance(1, 1, 1))
    await stack.drain()
    assert "subject-kept" in str(await stack.rows("InvalidDicomTagExceptionTable"))
    await stack.bulk_update(study_uid(1), **dataset(PatientID="RECORD-1"))
    await stack.drain()
    assert "subject-kept" not in str(await stack.rows("InvalidDicomTagExceptionTable"))


async def test_dose_of_a_study_whose_subject_names_no_patient_is_of_dicoms(stack):
    uid = {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}
    theirs = await record(stack, identifier=[uid], subject={"display": "somebody"}, series=None)
    await stack.store(report(ct_report([1])))
    await stack.drain()
    patients = {f"Patient/{one['id']}": one["identifier"][0]["value"] for one in await stack.resources("Patient")}
    found = await stack.resources("Observation")
    assert {patients[one["subject"]["reference"]] for one in found} == {"MRN-0001"}
    assert (await stack.one("ImagingStudy"))["subject"] == {"display": "somebody"}
    await stack.delete(STUDY)
    await stack.drain()
    assert bare(await stack.one("ImagingStudy")) == bare(theirs)
    assert await stack.resources("Observation") == []


async def test_an_accession_number_that_they_added_to_a_study_of_this_app_stays(stack):
    await stack.store(make_instance(1, 1, 1))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    theirs = {"type": ACSN, "value": "RECORD-77"}
    await stack.put({**study, "identifier": [*study["identifier"], theirs]})
    await stack.bulk_update(study_uid(1), **dataset(AccessionNumber="ACC2"))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert theirs in study["identifier"]
    assert sorted(row["value"] for row in study["identifier"][1:]) == ["ACC2", "RECORD-77"]
    assert [row["identifier"]["value"] for row in study["basedOn"]] == ["ACC2"]


async def test_a_study_that_was_written_back_without_its_source_is_still_of_this_app(stack):
    await stack.store(*make_series(1, 1, 2))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    await stack.put({name: value for name, value in study.items() if name != "meta"} | {"language": "de"})
    await stack.bulk_update(study_uid(1), **dataset(StudyDescription="changed"))
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 1)}")
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert (study["description"], study["numberOfInstances"], study["language"]) == ("changed", 1, "de")
    assert study["meta"]["source"].split("#")[0] == f"{stack.dicom}/"
    await stack.put({name: value for name, value in study.items() if name != "meta"})
    await stack.delete(study_uid(1))
    await stack.drain()
    assert await stack.resources("ImagingStudy") == []


async def test_a_study_that_somebody_made_theirs_follows_dicom_and_stays_at_the_end(stack):
    await stack.store(*make_series(1, 1, 2))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    await stack.put(study | {"meta": {"source": RECORDS}, "encounter": {"display": "ward"}})
    await stack.bulk_update(study_uid(1), **dataset(StudyDescription="changed"))
    await stack.drain()
    assert (await stack.one("ImagingStudy"))["description"] == "changed"
    await stack.delete(study_uid(1))
    await stack.drain()
    left = await stack.one("ImagingStudy")
    assert left["encounter"] == {"display": "ward"}
    assert {"series", "description", "started", "endpoint", "basedOn", "note"} & left.keys() == set()


async def test_a_series_and_an_instance_that_they_list_twice_stay_so(stack):
    row = {"uid": series_uid(1, 1), "modality": {"system": DCM, "code": "CT"}}
    sop_class = {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}
    one = {"uid": sop_uid(1, 1, 1), "sopClass": sop_class}
    rows = [{**row, "instance": [{**one, "title": title} for title in "ab"]}, {**row, "description": "again"}]
    theirs = await record(stack, series=rows, numberOfInstances=None)
    await stack.store(*make_series(1, 1, 2, **EQUIPMENT), make_instance(1, 2, 1))
    await stack.drain()
    series = (await stack.one("ImagingStudy"))["series"]
    assert [len(row.get("instance", [])) for row in series] == [3, 0, 1]
    assert [row["title"] for row in series[0]["instance"][:2]] == ["a", "b"]
    assert series[1] == rows[1]
    await stack.delete(study_uid(1))
    await stack.drain()
    assert bare(await stack.one("ImagingStudy")) == bare(theirs)
