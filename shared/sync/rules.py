"""What the settings say about the content."""

from dataclasses import dataclass, field

from shared.mapping.moved import Addresses, addresses_of
from shared.mapping.patient import PatientRules
from shared.mapping.sources import Source


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about the content.

    most_instances: the largest number of instances that a study lists, None for any.
    """

    dicom_endpoint: str
    patient: PatientRules = field(default_factory=PatientRules)
    default_zone: str = ""
    enforce_valid_values: bool = False
    record_unreadable: bool = True
    generate_observations: bool = True
    generate_events: bool = True
    most_instances: int | None = None
    former_endpoints: tuple[str, ...] = ()

    @property
    def addresses(self) -> Addresses:
        """Of the DICOM service, as they are written into FHIR."""
        return addresses_of(self.dicom_endpoint, self.former_endpoints)

    @property
    def source(self) -> str:
        """`meta.source` of what this app creates."""
        return self.addresses.present

    def source_in(self, partition_name: str) -> Source:
        """What stands in FHIR for a data partition of the DICOM service."""
        return Source(self.source, partition_name)
