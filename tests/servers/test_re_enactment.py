"""The re-enactment of DICOM Cast, which takes its place where it is not to be had, asks what it asks."""

import asyncio
import json
import re

import pytest

from bench.dicom_cast.resources import EndedError
from bench.dicom_cast.worker import DicomCast as ReEnactment
from dev.dose_sample import dose_report
from dev.proxy.server import Proxy
from tests.builders import make_instance, series_uid, sop_uid, study_uid
from tests.dicom_cast import EQUIPMENT, DicomCast, needs_dicom_cast, without_a_concept_code
from tests.unit.datasets import dataset

pytestmark = needs_dicom_cast
SERVER_ID = re.compile(r"\b(Patient|Endpoint|ImagingStudy|Observation)/[0-9a-f-]{36}")
HEADERS = ("accept", "content-type", "x-bundle-processing-logic", "cache-control", "prefer")


class Recorder(Proxy):
    """Keeps the requests that pass it."""

    def __init__(self, to):
        super().__init__(to)
        self.calls = []

    async def _upstream(self, call):
        self.calls.append(call)
        return await super()._upstream(call)


async def fill(stack):
    image = make_instance(1, 1, 1, **EQUIPMENT)
    await stack.store(image, make_instance(1, 1, 2, **EQUIPMENT), dose_report(image))
    late = {"StudyTime": "101530.500", "TimezoneOffsetFromUTC": "+0100", "PatientBirthDate": "", "PatientSex": "O"}
    await stack.store(make_instance(2, AccessionNumber="ACC2", **late), make_instance(3, PatientID=""))
    await stack.store(make_instance(4, PatientID="MRN-0004", StudyDescription=None, SeriesDescription=None))
    await stack.store(make_instance(4, 1, 2, PatientID="MRN-0004", AccessionNumber="ACC3"))


async def remove(stack):
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 2)}")
    await stack.delete(study_uid(2))


def comparable(calls):
    """Method, path, headers and body without what servers and chance choose, the entries of a bundle in any order."""
    return [_comparable(call) for call in calls if not call.path.endswith("/health/check")]


def _comparable(call):
    headers = {name.lower(): value for name, value in call.headers if name.lower() in HEADERS}
    body = json.loads(call.body) if call.body else {}
    entries = body.pop("entry", [])
    new = {one["fullUrl"]: f"new {one['resource']['resourceType']}" for one in entries if one["fullUrl"][:4] == "urn:"}
    texts = sorted(_text_of(one, new) for one in entries)
    return [call.method, call.path, headers, body, [json.loads(text) for text in texts]]


def _text_of(entry, new):
    resource = {name: value for name, value in entry["resource"].items() if name not in ("meta", "id")}
    source = entry["resource"].get("meta", {}).get("source")
    request = entry["request"] | ({"ifMatch": "a version"} if "ifMatch" in entry["request"] else {})
    text = json.dumps(
        {"of": entry["fullUrl"], "resource": resource, "source": source, "request": request}, sort_keys=True
    )
    for url, name in new.items():
        text = text.replace(url, name)
    return SERVER_ID.sub(r"\1/id", text)


async def requests_of(stack, catch_up):
    """What is asked of FHIR by someone who writes all that is there, and follows two deletions."""
    recorder = await Recorder(stack.fhir).start()
    try:
        await fill(stack)
        await catch_up(recorder.url)
        await remove(stack)
        await catch_up(recorder.url)
    finally:
        await recorder.close()
    return comparable(recorder.calls)


async def test_it_sends_the_requests_of_the_real_one(stack, emptied, tmp_path):
    one = None

    async def real(fhir):
        nonlocal one
        one = one or DicomCast(stack, tmp_path / "log", fhir).start()
        await one.until_read()

    try:
        expected = await requests_of(stack, real)
    finally:
        one.stop()
    emptied()
    other = None

    async def re_enacted(fhir):
        nonlocal other
        other = other or ReEnactment(stack.dicom, fhir)
        await asyncio.to_thread(other.catch_up)

    assert await requests_of(stack, re_enacted) == expected
    other.close()


async def correct(stack):
    await stack.store(make_instance(2))
    await stack.bulk_update(study_uid(2), **dataset(StudyDescription="corrected"))


async def store_without_a_concept_code(stack):
    await stack.store(without_a_concept_code(2))


@pytest.mark.parametrize("ends_it", [correct, store_without_a_concept_code])
async def test_it_ends_at_what_the_real_one_ends_at(stack, tmp_path, ends_it):
    await stack.store(make_instance(1))
    await ends_it(stack)
    cast = DicomCast(stack, tmp_path / "log")
    await cast.end_by_itself()
    other = ReEnactment(stack.dicom, stack.fhir)
    with pytest.raises(EndedError):
        await asyncio.to_thread(other.catch_up)
    other.close()
    assert other.sequence == await cast.sequence() == 0
