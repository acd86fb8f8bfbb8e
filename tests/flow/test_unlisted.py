"""Studies that do not list their instances: by the settings, or since the FHIR server refuses their size."""

import json

import pytest

from shared.mapping.unlisted import unlisted_in
from shared.model import DEFAULT_PARTITION, StudyChange, StudyKey
from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid
from tests.flow.life import assert_nothing_left
from tests.flow.test_dose import EQUIPMENT, report
from tests.unit.dose.reports import STUDY as DOSE_STUDY
from tests.unit.dose.reports import ct_report

INVALID_TAG = "InvalidDicomTagExceptionTable"
NONE = {"ImagingStudy__Instances": "None"}
# as whoever has a study looked at again sends it
ASKED = StudyChange(StudyKey(DEFAULT_PARTITION, study_uid(1)), 0, part=-1).to_json()
SERIES = f"{study_uid(1)}/series"
# what Microsoft's FHIR server answers to more than 30,000,000 bytes
BODY_TOO_LARGE = json.dumps(
    {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "invalid",
                "diagnostics": "Error occurred when parsing model: 'Request body too large. The max request body size "
                "is 30000000 bytes.'.",
            }
        ],
    }
)
TOO_LARGE = [{"status": 413}, {"status": 400, "body": BODY_TOO_LARGE}]
LIMIT = 6_000  # bytes: some 15 instances


def most(number):
    return {"ImagingStudy__MostInstances": str(number)}


def sizes(study):
    """Of the study and of each series: how many instances it has, and how many are listed."""
    of_series = {
        row["uid"]: (row["numberOfInstances"], len(row.get("instance", []))) for row in study.get("series", [])
    }
    return study["numberOfSeries"], study["numberOfInstances"], of_series


def instance_path(series, number):
    return f"{SERIES}/{series_uid(1, series)}/instances/{sop_uid(1, series, number)}"


async def test_a_study_above_the_bound_has_series_and_counts_and_no_instances(stack):
    """Case 23."""
    app = stack.new_app(**most(4))
    await stack.store(*make_series(1, 1, 3), *make_series(1, 2, 2))
    await stack.drain(app)
    study = await stack.one("ImagingStudy")
    assert sizes(study) == (2, 5, {series_uid(1, 1): (3, 0), series_uid(1, 2): (2, 0)})
    assert study["description"] == "CT head"
    assert [row["description"] for row in study["series"]] == ["axial", "axial"]
    assert [list(unlisted_in(row).values()) for row in study["series"]] == [[3], [2]]
    await assert_nothing_left(stack)


async def test_counts_follow_single_instances(stack):
    """Added, deleted and changed one by one, by messages that list nothing else."""
    app = stack.new_app(**NONE)
    await stack.store(*make_series(1, 1, 20))
    await stack.drain(app)
    await stack.store(make_instance(1, 1, 21), make_instance(1, 2, 1, SeriesDescription="late"))
    await stack.drain(app)
    assert sizes(await stack.one("ImagingStudy")) == (2, 22, {series_uid(1, 1): (21, 0), series_uid(1, 2): (1, 0)})
    await stack.delete(instance_path(1, 7))
    await stack.delete(instance_path(2, 1))
    await stack.drain(app)
    assert sizes(await stack.one("ImagingStudy")) == (1, 20, {series_uid(1, 1): (20, 0)})
    versions = await stack.versions()
    assert await stack.run(ASKED, app=app) == ["unchanged"]
    assert await stack.versions() == versions
    await stack.delete(study_uid(1))
    await stack.drain(app)
    assert await stack.resources("ImagingStudy") == []
    await assert_nothing_left(stack)


async def test_deletions_that_no_message_lists_are_counted(stack):
    """A look at the whole study shows fewer than are remembered."""
    app = stack.new_app(**NONE)
    await stack.store(*make_series(1, 1, 12), *make_series(1, 2, 2))
    await stack.drain(app)
    for number in range(1, 11):
        await stack.delete(instance_path(1, number))
    await stack.delete(f"{SERIES}/{series_uid(1, 2)}")
    await stack.run(ASKED, app=app)
    assert sizes(await stack.one("ImagingStudy")) == (1, 2, {series_uid(1, 1): (2, 0)})


async def test_a_change_costs_no_read_of_the_whole_study(stack):
    app = stack.new_app(**NONE)
    await stack.store(*make_series(1, 1, 60))
    await stack.drain(app)
    whole = await stack.http.get(f"{stack.dicom}/v2/studies/{study_uid(1)}/metadata")
    await stack.store(make_instance(1, 1, 61))
    before = (await stack.dicom_requests())["bytes_out"]
    await stack.drain(app)
    assert 0 < (await stack.dicom_requests())["bytes_out"] - before < len(whole.content) / 5
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 61


