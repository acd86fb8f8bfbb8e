"""Pure: what this app needs to know of a FHIR server, out of its CapabilityStatement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.fhir.bundle import MOST_ENTRIES

# it refuses a bundle with more where one of them is a conditional create
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
    software: str

    @property
    def most_with_condition(self) -> int:
        """Entries of a bundle in which one is a conditional create."""
        return MOST_OF_MEDPLUM if self.software.casefold() == "medplum" else MOST_ENTRIES


def capabilities_of(statement: Mapping[str, Any]) -> Capabilities:
    """The least of a CapabilityStatement; of Microsoft's, which has more than a megabyte, some bytes."""
    rests = mappings(statement, "rest")
    interactions = [row for rest in rests for row in mappings(rest, "interaction")]
    resources = [row for rest in rests for row in mappings(rest, "resource")]
    software = statement.get("software")
    return Capabilities(
        str(statement.get("fhirVersion", "")),
        any(row.get("code") == "transaction" for row in interactions),
        WRITTEN.intersection(str(row.get("type")) for row in resources if row.get("updateCreate") is True),
        str(software.get("name", "")) if isinstance(software, Mapping) else "",
    )


def mappings(resource: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list element, whatever a server put there."""
    rows = resource.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
