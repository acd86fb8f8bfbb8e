"""Pure: what this app needs to know of a FHIR server, out of its CapabilityStatement."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.fhir.bundle import MOST_ENTRIES, Entry

# it refuses a bundle with more where one of them has a condition
MOST_OF_MEDPLUM = 8
WRITTEN = frozenset({"Patient", "Endpoint", "Device", "ImagingStudy", "Observation"})


@dataclass(frozen=True, slots=True)
class Capabilities:
    """FHIR version; whether transactions are offered; of the types that this app writes those that may be created with
    an id of the client's; name of the software, empty where it is not said.
    """

    version: str
    transactions: bool
    update_create: frozenset[str]
    conditional_update: frozenset[str]
    software: str

    @property
    def most_with_condition(self) -> int:
        """Entries of a bundle in which one has a condition."""
        return MOST_OF_MEDPLUM if self.software.casefold() == "medplum" else MOST_ENTRIES

    def safe(self, entry: Entry) -> Entry:
        """The entry as it is sent. Where the server alone chooses ids, an update by id of a study that was deleted
        since can bring it back (Medplum), beside the one that another worker has created in its place; by a search it
        is refused.
        """
        kind = entry.resource_type
        is_update = entry.method == "PUT" and kind == "ImagingStudy"
        by_search = is_update and kind in self.conditional_update - self.update_create
        return replace(entry, by_search=True) if by_search else entry


def capabilities_of(statement: Mapping[str, Any]) -> Capabilities:
    """The least of a CapabilityStatement; of Microsoft's, which has more than a megabyte, some bytes."""
    rests = mappings(statement, "rest")
    interactions = [row for rest in rests for row in mappings(rest, "interaction")]
    resources = [row for rest in rests for row in mappings(rest, "resource")]
    software = statement.get("software")
    return Capabilities(
        str(statement.get("fhirVersion", "")),
        any(row.get("code") == "transaction" for row in interactions),
        _types(resources, "updateCreate"),
        _types(resources, "conditionalUpdate"),
        str(software.get("name", "")) if isinstance(software, Mapping) else "",
    )


def _types(resources: Iterable[Mapping[str, Any]], offer: str) -> frozenset[str]:
    return WRITTEN.intersection(str(row.get("type")) for row in resources if row.get(offer) is True)


def mappings(resource: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list element, whatever a server put there."""
    rows = resource.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
