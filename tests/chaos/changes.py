"""Make the planned changes of an archive, through its API."""

import asyncio
import random
from dataclasses import replace

import httpx
from pydicom.dataset import Dataset

from tests.builders import make_instance, part10, series_uid, sop_uid, study_uid
from tests.chaos import load
from tests.chaos.asking import JSON, TRIES, WAIT_S, ask
from tests.unit.datasets import dataset
from tests.unit.dose.reports import X_RAY_DOSE_SR, ct_report

BOUNDARY = "chaos"
UPDATE_TRIES = 3
UPDATE_S = 120
SOP, FAILED, REASON = "00081155", "00081198", "00081197"
ALREADY_THERE = 45070
PASSING = (272, 45071)  # could not process it; another request is storing it
FIRST_ELSEWHERE, ENTRIES_ELSEWHERE = 900, 12_000


async def perform(dicom, steps, seconds):
    """Make the changes at their times; it lasts as long as it was planned to."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    # the service closes idle connections whenever it likes, and an upload is no thing to repeat
    single_use = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=120, trust_env=False, limits=single_use, base_url=f"{dicom}/v2") as http:
        for step in steps:
            await asyncio.sleep(max(0, step.at_s - (loop.time() - started)))
            await take(http, step)
    await asyncio.sleep(max(0, seconds - (loop.time() - started)))


async def lengthen(dicom, *, partitioned):
    """Another archive, with other studies and a feed longer than that of any run."""
    partition = load.PARTITIONS[0] if partitioned else ""
    said = {**load.person(random.Random(0), 0), **load.equipment(0)}
    step = load.Step(0, "store", FIRST_ELSEWHERE, tuple((FIRST_ELSEWHERE, 1, place) for place in range(1, 201)), said)
    async with httpx.AsyncClient(timeout=120, trust_env=False, base_url=f"{dicom}/v2") as http:
        await _store_all(http, step, partition)
        for number in range(ENTRIES_ELSEWHERE // len(step.keys)):
            described = {"StudyDescription": f"elsewhere {number}"}
            await _update(http, study_uid(FIRST_ELSEWHERE), described, _prefix(partition))


async def take(http, step):
    """One step."""
    match step.kind:
        case "store" | "report":
            await _store_all(http, step, step.partition)
        case "move":
            deleted = replace(step, kind="delete study", keys=((step.study,),))
            if step.stores_first:
                await _store_all(http, step, step.to)
                await take(http, deleted)
            else:
                await take(http, deleted)
                await _store_all(http, step, step.to)
        case "update":
            await _update(http, study_uid(step.study), step.attributes, _prefix(step.partition))
        case _:
            path = f"{_prefix(step.partition)}/studies/{_path(step.keys[0])}"
            answer, refused = await ask(http, "DELETE", path)
            # what was refused may have been carried out
            assert answer.status_code == 204 or (refused and answer.status_code == 404), answer.text


def _prefix(partition):
    return f"/partitions/{partition}" if partition else ""


async def _store_all(http, step, partition):
    made = [_dataset(step.kind, key, step.attributes) for key in step.keys]
    if made:
        await _store(http, made, _prefix(partition))


def _dataset(kind, key, attributes):
    study, series, number = key
    if kind != "report" and series != load.REPORT_SERIES:
        return make_instance(study, series, number, **attributes)
    # each report holds the events of those before it
    events = [study * 100 + event for event in range(1, number + 1)]
    uids = {"StudyInstanceUID": study_uid(study), "SeriesInstanceUID": series_uid(study, series)}
    said = {name: value for name, value in attributes.items() if value is not None and name != "PatientName"}
    said["PatientName"] = {"Alphabetic": attributes["PatientName"]}
    report = ct_report(events, total=10 * number, number=number, **uids, SOPInstanceUID=sop_uid(*key))
    more = {"Modality": "SR", "StudyDate": "20210301", "SeriesNumber": series, "InstanceNumber": number}
    assert report["00080016"]["Value"] == [X_RAY_DOSE_SR]
    return Dataset.from_json(report | dataset(**said | more))


def _path(key):
    names = (
        study_uid(key[0]),
        "series",
        series_uid(*key[:2]) if key[1:] else "",
        "instances",
        sop_uid(*key) if key[2:] else "",
    )
    return "/".join(names[: 2 * len(key) - 1])


async def _store(http, datasets, prefix=""):
    """Store what is not there yet, again where the service could not for the moment."""
    left = {one.SOPInstanceUID: one for one in datasets}
    for _ in range(TRIES):
        answer = await _post(http, left.values(), prefix)
        assert answer.status_code in (200, 202, 409), (answer.status_code, answer.text)
        failed = {
            one[SOP]["Value"][0]: one[REASON]["Value"][0] for one in answer.json().get(FAILED, {}).get("Value", [])
        }
        left = {sop: left[sop] for sop, reason in failed.items() if reason != ALREADY_THERE}
        if not left:
            return
        assert set(failed.values()) <= {ALREADY_THERE, *PASSING}, answer.text
        await asyncio.sleep(WAIT_S)
    raise AssertionError(f"the service does not store {len(left)} instances: {failed}")


async def _post(http, datasets, prefix):
    parts = b"".join(
        b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (BOUNDARY.encode(), part10(one)) for one in datasets
    )
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}', **JSON}
    return (
        await ask(http, "POST", f"{prefix}/studies", content=parts + b"--%s--" % BOUNDARY.encode(), headers=headers)
    )[0]


async def _update(http, study, attributes, prefix=""):
    """Change a study. An update that fails is left as it is, which is as good a state to be in sync with."""
    changes = {name: {"Alphabetic": value} if name == "PatientName" else value for name, value in attributes.items()}
    body = {"studyInstanceUids": [study], "changeDataset": dataset(**changes)}
    for _ in range(UPDATE_TRIES):
        answer, _ = await ask(http, "POST", f"{prefix}/studies/$bulkUpdate", json=body)
        assert answer.status_code == 202, answer.text
        operation = answer.json()["href"]
        async with asyncio.timeout(UPDATE_S):
            while (answer := (await ask(http, "GET", operation))[0]).status_code != 200:
                await asyncio.sleep(0.05)
        if answer.json()["status"] == "succeeded":
            return
        await asyncio.sleep(WAIT_S)
