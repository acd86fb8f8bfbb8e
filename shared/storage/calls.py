"""The rim to Azure Storage: every call of its libraries goes through here, and what they raise becomes one of ours."""

import json
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from shared.errors import Misconfigured, SyncError, Throttled, Unavailable, VersionConflict
from shared.retry import SDK_OPTIONS, repeated, retry_after_s

T = TypeVar("T")
N = TypeVar("N", bound=NamedTuple)

CLIENT_OPTIONS: dict[str, Any] = {
    **SDK_OPTIONS,
    "use_env_settings": False,  # looked up anew for each request, in a thread; the other clients use none either
}
REFUSED, MISSING, CONFLICTS, THROTTLED = (401, 403), 404, (409, 412), 429
BUSY = (408, THROTTLED, *range(500, 600))
# what a row raises that this app did not write
UNREADABLE_ROW = (
    *(ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError),
    *(struct.error, zlib.error),
)


async def called(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Run one call that is safe to repeat. `what` names the table or queue.

    Raises ResourceNotFoundError where the service itself says that something is not there, else errors of ours only.
    """

    async def once() -> T:
        with _translated(what):
            return await call()

    return await repeated(once)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Errors of a block that calls the libraries as errors of ours; their texts are dropped, they can hold URLs."""
    try:
        yield
    except ResourceNotFoundError as error:
        if _is_said_by_storage(error):
            raise
        raise storage_error(what, error) from None
    except AzureError as error:
        raise storage_error(what, error) from None
    except SyncError:
        raise
    except Exception as error:  # noqa: BLE001 - an answer that is no answer of theirs makes the libraries raise anything
        raise Unavailable(f"{what} answered something unreadable ({type(error).__name__})") from None


def _is_said_by_storage(error: HttpResponseError) -> bool:
    """A gateway or a wrong address answers 404 too, but without a code or the id of a request."""
    headers = getattr(error.response, "headers", {})
    return bool(getattr(error, "error_code", None) or headers.get("x-ms-request-id"))


def storage_error(what: str, error: AzureError) -> SyncError:
    """The error that a failure of Azure Storage stands for: by its status, else by its class."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    asked = retry_after_s(getattr(getattr(error, "response", None), "headers", {}))
    if (text := _without_token(what, error, status)) is not None:
        return Misconfigured(text, code="access-refused")
    if status in REFUSED:
        text = f"{what} refuses access ({status}): check the app's storage roles or key"
        return Misconfigured(text, code="access-refused")
    if status == MISSING or isinstance(error, ResourceNotFoundError):
        return Misconfigured(f"{what} answered 404 and is not Azure Storage: check its address", code="wrong-endpoint")
    if status in CONFLICTS or isinstance(error, ResourceExistsError | ResourceModifiedError):
        return VersionConflict(f"{what}: somebody else wrote first")
    if status == THROTTLED:
        return Throttled(f"{what} answered 429", retry_after_s=asked)
    return Unavailable(f"{what} gave no usable answer ({status or type(error).__name__})", retry_after_s=asked)


@contextmanager
def read_from(table: str, key: str) -> Iterator[None]:
    """Make sense of a row in a block; one that this app did not write like that becomes Misconfigured."""
    try:
        yield
    except UNREADABLE_ROW as error:
        raise Misconfigured(
            f"the row {key} of {table} cannot be read ({type(error).__name__}): delete it", code="unreadable-row"
        ) from None


def texts(column: Any) -> tuple[str, ...]:
    """The texts of a column that holds a JSON list of them; none of an empty one. TypeError for anything else."""
    found = json.loads(column or "[]")
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise TypeError("not a list of texts")
    return tuple(found)


def made_of(kind: type[N], values: Any) -> N:
    """A tuple with names of the values of a list; TypeError where one has another type."""
    if not isinstance(values, list):
        raise TypeError("not a list")
    made = kind(*values)
    for value, wanted in zip(made, kind.__annotations__.values(), strict=True):
        if not isinstance(value, (int, float) if wanted is float else wanted):
            raise TypeError("a value of another type")
    return made


def _without_token(what: str, error: AzureError, status: int | None) -> str | None:
    """What to say where the identity gets no token, so that storage was not asked; None where it was."""
    if isinstance(error, ClientAuthenticationError) and status is None:
        return (
            f"{what} was not asked, since there is no identity to ask with: sign in with `az login`; in Azure, give "
            "the app the identity that AzureWebJobsStorage__clientId or AZURE_CLIENT_ID names"
        )
    # the library for tables makes an error of its own of the credential's
    is_of_identity = any(isinstance(one, ClientAuthenticationError) for one in (error, error.__cause__))
    if is_of_identity and status is not None and status not in (*REFUSED, *BUSY):
        return (
            f"{what}: the app's identity gets no token for it ({status}): does the app have the one of this client id?"
        )
    return None
