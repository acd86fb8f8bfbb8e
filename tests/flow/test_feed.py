"""The change feed as the service really has it, end to end: versions, late rows, holes, resets, partitions."""

import logging

import pytest

from dev.process import Part, free_port
from dev.proxy.server import Proxy
from shared.errors import Misconfigured
from shared.worker import Worker
from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid
from tests.conftest import _empty
from tests.stack import Stack


async def listed(stack):
    """SOP Instance UIDs in FHIR."""
    studies = await stack.resources("ImagingStudy")
    return {one["uid"] for study in studies for series in study["series"] for one in series["instance"]}


async def pages(stack):
    return (await stack.dicom_requests())["requests"].get("changefeed", {}).get("GET", 0)


async def checkpoint(stack):
    (row,) = await stack.rows("SyncStateTable")
    return row["SyncedSequence"].value, row["Holes"]


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_what_was_stored_through_either_version_arrives(stack, version):
    await stack.store(*make_series(instances=3), version=version)
    await stack.store(make_instance(2), version="v2" if version == "v1" else "v1")
    assert await stack.drain() == {"created": 2}
    assert await listed(stack) == {*(sop_uid(1, 1, number) for number in (1, 2, 3)), sop_uid(2, 1, 1)}


@pytest.mark.not_on("dicom-server", "its gaps and late rows come by chance, not at a named row")
async def test_rows_that_become_visible_late_are_found(stack):
    await stack.store(make_instance(1, 1, 1))
    await stack.drain()
    await stack.dicom_dev("feed", {"hold": 3})
    await stack.store(make_instance(1, 1, 2), make_instance(2, 1, 1))
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 1)}")
    await stack.store(make_instance(3, 1, 1))
    await stack.drain()
    assert sop_uid(3, 1, 1) in await listed(stack)
    assert sop_uid(2, 1, 1) not in await listed(stack)
    await stack.dicom_dev("feed", {"release": True})
    await stack.drain()
    assert await listed(stack) == {sop_uid(1, 1, 2), sop_uid(2, 1, 1), sop_uid(3, 1, 1)}


@pytest.mark.not_on("dicom-server", "its gaps and late rows come by chance, not at a named row")
@pytest.mark.parametrize("width", [1, 999, 15_000])
async def test_holes_are_walked_over(stack, width):
    await stack.store(make_instance(1))
    await stack.drain()
    before = await pages(stack)
    await stack.dicom_dev("feed", {"skip": width})
    await stack.store(make_instance(2))
    polled = await stack.poll()
    assert (polled.entries, polled.sequence, polled.latest) == (1, width + 2, width + 2)
    assert await pages(stack) - before <= width // 100 + 2
    sequence, holes = await checkpoint(stack)
    assert sequence == width + 2
    assert len(holes) < 20_000, "a column holds 32,768 characters"
    await stack.drain()
    assert await listed(stack) == {sop_uid(1, 1, 1), sop_uid(2, 1, 1)}


@pytest.mark.not_on("dicom-server", "its gaps and late rows come by chance, not at a named row")
async def test_a_row_late_in_a_wide_hole_is_found(stack):
    """As of the deletion of a large study: its numbers are taken at once, and seen when it is committed."""
    await stack.store(make_instance(1), make_instance(2))
    await stack.drain()
    await stack.dicom_dev("feed", {"skip": 1_500, "hold": 1})
    await stack.delete(study_uid(1))
    await stack.dicom_dev("feed", {"skip": 1_500})
    await stack.store(make_instance(3))
    await stack.drain()
    assert await listed(stack) == {sop_uid(number, 1, 1) for number in (1, 2, 3)}
    await stack.dicom_dev("feed", {"release": True})
    await stack.drain()
    assert await listed(stack) == {sop_uid(2, 1, 1), sop_uid(3, 1, 1)}


