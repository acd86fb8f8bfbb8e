"""A reverse proxy for one service that can fail on purpose. What no rule and no switch names passes as it is."""

import asyncio
import contextlib
import json
import socket
import struct
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from dev.proxy.call import Answer, Call
from dev.proxy.gate import Gate
from dev.proxy.microsoft import Microsoft, Switches
from dev.proxy.rules import Rule, Rules, Stats

HTML_PAGE = b"<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Please come back</h1></body></html>"
# of the refusals that are about what was sent
ISSUE_CODES = {400: "invalid", 409: "conflict", 412: "conflict", 422: "invalid", 429: "throttled"}
# these belong to one connection and not to the message (RFC 9110, 7.6.1)
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
ADDED_BY_AIOHTTP = ("Content-Type", "Date", "Server")
LARGEST_BODY = 256 * 1024 * 1024
# longer than any client keeps its connections, so that none is closed under a request
KEEP_ALIVE_S = 3600.0
UPSTREAM_TIMEOUT_S = 600.0
# what the client sends by itself unless told not to
NOT_ADDED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
# names of the headers that the service sent
ORIGINAL = web.ResponseKey("original", frozenset[str])


class Proxy:
    """Listens on 127.0.0.1 and passes every request that the gate lets through on to the origin of `to`."""

    def __init__(self, to: str, port: int = 0, gate: Gate | None = None) -> None:
        self._path = urlsplit(to).path
        self.lead_to(to)
        self._port = port
        self.gate = gate
        self.rules = Rules()
        self._late: set[asyncio.Task[None]] = set()
        self.microsoft = Microsoft(self._path.rstrip("/"), self._upstream)
        self._resources = contextlib.AsyncExitStack()

    def lead_to(self, url: str) -> None:
        """Pass requests on to another origin from now on; paths stay as they are."""
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"

    async def start(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=UPSTREAM_TIMEOUT_S)
        self._client = aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, skip_auto_headers=NOT_ADDED
        )
        self._resources.push_async_callback(self._client.close)
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_post("/_proxy/rules", self._set_rules)
        app.router.add_post("/_proxy/reset", self._reset)
        app.router.add_get("/_proxy/stats", self._stats)
        app.router.add_routes(self.admin_routes())
        if self.gate is not None:
            self._resources.push_async_callback(self.gate.close)
            app.router.add_patch("/_proxy/gate", self._set_gate)
        app.router.add_route("*", "/{path:.*}", self._serve)
        app.on_response_prepare.append(_without_additions)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=1)
        await runner.setup()
        self._resources.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", self._port, backlog=1024)
        await site.start()
        self.origin = "http://{}:{}".format(*runner.addresses[0][:2])
        self.url = self.origin + self._path
        return self

    def admin_routes(self) -> list[web.RouteDef]:
        """More routes that the proxy answers itself."""
        return []

    async def close(self) -> None:
        await self._resources.aclose()

    def use(self, rules: list[dict[str, Any]], seed: int = 0, fhir: dict[str, Any] | None = None) -> None:
        """Replace rules and switches; raises TypeError or ValueError on one that is unknown."""
        self.rules.use(rules, seed)
        self.microsoft.switches = Switches(**(fhir or {}))

    async def _set_rules(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
            self.use(body.get("rules", []), body.get("seed", 0), body.get("fhir"))
        except (ValueError, TypeError, AttributeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({})

    async def _reset(self, _: web.Request) -> web.Response:
        self.use([])
        self.rules.stats = Stats()
        if self.gate is not None:
            self.gate.reset()
        return web.json_response({})

    async def _set_gate(self, request: web.Request) -> web.Response:
        assert self.gate is not None
        try:
            self.gate.access = self.gate.access.patched(await request.json())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(self.gate.access.model_dump(mode="json"))

    async def _stats(self, _: web.Request) -> web.Response:
        gate = {} if self.gate is None else {"gate": self.gate.stats()}
        return web.json_response(self.rules.stats.to_json() | gate)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        try:
            call = Call(request.method, request.raw_path, headers, await request.read())
        except ConnectionResetError:  # whoever asked is gone
            return _cut(request)
        self.rules.stats.received(call)
        try:
            return await self._answer(call, request)
        except aiohttp.ClientError:  # the service itself is gone
            return _cut(request)

    async def _answer(self, call: Call, request: web.Request) -> web.StreamResponse:
        for rule in self.rules.draw(call):
            if rule.kind == "slow":
                async with rule.line:
                    await asyncio.sleep(rule.seconds)
            else:
                return await self._fail(rule, call, request)
        return self._relayed(await self._carry_out(call))

    async def _fail(self, rule: Rule, call: Call, request: web.Request) -> web.StreamResponse:
        match rule.kind:
            case "reset":
                return _cut(request)
            case "lose":
                await self._carry_out(call)
                return _cut(request)
            case "truncate":
                return await _half(self._relayed(await self._carry_out(call)), request)
            case "duplicate":
                answers = [await self._carry_out(call) for _ in range(2)]
                return self._relayed(answers[0 if rule.answer == "first" else 1])
            case _:
                if rule.late_s is not None:
                    task = asyncio.create_task(self._carry_out_later(call, rule.late_s))
                    self._late.add(task)
                    task.add_done_callback(self._late.discard)
                elif rule.carried_out:
                    await self._carry_out(call)
                return _refusal(rule)

    async def _carry_out_later(self, call: Call, seconds: float) -> None:
        """The service goes on though its answer is not waited for."""
        await asyncio.sleep(seconds)
        with contextlib.suppress(aiohttp.ClientError):
            await self._carry_out(call)

    async def _carry_out(self, call: Call) -> Answer:
        """Who may not pass is told so by the service, behind all faults of the way to it."""
        if self.gate is not None and (refusal := await self.gate.refusal(call)) is not None:
            return refusal
        carry_out = self.microsoft.carry_out if self.microsoft.concerns(call) else self._upstream
        return await carry_out(call)

    async def _upstream(self, call: Call) -> Answer:
        self.rules.stats.carried_out[call.method] += 1
        url = URL(self._origin + call.path, encoded=True)
        async with self._client.request(
            call.method, url, headers=CIMultiDict(call.headers), data=call.body or None, allow_redirects=False
        ) as answer:
            return Answer(answer.status, list(answer.headers.items()), await answer.read(), answer.reason)

    def _relayed(self, answer: Answer) -> web.Response:
        self.rules.stats.answered(answer)
        headers = CIMultiDict((name, value) for name, value in answer.headers if name.lower() not in HOP_BY_HOP)
        response = web.Response(status=answer.status, reason=answer.reason, headers=headers, body=answer.body)
        response[ORIGINAL] = frozenset(name.lower() for name in headers)
        return response


async def _without_additions(_: web.Request, response: web.StreamResponse) -> None:
    """What this library adds to every answer and the service did not say."""
    if ORIGINAL in response:
        for name in ADDED_BY_AIOHTTP:
            if name.lower() not in response[ORIGINAL]:
                response.headers.pop(name, None)


def _refusal(rule: Rule) -> web.Response:
    if rule.kind == "empty":
        return web.Response(status=rule.status)
    if rule.kind == "html":
        return web.Response(status=rule.status, body=HTML_PAGE, content_type="text/html")
    headers = {}
    if rule.retry_after_s is not None:
        headers["Retry-After"] = f"{rule.retry_after_s:g}"
    if rule.retry_after_ms is not None:
        headers["x-ms-retry-after-ms"] = str(rule.retry_after_ms)
    issue = {"severity": "error", "code": ISSUE_CODES.get(rule.status, "transient")}
    body = rule.body or json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
    return web.Response(status=rule.status, headers=headers, text=body, content_type="application/json")


async def _half(response: web.Response, request: web.Request) -> web.StreamResponse:
    """Half of the body under a Content-Length that announces the whole; the rest never comes."""
    body = response.body if isinstance(response.body, bytes) else b""
    half = web.StreamResponse(status=response.status, reason=response.reason, headers=response.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    return _cut(request) if body else half


def _cut(request: web.Request) -> web.StreamResponse:
    """End the connection with a reset, as a process that dies does."""
    transport = request.transport
    if transport is not None:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)
