"""Pure: what a read of a study changes: which instances are there or deleted, and which provides each element."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.dicom.study import Provided, SeriesContent, StudyContent, Truth
from shared.dicom.values import Dataset
from shared.mapping.provides import DEMOGRAPHICS, ISSUER, SERIES_ELEMENTS, STUDY_ELEMENTS
from shared.model import Finding, InstanceKey
from shared.state import LedgerRow, Provides
from shared.sync import ledger as ledgers
from shared.sync.ledger import PATIENT, STUDY, Ledger, Providers, digest, series_digest

UNREAD = "unreadable-metadata"
WHY_UNREAD = "the service gives none"  # in the place of a keyword: it is no attribute


@dataclass(frozen=True, slots=True)
class PatientContent:
    """What was read of the patient of a study.

    identity: the newest dataset of the patient, None where no instance of it was read. elements: providers of the
    demographics. sequences: the change that each of them comes from, also of those that were not read.
    """

    identity: Dataset | None = None
    elements: Provided = field(default_factory=dict)
    sequences: Mapping[str, int] = field(default_factory=dict)

    @property
    def lacks_issuer(self) -> bool:
        """Whether the instance that names the issuer of the PatientID was not read."""
        return self.identity is not None and ISSUER in self.sequences and ISSUER not in self.elements


@dataclass(frozen=True, slots=True)
class StudyDelta:
    """content: what to merge into the ImagingStudy. gone: what to take out of it. ledger: what to remember.

    representatives: the instance with the newest change of the study, and of each series, as far as they were read.
    strays: instances read that are of another patient. has_new_strays: whether one was not known as such before.
    """

    content: StudyContent
    patient: PatientContent
    gone: frozenset[InstanceKey]
    ledger: Mapping[bytes, LedgerRow]
    representatives: Sequence[InstanceKey] = ()
    strays: frozenset[InstanceKey] = frozenset()
    has_new_strays: bool = False


@dataclass(frozen=True, slots=True)
class Before:
    """What was known before a read.

    ledger: what is remembered. listed: sequences that the message named. stored: instances that the ImagingStudy lists.
    series: those that it has. adopted: all of the stored count as this app's, for nothing is remembered. is_unlisted:
    whether the ImagingStudy has instances that it does not list.
    """

    ledger: Ledger = field(default_factory=dict)
    listed: Mapping[InstanceKey, int] = field(default_factory=dict)
    stored: Collection[InstanceKey] = ()
    series: Collection[str] = ()
    adopted: bool = False
    is_unlisted: bool = False

    @property
    def all_series(self) -> set[str]:
        """Series that the ImagingStudy has."""
        return {*self.series, *(key.series_instance_uid for key in self.stored)}


def study_delta(
    truth: Truth, provided: Mapping[InstanceKey, Provides], known: Before, *, final: bool
) -> StudyDelta | None:
    """What a read changes; None when it did not show enough and the whole study must be read.

    provided: what each instance provides that is to be in FHIR. final: no further read is possible; what was not shown
    stays as it is stored.
    """
    there = {key: truth.instances[key] for key in provided}
    gone = _gone(truth, there, known)
    after = ledgers.merge(known.ledger, known.listed, provided, gone, truth.unknown)
    if truth.is_whole and not (truth.hidden and known.is_unlisted):  # nobody knows which are hidden
        after = ledgers.without_unseen(after, {*there, *truth.unknown})
    # an instance whose values cannot be had must not keep the values of the others out
    unread = set(map(digest, truth.unknown))
    now = ledgers.providers_of({name: row for name, row in after.items() if name not in unread})
    before = ledgers.providers_of(known.ledger)
    names = {digest(key): key for key in there}
    # somebody else may have taken a series out
    there_before = {STUDY, PATIENT, *map(series_digest, known.all_series)}
    if not final and not _shows_enough(before.within(there_before), now, after, names):
        return None
    lasting = ledgers.providers_of(after) if unread else now
    read = _Read({name: there[key] for name, key in names.items()}, now, lasting, ledgers.is_complete(after))
    patient = PatientContent(
        _identity(there, provided, now.patient, after),
        read.provided(PATIENT, DEMOGRAPHICS),
        {element: after[name].sequence for element, name in lasting.elements.get(PATIENT, {}).items()},
    )
    oldest_first = [names[name] for name in sorted(names, key=lambda name: (after[name].sequence, name))]
    requesting = {provided[key].requests: there[key] for key in oldest_first if provided[key].requests}
    series = _series(there, known, read, before)
    content = StudyContent(read.provided(STUDY, STUDY_ELEMENTS), series, read.requests, requesting.values())
    # the study's own first
    newest = list(dict.fromkeys(names[name] for _, name in sorted(now.newest.items()) if name in names))
    strays = frozenset(names[name] for name in now.strays if name in names)
    has_new = not set(now.strays) <= set(before.strays)
    return StudyDelta(content, patient, gone, after, newest, strays, has_new_strays=has_new)


def unreadable(truth: Truth) -> dict[InstanceKey, list[Finding]]:
    """A finding for each instance whose metadata cannot be had."""
    return {key: [Finding(WHY_UNREAD, UNREAD)] for key in truth.unknown}


@dataclass(frozen=True, slots=True)
class _Read:
    """Datasets that were read, by digest; providers among what can be read now, and with what cannot."""

    datasets: Mapping[bytes, Dataset]
    now: Providers
    lasting: Providers
    is_complete: bool

    @property
    def requests(self) -> frozenset[str] | None:
        """Digests of all requests of the study; None where some may be unknown."""
        return self.lasting.requests if self.is_complete else None

    def provided(self, scope: bytes, names: Iterable[str]) -> dict[str, Dataset | None]:
        """The providers of the elements of a scope; those that were not read are left out, their values stay."""
        found = self.now.elements.get(scope, {})
        result: dict[str, Dataset | None] = {
            element: self.datasets[name] for element, name in found.items() if name in self.datasets
        }
        kept = found.keys() | self.lasting.elements.get(scope, {}).keys()
        return result | dict.fromkeys(set(names) - kept) if self.is_complete else result


def _shows_enough(before: Providers, now: Providers, after: Ledger, names: Mapping[bytes, InstanceKey]) -> bool:
    """Whether every provider that was not one before was read, and the patient of the study is still the same.

    Where a demographic element is lost, an instance of the patient must say whose it was. A request that is lost may
    have hidden one that is stored nowhere: the same number without its issuer.
    """
    if not ledgers.is_complete(after) or (before.patient and now.patient not in ("", before.patient)):
        return False
    if now.requests and before.requests - now.requests:
        return False
    lost = before.elements.get(PATIENT, {}).keys() - now.elements.get(PATIENT, {}).keys()
    if lost and now.patient and not any(_is_of(after[name], now.patient) for name in names):
        return False
    return all(
        name in names or before.elements.get(scope, {}).get(element) == name
        for scope, found in now.elements.items()
        for element, name in found.items()
    )


def _is_of(row: LedgerRow, patient: str) -> bool:
    return row.provides is not None and row.provides.patient == patient


def _gone(truth: Truth, there: Mapping[InstanceKey, Dataset], known: Before) -> frozenset[InstanceKey]:
    """What is kept out although it was read, and what is not there any more: of that what a message lists, and what is
    this app's of the stored.
    """
    ours = {key for key in known.stored if known.adopted or digest(key) in known.ledger}
    return frozenset((truth.instances.keys() - there.keys()) | (truth.gone & (set(known.listed) | ours)))


def _identity(
    there: Mapping[InstanceKey, Dataset], provided: Mapping[InstanceKey, Provides], patient: str, after: Ledger
) -> Dataset | None:
    """The newest dataset of the patient of the study."""
    of_patient = [key for key in there if provided[key].patient == patient]
    newest = max(of_patient, key=lambda key: (after[digest(key)].sequence, digest(key)), default=None)
    return there[newest] if newest else None


def _series(
    there: Mapping[InstanceKey, Dataset], known: Before, read: _Read, before: Providers
) -> dict[str, SeriesContent]:
    """Series of which an instance was read, or of which an element has no provider any more."""
    instances: dict[str, dict[str, Dataset]] = {}
    for key, dataset in there.items():
        instances.setdefault(key.series_instance_uid, {})[key.sop_instance_uid] = dataset
    for uid in known.all_series - instances.keys():
        name = series_digest(uid)
        lost = before.elements.get(name, {}).keys() - read.lasting.elements.get(name, {}).keys()
        if lost and name in read.lasting.newest:
            instances[uid] = {}
    return {
        uid: SeriesContent(read.provided(series_digest(uid), SERIES_ELEMENTS), rows) for uid, rows in instances.items()
    }
