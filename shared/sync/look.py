"""One look at a study in DICOM: at the instances that a message lists where that is enough, else at all of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice

from shared.dicom.client import Confirm, DicomClient
from shared.dicom.study import Truth, joined
from shared.dicom.values import Attributes, Dataset
from shared.mapping.dose.observations import is_dose_report, map_reports, may_be_dose_report
from shared.mapping.laterality import has_side
from shared.mapping.legible import doubt
from shared.mapping.provides import provided
from shared.mapping.study_identifiers import lacks
from shared.mapping.study_layer import findings_of
from shared.model import Finding, InstanceKey, StudyChange
from shared.state import StudyState
from shared.sync.delta import Before, StudyDelta, study_delta, unreadable
from shared.sync.ledger import loses, sequence_of
from shared.sync.listing import findings_of_size
from shared.sync.memory import Memory
from shared.sync.narrower import read_whole
from shared.sync.rules import Rules
from shared.sync.truth import MOST_RECORDED, Answer, Wanted, ask_whole, read_each, read_some

# instances that are read by a request of their own: so many, or this part of a study
SINGLE_READS = 8
SINGLE_PART = 0.1
# fewer than a message lists that is one of several to a study: a look at the whole study covers the others, too
MOST_SINGLE_READS = 64
# of the instances that are kept out, in a line of the log
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at DICOM showed. `failed` instances are kept out of FHIR.

    reports: whatever may be a dose report of the study; None where nothing about them changed. lists: whether the
    study is to list its instances. known_reports: instances that may be dose reports, those that are gone included.
    of_study: what was found about the study as such.
    """

    truth: Truth
    failed: Mapping[InstanceKey, Collection[Finding]]
    delta: StudyDelta
    reports: Mapping[InstanceKey, Dataset] | None
    lists: bool = True
    known_reports: frozenset[InstanceKey] = frozenset()
    of_study: Collection[Finding] = ()

    @property
    def skipped(self) -> str:
        """Some of the failed instances, each with the codes of its rows in the error table, which has all."""
        some = sorted(self.failed.items())[:MOST_NAMED]
        return ",".join(
            f"{key.sop_instance_uid}:{'+'.join(sorted({one.code for one in found}))}" for key, found in some
        )


def needs_whole(change: StudyChange, state: StudyState, *, repeats: bool) -> bool:
    """Whether the whole study has to be read, whatever FHIR has of it. Few instances are read one by one, and so is a
    small part of a large study.
    """
    most = max(SINGLE_READS, min(MOST_SINGLE_READS, int(len(state.ledger) * SINGLE_PART)))
    # what was refused is tried again by the next change, whichever instance it came from
    return (
        repeats
        or state.parked
        or bool(state.refused)
        or not state.full_poll
        or not 0 < len(change.instances) <= most
        or state.is_cut
    )


def seen_at(change: StudyChange, state: StudyState) -> int:
    """The highest sequence that the change feed is known to have had: absence is not believed where it ends before."""
    return max(change.sequence, sequence_of(state.ledger))


async def look_at(
    dicom: DicomClient, change: StudyChange, memory: Memory, rules: Rules, confirm: Confirm, whole: Answer | None
) -> Look:
    """Read as little as shows what changed. `whole`: the answer for the whole study, where it was asked for already.

    Raises what `confirm` raises where something is absent or goes from FHIR, and another service may have said so.
    """
    look = await _look_at_some(dicom, change, memory, rules, confirm) if whole is None else None
    if look is None:
        look = await _look_at_whole(dicom, change, memory, rules, confirm, whole)
    # a 404 was confirmed when it came. An answer can also leave something out, or have it without an identity
    if look.truth.instances and (
        look.truth.gone
        or not look.delta.gone.isdisjoint(memory.stored)
        or (memory.is_unlisted and loses(memory.state.ledger, look.delta.ledger))
    ):
        await confirm()
    return look


