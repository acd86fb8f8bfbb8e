"""Pure: lay our elements over a stored resource. What we own is replaced or removed, everything else stays.

An equal result means that nothing is written. Elements that a server added (meta, text, defaults) are not ours and so
never cause a write.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

Element = dict[str, Any]

# HAPI 8.8 keeps 768 characters of a source, versions before it 100
SHORTEST_CUT = 100


def overlay(stored: Mapping[str, Any], ours: Mapping[str, Any], owned: Iterable[str]) -> Element:
    """`stored` with each owned element as in `ours`; owned elements that `ours` lacks are removed."""
    result = {name: value for name, value in stored.items() if name not in set(owned)}
    result.update(deepcopy(dict(ours)))
    return result


def replace_owned(stored: Iterable[Any], ours: Iterable[Any], is_ours: Callable[[Any], bool]) -> list[Any]:
    """A list without the stored items that are ours, then with our items of now; others' items keep their place."""
    kept = [item for item in stored if not is_ours(item)]
    return kept + _new(ours, kept)


def lay_shared(stored: Any, ours: Any, mark: str) -> Any:
    """An element, or a list of them, where others may write too.

    What is ours carries an `id` (R4, element.html) that begins with the first word of `mark`, and is replaced or
    removed. A single element of somebody else stays; of a list all of theirs stay, and what they have is not doubled.
    """
    owner = _owner(mark)
    if not isinstance(stored if ours is None else ours, list):
        if stored and not _is_marked(stored, owner):
            return stored
        return {"id": mark, **ours} if ours else None
    theirs = [item for item in stored or [] if not _is_marked(item, owner)]
    new = _new(ours or [], theirs)
    return [*theirs, *({"id": f"{mark}-{place}", **item} for place, item in enumerate(new, start=1))]


def put_shared(element: Element, name: str, value: Any, mark: str) -> None:
    """Set a single element where others may write too: one of theirs stays. `mark` as for `lay_shared`; that of a
    primitive value stands beside it (R4, json.html#primitive).
    """
    beside = f"_{name}"
    stored = element.get(beside if beside in element else name)
    if stored is not None and not _is_marked(stored, _owner(mark)):
        return
    is_primitive = value is not None and not isinstance(value, Mapping)
    put(element, name, value if value is None or is_primitive else {"id": mark, **value})
    put(element, beside, {**element.get(beside, {}), "id": mark} if is_primitive else None)


def take_back(element: Mapping[str, Any], owner: str) -> Element:
    """The element as others wrote it: without what carries an id that begins with `owner`, at any depth."""
    left: Element = {}
    for name, value in element.items():
        if name == "contained" or not isinstance(value, Mapping | list):
            ours = _is_marked(element.get(f"_{name}"), owner)
            kept = value
        elif isinstance(value, Mapping):
            ours = _is_marked(value, owner)
            kept = value if ours else take_back(value, owner)
        else:
            kept = [
                take_back(item, owner) if isinstance(item, Mapping) else item
                for item in value
                if not _is_marked(item, owner)
            ]
            ours = bool(value) and not kept
        if not ours:
            left[name] = kept
    return left


def has_marked(element: Any, owner: str) -> bool:
    """Whether anything in an element carries an id that begins with `owner`."""
    if isinstance(element, list):
        return any(has_marked(item, owner) for item in element)
    if not isinstance(element, Mapping):
        return False
    parts = (part for name, part in element.items() if name != "contained")
    return _is_marked(element, owner) or any(has_marked(part, owner) for part in parts)


def put(element: Element, name: str, value: Any) -> None:
    """Set a value, or drop the name where there is none: FHIR has no empty elements (R4, json.html), and an id beside
    a primitive value is none by itself (R4, element.html, ele-1).
    """
    if value in (None, "", [], {}):
        element.pop(name, None)
        if element.get(f"_{name}", {}).keys() <= {"id"}:
            element.pop(f"_{name}", None)
    else:
        element[name] = value


def same_content(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal but for what servers keep themselves. A source of another service is a difference."""
    return _content(one) == _content(other) and _same_source(source_of(one), source_of(other))


def source_of(resource: Mapping[str, Any]) -> str:
    """`meta.source` without the request id that HAPI appends to it."""
    return str(resource.get("meta", {}).get("source", "")).split("#")[0]


def is_source(found: str, source: str) -> bool:
    """Whether a `meta.source`, as `source_of` tells it, is this one, perhaps cut by a server."""
    return found == source or (len(found) >= SHORTEST_CUT and source.startswith(found))


def as_text(element: Any) -> str:
    """The same for equal elements: lists can have thousands, too many to compare each with each."""
    return json.dumps(element, sort_keys=True)


def _new(ours: Iterable[Any], there: Iterable[Any]) -> list[Any]:
    """Those of ours that are not there."""
    known = {as_text(item) for item in there}
    return [item for item in ours if as_text(item) not in known]


def _owner(mark: str) -> str:
    return mark.split("-", maxsplit=1)[0] + "-"


def _same_source(one: str, other: str) -> bool:
    """A server may keep none."""
    return not one or not other or is_source(one, other) or is_source(other, one)


def _is_marked(item: Any, owner: str) -> bool:
    return isinstance(item, Mapping) and str(item.get("id", "")).startswith(owner)


def _content(resource: Mapping[str, Any]) -> Element:
    return {name: value for name, value in resource.items() if name not in ("meta", "id", "text")}
