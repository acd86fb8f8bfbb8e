"""Pure: what a study and its parts are known by, and what an instance cannot be mapped without."""

import json
from collections.abc import Iterable
from hashlib import blake2b

from shared.dicom.values import Attributes
from shared.fhir.identifiers import ByIdentifier, by_identifier
from shared.fhir.systems import ACCESSION_ID, DICOM_UID, IDENTIFIER_TYPE
from shared.mapping.issuer import assigner
from shared.mapping.table import Element, Row

STUDY_ID = "Study ID"
ACCESSION = "dicom-accession"  # the mark of accession numbers
REQUEST_SEQUENCES = ("RequestAttributesSequence", "ReferencedRequestSequence")
DIGEST_BYTES = 8


def study_identity(study_instance_uid: str) -> ByIdentifier:
    """`urn:dicom:uid` | `urn:oid:<StudyInstanceUID>`."""
    return by_identifier("ImagingStudy", DICOM_UID, f"urn:oid:{study_instance_uid}")


def uid_of(study: Element) -> str:
    """The Study Instance UID of an ImagingStudy; empty where it has none."""
    uids = [row["value"] for row in study.get("identifier", []) if row.get("system") == DICOM_UID and "value" in row]
    return str(next(iter(uids), "")).removeprefix("urn:oid:")


def requests_of(attributes: Attributes) -> list[Element]:
    """The accession number of each request that an instance names, each once: its own, those of its Request Attributes
    Sequence (PS3.3 10.6) and of its Referenced Request Sequence (PS3.3 C.17.2).

    Identifiers are typed and without a system, as DICOM Cast wrote them.
    """
    requests = [item for keyword in REQUEST_SEQUENCES for item in attributes.items(keyword)]
    return distinct(found for found in map(_accession_identifier, (attributes, *requests)) if found)


def distinct(requests: Iterable[Element]) -> list[Element]:
    """Each accession number once, with its issuer if any of them names it; two issuers of one number are two."""
    found = list({json.dumps(one): one for one in requests}.values())
    issued = {one["value"] for one in found if "assigner" in one}
    return [one for one in found if "assigner" in one or one["value"] not in issued]


def is_bare_accession(identifier: Element) -> bool:
    """Whether it is an accession number without a system, as this app and DICOM Cast write them."""
    codings = identifier.get("type", {}).get("coding", [])
    types = {(coding.get("system"), coding.get("code")) for coding in codings}
    return "system" not in identifier and (IDENTIFIER_TYPE, ACCESSION_ID) in types


def request_digest(study_instance_uid: str, request: Element) -> str:
    """What stands for an accession number and its issuer within a study, where they may not be written."""
    said = json.dumps([study_instance_uid, request.get("value"), request.get("assigner")], sort_keys=True)
    return blake2b(said.encode(), digest_size=DIGEST_BYTES).hexdigest()


def patient_digest(study_instance_uid: str, patient_id: str) -> str:
    """The same of a PatientID."""
    return blake2b(f"{study_instance_uid}\n{patient_id}".encode(), digest_size=DIGEST_BYTES).hexdigest()


def _accession_identifier(attributes: Attributes) -> Element | None:
    number = attributes.text("AccessionNumber")
    if number is None:
        return None
    issuer = next(iter(attributes.items("IssuerOfAccessionNumberSequence")), None)
    identifier: Element = {"type": {"coding": [{"system": IDENTIFIER_TYPE, "code": ACCESSION_ID}]}, "value": number}
    given_by = assigner(issuer)
    return identifier | {"assigner": given_by} if given_by else identifier


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


REQUESTS = (
    "AccessionNumber, IssuerOfAccessionNumberSequence > LocalNamespaceEntityID, UniversalEntityID, "
    "UniversalEntityIDType, RequestAttributesSequence > AccessionNumber, IssuerOfAccessionNumberSequence, "
    "ReferencedRequestSequence > AccessionNumber, IssuerOfAccessionNumberSequence"
)
IDENTIFIER_ROWS = (
    Row(
        "ImagingStudy.identifier",
        "StudyInstanceUID",
        "PS3.3 C.7.2.1",
        note="system `urn:dicom:uid`, value `urn:oid:` and the UID",
    ),
    Row(
        "ImagingStudy.identifier",
        REQUESTS,
        "PS3.3 C.7.2.1, 10.6, 10.14, C.17.2",
        note="type ACSN, no system; the issuer as assigner; those of all instances, each once",
        is_shared=True,
    ),
    Row("ImagingStudy.identifier", "StudyID", "PS3.3 C.7.2.1", note="type text `Study ID`, no system", is_shared=True),
    Row(
        "ImagingStudy.basedOn",
        REQUESTS,
        "PS3.3 C.7.2.1, 10.6, C.17.2",
        note="a ServiceRequest by its identifier of type ACSN, for each accession number of the study",
        is_shared=True,
    ),
    Row("ImagingStudy.note", "StudyDescription", "PS3.3 C.7.2.1", note="as DICOM Cast wrote it", is_shared=True),
    Row("ImagingStudy.series.uid", "SeriesInstanceUID", "PS3.3 C.7.3.1"),
    Row("ImagingStudy.series.instance.uid", "SOPInstanceUID", "PS3.3 C.12.1"),
)
