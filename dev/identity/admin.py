"""`/_dev/` of a stand-in: settings, faults, counts and a fresh start. JSON in and out; nothing of it is real."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.identity.faults import Faults
from dev.identity.settings import Settings

Endpoint = Callable[[Request], Awaitable[Response]]
Chosen = TypeVar("Chosen", bound=Settings)


def refusing(endpoint: Endpoint) -> Endpoint:
    """An endpoint that answers 400 to what it cannot take."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return answer


class StandIn(ABC, Generic[Chosen]):
    """What can be steered, and the routes that do it."""

    def __init__(self, settings: Chosen) -> None:
        self.settings = self.at_start = settings
        self.faults = Faults()

    @abstractmethod
    def stats(self) -> dict[str, Any]:
        """What was asked since the last reset."""

    def reset(self) -> None:
        """As it was at start."""
        self.settings = self.at_start
        self.faults.use([])

    def admin_routes(self) -> list[Route]:
        return [
            Route("/_dev/settings", refusing(self._settings), methods=["GET", "PATCH"]),
            Route("/_dev/faults", refusing(self._faults), methods=["POST"]),
            Route("/_dev/reset", self._reset, methods=["POST"]),
            Route("/_dev/stats", self._stats),
        ]

    async def _settings(self, request: Request) -> Response:
        if request.method == "PATCH":
            self.settings = self.settings.patched(await request.json())
        return JSONResponse(self.settings.model_dump(mode="json"))

    async def _faults(self, request: Request) -> Response:
        self.faults.use(await request.json())
        return JSONResponse({})

    async def _reset(self, _: Request) -> Response:
        self.reset()
        return JSONResponse({})

    async def _stats(self, _: Request) -> Response:
        return JSONResponse(self.stats())
