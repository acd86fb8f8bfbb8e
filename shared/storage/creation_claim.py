"""Creation claims: whoever is about to create a resource holds its identity for a moment.

Microsoft's FHIR server searches and inserts without a lock, so two conditional creates at once make twins. A claim is
a row that only one worker can insert. It expires, because its holder may have died; an expiry is longer than a
request can still be under way at the server.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import VersionConflict
from shared.storage.table import Entity, Table

TABLE_NAME = "CreationClaimTable"
# Microsoft's FHIR server ends a bundle after 100 s; the rest is for clocks that differ
EXPIRES_AFTER = timedelta(seconds=180)


@dataclass(frozen=True, slots=True)
class CreationClaim:
    """The right to create the resource of this type and identity, until it expires."""

    resource_type: str
    key: str
    etag: str


class CreationClaimStore:
    """Claims by resource type and the digest of the identity."""

    def __init__(self, table: Table, now: Callable[[], datetime]) -> None:
        self._table = table
        self._now = now

    async def take(self, resource_type: str, key: str) -> CreationClaim | None:
        """The claim, or None while somebody else holds it. Mostly nobody does, so it is one request."""
        owner = uuid.uuid4().hex
        claim = await self._put(resource_type, key, owner, None)
        if claim is not None:
            return claim
        found = await self._table.get(resource_type, key)
        if found is None or (self._is_held(found[0]) and found[0].get("Owner") != owner):
            return None
        # expired; or an answer that was lost and asked for again looks like somebody else's row
        is_ours = found[0].get("Owner") == owner
        return CreationClaim(resource_type, key, found[1]) if is_ours else await self._take_over(found, owner)

    async def _take_over(self, found: tuple[Entity, str], owner: str) -> CreationClaim | None:
        resource_type, key = str(found[0]["PartitionKey"]), str(found[0]["RowKey"])
        claim = await self._put(resource_type, key, owner, found[1])
        if claim is not None:
            return claim
        again = await self._table.get(resource_type, key)
        return CreationClaim(resource_type, key, again[1]) if again and again[0].get("Owner") == owner else None

    async def _put(self, resource_type: str, key: str, owner: str, etag: str | None) -> CreationClaim | None:
        """Insert the row, or replace it under this ETag; None when somebody else was faster."""
        entity = {
            "PartitionKey": resource_type,
            "RowKey": key,
            "Owner": owner,
            "ExpiresAt": self._now() + EXPIRES_AFTER,
        }
        try:
            return CreationClaim(resource_type, key, await self._table.save(entity, etag))
        except VersionConflict:
            return None

    def _is_held(self, row: Entity) -> bool:
        expires_at = row.get("ExpiresAt")
        return isinstance(expires_at, datetime) and expires_at > self._now()  # without an expiry nobody holds it

    async def renew(self, claim: CreationClaim) -> CreationClaim:
        """Hold it from now on for the whole time again; VersionConflict when it was taken over."""
        renewed = await self._put(claim.resource_type, claim.key, uuid.uuid4().hex, claim.etag)
        if renewed is None:
            raise VersionConflict(f"the claim of the {claim.resource_type} was taken over")
        return renewed

    async def release(self, claim: CreationClaim) -> None:
        """Give the claim back; one that was taken over since stays."""
        await self._table.delete(claim.resource_type, claim.key, claim.etag)
