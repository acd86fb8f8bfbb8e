"""Another DICOM service behind the address: nothing goes from FHIR, and nothing new is lost, on its word."""

from collections import Counter

import pytest

from dev.process import Part
from shared.model import DEFAULT_PARTITION, StudyChange, StudyKey
from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid
from tests.flow.life import assert_nothing_left
from tests.stack import Stack

STUDIES = range(1, 6)
RESET, UNCONFIRMED = ("retrying", "feed-reset"), ("retrying", "unconfirmed")


@pytest.fixture(scope="module")
def other_url():
    part = Part(("dicom", "--port", "0"))
    yield part.urls["url"]
    part.stop()


@pytest.fixture
async def other(stack, monkeypatch, other_url, prompt):
    """The other service, empty; its `worker` is the app of the stack with the address that leads there."""
    assert prompt is None
    other = Stack(monkeypatch, stack.azurite, other_url, stack.fhir)
    await other.dicom_dev("reset")
    other.worker = stack.new_app(DicomWeb__PrivateEndpoint=other_url)
    yield other
    await other.close()


async def work(app, *texts):
    """What became of these messages, and why."""
    results = [await app.runner.run(text) for text in texts]
    return Counter((str(result.outcome), result.code) for result in results)


def message(number):
    """Of somebody who asks for the whole study."""
    return StudyChange(StudyKey(DEFAULT_PARTITION, study_uid(number)), poll=1, part=-1).to_json()


@pytest.mark.parametrize("rows", [0, 3, 40], ids=["empty", "shorter", "longer"])
@pytest.mark.parametrize("asks_for", ["changes", "whole studies"])
async def test_what_is_absent_there_stays(stack, other, rows, asks_for):
    if rows:
        await other.store(*make_series(9, 1, rows))
    await stack.store(*(make_instance(number) for number in STUDIES))
    await stack.drain()
    before = await stack.versions()
    for number in STUDIES:
        await stack.store(make_instance(number, 1, 2))
    await stack.poll()
    texts = await stack.messages()
    if asks_for == "whole studies":
        texts = [message(number) for number in STUDIES]
    assert await work(other.worker, *texts) == {RESET: len(STUDIES)}
    assert await stack.versions() == before
    for text in texts:
        await stack.app.queue.send(StudyChange.from_json(text))
    await stack.drain()
    studies = await stack.resources("ImagingStudy")
    assert sorted(one["numberOfInstances"] for one in studies) == [2] * len(STUDIES)
    await assert_nothing_left(stack)


async def test_a_new_study_is_not_lost(stack, other):
    """A pass that finds nothing in DICOM and nothing in FHIR would be done with its message."""
    await other.store(*make_series(9, 1, 40))
    await stack.store(make_instance(1))
    await stack.poll()
    assert await work(other.worker, *await stack.messages()) == {RESET: 1}
    await stack.drain()
    assert len(await stack.resources("ImagingStudy")) == 1


@pytest.mark.parametrize("changed", [1, 20], ids=["read one by one", "read as a whole"])
async def test_a_copy_that_lacks_some_instances(stack, other, changed):
    """As of a service that was restored from a backup."""
    await stack.store(*make_series(1, 1, 30))
    await stack.drain()
    await other.store(*make_series(1, 1, 10), *make_series(9, 1, 40))
    await stack.bulk_update(study_uid(1), **{"00081030": {"vr": "LO", "Value": ["corrected"]}})
    await stack.poll()
    (text,) = await stack.messages()
    change = StudyChange.from_json(text)
    some = dict(
        sorted(change.instances.items(), key=lambda item: int(item[0].sop_instance_uid.split(".")[-1]))[-changed:]
    )
    listed = StudyChange(change.study, change.poll, 0, some).to_json()
    assert await work(other.worker, listed) == {RESET: 1}
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 30
    await stack.drain()
    assert (await stack.one("ImagingStudy"))["description"] == "corrected"


async def test_an_instance_that_is_known_there_without_an_identity_stays(stack, other):
    await stack.store(*make_series(1, 1, 3))
    await stack.drain()
    await other.store(make_instance(1, 1, 1), make_instance(1, 1, 2), make_instance(1, 1, 3, PatientID=""))
    assert await work(other.worker, message(1)) == {RESET: 1}
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 3


async def test_the_service_is_not_known_before_the_first_poll(stack):
    """As after taking over from DICOM Cast, or when the state tables were deleted."""
    await stack.store(make_instance(1), make_instance(2))
    await stack.drain()
    await stack.delete(study_uid(1))
    for table in ("SyncStateTable", "StudyStateTable", "PatientStateTable"):
        await stack.forget(table)
    app = stack.new_app()
    assert await work(app, message(1)) == {UNCONFIRMED: 1}
    assert len(await stack.resources("ImagingStudy")) == 2
    await stack.drain(app)
    assert [one["identifier"][0]["value"] for one in await stack.resources("ImagingStudy")] == [
        f"urn:oid:{study_uid(2)}"
    ]


async def test_a_checkpoint_of_dicom_cast_gets_its_fingerprint_by_the_next_poll(stack):
    """Though nothing is new then."""
    await stack.store(make_instance(1))
    await stack.drain()
    (row,) = await stack.rows("SyncStateTable")
    client = stack.tables.get_table_client(f"{stack.name}SyncStateTable")
    async with client:
        await client.upsert_entity(
            {name: row[name] for name in ("PartitionKey", "RowKey", "SyncedSequence")}, "replace"
        )
    polled = await stack.poll()
    assert (polled.entries, polled.messages) == (0, 0)
    assert [one["Witness"] for one in await stack.rows("SyncStateTable")] == [row["Witness"]]


async def test_a_feed_that_does_not_answer_deletes_nothing(between):
    between = await between("dicom")
    stack = between.stack
    await stack.store(make_instance(1))
    await stack.drain()
    await stack.delete(study_uid(1))
    await stack.poll()
    between["dicom"].use([{"path": "changefeed", "status": 503}])
    assert await work(stack.app, *await stack.messages()) == {UNCONFIRMED: 1}
    assert len(await stack.resources("ImagingStudy")) == 1


async def requests(stack):
    """Of the DICOM service, by kind, without those to stores and deletions."""
    counted = (await stack.dicom_requests())["requests"]
    return Counter({kind: methods.get("GET", 0) for kind, methods in counted.items()})


async def test_a_deletion_costs_no_more_requests_than_it_did(stack):
    """404, a row of the change feed, a search: the row takes the place of the end of the feed."""
    await stack.store(make_instance(1), make_instance(2))
    await stack.drain()
    await stack.delete(study_uid(1))
    await stack.poll()
    before, of_fhir = await requests(stack), await stack.fhir_requests()
    assert await work(stack.app, *await stack.messages()) == {("removed", ""): 1}
    assert await requests(stack) - before == {"metadata": 1, "changefeed": 1, "qido": 1}
    assert await stack.fhir_requests() - of_fhir <= 3


async def test_a_deletion_of_one_of_many_instances(stack):
    await stack.store(*make_series(1, 1, 20))
    await stack.drain()
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 3)}")
    await stack.drain()
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 19
    await assert_nothing_left(stack)
