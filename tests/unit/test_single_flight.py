"""One request in flight, its answer or failure shared, and no waiter's end another's."""

import asyncio

import pytest

from shared.errors import Unavailable
from shared.single_flight import SingleFlight


class Service:
    """Counts requests; each is answered when the test says so."""

    def __init__(self):
        self.asked = 0
        self.cancelled = 0
        self.answer = asyncio.Event()
        self.error = None

    async def __call__(self):
        self.asked += 1
        number = self.asked
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return number


async def asking(flight, service, count):
    tasks = [asyncio.ensure_future(flight.run(service)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_all_share_one_request():
    flight, service = SingleFlight(), Service()
    tasks = await asking(flight, service, 12)
    service.answer.set()
    assert await asyncio.gather(*tasks) == [1] * 12
    assert await flight.run(service) == 2


async def test_a_failure_is_shared_and_not_remembered():
    flight, service = SingleFlight(), Service()
    tasks = await asking(flight, service, 3)
    service.error = Unavailable("no")
    service.answer.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [service.error] * 3
    service.error = None
    assert await flight.run(service) == 2


async def test_one_that_stops_waiting_leaves_the_request_to_the_others():
    flight, service = SingleFlight(), Service()
    first, second = await asking(flight, service, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    third = asyncio.ensure_future(flight.run(service))
    await asyncio.sleep(0)
    service.answer.set()
    assert await asyncio.gather(second, third) == [1, 1]
    assert (service.asked, service.cancelled) == (1, 0)


async def test_a_request_that_nobody_waits_for_is_cancelled():
    flight, service = SingleFlight(), Service()
    tasks = await asking(flight, service, 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
    assert service.cancelled == 1
    service.answer.set()
    assert await flight.run(service) == 2


async def test_a_deadline_of_one_waiter():
    flight, service = SingleFlight(), Service()
    (patient,) = await asking(flight, service, 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await flight.run(service)
    service.answer.set()
    assert await patient == 1