async def _look_at_whole(
    dicom: DicomClient, change: StudyChange, memory: Memory, rules: Rules, confirm: Confirm, whole: Answer | None
) -> Look:
    answer = await ask_whole(dicom, change.study, confirm) if whole is None else whole
    everything = not change.instances or memory.adopted or memory.repeats or memory.state.parked
    wanted = Wanted(change.instances, confirm, memory.reports, memory.recorded, memory.stored, everything)
    truth = await read_whole(dicom, change.study, answer, wanted)
    look = _look(truth, change.instances, memory, rules, final=True)
    assert look is not None  # noqa: S101 - a final view always is
    return look


async def _look_at_some(
    dicom: DicomClient, change: StudyChange, memory: Memory, rules: Rules, confirm: Confirm
) -> Look | None:
    """The instances listed, and what could not be read before. Dose reports of a study are looked at together: one may
    take the place of another.
    """
    if not (memory.stored or memory.is_unlisted) or needs_whole(change, memory.state, repeats=memory.repeats):
        return None
    if memory.is_by_dicom_cast or any(key.series_instance_uid in memory.sided for key in change.instances):
        return None
    listed = {**dict.fromkeys(islice(memory.recorded, MOST_RECORDED), 0), **change.instances}
    truth = await read_some(dicom, change.study, listed, confirm)
    if any(map(has_side, truth.instances.values())):
        return None
    concerned = any(key in memory.reports for key in listed) or any(map(_may_be_report, truth.instances.values()))
    others = [key for key in memory.reports if key not in listed] if concerned else []
    if len(others) > SINGLE_READS:
        return None
    if others:
        truth = joined(truth, await read_each(dicom, change.study, others, confirm))
    listed = {**dict.fromkeys(others, 0), **listed}
    look = _look(truth, listed, memory, rules, final=False, with_reports=concerned)
    if look is not None and memory.is_unlisted and memory.fits(look.delta.ledger):
        return None  # to list them, each must be read
    return look


def _look(
    truth: Truth,
    listed: Mapping[InstanceKey, int],
    memory: Memory,
    rules: Rules,
    *,
    final: bool,
    with_reports: bool = True,
) -> Look | None:
    failed = _failed(truth, rules)
    usable = {key: dataset for key, dataset in truth.instances.items() if key not in failed}
    known = Before(
        memory.state.ledger, listed, memory.stored, memory.series, memory.adopted, is_unlisted=memory.is_unlisted
    )
    delta = study_delta(truth, provided(usable, rules.default_zone), known, final=final)
    if delta is None or (not final and rules.patient.issuer_is_system and delta.patient.lacks_issuer):
        return None
    reports = {key: dataset for key, dataset in usable.items() if _may_be_report(dataset)} if with_reports else None
    lists = memory.fits(delta.ledger) and (truth.is_whole or not memory.is_unlisted)
    known_reports = frozenset((*memory.reports, *(reports or ())))
    of_study = findings_of_size(memory.state, delta.ledger, rules.most_instances, lists=lists)
    return Look(truth, failed, delta, reports, lists, known_reports, of_study)


def _may_be_report(dataset: Dataset) -> bool:
    return may_be_dose_report(Attributes(dataset).text("SOPClassUID") or "")


def _failed(truth: Truth, rules: Rules) -> dict[InstanceKey, Collection[Finding]]:
    """Instances that are kept out of FHIR, each with the reason."""
    failed: dict[InstanceKey, Collection[Finding]] = dict(unreadable(truth)) if rules.record_unreadable else {}
    for key, dataset in truth.instances.items():
        attributes = Attributes(dataset)
        if (keyword := lacks(attributes)) is not None:
            failed[key] = [Finding(keyword, "missing")]
        elif (doubted := doubt(attributes, rules.patient)) is not None:
            failed[key] = [doubted]
        elif rules.enforce_valid_values and (found := _findings(dataset, rules)):
            failed[key] = found
    return failed


def _findings(dataset: Dataset, rules: Rules) -> Collection[Finding]:
    found = findings_of(dataset, rules.default_zone)
    if rules.generate_observations and is_dose_report(dataset):
        content = map_reports([dataset], "", rules.default_zone, with_events=rules.generate_events)
        found = [*found, *(finding for some in content.findings.values() for finding in some)]
    return found
