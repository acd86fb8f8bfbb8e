"""The app in its Functions host and DICOM Cast in its process, each as it runs, with an interval of a second.

An archive that neither has seen is let go for each of them, from an empty FHIR server, when it is warm and idle.
Seconds are those until the last resource was written, waits of timer and queue included; CPU and memory are those of
the whole process tree: of the app, host and workers.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median
from typing import Any

from bench import data
from bench.bed import ANY_PORT, FIRST_START_S, Bed, Figures, away
from bench.container import Container
from bench.usage import cpu_s_of, peak_mb, tree
from dev.dose_sample import dose_report
from dev.microsoft import missing
from dev.parts import Host
from dev.process import ROOT, running
from dev.samples import ct_study

SIDES = ("app", "cast")
AWAY_S = 0.02
STORE_CALL_MS = 30
BESIDE, AWAY, MICROSOFT = "beside it", f"{AWAY_S * 1000:.0f} ms away", f"Microsoft's, {STORE_CALL_MS} ms a store call"
WAYS = (BESIDE, AWAY, MICROSOFT)
SCHEDULE, POLL_INTERVAL = "*/1 * * * * *", "00:00:01"
OUT = ROOT / "bench" / "out"
SAMPLE = ROOT / "local.settings.sample.json"
SUMMARY = "73569-6"
WARM_UP = 515_151
LOOK_S, QUIET_S, IDLE_S = 0.1, 0.4, 2.0
TIMEOUT_S = 3600.0
ROUNDS = 3  # of what is over in seconds, with the phase of a poll in it


@dataclass(frozen=True)
class Load:
    """What the archive holds when it is let go. `fill` stores it and returns how many dose reports are in it."""

    name: str
    instances: int
    fill: Callable[[Bed], int]
    rounds: int = 1


def burst(size: int, rounds: int = 1) -> Load:
    """One study."""

    def fill(bed: Bed) -> int:
        data.bulk(bed, size)
        return 0

    return Load(f"burst {size:,}", size, fill, rounds)


def day(studies: int) -> Load:
    """Many studies of several modalities, dose reports among them."""
    datasets = data.day(studies)

    def fill(bed: Bed) -> int:
        data.put(bed, datasets)
        return data.dose_reports(datasets)

    return Load(f"day of {studies} studies", len(datasets), fill)


def pairs(*, quick: bool) -> list[tuple[str, Load]]:
    """Ways to the FHIR server and loads to compare on; Microsoft's server where it is to be had."""
    loads = [burst(20), day(3)] if quick else [burst(100, ROUNDS), burst(1_000), day(60)]
    ways = WAYS[:-1] if missing("fhir-server") else WAYS
    return [(way, load) for way in ways for load in loads]


