"""One study in two DICOM services, each with an app of its own, on one FHIR server."""

import json

import httpx
import pytest

from tests.builders import make_instance, series_uid, sop_uid, study_uid
from tests.conftest import _empty, _part
from tests.flow.life import assert_nothing_left, twins
from tests.flow.test_dose import report
from tests.stack import Stack
from tests.unit.dose.reports import STUDY as DOSE_STUDY
from tests.unit.dose.reports import ct_report

STUDY = study_uid(1)


@pytest.fixture(scope="session")
def second_service(request):
    return _part(request, "dicom", "--port", "0").urls["url"]


@pytest.fixture(params=["the first lets go first", "the second lets go first"])
async def services(request, monkeypatch, azurite, dicom_service, second_service, fhir_server):
    """Two stacks on one FHIR server: the one that lets go of the study first, and the other."""
    monkeypatch.setattr("shared.sync.replica.LAG_S", 2)
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.02)
    _empty(dicom_service, fhir_server)
    httpx.post(f"{second_service}/_dev/reset", trust_env=False).raise_for_status()
    made = [Stack(monkeypatch, azurite, url, fhir_server) for url in (dicom_service, second_service)]
    yield made if request.param.startswith("the first") else made[::-1]
    for stack in made:
        await stack.close()


def listed(study):
    return sorted((row["uid"], one["uid"]) for row in study["series"] for one in row["instance"])


def _without_sources(study):
    bare = {name: value for name, value in study.items() if name != "extension"}
    series = [{name: value for name, value in row.items() if name != "extension"} for row in study["series"]]
    for row in series:
        row["instance"] = [{key: value for key, value in one.items() if key != "extension"} for one in row["instance"]]
    return bare | {"series": series}


def uids(*places):
    return sorted((series_uid(1, series), sop_uid(1, series, number)) for series, number in places)


async def both_have(services, *datasets, first=0):
    for stack in (services[first], services[1 - first]):
        await stack.store(*datasets)
        await stack.drain()


@pytest.mark.parametrize("creator", [0, 1])
async def test_the_same_study_stays_until_both_have_let_go(services, creator):
    leaving, staying = services
    await both_have(services, make_instance(1, 1, 1), make_instance(1, 1, 2), first=creator)
    await leaving.delete(STUDY)
    await leaving.drain()
    study = await staying.one("ImagingStudy")
    assert (listed(study), study["description"]) == (uids((1, 1), (1, 2)), "CT head")
    assert study["meta"]["source"].split("#")[0] == staying.dicom + "/"
    (endpoint,) = [one for one in await staying.resources("Endpoint") if one["address"] == staying.dicom + "/"]
    reference = [{"reference": f"Endpoint/{endpoint['id']}"}]
    assert [study["endpoint"], study["series"][0]["endpoint"]] == [reference, reference]
    assert "extension" not in study
    await staying.delete(STUDY)
    await staying.drain()
    assert await staying.resources("ImagingStudy") == []
    for stack in services:
        await assert_nothing_left(stack)


async def test_each_takes_back_only_its_own(services):
    leaving, staying = services
    await leaving.store(make_instance(1, 1, 1), make_instance(1, 1, 2), make_instance(1, 2, 1))
    await leaving.drain()
    await staying.store(make_instance(1, 1, 2), make_instance(1, 1, 3), make_instance(1, 3, 1))
    await staying.drain()
    await leaving.delete(f"{STUDY}/series/{series_uid(1, 1)}")
    await leaving.drain()
    assert listed(await staying.one("ImagingStudy")) == uids((1, 2), (1, 3), (2, 1), (3, 1))
    await leaving.delete(STUDY)
    await leaving.drain()
    study = await staying.one("ImagingStudy")
    assert listed(study) == uids((1, 2), (1, 3), (3, 1))
    assert study["description"] == "CT head"


