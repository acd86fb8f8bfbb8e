"""Which Observations of a study to write: what its dose reports say, all of them together, against what is stored."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import InvalidStudy
from shared.fhir.bundle import Entry, reference
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import ByIdentifier, Identity, Resource, by_identifier
from shared.fhir.ownership import same_content, source_of
from shared.fhir.validation import check_valid
from shared.mapping.dose.observations import EVENT, SUMMARY, DoseContent
from shared.mapping.moved import Addresses
from shared.mapping.observation_layer import (
    DoseLinks,
    Key,
    StoredObservations,
    lay_observation,
    observation_identity,
    relinked,
    sorted_out,
    taken_over,
)
from shared.mapping.sources import handed_over
from shared.model import Finding
from shared.state import Written
from shared.sync.replica import check_shown

OBSERVATION = "Observation"
NOT_VALID = Finding("ContentSequence", "invalid-resource")


@dataclass(frozen=True, slots=True)
class ObservationPlan:
    """Entries in the order in which they may be carried out, and what was found, by SOP Instance UID."""

    entries: list[Entry] = field(default_factory=list)
    findings: Mapping[str, Collection[Finding]] = field(default_factory=dict)


class ObservationsOf:
    """The Observations of one study in a pass. `stored` is its ImagingStudy, `addresses` are those of the service that
    ours are from, `written` is what was last written of them.
    """

    def __init__(
        self,
        fhir: FhirClient,
        study: ByIdentifier,
        stored: Resource | None,
        addresses: Addresses,
        written: Written | None,
        others: Collection[str] = (),
    ) -> None:
        self._fhir = fhir
        self._study = study
        self._addresses = addresses
        self._sources = frozenset((addresses.present, *others))
        self._written = written
        self._may_be_of_dicom_cast = stored is None or source_of(stored) == addresses.present

    async def plan(
        self, content: DoseContent, unread: Collection[str], links: DoseLinks, *, is_new: bool
    ) -> ObservationPlan:
        """Make them what the reports say.

        unread: SOP Instance UIDs of reports that the study has and that were not read. is_new: nothing was written for
        the study before.
        """
        stored = self._sorted_out([]) if is_new else await self._stored()
        return _plan(self._study, stored, content, unread, links, self._addresses)

    async def plan_relink(self, links: DoseLinks) -> list[Entry]:
        """They follow their study to another Patient."""
        return _relinks((await self._stored()).everything, links, self._addresses)

    async def plan_removal(self, unread: Collection[str], heir: str = "") -> list[Entry]:
        """No report of ours is left. heir: the source that what stays is from now on, where it was ours."""
        stored = await self._stored()
        kept = _kept(stored, unread)
        gone = [one for key, one in stored.ours.items() if key not in kept]
        sources = {key: self._addresses.current(source_of(stored.ours[key])) for key in kept}
        inherited = [stored.ours[key] for key in kept if heir and sources[key] == self._addresses.present]
        updates = [Entry.update(handed_over(one, heir), one) for one in inherited]
        return [*updates, *_deletes([*gone, *stored.surplus, *(() if unread else stored.of_dicom_cast)])]

    async def _stored(self) -> StoredObservations:
        identity = by_identifier(OBSERVATION, self._study.system, self._study.value)
        found = await self._fhir.find_any([identity])
        check_shown(self._written, found, self._fhir.clock.now_s)
        return self._sorted_out(found)

    def _sorted_out(self, resources: Sequence[Resource]) -> StoredObservations:
        ours = {one for one in map(source_of, resources) if self._addresses.current(one) in self._sources}
        return sorted_out(resources, ours, with_dicom_cast=self._may_be_of_dicom_cast)


def _plan(
    study: ByIdentifier,
    stored: StoredObservations,
    content: DoseContent,
    unread: Collection[str],
    links: DoseLinks,
    addresses: Addresses,
) -> ObservationPlan:
    by_kind = sorted(content.observations, key=lambda one: one.kind != EVENT)  # summaries refer to events
    cast = taken_over(stored, [(one.kind, one.uid) for one in by_kind])
    findings = {uid: list(found) for uid, found in content.findings.items()}
    kept = {key: stored.ours[key] for key in _kept(stored, unread)}
    entries: list[Entry] = []
    targets: dict[Key, str] = {}
    for one in by_kind:
        key = (one.kind, one.uid)
        base, identity = stored.ours.get(key) or cast.get(key), observation_identity(one, study)
        if base is None and (theirs := next(filter(identity.matches, stored.of_others), None)) is not None:
            targets[key] = reference(theirs)  # a second one of the same identity would be its twin
            continue
        members = [targets[EVENT, uid] for uid in one.members if (EVENT, uid) in targets]
        resource = lay_observation(addresses.at_present(base) if base else None, one, links, members)
        if kept and key in stored.ours:  # one that could not be read may include it still
            resource["status"] = stored.ours[key]["status"]
        if not _is_valid(resource, base):
            if one.kind == SUMMARY:
                findings.setdefault(one.uid, []).append(NOT_VALID)
            continue
        entry = entry_of(base, resource, identity)
        targets[key] = entry.target if entry else reference(base or {})
        entries += [entry] if entry else []
    entries += _relinks([*(one for key, one in kept.items() if key not in targets), *stored.taken], links, addresses)
    gone = [one for key, one in stored.ours.items() if key not in targets and key not in kept]
    replaced = [] if unread else [one for one in stored.of_dicom_cast if one not in cast.values()]
    return ObservationPlan([*entries, *_deletes([*gone, *stored.surplus, *replaced])], findings)


def entry_of(base: Resource | None, resource: Resource, identity: Identity) -> Entry | None:
    """What writes a resource over the one that is there; nothing where that is the same."""
    if base is None:
        return Entry.create(identity, resource)
    return None if same_content(resource, base) else Entry.update(resource, base)


def _relinks(resources: Iterable[Resource], links: DoseLinks, addresses: Addresses) -> list[Entry]:
    laid = ((relinked(addresses.at_present(resource), links), resource) for resource in resources)
    return [Entry.update(resource, before) for resource, before in laid if not same_content(resource, before)]


def _deletes(resources: Iterable[Resource]) -> list[Entry]:
    """Summaries go before events: some servers refuse to delete what is referred to."""
    return [Entry.delete(one) for one in sorted(resources, key=lambda one: "hasMember" not in one)]


def _is_valid(resource: Resource, base: Resource | None) -> bool:
    try:
        check_valid(resource, base)
    except InvalidStudy:
        return False
    return True


def _kept(stored: StoredObservations, unread: Collection[str]) -> set[Key]:
    """Observations of reports that were not read, with their events."""
    summaries = {key: one for key, one in stored.ours.items() if key[0] == SUMMARY and key[1] in unread}
    members = {member.get("reference") for one in summaries.values() for member in one.get("hasMember", [])}
    return {*summaries, *(key for key, one in stored.ours.items() if reference(one) in members)}