def compared(bed: Bed, way: str, load: Load) -> Figures:
    """Figures of both sides, of each that of the round with the median time."""
    with _way(bed, way) as (there, fhir, host):
        rounds = {side: [_measured(there, fhir, host, load, side) for _ in range(load.rounds)] for side in SIDES}
        own = _own(there, fhir, load) if load.instances == 100 else {}
    sides = {side: sorted(found, key=lambda one: one["seconds"])[len(found) // 2] for side, found in rounds.items()}
    return {"way": way, "load": load.name, "instances": load.instances, "host": host.value, "sides": sides, **own}


@contextlib.contextmanager
def _way(bed: Bed, way: str) -> Iterator[tuple[Bed, str, Host]]:
    """The servers, where both sides find FHIR, and what runs the app."""
    if way == BESIDE:
        yield bed, bed.fhir, Host.STAND_IN
    elif way == AWAY:
        with away(bed, AWAY_S) as url:
            yield bed, url, Host.STAND_IN
    else:
        slow = {"MEMSTORE_LATENCY_MS": str(STORE_CALL_MS)}
        log = OUT / "fhir-server.log"
        with running("fhir-server", *ANY_PORT, "--admin", env=slow, log=log, timeout_s=FIRST_START_S) as server:
            yield replace(bed, fhir_part=server), server.urls["url"], Host.STAND_IN if missing("func") else Host.FUNC


def _measured(bed: Bed, fhir: str, host: Host, load: Load, side: str) -> Figures:
    bed.empty()
    _warm_up(bed, 1)
    with _running(bed, side, fhir, host) as pid:
        _wait_until(bed, instances=2, reports=1)
        _warm_up(bed, 2)
        _wait_until(bed, instances=4, reports=2)
        bed.hold()
        reports = load.fill(bed)
        time.sleep(IDLE_S)
        before, cpu_s, released_at = bed.counters(), cpu_s_of(pid), time.time()
        bed.release()
        _wait_until(bed, instances=4 + load.instances, reports=2 + reports)
        used, after = cpu_s_of(pid) - cpu_s, bed.counters()
        return {
            "seconds": _last_written_at(bed) - released_at,
            "cpu_s": used,
            "peak_mb": sum(map(peak_mb, tree(pid))),
            **{name: after[name] - before[name] for name in ("fhir_requests", "fhir_sent", "dicom_requests")},
        }


def _warm_up(bed: Bed, number: int) -> None:
    """A study of two instances, one of them a dose report. DICOM Cast does not start on an empty feed."""
    images = list(ct_study(seed=WARM_UP + number, series=1, instances=1))
    data.put(bed, [*images, dose_report(images[0])])


@contextlib.contextmanager
def _running(bed: Bed, side: str, fhir: str, host: Host) -> Iterator[int]:
    """The side for the length of a `with` block; the process at the root of its tree."""
    env = bed.environment(fhir)
    if side == "cast":
        container = Container(env, POLL_INTERVAL)
        try:
            yield container.pid
        finally:
            container.close()
        return
    env |= {"SYNC_SCHEDULE": SCHEDULE, "FUNCTIONS_WORKER_RUNTIME": "python"}
    arguments = ("--app", str(ROOT), *ANY_PORT, "--settings", str(SAMPLE))
    with running(host.command, *arguments, env=env, log=OUT / "host.log", timeout_s=FIRST_START_S) as part:
        yield part.urls.get("pid", part.process.pid)


def _wait_until(bed: Bed, *, instances: int, reports: int) -> None:
    """Until all is in FHIR. That is asked when no request has come for a while, so that asking takes nothing away."""
    deadline = time.monotonic() + TIMEOUT_S
    asked, since = -1, time.monotonic()
    while time.monotonic() < deadline:
        total = bed.counters()["fhir_requests"]
        if total != asked:
            asked, since = total, time.monotonic()
        elif time.monotonic() - since >= QUIET_S:
            if _there(bed) == (instances, reports):
                return
            since = time.monotonic()
        time.sleep(LOOK_S)
    raise TimeoutError(f"FHIR has {_there(bed)} instances and dose reports, not {(instances, reports)}")


def _there(bed: Bed) -> tuple[int, int]:
    """Instances that the ImagingStudies list, and dose summaries."""
    found = bed.resources()
    listed = [series for one in found if one["resourceType"] == "ImagingStudy" for series in one.get("series", [])]
    return sum(len(series.get("instance", [])) for series in listed), sum(map(_is_summary, found))


def _is_summary(resource: dict[str, Any]) -> bool:
    codes = resource.get("code", {}).get("coding", []) if resource["resourceType"] == "Observation" else []
    return any(coding.get("code") == SUMMARY for coding in codes)


def _last_written_at(bed: Bed) -> float:
    """By the FHIR server's clock, which is that of this machine."""
    return max(datetime.fromisoformat(one["meta"]["lastUpdated"]).timestamp() for one in bed.resources())


def _own(bed: Bed, fhir: str, load: Load) -> Figures:
    """What the app needs without timer and queue trigger, and how long of it it waits for DICOM and FHIR."""
    found = []
    for _ in range(load.rounds):
        bed.empty()
        data.put(bed, list(ct_study(seed=WARM_UP, series=1, instances=1)))
        with bed.side("app", bed.environment(fhir)) as side:
            side.catch_up(bed)
            bed.hold()
            load.fill(bed)
            found.append(side.catch_up(bed))
    return {name: median(one[key] for one in found) for name, key in (("own_s", "seconds"), ("answers_s", "answers_s"))}
