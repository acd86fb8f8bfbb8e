"""Every status and every failure of the transport is exactly one of our errors."""

import asyncio
import gzip
import inspect
import json
import socket
import ssl
import zlib

import httpx
import pytest

from shared.errors import Misconfigured, Rejected, SyncError, Throttled, Unavailable, VersionConflict
from shared.http import error_for, error_for_read, json_of, new_client, send

SERVICE = "the FHIR server"
REQUEST = httpx.Request("POST", "https://fhir.example.org/?identifier=MRN-0001")

# all that three digits can say, and more than three; RFC 9110 and the IANA registry know 100 to 599
STATUSES = [*range(1000), 1000, 9999]
REFUSALS = range(400, 500)
CLASSES = {
    **dict.fromkeys((401, 403, 404, 405, 407, 410), Misconfigured),
    **dict.fromkeys((408, 424, 425), Unavailable),
    **dict.fromkeys((409, 412), VersionConflict),
    429: Throttled,
}


def _expected(status):
    if status in REFUSALS:
        return CLASSES.get(status, Rejected)
    return Misconfigured if status < 400 else Unavailable


def _answer(status):
    return httpx.Response(status, text="MRN-0001", headers={"location": "https://x/MRN-0001", "Retry-After": "7"})


def test_every_status_is_one_error():
    errors = {status: error_for(SERVICE, _answer(status)) for status in STATUSES}
    assert {status: type(error) for status, error in errors.items()} == {one: _expected(one) for one in STATUSES}
    assert [status for status, error in errors.items() if f"answered {status}" not in str(error)] == []
    assert [status for status, error in errors.items() if "MRN-0001" in str(error)] == []


def test_a_read_conflicts_with_nothing_and_says_nothing_about_the_study():
    instead = {VersionConflict: Unavailable, Rejected: Misconfigured}
    found = {status: type(error_for_read(SERVICE, _answer(status))) for status in STATUSES}
    assert found == {one: instead.get(_expected(one), _expected(one)) for one in STATUSES}
    assert error_for_read(SERVICE, _answer(400)).code == "refused-request"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "rejected"),
        (401, "access-refused"),
        (403, "access-refused"),
        (404, "wrong-endpoint"),
        (301, "wrong-endpoint"),
        (408, "unavailable"),
        (409, "version-conflict"),
        (412, "version-conflict"),
        (422, "rejected"),
        (429, "throttled"),
    ],
)
def test_code_of_a_status(status, code):
    assert error_for(SERVICE, httpx.Response(status)).code == code


@pytest.mark.parametrize(
    ("status", "unknown"),
    [(408, True), (424, False), (425, False), (500, False), (502, True), (503, False), (504, True)],
)
def test_a_gateway_that_gave_up_leaves_the_outcome_unknown(status, unknown):
    assert error_for(SERVICE, httpx.Response(status)).outcome_unknown is unknown


def test_wait_that_a_server_asks_for_is_kept_wherever_it_is_waited():
    errors = [error_for(SERVICE, _answer(status)) for status in STATUSES]
    asked = {type(error): error.retry_after_s for error in errors if hasattr(error, "retry_after_s")}
    assert asked == {Unavailable: 7.0, Throttled: 7.0, VersionConflict: 7.0}


# --- failures of the transport -------------------------------------------------------------------------------------

# raised when this app misuses httpx: defects, which are not to be named away
DEFECTS = {"StreamError", "StreamConsumed", "StreamClosed", "ResponseNotRead", "RequestNotRead"}
MISCONFIGURED = {"InvalidURL", "CookieConflict"}
NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout"}
FAILURES = {name: kind for name, kind in inspect.getmembers(httpx, inspect.isclass) if issubclass(kind, BaseException)}


