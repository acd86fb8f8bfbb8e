"""HTTP for both services: client, transport, bodies, and the one table from status to error."""

import json
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple

import httpx

from shared.body import CODINGS, NeedsRoom, whole
from shared.errors import (
    Misconfigured,
    Rejected,
    SyncError,
    Throttled,
    TransientError,
    Unavailable,
    VersionConflict,
)
from shared.retry import INCOMPLETE, retry_after_s
from shared.room import HELD

ANSWER_S = 60.0
TIMEOUT = httpx.Timeout(ANSWER_S, connect=10.0, pool=60.0)
# what a server needs for a write grows with it. Microsoft's FHIR server, on two busy cores, took ImagingStudies of
# 1.3 MB, 12.7 MB and 18 MB in 14 s, 68 s and 98 s
BYTES_PER_S = 100_000
# a message has half of the functionTimeout of host.json, five minutes; the rest is for reading and remembering
LONGEST_ANSWER_S = 240.0
LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=16)

# what an Unavailable is about, where that matters
UNREADABLE = "unreadable"
SERVER_ERROR = "server-error"


class Meaning(NamedTuple):
    """What a status means. `outcome_unknown`: it says nothing about what became of the request behind a gateway."""

    kind: type[SyncError]
    code: str | None = None
    advice: str = ""
    outcome_unknown: bool = False


ACCESS_REFUSED = Meaning(Misconfigured, "access-refused", ": check the app's identity, its role and the audience")
WRONG_ENDPOINT = Meaning(Misconfigured, "wrong-endpoint", ": check the endpoint's address")
CONFLICT = Meaning(VersionConflict)
BUSY = Meaning(Unavailable)
FAILED = Meaning(Unavailable, SERVER_ERROR)
GAVE_UP = Meaning(Unavailable, SERVER_ERROR, outcome_unknown=True)
# RFC 9110, 15 and the IANA registry; what is not listed goes by its hundred
STATUSES = {
    401: ACCESS_REFUSED,
    403: ACCESS_REFUSED,
    404: WRONG_ENDPOINT,
    405: WRONG_ENDPOINT,
    407: WRONG_ENDPOINT,
    408: Meaning(Unavailable, outcome_unknown=True),
    409: CONFLICT,
    410: WRONG_ENDPOINT,
    412: CONFLICT,
    424: BUSY,  # the DICOM service cannot reach its storage or its key
    425: BUSY,
    429: Meaning(Throttled),
    502: GAVE_UP,
    504: GAVE_UP,
}


def meaning_of(status: int) -> Meaning:
    """What an unsuccessful status means, whatever number a server made up."""
    if status in STATUSES:
        return STATUSES[status]
    if status < httpx.codes.BAD_REQUEST:
        return WRONG_ENDPOINT
    return Meaning(Rejected) if status < httpx.codes.INTERNAL_SERVER_ERROR else FAILED


def timeout_for(length: int) -> httpx.Timeout:
    """The time that an answer to a request with a body of so many bytes may take."""
    answer_s = min(ANSWER_S + length / BYTES_PER_S, LONGEST_ANSWER_S)
    return httpx.Timeout(connect=TIMEOUT.connect, read=answer_s, write=TIMEOUT.write, pool=TIMEOUT.pool)


def new_client(base_url: str, auth: httpx.Auth | None) -> httpx.AsyncClient:
    """A client for one service. It uses no proxy and follows no redirect."""
    return httpx.AsyncClient(
        base_url=base_url.rstrip("/") + "/",
        headers={"Accept-Encoding": CODINGS},
        auth=auth,
        timeout=TIMEOUT,
        limits=LIMITS,
        trust_env=False,
        follow_redirects=False,
        verify=_certificates(),
    )


@cache
def _certificates() -> ssl.SSLContext:
    """The system's store (docs/security.md), not that of a package: a site adds its own issuers there.

    Reading it takes longer than everything else at start, so it is done once for all clients.
    """
    return ssl.create_default_context()


