"""What is read and decoded has bounds: of one answer, and of all passes of a process together."""

import asyncio
import gzip
import json
import tracemalloc

import httpx
import pytest

from shared.body import MOST_BYTES, MOST_DECODED, MOST_OF_AN_ERROR
from shared.errors import NoRoom, Unavailable
from shared.http import new_client, send
from shared.room import ALLOWANCE, MEBIBYTE, Room, size_of

SERVICE = "the DICOM service"
URL = "https://dicom.example.org"


def client_of(*answers):
    """Answers in turn; the last one for ever."""
    left = list(answers)
    return httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: (left.pop(0) if len(left) > 1 else left[0])()), base_url=URL
    )


async def sent(client, **options):
    return await send(client, SERVICE, client.build_request("GET", "x"), **options)


async def parts_of(content):
    for start in range(0, len(content), 65536):
        yield content[start : start + 65536]


def streamed(content, status=200, **headers):
    return lambda: httpx.Response(status, content=parts_of(content), headers=headers)


async def peak_of(awaitable):
    """MiB that were allocated at most."""
    tracemalloc.start()
    try:
        await awaitable
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak / MEBIBYTE


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip,gzip", "br", "deflate", "identity, gzip", "x-odd"])
async def test_a_coding_that_was_not_asked_for_is_not_decoded(coding):
    bomb = gzip.compress(gzip.compress(bytes(100 * MEBIBYTE)))

    async def read():
        with pytest.raises(Unavailable, match="coding"):
            await sent(client_of(streamed(bomb, **{"Content-Encoding": coding})))

    assert await peak_of(read()) < 5


async def test_only_the_coding_that_is_read_is_asked_for():
    async with new_client(URL, None) as client:
        assert client.build_request("GET", "x").headers["Accept-Encoding"] == "gzip"


async def test_what_a_few_bytes_unpack_to_is_bounded_while_it_is_unpacked(monkeypatch):
    monkeypatch.setattr("shared.body.MOST_BYTES", MEBIBYTE)
    bomb = gzip.compress(bytes(200 * MEBIBYTE))

    async def read():
        with pytest.raises(Unavailable) as raised:
            await sent(client_of(streamed(bomb, **{"Content-Encoding": "gzip"})))
        assert raised.value.code == "answer-too-large"

    assert await peak_of(read()) < 10


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_of_an_error_a_bounded_part_is_read(packed):
    text = b"<" * (20 * MEBIBYTE)
    answer = streamed(gzip.compress(text), 503, **{"Content-Encoding": "gzip"}) if packed else streamed(text, 503)
    response = await sent(client_of(answer))
    assert (response.status_code, response.content) == (503, text[:MOST_OF_AN_ERROR])


async def test_json_that_decodes_to_much_more_is_refused_before_it_is_decoded():
    text = b"[" + b"{}," * (MOST_DECODED // 150) + b"1]"
    assert len(text) < MOST_BYTES
    with pytest.raises(Unavailable) as raised:
        await sent(client_of(streamed(text)))
    assert raised.value.code == "answer-too-large"


METADATA = {
    "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Rivera^Ana"}]},
    "00200032": {"vr": "DS", "Value": [1.25, -3.5, 100.0]},
}
TEXTS = {
    "empty objects": "[" + "{}," * 50_000 + "{}]",
    "empty lists": "[" + "[]," * 50_000 + "[]]",
    "nested lists": "[" + "[[[[]]]]," * 20_000 + "1]",
    "objects": "[" + '{"a":1},' * 20_000 + "{}]",
    "texts": "[" + '"ab",' * 40_000 + '"a"]',
    "numbers": "[" + "9999," * 40_000 + "1]",
    "fractions": "[" + "1.1," * 40_000 + "1]",
    "names": "{" + ",".join(f'"k{number}":{number}' for number in range(20_000)) + "}",
    "one text": '["' + "é" * 100_000 + '😀"]',
    "metadata": json.dumps([METADATA] * 1000),
}


