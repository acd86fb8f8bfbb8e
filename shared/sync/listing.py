"""Pure: whether a study lists its instances, and how many it then does not.

The ledger counts what is not listed: it has a row for each instance that is there.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from shared.fhir.ownership import source_of
from shared.mapping.element_layer import is_ours
from shared.mapping.series_layer import MARK
from shared.mapping.sources import Shared, Source
from shared.mapping.study_layer import keys_of
from shared.mapping.unlisted import Listing
from shared.model import Finding, InstanceKey, StudyChange
from shared.state import StudyState
from shared.sync.delta import StudyDelta
from shared.sync.ledger import Ledger, counted, digest, series_digest

# of more than a few all instances of the study are read, whichever is known
MOST_REPORTS = 64
NOT_LISTED = Finding("ImagingStudy.series.instance", code="instances-not-listed")
NOT_REMEMBERED = Finding("ImagingStudy.series.instance", code="too-many-instances")


def number_there(ledger: Ledger) -> int:
    """How many instances of the study are there."""
    return sum(row.is_there for row in ledger.values())


def refused_at(state: StudyState, change: StudyChange, refused: set[int]) -> int:
    """The smallest number of instances with which the FHIR server refused the study as too large, 0 for none.

    refused: those of this delivery. Whoever has a study looked at again may have changed the server.
    """
    remembered = {state.too_large} if change.part >= 0 else set()
    return min((refused | remembered) - {0}, default=0)


def most_listed(by_settings: int | None, state: StudyState, change: StudyChange, refused: set[int]) -> int | None:
    """The largest number of instances that a study lists; None for no bound."""
    smallest = refused_at(state, change, refused)
    bounds = [*([] if by_settings is None else [by_settings]), *([smallest - 1] if smallest else [])]
    return min(bounds, default=None)


def findings_of_size(state: StudyState, ledger: Ledger, by_settings: int | None, *, lists: bool) -> list[Finding]:
    """What is to be recorded of the size of a study: that the FHIR server refuses it with its instances, and that it
    has more than are remembered. by_settings: the largest number of instances that the settings list.
    """
    is_refused = not lists and (by_settings is None or number_there(ledger) <= by_settings)
    return [*([NOT_LISTED] if is_refused else []), *([NOT_REMEMBERED] if state.is_cut else [])]


def remember(state: StudyState, change: StudyChange, refused: set[int], reports: Collection[InstanceKey]) -> StudyState:
    """The state with what a pass learnt of the size of the study, and with the dose reports that FHIR does not list.

    refused: numbers of instances with which the FHIR server refused the study in this delivery.
    """
    smallest = refused_at(state, change, refused)
    too_large = smallest if number_there(state.ledger) >= smallest else 0
    return replace(state, too_large=too_large, reports=tuple(sorted(reports)[:MOST_REPORTS]))


def listing_of(
    stored: Mapping[str, Any] | None,
    delta: StudyDelta,
    source: Source,
    shared: Shared | None,
    *,
    lists: bool,
    adopted: bool,
) -> Listing:
    """Which instances of a source the study lists. What others listed stays; in a study that somebody else created,
    what carries no mark of this app is theirs.

    lists: whether it lists all that was read. adopted: all that is listed counts as written by this app.
    """
    if lists:
        return Listing(source=source.name)
    created_by, listed = source_of(stored or {}), keys_of(stored)
    is_own = created_by == source.service or bool(shared and created_by in shared.others)
    marked = _marked(stored)
    holders: Mapping[InstanceKey, frozenset[str]] = shared.holders if shared else {}
    taken_out = frozenset(
        key
        for key in listed
        if (is_own or key in marked)
        and (adopted or digest(key) in delta.ledger)
        and not holders.get(key, frozenset()) - {source.name}
    )
    counts = counted(delta.ledger)
    for key in listed:
        row = delta.ledger.get(digest(key))
        if key not in taken_out and row is not None and row.is_there:
            counts[row.series] -= 1
    uids = {*delta.content.series, *(row["uid"] for row in (stored or {}).get("series", []))}
    unlisted = {uid: counts[series_digest(uid)] for uid in uids}
    return Listing(lists, source.name, {uid: count for uid, count in unlisted.items() if count > 0}, taken_out)


def _marked(stored: Mapping[str, Any] | None) -> set[InstanceKey]:
    """The instances that carry the mark of this app, or are in a series that does."""
    return {
        InstanceKey(series["uid"], row["uid"])
        for series in (stored or {}).get("series", [])
        for row in series.get("instance", [])
        if is_ours(series, MARK) or is_ours(row, MARK)
    }
