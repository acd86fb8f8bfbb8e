"""HTTP triggers under the route prefix, and the admin routes that people use by hand.

Keys are checked as in Azure; Core Tools on a developer's machine would let every request pass.
"""

import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import azure.functions as func
from azure.functions.queue import QueueMessage
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.host.index import Function
from dev.host.timers import timer_request
from dev.host.worker import Worker

# {name:constraint} and {*rest} of ASP.NET; of the constraints only int and the catch-all have a meaning here
_PARAMETER = re.compile(r"\{(\*?)(\w+)(:\w+)?[^}]*\}")

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Keys:
    """The host's keys: `function` opens functions, `master` opens everything."""

    function: str
    master: str

    def open(self, level: str, request: Request) -> bool:
        if level == "anonymous":
            return True
        given = (request.headers.get("x-functions-key") or request.query_params.get("code") or "").encode()
        accepted = [self.master] if level == "admin" else [self.master, self.function]
        return any(secrets.compare_digest(given, key.encode()) for key in accepted)


def application(functions: list[Function], worker: Worker, keys: Keys, route_prefix: str) -> Starlette:
    """The web application of one host."""
    routes = [_route(each, worker, keys, route_prefix) for each in functions if each.kind == "http"]
    routes += [
        Route("/admin/host/status", _guarded(_status, "admin", keys), methods=["GET"]),
        Route("/admin/functions/{name}", _guarded(_trigger(functions, worker), "admin", keys), methods=["POST"]),
    ]
    return Starlette(routes=routes)


def _guarded(endpoint: Endpoint, level: str, keys: Keys) -> Endpoint:
    async def guarded(request: Request) -> Response:
        return await endpoint(request) if keys.open(level, request) else Response(status_code=401)

    return guarded


def _route(function: Function, worker: Worker, keys: Keys, prefix: str) -> Route:
    async def run(request: Request) -> Response:
        argument = func.HttpRequest(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            params=dict(request.query_params),
            route_params={name: str(value) for name, value in request.path_params.items()},
            body=await request.body(),
        )
        try:
            result = await worker.run(function, argument, f"{request.method} request")
        except Exception:  # noqa: BLE001 - the worker logged it; the caller learns no more than from the real host
            return Response(status_code=500)
        return _response(result)

    path = _PARAMETER.sub(_parameter, str(function.trigger.get("route") or function.name)).strip("/")
    methods = function.trigger.get("methods") or ["GET", "POST"]
    level = str(function.trigger.get("authLevel", "function")).lower()
    return Route("/" + f"{prefix}/{path}".strip("/"), _guarded(run, level, keys), methods=methods)


def _parameter(match: re.Match[str]) -> str:
    catch_all, name, constraint = match.groups()
    if catch_all:
        return f"{{{name}:path}}"
    return f"{{{name}:int}}" if constraint == ":int" else f"{{{name}}}"


def _response(result: object) -> Response:
    if result is None:
        return Response(status_code=204)
    if not isinstance(result, func.HttpResponse):
        return Response(str(result), media_type="text/plain")
    response = Response(result.get_body(), status_code=result.status_code)
    for name, value in result.headers.items():
        response.headers.append(name, value)
    if "content-type" not in response.headers:
        charset = f"; charset={result.charset}" if result.mimetype.startswith("text/") else ""
        response.headers["content-type"] = result.mimetype + charset
    return response


async def _status(_request: Request) -> Response:
    return JSONResponse({"state": "Running", "standIn": True})


def _trigger(functions: list[Function], worker: Worker) -> Endpoint:
    """Run a timer or queue function now, beside its own schedule; the answer does not wait for it."""
    by_name = {function.name.lower(): function for function in functions if function.kind != "http"}

    async def trigger(request: Request) -> Response:
        function = by_name.get(request.path_params["name"].lower())
        if function is None:
            return Response(status_code=404)
        content = await request.json() if await request.body() else {}
        text = str(content.get("input") or "")
        argument = timer_request() if function.kind == "timer" else _hand_made(text)

        async def run() -> None:
            try:
                await worker.run(function, argument, "asked for by hand")
            except Exception:  # noqa: BLE001 - the worker logged it
                return

        return Response(status_code=202, background=BackgroundTask(run))

    return trigger


def _hand_made(text: str) -> func.QueueMessage:
    now = datetime.now(UTC)
    message: func.QueueMessage = QueueMessage(  # type: ignore[no-untyped-call]
        id=secrets.token_hex(16),
        body=text,
        dequeue_count=1,
        insertion_time=now,
        expiration_time=now + timedelta(days=7),
    )
    return message
