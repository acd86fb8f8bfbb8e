"""`python -m dev proxy`: a proxy before one service of the stack, to make it fail or ask for tokens."""

import asyncio
import signal
from typing import Annotated

import typer

from dev.identity.guard import Access
from dev.identity.tokens import TENANT
from dev.process import announce, exit_with_parent
from dev.proxy.gate import Gate
from dev.proxy.server import Proxy


def command(
    to: Annotated[str, typer.Option(help="URL of the service: DICOM, FHIR, tables or queues.")],
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 0,
    identity: Annotated[str | None, typer.Option(help="Ask for tokens of the identity stand-in at this URL.")] = None,
    audience: Annotated[list[str] | None, typer.Option(help="Whom tokens must be for; may be repeated.")] = None,
    role: Annotated[str | None, typer.Option(help="The role that tokens must name.")] = None,
) -> None:
    """A reverse proxy that fails on purpose and can ask for tokens: /_proxy/rules, /_proxy/gate, /_proxy/stats.

    Nothing else is rewritten.
    """
    exit_with_parent()
    asyncio.run(_run(to, port, _gate(identity, audience or [], role)))


def _gate(identity: str | None, audiences: list[str], role: str | None) -> Gate | None:
    if identity is None and not audiences and role is None:
        return None
    if identity is None or not audiences:
        raise typer.BadParameter("a gate needs --identity and --audience")
    return Gate(identity, f"{identity}/{TENANT}", Access(audiences=tuple(audiences), role=role))


async def _run(to: str, port: int, gate: Gate | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    proxy = await Proxy(to, port, gate).start()
    try:
        announce(part="proxy", url=proxy.url, to=to, admin=f"{proxy.origin}/_proxy")
        await stop.wait()
    finally:
        await proxy.close()
