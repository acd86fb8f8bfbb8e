"""`make schedules`: search the schedules of every scenario, as many as there is time for, and say what was found."""

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


def _searched(task):
    scenario, seconds = task
    return scenario, explore(scenario, seconds)


def command(
    seconds: Annotated[float, typer.Option(help="for everything, on two processors")] = 540.0,
    faults: Annotated[int, typer.Option(help="how many calls go wrong in one schedule, at most")] = 1,
) -> None:
    """Two or three workers, two to four messages, and a crash, a lost answer or a conflict at every call."""
    scenarios = [replace(one, faults=number) for one in ALL for number in range(faults * one.can_fail + 1)]
    each_s = seconds * PROCESSES / len(scenarios)
    typer.echo(f"{len(scenarios)} scenarios, {each_s:.0f} s each")
    table = Table("scenario", "faults", "schedules", "worlds", "runs", "messages", "all of it")
    total, wrong = 0, []
    with ProcessPoolExecutor(PROCESSES) as pool:
        for scenario, found in pool.map(_searched, [(one, each_s) for one in scenarios]):
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
