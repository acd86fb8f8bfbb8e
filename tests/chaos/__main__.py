"""`make chaos`: the same seeded day of an archive twice, undisturbed and under fire, and what came of it."""

import asyncio
import secrets
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dev.parts import Dicom, DicomOption, Fhir, FhirOption, Host, HostOption, Parts
from tests.chaos.additions import ALL, Addition
from tests.chaos.run import run
from tests.chaos.scene import SERVICES
from tests.chaos.trouble import CALM, Conditions

SHOWN = 40
MOST_MESSAGES = 3  # times those of the undisturbed run


def main(
    seconds: Annotated[float, typer.Option(help="How long changes and faults go on.")] = 180.0,
    seed: Annotated[int | None, typer.Option(help="The same seed, the same changes [a new one].")] = None,
    rate: Annotated[float, typer.Option(help="Which part of requests fails.")] = 0.3,
    kill_every_s: Annotated[
        float | None, typer.Option(help="kill -9 of a worker or host about that often; 0: never [6, func: 20].")
    ] = None,
    pause_every_s: Annotated[float, typer.Option(help="SIGSTOP of a worker about that often; 0: never.")] = 4.0,
    hosts: Annotated[int | None, typer.Option(help="Hosts on one queue [4, func: 2].")] = None,
    steps_per_s: Annotated[float, typer.Option(help="Changes of the archive in a second.")] = 1.0,
    *,
    host: HostOption = Host.STAND_IN,
    dicom: DicomOption = Dicom.STAND_IN,
    fhir: FhirOption = Fhir.LOCAL,
    add: Annotated[list[str] | None, typer.Option(help=f"What else happens: {', '.join(Addition)}, or all.")] = None,
    meddle: Annotated[bool, typer.Option(help="Delay and double messages.")] = True,
    baseline: Annotated[bool, typer.Option(help="First run without any fault, to compare with.")] = True,
    folder: Annotated[Path | None, typer.Option(help="Keep logs here [a temporary folder].")] = None,
) -> None:
    """Prove that the app converges; the exit code says it."""
    seed = secrets.randbelow(10_000) if seed is None else seed
    print(f"seed {seed}", flush=True)  # noqa: T201 - its output is what it is for
    additions = ALL if "all" in (add or []) else frozenset(map(Addition, add or []))
    made_of = Parts(host, dicom, fhir)
    if lack := made_of.missing():
        sys.exit(f"chaos: {lack}")
    # Microsoft's host takes seconds to start: killed more often, two of them would do nothing else
    often_s, many = (20.0, 2) if host is Host.FUNC else (6.0, 4)
    kill_every_s = often_s if kill_every_s is None else kill_every_s
    fire = Conditions(
        rate, kill_every_s, pause_every_s, meddle, hosts or many, steps_per_s, additions=additions, made_of=made_of
    )
    same = replace(CALM, hosts=fire.hosts, steps_per_s=steps_per_s, additions=additions, made_of=made_of)
    calm = [("undisturbed", same)] if baseline else []
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        outcomes = {}
        for name, conditions in (*calm, ("under fire", fire)):
            where = (folder or Path(temporary)) / name.replace(" ", "-")
            outcomes[name] = asyncio.run(run(where, seed, seconds, conditions, say=_teller(name)))
    _print(outcomes)
    if baseline:
        outcomes["under fire"].wrong += too_many(*outcomes.values())
    wrong = [f"{name}: {each}" for name, outcome in outcomes.items() for each in outcome.wrong]
    print(*wrong[:SHOWN], f"{len(wrong)} things are wrong", sep="\n")  # noqa: T201 - as above
    sys.exit(bool(wrong))


def too_many(calm, fire):
    """What is wrong where faults multiply messages."""
    if fire.messages <= MOST_MESSAGES * calm.messages:
        return []
    return [f"{fire.messages} messages were sent, {calm.messages} without faults"]


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
    table.add_row("messages sent", *(str(one.messages) for one in outcomes.values()))
    for name in ("kills", "pauses", "delayed", "duplicated", "misled"):
        table.add_row(name, *(str(getattr(one.trouble, name)) for one in outcomes.values()))
    for title in ("faults", "outcomes", "codes"):
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
