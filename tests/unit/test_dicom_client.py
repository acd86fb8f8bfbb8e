"""What the client makes of the answers of a DICOM service: the end of the feed, versions, data partitions."""

import json

import httpx
import pytest

from shared.dicom.client import DicomClient
from shared.errors import Misconfigured, Unavailable
from shared.model import DEFAULT_PARTITION, StudyKey

UNSUPPORTED = {"error": {"code": "UnsupportedApiVersion", "message": "m", "innerError": None}}
STUDY = StudyKey(DEFAULT_PARTITION, "1.2")


async def believed():
    """Absence is believed."""


def client_of(answer):
    """A client of a service that answers `answer(path)`; the requests are noted."""
    asked = []

    def serve(request):
        asked.append(request)
        return answer(request.url.path)

    http = httpx.AsyncClient(transport=httpx.MockTransport(serve), base_url="http://dicom.example.org/")
    return DicomClient(http), asked


def _json(content, status=200):
    return httpx.Response(status, content=content, headers={"content-type": "application/json; charset=utf-8"})


@pytest.mark.parametrize(
    ("response", "sequence"),
    [
        pytest.param(httpx.Response(204), 0, id="empty feed: no content"),
        pytest.param(_json(b"null"), 0, id="empty feed: null"),
        pytest.param(_json(b""), 0, id="empty feed: nothing"),
        pytest.param(_json(b'{"sequence": 7, "state": "Current"}'), 7, id="as it is sent"),
        pytest.param(_json(b'{"Sequence": 7, "State": "current"}'), 7, id="as it is documented"),
        pytest.param(_json(b'{"sequence": "7"}'), 7, id="as text"),
        pytest.param(_json(b'{"sequence": 9223372036854775807}'), 2**63 - 1, id="the highest"),
    ],
)
async def test_the_latest_sequence(response, sequence):
    dicom, _ = client_of(lambda _: response)
    assert await dicom.latest_sequence() == sequence


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"7", b'{"sequence": -1}', b'{"sequence": null}', b'{"sequence": 9223372036854775808}']
)
async def test_a_latest_change_without_a_sequence_is_waited_for(body):
    dicom, _ = client_of(lambda _: _json(body))
    with pytest.raises(Unavailable, match="without a sequence"):
        await dicom.latest_sequence()


async def test_metadata_of_the_feed_is_never_asked_for():
    """One unreadable blob fails a whole page with metadata."""
    dicom, asked = client_of(lambda path: _json(b"[]" if path.endswith("changefeed") else b'{"sequence": 1}'))
    await dicom.latest_sequence()
    await dicom.feed_page(0)
    assert [request.url.params["includeMetadata"] for request in asked] == ["false", "false"]


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        pytest.param(
            _json(json.dumps(UNSUPPORTED).encode(), 400), _json(b'{"sequence": 1}'), "version-refused", id="400"
        ),
        pytest.param(httpx.Response(404), httpx.Response(204), "version-refused", id="404, the feed is empty"),
        pytest.param(httpx.Response(404), httpx.Response(404), "wrong-endpoint", id="neither is there"),
        pytest.param(httpx.Response(404), httpx.Response(503), "wrong-endpoint", id="the other cannot be asked"),
        pytest.param(httpx.Response(401), httpx.Response(401), "access-refused", id="access refused"),
    ],
)
async def test_a_service_that_refuses_version_1(first, second, code, monkeypatch):
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.001)
    dicom, _ = client_of(lambda path: first if path.startswith("/v1/") else second)
    with pytest.raises(Misconfigured) as raised:
        await dicom.latest_sequence()
    assert raised.value.code == code


async def test_partitions_that_are_switched_on_and_off_again():
    """With partitions on even the default one has to be named, with partitions off none may be."""
    state = {"on": False}

    def answer(path):
        return _json(b"[{}]") if ("/partitions/" in path) == state["on"] else httpx.Response(400, text="PartitionName")

    dicom, asked = client_of(answer)
    counts = []
    for state["on"] in (False, False, True, True, False, False):
        before = len(asked)
        assert await dicom.study_metadata(STUDY, believed) == [{}]
        counts.append(len(asked) - before)
    assert counts == [1, 1, 2, 1, 2, 1]


async def test_a_partition_that_is_not_known_is_no_absence():
    dicom, asked = client_of(lambda _: httpx.Response(400, text="Specified PartitionName does not exist."))
    with pytest.raises(Misconfigured) as raised:
        await dicom.study_metadata(StudyKey("clinic-a", "1.2"), believed)
    assert (raised.value.code, len(asked)) == ("refused-request", 1)


async def test_nothing_is_answered_out_of_a_cache():
    client, asked = client_of(lambda _: httpx.Response(200, json=[]))
    await client.feed_page(0)
    assert [request.headers.get("cache-control") for request in asked] == ["no-cache"]
