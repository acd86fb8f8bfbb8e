"""Microsoft's own DICOM Cast hands over to the app, takes back, and hands over again.

Duplicates, ids, dose reports and failures are counted after each step. tests/flow/test_take_over.py has single rules of
the takeover, for machines without DICOM Cast.
"""

import asyncio
import json
from collections import Counter

import pytest

from dev.dose_sample import dose_report
from dev.proxy.server import Proxy
from shared import operate
from tests.builders import make_instance, series_uid, sop_uid, study_uid
from tests.dicom_cast import EQUIPMENT, DicomCast, needs_dicom_cast, without_a_concept_code
from tests.flow.life import ERROR_TABLES, differences, linked
from tests.unit.datasets import dataset

pytestmark = needs_dicom_cast
SUMMARY, EVENT = "73569-6", "113852"
PAGE = 10  # entries that DICOM Cast reads before it writes its checkpoint
LATEST = 17  # entries of `fill`
ONE_REPORT = (1, 2)  # a summary and its events


@pytest.fixture
def client_ids():
    return True


@pytest.fixture
async def cast(stack, tmp_path):
    """DICOM Cast on the servers and tables of the stack, not started yet."""
    one = DicomCast(stack, tmp_path / "dicom-cast.log")
    yield one
    one.stop()


async def killed_within(stack, log, transactions):
    """Start a DICOM Cast, and kill it when it waits for the answer to its next transaction after so many."""
    proxy = await Proxy(stack.fhir).start()
    proxy.use([{"kind": "slow", "seconds": 600, "skip": transactions, "methods": ["POST"]}])
    one = DicomCast(stack, log, proxy.url).start()
    try:
        while not proxy.rules.stats.faults:
            await asyncio.sleep(0.1)
    finally:
        one.kill()
        await proxy.close()


class Held(Proxy):
    """Holds transactions back until they are let go."""

    def __init__(self, to):
        super().__init__(to)
        self.reached, self.let_go = asyncio.Event(), asyncio.Event()

    async def _upstream(self, call):
        if call.method == "POST":
            self.reached.set()
            await self.let_go.wait()
        return await super()._upstream(call)


def with_dose(study, patient="MRN-0001"):
    """Two images and a dose report with two irradiation events."""
    images = [make_instance(study, 1, number, PatientID=patient, **EQUIPMENT) for number in (1, 2)]
    return [*images, dose_report(images[0])]


async def ids(stack):
    return {(one["resourceType"], one["id"]) for one in await stack.resources()}


async def kept_ids(stack):
    """Those that no takeover changes; of Observations, the summaries'."""
    return {one for one in await ids(stack) if one[0] in ("Patient", "Endpoint", "ImagingStudy")}


async def twins(stack):
    """Identities that several resources have; of Observations `doses` tells."""
    found = [one for one in await stack.resources() if one["resourceType"] != "Observation"]
    names = Counter((one["resourceType"], json.dumps(one.get("identifier", [one.get("name")])[0])) for one in found)
    return [name for name, count in names.items() if count > 1]


def study_of(resource):
    """The number of the study that it is or belongs to."""
    values = [one.get("value", "").removeprefix("urn:oid:") for one in resource.get("identifier", [])]
    return next((number for number in range(1, 30) if study_uid(number) in values), None)


async def doses(stack):
    """Of each study the numbers of summaries and of events."""
    found = Counter()
    for one in await stack.resources("Observation"):
        found[study_of(one), one["code"]["coding"][0]["code"]] += 1
    return {study: (found[study, SUMMARY], found[study, EVENT]) for study, _ in found}


async def summaries(stack):
    """Ids of the summaries by study."""
    found = [one for one in await stack.resources("Observation") if one["code"]["coding"][0]["code"] == SUMMARY]
    return {number: {one["id"] for one in found if study_of(one) == number} for number in map(study_of, found)}


async def studies(stack):
    return {study_of(one): one for one in await stack.resources("ImagingStudy")}


async def failures(stack):
    """Of each error table the studies that have rows, and how many."""
    found = {table: Counter(row["StudyUid"] for row in await stack.rows(table)) for table in ERROR_TABLES}
    return {table: dict(rows) for table, rows in found.items() if rows}


async def assert_as_new(stack, fresh_projection, *numbers):
    """These studies, and what belongs to them, are as if the app had written them from the beginning."""
    fresh = [one for one in await fresh_projection() if study_of(one) in numbers]
    found = [one for one in await stack.content() if study_of(one) in numbers]
    assert {study_of(one) for one in fresh} == set(numbers)
    assert differences(without_older_notes(found), without_older_notes(fresh)) == []


async def assert_all_as_new(stack, fresh_projection):
    found, fresh = linked(await stack.content()), linked(await fresh_projection())
    assert differences(without_older_notes(found), without_older_notes(fresh)) == []


