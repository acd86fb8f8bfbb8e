"""Find a resource, or hold the right to create it until the transaction is answered."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shared.errors import TransientError, Unavailable
from shared.fhir.bundle import Entry
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import Identity, Resource
from shared.storage import creation_claim
from shared.storage.creation_claim import CreationClaim, CreationClaimStore

TRIES = 5
WAIT_S = 0.3
DEFER_S = 3.0
RENEW_AFTER_S = 10.0


class Claims:
    """The claims of one pass."""

    def __init__(self, fhir: FhirClient, store: CreationClaimStore) -> None:
        self._fhir = fhir
        self._store = store
        self._held: list[CreationClaim] = []
        self._taken_at = 0.0

    async def find(self, identity: Identity, *, likely_new: bool) -> Resource | None:
        """The resource; or None, and then nobody else creates it until the claims are released.

        Raises TransientError when somebody else goes on creating it.
        """
        found = None if likely_new else await self._fhir.find(identity)
        for _ in range(TRIES):
            if found is not None:
                return found
            claim = await self._store.take(identity.resource_type, identity.key)
            if claim is None:
                await asyncio.sleep(WAIT_S * random.uniform(0.5, 1.5))
                found = await self._fhir.find(identity)
                continue
            self._taken_at = self._taken_at if self._held else time.monotonic()
            self._held.append(claim)
            # only now is a search that finds nothing worth anything
            return await self._fhir.find(identity)
        raise TransientError(
            f"another worker creates the {identity.resource_type}, or died at it: its claim ends within three minutes",
            code="claimed",
            retry_after_s=DEFER_S,
        )

    async def transact(self, entries: Sequence[Entry]) -> list[str]:
        """Carry out the transaction. While its outcome is unknown it may still be under way at the server: the claims
        are then left to expire.
        """
        if self._held and time.monotonic() - self._taken_at > RENEW_AFTER_S:
            self._held = [await self._store.renew(claim) for claim in self._held]
        try:
            return await self._fhir.transact(entries)
        except Unavailable as error:
            if error.outcome_unknown:
                self._held.clear()
                # looking again sooner could overtake what is still under way
                error.retry_after_s = max(error.retry_after_s or 0, creation_claim.EXPIRES_AFTER.total_seconds())
            raise
        except asyncio.CancelledError:
            self._held.clear()
            raise

    async def release(self) -> None:
        """Let others create."""
        while self._held:
            await self._store.release(self._held.pop())


@asynccontextmanager
async def claiming(fhir: FhirClient, store: CreationClaimStore) -> AsyncIterator[Claims]:
    """Claims that are released at the end of a pass, however it ends."""
    claims = Claims(fhir, store)
    try:
        yield claims
    finally:
        await claims.release()
