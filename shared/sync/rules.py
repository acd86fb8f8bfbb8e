"""What the settings say about the content."""

from dataclasses import dataclass, field

from shared.mapping.endpoint import printed_url
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

    @property
    def source(self) -> str:
        """`meta.source` of what this app creates."""
        return printed_url(self.dicom_endpoint)
