"""The FHIR server: search, transaction, and once per worker whether it is one that this app can work with."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from shared.errors import (
    AmbiguousMatch,
    Misconfigured,
    Rejected,
    SyncError,
    Throttled,
    Unavailable,
    VersionConflict,
)
from shared.fhir.bundle import Answer, Entry, bundles, check_answer, resolved, transaction
from shared.fhir.capabilities import Capabilities, capabilities_of, mappings
from shared.fhir.identifiers import ByIdentifier, Identity, Resource, any_of
from shared.fhir.outcome import Issue, codes_of, issues_of, read_outcome, transient_error
from shared.fhir.refusal import named_elements
from shared.http import error_for, error_for_read, json_of, send, timeout_for
from shared.retry import repeated, retry_after_s
from shared.single_flight import SingleFlight

SERVICE = "the FHIR server"
FHIR_JSON = "application/fhir+json"
FHIR_VERSION = "4.0"
SEARCH_COUNT = 100
MOST_VALUES = 50  # identifiers that one search asks for
GONE = (404, 410)


class FhirClient:
    """`client` has the server's base URL. Identifiers travel in bodies, never in URLs, which get logged on the way."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._capabilities: Capabilities | None = None
        self._asking: SingleFlight[Capabilities] = SingleFlight()

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
        return list({hit["id"]: hit for hit in hits if identity.matches(hit)}.values())

    async def find_any(self, identities: Sequence[ByIdentifier]) -> list[Resource]:
        """Every resource that has one of these identities, which are of one type."""
        hits: list[Resource] = []
        for some in (identities[place : place + MOST_VALUES] for place in range(0, len(identities), MOST_VALUES)):
            hits += await self._search(some[0].resource_type, any_of(some))
        found = {hit["id"]: hit for hit in hits}  # pages shift while others write
        return [hit for hit in found.values() if any(identity.matches(hit) for identity in identities)]

    async def studies_of(self, patient: str) -> list[Resource]:
        """ImagingStudy resources whose subject is this `Patient/id`."""
        hits = await self._search("ImagingStudy", (("patient", patient),))
        subjects = [(hit, hit.get("subject")) for hit in hits]
        return [hit for hit, named in subjects if isinstance(named, Mapping) and named.get("reference") == patient]

    async def transact(self, entries: Sequence[Entry]) -> list[Answer]:
        """Carry out all entries, in order; what became of each. Those of one bundle all or none."""
        answers: list[Answer] = []
        created: dict[str, str] = {}
        for bundle in bundles(entries):
            some = [resolved(entry, created) for entry in bundle]
            # a refused bundle that was throttled was not carried out; what any other failure left behind has to be read
            # first, and so has what became of the other entries where one failed alone
            answer = check_answer(some, await repeated(partial(self._transact, some), Throttled))
            answered = zip(some, answer, strict=True)
            created |= {entry.full_url: one.reference for entry, one in answered if entry.full_url}
            answers += answer
        return answers

    async def _transact(self, entries: Sequence[Entry]) -> Any:
        body = json.dumps(transaction(entries), separators=(",", ":"), ensure_ascii=False)
        request = self._request("POST", "", body, {"Content-Type": FHIR_JSON, "Prefer": "return=representation"})
        response = await send(self._client, SERVICE, request)
        if not response.is_success:
            raise _of_write(response, self._refusal(response, entries))
        return json_of(SERVICE, response)

    async def _search(self, resource_type: str, criteria: Sequence[tuple[str, str]]) -> list[Resource]:
        """Every hit of a search, page by page."""
        await self.check_capable()
        headers = {
            "Cache-Control": "no-cache",  # HAPI answers repeated searches from a cache otherwise
            "Prefer": "handling=strict",  # a parameter that is ignored matches everything
        }
        form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode([*criteria, ("_count", str(SEARCH_COUNT))])
        found = await repeated(partial(self._read, "POST", f"{resource_type}/_search", body, form))
        hits = _hits(found, resource_type)
        seen: set[str] = set()
        while (path := self._next_page(found, resource_type)) is not None:
            if path in seen:
                raise Unavailable(f"{SERVICE} answered a search whose pages lead in a circle")
            seen.add(path)
            found = await repeated(partial(self._read, "GET", path, None, headers))
            hits += _hits(found, resource_type)
        return hits

    async def _read(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Resource:
        response = await send(self._client, SERVICE, self._request(method, path, body, headers))
        if not response.is_success:
            raise _transient(response, issues_of(read_outcome(response.content))) or error_for_read(SERVICE, response)
        resource = json_of(SERVICE, response)
        if not isinstance(resource, dict) or "resourceType" not in resource:
            raise Unavailable(f"{SERVICE} answered something that is not a FHIR resource")
        return resource

    def _next_page(self, found: Resource, resource_type: str) -> str | None:
        """The next link, on the configured server: behind a gateway, servers give links that lead past it."""
        links = [str(link.get("url")) for link in mappings(found, "link") if link.get("relation") == "next"]
        if not links:
            return None
        base = self._client.base_url.path.rstrip("/")
        try:
            link = urlsplit(links[0])
            path = link.path.removeprefix(base).lstrip("/") if link.path.startswith(base) else resource_type
            return str(httpx.URL(f"{self._client.base_url}{path}?{link.query}"))
        except (ValueError, httpx.InvalidURL):
            raise Unavailable(f"{SERVICE} answered a link to a next page that is no URL") from None

    def _request(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> httpx.Request:
        url = path or str(self._client.base_url).rstrip("/")
        content = body.encode() if body is not None else b""
        asked = {"Accept": FHIR_JSON, **headers}
        timeout = timeout_for(len(content))
        return self._client.build_request(method, url, content=content or None, headers=asked, timeout=timeout)

    def _refusal(self, response: httpx.Response, entries: Sequence[Entry]) -> SyncError:
        """A refused transaction: what the codes of its outcome say, then its status. 404 and 410 with an outcome mean
        that a resource we read is gone since.
        """
        outcome = read_outcome(response.content)
        issues = issues_of(outcome)
        if (passing := _transient(response, issues)) is not None:
            return passing
        if response.status_code in GONE and outcome is not None:
            return VersionConflict(f"{SERVICE} no longer has a resource that was read")
        error = error_for(SERVICE, response)
        if not isinstance(error, Rejected):
            return error
        if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            return Rejected(f"{error}: the study is too large for it")
        if not issues:  # not the server but something before it
            return Misconfigured(f"{error} without saying why: check the gateway before it", code="refused-request")
        said = ", ".join(codes_of(issues)) or "none that R4 has a code for"
        return Rejected(f"{error}, issues: {said}", elements=named_elements(entries, issues))


def _of_write(response: httpx.Response, error: SyncError) -> SyncError:
    """The error of a refused transaction, which answered searches came before: 500 is about this request (RFC 9110,
    15.6.1). An outage answers searches no better, or says 502, 503, 504 or nothing.
    """
    if response.status_code != httpx.codes.INTERNAL_SERVER_ERROR or type(error) is not Unavailable:
        return error
    asked_s, is_unknown = error.retry_after_s, error.outcome_unknown
    return Unavailable(str(error), code="write-failed", retry_after_s=asked_s, outcome_unknown=is_unknown)


def _transient(response: httpx.Response, issues: list[Issue]) -> SyncError | None:
    """The error where the issues that an unsuccessful answer holds say that it may be otherwise later."""
    status = response.status_code
    message = f"{SERVICE} answered {status}, issues: {', '.join(codes_of(issues))}"
    by_status = error_for(SERVICE, response)
    return transient_error(message, status, issues, retry_after_s(response.headers), by_status)


def _hits(found: Resource, resource_type: str) -> list[Resource]:
    """The resources of one type that a search answered."""
    if found.get("resourceType") != "Bundle":
        raise Unavailable(f"{SERVICE} answered a search with something that is not a Bundle")
    resources = [entry.get("resource") for entry in mappings(found, "entry")]
    return [
        hit
        for hit in resources
        if isinstance(hit, dict) and hit.get("resourceType") == resource_type and isinstance(hit.get("id"), str)
    ]
