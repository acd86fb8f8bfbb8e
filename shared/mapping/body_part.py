"""Pure: what part of the body a series shows (PS3.3 10.5, PS3.16 annex L)."""

from shared.dicom.values import Attributes
from shared.mapping.coding import coding
from shared.mapping.table import Element


def body_site(attributes: Attributes) -> Element | None:
    """Anatomic Region Sequence as Coding; else Body Part Examined as text."""
    found = (coding(item) for item in attributes.items("AnatomicRegionSequence"))
    text = attributes.text("BodyPartExamined")
    return next((one for one in found if one), None) or ({"display": text} if text else None)
