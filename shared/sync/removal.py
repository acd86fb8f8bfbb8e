"""What becomes of an ImagingStudy of which no instance of this app is left."""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from shared.fhir.bundle import Entry
from shared.fhir.identifiers import Resource
from shared.fhir.ownership import same_content, source_of
from shared.mapping.moved import Addresses
from shared.mapping.sources import Shared, handed_over, service_of
from shared.mapping.study_layer import reports_of, without_our_part, without_series
from shared.mapping.unlisted import lists_not_all
from shared.model import PARTITION_NAME, Outcome
from shared.sync.attempt import Left
from shared.sync.observations import ObservationsOf
from shared.sync.stored import Stored

# URNs of others can be made of a patient's number; these are not made of words
URN = re.compile(r"urn:(oid:[0-9.]{1,64}|uuid:[0-9a-f-]{36})", re.ASCII | re.IGNORECASE)
# what the path of an archive begins with; further parts, and others, can name a patient in the URL of a record system
PATH = re.compile(r"/(?:[A-Za-z-]{1,32}[0-9]{0,2}(?:/|\Z))?", re.ASCII)
MOST_NAMED = 5  # sources in one line


class Removal(NamedTuple):
    """What to write. left: what stays in FHIR, and why."""

    outcome: Outcome
    entries: list[Entry]
    left: Left | None = None


async def plan_removal(
    stored: Stored,
    rest: Resource | None,
    endpoint: str,
    shared: Shared | None,
    addresses: Addresses,
    observations: ObservationsOf | None,
    *,
    is_theirs: bool,
) -> Removal:
    """What this app created goes, of a resource that holds something of others only its part. What another source of
    this app or of one like it has stays as it is, and is that one's from now on.

    rest: what is left of the ImagingStudy without the instances that are gone; None without any. endpoint: reference to
    the Endpoint. observations: None where the study has none. is_theirs: somebody else wrote the ImagingStudy.
    """
    before, resource, service = stored.before, stored.resource, addresses.present
    if before is None or resource is None:
        return Removal(Outcome.UNCHANGED, [])
    left = shared.without_source if shared else None
    heirs = left.services if left and rest else []
    heir = heirs[0] if heirs and service not in heirs else ""
    # a source whose instances are not listed may have the same reports
    unread = {key.sop_instance_uid for key in (*reports_of(rest), *(stored.reports if lists_not_all(rest) else ()))}
    entries = await observations.plan_removal(unread, heir) if observations else []
    if rest is None and (source_of(resource) or service) == service and not is_theirs:
        return Removal(Outcome.REMOVED, [*entries, Entry.delete(before)])
    if is_theirs and not heirs:
        rest = without_our_part(resource, endpoint, is_theirs=True)
    elif not heirs or rest is None:
        rest = without_our_part(rest or without_series(resource), endpoint)
    elif heir and source_of(rest) == service:
        rest = handed_over(rest, heir)
    rest = left.marked(rest, endpoint, is_theirs=is_theirs) if left else rest
    entries += [] if same_content(rest, before) else [Entry.update(rest, before)]
    names = left.names if left and left.names else {source_of(rest)}
    outcome = Outcome.REDUCED if rest.get("series") else Outcome.EMPTIED
    outcome = outcome if entries else Outcome.UNCHANGED
    is_doubtful = outcome is not Outcome.REDUCED or (is_theirs and stored.was_ours)
    return Removal(outcome, entries, Left(_what_is_left(rest, names, addresses), is_doubtful))


def _what_is_left(rest: Resource, names: Iterable[str], addresses: Addresses) -> str:
    """What is left, of which sources, and what to do if these are this archive's."""
    number = len(rest.get("series", []))
    what = f"{number} series of others" if number else "an ImagingStudy without series"
    some = sorted(names)
    more = f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
    why = f"{what}: the source is {', '.join(map(printed, some[:MOST_NAMED]))}{more}"
    if all(service_of(name) == addresses.present for name in names):
        return why
    return f"{why}; if the archive had this address, name it in DicomWeb__FormerEndpoints and retry the study"


def printed(source: str) -> str:
    """A source as a log may hold it. Of a URL that is host, port, the beginning of the path, and a data partition; the
    `meta.source` of a record system can lead to a patient.
    """
    if URN.fullmatch(source):
        return source
    try:
        parts = urlsplit(source)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname or not source.isprintable() or " " in source:
        return "one that is not a URL" if source else "not given"
    path = PATH.match(parts.path)
    shown = path[0] if path else ""
    cut = "…" if shown != parts.path else ""
    partition = f"#{parts.fragment}" if PARTITION_NAME.fullmatch(parts.fragment) and not cut else ""
    return f"{parts.scheme}://{parts.hostname}{port}{shown}{cut}{partition}"
