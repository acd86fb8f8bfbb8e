"""A day at scale, simulated: arrivals with a peak at noon flow through poller, queue, workers and FHIR server, each of
which does so much in a second and no more. What waits, and for how long, follows.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bench.costs import FHIR_PER_MESSAGE, INSTANCES_PER_STUDY, PASSES_PER_STUDY, PEAK, SECONDS_A_DAY
from bench.report_in_hosts import Rows

STEP_S = 10
DAYS = 2  # the second begins with what the first left
NOON_S = SECONDS_A_DAY / 2
INSTANCES_PER_MESSAGE = INSTANCES_PER_STUDY / PASSES_PER_STUDY


@dataclass(frozen=True)
class Limits:
    """What each part does in a second: feed entries, messages that the workers' processors can do, FHIR requests."""

    feed: float
    workers: float
    fhir: float

    @property
    def messages(self) -> float:
        return min(self.workers, self.fhir / FHIR_PER_MESSAGE)


@dataclass(frozen=True)
class Waits:
    """The longest ways of an instance in a day: seconds behind in the feed and in the queue, hours with any."""

    feed_s: float
    queue_s: float
    hours: float
    catches_up: bool


def arrivals(instances_a_day: int, second: float) -> float:
    """Instances in a second: from six to six, four times the average at noon."""
    angle = math.pi * (second % SECONDS_A_DAY - NOON_S) / SECONDS_A_DAY * 2
    share = math.cos(angle) ** 2 if abs(angle) < math.pi / 2 else 0.0
    return instances_a_day / SECONDS_A_DAY * PEAK * share


def simulated(instances_a_day: int, limits: Limits) -> Waits:
    """Both backlogs, step by step; each is worked off at its limit, first come first served."""
    steps = list(_steps(instances_a_day, limits))
    busy = sum(feed > limits.feed * STEP_S or queue > limits.messages * STEP_S for feed, queue in steps)
    feed, queue = (max(column) for column in zip(*steps, strict=True))
    left = steps[-1][0] / limits.feed + steps[-1][1] / limits.messages
    return Waits(feed / limits.feed, queue / limits.messages, busy * STEP_S / 3600 / DAYS, left < STEP_S)


def _steps(instances_a_day: int, limits: Limits) -> Iterator[tuple[float, float]]:
    feed = queue = 0.0
    for second in range(0, DAYS * SECONDS_A_DAY, STEP_S):
        feed += arrivals(instances_a_day, second) * STEP_S
        read = min(feed, limits.feed * STEP_S)
        feed -= read
        queue += read / INSTANCES_PER_MESSAGE
        queue -= min(queue, limits.messages * STEP_S)
        yield feed, queue


# one worker of the measurement does 40 messages a second at most; a feed page of 100 in 10 ms or 100 ms, four at a time
CASES = (
    (1_000_000, Limits(4_000, 40, 100)),
    (10_000_000, Limits(4_000, 40, 100)),
    (10_000_000, Limits(4_000, 40, 30)),
    (100_000_000, Limits(4_000, 160, 600)),
    (100_000_000, Limits(40_000, 160, 300)),
    (100_000_000, Limits(40_000, 160, 600)),
)


def day() -> Rows:
    """The longest waits of a day by what each part is able to do."""
    limits = ("feed entries/s", "messages/s of the workers", "FHIR requests/s")
    rows: Rows = [("instances a day", *limits, "behind in the feed", "in the queue", "hours with a backlog")]
    for instances, limit in CASES:
        found = simulated(instances, limit)
        hours = f"{found.hours:.1f}" if found.catches_up else "grows from day to day"
        able = (f"{number:,}" for number in (limit.feed, limit.workers, limit.fhir))
        rows.append((f"{instances:,}", *able, _duration(found.feed_s), _duration(found.queue_s), hours))
    return rows


def _duration(seconds: float) -> str:
    if seconds < STEP_S:
        return "none"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
