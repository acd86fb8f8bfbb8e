"""Pure: Patient. DICOM Patient Module (PS3.3 C.7.1.1) to https://hl7.org/fhir/R4/patient.html.

| keyword | element |
|---|---|
| PatientID | identifier (required) |
| PatientName | name, use usual; further groups by representation |
| PatientSex | gender |
| PatientBirthDate | birthDate |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.dicom.values import Attributes, PersonName
from shared.fhir.identifiers import ByIdentifier, Resource, by_identifier
from shared.fhir.ownership import overlay
from shared.fhir.systems import NAME_REPRESENTATION

GENDERS = {"M": "male", "F": "female", "O": "other"}  # PS3.3 C.7.1.1
REPRESENTATIONS = {"Ideographic": "IDE", "Phonetic": "SYL"}  # PS3.5 6.2.1.2, ISO 21090
USUAL = "usual"


@dataclass(frozen=True, slots=True)
class PatientRules:
    """The Patient settings: which system identifies, and whether demographics follow DICOM after creation."""

    system: str = ""
    issuer_is_system: bool = False
    demographics_follow: bool = True


def patient_identity(attributes: Attributes, rules: PatientRules) -> ByIdentifier | None:
    """Who it is: PatientID in the configured system or that of its issuer; None without PatientID."""
    patient_id = attributes.text("PatientID")
    if patient_id is None:
        return None
    issuer = attributes.text("IssuerOfPatientID") or ""
    return by_identifier("Patient", issuer if rules.issuer_is_system else rules.system, patient_id)


def lay_patient(stored: Resource | None, identity: ByIdentifier, ours: Mapping[str, Any]) -> Resource:
    """The Patient as it should be: `ours` holds the demographics to set; what DICOM leaves empty stays as it is."""
    if stored is None:
        identifier = (
            {"system": identity.system, "value": identity.value} if identity.system else {"value": identity.value}
        )
        stored = {"resourceType": "Patient", "identifier": [identifier]}
    names = ours.get("name")
    laid = {name: value for name, value in ours.items() if name != "name"}
    if names:
        kept = [name for name in stored.get("name", []) if name.get("use") != USUAL]
        laid["name"] = [*names, *kept]
    return overlay(stored, laid, laid)


def demographics(attributes: Attributes) -> dict[str, Any]:
    """name, gender and birthDate as far as DICOM says them."""
    elements = {
        "name": _human_names(attributes.person_names("PatientName")),
        "gender": _gender(attributes),
        "birthDate": attributes.date("PatientBirthDate"),
    }
    return {name: value for name, value in elements.items() if value}


def _gender(attributes: Attributes) -> str | None:
    sex = attributes.text("PatientSex")
    if sex and sex not in GENDERS:
        attributes.find("PatientSex", "unknown-code")
    return GENDERS.get(sex or "")


def _human_names(names: Mapping[str, PersonName]) -> list[dict[str, Any]]:
    return [_human_name(name, REPRESENTATIONS.get(group)) for group, name in names.items()]


def _human_name(name: PersonName, representation: str | None) -> dict[str, Any]:
    elements: dict[str, Any] = {"use": USUAL}
    if representation:
        elements["extension"] = [{"url": NAME_REPRESENTATION, "valueCode": representation}]
    parts = {
        "family": name.family,
        "given": [given for given in (name.given, name.middle) if given],
        "prefix": [name.prefix] if name.prefix else [],
        "suffix": [name.suffix] if name.suffix else [],
    }
    return elements | {element: value for element, value in parts.items() if value}