def without_older_notes(content):
    """The newest note alone: descriptions that were corrected while DICOM Cast ran stay as notes."""
    return [one | {"note": one["note"][-1:]} if "note" in one else one for one in content]


async def operated(*arguments):
    return await asyncio.to_thread(operate.main, arguments)


NO_PATIENT, AMBIGUOUS = "DicomFailToStoreExceptionTable", "FhirFailToStoreExceptionTable"


async def fill(stack):
    """An archive of 17 rows: two accession numbers in study 1, dose reports in 2 to 5, study 6 of a patient whom FHIR
    has twice, study 7 without a patient.
    """
    for _ in range(2):
        await stack.post({"resourceType": "Patient", "identifier": [{"value": "MRN-0009"}]})
    await stack.store(make_instance(1, AccessionNumber="A1"))
    await stack.store(make_instance(1, 1, 2, AccessionNumber="A2"))
    await stack.store(make_instance(6, PatientID="MRN-0009"))
    await stack.store(make_instance(7, PatientID=""))
    for number in range(2, 6):
        await stack.store(*with_dose(number, f"MRN-{number // 2}"))
    await stack.store(make_instance(8))


async def test_taken_over_mid_feed_given_back_and_taken_over_again(stack, cast, tmp_path, fresh_projection):
    await fill(stack)
    await killed_within(stack, tmp_path / "killed.log", transactions=12)
    written = await written_by_dicom_cast(stack, cast)
    await take_over(stack, cast, written, fresh_projection)
    await correct_and_delete(stack, written, fresh_projection)
    await retry_its_failures(stack, fresh_projection)
    written = await give_back(stack, cast)
    await take_over_again(stack, written, fresh_projection)


async def written_by_dicom_cast(stack, cast):
    """It was killed in the middle of its second page, with rows of it in FHIR. Ids of resources, and of summaries."""
    assert (await stack.app.dicom.latest_sequence(), await cast.sequence()) == (LATEST, PAGE)
    assert await doses(stack) == dict.fromkeys((2, 3, 4), ONE_REPORT)
    assert set(await studies(stack)) == {1, 2, 3, 4, 5}
    assert await failures(stack) == {NO_PATIENT: {study_uid(7): 1}, AMBIGUOUS: {study_uid(6): 1}}
    return await kept_ids(stack), await summaries(stack)


async def take_over(stack, cast, written, fresh_projection):
    """The app goes on exactly there; nothing is doubled, ids stay."""
    theirs, their_summaries = written
    polled = await stack.poll()
    assert (polled.entries, polled.sequence) == (LATEST - PAGE, LATEST)
    await stack.drain()
    assert await cast.sequence() == LATEST
    assert theirs <= await ids(stack)
    assert set(await studies(stack)) == {1, 2, 3, 4, 5, 8}
    assert await doses(stack) == dict.fromkeys((2, 3, 4, 5), ONE_REPORT)
    assert {number: (await summaries(stack))[number] for number in their_summaries} == their_summaries
    assert (await failures(stack)).keys() == {NO_PATIENT, AMBIGUOUS}
    await assert_as_new(stack, fresh_projection, 4, 5, 8)


async def correct_and_delete(stack, written, fresh_projection):
    theirs, their_summaries = written
    (deleted,) = [("ImagingStudy", one["id"]) for number, one in (await studies(stack)).items() if number == 4]
    await stack.store(make_instance(1, 1, 3, AccessionNumber="A2"))
    await stack.bulk_update(study_uid(2), **dataset(StudyDescription="corrected", PatientID="MRN-2"))
    await stack.delete(f"{study_uid(3)}/series/{series_uid(3, 1)}/instances/{sop_uid(3, 1, 1)}")
    await stack.delete(study_uid(4))
    await stack.drain()
    assert theirs - {deleted} <= await ids(stack)
    assert set(await studies(stack)) == {1, 2, 3, 5, 8}
    assert await doses(stack) == dict.fromkeys((2, 3, 5), ONE_REPORT)
    assert [(await summaries(stack))[number] for number in (2, 3)] == [their_summaries[number] for number in (2, 3)]
    assert {one["value"] for one in (await studies(stack))[1]["identifier"][1:]} == {"A1", "A2"}
    await assert_as_new(stack, fresh_projection, 1, 2, 3, 5, 8)


