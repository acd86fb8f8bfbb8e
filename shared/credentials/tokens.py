"""Access tokens for one service: kept until shortly before they end, and got anew once when the service refuses one.

However many requests wait, one token is asked for, and all take it, or fail with it.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import httpx

from shared.errors import TransientError
from shared.single_flight import SingleFlight

REFRESH_BEFORE_S = 300.0
# a token that lives for less than twice the above is refreshed when this part of its life is left
REFRESH_LEFT = 0.2
# one that is refused although it is newer than this would be refused again
NEW_S = 10.0


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is what a request carries; instants are seconds of time.time()."""

    text: str
    got_at: float
    refresh_at: float
    ends_at: float

    @classmethod
    def of(cls, text: str, ends_at: float) -> "Token":
        """A token that ends then."""
        now = time.time()
        return cls(text, now, ends_at - min(REFRESH_BEFORE_S, (ends_at - now) * REFRESH_LEFT), ends_at)

    def __repr__(self) -> str:
        """Without the token."""
        return f"Token(ends_at={self.ends_at:.0f})"


class Tokens(httpx.Auth):
    """Puts a token on every request of one service. `fetch` gets a new one; it raises the errors of `shared.errors`."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]]) -> None:
        self._fetch = fetch
        self._token: Token | None = None
        self._getting: SingleFlight[Token] = SingleFlight()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """A refused token is replaced once; what the service says to the next one stands."""
        token = await self._current()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED and (other := await self._instead_of(token)) != token:
            request.headers["Authorization"] = f"Bearer {other}"
            yield request

    async def _current(self) -> str:
        if self._token is not None and time.time() < self._token.refresh_at:
            return self._token.text
        return (await self._getting.run(self._refreshed)).text

    async def _refreshed(self) -> Token:
        """A new token; the old one goes on while it lives and no new one is to be had."""
        try:
            return await self._new()
        except TransientError:
            if self._token is None or time.time() >= self._token.ends_at:
                raise
            return self._token

    async def _new(self) -> Token:
        self._token = await self._fetch()
        return self._token

    async def _instead_of(self, refused: str) -> str:
        token = self._token
        if token is None or (token.text == refused and token.got_at < time.time() - NEW_S):
            token = await self._getting.run(self._new)
        return token.text