async def test_rows_of_one_instant_are_all_read(stack):
    """A deletion writes all its rows with one timestamp; here they fill more than a page."""
    await stack.store(*make_series(1, 1, 130), make_instance(2))
    await stack.drain()
    await stack.delete(study_uid(1))
    rows = (await stack.http.get(f"{stack.dicom}/v1/changefeed?offset=131&limit=100&includeMetadata=false")).json()
    assert len({row["timestamp"] for row in rows}) == 1
    await stack.drain()
    assert await listed(stack) == {sop_uid(2, 1, 1)}


async def test_pages_that_fail_only_with_metadata_do_not_fail(stack):
    await stack.store(*make_series(instances=3))
    await stack.dicom_dev("faults", [{"route": "*", "status": 503, "only_with_metadata": True}])
    with_metadata = await stack.http.get(f"{stack.dicom}/v1/changefeed")
    assert with_metadata.status_code == 503
    assert await stack.drain() == {"created": 1}
    assert sum((await stack.dicom_requests())["faults"].values()) == 1, "the one above"


async def test_an_empty_feed_is_no_failure(stack):
    polled = await stack.poll()
    assert (polled.entries, polled.sequence, polled.latest) == (0, 0, 0)
    (row,) = await stack.rows("SyncStateTable")  # with its date, by which health sees that polls go on
    assert row["SyncedSequence"].value == 0


async def test_a_reset_is_said_once_and_changes_nothing(stack, caplog):
    caplog.set_level(logging.INFO)
    await stack.store(*make_series(instances=3))
    await stack.drain()
    before, state = await stack.versions(), await checkpoint(stack)
    await stack.dicom_dev("reset")
    await stack.store(make_instance(2))
    worker = Worker()
    for _ in range(3):
        assert await worker.poll() is None
    assert (await stack.versions(), await checkpoint(stack)) == (before, state)
    await stack.store(*make_series(3, 1, 5))  # now its feed is longer than the other was
    with pytest.raises(Misconfigured, match="another entry at 3"):
        await stack.app.lag()
    for _ in range(2):
        assert await worker.poll() is None
    await (await worker.app()).close()
    said = [(one.event, one.field_code) for one in caplog.records if getattr(one, "event", "").startswith("poll")]
    assert said == [("poll_failed", "feed-reset")]
    assert (await stack.versions(), await checkpoint(stack)) == (before, state)
    assert await stack.messages() == []


async def test_a_service_without_version_1_is_named(stack):
    await stack.store(make_instance(1))
    proxy = await Proxy(stack.dicom).start()
    try:
        proxy.use([{"path": "^/v1/", "status": 400}])
        app = stack.new_app(DicomWeb__PrivateEndpoint=proxy.url)
        with pytest.raises(Misconfigured, match="offers version 2 of its API and refuses version 1"):
            await stack.poll(app)
        assert await stack.rows("SyncStateTable") == []
        proxy.use([])
        assert await stack.drain(app) == {"created": 1}
    finally:
        await proxy.close()


async def test_partitions_that_are_switched_on_later(monkeypatch, azurite, fhir_server, tmp_path):
    """Everything is in the default partition then, which has to be named from now on."""
    port, folder = str(free_port()), str(tmp_path / "dicom")
    part = Part(("dicom", "--port", port, "--data", folder))
    stack = Stack(monkeypatch, azurite, part.urls["url"], fhir_server)
    try:
        _empty(part.urls["url"], fhir_server)
        await stack.store(make_instance(1, 1, 1), make_instance(1, 1, 2))
        await stack.drain()
        part.stop()
        part = Part(("dicom", "--port", port, "--data", folder, "--partitions"))
        default = f"{stack.dicom}/v2/partitions/Microsoft.Default"
        answer = await stack.http.delete(
            f"{default}/studies/{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 1)}"
        )
        assert answer.status_code == 204, answer.text
        await stack.drain()
        assert await listed(stack) == {sop_uid(1, 1, 2)}
        answer = await stack.http.delete(f"{default}/studies/{study_uid(1)}")
        assert answer.status_code == 204, answer.text
        await stack.drain()
        assert await stack.resources("ImagingStudy") == []
    finally:
        await stack.close()
        part.stop()
