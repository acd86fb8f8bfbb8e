"""Pure: radiation dose reports of a study as Observations (https://hl7.org/fhir/R4/observation.html).

By the profile RadiationDoseSummary of the HL7 guide (https://hl7.org/fhir/uv/radiation-dose-summary/, 1.0.0): one
summary per report, and one Observation per irradiation event where they are wanted. Subject, device and references to
other resources are the caller's.

| dose report | Observation |
|---|---|
| SOPInstanceUID, or the event's UID | identifier |
| StudyInstanceUID | identifier, partOf |
| AccessionNumber | identifier, basedOn |
| CompletionFlag, and what other reports include | status |
| start of irradiation (see `times`) | effectiveDateTime |
| values (see `codes`) | component, valueString |
| authorising person (see `performer`) | performer |
| target region | bodySite of an event |
"""

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.dicom.values import Attributes, Dataset
from shared.fhir.systems import ACCESSION_ID, DCM, DICOM_IDENTIFIER_TYPE, DICOM_UID, IDENTIFIER_TYPE, LOINC
from shared.mapping.coding import Element
from shared.mapping.device import Equipment
from shared.mapping.dose import report as reading
from shared.mapping.dose.codes import (
    ACCUMULATED_CT,
    ACCUMULATED_X_RAY,
    ADMINISTRATION,
    EVENT_VALUES,
    NUCLEAR_MEDICINE,
    NUCLEAR_TOTALS,
    PROCEDURE_REPORTED,
    PROCEDURES,
    TARGET_REGION,
    X_RAY_TOTALS,
)
from shared.mapping.dose.components import Component, code_value, components, elements, sentence
from shared.mapping.dose.equipment import event_equipment, report_equipment
from shared.mapping.dose.performer import performer
from shared.mapping.dose.report import DoseReport, read_report
from shared.mapping.dose.several import latest_first, superseded
from shared.mapping.dose.times import event_start, report_start
from shared.model import Finding

SUMMARY, EVENT = "summary", "event"
# the display is part of the profile's pattern
SUMMARY_CODE = {
    "system": LOINC,
    "code": "73569-6",
    "display": "Radiation exposure and protection information [Description] Document Diagnostic imaging",
}
EVENT_CODE = {"system": DCM, "code": "113852", "display": "Irradiation Event"}
FINAL, PRELIMINARY = "final", "preliminary"

may_be_dose_report = reading.may_be_dose_report
is_dose_report = reading.is_dose_report


@dataclass(frozen=True, slots=True)
class DoseObservation:
    """An Observation without subject, device, hasMember and references.

    kind: SUMMARY or EVENT. uid: SOP Instance UID of the report, or UID of the irradiation event.
    members: events of a summary that are Observations too.
    """

    kind: str
    uid: str
    elements: Mapping[str, Any]
    equipment: Equipment | None
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DoseContent:
    """The Observations in the order of kind and UID, and findings by SOP Instance UID of the report."""

    observations: tuple[DoseObservation, ...]
    findings: Mapping[str, list[Finding]]


def map_reports(
    reports: Iterable[Dataset], study_instance_uid: str, default_zone: str, *, with_events: bool
) -> DoseContent:
    """What the dose reports among these datasets say; all of them must be of the one study."""
    read = [report for report in map(read_report, reports) if report is not None]
    found = {report.uid: report for report in sorted(read, key=lambda report: report.order)}
    included = superseded(found.values())
    scope = _Scope(study_instance_uid, default_zone, included)
    events = scope.events(latest_first(found.values(), included)) if with_events else {}
    summaries = [scope.summary(report, events) for report in found.values()]
    return DoseContent(
        tuple(sorted([*events.values(), *summaries], key=lambda observation: (observation.kind, observation.uid))),
        {uid: report.attributes.findings for uid, report in found.items()},
    )


class Common(NamedTuple):
    """What the Observations of one report have in common, read once: a report can have thousands of events."""

    accession: Element | None
    status: str
    performer: Element


