"""Where FHIR servers differ: for each difference a probe, what each server answers it, and what it means for the app.

The table in docs/stand-ins.md says the same; a test compares them.
"""

from collections.abc import Callable
from dataclasses import dataclass

SERVERS = ("fhir", "hapi", "microsoft")
OR = " or "
DIFFERENCES = []


@dataclass(frozen=True)
class Difference:
    """answers: by server, what the probe may see, in the words that the probe uses."""

    name: str
    probe: Callable
    answers: dict
    reason: str

    @property
    def row(self):
        """Its row of the table."""
        cells = [self.name, *(self.answers[server] for server in SERVERS), self.reason]
        return "".join(f"| {cell} " for cell in cells) + "|"


def differs(local, hapi, microsoft, reason):
    """Declare what the decorated probe sees on each server; several possible answers are joined by `or`."""

    def declare(probe):
        answers = dict(zip(SERVERS, (local, hapi, microsoft), strict=True))
        DIFFERENCES.append(Difference(probe.__name__.replace("_", " "), probe, answers, reason))
        return probe

    return declare
