"""The study as FHIR has it, before a plan is made."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.fhir.identifiers import Resource
from shared.fhir.ownership import is_source, source_of
from shared.mapping.study_layer import reports_of
from shared.model import InstanceKey, StudyKey
from shared.state import StudyState, Writer, Written
from shared.sync import writers
from shared.sync.demographics import PatientPlan, subject_of
from shared.sync.holders import Known
from shared.sync.memory import Memory


@dataclass(frozen=True, slots=True)
class Stored:
    """The study as FHIR has it.

    known: what is remembered of it. resource: as if it had been written at the present address of the archive. before:
    as it is. linked_to: key of its Patient and the reference to it, as this app wrote them last. was_ours: this app
    wrote the subject. written: what was last written of it, by resource type. reports: instances that may be dose
    reports. is_new: never written by anybody. is_unsure: an earlier attempt may have written the study and not its
    Observations. announced: keys of Patients that one may have written.
    """

    known: Known
    resource: Resource | None
    before: Resource | None
    linked_to: tuple[str, str]
    was_ours: bool
    written: Mapping[str, Written]
    reports: Collection[InstanceKey]
    is_new: bool
    is_unsure: bool
    announced: Collection[str]

    def keeps_subject(self, patient: PatientPlan | None) -> bool:
        """Whether somebody else changed the subject, and DICOM's patient of the study is still the same."""
        if self.resource is None:
            return False
        key, written = self.linked_to
        replaced = {patient.target, *patient.replaced} if patient else set()
        is_theirs = bool(written) and subject_of(self.resource) not in {written, *replaced}
        return is_theirs and (patient is None or patient.key == key)

    @property
    def has_moved(self) -> bool:
        """Whether it is stored under a former address of the archive."""
        return bool(self.before and self.resource) and not is_source(
            source_of(self.before or {}), source_of(self.resource or {})
        )

    @property
    def study(self) -> StudyKey:
        """Its key."""
        return self.known.study

    @property
    def may_have_observations(self) -> bool:
        """Whether a search for Observations of it is worth its while."""
        return self.is_unsure or bool(self.reports) or bool(reports_of(self.resource))


def as_read(
    study: StudyKey,
    state: StudyState,
    memory: Memory,
    before: Resource | None,
    resource: Resource | None,
    written: Mapping[str, Written],
    earlier: Sequence[Writer],
) -> Stored:
    """The study as it was found. earlier: announced writes that may have changed it."""
    # as long as a write that was announced may still come, it may be what made the subject differ
    linked_to = ("", "") if writers.unmended(state.writers) else (state.patient, state.subject)
    return Stored(
        Known(study, state.ledger, memory.adopted),
        resource,
        before,
        linked_to,
        was_ours=bool(state.subject),
        written=written,
        reports=memory.reports,
        is_new=before is None and state.etag is None,
        is_unsure=bool(earlier) or state.parked,
        announced={writer.patient for writer in earlier},
    )
