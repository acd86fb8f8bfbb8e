"""Pure: the side of the body that a series shows, as Coding for ImagingStudy.series.laterality.

The codes are those of https://hl7.org/fhir/R4/valueset-bodysite-laterality.html, and "unilateral", which DICOM has too
(PS3.16 CID 244).
"""

from shared.dicom.values import Attributes
from shared.fhir.systems import SNOMED_CT
from shared.mapping.body_part import anatomic_regions, frame_anatomy
from shared.mapping.coding import Element, coding

LEFT = ("419161000", "Unilateral left")
RIGHT = ("419465000", "Unilateral right")
BILATERAL = ("51440002", "Bilateral")
UNILATERAL = ("66459002", "Unilateral")
# PS3.3 C.7.3.1 Laterality; C.8.11.2 and C.7.6.16.2.8 have two more, of which "unpaired" is no side
PAIRED = {"R": RIGHT, "L": LEFT}
SIDES = {**PAIRED, "B": BILATERAL, "U": None}
# PS3.16 CID 244, and those of the value set
MODIFIERS = {
    "24028007": RIGHT,
    "7771000": LEFT,
    **{concept[0]: concept for concept in (LEFT, RIGHT, BILATERAL, UNILATERAL)},
}


def laterality(attributes: Attributes) -> Element | None:
    """Laterality, ImageLaterality, FrameLaterality -> series.laterality; the first that has a value decides.

    Without any, it is a side among the modifiers of the anatomic region.
    """
    places = (
        (attributes, "Laterality", PAIRED),
        (attributes, "ImageLaterality", SIDES),
        (frame_anatomy(attributes), "FrameLaterality", SIDES),
    )
    for place, keyword, sides in places:
        value = None if place is None else place.text(keyword)
        if value is None:
            continue
        if value.upper() not in sides:
            attributes.find(keyword, "unknown-code")
        return _coding(sides.get(value.upper()))
    return _coding(_modifier(attributes))


def _modifier(attributes: Attributes) -> tuple[str, str] | None:
    modifiers = (
        modifier
        for region in anatomic_regions(attributes)
        for modifier in region.items("AnatomicRegionModifierSequence")
    )
    # most say something else than a side, so what cannot be coded is no finding here
    codings = (coding(Attributes(modifier.dataset)) or {} for modifier in modifiers)
    codes = (found["code"] for found in codings if found.get("system") == SNOMED_CT)
    sides = {MODIFIERS[code] for code in codes if code in MODIFIERS}
    if len(sides) > 1:
        attributes.find("AnatomicRegionModifierSequence", "several-values")
    return sides.pop() if len(sides) == 1 else None


def _coding(side: tuple[str, str] | None) -> Element | None:
    return None if side is None else {"system": SNOMED_CT, "code": side[0], "display": side[1]}