@pytest.mark.parametrize("name", TEXTS)
def test_size_is_told_before_decoding(name):
    text = TEXTS[name].encode()
    tracemalloc.start()
    json.loads(text)
    peak = tracemalloc.get_traced_memory()[1] + len(text)
    tracemalloc.stop()
    assert peak * 0.6 < size_of(text) < peak * 4


# --- the room of a process -----------------------------------------------------------------------------------------


LARGE = b"[" + b"[]," * (ALLOWANCE // 130) + b"1]"
SMALL = b"[" + b"[]," * 1000 + b"1]"


async def test_small_reads_wait_for_nobody():
    room = Room()
    async with room.of_pass() as first:
        await first.take_large()

        async def small():
            async with room.of_pass() as held:
                for _ in range(5):
                    await sent(client_of(streamed(SMALL)))
                return held.has_large

        assert await asyncio.wait_for(asyncio.create_task(small()), 5) is False


async def test_large_passes_come_one_after_another_and_small_ones_beside_them():
    room, at_once, most = Room(), 0, 0

    async def large():
        nonlocal at_once, most
        async with room.of_pass() as held:
            await sent(client_of(streamed(LARGE)))
            assert held.has_large
            at_once += 1
            most = max(most, at_once)
            for _ in range(3):  # series by series
                await sent(client_of(streamed(LARGE)))
                await asyncio.sleep(0)
            at_once -= 1

    await asyncio.wait_for(asyncio.gather(*(large() for _ in range(12))), 60)
    assert most == 1


async def test_reads_of_one_pass_share_its_place():
    room = Room()
    async with room.of_pass() as held:
        await asyncio.wait_for(asyncio.gather(*(sent(client_of(streamed(LARGE))) for _ in range(4))), 30)
        assert held.has_large
    async with room.of_pass() as held:
        await asyncio.wait_for(held.take_large(), 5)


async def test_a_large_text_is_let_go_while_its_pass_waits(monkeypatch):
    """Its server would not wait, and nothing of it is held meanwhile."""
    monkeypatch.setattr("shared.body.SMALL", 100_000)
    room, text = Room(), b" " * 200_000
    async with room.of_pass() as first:
        await first.take_large()

        async def other():
            async with room.of_pass() as held:
                response = await sent(client_of(streamed(text)))
                return len(response.content), held.has_large

        task = asyncio.create_task(other())
        await asyncio.sleep(0.05)
        assert not task.done()
    assert await asyncio.wait_for(task, 5) == (200_000, True)


async def test_a_large_text_is_asked_for_once_where_the_place_is_free(monkeypatch):
    monkeypatch.setattr("shared.body.SMALL", 100_000)
    room = Room()
    async with room.of_pass() as held:
        response = await sent(client_of(streamed(b" " * 200_000), streamed(b"asked twice", 500)))
        assert (len(response.content), held.has_large) == (200_000, True)


async def test_a_pass_that_waits_too_long_is_tried_later(monkeypatch):
    monkeypatch.setattr("shared.room.LONGEST_WAIT_S", 0.01)
    room = Room()
    async with room.of_pass() as first:
        await first.take_large()

        async def other():
            async with room.of_pass():
                await sent(client_of(streamed(LARGE)))

        with pytest.raises(NoRoom):
            await asyncio.create_task(other())
    async with room.of_pass() as held:
        await asyncio.wait_for(held.take_large(), 5)


async def test_a_write_is_never_sent_again_for_room(monkeypatch):
    monkeypatch.setattr("shared.body.SMALL", 100_000)
    room = Room()
    async with room.of_pass() as first:
        await first.take_large()

        async def other():
            async with room.of_pass() as held:
                response = await sent(client_of(streamed(b" " * 200_000)), is_read=False)
                return len(response.content), held.has_large

        assert await asyncio.wait_for(asyncio.create_task(other()), 5) == (200_000, False)
