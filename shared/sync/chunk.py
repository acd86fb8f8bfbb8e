"""A part of the change feed as it was read, and what is said of it in the log and in the error tables."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.dicom.feed import Changes, Latest, Page
from shared.model import DEFAULT_PARTITION, ChangeFeedEntry, Checkpoint, MalformedEntry, SequenceRange, StudyKey
from shared.storage.error_records import MALFORMED_ENTRY, ErrorRecord
from shared.sync.gaps import MOST_GAPS, new_gaps, numbers_in
from shared.telemetry import event

# what is held in memory at once
CHUNK_ENTRIES = 20_000
# wider gaps are numbers that an unclean restart of the database skipped, or a large deletion that is not committed yet
WIDE = 1_000


@dataclass(slots=True)
class Chunk:
    """A part of the feed, read up to `sequence`.

    gaps: to be looked at again; passed: not any more. last: the entry with the highest sequence. is_held: there are
    more gaps than can be remembered; `sequence` stays before the first of these until older ones are passed.
    """

    sequence: int
    gaps: list[SequenceRange] = field(default_factory=list)
    passed: list[SequenceRange] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    malformed: list[MalformedEntry] = field(default_factory=list)
    last: ChangeFeedEntry | None = None
    is_held: bool = False

    def reach(self, sequence: int, there: Mapping[int, datetime | None], latest: Latest) -> None:
        """Take the feed for read up to a sequence, or up to the first gap that cannot be remembered."""
        found = new_gaps(self.sequence, sequence, there, latest, MOST_GAPS - len(self.gaps))
        self.gaps += found.kept
        self.passed += found.passed
        self.is_held = found.read_to < sequence
        self.sequence = max(self.sequence, found.read_to)

    def collect(self, page: Page, first: int, last: int) -> None:
        """Take in what a page holds from one sequence to another."""
        for entry in page.entries:
            if first <= entry.sequence <= last:
                self.changes.add(entry)
                if self.last is None or entry.sequence > self.last.sequence:
                    self.last = entry
        self.malformed += [row for row in page.malformed if first <= row.sequence <= last]

    @property
    def is_full(self) -> bool:
        """Whether more would be too much to hold at once."""
        return self.changes.count + len(self.malformed) >= CHUNK_ENTRIES


def report(checkpoint: Checkpoint, chunk: Chunk) -> None:
    """Say what is not enqueued though the checkpoint moves on, or why it does not."""
    known = {gap.first for gap in checkpoint.gaps}
    for gap in chunk.gaps:
        if gap.last - gap.first >= WIDE and gap.first not in known:
            event("gap_found", logging.WARNING, first=gap.first, last=gap.last, numbers=numbers_in([gap]))
    if chunk.passed:
        first, last = chunk.passed[0].first, chunk.passed[-1].last
        event("gaps_passed", gaps=len(chunk.passed), numbers=numbers_in(chunk.passed), first=first, last=last)
    if chunk.is_held:
        event("gaps_hold_feed", logging.WARNING, gaps=len(chunk.gaps), sequence=chunk.sequence)
    if chunk.malformed:
        sequences = [row.sequence for row in chunk.malformed]
        event("rows_malformed", logging.WARNING, rows=len(sequences), first=min(sequences), last=max(sequences))


def record_of(entry: MalformedEntry) -> ErrorRecord:
    """The row of a change feed entry that cannot be read."""
    study = StudyKey(DEFAULT_PARTITION, entry.study_instance_uid)
    detail = f"{entry.reason} at sequence {entry.sequence}"
    return ErrorRecord(
        study,
        MALFORMED_ENTRY,
        entry.series_instance_uid,
        entry.sop_instance_uid,
        entry.sequence,
        detail,
        key=detail,
    )
