"""Pure: values of a dose report as Observation.component (https://hl7.org/fhir/R4/observation.html).

Planes, breasts and phantoms have no place in the HL7 guide: each value is a component of its own, with the plain code,
and the text of the code says which it is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from shared.dicom.content_tree import Concept, ContentItem
from shared.mapping.coding import Element, Systems, concepts
from shared.mapping.dose.codes import ACQUISITION_PLANE, LATERALITY, PHANTOM, QUALIFIERS, Kind, Row
from shared.mapping.dose.quantity import integer, quantity

NO_VALUES = "No dose values were reported"


@dataclass(frozen=True, slots=True)
class Component:
    """A value with what it is called."""

    row: Row
    label: str
    value: dict[str, Any]

    @property
    def is_measured(self) -> bool:
        """Whether it is a dose, an activity or the like, rather than a code or a count."""
        return self.row.kind is Kind.QUANTITY


def components(containers: Iterable[ContentItem], rows: Iterable[Row], declared: Systems) -> list[Component]:
    """What the containers hold of these rows; labels that would be the same are numbered."""
    kinds = tuple(rows)
    found = [
        Component(row, _label(row, plane, item), value)
        for container in containers
        for plane in [_qualifier(container, ACQUISITION_PLANE)]
        for row in kinds
        for item in _items(container, row)
        if (value := _value(item, row, declared)) is not None
    ]
    return list(_numbered(found))


def elements(found: Iterable[Component]) -> list[Element]:
    """Observation.component."""
    return [{"code": _code(component), **component.value} for component in found]


def sentence(found: Iterable[Component]) -> str:
    """All of it in words, for Observation.valueString, which the HL7 guide asks for."""
    parts = tuple(found)
    if not any(part.row.kind is not Kind.CODE for part in parts):
        return NO_VALUES
    return "; ".join(f"{part.label}: {_words(part.value)}" for part in parts)


def code_value(item: ContentItem, declared: Systems) -> Element | None:
    """CodeableConcept of a CODE item, or of the TEXT item that some write in its place."""
    found = concepts(item.attributes, "ConceptCodeSequence", declared)
    if found:
        return found[0]
    return {"text": item.text} if item.text else None


def _items(container: ContentItem, row: Row) -> list[ContentItem]:
    under = [item for place in container.those(*row.under) for item in place.those(*row.concepts)]
    return under or list(container.those(*row.concepts))


def _value(item: ContentItem, row: Row, declared: Systems) -> dict[str, Any] | None:
    value: Any
    match row.kind:
        case Kind.QUANTITY:
            name, value = "valueQuantity", quantity(item, row)
        case Kind.INTEGER:
            name, value = "valueInteger", integer(item, row)
        case Kind.CODE:
            name, value = "valueCodeableConcept", code_value(item, declared)
    return None if value is None else {name: value}


def _label(row: Row, plane: str, item: ContentItem) -> str:
    names = (row.display, plane, _qualifier(item, *LATERALITY), _qualifier(item, PHANTOM))
    return ", ".join(name for name in names if name)


def _qualifier(item: ContentItem, *concept: Concept) -> str:
    """The words for the item's plane, side or phantom; those of the report where there are none."""
    for child in item.those(*concept):
        if child.value_concept in QUALIFIERS:
            return QUALIFIERS[child.value_concept]
        meanings = (value.text("CodeMeaning") for value in child.attributes.items("ConceptCodeSequence"))
        return next((meaning for meaning in meanings if meaning), "")
    return ""


def _numbered(found: list[Component]) -> Iterator[Component]:
    total = Counter(component.label for component in found)
    seen: Counter[str] = Counter()
    for component in found:
        label = component.label
        seen[label] += 1
        is_alone = total[label] == 1
        yield component if is_alone else replace(component, label=f"{label}, {seen[label]} of {total[label]}")


def _code(component: Component) -> Element:
    coding = {"coding": [component.row.coding]}
    return coding if component.label == component.row.display else {**coding, "text": component.label}


def _words(value: dict[str, Any]) -> str:
    if "valueInteger" in value:
        return str(value["valueInteger"])
    if "valueQuantity" in value:
        measured = value["valueQuantity"]
        return f"{Decimal(repr(measured['value'])):f} {measured.get('unit', '')}".rstrip()
    concept = value["valueCodeableConcept"]
    coding = concept.get("coding", [{}])[0]
    return str(coding.get("display") or concept.get("text") or coding.get("code"))
