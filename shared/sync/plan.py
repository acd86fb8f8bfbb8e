"""What makes FHIR say what a look shows: Endpoint, Devices, Patient, ImagingStudy and Observations, as they differ."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from shared.dicom.values import Attributes, Dataset
from shared.fhir.bundle import Entry
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import ByIdentifier, Resource
from shared.fhir.ownership import is_source, same_content, source_of
from shared.fhir.refusal import path_of
from shared.mapping.device import Equipment, device_identity
from shared.mapping.dicom_cast import mend_dicom_cast
from shared.mapping.dose.observations import DoseContent, map_reports
from shared.mapping.moved import with_present_endpoint
from shared.mapping.observation_layer import DoseLinks
from shared.mapping.patient import patient_identity
from shared.mapping.provides import ISSUER
from shared.mapping.series_layer import Links
from shared.mapping.sources import Shared
from shared.mapping.study_identifiers import study_identity
from shared.mapping.study_layer import (
    equipment_by_series,
    keys_of,
    lay_study,
    new_study,
    reports_of,
)
from shared.model import Finding, InstanceKey, Outcome, StudyKey
from shared.state import PatientState, Written
from shared.storage.patient_state import PatientStateStore
from shared.storage.study_state import StudyStateStore
from shared.sync.delta import StudyDelta
from shared.sync.demographics import PatientPlan, offer_of, plan_patient, subject_of
from shared.sync.holders import Known, represented, shared_by
from shared.sync.ledger import any_there
from shared.sync.look import Look
from shared.sync.observations import OBSERVATION, ObservationPlan, ObservationsOf
from shared.sync.plan_findings import findings_in
from shared.sync.removal import plan_removal
from shared.sync.rules import Rules
from shared.sync.shared_resources import SharedResources
from shared.sync.side_by_side import both


@dataclass(frozen=True, slots=True)
class Plan:
    """Entries to carry out in this order, what the study then was, the Patient it belongs to, and what was found.

    devices: what the Devices are referred to as; endpoint: the same of the Endpoint. gives_up: whether the source
    has instances no more, which others may have. yields: another partition says whose the study is. takes_over: another
    one did. keeps_subject: somebody else set the subject of the ImagingStudy. left: what of a removed study stays in
    FHIR, and why.
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
    left: str = ""

    @property
    def without_observations(self) -> list[Entry]:
        """The entries without those that depend on dose reports."""
        return [entry for entry in self.entries if entry.resource_type != OBSERVATION]


