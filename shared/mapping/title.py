"""Pure: what to call an instance (https://hl7.org/fhir/R4/imagingstudy-mappings.html#dicom, series.instance.title)."""

from functools import cache

from pydicom.uid import UID_dictionary

from shared.dicom.values import Attributes

CONCEPT_NAME = "ConceptNameCodeSequence"
# in this order: what a person called it, then what it is
LABELS = (
    "ContentLabel",  # presentation states, segmentations: PS3.3 10.9
    "DocumentTitle",  # encapsulated documents: PS3.3 C.24.2
    "RTPlanLabel",  # PS3.3 C.8.8.9
    "StructureSetLabel",  # PS3.3 C.8.8.5
    "RTImageLabel",  # PS3.3 C.8.8.2
)
TITLE_KEYWORDS = (CONCEPT_NAME, *LABELS, "ImageType", "SOPClassUID")


def title(attributes: Attributes, _zone: str = "") -> str | None:
    """The title of a report, a label, the Image Type in DICOM's own form, or the name of the SOP class."""
    for item in attributes.items(CONCEPT_NAME):
        meaning = item.text("CodeMeaning")
        if meaning:
            return meaning
    for keyword in LABELS:
        label = attributes.text(keyword)
        if label:
            return label
    return attributes.joined("ImageType") or _name_of(attributes.text("SOPClassUID") or "")


@cache
def _name_of(sop_class_uid: str) -> str | None:
    entry = UID_dictionary.get(sop_class_uid)
    return entry[0].removesuffix(" Storage") if entry else None
