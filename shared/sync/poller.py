"""Feed to queue, then checkpoint.

Sequences can become visible late, behind ones that were already read; missing ones are looked at again, see
`shared.sync.gaps`. Each chunk of the feed is numbered under the checkpoint's ETag before it is enqueued, so the
messages of an overtaken poller never look newer than those of the one that overtook it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from shared.dicom.client import DicomClient
from shared.dicom.feed import PAGE_LIMIT, Latest
from shared.dicom.origin import check_latest, check_reset, check_same
from shared.errors import Unavailable
from shared.model import Checkpoint, StudyChange
from shared.schedule import TRACE_EVERY
from shared.storage.checkpoint import CheckpointStore
from shared.storage.error_records import ErrorRecords, ErrorTable
from shared.storage.study_queue import StudyQueue
from shared.sync.chunk import Chunk, record_of, report
from shared.sync.feed_pages import read_page, read_range
from shared.sync.gaps import after_look, windows
from shared.sync.other_readers import NotAlone
from shared.sync.side_by_side import all_of

# less than the ten minutes of functionTimeout in host.json
BUDGET_S = 240.0
# a poll is cut off then, wherever it is; the host would end the process with all its messages
LIMIT_S = 480.0
CHUNK_S = 20.0
CONCURRENT_SENDS = 8
PAGES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class PollResult:
    """What a poll did: entries read, messages sent, how far it came and how far the feed goes."""

    entries: int
    messages: int
    sequence: int
    latest: int


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
        default_zone: str = "",
        schedule: str = "0 * * * * *",
    ) -> None:
        self._dicom = dicom
        self._record_malformed = record_malformed
        self._checkpoints = checkpoints
        self._queue = queue
        self._records = records
        self._now = now
        self._others = NotAlone(dicom, checkpoints, queue, now, default_zone, schedule)

    async def poll(self) -> PollResult:
        """Enqueue what changed since the checkpoint, until caught up or the time budget is spent.

        Raises VersionConflict when another poller is at work, Misconfigured when the feed was reset.
        """
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._poll()
        except TimeoutError:
            raise Unavailable(f"a poll of the change feed was not done within {LIMIT_S:.0f} s") from None

    async def _poll(self) -> PollResult:
        deadline = time.monotonic() + BUDGET_S
        checkpoint = await self._checkpoints.get()
        latest = await self._dicom.latest()
        await self._check_end(checkpoint, latest)
        entries = messages = 0
        if checkpoint.fingerprint is not None:
            await check_same(self._dicom, checkpoint.fingerprint, latest)
        checkpoint = await self._others.look_after(checkpoint, latest)
        chunk = await self._look_again(checkpoint, latest)
        while True:
            await self._read(chunk, latest, deadline)
            await self._check_still(checkpoint, chunk, latest)
            checkpoint, sent = await self._enqueue(checkpoint, chunk, latest)
            entries, messages = entries + chunk.changes.count, messages + sent
            if chunk.is_held or chunk.sequence >= latest.sequence or time.monotonic() > deadline:
                return PollResult(entries, messages, checkpoint.sequence, latest.sequence)
            chunk = Chunk(checkpoint.sequence, list(checkpoint.gaps))

    async def _check_end(self, checkpoint: Checkpoint, latest: Latest) -> None:
        """A feed that seems to end before the checkpoint is asked in another way, too: a gateway may have answered."""
        if latest.sequence < checkpoint.sequence and checkpoint.fingerprint is not None:
            await check_same(self._dicom, checkpoint.fingerprint)
        check_reset(latest.sequence, checkpoint.sequence)

    async def _check_still(self, checkpoint: Checkpoint, chunk: Chunk, latest: Latest) -> None:
        """Raise unless the service that said how far the feed goes still answers, now that a chunk was read.

        The address may lead elsewhere from one moment to the next, and the numbers of another service would be taken
        for those of this one. A page that ends at the latest change was compared with it.
        """
        is_compared = latest.entry is not None and chunk.sequence >= latest.sequence > checkpoint.sequence
        if is_compared or not (checkpoint.gaps or chunk.sequence > checkpoint.sequence):
            return
        if latest.entry is not None:
            page, _ = await read_page(self._dicom, latest.sequence - 1, latest.sequence)
            check_latest(page, latest)
        elif checkpoint.fingerprint is not None:
            await check_same(self._dicom, checkpoint.fingerprint)

    async def _look_again(self, checkpoint: Checkpoint, latest: Latest) -> Chunk:
        """The first chunk, with what has appeared in the gaps since. Each is looked at at least once, however long ago
        the last poll was.
        """
        chunk, there = Chunk(checkpoint.sequence), set[int]()
        until = time.monotonic() + CHUNK_S
        wanted = windows(checkpoint.gaps, PAGE_LIMIT)
        looked_to = checkpoint.sequence
        for place in range(0, len(wanted), PAGES_AT_ONCE):
            some = wanted[place : place + PAGES_AT_ONCE]
            if time.monotonic() > until:
                looked_to = some[0][0] - 1
                break
            for (first, last), page in zip(
                some, await all_of(read_range(self._dicom, *ends) for ends in some), strict=True
            ):
                for gap in checkpoint.gaps:
                    chunk.collect(page, max(first, gap.first), min(last, gap.last))
                there |= page.there.keys()
        found = after_look(checkpoint.gaps, there, looked_to, latest.at)
        chunk.gaps, chunk.passed = found.kept, found.passed
        return chunk

    async def _read(self, chunk: Chunk, latest: Latest, deadline: float) -> None:
        """Go on to the end of the feed as it was asked for: whatever number is missing before was taken by then."""
        until = min(deadline, time.monotonic() + CHUNK_S)
        read_to = chunk.sequence
        while read_to < latest.sequence and not (chunk.is_full or chunk.is_held) and time.monotonic() < until:
            starts = range(read_to, latest.sequence, PAGE_LIMIT)[:PAGES_AT_ONCE]
            ends = [(after, min(after + PAGE_LIMIT, latest.sequence)) for after in starts]
            pages = await all_of(read_page(self._dicom, *some) for some in ends)
            for after, (page, last) in zip(starts, pages, strict=True):
                if last == latest.sequence:
                    check_latest(page, latest)
                if after == read_to and not chunk.is_held:  # or the page before it was read in part only
                    before = chunk.sequence
                    chunk.reach(max(page.there, default=before), page.there, latest)
                    chunk.collect(page, before + 1, chunk.sequence if chunk.is_held else last)
                    read_to = last
        if not chunk.is_held:
            chunk.reach(read_to, {}, latest)

    async def _enqueue(self, checkpoint: Checkpoint, chunk: Chunk, latest: Latest) -> tuple[Checkpoint, int]:
        """Number the chunk, send its messages, then move the checkpoint on.

        The fingerprint is written before the messages: whoever works on them asks for it.
        """
        ends = (chunk.last, latest.entry if chunk.sequence >= latest.sequence else None)
        read = [entry.fingerprint for entry in ends if entry is not None]
        newest = max([*read, *([checkpoint.fingerprint] if checkpoint.fingerprint else [])], default=None)
        sent = 0
        if chunk.changes.count:
            poll = max(checkpoint.poll + 1, int(self._now().timestamp() * 1000))
            checkpoint = await self._save(replace(checkpoint, poll=poll, fingerprint=newest))
            sent = await self._send(chunk.changes.messages(poll))
        if chunk.malformed and self._record_malformed:
            await self._records.put_all(ErrorTable.DICOM, list(map(record_of, chunk.malformed)))
        now = replace(checkpoint, sequence=chunk.sequence, gaps=tuple(chunk.gaps), fingerprint=newest)
        is_old = checkpoint.saved_at is None or self._now() - checkpoint.saved_at >= TRACE_EVERY
        if is_old or now != checkpoint:
            report(checkpoint, chunk)
            checkpoint = await self._save(now)
        return checkpoint, sent

    async def _save(self, checkpoint: Checkpoint) -> Checkpoint:
        return await self._others.save(checkpoint, self._now())

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
