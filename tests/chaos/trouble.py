"""What goes wrong in a run: failing requests, kills, pauses, and messages that come late, twice and in any order."""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field

from azure.core.exceptions import ResourceNotFoundError

from dev.parts import Parts
from tests.chaos.additions import more_faults
from tests.chaos.scene import STAND_INS, Scene, Times


@dataclass(frozen=True)
class Conditions:
    """Under which a run goes on. rate: which part of requests fails. kill_every_s, pause_every_s: 0 for never. meddle:
    whether messages are taken from the queue, and sent again later and doubled.
    """

    rate: float = 0.3
    kill_every_s: float = 6.0
    pause_every_s: float = 4.0
    meddle: bool = True
    hosts: int = 4
    steps_per_s: float = 1.0
    times: Times = field(default_factory=Times)
    additions: frozenset = frozenset()
    made_of: Parts = STAND_INS


# messages: each request to a queue of Azurite takes longer the more it holds (30 ms with 2,800), so doubles beside slow
# services would make all slower, and more doubles
DEEP = 200
HOSTS_AMONG_KILLS = 0.3  # the others meet the worker of a host alone
CALM = Conditions(rate=0, kill_every_s=0, pause_every_s=0, meddle=False)


def faults(service, rate, longest_s, additions=frozenset()):
    """Rules by which about `rate` of all requests of a service fail in one of its ways."""
    rules = [
        {"status": 429, "retry_after_s": 1, "retry_after_ms": 700},
        {"status": 500},
        {"status": 503, "retry_after_s": 1},
        {"status": 408},
        {"kind": "reset"},
        {"kind": "lose"},
        {"kind": "truncate"},
        {"kind": "html", "status": 502},
    ]
    if service in ("dicom", "fhir"):
        rules += [{"kind": "html", "status": 200}, {"status": 502}, {"status": 504}]
    if service in ("fhir", "tables"):
        rules += [{"status": 409, "writes": True}, {"status": 412, "writes": True}]
    if service != "dicom":
        rules += [{"kind": "duplicate", "writes": True}]
    each = rate / (len(rules) + 2)
    rules = [rule | {"probability": each} for rule in rules]
    if more := more_faults(service, additions):  # as many as a fourth of the others
        rules = [rule | {"probability": rate / 4 / len(more)} for rule in more] + rules
    return [{"kind": "slow", "seconds": s, "probability": each} for s in (longest_s / 10, longest_s)] + rules


@dataclass
class Trouble:
    """Kills, pauses and meddling with the queue, until cancelled; counts of each, and the messages that were seen."""

    scene: Scene
    choose: random.Random
    conditions: Conditions
    kills: int = 0
    pauses: int = 0
    duplicated: int = 0
    misled: int = 0
    delayed: int = 0
    texts: str = ""

    async def run(self):
        async with asyncio.TaskGroup() as tasks:
            if self.conditions.kill_every_s:
                tasks.create_task(self._kill(self.conditions.kill_every_s))
            if self.conditions.pause_every_s:
                tasks.create_task(self._pause(self.conditions.pause_every_s))
            if self.conditions.meddle:
                for queue in self.scene.queues:
                    tasks.create_task(self._meddle(queue))
            if self.scene.other_dicom:
                tasks.create_task(self._mislead(self.scene.proxies["dicom"]))

    async def _kill(self, every_s):
        while True:
            await asyncio.sleep(self.choose.uniform(0.2, 1.8) * every_s)
            host = self.choose.choice(self.scene.hosts)
            self.kills += 1
            await (host.kill() if self.choose.random() < HOSTS_AMONG_KILLS else host.kill_worker())

    async def _pause(self, every_s):
        while True:
            await asyncio.sleep(self.choose.uniform(0.2, 1.8) * every_s)
            self.pauses += 1
            await self.choose.choice(self.scene.hosts).pause(self.choose.uniform(0.5, self.scene.times.longest_pause_s))

    async def _mislead(self, proxy):
        """Lead to another DICOM service for seconds at a time."""
        try:
            while True:
                await asyncio.sleep(self.choose.uniform(4, 12))
                self.misled += 1
                proxy.lead_to(self.scene.other_dicom)
                await asyncio.sleep(self.choose.uniform(0.5, 4))
                proxy.lead_to(self.scene.dicom)
        finally:
            proxy.lead_to(self.scene.dicom)

    async def _meddle(self, queue):
        """Take messages, and send them again later, some of them twice, as long as the queues are not deep."""
        while True:
            await asyncio.sleep(self.choose.uniform(0.1, 0.5))
            with contextlib.suppress(ResourceNotFoundError):
                may_double = await self.scene.depth() < DEEP
                async for message in queue.receive_messages(max_messages=3, visibility_timeout=30):
                    copies = self.choose.choice((1, 1, 2, 3)) if may_double else 1
                    for _ in range(copies):
                        delay_s = self.choose.randint(0, 5)
                        await queue.send_message(message.content, visibility_timeout=delay_s, time_to_live=-1)
                    await queue.delete_message(message)
                    self.texts += message.content
                    self.delayed += 1
                    self.duplicated += copies - 1
