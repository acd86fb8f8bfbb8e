"""Others that read the change feed beside this app and move its checkpoint: a DICOM Cast that was not stopped, or one
that was gone back to for a while. Only the first is a fault: the second was stopped before this app was started again.

DICOM Cast writes over what this app wrote, makes a second set of dose Observations with each instance that it reads
again, and deletes those of a study with any of its instances. So the studies of all rows that it has passed are sent
through the queue once more, each as a whole.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from shared.dicom.client import DicomClient
from shared.dicom.feed import PAGE_LIMIT, Latest
from shared.errors import Misconfigured, VersionConflict
from shared.model import Checkpoint, OtherReaders, StudyKey
from shared.schedule import is_overdue
from shared.storage.checkpoint import CheckpointStore
from shared.storage.study_queue import StudyQueue
from shared.sync.feed_pages import read_range
from shared.sync.others import look_again
from shared.sync.side_by_side import all_of
from shared.telemetry import event

# what is at work no more has written all that it had read by then
QUIET = timedelta(hours=1)
# sequences that DICOM Cast works through before it moves the checkpoint
PAGE = 10
AT_ONCE = 8
TRIES = 5
LIMIT_S = 20.0
TEXT = (
    "somebody else moved the checkpoint {minutes} ago: DICOM Cast, or another app, reads the change feed with the same "
    "tables and writes over what this app writes. Stop it. Its studies are processed again by themselves; this is said "
    "for an hour after it was last seen"
)


class NotAlone:
    """Looks after what others did to the checkpoint, at the beginning of each poll."""

    def __init__(
        self,
        dicom: DicomClient,
        checkpoints: CheckpointStore,
        queue: StudyQueue,
        now: Callable[[], datetime],
        default_zone: str,
        schedule: str,
    ) -> None:
        self._dicom = dicom
        self._checkpoints = checkpoints
        self._queue = queue
        self._now = now
        self._default_zone = default_zone
        self._schedule = schedule
        self._seen = Checkpoint()

    async def look_after(self, checkpoint: Checkpoint, latest: Latest) -> Checkpoint:
        """Say that the checkpoint was taken over or moved, and have the studies processed that others had.

        Returns the checkpoint to go on from. Raises VersionConflict when somebody else saved it meanwhile.
        """
        self._seen = checkpoint
        if checkpoint.is_of_dicom_cast:
            self._report_takeover(checkpoint)
        now = self._now()
        found = after_others(checkpoint, latest.sequence, now, is_at_work=is_at_work(checkpoint, self._schedule, now))
        if checkpoint.moved_to is not None:
            _report_moved(checkpoint, checkpoint.moved_to)
            found = await self.save(found, self._now())
        return await self._process_again(found)

    async def save(self, checkpoint: Checkpoint, now: datetime) -> Checkpoint:
        """Save it as of now, also where one that does not ask for the ETag has moved it meanwhile.

        Raises VersionConflict when another poller of this app saved it.
        """
        for _ in range(TRIES):
            try:
                self._seen = await self._checkpoints.save(replace(checkpoint, saved_at=now))
            except VersionConflict:
                row = await self._checkpoints.get()
                if _own(row) != _own(self._seen):
                    raise
                if row.etag == checkpoint.etag:  # nobody wrote it: something before the table refused the write
                    continue
                _report_moved(checkpoint, row.synced)
                others = checkpoint.others or OtherReaders(checkpoint.sequence, _whole(now))
                others = others._replace(again_to=max(row.synced, others.again_to), moved_at=_whole(now))
                checkpoint = replace(
                    checkpoint, etag=row.etag, synced=max(row.synced, checkpoint.synced), others=others
                )
            else:
                return self._seen
        raise VersionConflict("another reader keeps moving the checkpoint")

    def _report_takeover(self, checkpoint: Checkpoint) -> None:
        event("checkpoint_taken_over", sequence=checkpoint.sequence)
        if not self._default_zone:
            event(
                "no_default_zone",
                logging.WARNING,
                setting="DicomWeb__DefaultTimeZone",
                reason="DICOM Cast wrote times without an offset as UTC; without this setting only the date is written",
            )

    async def _process_again(self, checkpoint: Checkpoint) -> Checkpoint:
        """Send studies until all are sent, or the time for it is spent."""
        others = checkpoint.others
        if others is None or others.again_to <= others.seen_to:
            return checkpoint
        sent: set[StudyKey] = set()
        until = time.monotonic() + LIMIT_S
        while others.seen_to < others.again_to and time.monotonic() < until:
            last = min(others.seen_to + PAGE_LIMIT, others.again_to)
            page = await read_range(self._dicom, others.seen_to + 1, last)
            studies = list(dict.fromkeys(one.study for one in page.entries if one.study not in sent))
            for start in range(0, len(studies), AT_ONCE):
                some = studies[start : start + AT_ONCE]
                await all_of(self._queue.send(look_again(study, checkpoint.poll)) for study in some)
            sent.update(studies)
            others = others._replace(seen_to=last, seen_at=_whole(self._now()))
        event("studies_of_others", studies=len(sent), sequence=others.seen_to)
        return await self.save(replace(checkpoint, others=others), self._now())


def after_others(checkpoint: Checkpoint, latest: int, now: datetime, *, is_at_work: bool) -> Checkpoint:
    """The checkpoint to go on from.

    Rows that others have passed are processed again from where they were last known not to have been. If the row was
    set back behind that, all of the feed from there is read once more. is_at_work: see `is_at_work`. One that was at
    work may have been stopped in the middle of a page, of which it told nothing: its rows are processed when it is
    quiet.
    """
    now = _whole(now)
    # DICOM Cast was at work until now, at least; `two-readers` is said where it goes on
    before = now - QUIET if checkpoint.is_of_dicom_cast else None
    others = checkpoint.others or OtherReaders(checkpoint.sequence, now, moved_at=before)
    moved_to = checkpoint.moved_to
    if moved_to is None:
        is_quiet = now - max(others.seen_at, others.moved_at or others.seen_at) >= QUIET
        if others.again_to <= others.seen_to and is_quiet:
            if others.moved_at is None:
                others = OtherReaders(checkpoint.sequence, now)
            else:
                others = OtherReaders(others.seen_to, now, min(checkpoint.sequence, others.seen_to + PAGE))
        return replace(checkpoint, others=others)
    moved_at = now if is_at_work else others.moved_at
    if moved_to < others.seen_to:
        gaps = tuple(gap for gap in checkpoint.gaps if gap.last <= moved_to)
        return replace(checkpoint, sequence=moved_to, gaps=gaps, others=OtherReaders(moved_to, now, moved_at=moved_at))
    again_to = min(latest, max(moved_to, others.again_to))
    return replace(checkpoint, others=others._replace(again_to=again_to, moved_at=moved_at))


def _own(row: Checkpoint) -> tuple[object, ...]:
    """What only this app writes."""
    return row.saved_at, row.poll, row.sequence if row.others else None, row.fingerprint


def _whole(instant: datetime) -> datetime:
    """In whole seconds, as the row has it."""
    return instant.replace(microsecond=0)


def _report_moved(checkpoint: Checkpoint, moved_to: int) -> None:
    reason = "another reader of the change feed uses the same tables: stop it if it still runs"
    event("checkpoint_moved", logging.WARNING, sequence=checkpoint.sequence, moved_to=moved_to, reason=reason)


def is_at_work(checkpoint: Checkpoint, schedule: str, now: datetime) -> bool:
    """Whether somebody else moved the checkpoint while this app polled.

    After a pause of this app that is longer than its schedule allows, the other may be stopped by now: the site went
    back to DICOM Cast and returned. If it still runs, it moves the checkpoint again with the next change.
    """
    if checkpoint.moved_to is None:
        return False
    try:
        return checkpoint.saved_at is None or not is_overdue(schedule, checkpoint.saved_at, now)
    except ValueError:  # never due
        return True


def check_alone(checkpoint: Checkpoint, schedule: str, now: datetime) -> None:
    """Raise Misconfigured (`two-readers`) when somebody else moved the checkpoint within the last hour, and this app
    polled meanwhile.
    """
    moved_at = checkpoint.others.moved_at if checkpoint.others else None
    if is_at_work(checkpoint, schedule, now):
        moved_at = now
    if moved_at is not None and now - moved_at < QUIET:
        minutes = max(1, (now - moved_at) // timedelta(minutes=1))
        said = f"{minutes} minute{'s' if minutes > 1 else ''}"
        raise Misconfigured(TEXT.format(minutes=said), code="two-readers")
