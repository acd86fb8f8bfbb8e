"""The transaction that makes FHIR say what a view shows: Endpoint, Patient and ImagingStudy, as far as they differ."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.dicom.values import Attributes
from shared.fhir.bundle import Entry, reference
from shared.fhir.identifiers import Resource
from shared.fhir.ownership import same_content, source_of
from shared.mapping.endpoint import check_address, endpoint_identity, new_endpoint, printed_url
from shared.mapping.imaging_study import study_identity
from shared.mapping.patient import PatientRules, patient_identity
from shared.mapping.study_layer import (
    Laid,
    Links,
    keys_of,
    lay_study,
    mend_dicom_cast,
    new_study,
    without_our_part,
    without_series,
)
from shared.model import Finding, InstanceKey, Outcome, StudyKey
from shared.storage.patient_state import PatientStateStore
from shared.sync import marks
from shared.sync.claiming import Claims
from shared.sync.demographics import PatientPlan, Speaker, plan_patient
from shared.sync.view import View


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about the content."""

    dicom_endpoint: str
    patient: PatientRules = field(default_factory=PatientRules)
    default_zone: str = ""
    enforce_valid_values: bool = False

    @property
    def source(self) -> str:
        """`meta.source` of what this app creates."""
        return printed_url(self.dicom_endpoint)


@dataclass(frozen=True, slots=True)
class Plan:
    """Entries to carry out together, what the study then was, the Patient it belongs to, and what was found."""

    outcome: Outcome
    entries: list[Entry] = field(default_factory=list)
    patient: PatientPlan | None = None
    findings: Mapping[InstanceKey, Collection[Finding]] = field(default_factory=dict)


class Planner:
    """Remembers the Endpoint once it is known; everything else is read for each plan."""

    def __init__(self, patients: PatientStateStore, rules: Rules) -> None:
        self._patients = patients
        self._rules = rules
        self._endpoint: str | None = None

    def forget(self) -> None:
        """Look for the Endpoint again: a write was refused, it may be gone."""
        self._endpoint = None

    def learn(self, plan: Plan, references: list[str]) -> None:
        """Remember the Endpoint that a transaction created."""
        for entry, created in zip(plan.entries, references, strict=True):
            if entry.url == "Endpoint":
                self._endpoint = created

    async def plan(
        self, claims: Claims, study: StudyKey, stored: Resource | None, view: View, *, adopted: bool
    ) -> Plan:
        """What to write. Nothing is written here."""
        if stored is None and not view.content.series:
            return Plan(Outcome.UNCHANGED)
        if stored is not None and not view.content.series and not self._concerns(stored, view):
            return Plan(Outcome.UNCHANGED)
        found: list[Finding] = []
        patient = await self._patient(claims, study, view, found)
        endpoint = await self._endpoint_entry(claims)
        links = Links(patient.target if patient else None, endpoint.target if endpoint else self._endpoint or "")
        base = self._base(study, stored, adopted=adopted)
        laid = lay_study(base, view.content, view.gone, links, self._rules.default_zone)
        if laid.resource is None or not any(marks.is_there(mark) for mark in view.marks.values()):
            return self._removal(stored, laid.resource, links)
        entry = _study_entry(study, stored, laid.resource)
        linked = [endpoint, patient.entry if patient else None, entry]
        outcome = Outcome.CREATED if stored is None else Outcome.UPDATED
        entries = [entry for entry in linked if entry is not None]
        return Plan(outcome if entries else Outcome.UNCHANGED, entries, patient, _all_findings(laid, view, found))

    def _concerns(self, stored: Resource, view: View) -> bool:
        """Whether an ImagingStudy is ours, or holds what is to be taken out."""
        return source_of(stored) == self._rules.source or not view.gone.isdisjoint(keys_of(stored))

    def _base(self, study: StudyKey, stored: Resource | None, *, adopted: bool) -> Resource:
        if stored is None:
            return new_study(study_identity(study.study_instance_uid), self._rules.source)
        return mend_dicom_cast(stored) if adopted else stored

    def _removal(self, stored: Resource | None, rest: Resource | None, links: Links) -> Plan:
        """No instance of ours is left: what we created goes, of what holds something of others only our part."""
        if stored is None:
            return Plan(Outcome.UNCHANGED)
        if rest is None and source_of(stored) == self._rules.source:
            return Plan(Outcome.REMOVED, [Entry.delete(stored)])
        rest = without_our_part(rest or without_series(stored), links.endpoint)
        entries = [] if same_content(rest, stored) else [Entry.update(rest, stored)]
        return Plan(Outcome.REMOVED if entries else Outcome.UNCHANGED, entries)

    async def _patient(self, claims: Claims, study: StudyKey, view: View, found: list[Finding]) -> PatientPlan | None:
        if view.content.newest is None:
            return None
        attributes = Attributes(view.content.newest, found)
        identity = patient_identity(attributes, self._rules.patient)
        if identity is None:
            return None
        speaker = Speaker(attributes, view.sequence, study.study_instance_uid)
        return await plan_patient(claims, self._patients, identity, speaker, self._rules.patient)

    async def _endpoint_entry(self, claims: Claims) -> Entry | None:
        """The Endpoint's creation; None when it is there, and remembered then."""
        if self._endpoint is not None:
            return None
        identity = endpoint_identity(self._rules.dicom_endpoint)
        stored = await claims.find(identity, likely_new=False)
        if stored is None:
            return Entry.create(identity, new_endpoint(self._rules.dicom_endpoint))
        check_address(stored, self._rules.dicom_endpoint)
        self._endpoint = reference(stored)
        return None


def _study_entry(study: StudyKey, stored: Resource | None, laid: Resource) -> Entry | None:
    if stored is None:
        return Entry.create(study_identity(study.study_instance_uid), laid)
    return None if same_content(laid, stored) else Entry.update(laid, stored)


def _all_findings(laid: Laid, view: View, of_patient: list[Finding]) -> dict[InstanceKey, Collection[Finding]]:
    found = {key: set(some) for key, some in laid.findings.items() if some}
    if of_patient and view.newest is not None:
        found.setdefault(view.newest, set()).update(of_patient)
    return {key: sorted(some) for key, some in found.items()}
