"""Every schedule of a scenario: a search through all worlds that can come to be, each visited once.

What a worker does next depends only on the answers that it had, so worlds with the same stores and the same answers go
on in the same ways (see `World.key`). A world that was reached before is not searched again; the schedules through it
count all the same.
"""

import sys
import time as clock
from dataclasses import dataclass, field
from random import Random

from tests.schedules.world import World, without_chance

PLAIN = ("deliver", "answer", "event", "wait")
FAULT_PART = 0.02  # of the steps of a walk, as long as faults are left
NOW_S = clock.monotonic  # before anybody replaces it


@dataclass
class Node:
    """A world that was reached: what can happen in it, and the key of the world that each leads to."""

    children: list = field(default_factory=list)
    is_end: bool = False


@dataclass
class Outcome:
    """What a search found. `schedules`: distinct ones that lead to an end; `failures`: traces with what was wrong."""

    schedules: int = 0
    worlds: int = 0
    runs: int = 0
    steps: int = 0
    messages: int = 0
    is_complete: bool = True
    failures: list = field(default_factory=list)


def explore(scenario, seconds, *, most_failures=1, say=None):
    """Search all of it, or as much as there is time for."""
    return _Search(scenario, seconds, most_failures, say).run()


def walk(scenario, seed):
    """One schedule, by chance; the world at its end, and what is wrong with it."""
    choose = Random(seed)
    with without_chance():
        world = World(scenario)
        try:
            while choices := world.choices():
                faults = [one for one in choices if one[0] not in PLAIN]
                plain = [one for one in choices if one[0] in PLAIN]
                world.apply(choose.choice(faults if faults and choose.random() < FAULT_PART else plain or faults))
            return world, scenario.wrong(world)
        finally:
            world.close()


class _Search:
    def __init__(self, scenario, seconds, most_failures, say):
        self._scenario, self._until = scenario, NOW_S() + seconds
        self._most_failures, self._say = most_failures, say
        self._nodes = {}
        self._outcome = Outcome()

    def run(self):
        stack = [(None, None, 0)]  # (parent path, parent node, child index)
        with without_chance():
            while stack and len(self._outcome.failures) < self._most_failures:
                if NOW_S() > self._until:
                    self._outcome.is_complete = False
                    break
                self._go(stack, *stack.pop())
                if self._say:
                    self._say(self._outcome, len(stack))
        if stack:
            self._outcome.is_complete = False
        self._outcome.worlds = len(self._nodes)
        self._outcome.schedules = self._count()
        return self._outcome

    def _go(self, stack, path, parent, index):
        """Repeat a path, then go on where nobody was yet."""
        world = World(self._scenario)
        self._outcome.runs += 1
        for choice in _choices_of(path):
            world.apply(choice)
        while True:
            self._outcome.steps += 1
            key = world.key()
            if parent is None:
                self._root = key
            else:
                parent.children[index] = key
            if key in self._nodes:
                break
            choices = world.choices()
            parent = self._nodes[key] = Node([None] * len(choices), not choices)
            if not choices:
                self._outcome.messages = max(self._outcome.messages, world.queue.sent)
                if wrong := self._scenario.wrong(world):
                    self._outcome.failures.append((wrong, list(world.trace)))
                break
            if problem := self._scenario.unbounded(world):
                self._outcome.failures.append((problem, list(world.trace)))
                break
            stack += [((path, choice), parent, place) for place, choice in reversed(list(enumerate(choices))) if place]
            path, index = (path, choices[0]), 0
            world.apply(choices[0])
        world.close()

    def _count(self):
        """Schedules from each world to an end; a world that leads back to itself has no end there."""
        counts, seen = {}, set()
        work = [(self._root, False)]
        while work:
            key, is_done = work.pop()
            if is_done:
                node = self._nodes[key]
                counts[key] = 1 if node.is_end else sum(counts.get(child, 0) for child in node.children if child)
                continue
            if key in seen:
                continue
            seen.add(key)
            work.append((key, True))
            work += [(child, False) for child in self._nodes[key].children if child and child not in seen]
        return counts[self._root]


def _choices_of(path):
    found = []
    while path is not None:
        path, choice = path
        found.append(choice)
    return reversed(found)


sys.setrecursionlimit(10_000)