async def test_the_next_change_follows_the_setting(stack):
    """On, off and on again: after each, the study is what a fresh one would be."""
    await stack.store(*make_series(1, 1, 3))
    await stack.drain()
    listed = await stack.content()
    for number, settings in ((4, NONE), (5, most(2)), (6, {"ImagingStudy__Instances": "All", **most(6)})):
        app = stack.new_app(**settings)
        await stack.store(make_instance(1, 1, number))
        await stack.drain(app)
        expected = number if number == 6 else 0
        assert sizes(await stack.one("ImagingStudy")) == (1, number, {series_uid(1, 1): (number, expected)})
    for number in (4, 5, 6):
        await stack.delete(instance_path(1, number))
    await stack.drain(app)
    assert await stack.content() == listed


async def test_a_study_that_shrinks_lists_its_instances(stack):
    app = stack.new_app(**most(3))
    await stack.store(*make_series(1, 1, 4))
    await stack.drain(app)
    await stack.delete(instance_path(1, 4))
    await stack.drain(app)
    assert sizes(await stack.one("ImagingStudy")) == (1, 3, {series_uid(1, 1): (3, 3)})


async def test_instances_that_somebody_else_lists_stay(stack):
    """In a study of this app, in a series of theirs and in one of this app; and in a study of theirs."""
    app = stack.new_app(**NONE)
    await stack.store(*make_series(1, 1, 3))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    theirs = {"uid": "1.9.1", "sopClass": study["series"][0]["instance"][0]["sopClass"], "title": "scan"}
    study["series"][0]["instance"].append(theirs)
    study["series"].append({"uid": "1.9", "modality": study["series"][0]["modality"], "instance": [theirs]})
    await stack.put(study)
    await stack.store(make_instance(1, 1, 4))
    await stack.drain(app)
    study = await stack.one("ImagingStudy")
    assert sizes(study) == (2, 6, {series_uid(1, 1): (5, 1), "1.9": (1, 1)})
    assert [row["instance"] for row in study["series"]] == [[theirs], [theirs]]
    await stack.delete(study_uid(1))
    await stack.drain(app)
    study = await stack.one("ImagingStudy")
    assert [row["instance"] for row in study["series"]] == [[theirs], [theirs]]
    assert not any(map(unlisted_in, study["series"]))


def of_somebody_else(**of_series):
    """An ImagingStudy of a record system with one series."""
    return {
        "resourceType": "ImagingStudy",
        "meta": {"source": "urn:record-system"},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(1)}"}],
        "status": "available",
        "subject": {"display": "somebody"},
        "series": [{"uid": series_uid(1, 1), "modality": {"code": "CT"}, **of_series}],
    }


async def test_a_study_of_somebody_else(stack):
    app = stack.new_app(**NONE)
    instance = {
        "uid": sop_uid(1, 1, 1),
        "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"},
    }
    written = of_somebody_else(instance=[instance])
    await stack.post(written)
    await stack.store(*make_series(1, 1, 3), *make_series(1, 2, 2))
    await stack.drain(app)
    study = await stack.one("ImagingStudy")
    assert sizes(study) == (2, 5, {series_uid(1, 1): (3, 1), series_uid(1, 2): (2, 0)})
    await stack.delete(f"{SERIES}/{series_uid(1, 2)}")
    await stack.delete(instance_path(1, 3))
    await stack.drain(app)
    assert sizes(await stack.one("ImagingStudy")) == (1, 2, {series_uid(1, 1): (2, 1)})
    await stack.delete(study_uid(1))
    await stack.drain(app)
    study = await stack.one("ImagingStudy")
    assert {**study, "meta": written["meta"]} == {**written, "id": study["id"]}


async def test_what_this_app_added_to_a_study_of_somebody_else_is_taken_out_of_the_list(stack):
    written = of_somebody_else()
    await stack.post(written)
    await stack.store(*make_series(1, 1, 2), *make_series(1, 2, 2))
    await stack.drain()
    assert sizes(await stack.one("ImagingStudy"))[2] == {series_uid(1, 1): (2, 2), series_uid(1, 2): (2, 2)}
    await stack.run(ASKED, app=stack.new_app(**NONE))
    assert sizes(await stack.one("ImagingStudy"))[2] == {series_uid(1, 1): (2, 0), series_uid(1, 2): (2, 0)}


