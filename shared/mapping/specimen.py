"""Pure: specimens of a series (PS3.3 C.7.6.22), as references by identifier: nobody here knows their Specimen."""

from shared.dicom.values import Attributes
from shared.fhir.systems import DICOM_UID
from shared.mapping.issuer import assigner
from shared.mapping.table import Element


def specimens(attributes: Attributes, _zone: str = "") -> list[Element]:
    """Specimen Identifier with its issuer, else Specimen UID."""
    found = (_identifier(item) for item in attributes.items("SpecimenDescriptionSequence"))
    return [{"type": "Specimen", "identifier": identifier} for identifier in found if identifier]


def _identifier(item: Attributes) -> Element | None:
    value = item.text("SpecimenIdentifier")
    if value is None:
        uid = item.uid("SpecimenUID")
        return {"system": DICOM_UID, "value": f"urn:oid:{uid}"} if uid else None
    issuer = next(iter(item.items("IssuerOfTheSpecimenIdentifierSequence")), None)
    given_by = assigner(issuer)
    return {"value": value, "assigner": given_by} if given_by else {"value": value}
