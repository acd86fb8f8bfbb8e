"""What a proxy does to requests: the rules in force, which of them act on a request, and counts of both."""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dev.proxy.call import Answer, Call

# slow: wait, then go on. reset: cut the connection before anything is sent on. lose: carry the request out and cut the
# connection instead of answering. duplicate: carry it out twice. The others answer something else; `empty` no body
ANY_NUMBER = 100_000
KINDS = frozenset({"status", "empty", "slow", "reset", "lose", "truncate", "html", "duplicate"})


@dataclass(slots=True)
class Rule:
    """One fault. `skip` lets that many fitting requests pass, `times` counts down, `probability` is drawn per request.

    path: a regular expression that occurs in path and query; holds: text that occurs in the body; more_than: how many
    bytes the body has more than; writes: acts on requests that may change something only (or, if false, on the others).
    answer: which of a duplicate's answers is given, `first` or `last`. carried_out: the status is answered, and the
    request was carried out all the same. late_s: so many seconds after that.
    body: what is answered with the status, as FHIR JSON, in place of the page of a gateway.
    places: so many wait at a time, the others stand in line for a place, as at a server that works on so many at once.
    """

    kind: str = "status"
    probability: float = 1.0
    times: int | None = None
    skip: int = 0
    methods: tuple[str, ...] = ()
    path: str = ""
    holds: str = ""
    more_than: int = -1
    writes: bool | None = None
    status: int = 503
    retry_after_s: float | None = None
    retry_after_ms: int | None = None
    seconds: float = 0.0
    places: int | None = None
    answer: str = "last"
    carried_out: bool = False
    late_s: float | None = None
    body: str = ""

    line: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.line = asyncio.Semaphore(self.places or ANY_NUMBER)
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is none of {', '.join(sorted(KINDS))}")
        self.methods = tuple(self.methods)
        re.compile(self.path)

    @property
    def label(self) -> str:
        return f"{self.kind} {self.status}" if self.kind in ("status", "empty") else self.kind

    def fits(self, call: Call) -> bool:
        return (
            self.times != 0
            and (not self.methods or call.method in self.methods)
            and (self.writes is None or self.writes == call.is_write)
            and re.search(self.path, call.path) is not None
            and self.holds.encode() in call.body
            and len(call.body) > self.more_than
        )


@dataclass(slots=True)
class Stats:
    """What went through since the counters were last cleared."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    carried_out: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def total(self) -> int:
        return self.requests.total()

    def received(self, call: Call) -> None:
        self.requests[call.method] += 1
        self.writes += call.is_write
        self.bytes_in += len(call.body)

    def answered(self, answer: Answer) -> None:
        self.statuses[str(answer.status)] += 1
        self.bytes_out += len(answer.body)

    def to_json(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "writes": self.writes,
            "requests": dict(self.requests),
            "statuses": dict(self.statuses),
            "faults": dict(self.faults),
            "carried_out": dict(self.carried_out),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
        }


class Rules:
    """The rules in force, drawn from one seeded generator."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.use([])

    def use(self, rules: list[dict[str, Any]], seed: int = 0) -> None:
        """Replace all rules; raises TypeError or ValueError on one that says something unknown."""
        self._rules = [Rule(**rule) for rule in rules]
        self._random = random.Random(seed)

    def draw(self, call: Call) -> list[Rule]:
        """The rules that act on this request: any waits, and at most one other fault after them."""
        acting = []
        for rule in self._rules:
            if rule.fits(call) and self._fires(rule):
                acting.append(rule)
                if rule.kind != "slow":
                    break
        return acting

    def _fires(self, rule: Rule) -> bool:
        if rule.skip:
            rule.skip -= 1
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        if rule.times is not None:
            rule.times -= 1
        self.stats.faults[rule.label] += 1
        return True
