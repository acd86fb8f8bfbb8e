"""A request and its answer, as they pass a proxy."""

from dataclasses import dataclass, field

READS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came in; `path` holds the query and is not decoded."""

    method: str
    path: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def is_write(self) -> bool:
        """Whether it may change something; FHIR's searches are POSTed."""
        return self.method not in READS and not self.path.partition("?")[0].endswith("/_search")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    reason: str | None = None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300