async def test_a_dose_report_of_both_has_one_observation_until_both_have_let_go(services):
    leaving, staying = services
    await both_have(services, report(ct_report((1, 2))))
    assert await twins(staying) == []
    before = len(await staying.resources("Observation"))
    await leaving.delete(DOSE_STUDY)
    await leaving.drain()
    found = await staying.resources("Observation")
    assert len(found) == before > 0
    assert {one["meta"]["source"].split("#")[0] for one in found} == {staying.dicom + "/"}
    await staying.delete(DOSE_STUDY)
    await staying.drain()
    assert await staying.resources("Observation") == []


async def test_studies_of_before_keep_the_series_of_the_other_service(services):
    """Versions of this app before named no sources: the Endpoint at the series tells."""
    leaving, staying = services
    await staying.store(make_instance(1, 1, 1))
    await staying.drain()
    await leaving.store(make_instance(1, 2, 1))
    await leaving.drain()
    await staying.put(_without_sources(await staying.one("ImagingStudy")))
    await leaving.delete(STUDY)
    await leaving.drain()
    assert listed(await staying.one("ImagingStudy")) == uids((1, 1))


@pytest.mark.parametrize("tables", [(), ("SyncStateTable", "StudyStateTable", "PatientStateTable")])
async def test_a_study_of_before_keeps_what_the_second_service_has(services, tables):
    """The app that created it goes on, or begins again without its tables."""
    creator, second = services
    await creator.store(make_instance(1, 1, 1), make_instance(1, 1, 2), make_instance(1, 3, 1))
    await creator.drain()
    await second.store(make_instance(1, 1, 2), make_instance(1, 2, 1))
    await second.drain()
    await creator.put(_without_sources(await creator.one("ImagingStudy")))
    for table in tables:
        await creator.forget(table)
    await creator.store(make_instance(1, 1, 3))
    await creator.drain()
    assert listed(await creator.one("ImagingStudy")) == uids((1, 1), (1, 2), (1, 3), (2, 1), (3, 1))
    await creator.delete(STUDY)
    await creator.drain()
    assert set(uids((1, 2), (2, 1))) <= set(listed(await creator.one("ImagingStudy")))
    assert uids((3, 1))[0] not in listed(await creator.one("ImagingStudy"))


def unlisting(stack):
    """Its app lists no instances from now on."""
    stack.app = stack.new_app(ImagingStudy__Instances="None")


def counts(study):
    return {row["uid"]: (row["numberOfInstances"], len(row.get("instance", []))) for row in study["series"]}


@pytest.mark.parametrize("lists_none", ["leaving", "staying", "both"])
async def test_a_service_that_lists_nothing_takes_back_only_its_own(services, lists_none):
    leaving, staying = services
    for name, stack in (("leaving", leaving), ("staying", staying)):
        if lists_none in (name, "both"):
            unlisting(stack)
    await leaving.store(make_instance(1, 1, 1), make_instance(1, 1, 2), make_instance(1, 2, 1))
    await leaving.drain()
    await staying.store(make_instance(1, 1, 2), make_instance(1, 1, 3), make_instance(1, 3, 1))
    await staying.drain()
    assert set(counts(await staying.one("ImagingStudy"))) == {series_uid(1, number) for number in (1, 2, 3)}
    await leaving.delete(STUDY)
    await leaving.drain()
    study = await staying.one("ImagingStudy")
    # an instance that both have stays listed until the one that lists none is the only one, and looks again
    of_first, of_third = {"leaving": (2, 1), "staying": (1, 0), "both": (0, 0)}[lists_none]
    assert counts(study) == {series_uid(1, 1): (2, of_first), series_uid(1, 3): (1, of_third)}
    assert (study["description"], study["meta"]["source"].split("#")[0]) == ("CT head", staying.dicom + "/")
    await staying.delete(STUDY)
    await staying.drain()
    assert await staying.resources("ImagingStudy") == []
    for stack in services:
        await assert_nothing_left(stack)


