"""What the settings say about the content."""

from dataclasses import dataclass, field

from shared.mapping.moved import Addresses, addresses_of
from shared.mapping.patient import PatientRules


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about the content."""

    dicom_endpoint: str
    patient: PatientRules = field(default_factory=PatientRules)
    default_zone: str = ""
    enforce_valid_values: bool = False
    record_unreadable: bool = True
    generate_observations: bool = True
    generate_events: bool = True
    former_endpoints: tuple[str, ...] = ()

    @property
    def addresses(self) -> Addresses:
        """Of the DICOM service, as they are written into FHIR."""
        return addresses_of(self.dicom_endpoint, self.former_endpoints)

    @property
    def source(self) -> str:
        """`meta.source` of what this app creates."""
        return self.addresses.present
