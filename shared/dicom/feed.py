"""Pure: change feed JSON to entries, entries to changes per study.

Members are read in any case, unknown ones are ignored, absent ones tolerated: documentation, open-source and managed
service differ (dicom-server, change feed; ChangeFeedEntry.cs).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from shared.model import (
    DEFAULT_PARTITION,
    MAX_INT64,
    PARTITION_NAME,
    ChangeFeedEntry,
    InstanceKey,
    MalformedEntry,
    StudyChange,
    StudyKey,
    is_uid,
)

# Storage queues take 64 KiB of base64, that is 48 KiB of text
MAX_MESSAGE_BYTES = 48 * 1024
SERIES_OVERHEAD_BYTES = 8
INSTANCE_OVERHEAD_BYTES = 24
MESSAGE_OVERHEAD_BYTES = 1024
MAX_DIGITS = len(str(MAX_INT64))
PAGE_LIMIT = 100  # the service's maximum for v1


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of the change feed says of the sequences in its window.

    entries: the rows that can be read. malformed: those that cannot. there: the sequences that have a row, with the
    time of the change where the row tells it; every other sequence of the window is missing.
    """

    entries: list[ChangeFeedEntry]
    malformed: list[MalformedEntry]
    there: dict[int, datetime | None]


@dataclass(frozen=True, slots=True)
class Latest:
    """The end of the change feed: its highest sequence, 0 when it is empty, with the entry there if it can be read.

    at: when the service said so, by its own clock. Every number up to the sequence was taken before.
    """

    sequence: int
    at: datetime
    entry: ChangeFeedEntry | None = None


def parse_page(rows: Iterable[Any], after: int, last: int) -> Page:
    """Read the rows of a page, whose window is the sequences in (after, last].

    A row that claims a sequence outside the window is malformed, or the sequences up to that one would be passed over.
    Rows come in ascending order, so a row without a sequence stands between its neighbours. Only where these leave
    exactly as many numbers as such rows is it known which numbers they have.
    """
    page = Page([], [], {})
    low, unplaced = after, list[MalformedEntry]()
    for row in rows:
        entry = _parse(row, after, last)
        if isinstance(entry, MalformedEntry) and not entry.sequence:
            unplaced.append(replace(entry, sequence=min(low + 1 + len(unplaced), last)))
            continue
        if entry.sequence > low:
            _place(page, unplaced, low, entry.sequence)
            low, unplaced = entry.sequence, []
        if isinstance(entry, ChangeFeedEntry):
            page.entries.append(entry)
            page.there[entry.sequence] = entry.changed_at
        else:
            page.malformed.append(entry)
            page.there[entry.sequence] = None
    _place(page, unplaced, low, last + 1)
    return page


def _place(page: Page, unplaced: list[MalformedEntry], low: int, high: int) -> None:
    """Collect rows without a sequence that stand between these two sequences."""
    page.malformed.extend(unplaced)
    if len(unplaced) == high - low - 1:
        page.there.update(dict.fromkeys(range(low + 1, high)))


def _sequence_of(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= MAX_DIGITS:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= MAX_INT64 else None


def parse_row(row: Any) -> ChangeFeedEntry | MalformedEntry:
    """Read one row; the sequence of a row that has none is 0."""
    if not isinstance(row, Mapping):
        return MalformedEntry(0, reason="not-an-object")
    members = _members(row)
    sequence = _sequence_of(members.get("sequence"))
    uids = [_uid(members.get(name)) for name in ("studyinstanceuid", "seriesinstanceuid", "sopinstanceuid")]
    if sequence is None:
        return MalformedEntry(0, uids[0], uids[1], uids[2], "no-sequence")
    if not all(uids):
        return MalformedEntry(sequence, uids[0], uids[1], uids[2], "no-uid")
    partition = members.get("partitionname") or DEFAULT_PARTITION
    if not isinstance(partition, str) or not PARTITION_NAME.fullmatch(partition):
        return MalformedEntry(sequence, uids[0], uids[1], uids[2], "no-partition-name")
    return ChangeFeedEntry(
        sequence=sequence,
        study=StudyKey(partition, uids[0]),
        instance=InstanceKey(uids[1], uids[2]),
        changed_at=_instant(members.get("timestamp")),
    )


def _parse(row: Any, after: int, last: int) -> ChangeFeedEntry | MalformedEntry:
    entry = parse_row(row)
    if entry.sequence == 0 or after < entry.sequence <= last:
        return entry
    if isinstance(entry, ChangeFeedEntry):
        entry = MalformedEntry(0, entry.study.study_instance_uid, *entry.instance)
    return replace(entry, sequence=0, reason="outside-page")


def _members(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in row.items()}


def _uid(value: Any) -> str:
    """The UID, or nothing for what is none."""
    text = value.strip(" \0") if isinstance(value, str) else ""
    return text if is_uid(text) else ""


def _instant(value: Any) -> datetime | None:
    # up to seven fractional digits are sent; Python reads six
    text = str(value)
    head, dot, rest = text.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    try:
        instant = datetime.fromisoformat(head + dot + rest[: min(digits, 6)] + rest[digits:])
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


class Changes:
    """Changes collected per study: of each instance only the highest sequence is kept."""

    def __init__(self) -> None:
        self._studies: dict[StudyKey, dict[InstanceKey, int]] = {}
        self.count = 0

    def add(self, entry: ChangeFeedEntry) -> None:
        """Collect one entry."""
        instances = self._studies.setdefault(entry.study, {})
        instances[entry.instance] = max(entry.sequence, instances.get(entry.instance, 0))
        self.count += 1

    def messages(self, poll: int) -> Iterator[StudyChange]:
        """One message a study, several where it would be too large; the newest change comes in the first."""
        for study, instances in self._studies.items():
            for part, some in enumerate(_split(instances)):
                yield StudyChange(study, poll, part, some)


def _split(instances: Mapping[InstanceKey, int]) -> Iterator[dict[InstanceKey, int]]:
    # the newest of each series comes first: a pass that knows it need not be repeated for the other parts
    newest: dict[str, int] = {}
    for key, sequence in instances.items():
        newest[key.series_instance_uid] = max(sequence, newest.get(key.series_instance_uid, 0))
    part: dict[InstanceKey, int] = {}
    series: set[str] = set()
    size = MESSAGE_OVERHEAD_BYTES
    for key, sequence in sorted(
        instances.items(), key=lambda item: (item[1] != newest[item[0].series_instance_uid], -item[1])
    ):
        cost = len(key.sop_instance_uid) + INSTANCE_OVERHEAD_BYTES
        if key.series_instance_uid not in series:
            cost += len(key.series_instance_uid) + SERIES_OVERHEAD_BYTES
        if part and size + cost > MAX_MESSAGE_BYTES:
            yield part
            part, series, size = {}, set(), MESSAGE_OVERHEAD_BYTES
        part[key] = sequence
        series.add(key.series_instance_uid)
        size += cost
    yield part
