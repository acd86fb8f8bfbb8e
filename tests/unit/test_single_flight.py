"""One request in flight, its answer or failure shared, and no waiter's end another's."""

import asyncio
import time

import httpx
import pytest

from shared.credentials.tokens import Token, Tokens
from shared.errors import Unavailable
from shared.single_flight import SingleFlight
from shared.worker import Worker


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


async def test_a_token_that_is_not_to_be_had_is_asked_for_once():
    fetched = []

    async def fetch():
        fetched.append(1)
        await asyncio.sleep(0)
        if len(fetched) == 1:
            raise Unavailable("no")
        return Token.of("text", time.time() + 3600)

    def answer(request):
        return httpx.Response(200, text=request.headers["Authorization"])

    async with httpx.AsyncClient(auth=Tokens(fetch), transport=httpx.MockTransport(answer)) as client:
        first = await asyncio.gather(*(client.get("https://x/") for _ in range(12)), return_exceptions=True)
        second = await asyncio.gather(*(client.get("https://x/") for _ in range(12)))
    assert {type(one) for one in first} == {Unavailable}
    assert {one.text for one in second} == {"Bearer text"}
    assert len(fetched) == 2


async def test_settings_are_read_once_by_all_who_wait_for_them(monkeypatch):
    read = []

    async def fail():
        read.append(1)
        await asyncio.sleep(0)
        raise Unavailable("the vault gave no usable answer")

    monkeypatch.setattr("shared.worker._read_settings", fail)
    worker = Worker()
    for reads in (1, 2):
        results = await asyncio.gather(*(worker.app() for _ in range(12)), return_exceptions=True)
        assert {type(one) for one in results} == {Unavailable}
        assert len(read) == reads
