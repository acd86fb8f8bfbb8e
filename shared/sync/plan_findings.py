"""What a pass has to record about instances, and about what people set in FHIR and DICOM does not change."""

from collections.abc import Collection

from shared.mapping.started import is_before
from shared.mapping.study_layer import RETIRED, Laid, findings_of
from shared.model import Finding, InstanceKey
from shared.sync.delta import StudyDelta
from shared.sync.findings import OF_STUDY
from shared.sync.look import Look
from shared.sync.observations import ObservationPlan

STATUS_KEPT = Finding("ImagingStudy.status", code="status-kept")
SUBJECT_KEPT = Finding("ImagingStudy.subject", code="subject-kept")
STARTED_BEFORE_STUDY = Finding("SeriesTime", code="started-before-study")
PATIENT_CONFLICT = Finding("PatientID", code="patient-conflict")


def findings_in(
    laid: Laid,
    look: Look,
    delta: StudyDelta,
    of_patient: list[Finding],
    of_reports: ObservationPlan,
    default_zone: str,
    of_study: Collection[Finding],
) -> dict[InstanceKey, Collection[Finding]]:
    """Findings by instance: of the values that were mapped, of the newest instances, of strays and dose reports.

    delta: the part of what was read that this source provides. of_study: what was found of the study as a whole.
    """
    found = {key: set(some) for key, some in laid.findings.items() if some}
    for key in delta.strays:
        found.setdefault(key, set()).add(PATIENT_CONFLICT)
    for key in delta.representatives:
        found.setdefault(key, set()).update(findings_of(look.truth.instances[key], default_zone))
    if of_patient and delta.representatives:
        found.setdefault(delta.representatives[0], set()).update(of_patient)
    for key in look.reports or ():
        if some := of_reports.findings.get(key.sop_instance_uid):
            found.setdefault(key, set()).update(some)
    for key in _early_series(laid):
        found.setdefault(key, set()).add(STARTED_BEFORE_STUDY)
    if of_study or look.of_study:
        found.setdefault(OF_STUDY, set()).update(of_study, look.of_study)
    if laid.resource is not None and laid.resource["status"] in RETIRED:
        found.setdefault(OF_STUDY, set()).add(STATUS_KEPT)
    return {key: sorted(some) for key, some in found.items() if some}


def _early_series(laid: Laid) -> list[InstanceKey]:
    """Series that began before their study: a clock was wrong, or a date. In the place of the instance is nothing."""
    study = laid.resource or {}
    started = [(series["uid"], series.get("started")) for series in study.get("series", [])]
    whole = study.get("started")
    return [InstanceKey(uid, "") for uid, one in started if one and whole and is_before(one, whole)]
