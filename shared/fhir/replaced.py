"""Pure: which Patients are to be used in the place of others (R4, patient.html#link, link-type `replaced-by`)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from shared.errors import AmbiguousMatch, PermanentError
from shared.fhir.identifiers import Resource

TARGET = re.compile(r"(Patient/[A-Za-z0-9.-]{1,64})(/_history/[A-Za-z0-9.-]+)?")


def is_replaced(patient: Resource) -> bool:
    """Whether a Patient must not be used any more. R4 says so of the link, whatever `active` says."""
    return any(link.get("type") == "replaced-by" for link in patient.get("link", []))


def replaced_by(patient: Resource, base_url: str) -> list[str]:
    """`Patient/id` of each Patient that is to be used instead; none for one that was not replaced.

    base_url: of the FHIR server. Raises PermanentError where a link leads anywhere else.
    """
    links = [link.get("other", {}) for link in patient.get("link", []) if link.get("type") == "replaced-by"]
    found = [TARGET.fullmatch(other.get("reference", "").removeprefix(f"{base_url.rstrip('/')}/")) for other in links]
    if not all(found):
        raise broken()
    return list(dict.fromkeys(match[1] for match in found if match))


def survivors(links: Mapping[str, Sequence[str]]) -> list[str]:
    """The Patients that no other has replaced. links: for each Patient, those that are to be used instead.

    Raises PermanentError where links go round in a circle.
    """
    try:
        TopologicalSorter(links).prepare()
    except CycleError:
        raise circle() from None
    return [patient for patient, others in links.items() if not others]


def only_one(patients: Iterable[Resource]) -> Resource | None:
    """The one that is meant: of several, the one that is active; AmbiguousMatch unless that is one.

    A Patient that is inactive and stands alone is still that person: R4 leaves it to organizations whether they mark
    those who died or were not seen for long.
    """
    found = list(patients)
    if len(found) > 1:
        active = [one for one in found if one.get("active") is not False]
        if len(active) != 1:
            raise AmbiguousMatch(f"{len(found)} Patient resources have the same identity")
        found = active
    return next(iter(found), None)


def broken() -> PermanentError:
    """The error of a link that leads to no Patient of this server."""
    return PermanentError(
        "the Patient is replaced by one that the FHIR server does not have: correct its `link`",
        code="patient-link-broken",
    )


def circle() -> PermanentError:
    """The error of links without an end."""
    return PermanentError(
        "the Patient is replaced by others in a circle: correct their `link`", code="patient-link-circle"
    )