async def retry_its_failures(stack, fresh_projection):
    """One study comes in by a later change, the other when its second Patient is gone and it is tried again."""
    await stack.bulk_update(study_uid(7), **dataset(PatientID="MRN-0007"))
    await stack.drain()
    assert set(await studies(stack)) == {1, 2, 3, 5, 7, 8}
    assert NO_PATIENT not in await failures(stack)
    second = [one for one in await stack.resources("Patient") if one["identifier"][0]["value"] == "MRN-0009"][1]
    await stack.http.delete(f"{stack.fhir}/Patient/{second['id']}")
    stack.new_app()  # the operator's settings are those of this app again
    assert await asyncio.to_thread(operate.main, ("retry", "--code", "dicom-cast")) == 0
    await stack.drain()
    assert await failures(stack) == {}
    assert set(await studies(stack)) == {1, 2, 3, 5, 6, 7, 8}
    assert await twins(stack) == []
    await assert_all_as_new(stack, fresh_projection)


async def give_back(stack, cast):
    """DICOM Cast goes on where the app left the feed. It deletes the dose of a study with any instance of it."""
    before, kept = await kept_ids(stack), await doses(stack)
    await stack.store(*with_dose(9, "MRN-0009"), make_instance(2, 1, 3, PatientID="MRN-2", **EQUIPMENT))
    await stack.delete(f"{study_uid(5)}/series/{series_uid(5, 1)}/instances/{sop_uid(5, 1, 1)}")
    await cast.catch_up()
    assert await twins(stack) == []
    assert before <= await ids(stack)
    assert await doses(stack) == {number: kept[number] for number in (2, 3)} | {9: ONE_REPORT}
    assert set(await studies(stack)) == {1, 2, 3, 5, 6, 7, 8, 9}
    assert (await failures(stack)).keys() <= {"TransientRetryExceptionTable"}
    return await kept_ids(stack), await summaries(stack)


async def take_over_again(stack, written, fresh_projection):
    """Without a change in DICOM, what DICOM Cast left is as the app writes it."""
    theirs, their_summaries = written
    await stack.drain()
    assert await twins(stack) == []
    assert theirs <= await ids(stack)
    assert (await summaries(stack))[9] == their_summaries[9]
    assert await doses(stack) == dict.fromkeys((2, 3, 5, 9), ONE_REPORT)
    assert await failures(stack) == {}
    await assert_all_as_new(stack, fresh_projection)


async def correct(stack, study):
    await stack.bulk_update(study_uid(study), **dataset(StudyDescription="corrected"))


async def store_without_a_concept_code(stack, study):
    await stack.store(without_a_concept_code(study))


@pytest.mark.parametrize("ends_it", [correct, store_without_a_concept_code])
async def test_in_its_crash_loop(stack, cast, fresh_projection, ends_it):
    """Each restart doubles the dose before the row that ends it; nothing behind it is ever looked at."""
    await stack.store(*with_dose(1), make_instance(2))
    await ends_it(stack, 2)
    await stack.store(make_instance(3))
    for restart in range(1, 4):
        await cast.end_by_itself()
        assert await doses(stack) == {1: (restart, 2 * restart)}
    assert await cast.sequence() == 0
    assert set(await studies(stack)) == {1, 2}
    theirs, their_summaries = await kept_ids(stack), await summaries(stack)

    await stack.drain()
    assert await twins(stack) == []
    assert theirs <= await ids(stack)
    assert (await doses(stack))[1] == ONE_REPORT
    assert (await summaries(stack))[1] < their_summaries[1]
    assert set(await studies(stack)) == {1, 2, 3}
    assert await failures(stack) == {}
    await assert_all_as_new(stack, fresh_projection)

    # back: until the next of the same kind
    await stack.store(make_instance(4))
    await cast.catch_up()
    assert set(await studies(stack)) == {1, 2, 3, 4}
    await ends_it(stack, 4 if ends_it is correct else 5)
    await cast.end_by_itself()

    await stack.drain()
    assert await twins(stack) == []
    await assert_all_as_new(stack, fresh_projection)


TEN = range(1, 11)


async def test_both_at_once(stack, tmp_path, fresh_projection):
    """An operator forgets the container: what both wrote is in sync after the next look at each study."""
    await stack.store(make_instance(20))
    await stack.drain()
    held = await Held(stack.fhir).start()
    cast = DicomCast(stack, tmp_path / "dicom-cast.log", held.url).start()
    try:
        for number in TEN:
            await stack.store(*with_dose(number, f"MRN-{number}"))
        await held.reached.wait()
        await stack.drain()
        assert await doses(stack) == dict.fromkeys(TEN, ONE_REPORT)
        held.let_go.set()
        await cast.until_read()
    finally:
        cast.stop()
        await held.close()
    assert await doses(stack) == dict.fromkeys(TEN, (2, 4))
    assert await twins(stack) == []

    await stack.store(*(make_instance(number, 2, 1, PatientID=f"MRN-{number}", **EQUIPMENT) for number in TEN))
    await stack.drain()
    assert await twins(stack) == []
    assert await doses(stack) == dict.fromkeys(TEN, ONE_REPORT)
    assert await failures(stack) == {}
    await assert_all_as_new(stack, fresh_projection)
