"""Feed to queue, then checkpoint.

Sequences can become visible late, behind ones that were already read: the service takes a number before it commits.
Numbers that were missing stay in the checkpoint for a while and are looked at again. Each chunk of the feed is numbered
under the checkpoint's ETag before it is enqueued, so the messages of an overtaken poller never look newer than those of
the one that overtook it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from shared.dicom.client import PAGE_LIMIT, DicomClient, check_reset, feed_reset
from shared.dicom.feed import Changes, parse_page
from shared.errors import Unavailable
from shared.http import UNREADABLE
from shared.model import (
    DEFAULT_PARTITION,
    ChangeFeedEntry,
    Checkpoint,
    MalformedEntry,
    SequenceRange,
    StudyChange,
    StudyKey,
    Witness,
)
from shared.storage.checkpoint import CheckpointStore
from shared.storage.error_records import MALFORMED_ENTRY, ErrorRecord, ErrorRecords, ErrorTable
from shared.storage.study_queue import StudyQueue
from shared.sync.side_by_side import all_of

# less than the ten minutes of functionTimeout in host.json
BUDGET_S = 240.0
# what is held in memory at once
CHUNK_ENTRIES = 20_000
CHUNK_S = 20.0
CONCURRENT_SENDS = 8
PAGES_AT_ONCE = 4
# SQL Server ends a transaction of the service long before
GRACE = timedelta(minutes=2)
# a poll that finds nothing new writes the checkpoint's date no more often than this: health sees by it that polls go on
TRACE_EVERY = timedelta(minutes=5)
# wider gaps are numbers that an unclean restart skipped for good
WIDEST_HOLE = 1_000
MOST_HOLES = 200


@dataclass(frozen=True, slots=True)
class PollResult:
    """What a poll did: entries read, messages sent, how far it came and how far the feed goes."""

    entries: int
    messages: int
    sequence: int
    latest: int


@dataclass(slots=True)
class Chunk:
    """A part of the feed, read."""

    sequence: int
    holes: list[SequenceRange]
    changes: Changes = field(default_factory=Changes)
    malformed: list[MalformedEntry] = field(default_factory=list)
    witness: Witness | None = None

    def add(self, entries: Iterable[ChangeFeedEntry], malformed: Iterable[MalformedEntry]) -> None:
        """Collect what was read."""
        for entry in entries:
            self.changes.add(entry)
            if self.witness is None or entry.sequence > self.witness.sequence:
                self.witness = entry.witness
        self.malformed += malformed

    @property
    def is_full(self) -> bool:
        """Whether more would be too much to hold at once."""
        return self.changes.count + len(self.malformed) >= CHUNK_ENTRIES


class Poller:
    """One pass over what is new in the feed."""

    def __init__(
        self,
        dicom: DicomClient,
        checkpoints: CheckpointStore,
        queue: StudyQueue,
        records: ErrorRecords,
        now: Callable[[], datetime],
        *,
        record_malformed: bool = True,
    ) -> None:
        self._dicom = dicom
        self._record_malformed = record_malformed
        self._checkpoints = checkpoints
        self._queue = queue
        self._records = records
        self._now = now

    async def poll(self) -> PollResult:
        """Enqueue what changed since the checkpoint, until caught up or the time budget is spent.

        Raises VersionConflict when another poller is at work, Misconfigured when the feed was reset.
        """
        deadline = time.monotonic() + BUDGET_S
        checkpoint = await self._checkpoints.get()
        latest = await self._dicom.latest_sequence()
        check_reset(latest, checkpoint.sequence)
        entries = messages = 0
        chunk = await self._late(checkpoint, latest)
        await all_of([self._check_witness(checkpoint, latest), self._read(chunk, latest, deadline)])
        while True:
            checkpoint, sent = await self._enqueue(checkpoint, chunk)
            entries, messages = entries + chunk.changes.count, messages + sent
            if chunk.sequence >= latest or time.monotonic() > deadline:
                return PollResult(entries, messages, checkpoint.sequence, max(latest, checkpoint.sequence))
            chunk = Chunk(checkpoint.sequence, list(checkpoint.holes))
            await self._read(chunk, latest, deadline)

    async def _check_witness(self, checkpoint: Checkpoint, latest: int) -> None:
        """A re-created service whose feed has grown past the checkpoint has another entry where the last one was."""
        witness = checkpoint.witness
        if witness is None or latest <= checkpoint.sequence:
            return
        rows, _ = await self._page(witness.sequence - 1, 1)
        entries, _ = parse_page(rows, witness.sequence - 1, 1, latest)
        if any(entry.sequence == witness.sequence and entry.witness != witness for entry in entries):
            raise feed_reset(f"has another entry at {witness.sequence} than it once had")

    async def _late(self, checkpoint: Checkpoint, latest: int) -> Chunk:
        """The first chunk, with what has appeared in the holes since. Each is looked at at least once, however long ago
        the last poll was.
        """
        chunk = Chunk(checkpoint.sequence, [])
        for window in _windows(checkpoint.holes):
            after, width = window[0].first - 1, window[-1].last - window[0].first + 1
            rows = await self._rows(after, width)
            entries, malformed = parse_page(rows, after, width, latest)
            wanted = {sequence for hole in window for sequence in range(hole.first, hole.last + 1)}
            chunk.add(
                [entry for entry in entries if entry.sequence in wanted],
                [entry for entry in malformed if entry.sequence in wanted],
            )
            for hole in window:
                there = dict.fromkeys(_sequences(entries, malformed), hole.seen_at)
                chunk.holes += _missing(hole.first - 1, hole.last, there, hole.seen_at)
        return chunk

    async def _read(self, chunk: Chunk, latest: int, deadline: float) -> None:
        until = min(deadline, time.monotonic() + CHUNK_S)
        read_to = chunk.sequence
        while read_to < latest and not chunk.is_full and time.monotonic() < until:
            starts = range(read_to, latest, PAGE_LIMIT)[:PAGES_AT_ONCE]
            pages = await all_of(self._page(after, PAGE_LIMIT) for after in starts)
            for after, (rows, width) in zip(starts, pages, strict=True):
                if after == read_to:  # or the page before it was read in part only
                    self._add(chunk, rows, after, width, latest)
                    read_to = max(after + width, chunk.sequence)
        _reach(chunk, min(read_to, latest), {}, self._now())

    def _add(self, chunk: Chunk, rows: list[Any], after: int, width: int, latest: int) -> None:
        entries, malformed = parse_page(rows, after, width, latest)
        chunk.add(entries, malformed)
        now = self._now()
        there = dict.fromkeys(_sequences(entries, malformed), now)
        there |= {entry.sequence: min(now, entry.changed_at) for entry in entries if entry.changed_at}
        # an empty page below the latest sequence is a hole, not the end
        _reach(chunk, max(there, default=min(after + width, latest)), there, now)

    async def _rows(self, after: int, width: int) -> list[Any]:
        """All rows in (after, after + width]."""
        rows: list[Any] = []
        last = after + width
        while after < last:
            some, read = await self._page(after, last - after)
            rows, after = rows + some, after + read
        return rows

    async def _page(self, after: int, width: int) -> tuple[list[Any], int]:
        """Rows in (after, after + width]; where a page cannot be read, a narrower one, down to the row at fault."""
        try:
            return await self._dicom.feed_page(after, width), width
        except Unavailable as error:
            if error.code != UNREADABLE:
                raise
        if width == 1:
            return [None], 1
        return await self._page(after, max(1, width // 10))

    async def _enqueue(self, checkpoint: Checkpoint, chunk: Chunk) -> tuple[Checkpoint, int]:
        """Number the chunk, send its messages, then move the checkpoint on."""
        sent = 0
        if chunk.changes.count:
            poll = max(checkpoint.poll + 1, int(self._now().timestamp() * 1000))
            checkpoint = await self._save(replace(checkpoint, poll=poll))
            sent = await self._send(chunk.changes.messages(poll))
        if chunk.malformed and self._record_malformed:
            await self._records.put_all(ErrorTable.DICOM, list(map(_record_of, chunk.malformed)))
        holes = tuple(_kept(chunk.holes, self._now()))
        is_old = checkpoint.saved_at is None or self._now() - checkpoint.saved_at >= TRACE_EVERY
        if is_old or (chunk.sequence, holes) != (checkpoint.sequence, checkpoint.holes):
            witness = chunk.witness or checkpoint.witness
            checkpoint = replace(checkpoint, sequence=chunk.sequence, holes=holes, witness=witness)
            checkpoint = await self._save(checkpoint)
        return checkpoint, sent

    async def _save(self, checkpoint: Checkpoint) -> Checkpoint:
        return await self._checkpoints.save(replace(checkpoint, saved_at=self._now()))

    async def _send(self, messages: Iterable[StudyChange]) -> int:
        sent = 0
        batch: list[StudyChange] = []
        for message in messages:
            # the first part of a study knows which instances speak; the others follow it
            if len(batch) == CONCURRENT_SENDS or message.part == 1:
                await asyncio.gather(*map(self._queue.send, batch))
                sent, batch = sent + len(batch), []
            batch.append(message)
        await asyncio.gather(*map(self._queue.send, batch))
        return sent + len(batch)


def _sequences(entries: Iterable[ChangeFeedEntry], malformed: Iterable[MalformedEntry]) -> set[int]:
    return {entry.sequence for entry in entries} | {row.sequence for row in malformed if row.sequence is not None}


def _reach(chunk: Chunk, sequence: int, there: Mapping[int, datetime], now: datetime) -> None:
    """Move the end of what was read; what is missing before it is remembered."""
    if sequence > chunk.sequence:
        chunk.holes += _missing(chunk.sequence, sequence, there, now)
        chunk.sequence = sequence


def _missing(after: int, last: int, there: Mapping[int, datetime], now: datetime) -> list[SequenceRange]:
    """Ranges within (after, last] of which nothing is there. `there` tells when what is there changed: a number that is
    missing was taken before the entry behind it was written.
    """
    found = sorted(sequence for sequence in there if after < sequence <= last)
    edges = [after, *found, last + 1]
    return [SequenceRange(low + 1, high - 1, there.get(high, now)) for low, high in pairwise(edges) if high - low > 1]


def _windows(holes: Sequence[SequenceRange]) -> list[list[SequenceRange]]:
    """Holes that one page can look at together."""
    windows: list[list[SequenceRange]] = []
    for hole in holes:
        for first in range(hole.first, hole.last + 1, PAGE_LIMIT):
            piece = SequenceRange(first, min(hole.last, first + PAGE_LIMIT - 1), hole.seen_at)
            if windows and piece.last - windows[-1][0].first < PAGE_LIMIT:
                windows[-1].append(piece)
            else:
                windows.append([piece])
    return windows


def _kept(holes: Iterable[SequenceRange], now: datetime) -> list[SequenceRange]:
    young = [hole for hole in holes if hole.seen_at > now - GRACE and hole.last - hole.first < WIDEST_HOLE]
    return sorted(young, key=lambda hole: hole.first)[-MOST_HOLES:]


def _record_of(entry: MalformedEntry) -> ErrorRecord:
    study = StudyKey(DEFAULT_PARTITION, entry.study_instance_uid)
    detail = f"{entry.reason} at sequence {entry.sequence}"
    return ErrorRecord(
        study,
        MALFORMED_ENTRY,
        entry.series_instance_uid,
        entry.sop_instance_uid,
        entry.sequence or 0,
        detail,
        key=detail,
    )
