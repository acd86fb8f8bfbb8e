"""Pure: what a series shows, as Coding for ImagingStudy.series.bodySite.

Anatomic Region Sequence (0008,2218), else Body Part Examined (0018,0015) by the correspondence of PS3.16 annex L. What
neither codes is a text: no code is guessed.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from itertools import islice

from shared.dicom.content_tree import SNOMED_RT
from shared.dicom.values import Attributes
from shared.fhir.systems import SNOMED_CT
from shared.mapping.coding import Element, coding, declared_systems

Terms = Mapping[str, tuple[str, str]]
# concepts of SNOMED RT codes (T-D4000, T-D3000, T-D6000, R-FAB57) -> what annex L has in their places since CP-1962
REPLACED = {
    "113345001": "818981001",
    "51185008": "816094009",
    "12921003": "816092008",
    "416949008": "818982008",
}
# between the words of a term, which is written in one
GAPS = re.compile(r"[\s_]+")


def body_site(attributes: Attributes) -> Element | None:
    """AnatomicRegionSequence, BodyPartExamined -> series.bodySite (https://hl7.org/fhir/R4/imagingstudy.html)."""
    regions = anatomic_regions(attributes)
    declared = declared_systems(attributes) if regions else {}
    for region in regions:
        found = _current(coding(region, declared), region)
        if found is not None and "system" in found:
            return found
    examined = attributes.text("BodyPartExamined")
    if examined is not None:
        concept = terms().get(term_of(examined))
        if concept is not None:
            return {"system": SNOMED_CT, "code": concept[0], "display": concept[1]}
        attributes.find("BodyPartExamined", "unknown-code")
    meanings = (region.text("CodeMeaning") for region in regions)
    text = next((meaning for meaning in meanings if meaning), examined)
    return {"display": text} if text else None


def _current(found: Element | None, region: Attributes) -> Element | None:
    """A region with the concept that annex L has for its meaning now."""
    if found is None or region.text("CodingSchemeDesignator") not in SNOMED_RT:
        return found
    return {**found, "code": REPLACED.get(found["code"], found["code"])}


def anatomic_regions(attributes: Attributes) -> list[Attributes]:
    """The one item of Anatomic Region Sequence (PS3.3 10.5), of the object and of what all its frames share."""
    places = [attributes, frame_anatomy(attributes)]
    return [
        region for place in places if place is not None for region in islice(place.items("AnatomicRegionSequence"), 1)
    ]


def frame_anatomy(attributes: Attributes) -> Attributes | None:
    """The Frame Anatomy item that all frames of an enhanced object share (PS3.3 C.7.6.16.2.8)."""
    shared = next(attributes.items("SharedFunctionalGroupsSequence"), None)
    return None if shared is None else next(shared.items("FrameAnatomySequence"), None)


def term_of(text: str) -> str:
    """The defined term that is meant: no two of them differ in case or gaps only."""
    return GAPS.sub("", text).upper()


@cache
def terms() -> Terms:
    """Defined term -> SNOMED CT code and meaning; where they are from is in the file."""
    text = resources.files("shared.mapping").joinpath("body_part.json").read_text("utf-8")
    return {term: (code, meaning) for term, (code, meaning) in json.loads(text)["terms"].items()}
