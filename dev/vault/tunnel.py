"""The way to the vault under its real name: an HTTP proxy that knows one destination.

Clients of Key Vault check that the resource of a challenge is a parent domain of the host they asked, so a vault on
127.0.0.1 could only be reached with that check off. With HTTPS_PROXY naming this proxy they ask for
https://….vault.azure.net as in production, every check on, and come out on loopback.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection Established\r\n\r\n"
CHUNK = 64 * 1024


class Tunnel:
    """CONNECT to `host`:443 leads to `port` on 127.0.0.1, to anything else nowhere."""

    def __init__(self, host: str, port: int) -> None:
        self._destination = f"CONNECT {host}:443 ".encode()
        self._port = port
        self._open: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        self._down = False

    @contextlib.asynccontextmanager
    async def running(self, listening: socket.socket) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, sock=listening)
        try:
            yield
        finally:
            server.close()
            self._cut()
            await asyncio.gather(*self._open)

    def use(self, *, down: bool) -> None:
        """Down: connections are taken and cut at once, and so are those that are open."""
        self._down = down
        if down:
            self._cut()

    def _cut(self) -> None:
        for writer in self._open.values():
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            # a client that goes away in the middle is nothing to report
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._connect(reader, writer)
        finally:
            del self._open[task]
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self._down:
            writer.transport.abort()
        elif not head.lower().startswith(self._destination.lower()):
            writer.write(FORBIDDEN)
        else:
            vault_reader, vault_writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(ESTABLISHED)
            await asyncio.gather(_pump(reader, vault_writer), _pump(vault_reader, writer))
            vault_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way until either end is gone."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
