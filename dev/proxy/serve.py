"""`python -m dev proxy`: a proxy before one service of the stack, to make it fail."""

import asyncio
import signal
from typing import Annotated

import typer

from dev.process import announce, exit_with_parent
from dev.proxy.server import Proxy


def command(
    to: Annotated[str, typer.Option(help="URL of the service: DICOM, FHIR, tables or queues.")],
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 0,
) -> None:
    """A reverse proxy that fails on purpose: `POST /_proxy/rules`, `GET /_proxy/stats`; nothing else is rewritten."""
    exit_with_parent()
    asyncio.run(_run(to, port))


async def _run(to: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    proxy = await Proxy(to, port).start()
    try:
        announce(part="proxy", url=proxy.url, to=to, admin=f"{proxy.origin}/_proxy")
        await stop.wait()
    finally:
        await proxy.close()
