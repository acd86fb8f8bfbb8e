"""The Key Vault stand-in: list and get of secrets behind a challenge; `/_dev/` steers it."""

import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.identity.admin import StandIn
from dev.identity.guard import Guard
from dev.vault.contents import HOST, Contents, bundle, version_of
from dev.vault.refusals import DISABLED, NOT_FOUND, error, refused, told
from dev.vault.tunnel import Tunnel

LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
GET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"


class Vault(StandIn[Contents]):
    """identity: origin of the stand-in whose tokens count. authority: the one that challenges name."""

    def __init__(self, identity: str, authority: str, port: int) -> None:
        super().__init__(Contents())
        self._guard = Guard(identity)
        self._authority = authority
        self._tunnel = Tunnel(HOST, port)
        self._lists = 0
        self._gets: Counter[str] = Counter()

    def reset(self) -> None:
        """Empty, and nothing counted."""
        super().reset()
        self._tunnel.use(down=False)
        self._lists = 0
        self._gets.clear()
        self._guard.reset()

    def stats(self) -> dict[str, Any]:
        return {"lists": self._lists, "gets": dict(self._gets), **self._guard.stats()}

    def app(self, tunnel: socket.socket) -> Starlette:
        """`tunnel` listens for those who come by the real name."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with self._tunnel.running(tunnel):
                yield
            await self._guard.close()

        routes = [
            *self.admin_routes(),
            Route("/secrets", self._guarded(LIST, self._list)),
            Route("/secrets/{name}", self._guarded(GET, self._get)),
            Route("/secrets/{name}/{version:path}", self._guarded(GET, self._get)),
        ]
        return Starlette(routes=routes, lifespan=lifespan)

    async def _settings(self, request: Request) -> Response:
        answer = await super()._settings(request)
        self._tunnel.use(down=self.settings.down)
        return answer

    def _guarded(
        self, action: str, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if (rule := await self.faults.drawn(request)) is not None:
                return told(rule)
            refusal = await self._guard.refusal(request.headers.get("Authorization"), self.settings.access)
            if refusal is not None:
                return refused(refusal, self._authority, self.settings.challenge_resource, action)
            if "api-version" not in request.query_params:
                return error(400, "BadParameter", "api-version must be specified")
            return await endpoint(request)

        return answer

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        self._lists += "$skiptoken" not in query
        try:
            size = int(query["maxresults"]) if "maxresults" in query else None
            page = self.settings.page(query["api-version"], size, query.get("$skiptoken"))
        except ValueError as problem:
            return error(400, "BadParameter", str(problem))
        return JSONResponse(page)

    async def _get(self, request: Request) -> Response:
        asked, version = request.path_params["name"], request.path_params.get("version", "").strip("/")
        found = self.settings.find(asked)
        if found is None or version not in ("", version_of(*found)):
            return error(404, "SecretNotFound", NOT_FOUND.format(name=asked))
        name, secret = found
        if not secret.enabled:
            return error(403, "Forbidden", DISABLED, inner="SecretDisabled")
        self._gets[name] += 1
        return JSONResponse(bundle(name, secret))
