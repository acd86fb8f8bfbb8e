"""`make schedules`: search the schedules of every scenario, as many as there is time for, and say what was found."""

import itertools
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.schedules.explore import explore
from tests.schedules.scenarios import ALL

PROCESSES = 2


def _searched(place, faults, seconds):
    """Of a scenario by its place among all: what it is made of goes to no other process."""
    return explore(replace(ALL[place], faults=faults), seconds)


def command(
    seconds: Annotated[float, typer.Option(help="for everything, on two processors")] = 540.0,
    faults: Annotated[int, typer.Option(help="how many calls go wrong in one schedule, at most")] = 1,
) -> None:
    """Two or three workers, two to four messages, and a crash, a lost answer or a conflict at every call."""
    tasks = [(place, number) for place, one in enumerate(ALL) for number in range(faults * one.can_fail + 1)]
    scenarios = [replace(ALL[place], faults=number) for place, number in tasks]
    each_s = seconds * PROCESSES / len(scenarios)
    typer.echo(f"{len(scenarios)} scenarios, {each_s:.0f} s each")
    table = Table("scenario", "faults", "schedules", "worlds", "runs", "messages", "all of it")
    total, wrong = 0, []
    with ProcessPoolExecutor(PROCESSES) as pool:
        found_by_task = pool.map(_searched, *zip(*tasks, strict=True), itertools.repeat(each_s))
        for scenario, found in zip(scenarios, found_by_task, strict=True):
            typer.echo(f"{scenario.name}, {scenario.faults} faults: {found.schedules:,} schedules")
            total += found.schedules
            wrong += [(scenario, *failure) for failure in found.failures]
            table.add_row(
                scenario.name,
                str(scenario.faults),
                f"{found.schedules:,}",
                f"{found.worlds:,}",
                f"{found.runs:,}",
                str(found.messages),
                "yes" if found.is_complete else "no",
            )
    Console(width=140).print(table)
    for scenario, problem, trace in wrong:
        typer.echo(f"{scenario.name}: {problem[:2000]}")
        typer.echo("\n".join(f"    {' '.join(map(str, step))[:160]}" for step in trace))
    typer.echo(f"{total:,} schedules, {len(wrong)} of them end otherwise than all others")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    typer.run(command)
