"""Pure: instances that a series has and does not list.

R4 lets `numberOfInstances` be larger than the list (https://hl7.org/fhir/R4/imagingstudy-definitions.html). An
extension at the series names the source and how many of its instances are left out: a reader sees that this is meant,
and this app finds what is its own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from shared.fhir.ownership import Element, put
from shared.fhir.systems import UNLISTED
from shared.model import InstanceKey


@dataclass(frozen=True, slots=True)
class Listing:
    """Which instances of a source are listed.

    lists: whether those that are read are. source: its name. counts: how many are not, by Series Instance UID.
    taken_out: instances that were listed and are not any more.
    """

    lists: bool = True
    source: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    taken_out: Collection[InstanceKey] = frozenset()


EVERYTHING = Listing()


def unlisted_in(series: Mapping[str, Any]) -> dict[str, int]:
    """How many instances of each source a series does not list."""
    found: dict[str, int] = {}
    for row in series.get("extension", []):
        if row.get("url") == UNLISTED:
            parts = {part.get("url"): part for part in row.get("extension", [])}
            source = parts.get("source", {}).get("valueUri")
            count = parts.get("count", {}).get("valueUnsignedInt")
            if isinstance(source, str) and isinstance(count, int):
                found[source] = count
    return found


def number_in(series: Mapping[str, Any]) -> int:
    """How many instances a series has. Of several sources that list none, the largest number: they mostly have the same
    instances.
    """
    return len(series.get("instance", [])) + max(unlisted_in(series).values(), default=0)


def is_unlisted(study: Mapping[str, Any] | None, source: str) -> bool:
    """Whether an ImagingStudy has instances of this source that it does not list."""
    return any(source in unlisted_in(series) for series in (study or {}).get("series", []))


def lists_not_all(study: Mapping[str, Any] | None) -> bool:
    """Whether an ImagingStudy has instances of any source that it does not list."""
    return any(unlisted_in(series) for series in (study or {}).get("series", []))


def put_count(series: Element, source: str, count: int) -> None:
    """Say how many instances of a source are not listed; nothing where all are."""
    others = [row for row in series.get("extension", []) if row.get("url") != UNLISTED]
    counts = {name: number for name, number in unlisted_in(series).items() if name != source}
    counts |= {source: count} if count else {}
    put(series, "extension", [*others, *(_extension(series["uid"], name, counts[name]) for name in sorted(counts))])


def _extension(uid: str, source: str, count: int) -> Element:
    mark = blake2b(source.encode(), digest_size=4).hexdigest()
    parts = [{"url": "source", "valueUri": source}, {"url": "count", "valueUnsignedInt": count}]
    return {"id": f"dicom-{uid}-{mark}", "url": UNLISTED, "extension": parts}
