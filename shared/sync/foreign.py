"""Whose an ImagingStudy is, and what of it DICOM has."""

from collections.abc import Collection

from shared.fhir.identifiers import Resource
from shared.fhir.ownership import has_marked, source_of
from shared.mapping.series_layer import MARK
from shared.mapping.sources import Shared, services
from shared.mapping.study_layer import keys_of
from shared.sync.delta import StudyDelta
from shared.sync.demographics import PatientPlan, subject_of
from shared.sync.holders import Known
from shared.sync.ledger import series_digest
from shared.sync.look import Look


def is_theirs(stored: Resource | None, apps: Collection[str], endpoint: str, *, was_ours: bool) -> bool:
    """Whether somebody else wrote the ImagingStudy. One of this app's stays so for its content if somebody dropped or
    changed its source: it refers to the Endpoint without a mark.

    apps: DICOM services that this app and others like it write for. was_ours: this app set the subject.
    """
    if stored is None or source_of(stored) in apps:
        return False
    unmarked = [row for row in stored.get("endpoint", []) if not has_marked(row, MARK)]
    return not (was_ours and any(row.get("reference") == endpoint for row in unmarked))


def concerns(stored: Resource, delta: StudyDelta, service: str) -> bool:
    """Whether an ImagingStudy is this app's, or holds what is to be taken out."""
    is_ours = source_of(stored) == service
    return is_ours or not delta.gone.isdisjoint(keys_of(stored)) or has_marked(stored, MARK)


def subject_differs(stored: Resource | None, patient: PatientPlan | None) -> bool:
    """Whether an ImagingStudy has a subject of somebody else that is not the Patient that DICOM names."""
    if stored is None or patient is None or has_marked(stored.get("subject"), MARK):
        return False
    return subject_of(stored) not in {patient.target, *patient.replaced}


def in_dicom(known: Known, stored: Resource | None, look: Look, delta: StudyDelta, shared: Shared | None) -> set[str]:
    """The series that DICOM has something of: by what is remembered, and what cannot be read now."""
    there = {row.series for row in delta.ledger.values() if row.is_there}
    listed = {row["uid"] for row in (stored or {}).get("series", [])} | delta.content.series.keys()
    found = {uid for uid in listed if series_digest(uid) in there}
    found |= {key.series_instance_uid for key in look.truth.unknown}
    if known.adopted:  # nothing is remembered yet
        found |= {key.series_instance_uid for key in set(keys_of(stored)) - delta.gone}
    if shared is not None:
        apps = {shared.source.service, *shared.others}
        found |= {key.series_instance_uid for key, names in shared.holders.items() if apps & services(names)}
    return found
