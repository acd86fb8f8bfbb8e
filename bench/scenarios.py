"""The scenarios: the same things happen in DICOM before the app and before DICOM Cast, on the same servers.

They are held back until all of it is there. DICOM Cast is the real one where it is to be had, else its re-enactment.
The app is driven without timer and queue trigger here; bench/in_hosts.py has both sides as they run.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from bench import data
from bench.bed import Bed, Figures, Side, away
from bench.container import Container
from dev.samples import ct_study

SIDES = ("app", "cast")
NUMBERS = ("seconds", "cpu_s", "answers_s", "entries", "messages")
WARM_UP = 424_242
AWAY_S = 0.02
# what takes less than a tenth of a second is measured several times
SHORT, ROUNDS = 100, 5


@dataclass(frozen=True)
class Scenario:
    """`prepare` fills the archive before anything is measured; each of `steps` changes it, then both sides catch up.

    Of several `rounds`, each from nothing, the one with the median time counts. DICOM Cast stops after `most` entries:
    what it would have needed for all is then an extrapolation. What ends it (`ends_cast`) is measured of the app alone.
    """

    name: str
    instances: int
    steps: tuple[Callable[[Bed], object], ...]
    prepare: Callable[[Bed], object] | None = None
    most: int | None = None
    idle_polls: int = 0
    away_s: float = 0
    rounds: int = 1
    ends_cast: bool = False


def run(bed: Bed, scenario: Scenario) -> Figures:
    """Figures of each side. Both are warm: imports are done, connections open, the Endpoint is there."""
    sides = SIDES[:1] if scenario.ends_cast else SIDES
    with _fhir(bed, scenario.away_s) as fhir:
        measured = {
            side: _median([_side(bed.empty(), scenario, side, fhir) for _ in range(scenario.rounds)]) for side in sides
        }
    return {"name": scenario.name, "instances": scenario.instances, **measured}


def _median(rounds: list[Figures]) -> Figures:
    return sorted(rounds, key=lambda one: one["seconds"])[len(rounds) // 2]


@contextmanager
def _fhir(bed: Bed, away_s: float) -> Iterator[str]:
    """Where the sides find the FHIR server: beside them, or behind a proxy that holds each request back."""
    if away_s:
        with away(bed, away_s) as url:
            yield url
    else:
        yield bed.fhir


def _side(bed: Bed, scenario: Scenario, name: str, fhir: str) -> Figures:
    data.put(bed, list(ct_study(seed=WARM_UP, series=1, instances=1)))
    if scenario.prepare:
        scenario.prepare(bed)
    with bed.side(name, bed.environment(fhir)) as side:
        side.catch_up(bed)
        used, total = Counter[str](), Counter[str]()
        storage: Counter[str] = Counter()
        peak = 0.0
        for step in scenario.steps or (lambda _: None,):
            bed.hold()
            step(bed)
            before = bed.counters()
            found = _caught_up(bed, side, scenario)
            after = bed.counters()
            used.update({key: after[key] - before[key] for key in before})
            total.update({key: found[key] for key in NUMBERS if key in found})
            storage.update(found["storage"])
            peak = found["peak_mb"]
        return {
            **used,
            **total,
            "storage": dict(storage),
            "storage_calls": storage.total(),
            "peak_mb": peak,
            "start_s": side.start_s,
        }


def _caught_up(bed: Bed, side: Side | Container, scenario: Scenario) -> Figures:
    if not scenario.idle_polls:
        return side.catch_up(bed, scenario.most)
    found = [side.do(do="poll") for _ in range(scenario.idle_polls)]
    storage: Counter[str] = Counter()
    for one in found:
        storage.update(one["storage"])
    sums = {key: sum(one[key] for one in found) for key in ("seconds", "cpu_s")}
    return {**found[-1], **sums, "storage": storage}


def burst(size: int, most: int | None = None) -> Scenario:
    """One study, all at once."""
    steps = (lambda bed: data.bulk(bed, size),)
    return Scenario(f"burst {size:,}", size, steps, most=most, rounds=ROUNDS if size <= SHORT else 1)


def far_burst(size: int, most: int | None = None) -> Scenario:
    """The same with the FHIR server in another building."""
    name = f"FHIR {AWAY_S * 1000:.0f} ms away, burst {size:,}"
    return replace(burst(size, most), name=name, away_s=AWAY_S)


def modality(size: int, polls: int) -> Scenario:
    """One study that arrives over many polls."""
    parts = list(data.portions(list(ct_study(seed=11, instances=size)), polls))
    return Scenario(f"{size:,} over {polls} polls", size, tuple(_putting(part) for part in parts))


def day(studies: int, polls: int) -> Scenario:
    """Many studies of several modalities, dose reports among them."""
    datasets = data.day(studies)
    parts = list(data.portions(datasets, polls))
    return Scenario(f"day of {studies} studies", len(datasets), tuple(_putting(part) for part in parts))


def backfill(entries: int, most: int) -> Scenario:
    """A large archive from nothing: studies of 100 instances."""
    return Scenario(
        f"backfill {entries:,}", entries, (lambda bed: data.bulk(bed, 100, studies=entries // 100),), most=most
    )


def changes(size: int) -> list[Scenario]:
    """Update and delete of a study."""
    datasets = list(ct_study(seed=5, instances=size))
    study = str(datasets[0].StudyInstanceUID)
    there = _putting(datasets)
    return [
        Scenario(f"update {size:,}", size, (lambda bed: data.update(bed, study),), prepare=there, ends_cast=True),
        Scenario(f"delete {size:,}", size, (lambda bed: data.delete(bed, study),), prepare=there),
    ]


def idle(polls: int = 10) -> Scenario:
    """Nothing happens."""
    return Scenario(f"idle, {polls} polls", polls, (), idle_polls=polls)


def _putting(datasets: list[Dataset]) -> Callable[[Bed], object]:
    return lambda bed: data.put(bed, datasets)