async def test_a_service_takes_away_nothing_that_the_other_says(services):
    """Each adds its numbers; what one says nothing of, the other may have said."""
    first, second = services
    of_study = {"StudyDescription": "", "StudyDate": "", "StudyTime": "", "AccessionNumber": "ACC2"}
    await first.store(make_instance(1, 1, 1))
    await second.store(make_instance(1, 1, 2, SeriesDescription="", **of_study))
    for stack in (first, second, first):
        await stack.drain()
    await first.store(make_instance(1, 1, 3))
    await first.drain()
    study = await first.one("ImagingStudy")
    assert (study["description"], study["started"], study["series"][0]["description"]) == (
        "CT head",
        "2021-03-01",
        "axial",
    )
    assert [row["value"] for row in study["identifier"][1:]] == ["ACC1", "ACC2"]


@pytest.mark.parametrize("creator", [0, 1])
@pytest.mark.parametrize("lists_none", [False, True])
async def test_a_service_that_moved_keeps_a_study_that_it_did_not_look_at_since(services, creator, lists_none):
    """Its Endpoint has the new address, the study still names it by the old one."""
    leaving, staying = services
    unlisted = {"ImagingStudy__Instances": "None"} if lists_none else {}
    addresses = ["https://old.example.org/", "https://new.example.org/"]

    def app_at(address, *former):
        return staying.new_app(
            DicomWeb__Endpoint=address,
            DicomWeb__PrivateEndpoint=staying.dicom,
            DicomWeb__FormerEndpoints=json.dumps(former),
            **unlisted,
        )

    apps = [leaving.new_app(**unlisted), app_at(addresses[0])]
    for place in (creator, 1 - creator):
        await services[place].store(make_instance(1, 1, 1, StudyDescription="both"))
        await services[place].drain(apps[place])
    moved = app_at(addresses[1], addresses[0])
    await staying.store(make_instance(2, 1, 1))
    await staying.drain(moved)
    await leaving.delete(STUDY)
    await leaving.drain(apps[0])
    (study,) = [one for one in await staying.resources("ImagingStudy") if STUDY in one["identifier"][0]["value"]]
    assert (study["description"], study["numberOfInstances"]) == ("both", 1)
    assert study["meta"]["source"].split("#")[0] == addresses[0]
    await staying.delete(STUDY)
    await staying.drain(moved)
    assert len(await staying.resources("ImagingStudy")) == 1


@pytest.mark.parametrize("said", [{}, {"endpoint": [{"display": "theirs"}]}], ids=["no endpoint", "one of theirs"])
async def test_both_take_back_their_own_of_a_study_of_somebody_else(services, said):
    """The second finds in it what the first wrote, whose service its `meta.source` does not name."""
    leaving, staying = services
    theirs = await leaving.post(
        {
            "resourceType": "ImagingStudy",
            "meta": {"source": "https://records.example.org/"},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
            "status": "available",
            "subject": {"display": "somebody"},
            **said,
        }
    )
    await leaving.store(make_instance(1, 1, 1), make_instance(1, 1, 2), make_instance(1, 2, 1))
    await leaving.drain()
    await staying.store(make_instance(1, 1, 1), make_instance(1, 1, 3), make_instance(1, 3, 1))
    await staying.drain()
    study = await staying.one("ImagingStudy")
    assert listed(study) == uids((1, 1), (1, 2), (1, 3), (2, 1), (3, 1))
    ids = [row["id"] for row in study["endpoint"] if "reference" in row]
    assert len(set(ids)) == len(ids) == 2  # an id is unique in its resource
    await leaving.delete(STUDY)
    await leaving.drain()
    assert listed(await staying.one("ImagingStudy")) == uids((1, 1), (1, 3), (3, 1))
    await staying.delete(STUDY)
    await staying.drain()
    left = await staying.one("ImagingStudy")
    assert left | {"meta": ""} == theirs | {"meta": ""}
