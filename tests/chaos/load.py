"""A seeded day of an archive: uploads, corrections, deletions and dose reports, planned ahead so that two runs of one
seed do the same.
"""

import asyncio
import random
from dataclasses import dataclass, field

import httpx
from pydicom.dataset import Dataset

from tests.builders import make_instance, part10, series_uid, sop_uid, study_uid
from tests.chaos.asking import JSON, TRIES, WAIT_S, ask
from tests.unit.datasets import dataset
from tests.unit.dose.reports import X_RAY_DOSE_SR, ct_report

BOUNDARY = "chaos"
UPDATE_TRIES = 3
SOP, FAILED, REASON = "00081155", "00081198", "00081197"
ALREADY_THERE = 45070
PASSING = (272, 45071)  # could not process it; another request is storing it
STUDIES, PATIENTS, SCANNERS = 24, 8, 3
REPORT_SERIES = 9
FAMILIES = ("Zqvarnholt", "Zqmbeki", "Zqtanizaki", "Zqolsson", "Zqferreira", "Zqdubois", "Zqhaddad", "Zqkowal")
GIVENS = ("Zrannika", "Zrbosede", "Zrkenji", "Zrlasse", "Zrmarina", "Zrolivier", "Zryusuf", "Zrzofia")
WEIGHTS = {"store": 9, "report": 3, "update": 4, "delete instance": 3, "delete series": 1, "delete study": 2}
PRIVATE = {
    *FAMILIES,
    *GIVENS,
    *(f"ZQID{number:04}" for number in range(PATIENTS)),
    *(f"19{30 + number}{month}17" for number in range(PATIENTS) for month in ("09", "11")),
    *(f"19{30 + number}-{month}-17" for number in range(PATIENTS) for month in ("09", "11")),
}


@dataclass(frozen=True)
class Step:
    """One change of the archive, so many seconds after the start."""

    at_s: float
    kind: str
    study: int
    keys: tuple = ()
    attributes: dict = field(default_factory=dict)


def person(choose, number):
    """One patient; what is said of him differs now and then."""
    return {
        "PatientID": f"ZQID{number:04}",
        "PatientName": f"{FAMILIES[number]}^{choose.choice((GIVENS[number], GIVENS[number - 1]))}^^Dr",
        "PatientSex": choose.choice(("M", "F", "O")),
        "PatientBirthDate": f"19{30 + number}{choose.choice(('09', '09', '11'))}17",
    }


def equipment(number):
    return {
        "Manufacturer": "ACME",
        "ManufacturerModelName": "Ray",
        "DeviceSerialNumber": f"SN{number}",
        "StationName": f"CT{number}",
        "SoftwareVersions": "VA1",
    }


def plan(seed, seconds, steps_per_s=1.0):
    """Steps in their order."""
    choose = random.Random(seed)
    patient_of = {study: choose.randrange(PATIENTS) for study in range(STUDIES)}
    alive = set()
    steps = []
    for at_s in sorted(choose.uniform(0, seconds) for _ in range(int(seconds * steps_per_s))):
        kind = choose.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        study = choose.choice([key[0] for key in sorted(alive)]) if kind.startswith("delete") and alive else None
        study = choose.randrange(STUDIES) if study is None else study
        there = sorted(key for key in alive if key[0] == study)
        said = {
            **person(choose, patient_of[study]),
            "StudyDescription": choose.choice(("thorax", "abdomen", "follow-up")),
            "AccessionNumber": f"A{study}-{choose.randrange(3)}",
            "StudyTime": choose.choice(("101530", "101545")),
            "TimezoneOffsetFromUTC": choose.choice(("+0100", None)),
        }
        if kind == "store" or (kind != "report" and not there):
            kind, most = "store", choose.choice((1, 1, 3, 8, 25))
            keys = {(study, choose.randint(1, 2), choose.randint(1, 60)) for _ in range(most)} - alive
            more = {"Modality": "CT", "SeriesDescription": choose.choice(("axial", "coronal"))}
            steps.append(Step(at_s, kind, study, tuple(sorted(keys)), said | more | equipment(study % SCANNERS)))
            alive |= keys
        elif kind == "report":
            key = (study, REPORT_SERIES, choose.randint(1, 4))
            if key not in alive:
                steps.append(Step(at_s, kind, study, (key,), said | equipment(study % SCANNERS)))
                alive.add(key)
        elif kind == "update":
            if choose.random() < 0.4:
                patient_of[study] = choose.randrange(PATIENTS)
            told = person(choose, patient_of[study]) | {"StudyDescription": choose.choice(("thorax", "corrected"))}
            steps.append(Step(at_s, kind, study, (), told))
        else:
            depth = {"delete study": 1, "delete series": 2, "delete instance": 3}[kind]
            key = choose.choice(there)[:depth]
            steps.append(Step(at_s, kind, study, (key,)))
            alive -= {one for one in alive if one[:depth] == key}
    return steps


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


