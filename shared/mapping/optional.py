"""Pure: the elements that this app writes and that a resource can be without."""

from shared.mapping.device import DEVICE_ROWS
from shared.mapping.imaging_study import INSTANCE_ROWS, SERIES_ROWS, STUDY_ROWS
from shared.mapping.observation_layer import OBSERVATION_ROWS
from shared.mapping.patient import PATIENT_ROWS

# by R4, or because nothing would find the resource again
REQUIRED = {
    "Device.identifier",
    "ImagingStudy.series.instance.sopClass",
    "ImagingStudy.series.modality",
    "Observation.code",
    "Observation.identifier",
    "Observation.status",
    "Patient.identifier",
}
ROWS = (*STUDY_ROWS, *SERIES_ROWS, *INSTANCE_ROWS, *PATIENT_ROWS, *DEVICE_ROWS, *OBSERVATION_ROWS)
OPTIONAL = frozenset(
    {row.element for row in ROWS} - REQUIRED
    | {"ImagingStudy.note", "Patient.identifier.assigner", "Patient.identifier.type"}
)
# the code of an element that the FHIR server refuses
REFUSED_ELEMENT = "refused-element"
