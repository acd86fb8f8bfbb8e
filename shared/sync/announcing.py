"""Announce a write in the study state before it is made: one whose worker died, or that came late, is then looked after
(`shared.sync.writers`).
"""

import contextlib
import time
from collections.abc import Collection
from dataclasses import replace

from shared.errors import VersionConflict
from shared.state import StudyState, Writer
from shared.storage.study_state import StudyStateStore
from shared.sync import ledger, writers
from shared.sync.attempt import Attempt
from shared.sync.look import Look
from shared.sync.plan import Plan

TRIES = 3


async def announce(states: StudyStateStore, attempt: Attempt, state: StudyState, look: Look, plan: Plan) -> StudyState:
    """The state with the announcement; VersionConflict when others changed it since it was read."""
    offered = {*state.offered, plan.patient.key} if plan.patient is not None else {*state.offered}
    announced = replace(
        state,
        ledger=ledger.announce(state.ledger, look.truth.instances),
        writers=writers.announced(state.writers, _writer(attempt, plan)),
        has_records=state.has_records or bool(plan.findings or look.failed),
        offered=tuple(sorted(offered - {state.patient})),
    )
    return await states.save(attempt.change.study, announced)


async def announce_late(states: StudyStateStore, attempt: Attempt, plan: Plan) -> None:
    """The write came late: others may have done all of its message, and looked after its first announcement."""
    for _ in range(TRIES):
        state = await states.get(attempt.change.study)
        with contextlib.suppress(VersionConflict):
            await states.save(
                attempt.change.study,
                replace(state, writers=writers.announced(state.writers, _writer(attempt, plan))),
            )
            return
    raise VersionConflict("others keep changing the state of the study")


def _writer(attempt: Attempt, plan: Plan) -> Writer:
    patient = plan.patient.key if plan.patient is not None and plan.patient.entry is not None else ""
    return Writer(attempt.change.message_id, attempt.name, int(time.time()), patient)


def changes_something(state: StudyState, look: Look, plan: Plan, left: Collection[str]) -> bool:
    """Whether a pass writes anything but the study state. What is stale must fail before it does, not after."""
    patient = plan.patient
    return bool(
        plan.entries
        or left
        or (
            patient is not None
            and (patient.state_changes or (patient.key, patient.offers) != (state.patient, state.offers))
        )
        or (not state.has_records and (plan.findings or look.failed))
    )
