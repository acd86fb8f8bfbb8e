"""Pure: gaps of the change feed. Numbers that are missing can still come: the service takes a number before it commits.

A gap is looked at again until it has been missing for the grace time, by the clock of the service alone: that of the
dates of its answers, or that of its rows. How the clocks of the pollers stand is of no account.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from shared.dicom.feed import PAGE_LIMIT, Latest
from shared.model import SequenceRange

# SQL Server ends a transaction of the service long before
GRACE = timedelta(minutes=2)
# a column of the checkpoint holds 32,768 characters, and a gap takes 54 at most
MOST_GAPS = 500


class Found(NamedTuple):
    """Gaps to be looked at again, gaps that are not any more, and how far the feed may be taken for read."""

    kept: list[SequenceRange]
    passed: list[SequenceRange]
    read_to: int


def new_gaps(after: int, last: int, there: Mapping[int, datetime | None], latest: Latest, room: int) -> Found:
    """The gaps within (after, last], in which only `there` has rows.

    A number that is missing was taken before the entry behind it was written. Where the newest entry of the feed was
    written by the grace time later, it cannot come any more; but a gap as wide as a page may be an empty answer of
    somebody else, and is looked at once more. Of the others at most `room` are kept; the feed may be taken for read up
    to the first that has none.
    """
    kept: list[SequenceRange] = []
    passed: list[SequenceRange] = []
    newest = latest.entry.changed_at if latest.entry is not None else None
    for first, end in missing(after, last, there):
        gap, behind = SequenceRange(first, end, latest.at), there.get(end + 1)
        is_old = behind is not None and newest is not None and newest - behind >= GRACE
        if is_old and end - first + 1 < PAGE_LIMIT:
            passed.append(gap)
        elif len(kept) < room:
            kept.append(gap)
        else:
            return Found(kept, passed, first - 1)
    return Found(kept, passed, last)


def after_look(gaps: Collection[SequenceRange], there: Collection[int], looked_to: int, now: datetime) -> Found:
    """What is left of gaps of which everything up to `looked_to` was looked at after `now`, and `there` was found.

    Where the pieces of a gap are too many to be remembered, all of it is, and the rows in it are read again.
    """
    kept: list[SequenceRange] = []
    passed: list[SequenceRange] = []
    room = MOST_GAPS - len(gaps)
    for gap in gaps:
        pieces = [SequenceRange(*ends, gap.seen_at) for ends in missing(gap.first - 1, gap.last, there)]
        if now - gap.seen_at >= GRACE:
            passed += _clipped(pieces, gap.first, looked_to)
            pieces = _clipped(pieces, looked_to + 1, gap.last)
        if len(pieces) - 1 > room:
            pieces = [gap]
        room -= max(0, len(pieces) - 1)
        kept += pieces
    return Found(kept, passed, looked_to)


def windows(gaps: Iterable[SequenceRange], width: int) -> list[tuple[int, int]]:
    """First and last sequence of pages of this width, that hold all gaps."""
    found: list[tuple[int, int]] = []
    for gap in gaps:
        for first in range(gap.first, gap.last + 1, width):
            last = min(gap.last, first + width - 1)
            if found and last - found[-1][0] < width:
                found[-1] = (found[-1][0], last)
            else:
                found.append((first, last))
    return found


def missing(after: int, last: int, there: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each range within (after, last] of which nothing is there."""
    found = sorted(sequence for sequence in there if after < sequence <= last)
    return [(low + 1, high - 1) for low, high in pairwise([after, *found, last + 1]) if high - low > 1]


def numbers_in(gaps: Iterable[SequenceRange]) -> int:
    """How many sequences they hold."""
    return sum(gap.last - gap.first + 1 for gap in gaps)


def _clipped(gaps: Iterable[SequenceRange], first: int, last: int) -> list[SequenceRange]:
    within = [SequenceRange(max(gap.first, first), min(gap.last, last), gap.seen_at) for gap in gaps]
    return [gap for gap in within if gap.first <= gap.last]
