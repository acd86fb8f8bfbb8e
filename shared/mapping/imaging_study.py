"""Pure: ImagingStudy, by the DICOM Tag Mapping of https://hl7.org/fhir/R4/imagingstudy-mappings.html#dicom.

| keyword | element |
|---|---|
| StudyInstanceUID | identifier, system urn:dicom:uid |
| AccessionNumber | identifier, type ACSN |
| StudyDate, StudyTime, TimezoneOffsetFromUTC | started |
| StudyDescription | description, note |
| Modality | series.modality, modality |
| SeriesInstanceUID, SeriesNumber, SeriesDescription | series.uid, number, description |
| SeriesDate, SeriesTime | series.started |
| SOPInstanceUID, SOPClassUID, InstanceNumber | series.instance.uid, sopClass, number |
"""

from typing import Any

from shared.dicom.values import Attributes
from shared.fhir.identifiers import ByIdentifier, by_identifier
from shared.fhir.systems import ACCESSION_ID, DCM, DICOM_UID, IDENTIFIER_TYPE, URI
from shared.mapping.started import date_time

OTHER_MODALITY = "OT"  # PS3.3 C.7.3.1.1.1: what is none of the others
MAX_UNSIGNED_INT = 2**31 - 1

STUDY_ELEMENTS = ("started", "description")
SERIES_ELEMENTS = ("number", "modality", "description", "started")
INSTANCE_ELEMENTS = ("sopClass", "number")


def study_identity(study_instance_uid: str) -> ByIdentifier:
    """`urn:dicom:uid` | `urn:oid:<StudyInstanceUID>`."""
    return by_identifier("ImagingStudy", DICOM_UID, f"urn:oid:{study_instance_uid}")


def study_elements(attributes: Attributes, default_zone: str) -> dict[str, Any]:
    """STUDY_ELEMENTS as far as the dataset says them."""
    return _present(
        started=date_time(attributes, "StudyDate", "StudyTime", default_zone),
        description=attributes.text("StudyDescription"),
    )


def accession_identifiers(attributes: Attributes) -> list[dict[str, Any]]:
    """The accession number as identifier, typed and without a system, as DICOM Cast wrote it."""
    number = attributes.text("AccessionNumber")
    if number is None:
        return []
    return [{"type": {"coding": [{"system": IDENTIFIER_TYPE, "code": ACCESSION_ID}]}, "value": number}]


def series_elements(attributes: Attributes, default_zone: str) -> dict[str, Any]:
    """SERIES_ELEMENTS as far as the dataset says them; modality is required by R4."""
    modality = " ".join((attributes.text("Modality") or "").split())  # a FHIR code has single spaces
    if not modality:
        attributes.find("Modality", "missing")
    return _present(
        number=_unsigned(attributes, "SeriesNumber"),
        modality={"system": DCM, "code": modality or OTHER_MODALITY},
        description=attributes.text("SeriesDescription"),
        started=date_time(attributes, "SeriesDate", "SeriesTime", default_zone),
    )


def instance_elements(attributes: Attributes) -> dict[str, Any]:
    """INSTANCE_ELEMENTS as far as the dataset says them."""
    return _present(
        sopClass={"system": URI, "code": f"urn:oid:{attributes.uid('SOPClassUID')}"},
        number=_unsigned(attributes, "InstanceNumber"),
    )


def lacks(attributes: Attributes) -> str | None:
    """The keyword that an instance cannot be mapped without and does not have."""
    if attributes.text("PatientID") is None:
        return "PatientID"
    if attributes.uid("SOPClassUID") is None:
        return "SOPClassUID"
    return None


def _unsigned(attributes: Attributes, keyword: str) -> int | None:
    """An IS value where R4 has unsignedInt."""
    number = attributes.integer(keyword)
    if number is not None and not 0 <= number <= MAX_UNSIGNED_INT:
        attributes.find(keyword, "out-of-range")
        return None
    return number


def _present(**elements: Any) -> dict[str, Any]:
    return {name: value for name, value in elements.items() if value is not None}
