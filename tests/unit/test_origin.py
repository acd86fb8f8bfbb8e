"""Whether the DICOM service is the one that the checkpoint came from, and how often it is asked."""

import asyncio

import httpx
import pytest

from shared.dicom.client import DicomClient
from shared.errors import Misconfigured, Throttled, TransientError, Unavailable
from shared.model import ChangeFeedEntry, Checkpoint, InstanceKey, StudyKey
from shared.sync.origin import Origin
from tests.unit.datasets import ROW

ENTRY = ChangeFeedEntry(7, StudyKey("Microsoft.Default", "1.2"), InstanceKey("1.2.3", "1.2.3.4"))
MINE = {name: value for name, value in ROW.items() if name != "timestamp"}
PAGE, LATEST = "/v1/changefeed", "/v1/changefeed/latest"


class Checkpoints:
    def __init__(self, fingerprint=ENTRY.fingerprint):
        self.checkpoint = Checkpoint(9, fingerprint=fingerprint)

    async def get(self):
        return self.checkpoint


class Failing:
    def __init__(self, error):
        self.error = error

    async def get(self):
        raise self.error


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.0)


def origin_of(page, latest=9, checkpoints=None):
    """What asks a service with this answer to a page, and the paths that were asked."""
    asked = []

    async def serve(request):
        asked.append((request.url.path, request.url.params.get("offset"), request.url.params.get("limit")))
        await asyncio.sleep(0)
        if request.url.path == LATEST:
            return httpx.Response(200, json=MINE | {"sequence": latest})
        return page if isinstance(page, httpx.Response) else httpx.Response(200, json=page)

    client = httpx.AsyncClient(transport=httpx.MockTransport(serve), base_url="http://dicom.example.org/")
    return Origin(DicomClient(client), checkpoints or Checkpoints()), asked


async def test_the_same_service_is_asked_for_one_row():
    origin, asked = origin_of([MINE])
    await origin.confirm(7)
    assert asked == [(PAGE, "6", "1")]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param([], id="no row there"),
        pytest.param([MINE | {"sopInstanceUid": "1.2.3.5"}], id="another instance"),
        pytest.param([MINE | {"partitionName": "p2"}], id="another partition"),
        pytest.param([MINE | {"timestamp": "2021-03-01T10:15:30Z"}], id="another time"),
    ],
)
async def test_another_service(page):
    origin, _ = origin_of(page)
    with pytest.raises(Misconfigured, match="stop the app, clear the queue") as raised:
        await origin.confirm(7)
    assert raised.value.code == "feed-reset"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(httpx.Response(503), id="503"),
        pytest.param(httpx.Response(204), id="204"),
        pytest.param(httpx.Response(200), id="200 without content"),
        pytest.param(httpx.Response(400), id="refused"),
        pytest.param(httpx.Response(200, text="<html>"), id="a web page"),
        pytest.param([None], id="a row that cannot be read"),
        pytest.param([MINE | {"sequence": 8}], id="a row of another page"),
    ],
)
async def test_a_service_that_does_not_say_is_no_damage_of_an_instance(page):
    """Unavailable would be recorded of the one that was asked for, and nothing else."""
    origin, _ = origin_of(page)
    with pytest.raises(TransientError) as raised:
        await origin.confirm(7)
    assert (type(raised.value), raised.value.code) == (TransientError, "unconfirmed")


async def test_how_long_to_wait_is_passed_on():
    origin, _ = origin_of(httpx.Response(429, headers={"Retry-After": "30"}))
    with pytest.raises(Throttled) as raised:
        await origin.confirm(7)
    assert raised.value.retry_after_s == 30


@pytest.mark.parametrize("checkpoints", [Checkpoints(None), Failing(Unavailable("m"))], ids=["none", "unread"])
async def test_without_a_checkpoint_nothing_is_confirmed(checkpoints):
    origin, asked = origin_of([MINE], checkpoints=checkpoints)
    with pytest.raises(TransientError) as raised:
        await origin.confirm(7)
    assert (raised.value.code, asked) == ("unconfirmed", [])


@pytest.mark.parametrize(("seen_at", "is_same"), [(9, True), (10, False)])
async def test_a_sequence_beyond_the_fingerprint(seen_at, is_same):
    """The checkpoint was deleted, and what is remembered of studies was not."""
    origin, asked = origin_of([MINE])
    if is_same:
        await origin.confirm(seen_at)
    else:
        with pytest.raises(Misconfigured, match="ends at 9, before 10"):
            await origin.confirm(seen_at)
    assert [path for path, *_ in asked] == [PAGE, LATEST]


async def test_one_answer_is_shared_by_all_who_wait_for_it():
    origin, asked = origin_of([MINE])
    await asyncio.gather(*(origin.confirm(7) for _ in range(12)))
    assert len(asked) == 1


async def test_an_answer_that_was_asked_for_before_is_not_enough():
    """The address may have led elsewhere when the absence was said."""
    origin, asked = origin_of([MINE])
    first = asyncio.create_task(origin.confirm(7))
    while not asked:
        await asyncio.sleep(0)
    await asyncio.gather(first, *(origin.confirm(7) for _ in range(12)))
    assert len(asked) == 2
    await origin.confirm(7)
    assert len(asked) == 3
