"""1, 2, 4 and 8 worker processes on one queue, and an upload's way until it can be seen in FHIR.

Workers of the first kind meet a FHIR server at once; those of the second meet one that is a network away and works on a
few requests at a time: a proxy holds every request back for a while, which costs no CPU. Each worker takes one message
at a time.
"""

import time
from datetime import datetime
from statistics import median, quantiles
from typing import Any

from bench import data
from bench.bed import ANY_PORT, Bed, Figures, Side, away
from bench.scenarios import WARM_UP
from dev.process import ROOT, running
from dev.samples import ct_study

COUNTS = (1, 2, 4, 8)
AWAY_S = 0.1
PLACES = 4  # of that server
INSTANCES = 20
SCHEDULE = "*/2 * * * * *"
UPLOAD_EVERY_S = 0.4
TIMEOUT_S = 60.0
HOST_LOG = ROOT / "bench" / "out" / "host.log"


def workers(bed: Bed, studies: int) -> list[Figures]:
    """Studies a second, and how busy each service was, with each number of workers, near and far."""
    found = [_workers(bed, studies, count, away_s=0) for count in COUNTS]
    with away(bed, AWAY_S, PLACES) as fhir:
        found += [_workers(bed, studies, count, AWAY_S, fhir) for count in COUNTS]
    return found


def _workers(bed: Bed, studies: int, count: int, away_s: float, fhir: str | None = None) -> Figures:
    bed.empty()
    data.put(bed, list(ct_study(seed=WARM_UP, series=1, instances=1)))
    environment = bed.environment(fhir)
    sides = [Side("app", environment) for _ in range(count)]
    try:
        sides[0].do(do="catch_up")
        for number, side in enumerate(sides[1:], start=1):
            data.put(bed, list(ct_study(seed=WARM_UP + number, series=1, instances=1)))
            side.do(do="catch_up")
        data.bulk(bed, INSTANCES, studies=studies)
        sides[0].do(do="poll")
        before, started = bed.counters(), time.perf_counter()
        for side in sides:
            side.send(do="work", concurrency=1)
        answers = [side.answer() for side in sides]
        seconds, after = time.perf_counter() - started, bed.counters()
    finally:
        for side in sides:
            side.close()
    asked = after["fhir_requests"] - before["fhir_requests"]
    busy = {name: (after[f"{name}_cpu_s"] - before[f"{name}_cpu_s"]) / seconds for name in ("fhir", "dicom", "storage")}
    return {
        "workers": count,
        "away_s": away_s,
        "studies_per_s": studies / seconds,
        "each": [answer["messages"] for answer in answers],
        "places_used": asked * away_s / seconds,
        "busy": {"app": sum(answer["cpu_s"] for answer in answers) / seconds, **busy},
    }


def latency(bed: Bed, uploads: int) -> Figures:
    """Seconds from the end of an upload until its ImagingStudy is there; the app is in its host and polls every 2 s."""
    bed.empty()
    environment = {**bed.environment(), "SYNC_SCHEDULE": SCHEDULE, "FUNCTIONS_WORKER_RUNTIME": "python"}
    sample = ROOT / "local.settings.sample.json"
    with running("host", "--app", str(ROOT), *ANY_PORT, "--settings", str(sample), env=environment, log=HOST_LOG):
        data.put(bed, list(ct_study(seed=WARM_UP, series=1, instances=1)))
        _visible(bed, 1)
        stored: dict[str, float] = {}
        for number in range(uploads):
            datasets = list(ct_study(seed=9_000 + number, series=1, instances=2))
            data.put(bed, datasets)
            stored[f"urn:oid:{datasets[0].StudyInstanceUID}"] = time.time()
            time.sleep(UPLOAD_EVERY_S)
        visible = _visible(bed, uploads + 1)
    took = [max(0.0, visible[uid] - at) for uid, at in stored.items()]
    return {"uploads": uploads, "median_s": median(took), "p99_s": quantiles(took, n=100)[98], "longest_s": max(took)}


def _visible(bed: Bed, uploads: int) -> dict[str, float]:
    """When each ImagingStudy was written first, by the FHIR server's clock, which is that of this machine."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        found = {_uid(one): one for one in bed.resources() if one["resourceType"] == "ImagingStudy"}
        if len(found) >= uploads:
            return {uid: datetime.fromisoformat(one["meta"]["lastUpdated"]).timestamp() for uid, one in found.items()}
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {len(found)} of {uploads} uploads are visible after {TIMEOUT_S:.0f} s")
        time.sleep(0.2)


def _uid(study: dict[str, Any]) -> str:
    uid: str = next(row["value"] for row in study["identifier"] if row.get("system") == "urn:dicom:uid")
    return uid
