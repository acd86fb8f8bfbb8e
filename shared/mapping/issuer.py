"""Pure: who gave an identifier, by the HL7v2 Hierarchic Designator Macro (PS3.3 10.14)."""

import re

from shared.dicom.values import Attributes
from shared.fhir.systems import URI
from shared.mapping.table import Element

# Universal Entity ID Type -> how its values are written as a URI, and what they look like
URI_FORMS = {
    "ISO": ("urn:oid:", re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII)),
    "UUID": ("urn:uuid:", re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")),
    "URI": ("", re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")),
}


def assigner(item: Attributes | None, namespace: str | None = None) -> Element | None:
    """Reference(Organization): Local Namespace Entity ID as display, Universal Entity ID as identifier."""
    display = namespace or (item.text("LocalNamespaceEntityID") if item else None)
    identifier = _universal(item) if item else None
    reference = {"identifier": identifier, "display": display}
    found = {name: value for name, value in reference.items() if value}
    return {"type": "Organization", **found} if found else None


def universal_uri(item: Attributes) -> str | None:
    """Universal Entity ID as a URI; None where its type has no form as one, or it has not that form."""
    value, kind = item.text("UniversalEntityID"), item.text("UniversalEntityIDType")
    start, form = URI_FORMS.get(kind or "", ("", None))
    if value is None or form is None or not form.fullmatch(value):
        return None
    return start + (value.lower() if kind == "UUID" else value)


def _universal(item: Attributes) -> Element | None:
    if (uri := universal_uri(item)) is not None:
        return {"system": URI, "value": uri}
    value = item.text("UniversalEntityID")
    return {"value": value} if value else None
