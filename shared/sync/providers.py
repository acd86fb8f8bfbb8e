"""Find the next provider of a Patient's demographics when the one there was is gone.

The study that stops providing an element is the one that looks for the next, and the only one. It reads what the
Patient's other studies offer, says in the Patient's state who provides what from now on, and sends these studies, a few
at most, through the queue. What none of them offers is taken back. As long as it has not done all of this, the state
says that it owes it; its own message comes again then.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from shared.state import PatientState, Told
from shared.storage.patient_state import PatientStateStore
from shared.sync.conflicts import without_study
from shared.sync.others import OtherStudies
from shared.sync.side_by_side import all_of
from shared.sync.unprovided import TakeBack


def providers(told: Mapping[str, Told], offers: Mapping[str, Mapping[str, int]]) -> dict[str, Told]:
    """Pure: the provider of each element: the newest change that a study offers, or the one told of a study without
    a row.
    """
    found = {name: one for name, one in told.items() if one.study_instance_uid not in offers}
    for study_instance_uid, elements in offers.items():
        for name, sequence in elements.items():
            offered = Told(sequence, study_instance_uid)
            found[name] = max(found.get(name, offered), offered)
    return found


async def reassign(
    states: PatientStateStore,
    take_back: TakeBack,
    patient: str,
    state: PatientState,
    subjects: Sequence[str],
    others: OtherStudies,
    *,
    is_deleted: bool = False,
) -> None:
    """Say who provides each element of a Patient now, ask them, and take back what nobody provides any more.

    state: that of the Patient. subjects: references to it, of which the first is that of its studies; none where it is
    not known. is_deleted: as in `leave`.
    Raises VersionConflict when another worker changed the state, or the Patient, meanwhile.
    """
    me = others.study_instance_uid
    open_by = tuple(sorted({*state.open_by, me}))
    # where all studies of the Patient have rows, one without a row has left, perhaps since it was named here
    told = {} if state.is_known else state.told
    while True:
        offers = await states.offers(patient)
        provided = providers(told, offers)
        stays = is_deleted and not offers
        unprovided = () if stays else tuple(sorted({*state.unprovided, *state.told} - provided.keys()))
        state = await states.save(patient, replace(state, told=provided, open_by=open_by, unprovided=unprovided))
        asked = sorted({one.study_instance_uid for one in state.told.values()} - {me})
        # a study that left meanwhile did not see that it was to provide anything
        if all([offers.get(uid) == await states.offer_of(patient, uid) for uid in asked if uid in offers]):
            break
    for uid in asked:
        await others.study(uid)
    if subjects and not state.is_known:
        await others.of_patient(subjects[0], offers.keys() | set(asked))
    if state.unprovided:
        state = await _without_unprovided(take_back, patient, state, subjects)
        for uid in state.conflicts:
            await others.study(uid)
    rest = tuple(uid for uid in open_by if uid != me)
    await states.save(patient, replace(state, open_by=rest, is_known=state.is_known or bool(subjects)))


async def _without_unprovided(
    take_back: TakeBack, patient: str, state: PatientState, subjects: Collection[str]
) -> PatientState:
    taken = await take_back(patient, state, subjects)
    if not taken.is_done:
        return state
    return replace(
        state,
        unprovided=(),
        ours=tuple(name for name in state.ours if name not in state.unprovided),
        birth_date_is_ours=state.birth_date_is_ours and "birthDate" not in state.unprovided,
        written=taken.written or state.written,
    )


async def leave(
    states: PatientStateStore,
    take_back: TakeBack,
    left: Collection[str],
    subjects: Sequence[str],
    others: OtherStudies,
    *,
    is_deleted: bool,
) -> None:
    """The study of `others` is no longer of these Patients. subjects: where they may be, empty where it is not known.

    is_deleted: it is gone from DICOM; the last study of a Patient that goes so leaves it as it was.
    To be called before the study is written: afterwards nobody would know which Patient it left.
    """
    known = [one for one in dict.fromkeys(subjects) if one]
    await all_of(_leave(states, take_back, patient, known, others, is_deleted=is_deleted) for patient in left)


async def _leave(
    states: PatientStateStore,
    take_back: TakeBack,
    patient: str,
    subjects: Sequence[str],
    others: OtherStudies,
    *,
    is_deleted: bool,
) -> None:
    me = others.study_instance_uid
    await states.withdraw(patient, me)
    state = await states.get(patient)
    if me in state.conflicts:
        state = await states.save(patient, replace(state, conflicts=without_study(state.conflicts, me)))
    left = {name: one for name, one in state.told.items() if one.study_instance_uid != me}
    if left == state.told and me not in state.open_by:
        return
    lost = {*state.unprovided, *state.told} - left.keys()
    left_by_me = replace(state, told=left, unprovided=tuple(sorted(lost)))
    await reassign(states, take_back, patient, left_by_me, subjects, others, is_deleted=is_deleted)
