"""Pure: the side of the body that a series shows, as Coding for ImagingStudy.series.laterality.

The codes are those of https://hl7.org/fhir/R4/valueset-bodysite-laterality.html, and "unilateral", which DICOM has too
(PS3.16 CID 244).
"""

from collections.abc import Mapping, Sequence

from shared.dicom.values import Attributes, Dataset, tag_of
from shared.fhir.systems import SNOMED_CT
from shared.mapping.body_part import anatomic_regions, frame_anatomy
from shared.mapping.coding import Element, coding

LEFT = ("419161000", "Unilateral left")
RIGHT = ("419465000", "Unilateral right")
BILATERAL = ("51440002", "Bilateral")
UNILATERAL = ("66459002", "Unilateral")
# PS3.3 C.7.3.1 Laterality; C.8.11.2 and C.7.6.16.2.8 have two more, of which "unpaired" is no side
PAIRED: Mapping[str, tuple[str, str] | None] = {"R": RIGHT, "L": LEFT}
SIDES = {**PAIRED, "B": BILATERAL, "U": None}
IMAGE_LATERALITY = tag_of("ImageLaterality")
# PS3.16 CID 244, and those of the value set
MODIFIERS = {
    "24028007": RIGHT,
    "7771000": LEFT,
    **{concept[0]: concept for concept in (LEFT, RIGHT, BILATERAL, UNILATERAL)},
}


def laterality(attributes: Attributes, images: Sequence[Attributes] = ()) -> Element | None:
    """Laterality, ImageLaterality, FrameLaterality -> series.laterality; the first that names a side decides.

    Image Laterality is that of all `images` of the series, of the given one where there are none: the side on which
    they agree, both sides where they do not. Without any of these, it is a side among the modifiers of the region.
    """
    if (paired := _side(attributes, "Laterality", PAIRED)) is not None:
        return _coding(paired)
    sided = [image for image in images or [attributes] if has_side(image.dataset)]
    if sided:
        sides = {_side(image, "ImageLaterality", SIDES) for image in sided} - {None}
        return _coding(BILATERAL if len(sides) > 1 else next(iter(sides), None))
    frames = frame_anatomy(attributes)
    if frames is not None and frames.text("FrameLaterality") is not None:
        return _coding(_side(frames, "FrameLaterality", SIDES))
    return _coding(_modifier(attributes))


def has_side(dataset: Dataset) -> bool:
    """Whether an image says its own side, so that its series can be judged only as a whole."""
    element = dataset.get(IMAGE_LATERALITY)
    return isinstance(element, Mapping) and element.get("Value") not in (None, [], [None], [""])


def _side(place: Attributes, keyword: str, sides: Mapping[str, tuple[str, str] | None]) -> tuple[str, str] | None:
    value = (place.text(keyword) or "").upper()
    if value and value not in sides:
        place.find(keyword, "unknown-code")
    return sides.get(value)


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
