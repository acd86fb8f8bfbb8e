"""Read the body of an answer within bounds: what is decoded is bounded while it is decoded."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from io import BytesIO
from typing import cast

import httpx

from shared.errors import NoRoom, Unavailable
from shared.retry import INCOMPLETE, TOO_LARGE
from shared.room import HELD, MEBIBYTE, Held, size_of

# of the text of an answer, decompressed. The metadata of 10,000 CT instances have 50 MB
MOST_BYTES = 128 * MEBIBYTE
# with what is made of it, as `size_of` counts. A worker of 2 GB can hold one of these beside what the others hold
MOST_DECODED = 1280 * MEBIBYTE
# of an answer that is not a success: an OperationOutcome, or a page of a gateway
MOST_OF_AN_ERROR = MEBIBYTE
# more text than this is not read beside others
SMALL = 8 * MEBIBYTE
# from the first byte of an answer to its last; a server that dribbles would hold a pass for ever
MOST_BODY_S = 120.0
STEP = 64 * 1024
# what is asked for. Several codings of one answer are none of them: each multiplies by a thousand what a few bytes take
CODINGS = "gzip"
OF_TRANSFER = (b"content-encoding", b"content-length", b"transfer-encoding")


class NeedsRoom(Exception):
    """The answer is large, and has to be asked for again when there is room for it; nothing of it is kept."""


async def whole(service: str, response: httpx.Response, *, is_read: bool, most: int | None = None) -> httpx.Response:
    """The answer with its body, decompressed. Of one that is not a success, no more than `MOST_OF_AN_ERROR`.

    Raises Unavailable with the code TOO_LARGE for one that is too large, and NeedsRoom where `is_read`, since the
    request can be made again.
    """
    held = HELD.get()
    body = BytesIO()  # hands its content out without a copy
    async with contextlib.aclosing(response), asyncio.timeout(MOST_BODY_S):
        async for part in _parts(service, response):
            body.write(part)
            if not response.is_success and body.tell() >= MOST_OF_AN_ERROR:
                body.truncate(MOST_OF_AN_ERROR)
                break
            if body.tell() > (most or MOST_BYTES):
                raise _too_large(service, response)
            if body.tell() > SMALL and is_read and held is not None and not held.has_large:
                await _take_place(held)
    content = body.getvalue()
    size = size_of(content)
    if size > MOST_DECODED:
        raise _too_large(service, response)
    if held is not None and is_read:
        await held.add(size)
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in OF_TRANSFER]
    return httpx.Response(response.status_code, headers=headers, content=content, request=response.request)


async def _take_place(held: Held) -> None:
    """Nothing large is kept while others are waited for, nor does a service wait meanwhile with half an answer."""
    try:
        await held.take_large(wait_s=0)
    except NoRoom:
        raise NeedsRoom from None


def _too_large(service: str, response: httpx.Response) -> Unavailable:
    text = f"{service} answered {response.status_code} with more than this worker can hold at once"
    return Unavailable(text, code=TOO_LARGE)


async def _parts(service: str, response: httpx.Response) -> AsyncIterator[bytes]:
    """The body, decompressed, in parts of bounded size."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", CODINGS):
        raise Unavailable(f"{service} answered {response.status_code} in a coding that was not asked for")
    # httpx would decompress whatever a part holds at once
    stream = cast("AsyncIterable[bytes]", response.stream)
    if coding != CODINGS:
        async for part in stream:
            yield part
        return
    decoder = zlib.decompressobj(wbits=31)
    async for packed in stream:
        for part in _unpacked(decoder, packed, service):
            yield part
    if not decoder.eof:
        raise Unavailable(f"{service} gave no whole answer", code=INCOMPLETE)


def _unpacked(decoder: "zlib._Decompress", packed: bytes, service: str) -> Iterator[bytes]:
    while packed and not decoder.eof:
        try:
            part = decoder.decompress(packed, STEP)
        except zlib.error:
            raise Unavailable(f"{service} gave no whole answer (its gzip is broken)") from None
        packed = decoder.unconsumed_tail
        if part:
            yield part
