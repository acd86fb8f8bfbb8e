"""HTTP triggers under the route prefix, and the admin routes that people use by hand.

Keys are checked as in Azure; Core Tools on a developer's machine would let every request pass.
"""

import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dev.host.errors import BindingError
from dev.host.frames import Answer
from dev.host.index import Function
from dev.host.timers import timer_request
from dev.host.worker import FunctionFailed, Worker, WorkerDied

# {name:constraint} and {*rest} of ASP.NET; of the constraints only int and the catch-all have a meaning here
_PARAMETER = re.compile(r"\{(\*?)(\w+)(:\w+)?[^}]*\}")

# what the host has of its own; a function's route must not begin like them
_RESERVED = ("admin", "runtime")

_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

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


def application(routes: list[Route], functions: list[Function], worker: Worker, keys: Keys) -> Starlette:
    """The web application of one host: its functions' routes and the host's own."""
    return Starlette(
        routes=[
            *routes,
            Route("/", _root, methods=["GET"]),
            Route("/admin/host/status", _guarded(_status, "admin", keys), methods=["GET"]),
            Route("/admin/functions/{name}", _guarded(_trigger(functions, worker), "admin", keys), methods=["POST"]),
        ],
        # no route for a method is no route
        exception_handlers={405: _not_found, 404: _not_found},
    )


def _guarded(endpoint: Endpoint, level: str, keys: Keys) -> Endpoint:
    async def guarded(request: Request) -> Response:
        return await endpoint(request) if keys.open(level, request) else Response(status_code=401)

    return guarded


def route(function: Function, worker: Worker, keys: Keys, prefix: str) -> Route:
    """The route of an HTTP function; raises BindingError where it is one of the host's own."""
    template = str(function.trigger.get("route") or function.name)
    if template.lower().startswith(_RESERVED):
        raise BindingError("The specified route conflicts with one or more built in routes.")

    async def run(request: Request) -> Response:
        argument = {
            "method": request.method,
            "url": str(request.url),
            "headers": dict(request.headers),
            "params": dict(request.query_params),
            "route_params": {name: str(value) for name, value in request.path_params.items()},
            "body": await request.body(),
        }
        try:
            answer: Answer = await worker.run(function, argument, f"{request.method} request")
        except (FunctionFailed, WorkerDied, TimeoutError):
            return Response(status_code=500)
        response = Response(answer.body, answer.status)
        for name, value in answer.headers:
            response.headers.append(name, value)
        return response

    path = _PARAMETER.sub(_parameter, template).strip("/")
    methods = [str(each).upper() for each in function.trigger.get("methods") or ()]
    level = str(function.trigger.get("authLevel", "function")).lower()
    found = Route("/" + f"{prefix}/{path}".strip("/"), _guarded(run, level, keys), methods=methods or _ALL_METHODS)
    # no HEAD beside GET, and paths in any case, as Microsoft's host has it
    found.methods = set(methods or _ALL_METHODS)
    found.path_regex = re.compile(found.path_regex.pattern, re.IGNORECASE)
    return found


def _parameter(match: re.Match[str]) -> str:
    catch_all, name, constraint = match.groups()
    if catch_all:
        return f"{{{name}:path}}"
    return f"{{{name}:int}}" if constraint == ":int" else f"{{{name}}}"


async def _not_found(_request: Request, _error: Exception) -> Response:
    return Response(status_code=404)


async def _root(_request: Request) -> Response:
    return PlainTextResponse("The stand-in for the Azure Functions host is up and running.")


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
            except (FunctionFailed, WorkerDied, TimeoutError):
                return  # the worker logged it

        return Response(status_code=202, background=BackgroundTask(run))

    return trigger


def _hand_made(text: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": secrets.token_hex(16),
        "body": text.encode(),
        "dequeue_count": 1,
        "insertion_time": now,
        "expiration_time": now + timedelta(days=7),
    }
