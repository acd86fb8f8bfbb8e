"""Tell whether the service is the one that this app has read so far: its change feed still has what it once had.

Sequences and absences mean something only at the service that they came from. A service that was set up again, or
another one behind the address, begins its sequences again and lacks studies that nobody deleted.
"""

from shared.dicom.client import SERVICE, DicomClient
from shared.dicom.feed import Latest, Page, parse_page
from shared.errors import Misconfigured, Unavailable
from shared.model import Fingerprint

TO_DO = (
    "this is another DICOM service, or the same one after it was set up or restored again; check where the endpoint "
    "leads. If that service is meant to be there: stop the app, clear the queue, delete the tables SyncStateTable, "
    "StudyStateTable, PatientStateTable and TransientRetryExceptionTable, then start the app. Studies that this "
    "service does not have stay in FHIR until somebody deletes them"
)


async def check_same(dicom: DicomClient, known: Fingerprint, latest: Latest | None = None) -> None:
    """Raise Misconfigured unless the change feed still has this entry, Unavailable when it does not tell.

    latest: the end of the feed, if it was asked for already; it saves a request where the entry is the last one.
    """
    entry = latest.entry if latest is not None and latest.sequence == known.sequence else None
    if entry is None:
        after = known.sequence - 1
        page = parse_page(await dicom.feed_page(after, 1), after, known.sequence)
        if page.malformed:
            raise Unavailable(f"{SERVICE} answered a row of the change feed that cannot be read, at {known.sequence}")
        entry = next(iter(page.entries), None)
    if entry is None:
        raise feed_reset(f"has no entry at {known.sequence}, where it once had one")
    if entry.fingerprint != known:
        raise feed_reset(f"has another entry at {known.sequence} than it once had")


def check_latest(page: Page, latest: Latest) -> None:
    """Raise Unavailable where a page that ends at the latest change lacks it: another service may have answered."""
    if latest.entry is not None and latest.entry not in page.entries:
        raise Unavailable(f"{SERVICE} answered a page of the change feed without its latest change")


def check_reset(latest: int, seen_at: int) -> None:
    """Raise Misconfigured when the change feed ends before a sequence that it once had."""
    if latest < seen_at:
        raise feed_reset(f"ends at {latest}, before {seen_at}, which it once had")


def feed_reset(what: str) -> Misconfigured:
    """The error that says that this is another feed than the one that was read so far."""
    return Misconfigured(f"the change feed {what}: {TO_DO}", code="feed-reset")
