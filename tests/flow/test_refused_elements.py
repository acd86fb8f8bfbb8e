"""A server that refuses one element: the study is written without it, and the element recorded."""

import json
from dataclasses import replace

import pytest

from shared.model import DEFAULT_PARTITION, StudyKey
from tests.builders import make_instance, series_uid, study_uid
from tests.flow.life import EQUIPMENT, assert_nothing_left
from tests.microsoft import needs_fhir_server, on_microsoft
from tests.unit.datasets import dataset

__all__ = ["on_microsoft"]

INVALID_TAG = "InvalidDicomTagExceptionTable"
ZONE = {"TimezoneOffsetFromUTC": "+0000"}


def refuses(text, *paths):
    """A rule that refuses every transaction with this text, because of these elements."""
    issues = [{"severity": "error", "code": "structure", "expression": [path]} for path in paths]
    body = json.dumps({"resourceType": "OperationOutcome", "issue": issues})
    return {"methods": ["POST"], "holds": text, "status": 400, "body": body}


def recorded(rows):
    return sorted(row["Exception"] for row in rows)


async def not_covered(stack, number=1):
    """The study is to be read again, whatever message of it comes."""
    study, states = StudyKey(DEFAULT_PARTITION, study_uid(number)), stack.app.runner._reconciler._stores.studies
    await states.save(study, replace(await states.get(study), parked=True))


@pytest.mark.usefixtures("prompt")
async def test_a_study_is_written_without_what_is_refused_until_dicom_changes(stack, between):
    before = await between("fhir")
    before["fhir"].use([refuses('"started":"2021', "ImagingStudy.started")])
    await stack.store(make_instance(**ZONE))
    await stack.poll()
    texts = await stack.messages()
    assert await stack.run(*texts) == ["created"]
    assert "started" not in await stack.one("ImagingStudy")
    assert recorded(await stack.rows(INVALID_TAG)) == ["refused-element: ImagingStudy.started"]

    versions, refused = await stack.versions(), before["fhir"].rules.stats.faults.total()
    (state,) = await stack.rows("StudyStateTable")
    assert json.loads(state["Refused"]) == ["ImagingStudy.started"]
    for _ in range(2):
        await not_covered(stack)
        assert await stack.run(*texts) == ["unchanged"]
    assert await stack.versions() == versions
    assert before["fhir"].rules.stats.faults.total() == refused, "it was not tried again"

    before["fhir"].use([])
    await stack.store(make_instance(1, 1, 2, **ZONE))
    await stack.drain()
    assert (await stack.one("ImagingStudy"))["started"] == "2021-03-01T10:15:30+00:00"
    await assert_nothing_left(stack)


@pytest.mark.usefixtures("prompt")
async def test_the_element_stays_out_as_long_as_it_is_refused(stack, between):
    """Each change tries it once; what is the same afterwards is not written."""
    before = await between("fhir")
    before["fhir"].use([refuses('"started":"2021', "ImagingStudy.started")])
    await stack.store(make_instance(**ZONE))
    await stack.drain()
    await stack.bulk_update(study_uid(1), **dataset(StudyDescription="other"))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert ("started" in study, study["description"]) == (False, "other")
    assert recorded(await stack.rows(INVALID_TAG)) == ["refused-element: ImagingStudy.started"]
    assert await stack.rows("FhirFailToStoreExceptionTable") == []


@pytest.mark.usefixtures("prompt")
async def test_elements_of_patient_series_and_instance(stack, between):
    before = await between("fhir")
    rules = [
        refuses('"birthDate"', "Patient.birthDate"),
        refuses('"axial"', "ImagingStudy.series[0].description", "ImagingStudy.series[0].instance[0].number"),
    ]
    before["fhir"].use(rules)
    await stack.store(make_instance(**ZONE))
    assert await stack.drain() == {"created": 1}
    series = (await stack.one("ImagingStudy"))["series"][0]
    assert ("description" in series, "number" in series["instance"][0]) == (False, False)
    patient = await stack.one("Patient")
    assert ("birthDate" in patient, patient["gender"]) == (False, "female")
    assert recorded(await stack.rows(INVALID_TAG)) == [
        "refused-element: ImagingStudy.series.description",
        "refused-element: ImagingStudy.series.instance.number",
        "refused-element: Patient.birthDate",
    ]


