"""A pass-through before one of Microsoft's servers, with the admin routes of the stand-ins: empty, dump, count, fail.

Microsoft's servers have no such routes. Content is read and removed through their public interface, or they are started
again; requests are counted and made to fail on the way.
"""

import asyncio
import signal
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import httpx
from aiohttp import web

from dev import dicom_server, fhir_server
from dev.dicom.faults import ROUTES, route_of
from dev.dicom.gateway import Gateway
from dev.held_feed import HeldFeed
from dev.microsoft import STOP_TIMEOUT_S, start_program, wait_until_answers
from dev.process import announce, exit_with_parent, free_port
from dev.proxy.call import Answer, Call
from dev.proxy.rules import Stats
from dev.proxy.server import Proxy

Rule = dict[str, Any]
Ready = dict[str, str]
KINDS = {
    "status": "status",
    "delay": "slow",
    "truncate": "truncate",
    "drop": "reset",
    "drop_after": "lose",
    "html": "html",
}
FHIR_ROUTES: dict[str, Rule] = {
    "*": {},
    # reads that are sent together come to the same path
    "transaction": {"methods": ["POST"], "path": r"^/(\?|$)", "holds": '"type":"transaction"'},
    "search": {"path": r"^/\w+/_search|^/\w+\?"},
}
WITH_METADATA = r"/changefeed(?!.*includeMetadata=false)"
PAGE = 1000
ENTRIES = 500  # the most that the server takes at once


@dataclass(slots=True)
class RouteStats(Stats):
    """Requests by kind of route and method, and the sizes of bodies."""

    routes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def received(self, call: Call) -> None:
        Stats.received(self, call)
        self.routes[route_of(call.method, call.path.partition("?")[0])][call.method] += 1

    def to_json(self) -> dict[str, Any]:
        return Stats.to_json(self) | {"requests": {name: dict(methods) for name, methods in self.routes.items()}}


class Program:
    """One of Microsoft's servers, started by this process, and again on request."""

    def __init__(self, name: str, probe: str, env: dict[str, str]) -> None:
        port = free_port()
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self._probe = self.url + probe
        self._env = {"PORT": str(port), **env}

    def start(self) -> httpx.Response:
        self._child = start_program(self.name, env=self._env)
        return wait_until_answers(self._child, self.name, self._probe)

    def stop(self) -> None:
        self._child.terminate()
        try:
            self._child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


class DicomServer:
    """Is emptied by a restart, after which its change feed begins at 1."""

    def __init__(self, env: dict[str, str]) -> None:
        self.program = Program(dicom_server.NAME, dicom_server.PROBE, env)
        self.gateway = Gateway()
        self._held = HeldFeed(self.program.url)

    def start(self) -> Ready:
        """Start it; what it tells of itself."""
        self.program.start()
        return {}

    def stats(self) -> Stats:
        return RouteStats()

    def where(self, rule: Rule) -> Rule:
        """Take out of a rule of the stand-in on which requests it acts; the same for the proxy."""
        route = rule.pop("route", "*")
        if rule.pop("only_with_metadata", False):
            return {"path": WITH_METADATA}
        paths = [pattern.pattern for name, pattern in ROUTES if name == route]
        if route != "*" and not paths:
            raise ValueError(f"no route of the name {route}")
        return {"path": "|".join(rf"^(?i:{path})(\?|$)" for path in paths)}

    async def empty(self) -> None:
        self.gateway = Gateway()
        self._held.release()
        await asyncio.to_thread(self.program.stop)
        await asyncio.to_thread(self.program.start)

    def shape(self, wishes: Rule) -> None:
        """Have rows held back and released, and the gateway change rows and metadata."""
        rest = dict(wishes)
        if rest.pop("hold", 0):
            self._held.hold()
        if release := rest.pop("release", None):
            self._held.release(None if release is True else release)
        self.gateway.use(rest)

    def passed(self, call: Call, answer: Answer) -> Answer:
        """The answer as the gateway was asked to change it."""
        route = route_of(call.method, call.path.partition("?")[0])
        answer = self._held.passed(route, answer)
        if answer.status != HTTPStatus.OK or not answer.body or not self.gateway.changes(route):
            return answer
        return replace(answer, body=self.gateway.changed(route, answer.body))

    async def dump(self) -> list[Rule]:
        raise ValueError("read it through the change feed")

    async def close(self) -> None:
        self._held.close()
        await asyncio.to_thread(self.program.stop)


