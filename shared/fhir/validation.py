"""Every resource is checked against R4 before it is sent (fhir.resources, R4B: the same for these types).

The models are heavy; they are imported when the first resource is checked, not when the app starts.
"""

from importlib import import_module
from typing import Any

from pydantic import ValidationError

from shared.errors import InvalidStudy
from shared.fhir.identifiers import Resource


def check_valid(resource: Resource) -> None:
    """Raise InvalidStudy, which names the elements that are wrong but not their values."""
    model: Any = getattr(
        import_module(f"fhir.resources.R4B.{resource['resourceType'].lower()}"), resource["resourceType"]
    )
    try:
        model.model_validate(resource)
    except ValidationError as error:
        elements = sorted({".".join(str(part) for part in detail["loc"]) for detail in error.errors()})
        where = ", ".join(elements[:10])
        raise InvalidStudy(
            f"the mapped {resource['resourceType']} is not valid R4 at: {where}", code="invalid-resource"
        ) from None
