"""Pure: the elements that a refusal names, and entries without them.

An element has a name that stays the same from one write to the next: `ImagingStudy.series[1.2.3].started`, list items
by their uid, their id or their place. Only elements that the caller says may be missing are ever left out, and none
that was there before: the server took it then, or it is somebody else's.

Servers name elements in their own ways. R4 has `expression`, a FHIRPath (Medplum's server). Microsoft's has the path in
its diagnostics, `(at Resource.entry[0].resource[0].started[0])`. HAPI's says the element's own name and its value.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

from shared.fhir.bundle import Entry
from shared.fhir.identifiers import Resource
from shared.fhir.outcome import Issue
from shared.fhir.ownership import same_content
from shared.fhir.systems import DICOM_UID, URI
from shared.model import is_uid

STEPS = r"((?:\.\w+(?:\[\d{1,9}\])?)+)"
STEP = re.compile(r"\.(\w+)(?:\[(\d{1,9})\])?")
IN_BUNDLE = re.compile(r"(?:Bundle|Resource)?\.?entry\[(\d{1,9})\]\.resource(?:\[0\])?(?:\.ofType\(\w+\))?" + STEPS)
IN_RESOURCE = re.compile(r"(Resource|[A-Z][A-Za-z]+)" + STEPS)
MICROSOFT = re.compile(r"\(at (Resource[\w.\[\]]+)\)|Path '(entry[\w.\[\]]+)'|at location '(Resource[\w.\[\]]+)'")
MICROSOFT_TYPE = re.compile(r"requested url '/(\w+)")
HAPI = re.compile(r'\[element="(\w+)"\] Invalid attribute value "(.*?)": ', re.DOTALL)
# identifiers and ids that this app sets
URN = re.compile(r"urn:(?:oid:[0-9.]+|uuid:[0-9a-f-]+)")
OWN_ID = re.compile(r"dicom-[\w.-]+")
NAME = re.compile(r"(\w+(?:\([^)]*\))?)((?:\.\w+(?:\[[^\]]*\])?)+)")
NAME_STEP = re.compile(r"\.(\w+)(?:\[([^\]]*)\])?")
# what is read of a refusal; a server, or what stands before it, may say any amount of anything
MOST_ISSUES = 200
MOST_PATHS = 10
MOST_TEXT = 2000
# a study has many of these, and one of each of the others
MANY = ("Device", "Observation")


class Place(NamedTuple):
    """Where an element is: the object that has it, and its name or, of a list item, its place in the list."""

    parent: Any
    key: str | int
    name: str

    @property
    def value(self) -> Any:
        """The element."""
        return self.parent[self.key]


def named_elements(entries: Sequence[Entry], issues: Sequence[Issue]) -> frozenset[str]:
    """Names of the elements that a refusal of these entries, which were one bundle, is about."""
    issues = issues[:MOST_ISSUES]
    texts = [issue.text[:MOST_TEXT] for issue in issues]
    kinds = {kind for text in texts for kind in MICROSOFT_TYPE.findall(text)}
    paths = [path for issue in issues for path in issue.paths[:MOST_PATHS] if len(path) <= MOST_TEXT]
    paths += [next(filter(None, found)) for text in texts for found in MICROSOFT.findall(text)]
    places = [place for path in dict.fromkeys(paths) for place in _by_path(entries, path, kinds)]
    places += _leaves(entries, {found for text in texts for found in HAPI.findall(text)})
    return frozenset(place.name for place in places)


def optional_elements(entries: Iterable[Entry], names: Collection[str], optional: Collection[str]) -> frozenset[str]:
    """The elements to leave out for the sake of these: the outermost that contain them and may be missing.

    optional: paths without places, `ImagingStudy.series.started`.
    """
    outermost = {outer for outer in (_outermost(name, optional) for name in names) if outer}
    return frozenset(
        outer
        for entry in entries
        for before, places in [(_Before(entry.before), _Places(entry.resource))]
        for outer in outermost
        if (place := places.located(outer)) and not before.had(place)
    )


def without(entry: Entry, names: Iterable[str]) -> tuple[Entry | None, list[str]]:
    """The entry without these elements, None where that leaves nothing to write; and which of them it had.

    A name without places (`ImagingStudy.series.started`) stands for the element wherever it is.
    """
    names, before = list(names), _Before(entry.before)
    left_out = list(dict.fromkeys(place.name for place in _new_places(entry.resource, names, before)))
    if not left_out:
        return entry, []
    resource = deepcopy(entry.resource)
    places = _new_places(resource, names, before)
    for place in sorted(places, key=lambda one: one.key if isinstance(one.key, int) else -1, reverse=True):
        del place.parent[place.key]
        if isinstance(place.key, str):
            place.parent.pop(f"_{place.key}", None)  # its id and extensions (R4, json.html#primitive)
    cleaned: Resource = _without_empty_lists(resource)
    if entry.before is not None and same_content(cleaned, entry.before):
        return None, left_out
    return replace(entry, resource=cleaned), left_out


def paths_in(entries: Iterable[Entry], paths: Collection[str]) -> frozenset[str]:
    """Those of these paths at which an entry has something."""
    return frozenset(path for entry in entries for path in paths if next(_everywhere(entry.resource, path), None))


def path_of(name: str) -> str:
    """The path of an element without places and identifiers."""
    return re.sub(r"\([^)]*\)|\[[^\]]*\]", "", name)


def keys_in(name: str) -> dict[str, str]:
    """Which series, instance and so on an element is in, by the name of the list."""
    return {step: key for step, key in _steps(name) if key}


def _by_path(entries: Sequence[Entry], path: str, kinds: Collection[str]) -> list[Place]:
    """The place of a path; nothing where it could be that of several."""
    if found := IN_BUNDLE.fullmatch(path):
        number, steps = int(found[1]), found[2]
        entries = entries[number : number + 1]
    elif found := IN_RESOURCE.fullmatch(path):
        kinds, steps = ({found[1]} if found[1] != "Resource" else kinds), found[2]
        entries = [entry for entry in entries if not kinds or entry.resource_type in kinds]
    else:
        return []
    asked = [(name, int(place) if place else None) for name, place in STEP.findall(steps)]
    places = [place for entry in entries if (place := _walked(entry.resource, asked)) is not None]
    return places if len(places) == 1 else []


def _walked(resource: Resource | None, steps: Sequence[tuple[str, int | None]]) -> Place | None:
    place, node = None, resource
    for step, number in steps:
        if not isinstance(node, Mapping) or step not in node:
            return None
        prefix = f"{place.name if place else _label(resource or {})}.{step}"
        place, node = Place(node, step, prefix), node[step]
        if isinstance(node, list):
            at = 0 if number is None and len(node) == 1 else number
            if at is None or at >= len(node):
                return place  # the list as a whole
            place, node = Place(node, at, f"{prefix}[{_key(node[at], at)}]"), node[at]
    return place


def _leaves(entries: Iterable[Entry], sought: Collection[tuple[str, str]]) -> list[Place]:
    """The places of elements by their names and values."""
    names = {name for name, _ in sought}
    return [
        place
        for entry in entries
        if names
        for place in _places(entry.resource or {}, _label(entry.resource or {}))
        if place.key in names and (place.key, str(place.value)) in sought
    ]


def _places(node: Any, prefix: str) -> Iterator[Place]:
    """Every element below a node."""
    for key, value in node.items():
        yield Place(node, key, f"{prefix}.{key}")
        if isinstance(value, Mapping):
            yield from _places(value, f"{prefix}.{key}")
        for number, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, Mapping):
                yield from _places(item, f"{prefix}.{key}[{_key(item, number)}]")


def _label(resource: Mapping[str, Any]) -> str:
    kind = str(resource.get("resourceType"))
    if kind not in MANY:
        return kind
    rows = resource.get("identifier", [])
    values = (str(row.get("value")) for row in rows if row.get("system") in (DICOM_UID, URI))
    return f"{kind}({','.join(sorted(value for value in values if URN.fullmatch(value)))})"


def _key(item: Any, number: int) -> str:
    """A name of an item among its list. Other people's identifiers and ids can be anything, a patient's name too."""
    uid, own_id = (item.get("uid"), item.get("id")) if isinstance(item, Mapping) else (None, None)
    if is_uid(uid):
        return str(uid)
    return own_id if isinstance(own_id, str) and OWN_ID.fullmatch(own_id) else str(number)


def _steps(name: str) -> list[tuple[str, str]]:
    found = NAME.fullmatch(name)
    return NAME_STEP.findall(found[2]) if found else []


class _Places:
    """The elements of a resource by their names. Lists are looked through once: a series can have thousands of items,
    and a refusal can name each.
    """

    def __init__(self, resource: Resource | None) -> None:
        self._resource = resource
        self._label = _label(resource or {})
        self._numbers: dict[int, dict[str, int]] = {}

    def located(self, name: str) -> Place | None:
        """Where the element is; None where the resource has none of this name."""
        found = NAME.fullmatch(name)
        if self._resource is None or found is None or found[1] != self._label:
            return None
        place, node = None, self._resource
        for step, key in _steps(name):
            if not isinstance(node, Mapping) or step not in node:
                return None
            place, node = Place(node, step, name), node[step]
            if key:
                number = self._numbers_of(node).get(key)
                if number is None:
                    return None
                place, node = Place(node, number, name), node[number]
        return place

    def _numbers_of(self, items: Any) -> dict[str, int]:
        if not isinstance(items, list):
            return {}
        if id(items) not in self._numbers:
            keys = {_key(item, number): number for number, item in reversed(list(enumerate(items)))}
            self._numbers[id(items)] = keys
        return self._numbers[id(items)]


def _everywhere(resource: Resource | None, path: str) -> Iterator[Place]:
    """Every element at a path without places; of a list, its items."""
    kind, *steps = path.split(".")
    nodes: list[Any] = [resource] if resource is not None and resource.get("resourceType") == kind else []
    for step in steps[:-1]:
        values = [node[step] for node in nodes if isinstance(node, Mapping) and step in node]
        nodes = [item for value in values for item in (value if isinstance(value, list) else [value])]
    for node in nodes:
        value = node.get(steps[-1]) if isinstance(node, Mapping) else None
        if isinstance(value, list):
            yield from (Place(value, number, path) for number in range(len(value)))
        elif value is not None:
            yield Place(node, steps[-1], path)


def _new_places(resource: Resource | None, names: Iterable[str], before: "_Before") -> list[Place]:
    """The places of these names, each once, without what was there before."""
    found: dict[tuple[int, str | int], Place] = {}
    places = _Places(resource)
    for name in names:
        one = () if path_of(name) == name else (places.located(name),)
        for place in one or _everywhere(resource, name):
            if place is not None and not before.had(place):
                found.setdefault((id(place.parent), place.key), place)
    return list(found.values())


def _outermost(name: str, optional: Collection[str]) -> str | None:
    found = NAME.fullmatch(name)
    outer = found[1] if found else ""
    for step, key in _steps(name):
        outer += f".{step}" + (f"[{key}]" if key else "")
        if path_of(outer) in optional:
            return outer
    return None


class _Before:
    """The values that a resource had, by the path of their element. Refused elements are mostly many of one path."""

    def __init__(self, resource: Resource | None) -> None:
        self._resource = resource
        self._values: dict[str, set[str]] = {}

    def had(self, place: Place) -> bool:
        """Whether the value was there, in whichever item of a list."""
        path = path_of(place.name)
        if path not in self._values:
            self._values[path] = {_text_of(value) for value in self._at(path)}
        return _text_of(place.value) in self._values[path]

    def _at(self, path: str) -> list[Any]:
        nodes: list[Any] = [self._resource] if self._resource else []
        found: list[Any] = []
        for step in path.split(".")[1:]:
            found = [node[step] for node in nodes if isinstance(node, Mapping) and step in node]
            nodes = [item for one in found for item in (one if isinstance(one, list) else [one])]
        return [*found, *nodes]


def _text_of(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _without_empty_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_empty_lists(part) for name, part in value.items() if part != []}
    return [_without_empty_lists(part) for part in value] if isinstance(value, list) else value
