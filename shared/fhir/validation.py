"""Every resource is checked against R4 before it is sent (fhir.resources, R4B: the same for these types).

The models are heavy; they are imported when the first resource is checked, not when the app starts.
"""

from importlib import import_module
from typing import Any

from pydantic import ValidationError

from shared.errors import InvalidStudy
from shared.fhir.identifiers import Resource

MOST_NAMED = 10


def check_valid(resource: Resource, before: Resource | None = None) -> None:
    """Raise InvalidStudy, which names the elements that are wrong but not their values.

    What was wrong `before` is somebody else's and no reason to stop: the server took it once.
    """
    wrong = _wrong_elements(resource)
    if wrong and before is not None:
        wrong -= _wrong_elements(before)
    if wrong:
        where = ", ".join(sorted(wrong)[:MOST_NAMED])
        message = f"the mapped {resource['resourceType']} is not valid R4 at: {where}"
        raise InvalidStudy(message, code="invalid-resource")


def _wrong_elements(resource: Resource) -> set[str]:
    name = resource["resourceType"]
    model: Any = getattr(import_module(f"fhir.resources.R4B.{name.lower()}"), name)
    try:
        model.model_validate(resource)
    except ValidationError as error:
        return {".".join(str(part) for part in detail["loc"] if not isinstance(part, int)) for detail in error.errors()}
    except (KeyError, TypeError, AttributeError, LookupError):
        # the models stumble over contained resources and extensions that they do not know
        return {name}
    return set()
