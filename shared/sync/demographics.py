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
from shared.mapping.contradiction import Demographics, demographics_of
from shared.mapping.optional import REFUSED_ELEMENT
from shared.mapping.patient import PatientRules, demographics, lay_patient
from shared.mapping.provides import ISSUER
from shared.model import Finding, StudyKey
from shared.state import PatientState, Told, Written
from shared.storage.patient_state import PatientStateStore
from shared.sync.conflicts import conflicts_of
from shared.sync.delta import PatientContent
from shared.sync.others import OtherStudies
from shared.sync.person import Person
from shared.sync.providers import reassign
from shared.sync.replica import check_shown
from shared.sync.unprovided import TakeBack, of_resource
from shared.sync.writers import LAST_S


@dataclass(frozen=True, slots=True)
class PatientPlan:
    """What to do about a study's Patient: the entry to write, if any, and the state to save once it is written.

    offers: sequence of each element that the study offers. withdraws: it provided an element that it no longer offers,
    or offers of an older change only. replaced: references of Patients that it takes the place of. conflicts: codes of
    what the study contradicts. asked: other studies to be looked at again because of such.
    """

    key: str
    target: str
    entry: Entry | None
    state: PatientState
    state_changes: bool
    offers: Mapping[str, int] = field(default_factory=dict)
    withdraws: bool = False
    replaced: frozenset[str] = frozenset()
    conflicts: Collection[str] = ()
    asked: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """What a study offers to its Patient.

    values: elements whose provider was read. changes: the change that each element comes from, also of those that were
    not read. refused: elements that the server does not take.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Told] = field(default_factory=dict)
    refused: Collection[str] = ()

    @property
    def is_read(self) -> bool:
        """Whether all that it offers was read."""
        return self.changes.keys() <= self.values.keys()

    @property
    def sequences(self) -> dict[str, int]:
        """The same without the study."""
        return {name: change.sequence for name, change in self.changes.items()}


def offer_of(study: StudyKey, patient: PatientContent, refused: Collection[str], findings: list[Finding]) -> Offer:
    """What a study offers that the server takes. refused: paths of elements that it refuses; they are no value, so that
    the next study with a value provides it.
    """
    made = {id(one): demographics(Attributes(one, findings)) for one in patient.elements.values() if one is not None}
    left_out = {path.removeprefix("Patient.") for path in refused}
    taken = patient.sequences.keys() - left_out - {ISSUER}
    values = {name: made[id(one)][name] for name, one in patient.elements.items() if name in taken and one is not None}
    findings += [
        Finding(path, REFUSED_ELEMENT) for path in refused if path.removeprefix("Patient.") in patient.elements
    ]
    changes = {name: Told(patient.sequences[name], study.study_instance_uid) for name in taken}
    return Offer(values, changes, left_out)


def tell(
    told: Mapping[str, Told], offer: Offer, study_instance_uid: str
) -> tuple[dict[str, Any], dict[str, Told], bool]:
    """Pure: what this study may write of what it offers, where each element comes from then, and whether it withdraws
    an element, so that the next provider has to be asked.

    Element by element, since the newest change need not say everything: what it leaves empty comes from the newest that
    does not. Without that the order of messages would decide the content.
    """
    changes = offer.changes
    mine = {name for name, one in told.items() if one.study_instance_uid == study_instance_uid}
    provided = {name for name, change in changes.items() if name in mine or name not in told or change >= told[name]}
    said = {name: value for name, value in offer.values.items() if name in provided}
    after = {name: one for name, one in told.items() if name not in mine}
    after |= {name: changes[name] for name in provided if name in said or name in mine}
    return said, after, any(name not in changes or changes[name] < told[name] for name in mine)


def plan_patient(
    identity: ByIdentifier,
    state: PatientState,
    person: Person,
    searched_at: float,
    study: StudyKey,
    offer: Offer,
    rules: PatientRules,
    *,
    is_unsure: bool = False,
) -> PatientPlan:
    """The Patient as this study would have it, unless a newer change of another study was there already.

    is_unsure: an earlier attempt may have written the Patient.
    Raises VersionConflict where the search that found the `person`, or not, shows less than was written.
    """
    check_shown(state.written, person.matches, searched_at)
    stored, ours = person.resource, dict(offer.values)
    if stored is None:
        return _creation(identity, state, offer)
    if person.is_survivor or not rules.demographics_follow:
        return _only_linked(identity, state, person, stored, offer, rules)
    state = of_resource(state, reference(stored))
    # a creator may have died before it could say that the birth date is ours
    has_creator = searched_at - state.creating_at < LAST_S
    is_equal = state.etag is None and stored.get("birthDate") == ours.get("birthDate")
    unclaimed = "birthDate" not in stored or has_creator or is_equal
    birth_date_is_ours = state.birth_date_is_ours or unclaimed
    changes = offer.changes
    if not birth_date_is_ours:
        ours.pop("birthDate", None)
        changes = {name: one for name, one in changes.items() if name != "birthDate"}
    said, told, opens = tell(state.told, Offer(ours, changes), study.study_instance_uid)
    laid = lay_patient(stored, identity, said)
    entry = None if same_content(laid, stored) else Entry.update(laid, stored)
    unsure = ours if is_unsure or has_creator else {}
    plan = PatientPlan(
        identity.key,
        reference(stored),
        entry,
        replace(
            state,
            told=told,
            birth_date_is_ours=birth_date_is_ours and "birthDate" in laid,
            creating_at=0,
            ours=tuple(sorted({*state.ours, *_written(identity, stored, laid, said, unsure)})),
            unprovided=(unprovided := _unprovided(state, told, study.study_instance_uid, offer.refused)),
        ),
        state_changes=True,
        offers={name: change.sequence for name, change in changes.items()},
        # what nobody provides stayed as long as the Patient was replaced by another
        withdraws=opens or study.study_instance_uid in state.open_by or bool(unprovided and not state.open_by),
    )
    was, now = demographics_of(stored, identity), demographics_of(laid, identity)
    plan = _with_conflicts(plan, study.study_instance_uid, offer, state, was, now)
    return replace(plan, state_changes=entry is not None or plan.withdraws or plan.state != state)


def _only_linked(
    identity: ByIdentifier, state: PatientState, person: Person, stored: Resource, offer: Offer, rules: PatientRules
) -> PatientPlan:
    """For a Patient whose demographics are not written. While it stands for another one, the study goes on to offer to
    that one what it did: the merge can be undone.
    """
    laid = stored if person.is_survivor else lay_patient(stored, identity, {})
    entry = None if same_content(laid, stored) else Entry.update(laid, stored)
    offers = offer.sequences if rules.demographics_follow else {}
    if not state.birth_date_is_ours:
        offers.pop("birthDate", None)
    return PatientPlan(
        identity.key, reference(stored), entry, state, state_changes=False, offers=offers, replaced=person.replaced
    )


def _creation(identity: ByIdentifier, state: PatientState, offer: Offer) -> PatientPlan:
    ours = offer.values
    creation = Entry.create(identity, lay_patient(None, identity, ours))
    told = {name: offer.changes[name] for name in ours}
    is_known, names = state.etag is None, tuple(sorted(ours))
    state_now = PatientState(told, "birthDate" in ours, is_known=is_known, ours=names, etag=state.etag)
    return PatientPlan(identity.key, creation.target, creation, state_now, state_changes=True, offers=offer.sequences)


def _written(
    identity: ByIdentifier, stored: Resource, laid: Resource, said: Collection[str], unsure: Mapping[str, Any]
) -> set[str]:
    """Elements that this app writes. unsure: values of those that an earlier attempt has written if they are there."""
    there = lay_patient(stored, identity, unsure)
    return {name for name in said if laid[name] != stored.get(name)} | {
        name for name in unsure if there[name] == stored.get(name)
    }


def _unprovided(
    state: PatientState, told: Mapping[str, Told], study_instance_uid: str, refused: Collection[str]
) -> tuple[str, ...]:
    """Elements that nobody is known to provide any more. What the server refuses leaves the Patient as it is."""
    mine = {name for name, one in state.told.items() if one.study_instance_uid == study_instance_uid}
    return tuple(sorted({*state.unprovided, *(mine - set(refused))} - told.keys()))


def _with_conflicts(
    plan: PatientPlan, study_instance_uid: str, offer: Offer, state: PatientState, was: Demographics, now: Demographics
) -> PatientPlan:
    """The plan with what contradicts the Patient. was, now: what that has before and after."""
    providers = {one.study_instance_uid for name, one in state.told.items() if was.get(name) != now.get(name)}
    said = offer.values if offer.is_read else None
    found = conflicts_of(state.conflicts, study_instance_uid, said, was, now, providers)
    own, state_now = found.codes.get(study_instance_uid, ()), replace(plan.state, conflicts=found.codes)
    return replace(plan, state=state_now, conflicts=own, asked=found.asked)


async def announce_creation(states: PatientStateStore, plan: PatientPlan | None) -> PatientPlan | None:
    """Before a Patient is created: whoever creates it may die before it can say that the birth date in it is ours, and
    then no study could correct it.
    """
    created = plan.entry.resource if plan and plan.entry and plan.entry.before is None else None
    if plan is None or created is None or "birthDate" not in created:
        return plan
    announced = replace(plan.state, told={}, birth_date_is_ours=False, ours=(), creating_at=int(time.time()))
    return replace(plan, state=replace(plan.state, etag=(await states.save(plan.key, announced)).etag))


async def save_state(
    states: PatientStateStore,
    take_back: TakeBack,
    plan: PatientPlan,
    target: str,
    written: Written | None,
    others: OtherStudies,
) -> None:
    """Remember the change that was written. A study that provided what it no longer offers asks the next provider.
    target: reference to the Patient.

    A study that left the Patient alone, because of a newer change, looks whether that change still counts: whoever took
    it back may have asked the next provider before this study offered anything.
    """
    if not plan.state_changes:
        if (await states.get(plan.key)).etag != plan.state.etag:
            raise VersionConflict("the Patient's demographics come from another change meanwhile")
        return
    state = replace(plan.state, resource=target)
    state = replace(state, written=written) if written and plan.entry else state
    if plan.withdraws:
        await reassign(states, take_back, plan.key, state, [target], others)
    else:
        await states.save(plan.key, state)
    for study_instance_uid in plan.asked:
        await others.study(study_instance_uid)


async def give_word_back(states: PatientStateStore, patient: str, others: OtherStudies) -> None:
    """An earlier attempt may have written over what newer changes of other studies tell, or not have asked those that
    contradict it.
    """
    state = await states.get(patient)
    for owner in {one.study_instance_uid for one in state.told.values()} | state.conflicts.keys():
        await others.study(owner)


def subject_of(study: Resource) -> str:
    """`Patient/id` of a stored ImagingStudy; empty when it has none."""
    return str(study.get("subject", {}).get("reference", ""))
