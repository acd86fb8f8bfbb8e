"""Pure: whether two studies with one patient number can be of one person, or their numbers of one authority."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.fhir.identifiers import ByIdentifier, Resource
from shared.mapping.patient import identifier_of, usual_names
from shared.model import Finding

# of a study; their keywords are all that is recorded
DEMOGRAPHICS_CONFLICT = Finding("PatientName, PatientSex, PatientBirthDate", code="demographics-conflict")
ISSUER_CONFLICT = Finding("IssuerOfPatientID", code="issuer-conflict")
CONFLICTS = {one.code: one for one in (DEMOGRAPHICS_CONFLICT, ISSUER_CONFLICT)}
Demographics = Mapping[str, Any]


def demographics_of(patient: Resource, identity: ByIdentifier) -> Demographics:
    """What a Patient has of the elements that DICOM provides, in the form in which DICOM provides them."""
    found = {name: patient.get(name) for name in ("gender", "birthDate")}
    found["name"] = usual_names(patient)
    found["identifier"] = identifier_of(patient, identity)
    return {name: value for name, value in found.items() if value}


def contradictions(one: Demographics, other: Demographics) -> frozenset[str]:
    """Codes of conflicts. A value that one of them lacks contradicts nothing; of a person, name, sex and birth date
    have to contradict, since each of them alone is corrected, married or mistyped every day.
    """
    shared = one.keys() & other.keys()
    found = set()
    if (
        shared >= {"name", "gender", "birthDate"}
        and one["gender"] != other["gender"]
        and not (one["birthDate"].startswith(other["birthDate"]) or other["birthDate"].startswith(one["birthDate"]))
        and _names(one["name"]).isdisjoint(_names(other["name"]))
    ):
        found.add(DEMOGRAPHICS_CONFLICT.code)
    if "identifier" in shared and _are_two(*(_issuer(said["identifier"]) for said in (one, other))):
        found.add(ISSUER_CONFLICT.code)
    return frozenset(found)


def _names(names: Iterable[Resource]) -> set[tuple[str, ...]]:
    return {
        tuple(part.casefold() for part in (name.get("family") or "", *(given or "" for given in name.get("given", []))))
        for name in names
    }


def _issuer(identifier: Resource) -> Mapping[str, str]:
    assigner = identifier.get("assigner", {})
    said = {"display": assigner.get("display"), "identifier": assigner.get("identifier", {}).get("value")}
    return {name: value for name, value in said.items() if isinstance(value, str)}


def _are_two(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether issuers that are named in the same way have no name in common."""
    shared = one.keys() & other.keys()
    return bool(shared) and all(one[name] != other[name] for name in shared)
