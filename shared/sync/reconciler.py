"""Make FHIR say what DICOM says of one study: the only place where DICOM truth, FHIR content and study state meet.

A pass reads everything, maps purely, writes one transaction and then moves the study state on under the ETag it read
at the beginning. Losing that ETag means that another worker looked at the same study meanwhile, and may have seen
something older or newer: the whole pass is run again. A pass that writes announces it in the study state first; as
long as the announcement stands, its message is not taken for overtaken, so a crash after the write is repaired by its
redelivery.
"""

import asyncio
import random
import time
import uuid
from dataclasses import replace
from functools import partial
from weakref import WeakValueDictionary

from shared.dicom.client import Confirm, DicomClient
from shared.errors import Overwritten, Rejected, Unavailable, VersionConflict
from shared.fhir.client import FhirClient
from shared.mapping.study_identifiers import study_identity
from shared.model import Outcome, StudyChange, StudyKey
from shared.room import Room
from shared.state import StudyState, Writer
from shared.storage.study_queue import StudyQueue
from shared.sync import findings, ledger, listing, refusals, writers
from shared.sync.announcing import announce, announce_late, changes_something
from shared.sync.attempt import Attempt, GoesAlone, Result, Stores
from shared.sync.damage import next_try
from shared.sync.demographics import PatientPlan, announce_creation, give_word_back, save_state, subject_of
from shared.sync.findings import OF_STUDY
from shared.sync.look import Look, look_at, needs_whole, seen_at
from shared.sync.memory import is_adopted, memory_of
from shared.sync.origin import Origin
from shared.sync.others import OtherStudies
from shared.sync.plan import Plan, Planner
from shared.sync.providers import leave
from shared.sync.replica import STUDY, check_shown, newest, written_by
from shared.sync.rules import Rules
from shared.sync.side_by_side import both
from shared.sync.stored import as_read
from shared.sync.truth import Answer, ask_whole
from shared.sync.unprovided import take_back

RERUNS = 3
RERUN_WAIT_S = 0.3
MOST_DONE = 16  # messages that come twice do so within minutes, as a rule


