"""`make chaos`: the same seeded day of an archive twice, undisturbed and under fire, and what came of it."""

import asyncio
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.chaos.run import run
from tests.chaos.scene import SERVICES

SHOWN = 40


def main(
    seconds: Annotated[float, typer.Option(help="How long changes and faults go on.")] = 180.0,
    seed: Annotated[int | None, typer.Option(help="The same seed, the same changes [a new one].")] = None,
    rate: Annotated[float, typer.Option(help="Which part of requests fails.")] = 0.3,
    *,
    baseline: Annotated[bool, typer.Option(help="First run without any fault, to compare with.")] = True,
    folder: Annotated[Path | None, typer.Option(help="Keep logs here [a temporary folder].")] = None,
) -> None:
    """Prove that the app converges; the exit code says it."""
    seed = secrets.randbelow(10_000) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        outcomes = {}
        for name, faults in (("undisturbed", 0.0), ("under fire", rate)):
            if faults or baseline:
                where = (folder or Path(temporary)) / name.replace(" ", "-")
                outcomes[name] = asyncio.run(run(where, seed, seconds, rate=faults, say=_teller(name)))
    _print(outcomes)
    wrong = [f"{name}: {each}" for name, outcome in outcomes.items() for each in outcome.wrong]
    for each in wrong[:SHOWN]:
        print(each)  # noqa: T201 - its output is what it is for
    sys.exit(bool(wrong))


def _teller(name):
    return lambda text: print(f"{name}: {text}", flush=True)  # noqa: T201 - its output is what it is for


def _print(outcomes):
    table = Table(title="chaos")
    table.add_column("")
    for name in outcomes:
        table.add_column(name, justify="right")
    calm = outcomes.get("undisturbed")
    for service in SERVICES:
        table.add_row(f"requests: {service}", *(_ratio(one, calm, service) for one in outcomes.values()))
    table.add_row("steps", *(str(one.steps) for one in outcomes.values()))
    table.add_row("seconds", *(f"{one.seconds:.0f}" for one in outcomes.values()))
    for name in ("kills", "pauses", "delayed", "duplicated"):
        table.add_row(name, *(str(getattr(one.trouble, name, "")) for one in outcomes.values()))
    kinds = sorted({kind for one in outcomes.values() for counts in one.faults.values() for kind in counts})
    for kind in kinds:
        sums = (sum(counts.get(kind, 0) for counts in one.faults.values()) for one in outcomes.values())
        table.add_row(f"fault: {kind}", *map(str, sums))
    for title in ("outcomes", "codes"):
        for key in sorted({key for one in outcomes.values() for key in getattr(one, title)}):
            table.add_row(f"{title}: {key}", *(str(getattr(one, title)[key]) for one in outcomes.values()))
    Console(width=100).print(table)


def _ratio(outcome, calm, service):
    count = outcome.requests[service]
    if calm is None or outcome is calm:
        return str(count)
    return f"{count} ({count / max(1, calm.requests[service]):.1f}x)"


if __name__ == "__main__":
    typer.run(main)
