"""Whose demographics win: the newest change among all studies of a Patient, whatever order they are reconciled in.

The Patient's own state row remembers the change its demographics came from. It is advanced under its ETag after the
Patient was written, so of two workers one finds that it was overtaken and runs again. When that change is gone (its
instance deleted, its study moved to another Patient), the Patient's other studies are looked at again. And a study that
may have written over the newest change before it found itself overtaken sends the study of that change once more.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from shared.dicom.values import Attributes
from shared.errors import VersionConflict
from shared.fhir.bundle import Entry, reference
from shared.fhir.identifiers import ByIdentifier, Resource
from shared.fhir.ownership import same_content
from shared.mapping.patient import PatientRules, demographics, lay_patient
from shared.model import PatientState
from shared.storage.patient_state import PatientStateStore
from shared.sync.claiming import Claims

LookAgain = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PatientPlan:
    """What to do about a study's Patient: the entry to write, if any, and the state to save once it is written.

    left_to: the other study whose newer change has the word, empty when this one has.
    """

    key: str
    target: str
    entry: Entry | None
    state: PatientState
    state_changes: bool
    left_to: str = ""


@dataclass(frozen=True, slots=True)
class Speaker:
    """The dataset that speaks for a study, the sequence of its change, and the study."""

    attributes: Attributes
    sequence: int
    study_instance_uid: str


async def plan_patient(
    claims: Claims, states: PatientStateStore, identity: ByIdentifier, speaker: Speaker, rules: PatientRules
) -> PatientPlan:
    """The Patient as this study would have it, unless a newer change of another study was there already."""
    state = await states.get(identity.key)
    stored = await claims.find(identity, likely_new=state.etag is None)
    ours = demographics(speaker.attributes)
    spoke = state.study_instance_uid == speaker.study_instance_uid
    steps_back = spoke and (speaker.sequence < state.sequence or state.is_open)
    state_now = PatientState(speaker.sequence, speaker.study_instance_uid, is_open=steps_back, etag=state.etag)
    if stored is None:
        creation = Entry.create(identity, lay_patient(None, identity, ours))
        state_now = replace(state_now, birth_date_is_ours="birthDate" in ours, is_open=False)
        return PatientPlan(identity.key, creation.target, creation, state_now, state_changes=True)
    if not rules.demographics_follow:
        return PatientPlan(identity.key, reference(stored), None, state, state_changes=False)
    if speaker.sequence < state.sequence and not spoke:
        left_to = state.study_instance_uid
        return PatientPlan(identity.key, reference(stored), None, state, state_changes=False, left_to=left_to)
    birth_date_is_ours = state.birth_date_is_ours or "birthDate" not in stored
    if not birth_date_is_ours:
        ours.pop("birthDate", None)
    laid = lay_patient(stored, identity, ours)
    entry = None if same_content(laid, stored) else Entry.update(laid, stored)
    state_now = replace(state_now, birth_date_is_ours=birth_date_is_ours and "birthDate" in laid)
    return PatientPlan(identity.key, reference(stored), entry, state_now, entry is not None or state_now != state)


async def save_state(states: PatientStateStore, plan: PatientPlan, look_again: LookAgain) -> None:
    """Remember the change that was written. Where the study stepped back behind an earlier one of its own, the other
    studies may have something newer to say.

    A study that left the Patient alone, because of a newer change, looks whether that change still counts: whoever took
    it back may have asked the other studies before this one was linked.
    """
    if not plan.state_changes:
        if (await states.get(plan.key)).etag != plan.state.etag:
            raise VersionConflict("the Patient's demographics come from another change meanwhile")
        return
    saved = await states.save(plan.key, plan.state)
    if saved.is_open:
        await look_again()
        await states.save(plan.key, replace(saved, is_open=False))


async def let_go(states: PatientStateStore, patient: str, study_instance_uid: str, look_again: LookAgain) -> None:
    """A study left this Patient. If its demographics came from that study, the others have to speak for it again."""
    state = await states.get(patient)
    if state.etag is None or state.study_instance_uid != study_instance_uid:
        return
    await states.save(patient, replace(state, sequence=-1))
    await look_again()


def subject_of(study: Resource) -> str:
    """`Patient/id` of a stored ImagingStudy; empty when it has none."""
    return str(study.get("subject", {}).get("reference", ""))
