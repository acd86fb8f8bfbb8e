"""Whose demographics win: the newest change among all studies of a Patient, whatever order they are reconciled in.

The Patient's own state row remembers the change its demographics came from. It is advanced under its ETag after the
Patient was written, so of two workers one finds that it was overtaken and runs again. When that change is gone (its
instance deleted, its study moved to another Patient), the next provider is asked (`shared.sync.providers`). And a study
that may have written over the newest change before it found itself overtaken sends the study of that change once more.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.dicom.values import Attributes
from shared.errors import VersionConflict
from shared.fhir.bundle import Entry, reference
from shared.fhir.identifiers import ByIdentifier, Resource
from shared.fhir.ownership import same_content
from shared.mapping.patient import PatientRules, demographics, lay_patient
from shared.model import REFUSED_ELEMENT, Finding, PatientState, Told, Written
from shared.storage.patient_state import PatientStateStore
from shared.sync.others import OtherStudies
from shared.sync.providers import reassign
from shared.sync.replica import check_shown
from shared.sync.writers import LAST_S


@dataclass(frozen=True, slots=True)
class PatientPlan:
    """What to do about a study's Patient: the entry to write, if any, and the state to save once it is written.

    offers: sequence of each element that the study offers. withdraws: it provided an element that it no longer offers,
    or offers of an older change only.
    """

    key: str
    target: str
    entry: Entry | None
    state: PatientState
    state_changes: bool
    offers: Mapping[str, int] = field(default_factory=dict)
    withdraws: bool = False


@dataclass(frozen=True, slots=True)
class Speaker:
    """The dataset that speaks for a study, and its change. refused: paths of elements that the FHIR server refuses."""

    attributes: Attributes
    change: Told
    refused: Collection[str] = ()

    def demographics(self) -> dict[str, Any]:
        """What it says that the server takes. The rest is no value, so that the next study that has one tells it."""
        ours = demographics(self.attributes)
        for name in [name for name in ours if f"Patient.{name}" in self.refused]:
            del ours[name]
            self.attributes.findings.append(Finding(f"Patient.{name}", REFUSED_ELEMENT))
        return ours


def tell(
    told: Mapping[str, Told], ours: Mapping[str, Any], change: Told
) -> tuple[dict[str, Any], dict[str, Told], bool]:
    """Pure: what of `ours` this change may say, who told what then, and whether others have to be asked.

    Element by element, since the newest change need not say everything: what it leaves empty is told by the newest that
    does not. Without that the order of messages would decide the content.
    """
    mine = {name for name, one in told.items() if one.study_instance_uid == change.study_instance_uid}
    said = {name: value for name, value in ours.items() if name in mine or name not in told or change >= told[name]}
    after = {name: one for name, one in told.items() if name not in mine} | dict.fromkeys(said, change)
    return said, after, any(name not in said or change < told[name] for name in mine)


def plan_patient(
    identity: ByIdentifier,
    state: PatientState,
    stored: Resource | None,
    searched_at: float,
    speaker: Speaker,
    rules: PatientRules,
) -> PatientPlan:
    """The Patient as this study would have it, unless a newer change of another study was there already.

    Raises VersionConflict where the search that found it `stored`, or not, shows less than was written.
    """
    check_shown(state.written, [stored] if stored else [], searched_at)
    # who gave the identifier, and that nobody is said to have, is told by the newest change alone
    ours = {"identifier": {}, **speaker.demographics()}
    if stored is None:
        creation = Entry.create(identity, lay_patient(None, identity, ours))
        told = dict.fromkeys(ours, speaker.change)
        is_ours = "birthDate" in ours
        state_now = replace(
            state, told=told, birth_date_is_ours=is_ours, open_by=(), is_known=state.etag is None, creating_at=0
        )
        offers = dict.fromkeys(ours, speaker.change.sequence)
        return PatientPlan(identity.key, creation.target, creation, state_now, state_changes=True, offers=offers)
    if not rules.demographics_follow:
        return PatientPlan(identity.key, reference(stored), None, state, state_changes=False)
    # a creator may have died before it could say that the birth date is ours
    has_creator = searched_at - state.creating_at < LAST_S
    is_equal = state.etag is None and stored.get("birthDate") == ours.get("birthDate")
    unclaimed = "birthDate" not in stored or has_creator or is_equal
    birth_date_is_ours = state.birth_date_is_ours or unclaimed
    if not birth_date_is_ours:
        ours.pop("birthDate", None)
    said, told, opens = tell(state.told, ours, speaker.change)
    laid = lay_patient(stored, identity, said)
    entry = None if same_content(laid, stored) else Entry.update(laid, stored)
    is_ours = birth_date_is_ours and "birthDate" in laid
    withdraws = opens or speaker.change.study_instance_uid in state.open_by
    state_now = replace(state, told=told, birth_date_is_ours=is_ours, creating_at=0)
    changes = entry is not None or withdraws or state_now != state
    offers = dict.fromkeys(ours, speaker.change.sequence)
    return PatientPlan(identity.key, reference(stored), entry, state_now, changes, offers, withdraws)


async def announce_creation(states: PatientStateStore, plan: PatientPlan | None) -> PatientPlan | None:
    """Before a Patient is created: whoever creates it may die before it can say that the birth date in it is ours, and
    then no study could correct it.
    """
    created = plan.entry.resource if plan and plan.entry and plan.entry.before is None else None
    if plan is None or created is None or "birthDate" not in created:
        return plan
    announced = replace(plan.state, told={}, birth_date_is_ours=False, creating_at=int(time.time()))
    return replace(plan, state=replace(plan.state, etag=(await states.save(plan.key, announced)).etag))


async def save_state(
    states: PatientStateStore, plan: PatientPlan, written: Written | None, others: OtherStudies
) -> None:
    """Remember the change that was written. A study that provided what it no longer offers asks the next provider.

    A study that left the Patient alone, because of a newer change, looks whether that change still counts: whoever took
    it back may have asked the next provider before this study offered anything.
    """
    if not plan.state_changes:
        if (await states.get(plan.key)).etag != plan.state.etag:
            raise VersionConflict("the Patient's demographics come from another change meanwhile")
        return
    state = replace(plan.state, written=written) if written and plan.entry else plan.state
    if plan.withdraws:
        await reassign(states, plan.key, state, plan.target, others)
    else:
        await states.save(plan.key, state)


async def give_word_back(states: PatientStateStore, patient: str, others: OtherStudies) -> None:
    """An earlier attempt may have written over what newer changes of other studies tell."""
    for owner in {one.study_instance_uid for one in (await states.get(patient)).told.values()}:
        await others.study(owner)


def subject_of(study: Resource) -> str:
    """`Patient/id` of a stored ImagingStudy; empty when it has none."""
    return str(study.get("subject", {}).get("reference", ""))
