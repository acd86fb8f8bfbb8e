"""The rows of the change feed: numbering, visibility and the two windows they are read through.

v1 reads a window of sequence numbers, v2 a window of time (dicom-server: GetChangeFeed*V39.sql). Numbers are spent by
rows that never appear, and a row can appear behind newer ones; `skip` and `hold` do both on request.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dev.dicom.model import Key


@dataclass(slots=True)
class Row:
    """One change; `watermark` is the version at the time, the state is derived from the instance's present one."""

    sequence: int
    key: Key
    action: str
    at: datetime
    watermark: int
    visible: bool = True


class Feed:
    """All rows, by sequence and by time."""

    def __init__(self) -> None:
        self.next_sequence = 1
        self._held = 0
        self._hidden: list[Row] = []
        self._rows: dict[int, Row] = {}
        self._sequences: list[int] = []
        self._times: list[tuple[datetime, int]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def commit(self, action: str, changes: Iterable[tuple[Key, int]], at: datetime) -> None:
        """Append one row per (instance, version), all with the time of their transaction."""
        for key, watermark in changes:
            row = Row(self.next_sequence, key, action, at, watermark, visible=self._held == 0)
            if not row.visible:
                self._held -= 1
                self._hidden.append(row)
            self._rows[row.sequence] = row
            self._sequences.append(row.sequence)
            insort(self._times, (at, row.sequence))
            self.next_sequence += 1

    def skip(self, count: int) -> None:
        """Spend numbers, as rollbacks and the identity cache of SQL Server do."""
        self.next_sequence += count

    def hold(self, count: int) -> None:
        """Keep the rows of the next changes out of sight."""
        self._held += count

    def release(self, count: int | None = None) -> None:
        """Show what was held back, or the first so many rows of it; rows of later changes are shown."""
        shown = self._hidden[:count]
        for row in shown:
            row.visible = True
        del self._hidden[: len(shown)]
        self._held = 0

    def by_sequence(self, offset: int, limit: int) -> list[Row]:
        """Rows numbered offset+1 .. offset+limit; holes shorten the page."""
        first = bisect_right(self._sequences, offset)
        last = bisect_right(self._sequences, offset + limit)
        return self._shown(self._sequences[first:last])

    def by_time(self, start: datetime | None, end: datetime | None, offset: int, limit: int) -> list[Row]:
        """Rows of [start, end) in order of (time, sequence), skipping `offset` of them."""
        first = bisect_left(self._times, (start, 0)) if start else 0
        last = bisect_left(self._times, (end, 0)) if end else len(self._times)
        if self._hidden:
            return self._shown(sequence for _, sequence in self._times[first:last])[offset : offset + limit]
        return [self._rows[sequence] for _, sequence in self._times[first:last][offset : offset + limit]]

    def last_by_sequence(self) -> Row | None:
        return self._last(reversed(self._sequences))

    def last_by_time(self) -> Row | None:
        return self._last(sequence for _, sequence in reversed(self._times))

    def _shown(self, sequences: Iterable[int]) -> list[Row]:
        return [row for sequence in sequences if (row := self._rows[sequence]).visible]

    def _last(self, backwards: Iterable[int]) -> Row | None:
        return next((row for sequence in backwards if (row := self._rows[sequence]).visible), None)
