"""Creation claims: whoever is about to create a resource holds its identity for a moment.

Microsoft's FHIR server searches and inserts without a lock, so two conditional creates at once make twins. A claim is
a row that only one worker can insert. It expires, because its holder may have died; an expiry is longer than a
request can still be under way at the server.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
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
        """The claim, or None while somebody else holds it."""
        found = await self._table.get(resource_type, key)
        if found is not None and self._is_held(found[0]):
            return None
        owner = uuid.uuid4().hex
        entity = {
            "PartitionKey": resource_type,
            "RowKey": key,
            "Owner": owner,
            "ExpiresAt": self._now() + EXPIRES_AFTER,
        }
        try:
            return CreationClaim(resource_type, key, await self._table.save(entity, found[1] if found else None))
        except VersionConflict:
            # an answer that was lost and asked for again looks like somebody else's row
            found = await self._table.get(resource_type, key)
            return CreationClaim(resource_type, key, found[1]) if found and found[0].get("Owner") == owner else None

    def _is_held(self, row: Entity) -> bool:
        expires_at = row.get("ExpiresAt")
        return isinstance(expires_at, datetime) and expires_at > self._now()  # without an expiry nobody holds it

    async def renew(self, claim: CreationClaim) -> CreationClaim:
        """Hold it from now on for the whole time again; VersionConflict when it was taken over."""
        entity = {
            "PartitionKey": claim.resource_type,
            "RowKey": claim.key,
            "Owner": uuid.uuid4().hex,
            "ExpiresAt": self._now() + EXPIRES_AFTER,
        }
        return replace(claim, etag=await self._table.save(entity, claim.etag))

    async def release(self, claim: CreationClaim) -> None:
        """Give the claim back; one that was taken over since stays."""
        await self._table.delete(claim.resource_type, claim.key, claim.etag)
