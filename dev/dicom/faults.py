"""Faults on request: rules that answer instead of the service, delay it, or cut the connection.

`Faults` decides (a seeded draw or a countdown per rule) and counts traffic; `FaultyApp` is the ASGI layer that acts.
"""

import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

KINDS = frozenset({"status", "delay", "truncate", "drop", "drop_after", "html", "linger"})
ROUTES = (
    ("latest", re.compile(r"(?i)/v[^/]+/changefeed/latest/?")),
    ("changefeed", re.compile(r"(?i)/v[^/]+/changefeed/?")),
    ("operations", re.compile(r"(?i)/v[^/]+/operations/.*")),
    ("update", re.compile(r"(?i)/v[^/]+(/partitions/[^/]+)?/studies/\$bulkUpdate/?")),
    ("metadata", re.compile(r"(?i)/v[^/]+(/partitions/[^/]+)?/studies/.+/metadata/?")),
    ("qido", re.compile(r"(?i)/v[^/]+(/partitions/[^/]+)?/(studies|series|instances)/?")),
    ("qido", re.compile(r"(?i)/v[^/]+(/partitions/[^/]+)?/studies/[^/]+(/series/[^/]+)?/(series|instances)/?")),
    ("retrieve", re.compile(r"(?i)/v[^/]+(/partitions/[^/]+)?/studies/.+")),
    ("health", re.compile(r"/health/check/?")),
    ("admin", re.compile(r"/_dev/.*")),
)


def route_of(method: str, path: str) -> str:
    """The kind of route a request goes to."""
    kind = next((name for name, pattern in ROUTES if pattern.fullmatch(path)), "other")
    if method == "POST" and kind in ("qido", "retrieve"):
        return "stow"
    return "delete" if method == "DELETE" else kind


@dataclass(slots=True)
class Rule:
    """One fault; `times` counts down, `probability` is drawn per request."""

    route: str = "*"
    kind: str = "status"
    probability: float = 1.0
    times: int | None = None
    status: int = 503
    retry_after_s: float | None = None
    body: str = ""
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    only_with_metadata: bool = False

    def fits(self, route: str, query: bytes) -> bool:
        if self.route not in ("*", route) or self.times == 0:
            return False
        if self.only_with_metadata:
            flags = [value for name, value in parse_qsl(query.decode("latin-1")) if name.lower() == "includemetadata"]
            return route in ("changefeed", "latest") and flags[-1:] != ["false"]
        return True


@dataclass(slots=True)
class Stats:
    """What went through since the last reset, the admin surface left out."""

    requests: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0


class Faults:
    """The rules in force and the counters."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.stats = Stats()
        self.use([], 0)

    def use(self, rules: list[dict[str, Any]], seed: int) -> None:
        """Replace all rules; raises TypeError or ValueError on a rule that says something unknown."""
        made = [Rule(**rule) for rule in rules]
        if unknown := {rule.kind for rule in made} - KINDS:
            raise ValueError(f"unknown kind: {', '.join(sorted(unknown))}")
        self._rules = made
        self._rng = random.Random(seed)

    def draw(self, route: str, query: bytes) -> list[Rule]:
        """The rules that act on this request: any delays, and at most one fault after them."""
        acting = []
        for rule in self._rules:
            if rule.kind == "linger" or not rule.fits(route, query) or not self._fires(rule):
                continue
            acting.append(rule)
            if rule.kind != "delay":
                break
        return acting

    def linger_s(self, route: str) -> float:
        """How long the work behind a request stays half done: an instance `creating`, an operation `running`."""
        fitting = (rule for rule in self._rules if rule.kind == "linger" and rule.fits(route, b""))
        return next((rule.seconds for rule in fitting if self._fires(rule)), 0.0)

    def _fires(self, rule: Rule) -> bool:
        if rule.probability < 1 and self._rng.random() >= rule.probability:
            return False
        if rule.times is not None:
            rule.times -= 1
        self.stats.faults[rule.kind] += 1
        return True
