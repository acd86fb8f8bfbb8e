"""Pure: what a study and its parts are known by, and what an instance cannot be mapped without."""

from shared.dicom.values import Attributes
from shared.fhir.identifiers import ByIdentifier, by_identifier
from shared.fhir.systems import ACCESSION_ID, DICOM_UID, IDENTIFIER_TYPE
from shared.mapping.issuer import assigner
from shared.mapping.table import Element, Row

STUDY_ID = "Study ID"


def study_identity(study_instance_uid: str) -> ByIdentifier:
    """`urn:dicom:uid` | `urn:oid:<StudyInstanceUID>`."""
    return by_identifier("ImagingStudy", DICOM_UID, f"urn:oid:{study_instance_uid}")


def accession_identifiers(attributes: Attributes) -> list[Element]:
    """The accession number as identifier, typed and without a system, as DICOM Cast wrote it."""
    number = attributes.text("AccessionNumber")
    if number is None:
        return []
    issuer = next(iter(attributes.items("IssuerOfAccessionNumberSequence")), None)
    identifier: Element = {"type": {"coding": [{"system": IDENTIFIER_TYPE, "code": ACCESSION_ID}]}, "value": number}
    given_by = assigner(issuer)
    return [identifier | {"assigner": given_by}] if given_by else [identifier]


def study_id_identifiers(attributes: Attributes) -> list[Element]:
    """The Study ID as identifier: a number that the equipment or the department gave, unique to neither."""
    study_id = attributes.text("StudyID")
    return [{"type": {"text": STUDY_ID}, "value": study_id}] if study_id else []


def lacks(attributes: Attributes) -> str | None:
    """The keyword that an instance cannot be mapped without and does not have."""
    if attributes.text("PatientID") is None:
        return "PatientID"
    if attributes.uid("SOPClassUID") is None:
        return "SOPClassUID"
    return None


IDENTIFIER_ROWS = (
    Row(
        "ImagingStudy.identifier",
        "StudyInstanceUID",
        "PS3.3 C.7.2.1",
        note="system `urn:dicom:uid`, value `urn:oid:` and the UID",
    ),
    Row(
        "ImagingStudy.identifier",
        "AccessionNumber, IssuerOfAccessionNumberSequence > LocalNamespaceEntityID, UniversalEntityID, "
        "UniversalEntityIDType",
        "PS3.3 C.7.2.1, 10.14",
        note="type ACSN, no system; the issuer as assigner",
        is_shared=True,
    ),
    Row("ImagingStudy.identifier", "StudyID", "PS3.3 C.7.2.1", note="type text `Study ID`, no system", is_shared=True),
    Row("ImagingStudy.note", "StudyDescription", "PS3.3 C.7.2.1", note="as DICOM Cast wrote it", is_shared=True),
    Row("ImagingStudy.series.uid", "SeriesInstanceUID", "PS3.3 C.7.3.1"),
    Row("ImagingStudy.series.instance.uid", "SOPInstanceUID", "PS3.3 C.12.1"),
)
