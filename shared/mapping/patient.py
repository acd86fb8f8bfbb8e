"""Pure: Patient. DICOM Patient Module (PS3.3 C.7.1.1) to https://hl7.org/fhir/R4/patient.html.

Other Patient IDs are left out: they say which further numbers a person has somewhere, seldom who gave them, and a
Patient that carries them would be found, and merged, as somebody else.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.dicom.values import Attributes, PersonName
from shared.errors import PermanentError
from shared.fhir.identifiers import ByIdentifier, Resource, by_identifier
from shared.fhir.ownership import lay_shared, overlay, put
from shared.fhir.systems import NAME_REPRESENTATION
from shared.mapping.identifier_type import identifier_type
from shared.mapping.issuer import assigner, universal_uri
from shared.mapping.table import Element, Row
from shared.model import DEFAULT_PARTITION

GENDERS = {"M": "male", "F": "female", "O": "other"}  # PS3.3 C.7.1.1
REPRESENTATIONS = {"Ideographic": "IDE", "Phonetic": "SYL"}  # PS3.5 6.2.1.2, ISO 21090
USUAL = "usual"
MARK = "dicom-"
IDENTIFIER_PARTS = ("type", "assigner")


@dataclass(frozen=True, slots=True)
class PatientRules:
    """The Patient settings: which system identifies, and whether demographics follow DICOM after creation.

    partition_systems: system of each data partition that has one of its own, by its name in lower case.
    former_systems: values that `system` had before, oldest first.
    """

    system: str = ""
    issuer_is_system: bool = False
    demographics_follow: bool = True
    partition_systems: Mapping[str, str] = field(default_factory=dict)
    former_systems: tuple[str, ...] = ()


def patient_identity(
    attributes: Attributes, issued: Attributes, rules: PatientRules, partition: str = DEFAULT_PARTITION
) -> ByIdentifier | None:
    """Who it is: PatientID in the configured system or that of its issuer, which `issued` names; None without
    PatientID.

    Raises PermanentError where a data partition has no system: the same PatientID in two can be two persons.
    """
    patient_id = attributes.text("PatientID")
    if patient_id is None:
        return None
    system, former = _systems(issued, rules, partition)
    return by_identifier("Patient", system, patient_id, former)


def _systems(issued: Attributes, rules: PatientRules, partition: str) -> tuple[str, tuple[str, ...]]:
    """The system of the identifier and those that it had before. These are known of the configured one only: with
    another partition's or issuer's, two persons would be one.
    """
    issuer = (issuer_of(issued) or "") if rules.issuer_is_system else ""
    system = issuer or rules.partition_systems.get(partition.lower())
    if system is not None:
        return system, rules.former_systems if system == rules.system and not issuer else ()
    if partition != DEFAULT_PARTITION:
        raise PermanentError(
            f"the patient identifiers of data partition {partition} have no system: "
            "name it in Patient__PartitionSystemIds",
            code="no-partition-system",
        )
    return ("", ()) if rules.issuer_is_system else (rules.system, rules.former_systems)


def issuer_of(attributes: Attributes) -> str | None:
    """The system that the issuer of the PatientID stands for: Issuer of Patient ID as DICOM Cast took it, else the
    Universal Entity ID among its qualifiers if it is a URI (PS3.3 10.18).
    """
    if (issuer := attributes.text("IssuerOfPatientID")) is not None:
        return issuer
    qualifiers = next(iter(attributes.items("IssuerOfPatientIDQualifiersSequence")), None)
    return universal_uri(qualifiers) if qualifiers else None


def lay_patient(stored: Resource | None, identity: ByIdentifier, ours: Mapping[str, Any]) -> Resource:
    """The Patient as it should be: `ours` holds the demographics to set; what DICOM leaves empty stays as it is."""
    if stored is None:
        stored = {"resourceType": "Patient", "identifier": [_identifier(identity)]}
    stored = with_present_identifier(stored, identity)
    laid = dict(ours)
    if names := ours.get("name"):
        laid["name"] = [*names, *(name for name in stored.get("name", []) if name.get("use") != USUAL)]
    if "identifier" in ours:
        parts, rows = ours["identifier"], stored["identifier"]
        laid["identifier"] = [_lay_identifier(row, parts) if _is(row, identity) else row for row in rows]
    return overlay(stored, laid, laid)


def without_demographics(
    stored: Resource, as_written: Mapping[str, Any], identity: ByIdentifier, names: Collection[str]
) -> Resource:
    """A Patient without these elements, where they are `as_written` by this app; of the identifier, without the parts
    that carry its mark.
    """
    result = dict(stored)
    for name in set(names) & {"gender", "birthDate"}:
        if name in stored and stored[name] == as_written.get(name):
            del result[name]
    if "name" in names and usual_names(stored) and usual_names(stored) == usual_names(as_written):
        put(result, "name", [name for name in stored["name"] if name.get("use") != USUAL])
    if "identifier" in names:
        rows = stored["identifier"]
        result["identifier"] = [_lay_identifier(row, {}) if _is(row, identity) else row for row in rows]
    return result


def usual_names(patient: Mapping[str, Any]) -> list[Element]:
    """The names that DICOM provides, where it does."""
    return [name for name in patient.get("name", []) if name.get("use") == USUAL]


def identifier_of(patient: Resource, identity: ByIdentifier) -> Element:
    """The identifier that the Patient is found by."""
    rows = with_present_identifier(patient, identity)["identifier"]
    return next((row for row in rows if _is(row, identity)), {})


def with_present_identifier(stored: Resource, identity: ByIdentifier) -> Resource:
    """A Patient that was found under a former system, with the identifier of now beside the former one, which others
    may search by. What this app says of the identifier stands at that of now.
    """
    rows = stored["identifier"]
    former = [row for row in rows if (row.get("system") or "", row.get("value")) in identity.pairs]
    if not former or any(_is(row, identity) for row in rows):
        return stored
    newest = min(former, key=lambda row: -identity.pairs.index((row.get("system") or "", row["value"])))
    bare = {name: lay_shared(newest[name], None, MARK + name) for name in IDENTIFIER_PARTS if name in newest}
    parts = {name: newest[name] for name, kept in bare.items() if kept is None}
    left = {name: value for name, value in newest.items() if name not in parts}
    return {**stored, "identifier": [*(left if row is newest else row for row in rows), _identifier(identity) | parts]}


def demographics(attributes: Attributes) -> dict[str, Any]:
    """name, gender and birthDate as far as DICOM says them; of the identifier, its type and who gave it."""
    elements = {
        "identifier": _identifier_parts(attributes),
        "name": _human_names(attributes.person_names("PatientName")),
        "gender": _gender(attributes),
        "birthDate": attributes.date("PatientBirthDate"),
    }
    return {name: value for name, value in elements.items() if value}


def _identifier(identity: ByIdentifier) -> Element:
    return {"system": identity.system, "value": identity.value} if identity.system else {"value": identity.value}


def _is(identifier: Element, identity: ByIdentifier) -> bool:
    return (identifier.get("system") or "", identifier.get("value")) == (identity.system, identity.value)


def _lay_identifier(stored: Element, parts: Mapping[str, Any]) -> Element:
    result = dict(stored)
    for name in IDENTIFIER_PARTS:
        put(result, name, lay_shared(stored.get(name), parts.get(name), MARK + name))
    return result


def _identifier_parts(attributes: Attributes) -> Element:
    """Issuer of Patient ID and its qualifiers (PS3.3 10.18): they describe the identifier, and do not change it."""
    qualifiers = next(iter(attributes.items("IssuerOfPatientIDQualifiersSequence")), None)
    code = qualifiers.text("IdentifierTypeCode") if qualifiers else None
    parts = {
        "type": identifier_type(code) if code else None,
        "assigner": assigner(qualifiers, attributes.text("IssuerOfPatientID")),
    }
    return {name: value for name, value in parts.items() if value}


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


PATIENT_ROWS = (
    Row(
        "Patient.identifier",
        "PatientID, IssuerOfPatientID, IssuerOfPatientIDQualifiersSequence > IdentifierTypeCode, UniversalEntityID, "
        "UniversalEntityIDType",
        "PS3.3 C.7.1.1, 10.18",
        note="required; the system by the Patient settings, that of the data partition; the issuer as assigner, its "
        "qualifiers as type; one in a former system stays beside it",
        is_shared=True,
    ),
    Row(
        "Patient.name",
        "PatientName",
        "PS3.3 C.7.1.1, PS3.5 6.2.1",
        note="use `usual`: family, given and middle, prefix, suffix; ideographic and phonetic groups as further names",
    ),
    Row("Patient.gender", "PatientSex", "PS3.3 C.7.1.1", note="M male, F female, O other; nothing else changes it"),
    Row(
        "Patient.birthDate",
        "PatientBirthDate",
        "PS3.3 C.7.1.1",
        note="whole or partial; one that somebody else set stays",
    ),
)
