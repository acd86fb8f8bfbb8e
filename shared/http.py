"""HTTP for both services: client, the one table from status to error, Retry-After, retry of repeatable requests."""

import json
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar

import httpx
import stamina

from shared.errors import (
    Misconfigured,
    Rejected,
    SyncError,
    Throttled,
    TransientError,
    Unavailable,
    VersionConflict,
)

TIMEOUT = httpx.Timeout(60.0, connect=10.0, pool=60.0)
LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=16)

# what an Unavailable is about, where that matters
UNREADABLE = "unreadable"
SERVER_ERROR = "server-error"

REPEATS = 3
REPEAT_WAIT_S = 0.2
REPEAT_WAIT_MAX_S = 2.0
# nobody who asks for more means it
LONGEST_WAIT_S = 24 * 3600.0

T = TypeVar("T")


def new_client(base_url: str, auth: httpx.Auth | None) -> httpx.AsyncClient:
    """A client for one service. Proxies and certificates come from nowhere but the system's store."""
    return httpx.AsyncClient(
        base_url=base_url.rstrip("/") + "/",
        auth=auth,
        timeout=TIMEOUT,
        limits=LIMITS,
        trust_env=False,
        follow_redirects=False,
        verify=_certificates(),
    )


@cache
def _certificates() -> ssl.SSLContext:
    """Reading them takes longer than everything else at start, so it is done once for all clients."""
    return httpx.create_ssl_context(trust_env=False)


async def send(client: httpx.AsyncClient, service: str, request: httpx.Request) -> httpx.Response:
    """Send one request, read the whole answer; a failed transport becomes Unavailable."""
    try:
        return await client.send(request)
    except httpx.HTTPError as error:
        # connection errors before anything was sent cannot have been carried out
        unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        raise Unavailable(f"{service} gave no answer ({type(error).__name__})", outcome_unknown=not unsent) from None
    except (httpx.InvalidURL, httpx.CookieConflict) as error:
        raise Misconfigured(f"{service} cannot be addressed ({type(error).__name__})") from None


def json_of(service: str, response: httpx.Response) -> Any:
    """The JSON body. A proxy's HTML page means that the service is not itself right now; JSON that cannot be read will
    not be better next time, and has its own code.
    """
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        code = UNREADABLE if "json" in response.headers.get("content-type", "") else None
        raise Unavailable(
            f"{service} answered {response.status_code} with a body that is not JSON", code=code
        ) from None


def error_for(service: str, response: httpx.Response) -> SyncError:
    """The error that an unsuccessful status stands for."""
    status = response.status_code
    message = f"{service} answered {status}"
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled(message, retry_after_s=retry_after_s(response))
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return Misconfigured(f"{message}: check the app's identity, its role and the audience", code="access-refused")
    if status in (httpx.codes.CONFLICT, httpx.codes.PRECONDITION_FAILED):
        return VersionConflict(message)
    if status in (408, 425) or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        # a gateway that gave up says nothing about the server behind it
        unknown = status in (408, 502, 504)
        code = SERVER_ERROR if status >= 500 else None
        return Unavailable(message, code=code, retry_after_s=retry_after_s(response), outcome_unknown=unknown)
    if status in (404, 405, 407, 410) or status < httpx.codes.BAD_REQUEST:
        return Misconfigured(f"{message}: check the endpoint's address", code="wrong-endpoint")
    return Rejected(message)


def retry_after_s(response: httpx.Response) -> float | None:
    """Seconds a server asks to wait: `x-ms-retry-after-ms`, or Retry-After, seconds or a date (RFC 9110, 10.2.3)."""
    milliseconds = response.headers.get("x-ms-retry-after-ms", "")
    if milliseconds.isdecimal():
        return min(int(milliseconds[:12]) / 1000, LONGEST_WAIT_S)
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:12]), LONGEST_WAIT_S)
    try:
        wait_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        return min(max(0.0, wait_s), LONGEST_WAIT_S)
    except (ValueError, TypeError):
        return None


async def repeated(call: Callable[[], Awaitable[T]]) -> T:
    """Run a call that is safe to repeat, again when it fails for a moment; seconds at most."""
    async for attempt in stamina.retry_context(
        on=_worth_repeating, attempts=REPEATS, wait_initial=REPEAT_WAIT_S, wait_max=REPEAT_WAIT_MAX_S, wait_jitter=0.2
    ):
        with attempt:
            return await call()
    raise AssertionError("unreachable: stamina returns or raises")


def _worth_repeating(error: Exception) -> bool | float:
    if not isinstance(error, TransientError) or isinstance(error, VersionConflict):
        return False
    if error.retry_after_s is None:
        return True
    return error.retry_after_s if error.retry_after_s <= REPEAT_WAIT_MAX_S else False
