"""Find a resource, or hold the right to create it until the transaction is answered."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from shared.errors import TransientError, Unavailable
from shared.fhir.bundle import Answer, Entry
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import ByIdentifier, Identity, Resource
from shared.storage import creation_claim
from shared.storage.creation_claim import CreationClaim, CreationClaimStore
from shared.sync.side_by_side import all_of

TRIES = 5
WAIT_S = 0.3
DEFER_S = 3.0
RENEW_AFTER_S = 10.0
DEVICE = "Device"


class Claims:
    """The claims of one pass."""

    def __init__(self, fhir: FhirClient, store: CreationClaimStore) -> None:
        self._fhir = fhir
        self._store = store
        self._held: list[CreationClaim] = []
        self._taken_at = 0.0

    async def find(self, identity: Identity, *, likely_new: bool) -> Resource | None:
        """The resource; or None, and then nobody else creates it until the claims are released."""
        return (await self.find_each({identity: likely_new})).get(identity)

    async def find_each(self, wanted: Mapping[Identity, bool]) -> dict[Identity, Resource]:
        """Those of these resources that are there; nobody else creates the others until the claims are released. Each
        comes with whether it is likely new: then it is claimed at once, and searched for only afterwards.

        Raises TransientError when somebody else goes on creating one of them.
        """
        found = await self._search([identity for identity, is_likely_new in wanted.items() if not is_likely_new])
        for _ in range(TRIES):
            missing = [identity for identity in wanted if identity not in found]
            if not missing:
                return found
            are_ours = await self._hold({(identity.resource_type, identity.key) for identity in missing})
            # only with the claim is a search that finds nothing worth anything
            found |= await self._search(missing)
            if are_ours:
                return found
        raise _claimed(missing[0].resource_type)

    async def look_for(self, identities: Sequence[Identity]) -> dict[Identity, Resource]:
        """Those of these resources that are there; others may create the rest at any moment."""
        return await self._search(identities)

    async def hold(self, identity: Identity, resource_type: str) -> None:
        """Nobody else creates resources of this type that belong to `identity` until the claims are released."""
        for _ in range(TRIES):
            if await self._hold({(resource_type, identity.key)}):
                return
        raise _claimed(resource_type)

    async def having(self, identity: ByIdentifier) -> list[Resource]:
        """Every resource with this identifier, which several may share."""
        return await self._fhir.find_any([identity])

    async def _search(self, identities: Sequence[Identity]) -> dict[Identity, Resource]:
        devices = [one for one in identities if isinstance(one, ByIdentifier) and one.resource_type == DEVICE]
        others = [one for one in identities if one not in devices]
        found = await all_of([self._devices(devices), *map(self._one, others)])
        return {identity: hit for some in found for identity, hit in some.items()}

    async def _one(self, identity: Identity) -> dict[Identity, Resource]:
        hit = await self._fhir.find(identity)
        return {} if hit is None else {identity: hit}

    async def _devices(self, identities: Sequence[ByIdentifier]) -> dict[Identity, Resource]:
        """All with one search. Of twins, which nobody here makes, the one with the lowest id."""
        hits = sorted(await self._fhir.find_any(identities), key=lambda hit: str(hit["id"]), reverse=True)
        return {identity: hit for hit in hits for identity in identities if identity.matches(hit)}

    async def _hold(self, keys: Collection[tuple[str, str]]) -> bool:
        """Whether all of these are claimed by this pass now. Otherwise none that was not before, and it waits a little:
        two that each hold what the other needs would wait for nothing.
        """
        missing = sorted(set(keys) - {(claim.resource_type, claim.key) for claim in self._held})
        before, self._taken_at = list(self._held), self._taken_at if self._held else time.monotonic()
        if not all(await all_of([self._take(*key) for key in missing])):
            await all_of([self._give_back(claim) for claim in self._held if claim not in before])
            await asyncio.sleep(WAIT_S * random.uniform(0.5, 1.5))
            return False
        return True

    async def _take(self, resource_type: str, key: str) -> bool:
        claim = await self._store.take(resource_type, key)
        if claim is not None:
            self._held.append(claim)  # at once: another may fail
        return claim is not None

    async def _give_back(self, claim: CreationClaim) -> None:
        await self._store.release(claim)
        self._held.remove(claim)  # not before: where this fails, the end of the pass tries again

    async def transact(self, entries: Sequence[Entry]) -> list[Answer]:
        """Carry out the transaction. While its outcome is unknown it may still be under way at the server: the claims
        are then left to expire.
        """
        if self._held and time.monotonic() - self._taken_at > RENEW_AFTER_S:
            for place, claim in enumerate(self._held):
                self._held[place] = await self._store.renew(claim)  # at once: the next may fail
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
        await all_of([self._give_back(claim) for claim in self._held])


@asynccontextmanager
async def claiming(fhir: FhirClient, store: CreationClaimStore) -> AsyncIterator[Claims]:
    """Claims that are released at the end of a pass, however it ends."""
    claims = Claims(fhir, store)
    try:
        yield claims
    finally:
        await claims.release()


def _claimed(resource_type: str) -> TransientError:
    return TransientError(
        f"another worker creates the {resource_type}, or died at it: its claim ends within three minutes",
        code="claimed",
        retry_after_s=DEFER_S,
    )