@pytest.mark.usefixtures("prompt")
async def test_more_elements_than_a_server_is_asked_for_one_by_one(stack, between):
    """It names one at a time: the description of each of 30 series, then the number of each of their instances."""
    before = await between("fhir")
    uids = sorted(series_uid(1, series) for series in range(1, 31))
    places = {series: uids.index(series_uid(1, series)) for series in range(1, 31)}
    rules = [refuses(f'"of {one}."', f"ImagingStudy.series[{place}].description") for one, place in places.items()]
    rules += [
        refuses(f'"number":{1000 + one}', f"ImagingStudy.series[{place}].instance[0].number")
        for one, place in places.items()
    ]
    before["fhir"].use(rules)
    said = [{"SeriesDescription": f"of {one}.", "InstanceNumber": 1000 + one, "SeriesNumber": 1} for one in places]
    await stack.store(*(make_instance(1, one, 1, **more) for one, more in zip(places, said, strict=True)))
    assert await stack.drain() == {"created": 1}
    series = (await stack.one("ImagingStudy"))["series"]
    assert not any("description" in one or "number" in one["instance"][0] for one in series)
    assert await stack.rows("FhirFailToStoreExceptionTable") == []
    assert before["fhir"].rules.stats.faults.total() <= 20
    found = set(recorded(await stack.rows(INVALID_TAG)))
    assert found == {f"refused-element: ImagingStudy.series.{name}" for name in ("instance.number", "description")}


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize("path", ["ImagingStudy.status", "ImagingStudy.identifier[0].value", "Patient.telecom[0]", ""])
async def test_what_cannot_be_left_out_ends_as_before(stack, between, path):
    before = await between("fhir")
    before["fhir"].use([refuses('"type":"transaction"', path)])
    await stack.store(make_instance())
    assert await stack.drain() == {"failed": 1}
    assert await stack.resources() == []
    (row,) = await stack.rows("FhirFailToStoreExceptionTable")
    assert row["Exception"].startswith("rejected: the FHIR server answered 400, issues: structure")


@needs_fhir_server
@pytest.mark.usefixtures("prompt")
async def test_microsofts_server(on_microsoft, monkeypatch):
    """Second 60 is legal DICOM and legal R4. It does not get as far where the mapping makes a date of it."""
    stack = on_microsoft()
    leap = {"StudyTime": "101160", "SeriesDate": "20210301", "SeriesTime": "101160", **ZONE, **EQUIPMENT}
    await stack.store(make_instance(1, **leap), make_instance(2))
    await stack.drain()
    studies = await stack.resources("ImagingStudy")
    assert sorted(one.get("started") for one in studies) == ["2021-03-01", "2021-03-01"]
    assert recorded(await stack.rows(INVALID_TAG)) == ["leap-second: SeriesTime", "leap-second: StudyTime"]

    monkeypatch.setattr("shared.mapping.started.LEAP_SECOND", "never")
    monkeypatch.setattr("shared.mapping.started._is_in_calendar", lambda _: True)
    await stack.store(make_instance(3, PatientID="MRN-3", **leap))
    edges = {"StudyDate": "99991231", "StudyTime": "235959", "TimezoneOffsetFromUTC": "-1200"}
    await stack.store(make_instance(4, PatientID="MRN-4", **edges, **EQUIPMENT))
    outcomes = await stack.drain()
    assert outcomes == {"created": 2}
    assert len(await stack.resources("ImagingStudy")) == 4
    assert recorded(await stack.rows(INVALID_TAG))[2:] == [
        "refused-element: ImagingStudy.series.started",
        "refused-element: ImagingStudy.started",
        "refused-element: ImagingStudy.started",
    ]
    versions = []
    for _ in range(2):  # the first replay takes the date from the first study, too
        await stack.forget("SyncStateTable")
        await stack.drain()
        versions.append(await stack.versions())
    assert versions[0] == versions[1]
