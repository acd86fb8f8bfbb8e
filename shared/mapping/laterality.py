"""Pure: which side a series shows (https://hl7.org/fhir/R4/valueset-bodysite-laterality.html)."""

from shared.dicom.values import Attributes
from shared.fhir.systems import SNOMED_CT
from shared.mapping.table import Element

SIDES = {"L": ("419161000", "Unilateral left"), "R": ("419465000", "Unilateral right"), "B": ("51440002", "Bilateral")}


def laterality(attributes: Attributes) -> Element | None:
    """Laterality or Image Laterality as Coding."""
    side = attributes.text("Laterality") or attributes.text("ImageLaterality")
    if side is None:
        return None
    if side not in SIDES:
        attributes.find("Laterality", "unknown-code")
        return None
    code, display = SIDES[side]
    return {"system": SNOMED_CT, "code": code, "display": display}
