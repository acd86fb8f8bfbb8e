"""Pure: lay our elements over a stored resource. What we own is replaced or removed, everything else stays.

An equal result means that nothing is written. Elements that a server added (meta, text, defaults) are not ours and so
never cause a write.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

Element = dict[str, Any]


def overlay(stored: Mapping[str, Any], ours: Mapping[str, Any], owned: Iterable[str]) -> Element:
    """`stored` with each owned element as in `ours`; owned elements that `ours` lacks are removed."""
    result = {name: value for name, value in stored.items() if name not in set(owned)}
    result.update(deepcopy(dict(ours)))
    return result


def replace_owned(stored: Iterable[Any], ours: Iterable[Any], is_ours: Callable[[Any], bool]) -> list[Any]:
    """A list without the stored items that are ours, then with our items of now; others' items keep their place."""
    kept = [item for item in stored if not is_ours(item)]
    return kept + [item for item in ours if item not in kept]


def put(element: Element, name: str, value: Any) -> None:
    """Set a value, or drop the name where there is none: FHIR has no empty elements (R4, json.html)."""
    if value in (None, "", [], {}):
        element.pop(name, None)
    else:
        element[name] = value


def same_content(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal but for what servers keep themselves."""
    return _content(one) == _content(other)


def source_of(resource: Mapping[str, Any]) -> str:
    """`meta.source` without the request id that HAPI appends to it."""
    return str(resource.get("meta", {}).get("source", "")).split("#")[0]


def _content(resource: Mapping[str, Any]) -> Element:
    return {name: value for name, value in resource.items() if name not in ("meta", "id", "text")}
