"""Find the next provider of a Patient's demographics when the one there was is gone.

The study that stops providing an element is the one that looks for the next, and the only one. It reads what the
Patient's other studies offer, says in the Patient's state who provides what from now on, and sends these studies, a few
at most, through the queue. As long as it has not, the state says that it owes this; its own message comes again then.
"""

from collections.abc import Mapping
from dataclasses import replace

from shared.state import PatientState, Told
from shared.storage.patient_state import PatientStateStore
from shared.sync.others import OtherStudies


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
    states: PatientStateStore, patient: str, state: PatientState, subject: str, others: OtherStudies
) -> None:
    """Say who provides each element of a Patient now, and ask them. `state` is the Patient's, `subject` its reference.

    Raises VersionConflict when another worker changed the state meanwhile.
    """
    me = others.study_instance_uid
    open_by = tuple(sorted({*state.open_by, me}))
    # where all studies of the Patient have rows, one without a row has left, perhaps since it was named here
    told = {} if state.is_known else state.told
    while True:
        offers = await states.offers(patient)
        state = await states.save(patient, replace(state, told=providers(told, offers), open_by=open_by))
        asked = sorted({one.study_instance_uid for one in state.told.values()} - {me})
        # a study that left meanwhile did not see that it was to provide anything
        if all([offers.get(uid) == await states.offer_of(patient, uid) for uid in asked if uid in offers]):
            break
    for uid in asked:
        await others.study(uid)
    if subject and not state.is_known:
        await others.of_patient(subject, offers.keys() | set(asked))
    rest = tuple(uid for uid in open_by if uid != me)
    await states.save(patient, replace(state, open_by=rest, is_known=state.is_known or bool(subject)))


async def leave(states: PatientStateStore, patient: str, subject: str, others: OtherStudies) -> None:
    """The study of `others` is no longer of this Patient, whose reference is `subject`, empty where it is not known.

    To be called before the study is written: afterwards nobody would know which Patient it left.
    """
    me = others.study_instance_uid
    await states.withdraw(patient, me)
    state = await states.get(patient)
    left = {name: one for name, one in state.told.items() if one.study_instance_uid != me}
    if left != state.told or me in state.open_by:
        await reassign(states, patient, replace(state, told=left), subject, others)
