"""What makes FHIR say what a look shows: Endpoint, Devices, Patient, ImagingStudy and Observations, as they differ."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from shared.dicom.values import Dataset
from shared.fhir.bundle import Entry
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import Resource
from shared.fhir.ownership import as_text, source_of
from shared.fhir.refusal import path_of
from shared.fhir.validation import check_valid
from shared.mapping.contradiction import CONFLICTS
from shared.mapping.device import Equipment, device_identity
from shared.mapping.dicom_cast import is_by_dicom_cast, mend_dicom_cast
from shared.mapping.dose.observations import DoseContent, map_reports
from shared.mapping.moved import with_present_endpoint
from shared.mapping.observation_layer import DoseLinks
from shared.mapping.series_layer import Links
from shared.mapping.sources import Shared, handed_over
from shared.mapping.study_identifiers import study_identity
from shared.mapping.study_layer import lay_study, new_study, reports_of
from shared.model import Finding, InstanceKey, Outcome, StudyKey
from shared.state import PatientState
from shared.storage.patient_state import PatientStateStore
from shared.storage.study_state import StudyStateStore
from shared.sync.attempt import Left
from shared.sync.delta import StudyDelta
from shared.sync.demographics import PatientPlan, offer_of, plan_patient, subject_of
from shared.sync.foreign import concerns, in_dicom, is_theirs, subject_differs
from shared.sync.holders import represented, shared_by
from shared.sync.ledger import any_there
from shared.sync.listing import listing_of, number_there
from shared.sync.look import Look
from shared.sync.observations import OBSERVATION, ObservationPlan, ObservationsOf, entry_of
from shared.sync.person import identity_in, person_of
from shared.sync.plan_findings import SUBJECT_KEPT, findings_in
from shared.sync.removal import plan_removal
from shared.sync.rules import Rules
from shared.sync.shared_resources import SharedResources, equipment_in
from shared.sync.side_by_side import both
from shared.sync.stored import Stored


@dataclass(frozen=True, slots=True)
class Plan:
    """Entries to carry out in this order, what the study then was, the Patient it belongs to, and what was found.

    devices: what the Devices are referred to as; endpoint: the same of the Endpoint. gives_up: whether the source
    has instances no more, which others may have. yields: another partition says whose the study is. takes_over: another
    one did. keeps_subject: somebody else set the subject of the ImagingStudy. listed: how many instances of the source
    it lists, 0 where they are not listed. left: what of a removed study stays in FHIR, and why.
    """

    outcome: Outcome
    entries: list[Entry] = field(default_factory=list)
    patient: PatientPlan | None = None
    findings: Mapping[InstanceKey, Collection[Finding]] = field(default_factory=dict)
    devices: Mapping[Equipment, str] = field(default_factory=dict)
    endpoint: str = ""
    gives_up: bool = False
    yields: bool = False
    takes_over: bool = False
    keeps_subject: bool = False
    listed: int = 0
    left: Left | None = None

    @property
    def without_observations(self) -> list[Entry]:
        """The entries without those that depend on dose reports."""
        return [entry for entry in self.entries if entry.resource_type != OBSERVATION]

    def check(self) -> None:
        """Raise InvalidStudy where a resource is not valid R4; Observations were checked when they were made."""
        for entry in self.without_observations:
            if entry.resource is not None:
                check_valid(entry.resource, entry.before)


@dataclass(frozen=True, slots=True)
class Linked:
    """What a study refers to: its Patient, if any, all references, and the entries that come before its own.

    conflicts: codes of what the study contradicts of its Patient. former_endpoints: references that are to become that
    to the Endpoint.
    """

    patient: PatientPlan | None
    links: Links
    entries: list[Entry]
    conflicts: Collection[str]
    former_endpoints: frozenset[str]

    @property
    def findings(self) -> list[Finding]:
        """What is recorded of conflicts. Codes of a later version of this app are left to it."""
        return [CONFLICTS[code] for code in self.conflicts if code in CONFLICTS]


class Planner:
    """Remembers the Endpoint and the Devices; everything else is read for each plan."""

    def __init__(self, fhir: FhirClient, studies: StudyStateStore, patients: PatientStateStore, rules: Rules) -> None:
        self._fhir = fhir
        self._studies = studies
        self._patients = patients
        self._rules = rules
        self._shared = SharedResources(fhir, rules.addresses)

    def forget(self) -> None:
        """Look for everything again: a write was refused, something may be gone."""
        self._shared.forget()

    def learn(self, plan: Plan, references: list[str]) -> None:
        """Remember what a transaction created."""
        answered = zip(plan.entries, references, strict=False)
        created = {entry.full_url: reference for entry, reference in answered if entry.full_url}
        self._shared.learn(plan.devices, plan.endpoint, created)

    async def plan(self, stored: Stored, look: Look, refused: Collection[str] = ()) -> Plan:
        """What to write. Nothing is written here. refused: elements that the FHIR server refuses."""
        resource, service = stored.resource, self._rules.source
        if not look.delta.content.series and (resource is None or not concerns(resource, look.delta, service)):
            return await self._leftovers(stored)
        addresses = self._rules.addresses
        shared = await shared_by(self._studies, self._fhir, addresses, stored.known, resource, look.delta)
        listed = number_there(look.delta.ledger) if look.lists else 0
        plan = replace(await self._plan(stored, look, shared, refused), listed=listed)
        if shared is None:
            return replace(plan, gives_up=resource is not None and bool(look.delta.gone))
        return replace(plan, gives_up=shared.gives_up, yields=shared.yields, takes_over=shared.takes_over)

    async def _plan(self, stored: Stored, look: Look, shared: Shared | None, refused: Collection[str]) -> Plan:
        zone = self._rules.default_zone
        delta, reports = represented(look, shared)
        found: list[Finding] = []
        dose = self._dose(stored.study, reports)
        linked = await self._linked(stored, delta, dose, found, refused)
        links, devices, patient = linked.links, linked.links.devices, linked.patient
        if stored.resource is not None:
            moved = with_present_endpoint(stored.resource, linked.former_endpoints, links.endpoint)
            stored = replace(stored, resource=moved)
        resource = stored.resource
        # where another partition says whose the study is, its subject is no correction of somebody else
        says_whose = shared is None or shared.is_first
        apps = {self._rules.source, *(shared.others if shared else ())}
        theirs = is_theirs(resource, apps, links.endpoint, was_ours=stored.was_ours)
        keeps = subject_differs(resource, patient) if theirs else stored.keeps_subject(patient)
        if keeps_subject := says_whose and keeps:
            links = replace(links, subject=None)
        series = in_dicom(stored.known, resource, look, delta, shared)
        source = self._rules.source_in(stored.study.partition_name)
        listing = listing_of(resource, delta, source, shared, lists=look.lists, adopted=stored.known.adopted)
        base = self._base(stored, delta.content.requests)
        laid = lay_study(base, delta.content, delta.gone, links, zone, listing, in_dicom=series, is_theirs=theirs)
        if laid.resource is None or not any_there(delta.ledger):
            return await self._removal(stored, laid.resource, linked, shared, is_theirs=theirs)
        if shared is not None:
            laid = replace(
                laid, resource=shared.listing(listing).marked(laid.resource, links.endpoint, is_theirs=theirs)
            )
        assert laid.resource is not None  # noqa: S101 - what is there is listed
        study = entry_of(stored.before, laid.resource, study_identity(stored.study.study_instance_uid))
        target = study.target if study else f"ImagingStudy/{laid.resource['id']}"
        subject = subject_of(laid.resource) or linked.links.subject or ""  # theirs may name nobody
        dose_links = DoseLinks(self._rules.source, target, subject, devices)
        there = reports_of(laid.resource) | (set(stored.reports) - look.delta.gone)
        unread = {key.sop_instance_uid for key in there - set(reports or ())}
        observations = await self._observations(stored, dose, unread, dose_links, shared)
        entries = [*linked.entries, *([study] if study else []), *observations.entries]
        outcome = (Outcome.CREATED if stored.before is None else Outcome.UPDATED) if entries else Outcome.UNCHANGED
        of_study = [*linked.findings, *([SUBJECT_KEPT] if keeps_subject else [])]
        findings = findings_in(laid, look, delta, found, observations, zone, of_study)
        keeps_subject |= theirs  # so that it is never remembered as one of this app
        return Plan(outcome, entries, patient, findings, devices, links.endpoint, keeps_subject=keeps_subject)

    async def _linked(
        self,
        stored: Stored,
        delta: StudyDelta,
        dose: DoseContent | None,
        found: list[Finding],
        refused: Collection[str],
    ) -> Linked:
        study = stored.study
        identity = identity_in(delta.patient, self._rules.patient, study.partition_name)
        key = identity.key if identity else stored.linked_to[0]
        state, endpoint = await both(self._state_of(key), self._shared.endpoint())
        wanted = equipment_in(delta, dose)
        known = self._shared.known(wanted)
        unknown = {one: device_identity(one) for one in wanted if one not in known}
        searched_at = time.monotonic()
        there, person = await both(self._shared.look_for(unknown), person_of(self._fhir, identity))
        devices, new_devices = self._shared.devices(unknown, there)
        patient = None
        if identity is not None:
            offer = offer_of(study, delta.patient, frozenset(map(path_of, refused)), found)
            searched_s = self._fhir.clock.at_s(searched_at)
            is_unsure = key in stored.announced
            patient = plan_patient(
                identity, state, person, searched_s, study, offer, self._rules.patient, is_unsure=is_unsure
            )
        of_patient = [patient.entry] if patient and patient.entry else []
        links = Links(patient.target if patient else None, endpoint.reference, known | devices)
        conflicts = patient.conflicts if patient else state.conflicts.get(study.study_instance_uid, ())
        return Linked(patient, links, [*endpoint.entries, *new_devices, *of_patient], conflicts, endpoint.former)

    async def _leftovers(self, stored: Stored) -> Plan:
        """Nothing to do for the study; an earlier attempt may have removed it and not its Observations."""
        if stored.resource is not None or not stored.is_unsure:
            return Plan(Outcome.UNCHANGED)
        entries = await self._observations_of(stored, None).plan_removal(())
        return Plan(Outcome.REMOVED if entries else Outcome.UNCHANGED, entries)

    def _base(self, stored: Stored, requests: Collection[str] | None) -> Resource:
        if stored.resource is None:
            return new_study(study_identity(stored.study.study_instance_uid), self._rules.source)
        if stored.was_ours and not source_of(stored.resource):
            return handed_over(stored.resource, self._rules.source)  # written back by somebody without it
        is_theirs = source_of(stored.resource) != self._rules.source
        if stored.known.adopted or (is_by_dicom_cast(stored.resource) and not is_theirs):
            return mend_dicom_cast(stored.resource, requests)
        return stored.resource

    async def _removal(
        self, stored: Stored, rest: Resource | None, linked: Linked, shared: Shared | None, *, is_theirs: bool
    ) -> Plan:
        observations = self._observations_of(stored, shared) if stored.may_have_observations else None
        addresses, endpoint = self._rules.addresses, linked.links.endpoint
        removal = await plan_removal(stored, rest, endpoint, shared, addresses, observations, is_theirs=is_theirs)
        # what another partition has refers to it, too
        created = [one for one in linked.entries if one.full_url == endpoint and _refers_to(removal.entries, endpoint)]
        return Plan(removal.outcome, [*created, *removal.entries], left=removal.left)

    async def _state_of(self, patient: str) -> PatientState:
        return await self._patients.get(patient) if patient else PatientState()

    def _dose(self, study: StudyKey, reports: Mapping[InstanceKey, Dataset] | None) -> DoseContent | None:
        """What the reports say; None where nothing about them changed or nobody asks."""
        if reports is None or not self._rules.generate_observations:
            return None
        rules, uid = self._rules, study.study_instance_uid
        return map_reports(reports.values(), uid, rules.default_zone, with_events=rules.generate_events)

    async def _observations(
        self,
        stored: Stored,
        dose: DoseContent | None,
        unread: Collection[str],
        links: DoseLinks,
        shared: Shared | None,
    ) -> ObservationPlan:
        observations = self._observations_of(stored, shared)
        if dose is not None and (dose.observations or stored.may_have_observations):
            return await observations.plan(dose, unread, links, is_new=stored.is_new)
        differs = stored.resource is not None and subject_of(stored.resource) != links.subject
        if (differs or stored.has_moved) and stored.may_have_observations:
            return ObservationPlan(await observations.plan_relink(links))
        return ObservationPlan()

    def _observations_of(self, stored: Stored, shared: Shared | None) -> ObservationsOf:
        identity, written = study_identity(stored.study.study_instance_uid), stored.written.get(OBSERVATION)
        others = shared.others if shared else ()
        return ObservationsOf(self._fhir, identity, stored.resource, self._rules.addresses, written, others)


def _refers_to(entries: Collection[Entry], target: str) -> bool:
    return any(f'"{target}"' in as_text(entry.resource) for entry in entries if entry.resource is not None)
