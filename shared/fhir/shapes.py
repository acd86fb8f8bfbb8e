"""Pure: whether a resource has the form that R4 gives it, as far as this app reads it.

What a server answers may be anything. It is checked here, once, so that nothing that reads a resource has to ask what
kind of value it is about to meet. Elements that are not named may be anything that is not nested too deeply.
"""

from collections.abc import Mapping
from typing import Any

from shared.fhir.identifiers import Resource

MOST_LEVELS = 100  # real resources have a dozen
Shape = Mapping[str, Any]

# a text, a number; [x] is a list of x; a mapping is an object
CODING: Shape = {"id": str, "system": str, "code": str, "display": str}
CONCEPT: Shape = {"id": str, "coding": [CODING], "text": str}
IDENTIFIER: dict[str, Any] = {"id": str, "system": str, "value": str, "type": CONCEPT}
REFERENCE: Shape = {"id": str, "reference": str, "type": str, "display": str, "identifier": IDENTIFIER}
IDENTIFIER["assigner"] = {"id": str, "reference": str, "display": str, "identifier": Mapping}
META: Shape = {"versionId": str, "lastUpdated": str, "source": str}
# what this app asks of any extension, its own and others'
SIMPLE_EXTENSION: Shape = {"id": str, "url": str, "valueUri": str, "valueUnsignedInt": int}
EXTENSION: Shape = {**SIMPLE_EXTENSION, "extension": [SIMPLE_EXTENSION]}
COMMON: Shape = {"id": str, "meta": META}
INSTANCE: Shape = {
    "id": str,
    "extension": [EXTENSION],
    "uid": str,
    "sopClass": CODING,
    "number": int,
    "title": str,
}
SERIES: Shape = {
    "id": str,
    "extension": [EXTENSION],
    "uid": str,
    "number": int,
    "modality": CODING,
    "description": str,
    "numberOfInstances": int,
    "endpoint": [REFERENCE],
    "bodySite": CODING,
    "laterality": CODING,
    "specimen": [REFERENCE],
    "started": str,
    "performer": [{"id": str, "function": CONCEPT, "actor": REFERENCE}],
    "instance": [INSTANCE],
}
SHAPES: Mapping[str, Shape] = {
    "ImagingStudy": {
        **COMMON,
        "extension": [EXTENSION],
        "identifier": [IDENTIFIER],
        "status": str,
        "modality": [CODING],
        "subject": REFERENCE,
        "started": str,
        "basedOn": [REFERENCE],
        "referrer": REFERENCE,
        "interpreter": [REFERENCE],
        "endpoint": [REFERENCE],
        "procedureCode": [CONCEPT],
        "location": REFERENCE,
        "reasonCode": [CONCEPT],
        "note": [{"id": str, "text": str}],
        "description": str,
        "numberOfSeries": int,
        "numberOfInstances": int,
        "series": [SERIES],
    },
    "Patient": {
        **COMMON,
        "identifier": [IDENTIFIER],
        "name": [{"id": str, "use": str, "text": str, "family": str, "given": [str], "prefix": [str], "suffix": [str]}],
        "gender": str,
        "birthDate": str,
        "link": [{"id": str, "other": REFERENCE, "type": str}],
    },
    "Endpoint": {**COMMON, "identifier": [IDENTIFIER], "name": str, "address": str, "connectionType": CODING},
    "Device": {**COMMON, "identifier": [IDENTIFIER]},
    "Observation": {
        **COMMON,
        "identifier": [IDENTIFIER],
        "basedOn": [REFERENCE],
        "partOf": [REFERENCE],
        "status": str,
        "code": CONCEPT,
        "subject": REFERENCE,
        "focus": [REFERENCE],
        "performer": [REFERENCE],
        "bodySite": CONCEPT,
        "device": REFERENCE,
        "hasMember": [REFERENCE],
        "component": [{"id": str, "code": CONCEPT}],
    },
}
# without them a series or instance is none
REQUIRED = ((SERIES, "uid"), (INSTANCE, "uid"))


def odd_element(resource: Resource) -> str | None:
    """The path of an element that has another form than R4 gives it; None where there is none."""
    return _odd(resource, SHAPES.get(str(resource.get("resourceType")), COMMON))


def is_too_deep(value: Any) -> bool:
    """Whether it is nested more deeply than what copies and compares it can follow."""
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            part
            for one in level
            for part in (one.values() if isinstance(one, dict) else one)
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True


def _odd(value: Any, shape: Any) -> str | None:
    """The path below the value, empty for the value itself."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return ""
        # a list of primitives has nulls where an item has extensions only (R4, json.html#primitive)
        items = [item for item in value if item is not None] if shape[0] is str else value
        return next((odd for odd in (_odd(item, shape[0]) for item in items) if odd is not None), None)
    if not isinstance(shape, Mapping):
        return None if isinstance(value, shape) and not isinstance(value, bool) else ""
    return _odd_part(value, shape) if isinstance(value, Mapping) else ""


def _odd_part(value: Mapping[str, Any], shape: Shape) -> str | None:
    for name, below in shape.items():
        if name in value and (odd := _odd(value[name], below)) is not None:
            return f"{name}.{odd}" if odd else name
        # a primitive value has its id and extensions beside it (R4, json.html#primitive)
        if below in (str, int) and not isinstance(value.get(f"_{name}", {}), Mapping):
            return f"_{name}"
    return next((name for needs, name in REQUIRED if needs is shape and not value.get(name)), None)