class FhirServer:
    """Is read by a search of the whole server, and emptied by deletes that leave no trace."""

    def __init__(self) -> None:
        self.program = Program(fhir_server.NAME, fhir_server.PROBE, {})
        self._http = httpx.AsyncClient(base_url=self.program.url, timeout=120, trust_env=False)

    def start(self) -> Ready:
        """As above."""
        return {"version": fhir_server.version_of(self.program.start())}

    def stats(self) -> Stats:
        return Stats()

    def where(self, rule: Rule) -> Rule:
        """As above."""
        holds = {"holds": rule.pop("holds")} if "holds" in rule else {}
        return {**FHIR_ROUTES[rule.pop("route", "*")], **holds}

    async def empty(self) -> None:
        while found := await self.dump():
            names = [f"{one['resourceType']}/{one['id']}" for one in found[:ENTRIES]]
            deletes = [{"request": {"method": "DELETE", "url": f"{name}?hardDelete=true"}} for name in names]
            bundle = {"resourceType": "Bundle", "type": "batch", "entry": deletes}
            (await self._http.post("/", json=bundle)).raise_for_status()

    def shape(self, _: Rule) -> None:
        """There is no feed."""
        raise ValueError("a FHIR server has no change feed")

    def passed(self, _: Call, answer: Answer) -> Answer:
        """The answer as it is."""
        return answer

    async def dump(self) -> list[Rule]:
        found: list[Rule] = []
        url: str | None = f"/?_count={PAGE}"
        while url:
            page = (await self._http.get(url)).raise_for_status().json()
            found += [entry["resource"] for entry in page.get("entry", [])]
            url = next((link["url"] for link in page.get("link", []) if link["relation"] == "next"), None)
        return found

    async def close(self) -> None:
        await self._http.aclose()
        await asyncio.to_thread(self.program.stop)


class Front(Proxy):
    """The proxy before a server."""

    def __init__(self, server: DicomServer | FhirServer, port: int) -> None:
        self._server = server
        super().__init__(server.program.url, port)
        self.rules.stats = server.stats()

    def admin_routes(self) -> list[web.RouteDef]:
        return [
            web.post("/_dev/reset", self._empty),
            web.post("/_dev/faults", self._fail_as_told),
            web.post("/_dev/feed", self._shape),
            web.get("/_dev/dump", self._dump),
            web.get("/_dev/stats", self._counts),
            web.route("*", "/_dev/{path:.*}", _unknown),
        ]

    async def _upstream(self, call: Call) -> Answer:
        return self._server.passed(call, await super()._upstream(call))

    async def _shape(self, request: web.Request) -> web.Response:
        """What a gateway before the DICOM service can do to its feed; the service's own numbering it cannot change."""
        try:
            self._server.shape(await request.json())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return web.json_response({"error": f"not to be had before this server: {error}"}, status=400)
        return web.json_response({})

    async def _empty(self, _: web.Request) -> web.Response:
        await self._server.empty()
        self.use([])
        self.rules.stats = self._server.stats()
        return web.json_response({})

    async def _fail_as_told(self, request: web.Request) -> web.Response:
        try:
            self.use([self._rule(each) for each in await request.json()])
        except (KeyError, TypeError, ValueError) as error:
            return web.json_response({"error": f"not to be had before this server: {error}"}, status=400)
        return web.json_response({})

    def _rule(self, told: Rule) -> Rule:
        """A rule of the stand-ins as one of the proxy."""
        rest = dict(told)
        where = self._server.where(rest)
        kind = KINDS[rest.pop("kind", "status")]
        if rest.get("body") == "html":
            del rest["body"]
            kind = "html"
        if kind == "html":
            rest.setdefault("status", 200)
        return {"kind": kind, **where, **rest}

    async def _dump(self, _: web.Request) -> web.Response:
        return web.json_response(await self._server.dump())

    async def _counts(self, _: web.Request) -> web.Response:
        return web.json_response(self.rules.stats.to_json())


async def _unknown(request: web.Request) -> web.Response:
    return web.json_response({"error": f"Microsoft's server has nothing like {request.path}"}, status=404)


def run(server: DicomServer | FhirServer, port: int) -> None:
    """Run a server with a front before it until SIGTERM."""
    exit_with_parent()
    asyncio.run(_run(server, port))


async def _run(server: DicomServer | FhirServer, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    told = await asyncio.to_thread(server.start)
    front = await Front(server, port).start()
    try:
        announce(part=server.program.name, url=front.url, admin=f"{front.origin}/_dev", **told)
        await stop.wait()
    finally:
        await front.close()
        await server.close()
