"""Serve an ASGI application as a part of the stack: it says when it is ready and ends without a word."""

import logging
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from dev.process import announce

BACKLOG = 2048
# longer than any client keeps its connections, so that none is closed under a request
KEEP_ALIVE_S = 3600


def listen(port: int) -> socket.socket:
    """A socket that accepts connections on 127.0.0.1; 0 picks a free port."""
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(BACKLOG)
    return listening


def origin_of(listening: socket.socket, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"


class _Server(uvicorn.Server):
    """Says when it listens, and ends without reporting the requests it had to cancel."""

    def __init__(self, config: uvicorn.Config, ready: dict[str, Any]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        announce(**self._ready)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def serve(app: ASGIApp, listening: socket.socket, ready: dict[str, Any], **options: Any) -> None:
    """Announce `ready` and serve until SIGTERM; `options` are uvicorn's."""
    config = uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
        **options,
    )
    _Server(config, ready).run(sockets=[listening])