async def test_dose_reports_are_found_again(stack):
    """The second report includes the first; then it is deleted; then the study moves to another patient."""
    app = stack.new_app(**NONE)
    first, second = report(ct_report((1,))), report(ct_report((1, 2), number=2))
    await stack.store(first, *[make_instance(7, 2, n, StudyInstanceUID=DOSE_STUDY, **EQUIPMENT) for n in range(1, 15)])
    await stack.drain(app)
    await stack.store(second)
    await stack.drain(app)
    assert not any("instance" in row for row in (await stack.one("ImagingStudy"))["series"])
    assert await statuses(stack) == {str(first.SOPInstanceUID): "preliminary", str(second.SOPInstanceUID): "final"}
    await stack.delete(f"{DOSE_STUDY}/series/{second.SeriesInstanceUID}/instances/{second.SOPInstanceUID}")
    await stack.drain(app)
    assert await statuses(stack) == {str(first.SOPInstanceUID): "final"}
    await stack.bulk_update(DOSE_STUDY, **{"00100020": {"vr": "LO", "Value": ["MRN-0002"]}})
    await stack.drain(app)
    subjects = {one["subject"]["reference"] for one in await stack.resources("Observation")}
    assert subjects == {(await stack.one("ImagingStudy"))["subject"]["reference"]}
    await stack.delete(DOSE_STUDY)
    await stack.drain(app)
    assert await stack.resources("Observation") == []


async def statuses(stack):
    """The status of each summary by the SOP Instance UID of its report."""
    summaries = [one for one in await stack.resources("Observation") if one["code"]["coding"][0]["code"] == "73569-6"]
    return {one["identifier"][0]["value"].removeprefix("urn:oid:"): one["status"] for one in summaries}


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize("refusal", TOO_LARGE, ids=["413", "as Microsoft's server"])
async def test_what_the_server_refuses_as_too_large_is_written_without_instances(stack, between, refusal):
    """Once; not at each look."""
    before = await between("fhir")
    before["fhir"].use([{"methods": ["POST"], "holds": '"transaction"', "more_than": LIMIT, **refusal}])
    await stack.store(*make_series(1, 1, 60))
    await stack.poll()
    texts = await stack.messages()
    assert await stack.run(*texts) == ["created"]
    assert sizes(await stack.one("ImagingStudy")) == (1, 60, {series_uid(1, 1): (60, 0)})
    assert [row["Exception"] for row in await stack.rows(INVALID_TAG)] == [
        "instances-not-listed: ImagingStudy.series.instance"
    ]
    assert before["fhir"].rules.stats.faults.total() == 1
    await stack.store(make_instance(1, 1, 61))
    await stack.drain()
    assert sizes(await stack.one("ImagingStudy")) == (1, 61, {series_uid(1, 1): (61, 0)})
    assert before["fhir"].rules.stats.faults.total() == 1
    assert await stack.rows("FhirFailToStoreExceptionTable") == []

    for number in range(5, 62):
        await stack.delete(instance_path(1, number))
    await stack.drain()
    assert sizes(await stack.one("ImagingStudy")) == (1, 4, {series_uid(1, 1): (4, 4)})
    await assert_nothing_left(stack)


@pytest.mark.usefixtures("prompt")
async def test_who_asks_for_a_study_tries_its_instances_again(stack, between):
    before = await between("fhir")
    before["fhir"].use([{"methods": ["POST"], "holds": '"transaction"', "more_than": LIMIT, "status": 413}])
    await stack.store(*make_series(1, 1, 30))
    await stack.drain()
    assert await stack.run(ASKED) == ["unchanged"]
    assert before["fhir"].rules.stats.faults.total() == 2
    before["fhir"].use([])
    assert await stack.run(ASKED) == ["updated"]
    assert sizes(await stack.one("ImagingStudy")) == (1, 30, {series_uid(1, 1): (30, 30)})
    await assert_nothing_left(stack)


async def test_more_instances_than_are_remembered(stack, monkeypatch):
    """Counts come from what is read, and an operator is told."""
    monkeypatch.setattr("shared.storage.study_state.LEDGER_BYTES", 120)  # some ten instances
    app = stack.new_app(**NONE)
    await stack.store(*make_series(1, 1, 14))
    await stack.drain(app)
    await stack.store(make_instance(1, 1, 15, StudyDescription=""))
    await stack.delete(instance_path(1, 2))
    await stack.drain(app)
    study = await stack.one("ImagingStudy")
    assert (sizes(study), study["description"]) == ((1, 14, {series_uid(1, 1): (14, 0)}), "CT head")
    rows = await stack.rows(INVALID_TAG)
    assert {row["Exception"] for row in rows} == {"too-many-instances: ImagingStudy.series.instance"}
    for number in range(3, 12):
        await stack.delete(instance_path(1, number))
    await stack.drain(app)
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 5
    await stack.run(ASKED, app=app)
    await assert_nothing_left(stack)
