"""Every status and every failure of the transport is exactly one of our errors."""

import inspect
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Misconfigured, Rejected, SyncError, Throttled, Unavailable, VersionConflict
from shared.http import error_for, json_of, new_client, repeated, retry_after_s, send

SERVICE = "the FHIR server"
REQUEST = httpx.Request("POST", "https://fhir.example.org/?identifier=MRN-0001")

# https://www.iana.org/assignments/http-status-codes: what is not here is a refusal (4xx) or an outage (5xx)
WRONG_ADDRESS = {*range(100, 400), 404, 405, 407, 410}
CLASSES = {
    401: Misconfigured,
    403: Misconfigured,
    408: Unavailable,
    409: VersionConflict,
    412: VersionConflict,
    425: Unavailable,
    429: Throttled,
}


def _expected(status):
    if status in WRONG_ADDRESS:
        return Misconfigured
    return CLASSES.get(status, Unavailable if status >= 500 else Rejected)


@pytest.mark.parametrize("status", range(100, 600))
def test_status_is_one_error(status):
    error = error_for(SERVICE, httpx.Response(status, text="MRN-0001", headers={"location": "https://x/MRN-0001"}))
    assert type(error) is _expected(status)
    assert str(status) in str(error)
    assert "MRN-0001" not in str(error)


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
    [(408, True), (425, False), (500, False), (502, True), (503, False), (504, True)],
)
def test_a_gateway_that_gave_up_leaves_the_outcome_unknown(status, unknown):
    assert error_for(SERVICE, httpx.Response(status)).outcome_unknown is unknown


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_wait_that_a_server_asks_for_is_kept(status):
    assert error_for(SERVICE, httpx.Response(status, headers={"Retry-After": "7"})).retry_after_s == 7.0


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


# --- Retry-After ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"Retry-After": "120"}, 120.0, id="seconds"),
        pytest.param({"Retry-After": " 120 "}, 120.0, id="padded"),
        pytest.param({"Retry-After": "0"}, 0.0, id="zero"),
        pytest.param({"Retry-After": "-5"}, None, id="negative"),
        pytest.param({"Retry-After": "1.5"}, None, id="fraction, which RFC 9110 has not"),
        pytest.param({"Retry-After": ""}, None, id="empty"),
        pytest.param({"Retry-After": "soon"}, None, id="word"),
        pytest.param({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0, id="date in the past"),
        pytest.param({"Retry-After": "Fri, 31 Dec 1999"}, None, id="half a date"),
        pytest.param({"x-ms-retry-after-ms": "1500"}, 1.5, id="milliseconds"),
        pytest.param({"x-ms-retry-after-ms": "1500", "Retry-After": "9"}, 1.5, id="milliseconds are more exact"),
        pytest.param({"x-ms-retry-after-ms": "soon", "Retry-After": "9"}, 9.0, id="milliseconds unreadable"),
    ],
)
def test_wait_that_is_asked_for(headers, seconds):
    assert retry_after_s(httpx.Response(429, headers=headers)) == seconds


def test_wait_until_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    assert 110 < retry_after_s(httpx.Response(503, headers={"Retry-After": date})) <= 120


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=40))
def test_no_header_makes_an_answer_unreadable(text):
    seconds = retry_after_s(httpx.Response(429, headers={"Retry-After": text, "x-ms-retry-after-ms": text}))
    assert seconds is None or seconds >= 0


# --- repetition ----------------------------------------------------------------------------------------------------


class Call:
    """Fails so many times, then answers."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.count = 0

    async def __call__(self):
        self.count += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def _soon(kind):
    return kind("m", retry_after_s=0.01)


@pytest.mark.parametrize(
    ("failures", "outcome", "count"),
    [
        pytest.param([], "answer", 1, id="none"),
        pytest.param([_soon(Unavailable)], "answer", 2, id="one outage"),
        pytest.param([_soon(Throttled), _soon(Unavailable)], "answer", 3, id="two"),
        pytest.param([_soon(Unavailable)] * 3, Unavailable, 3, id="too many"),
        pytest.param([Throttled("m", retry_after_s=60.0)], Throttled, 1, id="a long wait is left to the queue"),
        pytest.param([VersionConflict("m")], VersionConflict, 1, id="a conflict asks for a new pass"),
        pytest.param([Rejected("m")], Rejected, 1, id="permanent"),
        pytest.param([Misconfigured("m")], Misconfigured, 1, id="misconfigured"),
    ],
)
async def test_repetition(failures, outcome, count):
    call = Call(*failures)
    try:
        result = await repeated(call)
    except SyncError as error:
        result = type(error)
    assert (result, call.count) == (outcome, count)


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
