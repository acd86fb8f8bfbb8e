"""Whatever the libraries of Azure Storage raise is one of our errors, by its status or by its class."""

import struct
from contextlib import AsyncExitStack
from types import SimpleNamespace

import azure.core.exceptions as core
import azure.data.tables._error
import azure.identity
import azure.storage.queue
import pytest
from azure.core.exceptions import AzureError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueClient

from shared.errors import Misconfigured, SyncError, Throttled, Unavailable, VersionConflict
from shared.storage.calls import CLIENT_OPTIONS, UNREADABLE_ROW, called, read_from, storage_error

SECRET = "https://account.table.core.windows.net/?sig=SECRET"
MISCONFIGURED = {401, 403, 404}
CONFLICTS = {409, 412}


def _response(status, **headers):
    return SimpleNamespace(
        status_code=status, reason=SECRET, headers=headers, content_type="text/html", text=lambda: ""
    )


def _expected(status):
    if status in MISCONFIGURED:
        return Misconfigured
    if status in CONFLICTS:
        return VersionConflict
    return Throttled if status == 429 else Unavailable


def test_every_status_is_one_error():
    statuses = [*range(1000), 9999]
    errors = {
        one: storage_error("table T", core.HttpResponseError(SECRET, response=_response(one))) for one in statuses
    }
    assert {status: type(error) for status, error in errors.items()} == {one: _expected(one) for one in statuses}
    assert [error for error in errors.values() if "SECRET" in str(error) or "table T" not in str(error)] == []


@pytest.mark.parametrize(("status", "asked"), [(429, 7.0), (503, 7.0), (500, 7.0)])
def test_wait_that_storage_asks_for_is_kept(status, asked):
    error = core.HttpResponseError(response=_response(status, **{"retry-after": "7"}))
    assert storage_error("table T", error).retry_after_s == asked


def _tree(kind):
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


KINDS = sorted(set(_tree(core.AzureError)), key=lambda kind: (kind.__module__, kind.__name__))
BY_CLASS = (
    (core.ClientAuthenticationError, Misconfigured),
    (core.ResourceNotFoundError, Misconfigured),
    (core.ResourceExistsError, VersionConflict),
    (core.ResourceModifiedError, VersionConflict),
)


def _raised(kind):
    """The exception without a status, where it can be without; it answered 500 where it cannot."""
    response = _response(500)
    response.request = SimpleNamespace(method="GET", url=SECRET)
    for arguments in (
        {"message": SECRET},
        {"message": SECRET, "response": None, "parts": []},
        {"history": [], "message": SECRET},
        {"response": response},
        {"scopes": ["s"]},
    ):
        try:
            return kind(**arguments)
        except (TypeError, AttributeError):
            continue
    raise AssertionError(f"{kind.__name__} cannot be made")


def test_the_classes_of_the_libraries_are_all_there():
    names = {kind.__name__ for kind in KINDS}
    assert names >= {"ServiceRequestError", "ServiceResponseTimeoutError", "IncompleteReadError", "DecodeError"}
    assert names >= {"CredentialUnavailableError", "AzureSigningError", "RequestTooLargeError", "TooManyRedirectsError"}
    assert issubclass(azure.identity.CredentialUnavailableError, core.ClientAuthenticationError)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_every_class_is_one_error(kind, monkeypatch):
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.001)

    async def fail():
        raise _raised(kind)

    with pytest.raises(SyncError) as raised:
        await called("table T", fail)
    expected = next((ours for theirs, ours in BY_CLASS if issubclass(kind, theirs)), Unavailable)
    assert type(raised.value) is expected
    assert "SECRET" not in str(raised.value)
    assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, True)


def test_who_has_no_token_is_not_sent_to_look_for_roles():
    """An operator who is not signed in, or an app without an identity: storage was not asked at all."""
    error = storage_error("table T", azure.identity.CredentialUnavailableError(SECRET))
    assert "az login" in str(error)
    assert "refuses" not in str(error)
    refused = storage_error("table T", core.ClientAuthenticationError(SECRET, response=_response(403)))
    assert "refuses access (403)" in str(refused)


class NoIdentity:
    """The credential of a client id that the app does not have, as App Service answers for it."""

    def __init__(self, status):
        self.status = status

    async def get_token(self, *_, **__):
        response = _response(self.status)
        response.content_type, response.text = "application/json", lambda *_: "{}"
        raise core.ClientAuthenticationError(SECRET, response=response)


@pytest.mark.parametrize(("status", "kind"), [(400, Misconfigured), (429, Throttled), (500, Unavailable)])
@pytest.mark.parametrize("service", ["table", "queue"])
async def test_an_identity_that_the_app_does_not_have_is_named(service, status, kind, monkeypatch):
    """DICOM Cast's `TableStore__ClientId`, for one. The library for tables makes another error of it."""
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.001)
    credential = NoIdentity(status)
    async with AsyncExitStack() as stack:
        if service == "table":
            tables = TableServiceClient("https://127.0.0.1:1/account", credential=credential, **CLIENT_OPTIONS)
            read = (await stack.enter_async_context(tables)).get_table_client("T").get_entity("1", "1")
        else:
            queue = QueueClient("https://127.0.0.1:1/account", "name", credential=credential, **CLIENT_OPTIONS)
            read = (await stack.enter_async_context(queue)).get_queue_properties()
        with pytest.raises(AzureError) as raised:
            await read
    found = storage_error("table T", raised.value)
    assert isinstance(found, kind)
    assert ("the app's identity gets no token for it" in str(found)) == (kind is Misconfigured)
    assert "SECRET" not in str(found)


@pytest.mark.parametrize("kind", [ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError])
async def test_what_the_libraries_raise_about_an_odd_answer_is_named(kind, monkeypatch):
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.001)

    async def fail():
        raise kind(SECRET)

    with pytest.raises(Unavailable, match=f"unreadable .{kind.__name__}") as raised:
        await called("table T", fail)
    assert "SECRET" not in str(raised.value)


async def test_errors_of_ours_and_cancellation_pass():
    async def conflict():
        raise VersionConflict("m")

    with pytest.raises(VersionConflict, match=r"^m$"):
        await called("table T", conflict)


@pytest.mark.parametrize(
    ("code", "headers", "kind"),
    [
        pytest.param("EntityNotFound", {}, core.ResourceNotFoundError, id="by its code"),
        pytest.param(None, {"x-ms-request-id": "4e04"}, core.ResourceNotFoundError, id="without a code of the library"),
        pytest.param(None, {"server": "gateway"}, Misconfigured, id="by somebody else"),
    ],
)
async def test_absence_is_believed_only_where_the_service_says_it(code, headers, kind):
    async def absent():
        error = core.ResourceNotFoundError(response=_response(404, **headers))
        error.error_code = code
        raise error

    with pytest.raises(kind):
        await called("table T", absent)


@pytest.mark.parametrize("kind", UNREADABLE_ROW)
def test_a_row_that_this_app_did_not_write_is_named(kind):
    with (
        pytest.raises(Misconfigured, match=r"the row 1\.2 of StudyStateTable") as raised,
        read_from("StudyStateTable", "1.2"),
    ):
        raise kind(SECRET)
    assert (raised.value.code, "SECRET" in str(raised.value)) == ("unreadable-row", False)
    assert struct.error in UNREADABLE_ROW
