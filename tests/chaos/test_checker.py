"""What the checker of `make chaos` must notice: a check that cannot fail proves nothing."""

import json
import random

import pytest

from dev.azurite import KEY
from tests.builders import study_uid
from tests.chaos import changes, load
from tests.chaos.checker import differences
from tests.chaos.leaks import leaks
from tests.unit.datasets import dataset


@pytest.fixture
async def day(stack):
    """Two studies of one patient, of them one with a dose report, in step."""
    said = {**load.person(random.Random(1), 0), **load.equipment(1), "StudyDescription": "thorax"}
    steps = [load.Step(0, "store", study, ((study, 1, 1), (study, 1, 2)), said) for study in (1, 2)]
    steps.append(load.Step(0, "report", 2, ((2, load.REPORT_SERIES, 1),), said))
    await changes.perform(stack.dicom, steps, 0)
    await stack.drain()
    assert await differences(stack.dicom, stack.fhir) == []
    return stack


async def found(stack):
    return "\n".join(await differences(stack.dicom, stack.fhir))


async def first(stack, resource_type, holds=""):
    some = [one for one in await stack.resources(resource_type) if holds in json.dumps(one)]
    return some[0]


TWINS = ("Patient", "ImagingStudy", "Endpoint", "Device", "Observation")


@pytest.mark.parametrize("resource_type", TWINS)
async def test_a_twin_is_noticed(day, resource_type):
    one = await first(day, resource_type)
    await day.post({key: value for key, value in one.items() if key not in ("id", "meta")})
    assert f"twins: {resource_type}" in await found(day)


STALE = {
    "ImagingStudy": {
        "description": "other",
        "started": "1999-01-01",
        "numberOfInstances": 9,
        "modality": [],
        "status": "cancelled",
        "series": [],
    },
    "Patient": {"name": [], "gender": "unknown", "birthDate": "1901-01-01"},
    "Observation": {"focus": [], "identifier": []},
}


@pytest.mark.parametrize(("resource_type", "element"), [(one, name) for one in STALE for name in STALE[one]])
async def test_a_stale_element_is_noticed(day, resource_type, element):
    one = await first(day, resource_type)
    value = STALE[resource_type][element]
    if element == "identifier":
        value = [{**row, "value": "urn:oid:1.2.3"} for row in one["identifier"]]
    await day.put({**one, element: value} if value else {key: one[key] for key in one if key != element})
    assert await found(day)


@pytest.mark.parametrize("level", ["uid", "number", "sopClass"])
async def test_a_stale_instance_is_noticed(day, level):
    one = await first(day, "ImagingStudy", holds="thorax")
    other = {"uid": "1.2.3", "number": 77, "sopClass": {"code": "urn:oid:1.2.3"}}[level]
    one["series"][0]["instance"][0][level] = other
    await day.put(one)
    assert await found(day)


async def test_what_is_missing_or_left_over_is_noticed(day):
    study = await first(day, "ImagingStudy", holds=study_uid(2))
    await day.http.delete(f"{day.fhir}/ImagingStudy/{study['id']}")
    assert "not in FHIR" in await found(day)
    await day.drain()
    await day.delete(study_uid(2))
    await day.poll()
    assert "which is not there" in await found(day)


async def test_a_dead_reference_is_noticed(day):
    endpoint = await day.one("Endpoint")
    await day.http.delete(f"{day.fhir}/Endpoint/{endpoint['id']}")
    assert "that is not there" in await found(day)


async def test_an_update_that_never_arrived_is_noticed(day):
    await day.bulk_update(study_uid(2), **dataset(PatientID="MRN-0077"))
    assert "patient differs" in await found(day)


def test_leaks_are_noticed_and_not_repeated():
    private = next(iter(load.PRIVATE))
    assert leaks(load.PRIVATE, logs=f"x {private} y", tables=KEY, queue="1.2.840") == [
        "logs: private data in it",
        "tables: private data in it",
    ]
