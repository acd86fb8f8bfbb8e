"""The identity stand-in: a managed identity endpoint, a token endpoint, and `/_dev/` to steer both."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.identity.admin import StandIn, refusing
from dev.identity.directory import Directory, made_up
from dev.identity.managed import ManagedIdentity
from dev.identity.oauth import TokenEndpoint
from dev.identity.tokens import TENANT, Tokens

MANAGED = "/msi/token"


class IdentityProvider(StandIn[Directory]):
    """All of the stand-in; `origin` is where it listens."""

    def __init__(self, origin: str) -> None:
        super().__init__(made_up())
        self.origin = origin
        self.authority = f"{origin}/{TENANT}"
        self.tokens = Tokens(self.authority)
        self.managed = ManagedIdentity(self.tokens, self.faults)
        self.oauth = TokenEndpoint(self.tokens, self.faults)

    def reset(self) -> None:
        """As it was at start: nothing counted, and no token is good any more."""
        super().reset()
        self.tokens.revoke()
        for counts in (self.tokens.counts, self.managed.refused, self.oauth.refused):
            counts.clear()

    def stats(self) -> dict[str, Any]:
        issued = [
            {"grant": grant, "client_id": client_id, "audience": audience, "count": count}
            for (grant, client_id, audience), count in self.tokens.counts.items()
        ]
        return {
            "issued": issued,
            "total": self.tokens.counts.total(),
            "refused": {"managed_identity": dict(self.managed.refused), "oauth2": dict(self.oauth.refused)},
        }

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                *self.admin_routes(),
                Route("/_dev/revoke", refusing(self._revoke), methods=["POST"]),
                Route("/_dev/introspect", self._introspect, methods=["POST"]),
                Route("/{tenant}/discovery/v2.0/keys", self._keys),
                Route(MANAGED, self._managed),
                Route("/{path:path}/token", self._token, methods=["POST"]),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _revoke(self, request: Request) -> Response:
        body = await request.json() if await request.body() else {}
        return JSONResponse({"revoked": self.tokens.revoke(body.get("client_id"))})

    async def _introspect(self, request: Request) -> Response:
        async with request.form() as form:
            return JSONResponse(self.tokens.introspect(str(form.get("token", ""))))

    async def _keys(self, _: Request) -> Response:
        return JSONResponse(self.tokens.keys())

    async def _managed(self, request: Request) -> Response:
        return await self.managed.answer(request, self.settings)

    async def _token(self, request: Request) -> Response:
        return await self.oauth.answer(request, self.settings)
