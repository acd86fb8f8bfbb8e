"""A FHIR server that is killed and stays away while studies arrive, in scaled time: `python -m tests.chaos.outage`."""

import asyncio
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from dev.process import Part, free_port
from tests.chaos import changes, load
from tests.chaos.checker import differences
from tests.chaos.leaks import leaks
from tests.chaos.run import MOVED, MUST_BE_EMPTY
from tests.chaos.scene import Scene, Times

# an outage of hours in a minute or less
SCALED = Times(settled_after_s=4.0, longest_delay_s=4.0, first_trial_after_s=0.3, trial_every_s=1.0)
BEFORE = 0.2  # part of the studies that arrive before


@dataclass
class Outcome:
    """What came of it. `asked`: requests while the server was dead. `busiest`: most requests in a second afterwards."""

    wrong: list
    asked: int
    waiting: int
    caught_up_s: float
    after: int
    busiest: int
    events: Counter = field(default_factory=Counter)


class KillableScene(Scene):
    """Its FHIR server keeps what it holds in a folder, and its port."""

    async def _part(self, command, env=None):
        if command[0] != "fhir":
            return await super()._part(command, env)
        self._command = ("fhir", "--port", str(free_port()), "--data", str(self.folder / "fhir"))
        await self.start_fhir()
        self._resources.push_async_callback(self.kill_fhir)
        return self._fhir.urls

    async def start_fhir(self):
        self._fhir = await asyncio.to_thread(Part, self._command)

    async def kill_fhir(self):
        await asyncio.to_thread(self._fhir.kill)


def arrivals(studies, down_s):
    """A fifth of the studies at once, the others while the server is dead."""
    choose = random.Random(studies)
    first = int(studies * BEFORE)
    moments = [0.0] * first + sorted(choose.uniform(0, down_s) for _ in range(studies - first))
    steps = []
    for study, at_s in enumerate(moments):
        said = load.person(choose, study % load.PATIENTS) | load.equipment(study % load.SCANNERS)
        steps.append(load.Step(at_s, "store", study, ((study, 1, 1), (study, 1, 2)), said))
    return steps[:first], steps[first:]


async def run(folder, studies=200, down_s=60.0, *, hosts=2, drain_s=180.0):
    """Studies arrive, the server is killed when it holds the first of them, and comes back."""
    async with KillableScene(folder, SCALED, hosts) as scene:
        before, during = arrivals(studies, down_s)
        await changes.perform(scene.dicom, before, 0)
        while "study_synced" not in scene.logs():
            await asyncio.sleep(0.05)
        await scene.kill_fhir()
        at_first = scene.requests()["fhir"]
        await changes.perform(scene.dicom, during, down_s)
        asked, waiting = scene.requests()["fhir"] - at_first, await scene.depth()
        await scene.start_fhir()
        return await _afterwards(scene, asked, waiting, drain_s)


async def _afterwards(scene, asked, waiting, drain_s):
    started, seconds = time.monotonic(), []
    counting = asyncio.create_task(_count(scene, seconds))
    wrong = [] if await scene.wait_until_in_step(drain_s) else ["the queue did not become empty"]
    caught_up_s = time.monotonic() - started
    counting.cancel()
    logs, rows = scene.logs(), await scene.rows()
    wrong += await differences(scene.dicom, scene.fhir)
    tables = (*MUST_BE_EMPTY, "TransientRetryExceptionTable")
    wrong += [f"{table}: {len(rows[table])} rows" for table in tables if rows.get(table)]
    poison = await scene.depth(*scene.poison) + logs.count("poison_message") + sum(map(logs.count, MOVED))
    wrong += [f"{poison} signs of poison messages"] if poison else []
    wrong += leaks(load.PRIVATE, logs=logs, tables=str(rows))
    events = Counter(re.findall(r"(services_refuse|services_back|study_not_synced|study_synced) ", logs))
    return Outcome(wrong, asked, waiting, caught_up_s, sum(seconds), max(seconds, default=0), events)


async def _count(scene, seconds):
    """Requests to the FHIR server, second by second."""
    while True:
        before = scene.requests()["fhir"]
        await asyncio.sleep(1)
        seconds.append(scene.requests()["fhir"] - before)


def main(
    studies: Annotated[int, typer.Option(help="How many arrive.")] = 200,
    seconds: Annotated[float, typer.Option(help="How long the FHIR server is dead.")] = 60.0,
    hosts: Annotated[int, typer.Option(help="Worker processes.")] = 2,
) -> None:
    """Kill the FHIR server for a while and tell what came of it; the exit code says whether all is well."""
    with tempfile.TemporaryDirectory(prefix="outage-") as folder:
        outcome = asyncio.run(run(Path(folder), studies, seconds, hosts=hosts))
    print(*(f"{name}: {value}" for name, value in vars(outcome).items()), sep="\n")  # noqa: T201 - its output is what it is for
    sys.exit(bool(outcome.wrong))


if __name__ == "__main__":
    typer.run(main)
