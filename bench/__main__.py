"""`make bench`: what this app costs, and what DICOM Cast costs on the same servers with the same data.

A full run takes minutes and writes docs/performance.md; a quick one holds the app to its request counts.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench import data, in_hosts, page, picture, report, scenarios, stages, workers
from bench.bed import Bed, Figures, has_dicom_cast, running_bed
from bench.checks import failures
from bench.floor import floor
from bench.mapping import mapping
from bench.report_in_hosts import RE_ENACTMENT, REAL
from bench.start import import_s
from dev.microsoft import missing
from dev.parts import Dicom, DicomOption, Fhir, FhirOption, Parts
from dev.samples import ct_study

OUT = Path(__file__).parent / "out"
CONSOLE = Console()
NAMES = {Fhir.LOCAL: "medplum", Fhir.HAPI: "hapi", Fhir.MICROSOFT: "fhir-server"}
Step = tuple[str, Callable[[Bed], Any]]


def plan(*, quick: bool, elsewhere: bool) -> list[scenarios.Scenario]:
    """The scenarios; elsewhere than on the project's own servers the first ones."""
    first = [scenarios.burst(size) for size in (10, 100, *(() if quick else (1_000,)))]
    first.append(scenarios.burst(1_000 if quick else 10_000, most=100 if quick else 300))
    first.append(scenarios.modality(100, 5) if quick else scenarios.modality(1_000, 50))
    first.append(scenarios.day(8, 2) if quick else scenarios.day(60, 10))
    if elsewhere:
        return first
    small = scenarios.backfill(1_000 if quick else 10_000, most=100)
    return [*first, *([] if quick else scenarios.changes(200)), scenarios.idle(), small]


def measured(*, quick: bool, elsewhere: bool) -> Iterator[Step]:
    """Everything to measure, in order; each has its name in the file of raw numbers."""
    if not elsewhere and has_dicom_cast():
        for way, load in in_hosts.pairs(quick=quick):
            yield f"{way}: {load.name}", lambda bed, way=way, load=load: in_hosts.compared(bed, way, load)  # type: ignore[misc]
    for scenario in plan(quick=quick, elsewhere=elsewhere):
        yield scenario.name, lambda bed, scenario=scenario: scenarios.run(bed, scenario)  # type: ignore[misc]
    if not elsewhere and not quick:
        yield "stages", lambda bed: stages.stages(bed, lambda bed: data.bulk(bed, 1_000), OUT / "burst.prof")
        yield (
            "stages of a day",
            lambda bed: stages.stages(bed, lambda bed: data.put(bed, data.day(30)), OUT / "day.prof"),
        )
        yield "mapping", lambda _: mapping()
        yield "start", lambda _: import_s()
        yield "floor", _floor
        yield "feed", lambda bed: feed(bed, 20_000)
        yield "workers", lambda bed: workers.workers(bed, 80)
        yield "latency", lambda bed: workers.latency(bed, 40)
        for size, most in ((100, None), (1_000, 300)):
            far = scenarios.far_burst(size, most)
            yield far.name, lambda bed, far=far: scenarios.run(bed, far)  # type: ignore[misc]
        large = scenarios.backfill(100_000, most=100)
        yield large.name, lambda bed: scenarios.run(bed, large)


def _floor(bed: Bed) -> Figures:
    """Beside what the app needs for the same study, once more."""
    bed.empty()
    data.put(bed, list(ct_study(seed=scenarios.WARM_UP, series=1, instances=1)))
    with bed.side("app") as side:
        side.do(do="catch_up")
        study = data.bulk(bed, 1_000)[0]
        app = side.do(do="catch_up")
    return {**floor(bed, study), "app_s": app["seconds"], "app_cpu_s": app["cpu_s"]}


def feed(bed: Bed, entries: int) -> Figures:
    """How fast one poller reads the feed and fills the queue."""
    bed.empty()
    data.put(bed, list(ct_study(seed=scenarios.WARM_UP, series=1, instances=1)))
    with bed.side("app") as side:
        side.do(do="catch_up")
        data.bulk(bed, 100, studies=entries // 100)
        found = side.do(do="poll")
    return {**found, "entries_per_s": found["entries"] / found["seconds"]}


def machine() -> Figures:
    """Its kind, and what else it had to do."""
    load = round(os.getloadavg()[0], 1)
    system, python = platform.system(), platform.python_version()
    cast = REAL if has_dicom_cast() else RE_ENACTMENT
    return {"processors": os.cpu_count(), "system": system, "python": python, "load_before": load, "cast": cast}


def main(
    *,
    quick: Annotated[bool, typer.Option(help="Small sizes, no documents: for continuous integration.")] = False,
    dicom: DicomOption = Dicom.STAND_IN,
    fhir: FhirOption = Fhir.LOCAL,
) -> None:
    """Measure, print the tables, keep the raw numbers in bench/out. The first scenarios only on other servers than the
    project's own; on Microsoft's, no documents.
    """
    if lack := Parts(dicom=dicom, fhir=fhir).missing():
        sys.exit(f"bench: {lack}")
    OUT.mkdir(exist_ok=True)
    real = dicom is Dicom.MICROSOFT or fhir is Fhir.MICROSOFT
    elsewhere = real or fhir is Fhir.HAPI
    name = "-".join(
        (*(["dicom-server"] if dicom is Dicom.MICROSOFT else []), NAMES[fhir], *(["quick"] if quick else []))
    )
    began, results = time.monotonic(), dict[str, Any]()
    results["machine"] = machine()
    if lack := missing("dicom-cast"):
        CONSOLE.log(f"its re-enactment takes the place of DICOM Cast: {lack}")
    with CONSOLE.status("starting the servers") as status, running_bed(dicom, fhir) as bed:
        for step, measure in measured(quick=quick, elsewhere=elsewhere):
            status.update(f"{step} ({time.monotonic() - began:.0f} s so far)")
            results[step] = measure(bed)
            (OUT / f"{name}.json").write_text(json.dumps(results, indent=1))
            CONSOLE.log(f"{step}: done")
    results["seconds"] = time.monotonic() - began
    (OUT / f"{name}.json").write_text(json.dumps(results, indent=1))
    for title, table in report.tables(results).items():
        CONSOLE.print(f"\n[bold]{title}[/bold]")
        CONSOLE.print(report.as_rich(table))
    if not quick and not real:
        page.write(results, on_hapi=elsewhere)
        if not elsewhere:
            picture.write(results)
    if missed := failures(results):
        sys.exit("bench: " + "; ".join(missed))


if __name__ == "__main__":
    typer.run(main)