async def take(http, step):
    """One step."""
    match step.kind:
        case "store" | "report":
            made = [_dataset(step.kind, key, step.attributes) for key in step.keys]
            if made:
                await _store(http, made)
        case "update":
            await _update(http, study_uid(step.study), step.attributes)
        case _:
            answer, refused = await ask(http, "DELETE", "/studies/" + _path(step.keys[0]))
            # what was refused may have been carried out
            assert answer.status_code == 204 or (refused and answer.status_code == 404), answer.text


def _dataset(kind, key, attributes):
    study, series, number = key
    if kind == "store":
        return make_instance(study, series, number, **attributes)
    # each report holds the events of those before it
    events = [study * 100 + event for event in range(1, number + 1)]
    uids = {"StudyInstanceUID": study_uid(study), "SeriesInstanceUID": series_uid(study, series)}
    said = {name: value for name, value in attributes.items() if value is not None and name != "PatientName"}
    said["PatientName"] = {"Alphabetic": attributes["PatientName"]}
    report = ct_report(events, total=10 * number, number=number, **uids, SOPInstanceUID=sop_uid(*key))
    more = {"Modality": "SR", "StudyDate": "20210301", "SeriesNumber": series, "InstanceNumber": number}
    assert report["00080016"]["Value"] == [X_RAY_DOSE_SR]
    return Dataset.from_json(report | dataset(**said, **more))


def _path(key):
    names = (
        study_uid(key[0]),
        "series",
        series_uid(*key[:2]) if key[1:] else "",
        "instances",
        sop_uid(*key) if key[2:] else "",
    )
    return "/".join(names[: 2 * len(key) - 1])


async def _store(http, datasets):
    """Store what is not there yet, again where the service could not for the moment."""
    left = {one.SOPInstanceUID: one for one in datasets}
    for _ in range(TRIES):
        answer = await _post(http, left.values())
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


async def _post(http, datasets):
    parts = b"".join(
        b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (BOUNDARY.encode(), part10(one)) for one in datasets
    )
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}', **JSON}
    return (await ask(http, "POST", "/studies", content=parts + b"--%s--" % BOUNDARY.encode(), headers=headers))[0]


async def _update(http, study, attributes):
    """Change a study. Where each so-manieth step of the service fails, an update of many instances always does: it is
    then left as it is, which is as good a state to be in sync with.
    """
    changes = {name: {"Alphabetic": value} if name == "PatientName" else value for name, value in attributes.items()}
    body = {"studyInstanceUids": [study], "changeDataset": dataset(**changes)}
    for _ in range(UPDATE_TRIES):
        answer, _ = await ask(http, "POST", "/studies/$bulkUpdate", json=body)
        assert answer.status_code == 202, answer.text
        operation = answer.json()["href"]
        while (answer := (await ask(http, "GET", operation))[0]).status_code != 200:
            await asyncio.sleep(0.05)
        if answer.json()["status"] == "succeeded":
            return
        await asyncio.sleep(WAIT_S)
