"""The routes of the service (dicom-server: KnownRoutes.cs) as one ASGI application."""

import re
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dev.dicom import admin, changefeed, metadata, objects, partitions, qido, stow, update
from dev.dicom.call import JSON, Answer, Call, Endpoint, Refused, encode, refusal
from dev.dicom.service import Service
from dev.dicom.wire import ChangingApp, FaultyApp

VERSIONS = {"1": 1, "1.0": 1, "1.0-prerelease": 1, "2": 2, "2.0": 2}
_SUPPORTED = "1.0-prerelease, 1, 2"
# what the server takes: of a request line, and of all headers
_TARGET_BYTES, _HEADER_BYTES = 8_192, 32_768
_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"

UNPARTITIONED: list[tuple[str, str, Answer]] = [
    ("GET", "/changefeed", changefeed.page),
    ("GET", "/changefeed/latest", changefeed.latest),
    ("GET", "/operations/{operation}", update.operation),
    ("GET", "/partitions", partitions.partitions),
]
PARTITIONED: list[tuple[str, str, Answer]] = [
    ("POST", "/studies/$bulkUpdate", update.bulk_update),
    ("POST", "/studies", stow.store),
    ("POST", _STUDY, stow.store),
    *(("GET", f"{path}/metadata", metadata.metadata) for path in (_STUDY, _SERIES, _INSTANCE)),
    *(("GET", path, objects.objects) for path in (_STUDY, _SERIES, _INSTANCE)),
    *(("GET", f"/{resource}", qido.search(resource)) for resource in ("studies", "series", "instances")),
    ("GET", _STUDY + "/series", qido.search("study/series")),
    ("GET", _STUDY + "/instances", qido.search("study/instances")),
    ("GET", _SERIES + "/instances", qido.search("series/instances")),
    *(("DELETE", path, metadata.delete) for path in (_STUDY, _SERIES, _INSTANCE)),
]


def make_app(service: Service) -> ASGIApp:
    """The service, and the gateway in front of it."""
    routes = [*admin.ROUTES, Route("/health/check", health)]
    for method, path, answer in UNPARTITIONED:
        routes.append(_route("/v{version}" + path, _versioned(answer), method))
    for method, path, answer in PARTITIONED:
        endpoint = _versioned(partitions.partitioned(answer, creates=answer is stow.store))
        routes.append(_route("/v{version}" + path, endpoint, method))
        routes.append(_route("/v{version}/partitions/{partition}" + path, endpoint, method))
    handlers = {Refused: refusal, HTTPException: _empty, Exception: _broken}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    app.state.service = service
    return FaultyApp(ChangingApp(_Guard(app), service), service.faults)


def _route(path: str, endpoint: Endpoint, method: str) -> Route:
    """A route of one method, HEAD not included, in any case and with or without a slash at its end."""
    route = Route(path, endpoint, methods=[method])
    route.methods = {method}
    route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + "/?$", re.IGNORECASE)
    return route


def _empty(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Response(status_code=error.status_code, headers=error.headers)


async def health(_: Request) -> Response:
    """GET /health/check, without a version."""
    details = [{"name": "DcmHealthCheck", "status": "Healthy", "description": "Successfully connected."}]
    return Response(encode({"overallStatus": "Healthy", "details": details}), media_type=JSON)


def _broken(_: Request, __: Exception) -> Response:
    return PlainTextResponse("There was an error processing the request.", 500)


def _versioned(answer: Answer) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        text = request.path_params["version"]
        version = VERSIONS.get(text)
        if version is None:
            return _unsupported(request, text)
        try:
            response = await answer(Call(request, request.app.state.service, version))
        except Refused as refused:
            response = refusal(request, refused)
        response.headers["api-supported-versions"] = _SUPPORTED
        return response

    return endpoint


def _unsupported(request: Request, version: str) -> Response:
    if not version[:1].isdigit():
        return Response(status_code=404)
    text = (
        f"The HTTP resource that matches the request URI '{request.url}' does not support the API version '{version}'."
    )
    return Response(encode({"error": {"code": "UnsupportedApiVersion", "message": text}}), 400, media_type=JSON)


def _too_large(scope: Scope) -> int | None:
    """414 or 431 where the request line or the headers are longer than the server takes."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > _TARGET_BYTES:
        return 414
    return 431 if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > _HEADER_BYTES else None


class _Guard:
    """Refuses what is too long, and markup in the query string (dicom-server: QueryStringValidatorMiddleware.cs)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (status := _too_large(scope)):
            await Response(status_code=status, headers={"Connection": "close"})(scope, receive, send)
            return
        if scope["type"] == "http" and "<" in unquote(scope["query_string"].decode("latin-1")):
            refused = PlainTextResponse("The query string included invalid characters.", 400)
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)
