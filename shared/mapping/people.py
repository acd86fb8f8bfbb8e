"""Pure: persons that a dataset names, as references without a target: nobody here knows their Practitioner."""

from collections.abc import Mapping

from shared.dicom.values import Attributes, PersonName
from shared.fhir.systems import CODING_SCHEMES
from shared.mapping.coding import NO_SYSTEMS, Systems, declared_systems
from shared.mapping.table import Element

PRACTITIONER = "Practitioner"


def practitioners(attributes: Attributes, names: str, identifications: str) -> list[Element]:
    """Persons by a PN attribute and the Person Identification sequence beside it, item by item (PS3.3 10.1)."""
    displays = [display_name(groups) for groups in attributes.names(names)]
    items = list(attributes.items(identifications))
    declared = declared_systems(attributes) if items else NO_SYSTEMS
    identifiers = [_identifier(item, declared) for item in items]
    found = []
    for place in range(max(len(displays), len(identifiers))):
        person: Element = {
            "identifier": identifiers[place] if place < len(identifiers) else None,
            "display": displays[place] if place < len(displays) else None,
        }
        person = {name: value for name, value in person.items() if value}
        if person:
            found.append({"type": PRACTITIONER, **person})
    return found


def practitioner(attributes: Attributes, names: str, identifications: str) -> Element | None:
    """The first of them."""
    return next(iter(practitioners(attributes, names, identifications)), None)


def display_name(groups: Mapping[str, PersonName]) -> str:
    """The first component group that names somebody, as it is written: prefix, given, middle, family, suffix.

    Ideographic and phonetic names are written as they stand, the family name first. `----` names nobody.
    """
    displays = (_written(group, name) for group, name in groups.items())
    return next((display for display in displays if any(map(str.isalnum, display))), "")


def _written(group: str, name: PersonName) -> str:
    western = (name.prefix, name.given, name.middle, name.family, name.suffix)
    return " ".join(part for part in (western if group == "Alphabetic" else name) if part)


def _identifier(item: Attributes, declared: Systems) -> Element | None:
    """Person Identification Code Sequence: the code is the person's id, its scheme that of who gave it."""
    code = next(iter(item.items("PersonIdentificationCodeSequence")), None)
    value = code.text("CodeValue") or code.text("LongCodeValue") if code else None
    if code is None or value is None:
        return None
    scheme = code.text("CodingSchemeDesignator") or ""
    system = CODING_SCHEMES.get(scheme) or declared.get(scheme)
    return {"system": system, "value": value} if system else {"value": value}
