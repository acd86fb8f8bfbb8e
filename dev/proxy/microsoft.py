"""Behaviour of Microsoft's FHIR server that the FHIR server of the local stack lacks, laid over its answers.

What that server does is in its public source (microsoft/fhir-server): it searches for the criteria of a conditional
create and inserts without a lock, answers from a replica that lags, and words its answers in its own way.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dev.proxy.call import Answer, Call

Upstream = Callable[[Call], Awaitable[Answer]]
Resource = dict[str, Any]
FHIR_JSON = "application/fhir+json"
NEW_REFERENCE = '"reference": "urn:uuid:'
NOTHING_LEFT = b'{"resourceType": "Bundle", "type": "transaction-response"}'
OTHER_REFUSAL = {409: 412, 412: 409}
THROTTLED = json.dumps(
    {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code} for code in ("processing", "throttled")],
    }
).encode()
INVALID_HEADER_ENTRY = {
    "response": {
        "status": "405",
        "outcome": {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "invalid"}]},
    }
}


@dataclass(frozen=True, slots=True)
class Switches:
    """searched_creates_s: the criteria of conditional creates are searched, and what was not found is created without
    them so many seconds later. lost_creates: so many conditional creates meet a rival who commits between the search
    and the insertion; they answer 200, and what refers to them refers to an id that was never used. swap_refusals: 409
    instead of 412, and the other way round. extra_entry: a transaction's answer has an entry more than the request.
    lag_s: searches answer what was there so many seconds ago. replica_at: they answer what was there at this moment,
    in seconds since 1970, however long ago that is. location_on_update: PUT entries tell a location. throttle_every:
    each so-manieth transaction meets too many requests at one of its entries; it ends as a whole with 400 and the codes
    processing and throttled. throttle_says_when: with Retry-After, as in sequential mode; parallel mode has none.
    """

    searched_creates_s: float | None = None
    lost_creates: int = 0
    swap_refusals: bool = False
    extra_entry: bool = False
    lag_s: float = 0.0
    replica_at: float | None = None
    location_on_update: bool = True
    throttle_every: int = 0
    throttle_says_when: bool = True

    @property
    def searches_lag(self) -> bool:
        return self.lag_s > 0 or self.replica_at is not None

    def seen_at(self, now: float) -> float:
        """The moment whose content searches answer."""
        return now - self.lag_s if self.replica_at is None else self.replica_at


class Microsoft:
    """Carries out the requests that the switches are about; `base` is the path of the FHIR server."""

    def __init__(self, base: str, upstream: Upstream) -> None:
        self._base = base
        self._upstream = upstream
        self._switches = Switches()
        self._lost_left = 0
        self._transactions = 0
        # what searches found: by their text, the newest version of each resource and when it was last seen
        self._found: dict[bytes, dict[str, tuple[float, Resource]]] = {}

    @property
    def switches(self) -> Switches:
        return self._switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self._switches, self._lost_left = switches, switches.lost_creates

    def concerns(self, call: Call) -> bool:
        """Whether some switch may have to do with this request."""
        return self._switches != Switches() and (
            _is_transaction(call) or (_is_search(call) and self._switches.searches_lag)
        )

    async def carry_out(self, call: Call) -> Answer:
        """The answer, as Microsoft's server would give it."""
        if _is_search(call):
            return await self._lagging(call)
        self._transactions += 1
        if self._switches.throttle_every and self._transactions % self._switches.throttle_every == 0:
            return Answer(400, [("Content-Type", FHIR_JSON), *self._when()], THROTTLED)
        bundle: Resource = json.loads(call.body)
        methods = [entry["request"]["method"] for entry in bundle.get("entry", [])]
        lost = await self._lose_one(bundle)
        if self._switches.searched_creates_s is not None:
            await self._search_then_create(bundle["entry"], self._switches.searched_creates_s)
        if bundle["entry"]:
            answer = await self._upstream(replace(call, body=json.dumps(bundle, ensure_ascii=False).encode()))
        else:  # its only entry was lost to the rival
            answer = Answer(200, [("Content-Type", FHIR_JSON)], NOTHING_LEFT)
        if answer.is_success:
            return replace(answer, body=self._reworded(answer.body, methods, lost))
        swapped = OTHER_REFUSAL.get(answer.status) if self._switches.swap_refusals else None
        return replace(answer, status=swapped, reason=None) if swapped else answer

    def _when(self) -> list[tuple[str, str]]:
        return [("Retry-After", "1"), ("x-ms-retry-after-ms", "200")] if self._switches.throttle_says_when else []

    async def _search_then_create(self, entries: list[Resource], seconds: float) -> None:
        """Two searches at one moment both find nothing, and both create."""
        for entry in entries:
            criteria = entry["request"].get("ifNoneExist")
            if criteria and not await self._hits(entry["request"]["url"], criteria):
                del entry["request"]["ifNoneExist"]
        await asyncio.sleep(seconds)

    async def _lose_one(self, bundle: Resource) -> tuple[int, Resource] | None:
        """Let a rival create one of the resources, if a rival is left; its place among the entries and the resource."""
        for place, entry in enumerate(bundle.get("entry", [])):
            criteria = entry["request"].get("ifNoneExist")
            if not self._lost_left or not criteria or NEW_REFERENCE in json.dumps(entry["resource"]):
                continue
            resource_type = entry["request"]["url"]
            if await self._hits(resource_type, criteria):
                continue
            self._lost_left -= 1
            call = Call("POST", f"{self._base}/{resource_type}", _headers(), json.dumps(entry["resource"]).encode())
            rival: Resource = json.loads((await self._upstream(call)).body)
            del bundle["entry"][place]
            text = json.dumps(bundle).replace(entry["fullUrl"], f"{resource_type}/{uuid.uuid4()}")
            bundle.clear()
            bundle.update(json.loads(text))
            return place, rival
        return None

    async def _hits(self, resource_type: str, criteria: str) -> list[Resource]:
        found = await self._upstream(Call("GET", f"{self._base}/{resource_type}?{criteria}", _headers()))
        return _resources(json.loads(found.body))

    def _reworded(self, body: bytes, methods: list[str], lost: tuple[int, Resource] | None) -> bytes:
        answer: Resource = json.loads(body)
        entries: list[Resource] = answer.setdefault("entry", [])
        if lost is not None:
            place, resource = lost
            location = f"{resource['resourceType']}/{resource['id']}/_history/{resource['meta']['versionId']}"
            entries.insert(place, {"resource": resource, "response": {"status": "200", "location": location}})
        for entry, method in zip(entries, methods, strict=True):
            if method == "PUT" and not self._switches.location_on_update:
                entry["response"].pop("location", None)
        if self._switches.extra_entry:
            entries.append(INVALID_HEADER_ENTRY)
        return json.dumps(answer).encode()

    async def _lagging(self, call: Call) -> Answer:
        """Each hit as it was then: an older version, not there yet, or still there."""
        answer = await self._upstream(call)
        if not answer.is_success:
            return answer
        bundle: Resource = json.loads(answer.body)
        now = time.time()
        then = self._switches.seen_at(now)
        known = self._found.setdefault(call.path.encode() + b"\n" + call.body, {})
        hits = {f"{one['resourceType']}/{one['id']}": one for one in _resources(bundle)}
        gone = [one for name, (seen_at, one) in known.items() if name not in hits and seen_at > then]
        known |= {name: (now, one) for name, one in hits.items()}
        were = [await self._as_it_was(one, then) for one in (*hits.values(), *gone)]
        bundle["entry"] = [{"resource": one, "search": {"mode": "match"}} for one in were if one is not None]
        return replace(answer, body=json.dumps(bundle).encode())

    async def _as_it_was(self, resource: Resource, at: float) -> Resource | None:
        if _updated_at(resource) <= at:
            return resource
        path = f"{self._base}/{resource['resourceType']}/{resource['id']}/_history"
        answer = await self._upstream(Call("GET", path, _headers()))
        versions = _resources(json.loads(answer.body)) if answer.is_success else []
        return next((one for one in versions if _updated_at(one) <= at), None)


def _resources(bundle: Resource) -> list[Resource]:
    return [entry["resource"] for entry in bundle.get("entry", []) if "resource" in entry]


def _updated_at(resource: Resource) -> float:
    return datetime.fromisoformat(resource["meta"]["lastUpdated"]).timestamp()


def _is_transaction(call: Call) -> bool:
    if call.method != "POST" or b"transaction" not in call.body:
        return False
    try:
        return bool(json.loads(call.body).get("type") == "transaction")
    except (ValueError, AttributeError):
        return False


def _is_search(call: Call) -> bool:
    return call.path.partition("?")[0].endswith("/_search")


def _headers() -> list[tuple[str, str]]:
    return [("Accept", FHIR_JSON), ("Content-Type", FHIR_JSON), ("Cache-Control", "no-cache")]
