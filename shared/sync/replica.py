"""Pure: notice that a search is answered by a replica, which does not have yet what was written a moment ago.

Concluding from such an answer would write nothing where something has to be written, or create what is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from shared.errors import VersionConflict
from shared.fhir.bundle import Answer, Entry, updated_at
from shared.fhir.identifiers import Resource
from shared.state import Written

STUDY = "ImagingStudy"
OF_STUDIES = (STUDY, "Observation")
# replicas lag by seconds; what is missing after this time was taken away, or the server set up anew
LAG_S = 60
UNKNOWN = datetime.min.replace(tzinfo=UTC)


def check_shown(written: Written | None, found: Iterable[Resource], now: float) -> None:
    """Raise VersionConflict when a search shows less than was written.

    now: when it was asked, in seconds by the clock of the FHIR server, as `Written.at` is: workers' clocks differ.
    """
    last = _instant(written.updated_at) if written else UNKNOWN
    if written is None or last == UNKNOWN or now - written.at > LAG_S:
        return
    shown = max((_instant(updated_at(one)) for one in found), default=None)
    if shown == UNKNOWN:
        return
    is_old = (shown is not None and shown <= last) if written.is_gone else (shown is None or shown < last)
    if is_old:
        raise VersionConflict("searches of the FHIR server do not show the last write yet")


def is_version(resource: Resource, written: Written) -> bool:
    """Whether a resource is the version that was written."""
    at = _instant(updated_at(resource))
    return at != UNKNOWN and at == _instant(written.updated_at)


def written_by(entries: Sequence[Entry], answers: Sequence[Answer], at: float) -> dict[str, Written]:
    """What a transaction wrote, by resource type."""
    result: dict[str, Written] = {}
    for kind in {entry.resource_type for entry in entries}:
        answered = zip(entries, answers, strict=True)
        times = [answer.updated_at for entry, answer in answered if entry.resource_type == kind]
        result[kind] = Written(max(times, key=_instant), at)
    for entry in entries:
        # a study has one; of its Observations others may be left, and nothing can be concluded from their times
        if entry.method == "DELETE" and entry.before is not None and entry.resource_type == STUDY:
            result[STUDY] = Written(updated_at(entry.before), at, is_gone=True)
    return result


def newest(one: Mapping[str, Written], other: Mapping[str, Written]) -> dict[str, Written]:
    """Of each resource type that belongs to a study, what was written last: as the versions say. `Written.at` has whole
    seconds, in which a study can be written more than once.
    """
    both = {kind: [of[kind] for of in (one, other) if kind in of] for kind in OF_STUDIES}
    return {kind: max(some, key=_version) for kind, some in both.items() if some}


def _version(written: Written) -> tuple[datetime, bool, float]:
    # of a deletion, the version that it took away is known
    return _instant(written.updated_at), written.is_gone, written.at


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return UNKNOWN
    return found if found.tzinfo else found.replace(tzinfo=UTC)
