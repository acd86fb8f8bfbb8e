"""The gateway in front of the service: it counts traffic, answers in its place, delays, cuts and changes answers.

A connection is cut on its transport when there is one. In-process clients have none: there, what an HTTP client would
see is raised instead.
"""

import asyncio
import socket
from http import HTTPStatus
from typing import Any

import httpx
import uvicorn.protocols.http.h11_impl
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dev.dicom.faults import Faults, Rule, route_of
from dev.dicom.service import Service

HTML_PAGE = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>Please come back</h1></body></html>"
_TRANSPORTS: dict[Any, asyncio.Transport] = {}


class Protocol(uvicorn.protocols.http.h11_impl.H11Protocol):
    """HTTP/1.1 that remembers which transport a client is on, so that a fault can close it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does it only for sockets that name their protocol; without it every answer waits for a delayed ACK
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _TRANSPORTS[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _TRANSPORTS.pop(self.client, None)
        super().connection_lost(exc)


class FaultyApp:
    """Counts, then lets the rules act, then serves."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = route_of(scope["method"], scope["path"])
        if route == "admin":
            await self._app(scope, receive, send)
            return
        self._faults.stats.requests[route][scope["method"]] += 1
        await self._act(self._faults.draw(route, scope["query_string"]), scope, *self._counted(receive, send))

    def _counted(self, receive: Receive, send: Send) -> tuple[Receive, Send]:
        stats = self._faults.stats

        async def counted_receive() -> Message:
            message = await receive()
            stats.bytes_in += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                stats.statuses[str(message["status"])] += 1
            stats.bytes_out += len(message.get("body", b""))
            await send(message)

        return counted_receive, counted_send

    async def _act(self, rules: list[Rule], scope: Scope, receive: Receive, send: Send) -> None:
        for rule in rules:
            match rule.kind:
                case "delay":
                    await asyncio.sleep(rule.seconds)
                case "drop":
                    return await _cut(scope, receive)
                case "drop_after":
                    await self._app(scope, receive, _Held())
                    return await _cut(scope, receive)
                case "truncate":
                    held = _Held()
                    await self._app(scope, receive, held)
                    return await _send_half(held, scope, receive, send)
                case _:
                    return await _instead(rule)(scope, receive, send)
        return await self._app(scope, receive, send)


class ChangingApp:
    """Serves, and changes the rows and metadata that pass as the gateway was asked to."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = route_of(scope["method"], scope["path"]) if scope["type"] == "http" else ""
        if not self._service.gateway.changes(route):
            await self._app(scope, receive, send)
            return
        held = _Held()
        await self._app(scope, receive, held)
        body = held.body
        if held.start["status"] == HTTPStatus.OK and body:
            body = self._service.gateway.changed(route, body)
        await _send(held, body, send)


class CutShort(Response):
    """An answer of unsaid length whose connection is cut behind the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await _cut(scope, receive)


class _Held:
    """An answer kept back."""

    def __init__(self) -> None:
        self.start: Message = {}
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        self.body += message.get("body", b"")


def _instead(rule: Rule) -> Response:
    """The answer a rule gives in place of the service."""
    if rule.kind == "html":
        return HTMLResponse(HTML_PAGE)
    wait = rule.retry_after_s
    headers = rule.headers if wait is None else {**rule.headers, "Retry-After": f"{wait:g}"}
    if rule.body == "html":
        return HTMLResponse(HTML_PAGE, rule.status, headers)
    return PlainTextResponse(rule.body, rule.status, headers)


async def _send_half(held: _Held, scope: Scope, receive: Receive, send: Send) -> None:
    """Half of the body under a Content-Length that announces the whole."""
    await _send(held, held.body, send, said=len(held.body) // 2)
    await _cut(scope, receive)


async def _send(held: _Held, body: bytes, send: Send, said: int | None = None) -> None:
    """An answer that was kept back, with this body; only the first bytes of it where `said` is a number."""
    headers = [(name, value) for name, value in held.start["headers"] if name != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({**held.start, "headers": headers})
    await send({"type": "http.response.body", "body": body[:said], "more_body": said is not None})


async def _cut(scope: Scope, receive: Receive) -> None:
    transport = _TRANSPORTS.get(tuple(scope.get("client") or ()))
    if transport is None:
        raise httpx.RemoteProtocolError("the stand-in cut the connection")
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