async def send(
    client: httpx.AsyncClient, service: str, request: httpx.Request, *, is_read: bool = True, most: int | None = None
) -> httpx.Response:
    """Send one request, read the whole answer. A failed transport and an answer that breaks off become Unavailable; one
    that is too long in coming does, too, with the code INCOMPLETE, and one that is too large with the code TOO_LARGE.

    is_read: it changes nothing, so that it may be sent again when there is room for a large answer. most: bytes that
    the answer may have.
    """
    try:
        return await _sent(client, service, request, is_read=is_read, most=most)
    except NeedsRoom:
        if (held := HELD.get()) is not None:
            await held.take_large()
        return await _sent(client, service, request, is_read=is_read, most=most)


async def _sent(
    client: httpx.AsyncClient, service: str, request: httpx.Request, *, is_read: bool, most: int | None
) -> httpx.Response:
    try:
        return await whole(service, await client.send(request, stream=True), is_read=is_read, most=most)
    except (httpx.HTTPError, OSError) as error:  # httpx lets errors of TLS and of the socket through now and then
        if _has(error, ssl.SSLCertVerificationError):
            raise Misconfigured(f"the certificate of {service} is not valid here", code="certificate") from None
        # connection errors before anything was sent cannot have been carried out
        unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        code = INCOMPLETE if isinstance(error, httpx.ReadTimeout | TimeoutError) else None
        is_away = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        said = "cannot be reached" if is_away else "gave no whole answer"
        raise Unavailable(f"{service} {said} ({type(error).__name__})", code=code, outcome_unknown=not unsent) from None
    except (httpx.InvalidURL, httpx.CookieConflict) as error:
        raise Misconfigured(f"{service} cannot be addressed ({type(error).__name__})") from None
    except (ValueError, LookupError) as error:  # of what an odd header, link or body makes the libraries raise
        raise Unavailable(f"{service} gave no usable answer ({type(error).__name__})") from None


def _has(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether an error is one of this kind or was raised because of one."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None


def json_of(service: str, response: httpx.Response, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The JSON body. A proxy's HTML page means that the service is not itself right now; JSON that cannot be read will
    not be better next time, and has its own code.
    """
    try:
        return json.loads(response.content, object_hook=object_hook)
    except (ValueError, RecursionError):
        code = UNREADABLE if "json" in response.headers.get("content-type", "") else None
        raise Unavailable(
            f"{service} answered {response.status_code} with a body that is not JSON", code=code
        ) from None


def date_of(response: httpx.Response) -> datetime:
    """The server's clock when it answered; where the answer does not say, the clock here (RFC 9110, 6.6.1)."""
    try:
        date = parsedate_to_datetime(response.headers.get("date", ""))
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return datetime.now(UTC)


class ServerClock:
    """The clock of a server, by the dates of its answers. All workers read the same one, whatever their own show."""

    def __init__(self) -> None:
        self._offset_s: float | None = None

    def note(self, response: httpx.Response) -> None:
        """Set it by an answer that has just come."""
        self._offset_s = date_of(response).timestamp() - time.monotonic()

    def at_s(self, monotonic_s: float) -> float:
        """Seconds since 1970 at a moment of `time.monotonic`; by the clock here until the server has answered."""
        offset_s = time.time() - time.monotonic() if self._offset_s is None else self._offset_s
        return monotonic_s + offset_s

    @property
    def now_s(self) -> float:
        """Seconds since 1970."""
        return self.at_s(time.monotonic())


def error_for(service: str, response: httpx.Response) -> SyncError:
    """The error that an unsuccessful status stands for."""
    meaning = meaning_of(response.status_code)
    message = f"{service} answered {response.status_code}{meaning.advice}"
    if issubclass(meaning.kind, Unavailable):
        asked, unknown = retry_after_s(response.headers), meaning.outcome_unknown
        return meaning.kind(message, code=meaning.code, retry_after_s=asked, outcome_unknown=unknown)
    if issubclass(meaning.kind, TransientError):
        return meaning.kind(message, code=meaning.code, retry_after_s=retry_after_s(response.headers))
    return meaning.kind(message, code=meaning.code)


def error_for_read(service: str, response: httpx.Response) -> SyncError:
    """The same for a request that only reads: it has nothing to conflict with, and says nothing about the study."""
    error = error_for(service, response)
    if isinstance(error, VersionConflict):
        return Unavailable(str(error))
    if isinstance(error, Rejected):
        return Misconfigured(f"{error}: it refuses the request", code="refused-request")
    return error
