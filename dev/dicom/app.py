"""The routes of the service (dicom-server: KnownRoutes.cs) as one ASGI application."""

from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dev.dicom import admin, changefeed, metadata, objects, partitions, qido, stow, update
from dev.dicom.call import Answer, Call, Endpoint, Refused, refusal
from dev.dicom.service import Service
from dev.dicom.wire import ChangingApp, FaultyApp

VERSIONS = {"1": 1, "1.0": 1, "1.0-prerelease": 1, "2": 2, "2.0": 2}
_SUPPORTED = "1.0-prerelease, 1.0, 2.0"
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
        routes.append(Route("/v{version}" + path, _versioned(answer), methods=[method]))
    for method, path, answer in PARTITIONED:
        endpoint = _versioned(partitions.partitioned(answer, creates=answer is stow.store))
        routes.append(Route("/v{version}" + path, endpoint, methods=[method]))
        routes.append(Route("/v{version}/partitions/{partition}" + path, endpoint, methods=[method]))
    app = Starlette(routes=routes, exception_handlers={Refused: refusal, Exception: _broken})
    app.router.redirect_slashes = False
    app.state.service = service
    return FaultyApp(ChangingApp(_Guard(app), service), service.faults)


async def health(_: Request) -> Response:
    """GET /health/check, without a version."""
    details = [{"name": "MetadataStore", "status": "Healthy", "description": "Successfully connected."}]
    return JSONResponse({"overallStatus": "Healthy", "details": details})


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
    return JSONResponse({"error": {"code": "UnsupportedApiVersion", "message": text, "innerError": None}}, 400)


class _Guard:
    """Refuses markup in the query string (dicom-server: QueryStringValidatorMiddleware.cs)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "<" in unquote(scope["query_string"].decode("latin-1")):
            refused = PlainTextResponse("The query string included invalid characters.", 400)
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)
