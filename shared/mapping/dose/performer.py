"""Pure: who authorised the irradiation: the one Practitioner that the HL7 guide asks for in Observation.performer."""

from collections.abc import Mapping

from shared.dicom.values import PersonName
from shared.fhir.systems import DATA_ABSENT_REASON
from shared.mapping.coding import Element
from shared.mapping.dose.codes import IRRADIATION_AUTHORIZING, PERSON_ID, PERSON_NAME, PERSON_ROLE
from shared.mapping.dose.report import DoseReport
from shared.mapping.people import display_name

NOBODY: Element = {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "unknown"}]}


def performer(report: DoseReport) -> Element:
    """The person with that role at the root, else the performing physician; said to be unknown where there is neither.

    Persons of the same role further down released a dose alert and nothing else (PS3.16 TID 10015).
    """
    physician = _practitioner(report.attributes.person_names("PerformingPhysicianName"), None)
    return {"type": "Practitioner", **(_authorising(report) or physician or NOBODY)}


def _authorising(report: DoseReport) -> Element | None:
    for person in report.root.those(PERSON_NAME):
        if any(role.value_concept == IRRADIATION_AUTHORIZING for role in person.those(PERSON_ROLE)):
            number = next((item.text for item in person.those(PERSON_ID) if item.text), None)
            found = _practitioner(person.person_names, number)
            if found:
                return found
    return None


def _practitioner(names: Mapping[str, PersonName], number: str | None) -> Element | None:
    display = display_name(names)
    element: Element = {"display": display} if display else {}
    if number:
        element["identifier"] = {"value": number}
    return element or None
