"""Pure: who gave an identifier, by the HL7v2 Hierarchic Designator Macro (PS3.3 10.14)."""

from shared.dicom.values import Attributes
from shared.fhir.systems import URI
from shared.mapping.table import Element

# Universal Entity ID Type -> how its values are written as a URI
URI_FORMS = {"ISO": "urn:oid:", "UUID": "urn:uuid:", "URI": ""}


def assigner(item: Attributes | None, namespace: str | None = None) -> Element | None:
    """Reference(Organization): Local Namespace Entity ID as display, Universal Entity ID as identifier."""
    display = namespace or (item.text("LocalNamespaceEntityID") if item else None)
    identifier = _universal(item) if item else None
    reference = {"identifier": identifier, "display": display}
    found = {name: value for name, value in reference.items() if value}
    return {"type": "Organization", **found} if found else None


def _universal(item: Attributes) -> Element | None:
    value, kind = item.text("UniversalEntityID"), item.text("UniversalEntityIDType")
    if value is None:
        return None
    if kind in URI_FORMS:
        return {"system": URI, "value": URI_FORMS[kind] + value}
    return {"value": value}
