"""One run: the load, the trouble, the way back to calm, and what is wrong then."""

import asyncio
import json
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos import changes, load
from tests.chaos.checker import differences
from tests.chaos.leaks import leaks
from tests.chaos.scene import SERVICES, Scene
from tests.chaos.trouble import Trouble, faults

DRAIN_S = 240.0
MUST_BE_EMPTY = ("FhirFailToStoreExceptionTable", "TransientFailureExceptionTable", "DicomFailToStoreExceptionTable")
# what the hosts say of a message that had its tries
MOVED = ("was moved to", "Moving message to queue")


@dataclass
class Outcome:
    """What a run came to; `wrong` is empty when all is well."""

    seconds: float
    steps: int
    requests: dict
    messages: int
    wrong: list
    trouble: Trouble
    faults: Counter
    outcomes: Counter = field(default_factory=Counter)
    codes: Counter = field(default_factory=Counter)


async def run(folder, seed, seconds, conditions, *, drain_s=DRAIN_S, say=print):
    """A run of this seed: the same changes under whatever conditions."""
    steps = load.plan(seed, seconds, conditions.steps_per_s, conditions.additions)
    started = time.monotonic()
    async with Scene(
        folder,
        conditions.times,
        conditions.hosts,
        conditions.made_of,
        disturbed=bool(conditions.rate),
        additions=conditions.additions,
    ) as scene:
        say(f"{conditions.hosts} hosts, {len(steps)} steps in {seconds:.0f} s, {conditions.rate:.0%} of requests fail")
        trouble = Trouble(scene, random.Random(seed), conditions)
        for number, name in enumerate(SERVICES if conditions.rate else ()):
            wait_s = conditions.times.longest_pause_s / 4
            rules = faults(name, conditions.rate, wait_s, conditions.additions)
            scene.proxies[name].use(rules, seed * 10 + number)
        await _disturbed(scene, steps, seconds, trouble, say)
        injected = sum((proxy.rules.stats.faults for proxy in scene.proxies.values()), Counter())
        for proxy in scene.proxies.values():
            proxy.use([])
        say(f"calm after {time.monotonic() - started:.0f} s; {await scene.depth()} messages are left")
        telling = asyncio.create_task(_tell(scene, seconds, trouble, say))
        is_in_step = await scene.wait_until_in_step(drain_s + scene.hidden_s)
        telling.cancel()
        wrong = [] if is_in_step else [f"the queue did not become empty: {await scene.depth()} messages"]
        requests, messages = scene.requests(), scene.messages_sent()
        result = Outcome(time.monotonic() - started, len(steps), requests, messages, wrong, trouble, injected)
        await _look(scene, result)
        return result


async def _disturbed(scene, steps, seconds, trouble, say):
    disturbing = asyncio.create_task(trouble.run())
    telling = asyncio.create_task(_tell(scene, seconds, trouble, say))
    try:
        await changes.perform(scene.dicom, steps, seconds)
        if disturbing.done():
            disturbing.result()
    finally:
        disturbing.cancel()
        telling.cancel()
        await asyncio.gather(disturbing, telling, return_exceptions=True)
    for host in scene.hosts:
        async with host.busy:
            if host.part.has_ended:  # it was being killed when the trouble ended
                await host.start()


async def _tell(scene, seconds, trouble, say):
    started = time.monotonic()
    while True:
        await asyncio.sleep(max(5, seconds / 12))
        more = f", {trouble.kills} kills, {trouble.pauses} pauses"
        say(f"{time.monotonic() - started:4.0f} s: {await scene.depth()} messages{more}, requests {scene.requests()}")


async def _look(scene, result):
    """Everything that may be wrong at the end."""
    logs, rows = scene.logs(), await scene.rows()
    evidence = scene.folder / "evidence.json"
    result.wrong += await differences(scene.dicom, scene.fhir, evidence, partitioned=scene.partitioned)
    failed = [name for name in rows if name.endswith(MUST_BE_EMPTY) and rows[name]]
    result.wrong += [f"{name}: {len(rows[name])} rows" for name in failed]
    if result.wrong:
        (scene.folder / "rows.json").write_text(json.dumps(rows, indent=1, default=str))
    poison = await scene.depth(*scene.poison) + logs.count("poison_message") + sum(map(logs.count, MOVED))
    result.wrong += [f"{poison} signs of poison messages"] if poison else []
    result.wrong += leaks(load.PRIVATE, logs=logs, tables=str(rows), queue=result.trouble.texts)
    result.outcomes = Counter(re.findall(r"study_synced.*?outcome=(\w+)", logs))
    result.codes = Counter(re.findall(r"study_not_synced.*?code=([\w-]+)", logs))
