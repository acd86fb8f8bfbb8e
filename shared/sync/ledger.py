"""Pure: the instance ledger, the memory of every instance that was ever written for a study.

A row is keyed by a digest of the instance and holds the highest change feed sequence known, 0 when the instance was
seen before its entry; whether the instance was there when it was last read; a digest of its series; and which elements
it provides. Rows of deleted instances stay as tombstones: a slow worker may still write one of them, and the next whole
read must know that it was this app's. Merging takes the maximum, so the order of messages does not matter.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from shared.model import InstanceKey
from shared.state import LedgerRow, Provides

# that two of 1,000 series, or of 100,000 instances, have one digest has a chance below one in 500 million
SERIES_BYTES = 6
INSTANCE_BYTES = 8
STUDY = b""
PATIENT = b"patient"
Ledger = Mapping[bytes, LedgerRow]
NEVER = LedgerRow(0, is_there=False)
NOTHING = Provides()


class Providers(NamedTuple):
    """Which instance provides each element, by its digest.

    elements: by scope (STUDY, PATIENT or the digest of a series) and name. patient: digest of the PatientID that most
    instances have. strays: instances with another one. requests: digests of the requests that any instance names.
    newest: the instance with the newest change, of the study and of each series.
    """

    elements: Mapping[bytes, Mapping[str, bytes]]
    patient: str
    strays: frozenset[bytes]
    requests: frozenset[str]
    newest: Mapping[bytes, bytes]

    def within(self, scopes: Collection[bytes]) -> "Providers":
        """The same without the elements of other scopes."""
        return self._replace(elements={scope: found for scope, found in self.elements.items() if scope in scopes})


@lru_cache(maxsize=4096)
def series_digest(series_instance_uid: str) -> bytes:
    """What stands for a series within its study."""
    return blake2b(series_instance_uid.encode(), digest_size=SERIES_BYTES).digest()


def digest(key: InstanceKey) -> bytes:
    """What stands for an instance within its study."""
    return blake2b("\n".join(key).encode(), digest_size=INSTANCE_BYTES).digest()


def sequence_of(ledger: Ledger) -> int:
    """The highest sequence known of any instance."""
    return max((row.sequence for row in ledger.values()), default=0)


def any_there(ledger: Ledger) -> bool:
    """Whether any instance of the study is left."""
    return any(row.is_there for row in ledger.values())


def counted(ledger: Ledger) -> Counter[bytes]:
    """How many instances of each series are there, by the digest of the series."""
    return Counter(row.series for row in ledger.values() if row.is_there)


def loses(before: Ledger, after: Ledger) -> bool:
    """Whether an instance was there before, and is not any more."""
    return any(row.is_there and name in after and not after[name].is_there for name, row in before.items())


def merge(
    ledger: Ledger,
    listed: Mapping[InstanceKey, int],
    there: Mapping[InstanceKey, Provides],
    gone: Iterable[InstanceKey],
    unknown: Iterable[InstanceKey] = (),
) -> dict[bytes, LedgerRow]:
    """The ledger after a read of some instances. `listed` holds the sequences that a message named.

    unknown: instances that cannot be read now. Their rows stay but for the sequence; an instance without a row was
    never written, and provides nothing.
    """
    merged = dict(ledger) | _later(ledger, unknown, listed)
    for (name, row), provides in zip(_later(ledger, there, listed).items(), there.values(), strict=True):
        merged[name] = row._replace(is_there=True, provides=provides)
    for name, row in _later(ledger, gone, listed).items():
        merged[name] = _tombstone(row)
    return merged


def without_unseen(ledger: Ledger, seen: Iterable[InstanceKey]) -> dict[bytes, LedgerRow]:
    """The ledger after a read of the whole study that showed these instances and no others."""
    names = {digest(key) for key in seen}
    return {name: row if name in names or not row.is_there else _tombstone(row) for name, row in ledger.items()}


def announce(ledger: Ledger, keys: Iterable[InstanceKey]) -> dict[bytes, LedgerRow]:
    """The ledger that knows these instances as this app's, before they are written."""
    new = {digest(key): LedgerRow(0, is_there=True, series=series_digest(key.series_instance_uid)) for key in keys}
    return {**new, **ledger}


def learn(ledger: Ledger, listed: Mapping[InstanceKey, int]) -> dict[bytes, LedgerRow] | None:
    """The ledger with the sequences that a message named, and nothing read; None if an instance has no row."""
    later = _later(ledger, listed, listed)
    return {**ledger, **later} if later.keys() <= ledger.keys() else None


def _later(ledger: Ledger, keys: Iterable[InstanceKey], listed: Mapping[InstanceKey, int]) -> dict[bytes, LedgerRow]:
    """The rows of these instances with the highest sequence known of each."""
    found: dict[bytes, LedgerRow] = {}
    for key in keys:
        name = digest(key)
        row, series = ledger.get(name, NEVER), series_digest(key.series_instance_uid)
        found[name] = LedgerRow(max(row.sequence, listed.get(key, 0)), row.is_there, row.provides, series)
    return found


def _tombstone(row: LedgerRow) -> LedgerRow:
    return LedgerRow(row.sequence, is_there=False, series=row.series)


def is_complete(ledger: Ledger) -> bool:
    """Whether it is known of every instance what it provides; rows of earlier versions do not say it."""
    return all(row.provides is not None for row in ledger.values() if row.is_there)


def providers_of(ledger: Ledger) -> Providers:
    """The provider of each element: the newest instance that has a usable value of it.

    A study has the patient of most of its instances (of as many, that of the newest); only these provide demographics.
    """
    # instances of a series that provide the same thing: the newest of them, and how many they are
    groups: dict[tuple[bytes, int], tuple[tuple[int, bytes, LedgerRow], int]] = {}
    for name, row in ledger.items():
        if row.is_there:
            kind, one = (row.series, id(row.provides)), (row.sequence, name, row)
            newest_of_kind, count = groups.get(kind, (one, 0))
            groups[kind] = max(newest_of_kind, one), count + 1
    newest_first = sorted(groups.values(), reverse=True)
    counts: Counter[str] = Counter()
    for (_, _, row), count in newest_first:
        if row.provides and row.provides.patient:
            counts[row.provides.patient] += count
    patient = max(counts, key=counts.__getitem__, default="")  # of as many, the first counted: that of the newest
    elements: dict[bytes, dict[str, bytes]] = {}
    newest: dict[bytes, bytes] = {}
    requests: set[str] = set()
    for (_, name, row), _ in newest_first:
        provides = row.provides or NOTHING
        newest.setdefault(STUDY, name)
        newest.setdefault(row.series, name)
        requests |= provides.requests
        scopes = [(STUDY, provides.study), (row.series, provides.series)]
        if provides.patient == patient:
            scopes.append((PATIENT, provides.demographics))
        for scope, names in scopes:
            found = elements.setdefault(scope, {})
            found.update((one, name) for one in names if one not in found)
    own = ("", patient)
    strays = frozenset(
        name for name, row in ledger.items() if row.is_there and row.provides and row.provides.patient not in own
    )
    return Providers(elements, patient, strays, frozenset(requests), newest)


def provides_the_same(before: Ledger, after: Ledger) -> bool:
    """Whether the same instances provide all elements, and those of the Patient with the same changes: these decide
    between its studies.
    """
    if not (is_complete(before) and is_complete(after)):
        return False
    one, other = providers_of(before), providers_of(after)
    of_patient = one.elements.get(PATIENT, {}).values()
    return one == other and all(before[name].sequence == after[name].sequence for name in of_patient)
