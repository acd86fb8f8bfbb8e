"""The FHIR server: search, read, write, and once per worker whether it is one that this app can work with."""

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx

from shared.errors import AmbiguousMatch, Misconfigured, Throttled, Unavailable
from shared.fhir.bundle import (
    MOST_ENTRIES,
    Answer,
    Entry,
    batch,
    bundles,
    check_answer,
    check_unchanged,
    if_match,
    reference,
    resolved,
    resources_read,
    transaction,
    version_in,
)
from shared.fhir.capabilities import Capabilities, capabilities_of, mappings
from shared.fhir.creation import Creation
from shared.fhir.identifiers import ByIdentifier, Identity, Resource, any_of, identifiers_of
from shared.fhir.outcome import issues_of, read_outcome
from shared.fhir.refused import GONE, of_write, refusal_of, transient_of
from shared.fhir.searchset import (
    MOST_PAGES,
    SERVICE,
    UNREADABLE_RESOURCE,
    hits_of,
    next_page,
    not_followed,
    usable,
)
from shared.fhir.shapes import is_too_deep, odd_element
from shared.http import ServerClock, error_for_read, json_of, send, timeout_for
from shared.retry import repeated
from shared.single_flight import SingleFlight

FHIR_JSON = "application/fhir+json"
# servers of Java take a form that says nothing for ISO 8859-1
FORM = "application/x-www-form-urlencoded; charset=utf-8"
FHIR_VERSION = "4.0"
SEARCH_COUNT = 100
MOST_VALUES = 50  # identifiers that one search asks for
NOT_CREATED = (*GONE, 405)  # of an update of an unknown id, where clients do not choose ids
NOT_KEPT = (*GONE, 405, 501)  # of a history: nothing was there, or no versions are kept