@dataclass(frozen=True, slots=True)
class Linked:
    """What a study refers to: its Patient, if any, all references, and the entries that come before its own.

    former_endpoints: references that are to become that to the Endpoint.
    """

    patient: PatientPlan | None
    links: Links
    entries: list[Entry]
    former_endpoints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Stored:
    """The study as FHIR has it.

    resource: as if it had been written at the present address of the archive. before: as it is. known: what is
    remembered of it. linked_to: key of its Patient and the reference to it, as this app wrote them last. written: what
    was last written of it, by resource type. is_new: never written by anybody. is_unsure: an earlier attempt may have
    written the study and not its Observations.
    """

    known: Known
    resource: Resource | None
    linked_to: tuple[str, str]
    written: Mapping[str, Written]
    before: Resource | None
    is_new: bool
    is_unsure: bool

    def keeps_subject(self, patient: PatientPlan | None) -> bool:
        """Whether somebody else changed the subject, and DICOM's patient of the study is still the same."""
        if self.resource is None:
            return False
        key, written = self.linked_to
        is_theirs = bool(written) and subject_of(self.resource) not in (written, patient.target if patient else "")
        return is_theirs and (patient is None or patient.key == key)

    @property
    def has_moved(self) -> bool:
        """Whether it is stored under a former address of the archive."""
        return bool(self.before and self.resource) and not is_source(
            source_of(self.before or {}), source_of(self.resource or {})
        )

    @property
    def study(self) -> StudyKey:
        """Its key."""
        return self.known.study

    @property
    def may_have_observations(self) -> bool:
        """Whether a search for Observations of it is worth its while."""
        return self.is_unsure or bool(reports_of(self.resource))


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
        resource = stored.resource
        if not look.delta.content.series and (resource is None or not self._concerns(resource, look.delta)):
            return await self._leftovers(stored)
        shared = await shared_by(self._studies, self._fhir, self._rules.addresses, stored.known, resource, look.delta)
        plan = await self._plan(stored, look, shared, refused)
        if shared is None:
            return replace(plan, gives_up=resource is not None and bool(look.delta.gone))
        return replace(plan, gives_up=shared.gives_up, yields=shared.yields, takes_over=shared.takes_over)

    async def _plan(self, stored: Stored, look: Look, shared: Shared | None, refused: Collection[str]) -> Plan:
        delta, reports = represented(look, shared)
        found: list[Finding] = []
        dose = self._dose(stored.study, reports)
        linked = await self._linked(stored.study, delta, dose, found, refused)
        links, devices, patient = linked.links, linked.links.devices, linked.patient
        if stored.resource is not None:
            moved = with_present_endpoint(stored.resource, linked.former_endpoints, links.endpoint)
            stored = replace(stored, resource=moved)
        # where another partition says whose the study is, its subject is no correction of somebody else
        says_whose = shared is None or shared.is_first
        if keeps_subject := says_whose and stored.keeps_subject(patient):
            links = replace(links, subject=None)
        laid = lay_study(self._base(stored), delta.content, delta.gone, links, self._rules.default_zone)
        if laid.resource is None or not any_there(delta.ledger):
            return await self._removal(stored, laid.resource, links, shared)
        if shared is not None:
            laid = replace(laid, resource=shared.marked(laid.resource, links.endpoint))
        assert laid.resource is not None  # noqa: S101 - what is there is listed
        study = _study_entry(stored.study, stored.before, laid.resource)
        target = study.target if study else f"ImagingStudy/{laid.resource['id']}"
        dose_links = DoseLinks(self._rules.source, target, subject_of(laid.resource), devices)
        unread = {key.sop_instance_uid for key in reports_of(laid.resource) - set(reports or ())}
        observations = await self._observations(stored, dose, unread, dose_links, shared)
        entries = [*linked.entries, *([study] if study else []), *observations.entries]
        outcome = (Outcome.UPDATED if stored.before else Outcome.CREATED) if entries else Outcome.UNCHANGED
        zone = self._rules.default_zone
        findings = findings_in(laid, look, delta, found, observations, zone, keeps_subject=keeps_subject)
        return Plan(outcome, entries, patient, findings, devices, links.endpoint, keeps_subject=keeps_subject)

    async def _linked(
        self,
        study: StudyKey,
        delta: StudyDelta,
        dose: DoseContent | None,
        found: list[Finding],
        refused: Collection[str],
    ) -> Linked:
        identity = self._patient_of(delta, study.partition_name)
        state, endpoint = await both(self._state_of(identity), self._shared.endpoint())
        wanted = _equipment(delta, dose)
        known = self._shared.known(wanted)
        unknown = {one: device_identity(one) for one in wanted if one not in known}
        searched_at = time.monotonic()
        there, person = await both(self._shared.look_for(unknown), self._person(identity))
        devices, new_devices = self._shared.devices(unknown, there)
        patient = None
        if identity is not None:
            offer = offer_of(study, delta.patient, frozenset(map(path_of, refused)), found)
            searched_s = self._fhir.clock.at_s(searched_at)
            patient = plan_patient(identity, state, person, searched_s, study, offer, self._rules.patient)
        of_patient = [patient.entry] if patient and patient.entry else []
        links = Links(patient.target if patient else None, endpoint.reference, known | devices)
        return Linked(patient, links, [*endpoint.entries, *new_devices, *of_patient], endpoint.former)

    async def _person(self, identity: ByIdentifier | None) -> Resource | None:
        return await self._fhir.find(identity) if identity else None

    async def _leftovers(self, stored: Stored) -> Plan:
        """Nothing to do for the study; an earlier attempt may have removed it and not its Observations."""
        if stored.resource is not None or not stored.is_unsure:
            return Plan(Outcome.UNCHANGED)
        entries = await self._observations_of(stored, None).plan_removal(())
        return Plan(Outcome.REMOVED if entries else Outcome.UNCHANGED, entries)

    def _concerns(self, stored: Resource, delta: StudyDelta) -> bool:
        """Whether an ImagingStudy is ours, or holds what is to be taken out."""
        return source_of(stored) == self._rules.source or not delta.gone.isdisjoint(keys_of(stored))

    def _base(self, stored: Stored) -> Resource:
        if stored.resource is None:
            return new_study(study_identity(stored.study.study_instance_uid), self._rules.source)
        return mend_dicom_cast(stored.resource) if stored.known.adopted else stored.resource

    async def _removal(self, stored: Stored, rest: Resource | None, links: Links, shared: Shared | None) -> Plan:
        if stored.resource is None or stored.before is None:
            return Plan(Outcome.UNCHANGED)
        observations = self._observations_of(stored, shared) if stored.may_have_observations else None
        removal = await plan_removal(
            stored.before, stored.resource, rest, links.endpoint, shared, self._rules.addresses, observations
        )
        return Plan(removal.outcome, removal.entries, left=removal.left)

    def _patient_of(self, delta: StudyDelta, partition: str) -> ByIdentifier | None:
        """Whose study it is; None where nothing that was read concerns the Patient."""
        patient = delta.patient
        if patient.identity is None:
            return None
        issuer = patient.elements.get(ISSUER)
        return patient_identity(Attributes(patient.identity), Attributes(issuer or {}), self._rules.patient, partition)

    async def _state_of(self, patient: ByIdentifier | None) -> PatientState:
        return await self._patients.get(patient.key) if patient else PatientState()

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


def _equipment(delta: StudyDelta, dose: DoseContent | None) -> list[Equipment]:
    """Every equipment that something refers to."""
    of_reports = [one.equipment for one in (dose.observations if dose else ()) if one.equipment]
    return list(dict.fromkeys([*equipment_by_series(delta.content).values(), *of_reports]))


def _study_entry(study: StudyKey, stored: Resource | None, laid: Resource) -> Entry | None:
    if stored is None:
        return Entry.create(study_identity(study.study_instance_uid), laid)
    return None if same_content(laid, stored) else Entry.update(laid, stored)
