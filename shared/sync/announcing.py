"""Announce a write in the study state before it is made: one whose worker died, or that came late, is then looked after
(`shared.sync.writers`).
"""

import contextlib
import time
from dataclasses import replace

from shared.errors import VersionConflict
from shared.model import StudyState, Writer
from shared.storage.study_state import StudyStateStore
from shared.sync import marks, writers
from shared.sync.attempt import Attempt
from shared.sync.look import Look
from shared.sync.plan import Plan

TRIES = 3


async def announce(states: StudyStateStore, attempt: Attempt, state: StudyState, look: Look, plan: Plan) -> StudyState:
    """The state with the announcement; VersionConflict when others changed it since it was read."""
    offered = {*state.offered, plan.patient.key} if plan.patient is not None else {*state.offered}
    announced = replace(
        state,
        marks=marks.announce(state.marks, look.truth.instances),
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
