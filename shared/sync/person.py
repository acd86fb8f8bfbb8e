"""Which Patient a study is linked to: the one with its patient's identifier, or the survivor of a merge."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.dicom.values import Attributes
from shared.fhir.bundle import reference
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import ByIdentifier, Resource
from shared.fhir.replaced import broken, circle, is_replaced, only_one, replaced_by, survivors
from shared.fhir.searchset import usable
from shared.mapping.patient import PatientRules, patient_identity
from shared.mapping.provides import ISSUER
from shared.sync.delta import PatientContent

MOST_LINKED = 100  # Patients behind one identifier; a merge of more was not made by people


@dataclass(frozen=True, slots=True)
class Person:
    """matches: all Patients with the identifier. resource: the one to be used, None where there is none yet.

    is_survivor: links lead to it from one that has the identifier; nothing is written into it. replaced: references of
    those that are not to be used any more.
    """

    matches: Sequence[Resource] = ()
    resource: Resource | None = None
    is_survivor: bool = False
    replaced: frozenset[str] = frozenset()


def identity_in(patient: PatientContent, rules: PatientRules, partition: str) -> ByIdentifier | None:
    """Whose study it is; None where nothing that was read concerns the Patient."""
    if patient.identity is None:
        return None
    issuer = Attributes(patient.elements.get(ISSUER) or {})
    return patient_identity(Attributes(patient.identity), issuer, rules, partition)


async def person_of(fhir: FhirClient, identity: ByIdentifier | None) -> Person:
    """The Patient to be used for an identity; nobody without one. Raises what `person_among` raises."""
    return await person_among(fhir, await fhir.find_all(identity)) if identity else Person()


async def person_among(fhir: FhirClient, matches: Sequence[Resource]) -> Person:
    """The Patient to be used, of those with one identifier. Asks for more only where one of them is replaced.

    Raises AmbiguousMatch where several are left, PermanentError where links have no end on this server.
    """
    if not any(map(is_replaced, matches)):
        return Person(matches, only_one(matches))
    known = {reference(one): one for one in matches}
    links: dict[str, list[str]] = {}
    while new := known.keys() - links.keys():
        links |= {target: replaced_by(known[target], fhir.base_url) for target in new}
        unread = sorted({other for target in new for other in links[target]} - known.keys())
        if len(known) + len(unread) > MOST_LINKED:
            raise circle()
        known |= zip(unread, await _read(fhir, unread), strict=True)
    chosen = only_one(known[target] for target in survivors(links))
    is_survivor = chosen is not None and any(reference(chosen) in others for others in links.values())
    return Person(matches, chosen, is_survivor, frozenset(target for target, others in links.items() if others))


async def _read(fhir: FhirClient, references: Sequence[str]) -> list[Resource]:
    if not references:
        return []
    found = [one for one in await fhir.read_each(references) if one is not None]
    if len(found) < len(references):
        raise broken()
    return usable(found)
