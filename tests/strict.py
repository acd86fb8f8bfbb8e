"""Read FHIR R4 JSON as a strict parser does: what the standard does not allow is refused, with the place of it.

The models of fhir.resources check elements, cardinalities and types. They let pass what the JSON format forbids (empty
arrays and objects, nulls, the same key twice) and what invariants of Bundle ask for; that is checked here.
"""

import json

from fhir.resources.R4B import get_fhir_model_class

RESPONDED = {"batch-response", "transaction-response", "history"}
REQUESTED = {"batch", "transaction", "history"}


def read(text):
    """The parsed resource; raises ValueError (pydantic's included) when it is no valid R4."""
    resource = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    _check_json(resource, resource["resourceType"])
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    _check_bundles(resource)
    return resource


def _object(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError(f"a key occurs twice: {sorted(names)}")
    return dict(pairs)


def _no_number(text):
    raise ValueError(f"{text} is no JSON number")


def _check_json(value, path):
    """R4, 2.6.2: "objects are never empty", arrays neither; null only where a primitive has no value in an array."""
    if value in ("", [], {}) and not isinstance(value, bool):
        raise ValueError(f"{path} is empty")
    if isinstance(value, dict):
        for name, child in value.items():
            if child is None:
                raise ValueError(f"{path}.{name} is null")
            _check_json(child, f"{path}.{name}")
    elif isinstance(value, list):
        if all(child is None for child in value):
            raise ValueError(f"{path} has no value")
        for place, child in enumerate(value):
            if child is not None:
                _check_json(child, f"{path}[{place}]")


def _check_bundles(resource):
    """Invariants bdl-1 to bdl-4 and bdl-7 of R4's Bundle, also for a Bundle inside another one's entry."""
    if resource["resourceType"] != "Bundle":
        return
    kind, entries = resource["type"], resource.get("entry", [])
    if "total" in resource and kind not in {"searchset", "history"}:
        raise ValueError(f"bdl-1: total in a {kind}")
    urls = [(entry["fullUrl"], _version(entry)) for entry in entries if "fullUrl" in entry]
    if kind != "history" and len(urls) != len(set(urls)):
        raise ValueError("bdl-7: a fullUrl occurs twice")
    for entry in entries:
        if "search" in entry and kind != "searchset":
            raise ValueError(f"bdl-2: search in a {kind}")
        if ("request" in entry) != (kind in REQUESTED):
            raise ValueError(f"bdl-3: request in a {kind}: {'request' in entry}")
        if ("response" in entry) != (kind in RESPONDED):
            raise ValueError(f"bdl-4: response in a {kind}: {'response' in entry}")
        if "resource" in entry:
            _check_bundles(entry["resource"])


def _version(entry):
    return entry.get("resource", {}).get("meta", {}).get("versionId")
