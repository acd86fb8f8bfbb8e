"""Pure: identities of resources as search criteria. Every writer must send the same text, or servers that guard
conditional creates by their criteria do not see that two are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from urllib.parse import quote

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a resource the one that is meant: its type and search parameters in a fixed order."""

    resource_type: str
    criteria: tuple[tuple[str, str], ...]

    @property
    def if_none_exist(self) -> str:
        """Criteria of a conditional create, percent-encoded (R4, http.html#ccreate)."""
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in self.criteria)

    @property
    def first(self) -> "Identity":
        """The identity that the resource had at first: the same one, unless what identifies it was changed since."""
        return self

    @property
    def key(self) -> str:
        """A digest that stands for the identity, also after a change of it: ids and rows are made of it."""
        return sha256(f"{self.resource_type}?{self.first.if_none_exist}".encode()).hexdigest()

    def matches(self, resource: Mapping[str, Any]) -> bool:
        """Whether a search hit really is it: servers ignore case, prefixes or parameters that they do not know."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ByIdentifier(Identity):
    """A resource with this identifier; an empty system means an identifier without one.

    former_systems: systems that the identifier had before, oldest first; it is found under each.
    """

    system: str
    value: str
    former_systems: tuple[str, ...] = ()

    @property
    def first(self) -> "ByIdentifier":
        """The same in the oldest system."""
        return by_identifier(self.resource_type, self.former_systems[0], self.value) if self.former_systems else self

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each system, that of now first, and the value."""
        return [(system, self.value) for system in dict.fromkeys((self.system, *self.former_systems))]

    def matches(self, resource: Mapping[str, Any]) -> bool:
        """Exact system and value."""
        return not set(self.pairs).isdisjoint(identifiers_of(resource))


@dataclass(frozen=True, slots=True)
class ByCode(Identity):
    """A resource with this code and all of these identifiers; each is a system and a value."""

    code: tuple[str, str]
    identifiers: tuple[tuple[str, str], ...]

    def matches(self, resource: Mapping[str, Any]) -> bool:
        """Exact code and identifiers."""
        concept = resource.get("code")
        codings = concept.get("coding") if isinstance(concept, Mapping) else None
        return self.code in _pairs(codings, "code") and set(self.identifiers) <= set(
            _pairs(resource.get("identifier"), "value")
        )


@dataclass(frozen=True, slots=True)
class EndpointByName(Identity):
    """An Endpoint with this name and connection type. former_names: those that it had before, oldest first."""

    name: str
    system: str
    code: str
    former_names: tuple[str, ...] = ()

    @property
    def first(self) -> "EndpointByName":
        """The same by its oldest name."""
        return endpoint_by_name(self.former_names[0], self.system, self.code) if self.former_names else self

    def matches(self, resource: Mapping[str, Any]) -> bool:
        """Exact name and connection type."""
        connection = resource.get("connectionType")
        return (
            resource.get("name") in (self.name, *self.former_names)
            and isinstance(connection, Mapping)
            and (connection.get("system"), connection.get("code")) == (self.system, self.code)
        )


def identifiers_of(resource: Mapping[str, Any]) -> list[tuple[str, str]]:
    """System, empty where there is none, and value of each identifier that has a value."""
    rows = resource.get("identifier")
    found = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    pairs = [(row.get("system") or "", row.get("value")) for row in found]
    return [(system, value) for system, value in pairs if isinstance(system, str) and isinstance(value, str)]


def by_identifier(resource_type: str, system: str, value: str, former_systems: tuple[str, ...] = ()) -> ByIdentifier:
    """Identity by one identifier, in its system or one that it had before."""
    found = ByIdentifier(resource_type, (), system, value, former_systems)
    said = ",".join(f"{_escape(one)}|{_escape(value)}" for one, _ in found.pairs)
    return replace(found, criteria=(("identifier", said),))


def by_code(resource_type: str, code: tuple[str, str], *identifiers: tuple[str, str]) -> ByCode:
    """Identity by a code and several identifiers."""
    said = [("identifier", f"{_escape(system)}|{_escape(value)}") for system, value in identifiers]
    criteria = (("code", f"{_escape(code[0])}|{_escape(code[1])}"), *said)
    return ByCode(resource_type, criteria, code, identifiers)


def any_of(identities: Sequence[ByIdentifier]) -> tuple[tuple[str, str], ...]:
    """Criteria that match each of these, of one type: values joined by a comma (R4, search.html#combining)."""
    return (("identifier", ",".join(value for identity in identities for _, value in identity.criteria)),)


def endpoint_by_name(name: str, system: str, code: str, former_names: tuple[str, ...] = ()) -> EndpointByName:
    """Identity of an Endpoint, which DICOM Cast finds by name and connection type."""
    names = ",".join(map(_escape, dict.fromkeys((name, *former_names))))
    # HAPI 8.8 refuses a conditional create whose criteria begin with a modifier
    criteria = (("connection-type", f"{_escape(system)}|{_escape(code)}"), ("name:exact", names))
    return EndpointByName("Endpoint", criteria, name, system, code, former_names)


def _pairs(rows: Any, name: str) -> list[tuple[str, str]]:
    """System and this element of each row of a list, whatever a server put there."""
    found = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    return [(str(row.get("system") or ""), str(row.get(name))) for row in found]


def _escape(text: str) -> str:
    """FHIR's own escape of characters with a meaning in search values (R4, search.html#escaping)."""
    for character in "\\|$,":
        text = text.replace(character, "\\" + character)
    return text
