"""Pure: marks, the memory of every instance that was ever written for a study.

A mark is keyed by a digest (4 bytes of the series, 8 of the instance) and holds the highest change feed sequence known,
0 when the instance was seen before its entry: `sequence` while it is there, `-sequence - 1` once it is gone. Marks of
gone instances stay: a slow worker may still write one of them, and the next whole pass must know that it was ours.
Merging takes the maximum, so the order of messages does not matter.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from shared.model import InstanceKey

SERIES_BYTES = 4
INSTANCE_BYTES = 8
STUDY = b""
UNKNOWN = -1  # of an instance that was never there
Marks = Mapping[bytes, int]


def series_digest(series_instance_uid: str) -> bytes:
    """The first part of every digest of the series."""
    return blake2b(series_instance_uid.encode(), digest_size=SERIES_BYTES).digest()


def digest(key: InstanceKey) -> bytes:
    """Twelve bytes that stand for an instance within its study."""
    instance = blake2b("\n".join(key).encode(), digest_size=INSTANCE_BYTES).digest()
    return series_digest(key.series_instance_uid) + instance


def colliding(series_instance_uids: Iterable[str]) -> frozenset[str]:
    """Those of these series whose digest is another one's, too: their marks do not say which instance is of which."""
    having: dict[bytes, list[str]] = {}
    for uid in set(series_instance_uids):
        having.setdefault(series_digest(uid), []).append(uid)
    return frozenset(uid for uids in having.values() if len(uids) > 1 for uid in uids)


def is_there(mark: int) -> bool:
    """Whether the instance was there when it was last looked at."""
    return mark >= 0


def sequence_of(mark: int) -> int:
    """The highest sequence known of the instance."""
    return mark if mark >= 0 else -mark - 1


def merge(
    marks: Marks,
    listed: Mapping[InstanceKey, int],
    there: Iterable[InstanceKey],
    gone: Iterable[InstanceKey],
    unknown: Iterable[InstanceKey] = (),
) -> dict[bytes, int]:
    """Marks after a look at some instances; `listed` holds the sequences that a message told.

    unknown: instances that cannot be read now. They were looked at, and stay what they were; one without a mark was
    never written, and cannot speak.
    """
    merged = dict(marks)
    for key in unknown:
        name = digest(key)
        known = merged.get(name, UNKNOWN)
        merged[name] = _mark(max(sequence_of(known), listed.get(key, 0)), there=is_there(known))
    for keys, are_there in ((there, True), (gone, False)):
        for key in keys:
            name = digest(key)
            merged[name] = _mark(max(sequence_of(merged.get(name, 0)), listed.get(key, 0)), there=are_there)
    return merged


def _mark(sequence: int, *, there: bool) -> int:
    return sequence if there else -sequence - 1


def announce(marks: Marks, keys: Iterable[InstanceKey]) -> dict[bytes, int]:
    """Marks that know these instances as ours, with no sequence told yet."""
    return {**{digest(key): 0 for key in keys}, **marks}


def learn(marks: Marks, listed: Mapping[InstanceKey, int]) -> dict[bytes, int] | None:
    """Marks with the sequences that a message told, nothing looked at; None where it lists an instance without mark."""
    learnt = dict(marks)
    for key, sequence in listed.items():
        name = digest(key)
        mark = marks.get(name)
        if mark is None:
            return None
        if sequence > sequence_of(mark):
            learnt[name] = _mark(sequence, there=is_there(mark))
    return learnt


def speakers(marks: Marks) -> dict[bytes, bytes]:
    """The digest of the instance with the newest change: of each series by its digest, of the study by b""."""
    newest: dict[bytes, tuple[int, bytes]] = {}
    for name, mark in marks.items():
        if mark >= 0:
            series = name[:SERIES_BYTES]
            best = newest.get(series)
            if best is None or mark > best[0] or (mark == best[0] and name > best[1]):
                newest[series] = (mark, name)
    if newest:
        newest[STUDY] = max(newest.values())
    return {scope: name for scope, (_, name) in newest.items()}


def say_the_same(before: Marks, after: Marks) -> bool:
    """Whether the same instances speak, and for the study with the same change: that decides about demographics."""
    now = speakers(after)
    newest = now.get(STUDY, b"")
    return speakers(before) == now and before.get(newest) == after.get(newest)