class Reconciler:
    """One per worker process."""

    def __init__(
        self, dicom: DicomClient, origin: Origin, fhir: FhirClient, stores: Stores, queue: StudyQueue, rules: Rules
    ) -> None:
        self._dicom = dicom
        self._origin = origin
        self._fhir = fhir
        self._stores = stores
        self._queue = queue
        self._rules = rules
        self._take_back = partial(take_back, fhir, rules.patient)
        self._planner = Planner(fhir, stores.studies, stores.patients, rules)
        self._room = Room()
        # an optimisation only: of two passes of one process over one study, one would have to run again
        self._locks: WeakValueDictionary[StudyKey, asyncio.Lock] = WeakValueDictionary()

    async def reconcile(self, change: StudyChange) -> Result:
        """What became of the study. Raises the errors of `shared.errors`, and GoesAlone."""
        lock = self._locks.setdefault(change.study, asyncio.Lock())
        async with lock, self._room.of_pass():
            attempt = Attempt(change, uuid.uuid4().hex[:8])
            reruns = 0
            while reruns < RERUNS:
                refused = len(attempt.refused)
                try:
                    return await self._pass(attempt, is_rerun=bool(attempt.refusals or reruns))
                except VersionConflict:
                    self._planner.forget()
                    # some servers name one refused element at a time
                    reruns += len(attempt.refused) == refused
                    await asyncio.sleep(RERUN_WAIT_S * max(1, reruns) * random.random())
            return await self._pass(attempt, is_rerun=True, is_last=True)

    async def is_superseded(self, change: StudyChange) -> bool:
        """Whether a later pass has done the work of a message. Reads the study state and nothing else."""
        state = await self._stores.studies.get(change.study)
        return not _earlier(state, change) and await self._is_overtaken(change, state)

    async def _pass(self, attempt: Attempt, *, is_rerun: bool = False, is_last: bool = False) -> Result:
        change, outcomes = attempt.change, attempt.outcomes
        state = await self._stores.studies.get(change.study)
        if state.fatal_poll and change.part >= 0 and change.poll <= state.fatal_poll:
            return Result(Outcome.FAILED)  # the attempt that failed saw all that this message lists
        if state.fatal_poll and not change.alone:
            raise GoesAlone
        earlier = _earlier(state, change)
        if not earlier and await self._is_overtaken(change, state):
            return Result(outcomes[0] if outcomes else Outcome.SUPERSEDED)
        confirm = partial(self._origin.confirm, seen_at(change, state))
        identity = study_identity(change.study.study_instance_uid)
        searched_at = time.monotonic()  # DICOM can take longer to answer than replicas lag
        found, whole = await both(self._fhir.find(identity), self._whole(change, state, confirm, repeats=bool(earlier)))
        stored = self._rules.addresses.at_present(found) if found else None
        written = newest(state.written, attempt.written)
        check_shown(written.get(STUDY), [stored] if stored else [], self._fhir.clock.at_s(searched_at))
        adopted = await is_adopted(self._stores.studies, change.study, state, stored, self._rules.source)
        most = listing.most_listed(self._rules.most_instances, state, change, attempt.too_large)
        # one of these passes may have recorded something, and another have said since that nothing is
        has_records = state.has_records or is_rerun or bool(earlier)
        recorded = await findings.unread(self._stores.records, change.study) if has_records else []
        source = self._rules.source_in(change.study.partition_name)
        memory = memory_of(state, stored, source, recorded, most, adopted=adopted, repeats=bool(earlier))
        look = await look_at(self._dicom, change, memory, self._rules, confirm, whole)
        now = as_read(change.study, state, memory, found, stored, written, earlier)
        attempt.refused.update(refusals.remembered(state, change))
        plan = await self._planner.plan(now, look, attempt.refused)
        plan = refusals.leave_out(plan, attempt.refused, look)
        plan.check()
        others, left = self._others(change), await self._left(attempt, state, earlier, plan)
        if changes_something(state, look, plan, left):
            state, patient = await both(
                announce(self._stores.studies, attempt, state, look, plan),
                announce_creation(self._stores.patients, plan.patient),
            )
            plan = replace(plan, patient=patient)
            if patient is not None and (
                is_rerun or earlier or (patient.key, patient.offers) != (state.patient, state.offers)
            ):
                await self._offer(attempt, patient)
            subjects, is_deleted = [state.subject, subject_of(stored or {})], plan.patient is None
            await leave(self._stores.patients, self._take_back, left, subjects, others, is_deleted=is_deleted)
        await self._write(attempt, plan, is_last=is_last)
        if plan.entries:
            outcomes.append(plan.outcome)
        if again := next_try(change, look.truth.unknown - attempt.asked_again, recorded):
            await self._queue.send(*again)  # before they are recorded, or a crash between the two would lose it
            attempt.asked_again.update(look.truth.unknown)
        await self._confirm(attempt, state, earlier, look, plan, has_records=has_records)
        return Result(
            outcomes[0] if outcomes else plan.outcome,
            len(look.failed),
            sum(map(len, plan.findings.values())),
            skipped=look.skipped,
            strays=len(look.delta.strays),
            has_new_strays=look.delta.has_new_strays,
            left=plan.left,
        )

    async def _whole(self, change: StudyChange, state: StudyState, confirm: Confirm, *, repeats: bool) -> Answer | None:
        """The whole study, where it is sure to be read, while FHIR is searched."""
        is_sure = needs_whole(change, state, repeats=repeats)
        return await ask_whole(self._dicom, change.study, confirm) if is_sure else None

    async def _is_overtaken(self, change: StudyChange, state: StudyState) -> bool:
        """Whether this message was done, or a later read of the whole study covers it. Its sequences are remembered all
        the same: they decide which instance provides an element once another one is deleted.
        """
        if not change.instances or change.part < 0 or state.parked:
            return False
        if change.message_id in state.done:
            return True
        learnt = ledger.learn(state.ledger, change.instances) if change.poll <= state.full_poll else None
        if learnt is None or not ledger.provides_the_same(state.ledger, learnt):
            return False
        if learnt != state.ledger:
            await self._stores.studies.save(change.study, replace(state, ledger=learnt))
        return True

    async def _write(self, attempt: Attempt, plan: Plan, *, is_last: bool) -> None:
        """Carry the plan out. While the outcome is not known the server may go on, and would overwrite what is written
        too soon.
        """
        try:
            await self._carry_out(attempt, plan, is_last=is_last)
        except Unavailable as error:
            if error.outcome_unknown:
                error.retry_after_s = max(error.retry_after_s or 0, writers.SETTLED_AFTER_S)
            raise

    async def _carry_out(self, attempt: Attempt, plan: Plan, *, is_last: bool) -> None:
        """What the server refuses is read and tried once more, then without what it names. Where it goes on refusing
        because of an Observation, the study is written without; so it is where one cannot be deleted because others
        refer to it, which some servers answer with a conflict.
        """
        if not plan.entries:
            return
        try:
            answers = await self._fhir.transact(plan.entries)
        except Overwritten:
            await announce_late(self._stores.studies, attempt, plan)
            raise
        except (Rejected, VersionConflict) as error:
            if isinstance(error, VersionConflict) and not is_last:
                raise
            if isinstance(error, Rejected) and refusals.is_news(attempt, plan, error, is_last=is_last):
                raise VersionConflict(f"{error}: the study is read again and retried") from None
            if len(plan.without_observations) < len(plan.entries) and plan.without_observations:
                await self._fhir.transact(plan.without_observations)
            raise
        self._planner.learn(plan, [answer.reference for answer in answers])
        answered = zip(plan.entries, answers, strict=True)
        attempt.references.update((entry.full_url, one.reference) for entry, one in answered if entry.full_url)
        attempt.written.update(written_by(plan.entries, answers, self._fhir.clock.now_s))

    async def _left(self, attempt: Attempt, state: StudyState, earlier: list[Writer], plan: Plan) -> set[str]:
        """Patients that the study had, or was about to have, and has no more: they may take their demographics from it
        until they are told, before the study is written.
        """
        if not self._rules.patient.demographics_follow:
            return set()
        stays = state.patient if not plan.outcome.is_removal and not plan.yields else ""
        now = plan.patient.key if plan.patient is not None else stays
        had = {state.patient, *state.offered, *attempt.offered, *(writer.patient for writer in earlier)} - {"", now}
        return had - await self._others(attempt.change).patients_elsewhere() if had else had

    async def _offer(self, attempt: Attempt, patient: PatientPlan) -> None:
        """Before the Patient is written, so that who looks for the next provider finds this study, too."""
        if self._rules.patient.demographics_follow:
            attempt.offered.add(patient.key)
            me = attempt.change.study.study_instance_uid
            await self._stores.patients.offer(patient.key, me, patient.offers)

    def _others(self, change: StudyChange) -> OtherStudies:
        return OtherStudies(self._fhir, self._stores.studies, self._queue, change)

    async def _confirm(
        self, attempt: Attempt, state: StudyState, earlier: list[Writer], look: Look, plan: Plan, *, has_records: bool
    ) -> None:
        """Everything that must be remembered, the study state last."""
        change, patient, subject, offers = attempt.change, state.patient, state.subject, state.offers
        if plan.gives_up or plan.takes_over or earlier:
            await self._others(change).other_partitions()
        unmended = writers.unmended(earlier)
        for written_to in {writer.patient for writer in unmended} - {""}:
            await give_word_back(self._stores.patients, written_to, self._others(change))
        if any(writer.attempt != attempt.name and not writer.looks for writer in unmended):
            # another delivery of this message may still write what it saw before
            await self._others(change).this_one_later()
        if plan.patient is not None:
            patient, offers = plan.patient.key, plan.patient.offers
            target = attempt.references.get(plan.patient.target, plan.patient.target)
            subject = subject if plan.keeps_subject else target
            written, others = attempt.written.get("Patient"), self._others(change)
            await save_state(self._stores.patients, self._take_back, plan.patient, target, written, others)
        elif plan.outcome.is_removal or plan.yields:
            patient, subject, offers = "", "", {}
        left = await self._record(change, look, plan, has_records=has_records)
        is_whole = look.truth.is_whole
        if is_whole:
            await findings.clear_failed(self._stores.records, change, was_parked=state.parked)
        done = state.done if change.part < 0 else dict.fromkeys((*state.done, change.message_id))
        confirmed = replace(
            state,
            ledger=look.delta.ledger,
            # a message about an instance that nobody could name is not covered
            full_poll=max(state.full_poll, change.poll) if is_whole and not look.truth.hidden else state.full_poll,
            writers=writers.confirmed(state.writers, attempt.name, unmended, time.time()),
            patient=patient,
            subject=subject,
            offers=offers,
            offered=(),
            written=newest(state.written, attempt.written),
            has_records=left,
            parked=state.parked and not is_whole,
            fatal_poll=0,
            done=tuple(done)[-MOST_DONE:],
        )
        confirmed = refusals.remember(confirmed, change, attempt.refused)
        reports = () if look.lists else look.known_reports - look.delta.gone
        confirmed = listing.remember(confirmed, change, attempt.too_large, reports)
        if confirmed != state:  # or passes that find nothing to do would make one another run again
            await self._stores.studies.save(change.study, confirmed)

    async def _record(self, change: StudyChange, look: Look, plan: Plan, *, has_records: bool) -> bool:
        if not (has_records or plan.findings or look.failed):
            return False
        return await findings.record(
            self._stores.records,
            change.study,
            {*look.truth.instances, *look.truth.gone, *look.truth.unknown, OF_STUDY},
            look.failed,
            plan.findings,
            change.instances,
            may_have_records=has_records,
        )


def _earlier(state: StudyState, change: StudyChange) -> list[Writer]:
    """Announced writes that a pass for this message has to look after."""
    return writers.expected(state.writers, change, time.time())
