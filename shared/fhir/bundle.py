"""Pure: a transaction Bundle and what its answer says."""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from shared.errors import TransientError, Unavailable, VersionConflict
from shared.fhir.identifiers import Identity, Resource
from shared.fhir.outcome import codes_of, issues_of, transient_error

STATUS = re.compile(r"\d{3}")
CREATED = 201
ENTRY_STATUSES = range(200, 300)
GONE = (404, 410)
# Medplum takes no more updates in one bundle. It has no creations by update, so these count as entries only
MOST_UPDATES = 50
MOST_ENTRIES = 200
# of a lost conditional create, Microsoft's server leaves references to an id that was never used; in these elements
# nobody could tell them from somebody else's, so nothing refers to an Endpoint until it is known who created it. What
# is created by update has its id before
CREATED_ALONE = "Endpoint"


class Answer(NamedTuple):
    """What became of an entry: its `Type/id`, empty for a delete; `meta.lastUpdated`, empty where it is not told.

    is_late: a creation by update met a resource. version: what it then wrote, empty where it is not told.
    """

    reference: str
    updated_at: str = ""
    is_late: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a transaction; `before` is the resource as it was read, of an update or a delete; `identity` is
    that of a resource that is created: by a condition, or by an update under an id that was made of it. by_search: the
    update finds its resource by a search, so that one that was deleted does not come back.
    """

    method: str
    url: str
    resource: Resource | None = None
    full_url: str | None = None
    identity: Identity | None = None
    if_match: str | None = None
    before: Resource | None = None
    by_search: bool = False

    @classmethod
    def create(cls, identity: Identity, resource: Resource) -> Self:
        """A conditional create under a new `urn:uuid:`."""
        full_url = f"urn:uuid:{uuid.uuid4()}"
        return cls("POST", identity.resource_type, resource, full_url, identity=identity)

    @classmethod
    def update(cls, resource: Resource, before: Resource) -> Self:
        """An update of exactly the version that was read."""
        version = resource["meta"]["versionId"]
        return cls("PUT", reference(resource), resource, if_match=if_match(version), before=before)

    @classmethod
    def delete(cls, resource: Resource) -> Self:
        """A delete; servers do not guard it by version."""
        return cls("DELETE", reference(resource), before=resource)

    def under(self, target: str) -> Self:
        """The same creation by an update of `Type/id`."""
        resource = {**(self.resource or {}), "id": target.partition("/")[2]}
        return replace(self, method="PUT", url=target, resource=resource, full_url=None)

    @property
    def if_none_exist(self) -> str | None:
        """The condition of a create."""
        return self.identity.if_none_exist if self.identity and self.method == "POST" else None

    @property
    def has_condition(self) -> bool:
        """Whether the server has to search before it carries the entry out."""
        return self.by_search or self.if_none_exist is not None

    @property
    def target(self) -> str:
        """What other resources of the bundle refer to."""
        return self.full_url or self.url

    @property
    def resource_type(self) -> str:
        """Type of the resource that is written."""
        return self.url.partition("/")[0]

    def to_json(self) -> Resource:
        """BundleEntryComponent (R4, bundle.html)."""
        url = self.url.replace("/", "?_id=") if self.by_search else self.url
        request = {"method": self.method, "url": url}
        if self.if_none_exist:
            request["ifNoneExist"] = self.if_none_exist
        if self.if_match:
            request["ifMatch"] = self.if_match
        entry: Resource = {"request": request}
        if self.full_url:
            entry["fullUrl"] = self.full_url
        if self.resource is not None:
            entry["resource"] = self.resource
        return entry


def reference(resource: Mapping[str, Any]) -> str:
    """`Type/id` of a stored resource."""
    return f"{resource['resourceType']}/{resource['id']}"


def updated_at(resource: Mapping[str, Any]) -> str:
    """`meta.lastUpdated`, or nothing."""
    meta = resource.get("meta")
    return str(meta.get("lastUpdated") or "") if isinstance(meta, Mapping) else ""


def version_of(resource: Mapping[str, Any]) -> str:
    """`meta.versionId`, or nothing."""
    meta = resource.get("meta")
    return str(meta.get("versionId") or "") if isinstance(meta, Mapping) else ""


def if_match(version: str) -> str:
    """The condition of an update of exactly this version."""
    return f'W/"{version}"'


def transaction(entries: Sequence[Entry]) -> Resource:
    """The Bundle; it is carried out as a whole or not at all (R4, http.html#transaction)."""
    return {"resourceType": "Bundle", "type": "transaction", "entry": [entry.to_json() for entry in entries]}


def batch(references: Iterable[str]) -> Resource:
    """The Bundle that reads each `Type/id`."""
    entries = [{"request": {"method": "GET", "url": target}} for target in references]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


def resources_read(references: Sequence[str], answer: Any) -> list[Resource | None]:
    """What a batch of reads found; None where nothing is, or was deleted. Unavailable where a read was not answered."""
    answers = answer.get("entry") if isinstance(answer, Mapping) else None
    if not isinstance(answers, list) or len(answers) < len(references):
        raise Unavailable("the FHIR server answered a batch with fewer entries than it was sent")
    return [_read(target, found) for target, found in zip(references, answers, strict=False)]


def version_in(entry: Mapping[str, Any]) -> Resource | None:
    """The resource of an entry of a history; None of a deletion."""
    request, resource = entry.get("request"), entry.get("resource")
    is_deletion = isinstance(request, Mapping) and request.get("method") == "DELETE"
    return resource if isinstance(resource, dict) and not is_deletion else None


def bundles(entries: Iterable[Entry], most_with_condition: int = MOST_ENTRIES) -> list[list[Entry]]:
    """The entries in their order, in as few bundles as servers take.

    most_with_condition: entries of a bundle in which one has a condition.
    """
    result: list[list[Entry]] = []
    for entry in entries:
        if not result or not _fits([*result[-1], entry], most_with_condition):
            result.append([])
        result[-1].append(entry)
    return result


def resolved(entry: Entry, references: Mapping[str, str]) -> Entry:
    """The entry with references to what earlier bundles created; `references` is by full URL."""
    return replace(entry, resource=_resolved(entry.resource, references)) if entry.resource and references else entry


def check_answer(entries: Sequence[Entry], answer: Any) -> list[Answer]:
    """What an accepted transaction did, by entry.

    Raises VersionConflict when a conditional create met somebody else's resource, Unavailable when the answer is not
    that of a carried out transaction. Servers may append entries of their own.
    """
    answers = answer.get("entry") if isinstance(answer, Mapping) else None
    if not isinstance(answers, list) or len(answers) < len(entries):
        raise Unavailable("the FHIR server answered a transaction with fewer entries than it was sent")
    return [_checked(entry, response) for entry, response in zip(entries, answers, strict=False)]


def check_unchanged(entries: Iterable[Entry], found: Iterable[Resource]) -> None:
    """Raise VersionConflict unless each resource that these entries delete is `found` in the version that was read."""
    versions = {reference(resource): _version_of(resource) for resource in found}
    for entry in entries:
        if entry.before is None or versions.get(entry.url, "") != _version_of(entry.before):
            raise VersionConflict(f"somebody else changed the {entry.resource_type} that was to be deleted")


def _version_of(resource: Mapping[str, Any]) -> str | None:
    """`meta.versionId`; None where a server keeps no versions."""
    meta = resource.get("meta")
    return meta.get("versionId") if isinstance(meta, Mapping) else None


def _fits(entries: Sequence[Entry], most_with_condition: int) -> bool:
    if any(entry.url == CREATED_ALONE for entry in entries[:-1]):
        return False
    most = most_with_condition if any(entry.has_condition for entry in entries) else MOST_ENTRIES
    return len(entries) <= most and sum(entry.if_match is not None for entry in entries) <= MOST_UPDATES


def _resolved(value: Any, references: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: references.get(part, part)
            if name == "reference" and isinstance(part, str)
            else _resolved(part, references)
            for name, part in value.items()
        }
    return [_resolved(part, references) for part in value] if isinstance(value, list) else value


def _response(answer: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """Status of an answered entry, and all that is said of it."""
    response = answer.get("response")
    response = response if isinstance(response, Mapping) else {}
    digits = STATUS.match(str(response.get("status")))
    return int(digits[0]) if digits else 0, response


def _failed(message: str, status: int, response: Mapping[str, Any]) -> TransientError:
    issues = issues_of(response.get("outcome"))
    message += f" with {status}" + "".join(f", {code}" for code in codes_of(issues))
    return transient_error(message, status, issues) or Unavailable(message)


def _read(target: str, answer: Any) -> Resource | None:
    answer = answer if isinstance(answer, Mapping) else {}
    status, response = _response(answer)
    if status in GONE:
        return None
    found = answer.get("resource")
    if status not in ENTRY_STATUSES or not isinstance(found, dict):
        raise _failed("the FHIR server accepted a batch and failed one of its reads", status, response)
    if f"{found.get('resourceType')}/{found.get('id')}" != target:
        raise Unavailable("the FHIR server answered a read with another resource")
    return found


def _checked(entry: Entry, answer: Any) -> Answer:
    answer = answer if isinstance(answer, Mapping) else {}
    status, response = _response(answer)
    if status not in ENTRY_STATUSES:
        raise _failed(f"the FHIR server accepted a transaction and failed its {entry.method}", status, response)
    if entry.if_none_exist and status != CREATED:
        raise VersionConflict(f"somebody else created the {entry.url}")
    if entry.method == "DELETE":
        return Answer("")
    found = answer.get("resource")
    resource = found if isinstance(found, Mapping) else {}
    if entry.method == "PUT":
        is_late = entry.identity is not None and status != CREATED
        return Answer(entry.url, updated_at(resource), is_late, version_of(resource))
    if isinstance(resource.get("id"), str) and resource.get("resourceType", entry.url) == entry.url:
        return Answer(f"{entry.url}/{resource['id']}", updated_at(resource))
    return Answer(_from_location(entry, str(response.get("location") or "")))


def _from_location(entry: Entry, location: str) -> str:
    """`Type/id` of a location, absolute or relative, with or without a version."""
    parts = location.split("/_history/", maxsplit=1)[0].rstrip("/").split("/")
    if len(parts) < 2 or parts[-2] != entry.url:
        raise Unavailable(f"the FHIR server answered without the id of the {entry.url} it created")
    return "/".join(parts[-2:])
