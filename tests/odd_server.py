"""A server that answers everything with what it was told to, byte for byte: garbage, halves, the wrong thing."""

import asyncio
import contextlib
import itertools
import ssl

STATUSES = (200, 201, 404, 409, 503)
JSON = "application/json"
ROW = (
    b'{"PartitionKey":5,"Timestamp":"never","X@odata.type":"Edm.Int64","X":"abc",'
    b'"Y@odata.type":"Edm.Binary","Y":"***","Z@odata.type":"Edm.DateTime","Z":"q"}'
)
# by name: what the body says it is, and the body
BODIES = {
    "nothing": (None, b""),
    "a page": ("text/html", b"<!DOCTYPE html><html><body>MRN-0001<br></body></html>"),
    "null": (JSON, b"null"),
    "a list": (JSON, b"[1, 2]"),
    "a list of odd things": (JSON, b'[null, "x", {"sequence": {}}, {"sequence": 9e99}, [[]]]'),
    "a text": (JSON, b'"MRN-0001"'),
    "a number": (JSON, b"1"),
    "half": (JSON, b'{"value": [{"Parti'),
    "an odd error": (JSON, b'{"odata.error": {"code": 3, "message": "x"}, "value": 7, "odata.metadata": 1}'),
    "an odd text of an error": (JSON, b'{"odata.error": "text"}'),
    "no table": (JSON, b'{"odata.error": {"code": "TableNotFound", "message": {"value": "x"}}}'),
    "a bad name": (
        JSON,
        (
            b'{"odata.error": {"code": "OutOfRangeInput", "message": {"value": '
            b'"The specified resource name length is not within the permissible limits"}}}'
        ),
    ),
    "odd rows": (JSON, b'{"value": [3, null, ' + ROW + b"]}"),
    "an odd row": (JSON, ROW),
    "an odd sequence": (JSON, b'{"sequence": "9999999999999999999"}'),
    "an odd Bundle": (JSON, b'{"resourceType": "Bundle", "entry": [7, {"resource": 3}, {"resource": {"id": []}}]}'),
    "an odd outcome": (JSON, b'{"resourceType": "OperationOutcome", "issue": [3, {"code": {}}]}'),
    "an odd statement": (JSON, b'{"resourceType": "CapabilityStatement", "fhirVersion": 4, "rest": 1}'),
    "an error": ("application/xml", b"<?xml version='1.0'?><Error><Code>Odd</Code></Error>"),
    "half of an element": ("application/xml", b"<?xml version='1.0'?><QueueMessagesList><Queue"),
    "an odd message": (
        "application/xml",
        (
            b"<?xml version='1.0'?><QueueMessagesList><QueueMessage><InsertionTime>x</InsertionTime></QueueMessage>"
            b"</QueueMessagesList>"
        ),
    ),
    "bytes": ("application/octet-stream", bytes(range(256))),
    "not UTF-8": (JSON, b"\xff\xfe\x00"),
    "an odd charset": ("text/plain; charset=nonsense", b"abc"),
    "depth": (JSON, b"[" * 100_000),
    "digits": (JSON, b'{"sequence": ' + b"9" * 5000 + b"}"),
}
# whole answers that are none
RAW = {
    "closed at once": b"",
    "no HTTP": b"\x00\x01 garbage\r\n\r\n",
    "HTTP/0.9": b"hello world",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an odd length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
    "broken gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip",
    "broken deflate": b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 8\r\n\r\nnot that",
    "an odd coding": b"HTTP/1.1 200 OK\r\nContent-Encoding: x-odd\r\nContent-Length: 2\r\n\r\n[]",
    "an odd location": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
    "an odd date": b"HTTP/1.1 503 x\r\nRetry-After: Mon, 99 Foo 20 x\r\nContent-Length: 0\r\n\r\n",
    "odd cookies": b"HTTP/1.1 500 x\r\nSet-Cookie: =;;;\xff\r\nContent-Length: 0\r\n\r\n",
    "a long header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
    "no number": b"HTTP/1.1 000 x\r\nContent-Length: 0\r\n\r\n",
}


def answers():
    """Every odd answer by its name."""
    yield from RAW.items()
    for status, (name, (kind, body)) in itertools.product(STATUSES, BODIES.items()):
        head = f"HTTP/1.1 {status} x\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
        content = b"" if status in (204, 304) else body
        yield f"{status} {name}", f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


class OddServer:
    """Answers `answer` to every request; closes the connection where the answer leaves open where it ends."""

    answer = b""

    def __init__(self):
        self.open = {}

    async def _serve(self, reader, writer):
        self.open[asyncio.current_task()] = writer
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
                writer.write(self.answer)
                await writer.drain()
                if self.answer in RAW.values():
                    break
        with contextlib.suppress(OSError, asyncio.CancelledError):
            writer.close()
            await writer.wait_closed()

    async def close(self):
        """End what clients left open."""
        for task, writer in self.open.items():
            writer.transport.abort()  # TLS waits half a minute for a client that says nothing
            task.cancel()
        await asyncio.gather(*self.open, return_exceptions=True)


@contextlib.asynccontextmanager
async def odd_server(certificate=None):
    """certificate: a PEM file with a key, for HTTPS."""
    odd = OddServer()
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(odd._serve, "127.0.0.1", 0, ssl=context)
    async with server:
        odd.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield odd
        await odd.close()
