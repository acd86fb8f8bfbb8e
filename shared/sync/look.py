"""One look at a study in DICOM: at the instances that a message lists where that is enough, else at all of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.dicom.client import DicomClient
from shared.dicom.study import Truth
from shared.dicom.values import Attributes
from shared.mapping.imaging_study import lacks
from shared.mapping.study_layer import findings_of
from shared.model import Finding, InstanceKey, StudyChange, StudyState
from shared.sync.plan import Rules
from shared.sync.truth import SINGLE_READS, read_some, read_whole
from shared.sync.view import View, unreadable, view_of


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known before a look: the study state and the instances that FHIR lists.

    adopted: all of these count as ours. repeats: an earlier attempt may have written, so what is stored can come from
    instances that the message does not list.
    """

    state: StudyState
    stored: Collection[InstanceKey]
    adopted: bool
    repeats: bool

    @property
    def needs_whole(self) -> bool:
        """Whether a look at some instances cannot be enough."""
        return self.repeats or self.state.parked or not self.state.full_poll or not self.stored


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at DICOM showed. `failed` instances are kept out of FHIR."""

    truth: Truth
    failed: Mapping[InstanceKey, Collection[Finding]]
    view: View


async def look_at(dicom: DicomClient, change: StudyChange, memory: Memory, rules: Rules) -> Look:
    """Read as little as shows what changed."""
    if 0 < len(change.instances) <= SINGLE_READS and not memory.needs_whole:
        look = _look(await read_some(dicom, change.study, change.instances), change, memory, rules, final=False)
        if look is not None:
            return look
    truth = await read_whole(dicom, change.study, change.instances, memory.stored)
    look = _look(truth, change, memory, rules, final=True)
    assert look is not None  # noqa: S101 - a final view always is
    return look


def _look(truth: Truth, change: StudyChange, memory: Memory, rules: Rules, *, final: bool) -> Look | None:
    failed = _failed(truth, rules)
    view = view_of(
        truth, failed, memory.state.marks, change.instances, memory.stored, adopted=memory.adopted, final=final
    )
    return Look(truth, failed, view) if view is not None else None


def _failed(truth: Truth, rules: Rules) -> dict[InstanceKey, Collection[Finding]]:
    """Instances that are kept out of FHIR, each with the reason."""
    failed: dict[InstanceKey, Collection[Finding]] = dict(unreadable(truth))
    for key, dataset in truth.instances.items():
        keyword = lacks(Attributes(dataset))
        if keyword is not None:
            failed[key] = [Finding(keyword, "missing")]
        elif rules.enforce_valid_values and (found := findings_of(dataset, rules.default_zone)):
            failed[key] = found
    return failed
