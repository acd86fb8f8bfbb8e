"""Which Observations of a study to write: what its dose reports say, all of them together, against what is stored."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from shared.errors import InvalidStudy
from shared.fhir.bundle import Entry, reference
from shared.fhir.identifiers import ByIdentifier, Resource, by_identifier
from shared.fhir.ownership import same_content
from shared.fhir.validation import check_valid
from shared.mapping.dose.observations import EVENT, DoseContent, DoseObservation
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
from shared.model import Finding
from shared.sync.claiming import Claims

OBSERVATION = "Observation"
NOT_VALID = Finding("ContentSequence", "invalid-resource")


@dataclass(frozen=True, slots=True)
class ObservationPlan:
    """Entries in the order in which they may be carried out, and what was found, by SOP Instance UID."""

    entries: list[Entry] = field(default_factory=list)
    findings: Mapping[str, Collection[Finding]] = field(default_factory=dict)


async def plan_observations(
    claims: Claims,
    study: ByIdentifier,
    content: DoseContent,
    unknown: Collection[str],
    links: DoseLinks,
    *,
    is_new: bool,
) -> ObservationPlan:
    """Make the Observations of a study what its reports say.

    unknown: SOP Instance UIDs of reports about which nothing is concluded. is_new: nothing was written for the study
    before, and this pass holds the claim to create it.
    """
    if is_new:  # the condition under which the study is created holds for all that is sent with it and after it
        plan = _plan(sorted_out([]), content, unknown, links, study)
        return replace(plan, entries=[replace(entry, if_none_exist=None) for entry in plan.entries])
    plan = _plan(await _stored(claims, study), content, unknown, links, study)
    if any(entry.method == "POST" for entry in plan.entries):
        await claims.hold(study, OBSERVATION)
        plan = _plan(await _stored(claims, study), content, unknown, links, study)
    return plan


async def plan_relink(claims: Claims, study: ByIdentifier, links: DoseLinks) -> list[Entry]:
    """The Observations follow their study to another Patient."""
    stored = await _stored(claims, study)
    laid = [(relinked(resource, links), resource) for resource in stored.everything]
    return [Entry.update(resource, before) for resource, before in laid if not same_content(resource, before)]


async def plan_removal(claims: Claims, study: ByIdentifier) -> list[Entry]:
    """No report of the study is left."""
    return _deletes((await _stored(claims, study)).everything)


async def _stored(claims: Claims, study: ByIdentifier) -> StoredObservations:
    return sorted_out(await claims.having(by_identifier(OBSERVATION, study.system, study.value)))


def _plan(
    stored: StoredObservations, content: DoseContent, unknown: Collection[str], links: DoseLinks, study: ByIdentifier
) -> ObservationPlan:
    by_kind = sorted(content.observations, key=lambda one: one.kind != EVENT)  # summaries refer to events
    cast = taken_over(stored, [(one.kind, one.uid) for one in by_kind])
    findings = {uid: list(found) for uid, found in content.findings.items()}
    entries: list[Entry] = []
    targets: dict[Key, str] = {}
    for one in by_kind:
        key = (one.kind, one.uid)
        base = stored.ours.get(key) or cast.get(key)
        members = [targets[EVENT, uid] for uid in one.members if (EVENT, uid) in targets]
        resource = lay_observation(base, one, links, members, stored.targets() | set(targets.values()))
        entry = _entry(base, resource, one, study)
        if not _is_valid(resource, base):
            if one.kind != EVENT:
                findings.setdefault(one.uid, []).append(NOT_VALID)
            continue
        targets[key] = entry.target if entry else reference(base or {})
        entries += [entry] if entry else []
    kept = {*targets, *_kept(stored, unknown)}
    gone = [resource for key, resource in stored.ours.items() if key not in kept]
    replaced = [resource for resource in stored.of_dicom_cast if resource not in cast.values()]
    return ObservationPlan([*entries, *_deletes([*gone, *stored.surplus, *replaced])], findings)


def _deletes(resources: Iterable[Resource]) -> list[Entry]:
    """What refers to others first: it may be in an earlier bundle, and servers refuse to leave a reference to nothing."""
    return [Entry.delete(resource) for resource in sorted(resources, key=lambda one: not one.get("hasMember"))]


def _entry(base: Resource | None, resource: Resource, one: DoseObservation, study: ByIdentifier) -> Entry | None:
    if base is not None:
        return None if same_content(resource, base) else Entry.update(resource, base)
    if one.kind == EVENT:  # many; a condition for each would need many bundles
        return Entry.add(resource)
    uid = study.value.removeprefix("urn:oid:")
    return Entry.create(observation_identity((one.kind, one.uid), uid), resource)


def _is_valid(resource: Resource, base: Resource | None) -> bool:
    try:
        check_valid(resource, base)
    except InvalidStudy:
        return False
    return True


def _kept(stored: StoredObservations, unknown: Collection[str]) -> set[Key]:
    """Observations of reports that could not be read, with their events."""
    summaries = {key: one for key, one in stored.ours.items() if key[0] != EVENT and key[1] in unknown}
    members = {member.get("reference") for one in summaries.values() for member in one.get("hasMember", [])}
    return {*summaries, *(key for key, one in stored.ours.items() if reference(one) in members)}
