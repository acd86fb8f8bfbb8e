"""Claims of several identities at once: all or none, whoever else wants some of them, and whatever fails."""

import asyncio
from datetime import UTC, datetime

import pytest

from shared.errors import Unavailable, VersionConflict
from shared.fhir.identifiers import by_identifier
from shared.storage.creation_claim import CreationClaimStore
from shared.sync.claiming import claiming
from tests.sim.parts import SimTable

A, B, C = (by_identifier(kind, "urn:s", "1") for kind in ("Patient", "Device", "Endpoint"))


class NothingFound:
    """A FHIR server that holds nothing."""

    async def find(self, _):
        return None

    async def find_any(self, _):
        return []

    async def transact(self, _):
        return []


class FailingTable(SimTable):
    async def save(self, entity, etag):
        if entity["PartitionKey"] == B.resource_type:
            raise Unavailable("m")
        return await super().save(entity, etag)


class RefusingTable(SimTable):
    """Refuses this deletion, once."""

    def __init__(self, refused):
        super().__init__()
        self._refused = refused

    async def delete(self, partition_key, row_key, etag=None):
        if partition_key == self._refused:
            self._refused = None
            raise Unavailable("m")
        await super().delete(partition_key, row_key, etag)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("shared.sync.claiming.WAIT_S", 0.01)


def claims_in(table):
    return claiming(NothingFound(), CreationClaimStore(table, lambda: datetime.now(UTC)))


def held(table):
    return sorted(partition for partition, _ in table.entities)


async def test_who_does_not_get_all_holds_none():
    table = SimTable()
    async with claims_in(table) as one, claims_in(table) as other:
        await one.find_each({B: True})
        waiting = asyncio.create_task(other.find_each({A: True, B: True, C: True}))
        await asyncio.sleep(0.005)
        assert held(table) == [B.resource_type]
        await one.release()
        assert await waiting == {}
        assert held(table) == sorted([A.resource_type, B.resource_type, C.resource_type])
    assert held(table) == []


async def test_those_who_want_each_others_get_them_one_after_the_other():
    table, most = SimTable(), 0

    async def create(*wanted):
        nonlocal most
        async with claims_in(table) as claims:
            await claims.find_each(dict.fromkeys(wanted, True))
            most = max(most, len(held(table)))
            await asyncio.sleep(0)

    await asyncio.gather(create(A, B), create(B, C), create(C, A))
    assert (most, held(table)) == (2, [])


async def test_what_was_taken_beside_one_that_failed_is_released():
    table = FailingTable()
    with pytest.raises(Unavailable):
        async with claims_in(table) as claims:
            await claims.find_each({A: True, B: True})
    assert held(table) == []


async def test_what_could_not_be_given_back_is_given_back_at_the_end():
    table = RefusingTable(A.resource_type)
    async with claims_in(table) as other:
        await other.find_each({B: True})
        with pytest.raises(Unavailable):
            async with claims_in(table) as claims:
                await claims.find_each({A: True, B: True})
        assert held(table) == [B.resource_type]


async def test_what_could_not_be_released_is_released_at_the_end():
    table = RefusingTable(A.resource_type)
    async with claims_in(table) as claims:
        await claims.find_each({A: True, B: True})
        with pytest.raises(Unavailable):
            await claims.release()
    assert held(table) == []


async def test_what_was_renewed_beside_one_that_was_taken_over_is_released(monkeypatch):
    monkeypatch.setattr("shared.sync.claiming.RENEW_AFTER_S", 0)
    table = SimTable()
    async with claims_in(table) as claims:
        await claims.find_each({A: True, B: True})
        owned, _ = await table.get(A.resource_type, A.key)
        await table.upsert({**owned, "Owner": "another"})
        with pytest.raises(VersionConflict):
            await claims.transact([])
    assert held(table) == [A.resource_type]