class FhirClient:
    """`client` has the server's base URL. Identifiers travel in bodies, never in URLs, which get logged on the way."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.clock = ServerClock()
        self._capabilities: Capabilities | None = None
        self._asking: SingleFlight[Capabilities] = SingleFlight()
        self._creation = Creation(self)

    @property
    def base_url(self) -> str:
        """Of the server."""
        return str(self._client.base_url)

    async def capabilities(self) -> Capabilities:
        """What the server offers; Misconfigured unless this app can work with it. Asked once."""
        await self.check_capable()
        assert self._capabilities is not None  # noqa: S101 - asked just now
        return self._capabilities

    async def check_capable(self) -> None:
        """Raise Misconfigured unless this is a FHIR R4 server with transactions. Asked once."""
        if self._capabilities is None:
            await self.probe()

    async def probe(self) -> None:
        """The same, asked now, by one request for all who ask at this moment: Microsoft's answer has a megabyte."""
        self._capabilities = await self._asking.run(self._ask)

    async def _ask(self) -> Capabilities:
        found = capabilities_of(await repeated(lambda: self._read("GET", "metadata", None, {})))
        if not found.version.startswith(FHIR_VERSION):
            raise Misconfigured(f"{SERVICE} is not R4 (4.0.x): check Fhir__Endpoint", code="wrong-fhir-version")
        if not found.transactions:
            raise Misconfigured(f"{SERVICE} does not offer transactions", code="no-transactions")
        return found

    async def find(self, identity: Identity) -> Resource | None:
        """The one resource with this identity, or None; AmbiguousMatch when there are several."""
        matches = await self.find_all(identity)
        if len(matches) > 1:
            raise AmbiguousMatch(f"{len(matches)} {identity.resource_type} resources have the same identity")
        return next(iter(matches), None)

    async def find_all(self, identity: Identity) -> list[Resource]:
        """Every resource with this identity; that there are several is a defect of somebody."""
        hits = await self._search(identity.resource_type, identity.criteria)
        return await self._creation.with_hidden([identity], usable(hit for hit in hits if identity.matches(hit)))

    async def find_any(self, identities: Sequence[ByIdentifier]) -> list[Resource]:
        """Every resource that has one of these identities, which are of one type."""
        hits: list[Resource] = []
        for some in (identities[place : place + MOST_VALUES] for place in range(0, len(identities), MOST_VALUES)):
            hits += await self._search(some[0].resource_type, any_of(some))
        wanted = {pair for identity in identities for pair in identity.pairs}
        found = usable(hit for hit in hits if not wanted.isdisjoint(identifiers_of(hit)))
        return await self._creation.with_hidden(identities, found)

    async def studies_of(self, patient: str) -> list[Resource]:
        """ImagingStudy resources whose subject is this `Patient/id`."""
        hits = await self._search("ImagingStudy", (("patient", patient),))
        subjects = [(hit, hit.get("subject")) for hit in hits]
        return [hit for hit, named in subjects if isinstance(named, Mapping) and named.get("reference") == patient]

    async def transact(self, entries: Sequence[Entry]) -> list[Answer]:
        """Carry out all entries, in order; what became of each. Those of one bundle all or none.

        Raises VersionConflict when a resource to create is there by now, or was changed since it was read.
        """
        answers: list[Answer] = []
        created: dict[str, str] = {}
        offers = await self.capabilities()
        prepared = map(offers.safe, await self._creation.prepared(entries))
        for bundle in bundles(prepared, offers.most_with_condition):
            some = [resolved(entry, created) for entry in bundle]
            await self._check_deletes(some)
            answer = await self.write(some)
            await self._creation.check_first(some, answer)
            answered = zip(some, answer, strict=True)
            created |= {entry.full_url: one.reference for entry, one in answered if entry.full_url}
            answers += answer
        return answers

    async def _check_deletes(self, entries: Sequence[Entry]) -> None:
        """Raise VersionConflict where a resource to be deleted is not what was read any more: no server guards deletes
        within a transaction, so what somebody else added meanwhile would go too.
        """
        deletes = [entry for entry in entries if entry.method == "DELETE"]
        by_type: dict[str, list[Entry]] = {}
        for entry in deletes:
            by_type.setdefault(entry.resource_type, []).append(entry)
        for resource_type, some in by_type.items():
            for part in (some[place : place + MOST_VALUES] for place in range(0, len(some), MOST_VALUES)):
                ids = ",".join(entry.url.partition("/")[2] for entry in part)
                check_unchanged(part, await self._search(resource_type, (("_id", ids),)))

    async def write(self, entries: Sequence[Entry]) -> list[Answer]:
        """Carry out one bundle as it is."""
        # a refused bundle that was throttled was not carried out; what any other failure left behind has to be read
        # first, and so has what became of the other entries where one failed alone
        return check_answer(entries, await repeated(partial(self._transact, entries), Throttled))

    async def read_each(self, references: Sequence[str]) -> list[Resource | None]:
        """What is under each `Type/id`, not by a search; None where nothing is, or was deleted."""
        found: list[Resource | None] = []
        for place in range(0, len(references), MOST_ENTRIES):
            some = references[place : place + MOST_ENTRIES]
            body = json.dumps(batch(some))
            answer = await repeated(partial(self._read, "POST", "", body, {"Content-Type": FHIR_JSON}))
            found += resources_read(some, answer)
        return found

    async def history(self, target: str) -> list[Resource | None]:
        """The versions of a `Type/id`, newest first, a deletion as None; none where the server keeps no history."""
        path = f"{target}/_history?_count={SEARCH_COUNT}"
        found = await repeated(partial(self._answer, "GET", path, None, {}, NOT_KEPT))
        if found is None:
            return []
        pages = self._pages(found, target.partition("/")[0], {})
        versions = [version_in(entry) async for page in pages for entry in mappings(page, "entry")]
        if any(one is not None and odd_element(one) is not None for one in versions):
            raise Unavailable(f"{SERVICE} answered a version that is not valid R4", code=UNREADABLE_RESOURCE)
        return versions

    async def put(self, resource: Resource, version: str) -> None:
        """Update a resource; `version` is the one that must be there, empty for any or none."""
        body = json.dumps(resource, separators=(",", ":"), ensure_ascii=False)
        headers = {"Content-Type": FHIR_JSON} | ({"If-Match": if_match(version)} if version else {})
        response = await send(self._client, SERVICE, self._request("PUT", reference(resource), body, headers))
        if not response.is_success:
            raise refusal_of(response, [])

    async def _transact(self, entries: Sequence[Entry]) -> Any:
        body = json.dumps(transaction(entries), separators=(",", ":"), ensure_ascii=False)
        request = self._request("POST", "", body, {"Content-Type": FHIR_JSON, "Prefer": "return=representation"})
        response = await self._send(request, is_read=False)
        if not response.is_success:
            creates = any(entry.identity and entry.method == "PUT" for entry in entries)
            if creates and response.status_code in NOT_CREATED:
                self._capabilities = None  # clients may choose ids no longer
            raise of_write(response, refusal_of(response, entries))
        return json_of(SERVICE, response)

    async def _search(self, resource_type: str, criteria: Sequence[tuple[str, str]]) -> list[Resource]:
        """Every hit of a search, page by page."""
        await self.check_capable()
        headers = {
            "Cache-Control": "no-cache",  # HAPI answers repeated searches from a cache otherwise
            "Prefer": "handling=strict",  # a parameter that is ignored matches everything
        }
        form = {**headers, "Content-Type": FORM}
        body = urlencode([*criteria, ("_count", str(SEARCH_COUNT))])
        found = await repeated(partial(self._read, "POST", f"{resource_type}/_search", body, form))
        return [
            hit async for page in self._pages(found, resource_type, headers) for hit in hits_of(page, resource_type)
        ]

    async def _pages(self, found: Resource, resource_type: str, headers: Mapping[str, str]) -> AsyncIterator[Resource]:
        """A page, and those that come after it."""
        yield found
        seen: set[str] = set()
        while (path := self._next_page(found, resource_type)) is not None:
            if path in seen or len(seen) >= MOST_PAGES:
                raise Unavailable(f"{SERVICE} answered a search whose pages do not end")
            seen.add(path)
            found = await repeated(partial(self._read, "GET", path, None, headers))
            yield found

    async def _read(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Resource:
        found = await self._answer(method, path, body, headers)
        assert found is not None  # noqa: S101 - no status stands for nothing
        return found

    async def _answer(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str], nothing: Collection[int] = ()
    ) -> Resource | None:
        """What a request that only reads is answered; None for a status that says that there is nothing."""
        try:
            return await self._read_answer(method, path, body, headers, nothing)
        except Unavailable as error:
            error.outcome_unknown = False  # nothing was to become of it
            raise

    async def _read_answer(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str], nothing: Collection[int]
    ) -> Resource | None:
        response = await self._send(self._request(method, path, body, headers))
        if response.status_code in nothing and read_outcome(response.content) is not None:
            return None
        if not response.is_success:
            raise transient_of(response, issues_of(read_outcome(response.content))) or error_for_read(SERVICE, response)
        resource = json_of(SERVICE, response)
        if not isinstance(resource, dict) or "resourceType" not in resource:
            raise Unavailable(f"{SERVICE} answered something that is not a FHIR resource")
        if is_too_deep(resource):
            raise Unavailable(f"{SERVICE} answered a resource that is nested too deeply", code=UNREADABLE_RESOURCE)
        return resource

    async def _send(self, request: httpx.Request, *, is_read: bool = True) -> httpx.Response:
        response = await send(self._client, SERVICE, request, is_read=is_read)
        self.clock.note(response)
        return response

    def _next_page(self, found: Resource, resource_type: str) -> str | None:
        url = next_page(str(self._client.base_url), found, resource_type)
        try:
            return None if url is None else str(httpx.URL(url))
        except httpx.InvalidURL:
            raise not_followed() from None

    def _request(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> httpx.Request:
        url = path or str(self._client.base_url).rstrip("/")
        content = body.encode() if body is not None else b""
        asked = {"Accept": FHIR_JSON, **headers}
        timeout = timeout_for(len(content))
        return self._client.build_request(method, url, content=content or None, headers=asked, timeout=timeout)
