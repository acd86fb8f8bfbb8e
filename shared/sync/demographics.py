"""Whose demographics win: the newest change among all studies of a Patient, whatever order they are reconciled in.

The Patient's own state row remembers the change its demographics came from. It is advanced under its ETag after the
Patient was written, so of two workers one finds that it was overtaken and runs again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from shared.dicom.values import Attributes
from shared.fhir.bundle import Entry, reference
from shared.fhir.identifiers import ByIdentifier, Resource
from shared.fhir.ownership import same_content
from shared.mapping.patient import PatientRules, demographics, lay_patient
from shared.model import PatientState
from shared.storage.patient_state import PatientStateStore
from shared.sync.claiming import Claims


@dataclass(frozen=True, slots=True)
class PatientPlan:
    """What to do about a study's Patient: the entry to write, if any, and the state to save once it is written."""

    key: str
    target: str
    entry: Entry | None
    state: PatientState
    state_changes: bool


async def plan_patient(
    claims: Claims,
    states: PatientStateStore,
    identity: ByIdentifier,
    newest: tuple[Attributes, int, str],
    rules: PatientRules,
) -> PatientPlan:
    """`newest` is the dataset that speaks for the study, its sequence and the Study Instance UID."""
    attributes, sequence, study_instance_uid = newest
    state = await states.get(identity.key)
    stored = await claims.find(identity, likely_new=state.etag is None)
    ours = demographics(attributes)
    if stored is None:
        state_now = PatientState(sequence, study_instance_uid, "birthDate" in ours, state.etag)
        creation = Entry.create(identity, lay_patient(None, identity, ours))
        return PatientPlan(identity.key, creation.target, creation, state_now, state_changes=True)
    if sequence < state.sequence or not rules.demographics_follow:
        return PatientPlan(identity.key, reference(stored), None, state, state_changes=False)
    birth_date_is_ours = state.birth_date_is_ours or "birthDate" not in stored
    if not birth_date_is_ours:
        ours.pop("birthDate", None)
    laid = lay_patient(stored, identity, ours)
    entry = None if same_content(laid, stored) else Entry.update(laid)
    state_now = PatientState(sequence, study_instance_uid, birth_date_is_ours and "birthDate" in laid, state.etag)
    changes = entry is not None or state_now != state
    return PatientPlan(identity.key, reference(stored), entry, state_now, changes)


async def let_go(
    states: PatientStateStore,
    patient: str,
    study_instance_uid: str,
    look_again: Callable[[], Awaitable[None]],
) -> None:
    """A study left this Patient. If its demographics came from that study, the others have to speak for it again."""
    state = await states.get(patient)
    if state.etag is None or state.study_instance_uid != study_instance_uid:
        return
    await states.save(patient, replace(state, sequence=-1))
    await look_again()


def subject_of(study: Resource) -> str:
    """`Patient/id` of a stored ImagingStudy; empty when it has none."""
    return str(study.get("subject", {}).get("reference", ""))