def _failure(kind):
    needed = [
        parameter.name
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    known = {"message": "MRN-0001", "request": REQUEST, "response": httpx.Response(500, request=REQUEST)}
    return kind(**{name: known[name] for name in needed})


class Broken(httpx.AsyncBaseTransport):
    """A transport that fails."""

    def __init__(self, failure):
        self.failure = failure

    async def handle_async_request(self, request):
        del request
        raise self.failure


async def _sent(failure):
    async with httpx.AsyncClient(transport=Broken(failure), base_url="https://fhir.example.org/") as client:
        return await send(client, SERVICE, client.build_request("POST", "?identifier=MRN-0001"))


def test_all_failures_of_httpx_are_known():
    assert len(FAILURES) > 25
    assert set(FAILURES) >= DEFECTS | MISCONFIGURED | NOT_SENT


@pytest.mark.parametrize("name", sorted(set(FAILURES) - DEFECTS))
async def test_failure_of_the_transport_is_one_error(name):
    with pytest.raises(SyncError) as raised:
        await _sent(_failure(FAILURES[name]))
    error = raised.value
    assert type(error) is (Misconfigured if name in MISCONFIGURED else Unavailable)
    assert name in str(error)
    assert "MRN-0001" not in str(error)
    assert (error.__cause__, error.__suppress_context__) == (None, True)


@pytest.mark.parametrize("name", sorted(set(FAILURES) - DEFECTS - MISCONFIGURED))
async def test_outcome_is_known_only_when_nothing_was_sent(name):
    with pytest.raises(Unavailable) as raised:
        await _sent(_failure(FAILURES[name]))
    assert raised.value.outcome_unknown is (name not in NOT_SENT)


RAW = [
    ssl.SSLError(1, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"),
    ssl.SSLZeroReturnError(6, "closed"),
    ConnectionResetError(104, "MRN-0001"),
    BrokenPipeError(32, "broken"),
    socket.gaierror(-2, "Name or service not known"),
    TimeoutError(),
    OSError(24, "Too many open files"),
]


@pytest.mark.parametrize("failure", RAW, ids=lambda failure: type(failure).__name__)
async def test_what_httpx_lets_through_is_one_error(failure):
    with pytest.raises(Unavailable) as raised:
        await _sent(failure)
    assert (raised.value.outcome_unknown, type(failure).__name__ in str(raised.value)) == (True, True)
    assert "MRN-0001" not in str(raised.value)


async def test_a_certificate_that_is_not_valid_is_not_the_study_s_fault():
    failure = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]")
    failure.__cause__ = ssl.SSLCertVerificationError(1, "certificate has expired")
    with pytest.raises(Misconfigured) as raised:
        await _sent(failure)
    assert raised.value.code == "certificate"


@pytest.mark.parametrize("name", sorted(DEFECTS))
async def test_defect_of_the_app_is_not_named_away(name):
    with pytest.raises(FAILURES[name]):
        await _sent(_failure(FAILURES[name]))


async def test_answer_is_read_whole():
    class Answering(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            return httpx.Response(200, stream=httpx.ByteStream(b"[1]"), request=request)

    async with httpx.AsyncClient(transport=Answering(), base_url="https://fhir.example.org/") as client:
        response = await send(client, SERVICE, client.build_request("GET", "metadata"))
    assert (response.content, json_of(SERVICE, response)) == (b"[1]", [1])


# --- bodies --------------------------------------------------------------------------------------------------------


def test_body_that_is_json():
    body = {"name": "Müller", "values": [1, None]}
    assert json_of(SERVICE, httpx.Response(200, content=json.dumps(body, ensure_ascii=False).encode())) == body


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        pytest.param(b"<html>MRN-0001</html>", "text/html", "unavailable", id="a proxy's page"),
        pytest.param(b"", None, "unavailable", id="empty"),
        pytest.param(b'{"a": ', "application/json", "unreadable", id="cut off"),
        pytest.param(b'{"a": tru}', "application/fhir+json", "unreadable", id="broken"),
        pytest.param(b"\xff\xfe\x00", "application/dicom+json", "unreadable", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "application/dicom+json", "unreadable", id="nested without end"),
    ],
)
def test_body_that_is_not_json(content, kind, code):
    response = httpx.Response(200, content=content, headers={"content-type": kind} if kind else {})
    with pytest.raises(Unavailable) as raised:
        json_of(SERVICE, response)
    assert raised.value.code == code
    assert "MRN-0001" not in str(raised.value)


# --- the client ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "path", "url"),
    [
        ("https://fhir.example.org", "metadata", "https://fhir.example.org/metadata"),
        ("https://fhir.example.org/", "metadata", "https://fhir.example.org/metadata"),
        ("https://fhir.example.org/fhir/R4", "metadata", "https://fhir.example.org/fhir/R4/metadata"),
        ("https://fhir.example.org/fhir/R4//", "metadata", "https://fhir.example.org/fhir/R4/metadata"),
    ],
    ids=["bare host", "slash", "path", "slashes"],
)
async def test_base_url(base_url, path, url):
    async with new_client(base_url, None) as client:
        assert str(client.build_request("GET", path).url) == url


async def test_client_ignores_proxies_of_the_environment_and_follows_nothing(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    async with new_client("https://fhir.example.org", None) as client:
        assert (client.trust_env, client.follow_redirects) == (False, False)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_body_without_end_is_not_read_to_its_end(monkeypatch, coding):
    monkeypatch.setattr("shared.body.MOST_BYTES", 1000)
    sent = 0

    async def endless():
        nonlocal sent
        packer = zlib.compressobj(wbits=31)
        while True:
            part = b"[" * 500
            sent += len(part)
            yield part if coding == "identity" else packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)

    answer = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-encoding": coding}, content=endless()))
    async with httpx.AsyncClient(transport=answer) as client:
        with pytest.raises(Unavailable) as raised:
            await send(client, SERVICE, client.build_request("GET", "https://fhir.example.org"))
    assert raised.value.code == "answer-too-large"
    assert sent < 10_000


async def test_a_body_that_dribbles_is_not_waited_for(monkeypatch):
    """Each byte comes in time, the answer never."""
    monkeypatch.setattr("shared.body.MOST_BODY_S", 0.05)

    async def dribbling():
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    answer = httpx.MockTransport(lambda _: httpx.Response(200, content=dribbling()))
    async with httpx.AsyncClient(transport=answer) as client:
        with pytest.raises(Unavailable) as raised:
            await send(client, SERVICE, client.build_request("GET", "https://fhir.example.org"))
    assert raised.value.code == "incomplete-answer"


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_body_that_breaks_off_is_no_answer(coding):
    async def cut():
        yield gzip.compress(b"[" * 5000)[:20] if coding == "gzip" else b"["
        raise httpx.RemoteProtocolError("m")

    answer = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-encoding": coding}, content=cut()))
    async with httpx.AsyncClient(transport=answer) as client:
        with pytest.raises(Unavailable) as raised:
            await send(client, SERVICE, client.build_request("GET", "https://fhir.example.org"))
    assert raised.value.code == "unavailable"


async def test_a_compressed_body_is_read():
    body = gzip.compress(b'{"a": 1}')
    answer = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=body))
    async with httpx.AsyncClient(transport=answer) as client:
        response = await send(client, SERVICE, client.build_request("GET", "https://fhir.example.org"))
    assert json_of(SERVICE, response) == {"a": 1}