@dataclass(frozen=True, slots=True)
class _Scope:
    """The study, and which of its reports are included in others."""

    study_instance_uid: str
    default_zone: str
    included: Collection[str]

    def summary(self, report: DoseReport, events: Collection[str]) -> DoseObservation:
        found = [*_procedure(report), *_totals(report)]
        values = {
            **self._context(self._common(report), _identifier("sop-instance-uid", "SOP Instance UID", report.uid)),
            "code": {"coding": [SUMMARY_CODE]},
            "effectiveDateTime": report_start(report, self.default_zone),
            **_values(found),
        }
        members = tuple(uid for uid in report.events if uid in events)
        return DoseObservation(SUMMARY, report.uid, _present(values), report_equipment(report), members)

    def events(self, reports: Iterable[DoseReport]) -> dict[str, DoseObservation]:
        """Each event by the first of the reports that has values of it."""
        observations: dict[str, DoseObservation] = {}
        for report in reports:
            of_report, common = report_equipment(report), self._common(report)
            for uid in [uid for uid in report.events if uid not in observations]:
                found = components(report.events[uid], EVENT_VALUES, report.declared)
                if any(component.is_measured for component in found):
                    equipment = event_equipment(report, uid, of_report)
                    observations[uid] = DoseObservation(EVENT, uid, self._event(report, uid, found, common), equipment)
        return observations

    def _event(self, report: DoseReport, uid: str, found: list[Component], common: Common) -> Element:
        values = {
            **self._context(common, _identifier("irradiation-event-uid", "Irradiation Event UID", uid)),
            "code": {"coding": [EVENT_CODE]},
            "effectiveDateTime": event_start(report, uid, self.default_zone),
            "bodySite": _body_site(report, uid),
            **_values(found),
        }
        return _present(values)

    def _common(self, report: DoseReport) -> Common:
        return Common(_accession(report.attributes), self._status(report), performer(report))

    def _context(self, common: Common, own: Element) -> Element:
        study = _identifier("study-instance-uid", "Study Instance UID", self.study_instance_uid)
        accession = common.accession
        return {
            "identifier": [identifier for identifier in (own, study, accession) if identifier],
            "basedOn": [{"type": "ServiceRequest", "identifier": accession}] if accession else None,
            "partOf": [{"type": "ImagingStudy", "identifier": study}],
            "status": common.status,
            "performer": [common.performer],
        }

    def _status(self, report: DoseReport) -> str:
        """Final are only those that nothing includes, so that final ones may be counted (PS3.3 C.17.2)."""
        flag = report.attributes.text("CompletionFlag")
        if flag not in (None, "COMPLETE", "PARTIAL"):
            report.attributes.find("CompletionFlag", "unknown-code")
        is_final = report.uid not in self.included and flag in (None, "COMPLETE")
        return FINAL if is_final else PRELIMINARY


def _totals(report: DoseReport) -> list[Component]:
    if report.is_nuclear:
        return components(report.root.those(ADMINISTRATION), NUCLEAR_TOTALS, report.declared)
    accumulated = report.root.those(ACCUMULATED_CT, ACCUMULATED_X_RAY)
    return components(accumulated, X_RAY_TOTALS, report.declared)


def _procedure(report: DoseReport) -> list[Component]:
    """Procedure reported; nuclear medicine reports have a real procedure in its place, which is no kind of one."""
    value: Element | None = {"coding": [NUCLEAR_MEDICINE]} if report.is_nuclear else None
    for item in () if value else report.root.those(*PROCEDURE_REPORTED.concepts):
        known = PROCEDURES.get(item.value_concept) if item.value_concept else None
        value = value or ({"coding": [known]} if known else code_value(item, report.declared))
    return [Component(PROCEDURE_REPORTED, PROCEDURE_REPORTED.display, {"valueCodeableConcept": value})] if value else []


def _body_site(report: DoseReport, event_uid: str) -> Element | None:
    regions = (item for event in report.events[event_uid] for item in event.those(TARGET_REGION))
    return next((site for site in (code_value(item, report.declared) for item in regions) if site), None)


def _values(found: list[Component]) -> Element:
    return {"valueString": sentence(found), "component": elements(found)}


def _identifier(kind: str, display: str, uid: str) -> Element:
    coding = {"system": DICOM_IDENTIFIER_TYPE, "code": kind, "display": display}
    return {"type": {"coding": [coding]}, "system": DICOM_UID, "value": f"urn:oid:{uid}"}


def _accession(attributes: Attributes) -> Element | None:
    """The accession number, else the first of the requests that the report refers to."""
    requests = attributes.items("ReferencedRequestSequence")
    levels = itertools.chain([attributes], requests)
    number = next((number for number in (level.text("AccessionNumber") for level in levels) if number), None)
    coding = {"system": IDENTIFIER_TYPE, "code": ACCESSION_ID, "display": "Accession ID"}
    return {"type": {"coding": [coding]}, "value": number} if number else None


def _present(values: Element) -> Element:
    return {name: value for name, value in values.items() if value}
