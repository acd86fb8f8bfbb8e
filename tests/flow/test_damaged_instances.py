"""Instances that damage the archive's answers about their whole study, on Microsoft's own DICOM service."""

import os
import subprocess

import httpx
import pytest
from pydicom.dataset import Dataset

from dev.microsoft import missing, program
from dev.process import free_port, wait_for_port
from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid
from tests.flow.test_bad_input import listed
from tests.stack import Stack

pytestmark = pytest.mark.skipif(bool(missing("dicom-server")), reason=missing("dicom-server"))
RECORDED = "unreadable-metadata: the service gives none"


@pytest.fixture
def dicom_server():
    """Start Microsoft's DICOM service with these faults; its URL."""
    started = []

    def start(**faults):
        port = free_port()
        process = subprocess.Popen(
            [program("dicom-server")],
            env={**os.environ, "PORT": str(port), **faults},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        wait_for_port(port, 60, process)
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def real(monkeypatch, azurite, fhir_server, dicom_server):
    """The app with Microsoft's DICOM service, started with these faults."""
    stacks = []
    monkeypatch.setattr("shared.sync.replica.LAG_S", 2)
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.02)
    httpx.post(fhir_server.split("/fhir")[0] + "/_dev/reset", trust_env=False).raise_for_status()

    def start(**faults):
        stacks.append(Stack(monkeypatch, azurite, dicom_server(**faults), fhir_server))
        return stacks[-1]

    yield start
    for stack in stacks:
        await stack.close()


def damaged(series=1, instance=1, *, keyword="SliceThickness", is_nested=True, study=1):
    r"""An instance with a DS or IS of the value `1\`, which the service stores and then cannot read."""
    dataset = make_instance(study, series, instance)
    holder = dataset
    if is_nested:
        holder = Dataset()
        dataset.RequestAttributesSequence = [holder]
    holder.add_new(keyword, "IS" if keyword == "AcquisitionNumber" else "DS", ["1", ""])
    return dataset


async def instances(stack):
    """What FHIR lists of each study, by its UID."""
    return {
        one["identifier"][0]["value"].removeprefix("urn:oid:"): sorted(listed(one))
        for one in await stack.resources("ImagingStudy")
    }


async def recorded(stack):
    rows = await stack.rows("DicomFailToStoreExceptionTable")
    return sorted((row["SeriesUid"], row["InstanceUid"], row["Exception"]) for row in rows)


def healthy(series, count, but=()):
    return sorted(sop_uid(1, series, number) for number in range(1, count + 1) if number not in but)


@pytest.mark.parametrize("per_series", [1, 2, 40])
async def test_the_rest_of_the_study_is_written_in_the_same_pass(real, per_series):
    """Small studies answer 503, larger ones 200 with half a body."""
    stack = real()
    second = [*make_series(series=2, instances=per_series - 1), damaged(2, per_series)]
    await stack.store(*make_series(instances=per_series), *second)
    await stack.store(make_instance(2))
    assert await stack.drain(waiting=1) == {"created": 2}
    rest = sorted(healthy(1, per_series) + healthy(2, per_series - 1))
    assert await instances(stack) == {study_uid(1): rest, study_uid(2): [sop_uid(2, 1, 1)]}
    assert await recorded(stack) == [(series_uid(1, 2), sop_uid(1, 2, per_series), RECORDED)]


@pytest.mark.parametrize("keyword", ["SliceThickness", "AcquisitionNumber"])
async def test_damage_that_version_1_took(real, keyword):
    stack = real()
    bad = damaged(1, 4, keyword=keyword, is_nested=False)
    await stack.store(*make_series(instances=3), bad, make_instance(2), version="v1")
    assert await stack.drain(waiting=1) == {"created": 2}
    assert (await instances(stack))[study_uid(1)] == healthy(1, 3)
    assert await recorded(stack) == [(series_uid(1, 1), sop_uid(1, 1, 4), RECORDED)]


async def test_later_changes_come_in_and_so_does_the_mended_instance(real):
    stack = real()
    await stack.store(*make_series(instances=12), damaged(1, 13), make_instance(2))
    await stack.drain(waiting=1)
    await stack.store(make_instance(instance=14))
    assert await stack.drain(waiting=1) == {"updated": 1}
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 2)}")
    assert await stack.drain(waiting=1) == {"updated": 1}
    assert (await instances(stack))[study_uid(1)] == healthy(1, 14, but=(2, 13))
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 13)}")
    await stack.store(make_instance(instance=13))
    assert await stack.drain(waiting=1) == {"updated": 1}
    assert (await instances(stack))[study_uid(1)] == healthy(1, 14, but=(2,))
    assert await recorded(stack) == []


async def test_a_study_that_is_deleted_goes_with_its_damage(real):
    stack = real()
    await stack.store(*make_series(instances=3), damaged(1, 4), make_instance(2))
    await stack.drain(waiting=1)
    await stack.delete(study_uid(1))
    await stack.drain(waiting=1)
    assert await instances(stack) == {study_uid(2): [sop_uid(2, 1, 1)]}
    assert await recorded(stack) == []


async def test_a_damaged_study_alone_in_the_archive(real):
    """There is nothing else to ask for: that the change feed answers is enough."""
    stack = real()
    await stack.store(damaged())
    assert await stack.drain(waiting=1) == {"unchanged": 1}
    assert await instances(stack) == {}
    assert await recorded(stack) == [(series_uid(1, 1), sop_uid(1, 1, 1), RECORDED)]


async def test_metadata_that_the_archive_lost(real):
    stack = real(MEMSTORE_LOSE_METADATA_EVERY="10")
    await stack.store(*make_series(instances=25), *make_series(series=2, instances=5))
    assert await stack.drain(waiting=1) == {"created": 1}
    rest = sorted(healthy(1, 25, but=(10, 20)) + healthy(2, 4))
    assert await instances(stack) == {study_uid(1): rest}
    lost = [(1, 10), (1, 20), (2, 5)]
    assert await recorded(stack) == sorted((series_uid(1, one), sop_uid(1, one, two), RECORDED) for one, two in lost)


@pytest.mark.usefixtures("prompt")
async def test_a_service_that_fails_now_and_then(real):
    stack = real(MEMSTORE_503_EVERY="7")
    for study in range(1, 6):
        await until_stored(stack, make_series(study, instances=12))
    await stack.drain()
    assert {len(found) for found in (await instances(stack)).values()} == {12}
    assert len(await instances(stack)) == 5
    assert await recorded(stack) == []


async def until_stored(stack, datasets):
    for dataset in datasets:
        for _ in range(10):
            try:
                await stack.store(dataset)
            except AssertionError:
                continue
            break
