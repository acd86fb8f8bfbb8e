"""The attributes that can be searched, by level (dicom-server: QueryLimit.cs)."""

from dev.dicom.model import Attributes, Element
from dev.dicom.rules import is_date

STUDY_TAGS = {
    "0020000D": "StudyInstanceUID",
    "00100010": "PatientName",
    "00100020": "PatientID",
    "00100030": "PatientBirthDate",
    "00080050": "AccessionNumber",
    "00080090": "ReferringPhysicianName",
    "00080020": "StudyDate",
    "00081030": "StudyDescription",
    "00080061": "ModalitiesInStudy",
}
SERIES_TAGS = {
    "0020000E": "SeriesInstanceUID",
    "00080060": "Modality",
    "00400244": "PerformedProcedureStepStartDate",
    "00081090": "ManufacturerModelName",
}
INSTANCE_TAGS = {"00080018": "SOPInstanceUID"}
INDEXED = frozenset({*STUDY_TAGS, *SERIES_TAGS})
UIDS = ("0020000D", "0020000E", "00080018")


def indexed(attributes: Attributes) -> Attributes:
    """The searchable attributes of the study and series level, as the index has them: one value, and no odd date."""
    return {tag: _indexed(attributes[tag]) for tag in attributes.keys() & INDEXED}


def _indexed(element: Element) -> Element:
    first = element.get("Value", ())[:1]
    if not first or (element["vr"] == "DA" and not is_date(str(first[0]))):
        return {"vr": element["vr"]}
    return {**element, "Value": list(first)}
