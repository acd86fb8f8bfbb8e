"""What is read of a study that does not come in one answer, what is concluded from it, and what it costs."""

import itertools
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.listing import instances_of, series_of
from shared.errors import Misconfigured, Throttled, Unavailable
from shared.sync.narrower import MOST_BESIDE, read_whole
from shared.sync.truth import MOST_RECORDED, Wanted, ask_whole, read_some
from tests.sim.dicom_service import JSON, KEY, OTHER, Cut, DicomService, _dataset
from tests.unit.datasets import STUDY, dataset, key

# waits between the repetitions of one call
pytestmark = pytest.mark.usefixtures("no_waits")


@pytest.fixture(scope="module")
def no_waits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.retry.REPEAT_WAIT_S", 0.0)
        yield


def keys(series, *numbers):
    return {key(series, number) for number in numbers}


async def believed():
    """Absence is believed."""


async def read(service, listed=(), **known):
    wanted = Wanted(dict.fromkeys(listed, 7), believed, **{"everything": not listed, **known})
    return await read_whole(service.client, KEY, await ask_whole(service.client, KEY, believed), wanted)


def shown(truth):
    return set(truth.instances), set(truth.unknown), set(truth.gone), truth.is_whole, truth.hidden


KEYS = st.sets(st.builds(key, st.integers(1, 3), st.integers(1, 6)))


@given(there=KEYS, damaged=KEYS, listed=KEYS, stored=KEYS, recorded=KEYS, everything=st.booleans())
async def test_nothing_is_concluded_that_the_service_did_not_say(there, damaged, listed, stored, recorded, everything):
    service = DicomService(sorted(there), damaged & there)
    known = {"stored": stored, "recorded": recorded, "everything": everything or not listed}
    try:
        truth = await read(service, listed, **known)
    except Unavailable:
        assert damaged & there
        assert not (listed | stored | recorded) or not there
        return
    asked = listed | stored | recorded
    assert truth.instances.keys() == there - damaged
    assert truth.gone == asked - there
    assert asked & damaged & there <= truth.unknown <= damaged & there
    assert truth.is_whole
    assert truth.hidden == len((damaged & there) - truth.unknown)


@pytest.mark.parametrize("count", [3, 80])
async def test_a_series_without_damage_is_read_in_one_request(count):
    """The series of the damaged one: one request for each of its instances."""
    first, second = keys(1, *range(count)), keys(2, *range(count))
    service = DicomService(sorted(first | second), keys(2, 1))
    truth = await read(service, first | second)
    assert shown(truth) == ((first | second) - keys(2, 1), keys(2, 1), set(), True, 0)
    singles = service.asked["v1/studies/*/series/*/instances/*/metadata"]
    # what fails is repeated, and before and afterwards some other instance shows that the service answers
    assert count <= singles <= count + 5
    assert sum(service.asked.values()) <= singles + 15


async def test_of_a_large_damaged_series_each_message_reads_what_it_lists():
    """The messages of a burst would otherwise cost as many reads as the series has instances, each."""
    there = keys(1, *range(1000))
    service = DicomService(sorted(there), keys(1, 999))
    listed = keys(1, *range(300))
    truth = await read(service, listed)
    assert shown(truth) == (listed, set(), set(), False, 0)
    assert sum(service.asked.values()) < len(listed) + 60
    assert MOST_BESIDE < 700


async def test_a_damaged_series_without_a_list_is_found_by_searches():
    """A release lists nothing, and FHIR has nothing of the study: one that nobody can name stays hidden."""
    there = keys(1, *range(1000))
    service = DicomService(sorted(there), keys(1, 500))
    assert shown(await read(service)) == (there - keys(1, 500), set(), set(), True, 1)
    assert service.asked["v1/studies/*/series/*/instances"] < 40


async def test_searches_end_where_everything_is_damaged():
    there = keys(1, *range(1000))
    service = DicomService(sorted(there), there)
    listed = keys(1, *range(5))
    recorded = sorted(keys(1, *range(5, 500)))
    truth = await read(service, listed, recorded=recorded)
    assert (truth.unknown, truth.is_whole) == (listed | set(recorded[:MOST_RECORDED]), False)
    assert sum(service.asked.values()) < 3 * (len(listed) + MOST_RECORDED) + 100


TROUBLE = {
    "400": httpx.Response(400),
    "406": httpx.Response(406),
    "410": httpx.Response(410),
    "413": httpx.Response(413),
    "414": httpx.Response(414),
    "424": httpx.Response(424),
    "431": httpx.Response(431),
    "500": httpx.Response(500),
    "no JSON": httpx.Response(200, headers=JSON, content=b"[{"),
    "a page": httpx.Response(200, headers={"content-type": "text/html"}, content=b"<html>"),
    "nothing": httpx.Response(200),
    "an empty list": httpx.Response(200, headers=JSON, content=b"[]"),
    "202": httpx.Response(202),
    "204": httpx.Response(204),
    "cut": None,
    "too slow": httpx.ReadTimeout("m"),
    "closed": httpx.RemoteProtocolError("m"),
}


def _trouble(name):
    answer = TROUBLE[name]
    if isinstance(answer, Exception):
        raise answer
    return answer if answer is not None else httpx.Response(200, headers=JSON, stream=Cut())


@pytest.mark.parametrize("name", TROUBLE)
@pytest.mark.parametrize("at", ["the study", "a series", "an instance"])
async def test_whatever_says_nothing_is_no_absence_and_no_outage(name, at):
    there = keys(1, 1, 2) | keys(2, 1, 2)
    one = key(1, 1)
    whole = f"v1/studies/{KEY.study_instance_uid}/metadata"
    series = whole.replace("/metadata", f"/series/{one.series_instance_uid}/metadata")
    single = series.replace("/metadata", f"/instances/{one.sop_instance_uid}/metadata")
    bent = {whole: 1, series: 2, single: 3}
    depth = ["the study", "a series", "an instance"].index(at) + 1
    service = DicomService(sorted(there))
    service.instead = lambda path: _trouble(name) if bent.get(path, 9) <= depth else None
    truth = await read(service, there, stored=there)
    unknown = {one} if at == "an instance" else set()
    assert shown(truth) == (there - unknown, unknown, set(), True, 0)


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (httpx.Response(401), Misconfigured, "access-refused"),
        (httpx.Response(403), Misconfigured, "access-refused"),
        (httpx.Response(407), Misconfigured, "wrong-endpoint"),
        (httpx.Response(429), Throttled, "throttled"),
        (httpx.Response(503, headers={"Retry-After": "30"}), Unavailable, "server-error"),
    ],
)
async def test_what_is_about_the_service_is_not_asked_again(answer, error, code):
    service = DicomService(sorted(keys(1, 1, 2)))
    service.instead = lambda path: answer if path.endswith("metadata") else None
    with pytest.raises(error) as raised:
        await read(service, keys(1, 1))
    assert raised.value.code == code
    assert set(service.asked) == {"v1/studies/*/metadata"}


@pytest.mark.parametrize("how", ["no metadata can be read", "nothing answers"])
async def test_an_outage_is_told_with_few_requests(how):
    there = keys(1, *range(80))
    service = DicomService(sorted(there))
    if how == "nothing answers":
        service.instead = lambda _: httpx.Response(503)
    service.is_down = True
    with pytest.raises(Unavailable):
        await read(service, there, stored=there)
    with pytest.raises(Unavailable):
        await read_some(service.client, KEY, keys(1, 1), believed)
    assert sum(service.asked.values()) < 25


async def test_an_outage_that_begins_while_instances_are_read_is_no_damage():
    there = keys(1, *range(80))
    service = DicomService(sorted(there), keys(1, 3))

    def instead(path):
        service.is_down = service.is_down or f"{KEY.study_instance_uid}/series" in path

    service.instead = instead
    with pytest.raises(Unavailable):
        await read(service, there, stored=there)


async def test_where_each_study_has_a_damaged_instance_the_others_are_read():
    there = keys(1, *range(80))
    service = DicomService(sorted(there), keys(1, 3))
    service.instead = lambda path: httpx.Response(503) if OTHER in path else None
    assert shown(await read(service, there)) == (there - keys(1, 3), keys(1, 3), set(), True, 0)


async def test_of_thousands_that_are_damaged_each_is_asked_for_once():
    there = keys(1, *range(1000))
    service = DicomService(sorted(there), there)
    assert (await read(service, there)).unknown == there
    assert sum(service.asked.values()) < 1040


async def test_one_that_was_read_before_shows_that_the_service_answers():
    service = DicomService(sorted(keys(1, 1, 2)), keys(1, 2))
    await read_some(service.client, KEY, keys(1, 1), believed)
    truth = await read_some(service.client, KEY, keys(1, 2), believed)
    assert truth.unknown == keys(1, 2)
    assert "v1/changefeed" not in service.asked
    assert OTHER not in str(service.asked)


async def test_where_nothing_else_can_be_asked_the_feed_is_enough():
    service = DicomService(sorted(keys(1, 1)), keys(1, 1), has_others=False)
    assert (await read_some(service.client, KEY, keys(1, 1), believed)).unknown == keys(1, 1)


async def test_an_answer_about_another_instance_is_no_absence():
    service = DicomService(sorted(keys(1, 1, 2)))
    single = httpx.Response(200, headers=JSON, json=[{"0020000E": {"vr": "UI"}}])
    service.instead = lambda path: single if "/instances/" in path else None
    assert (await read_some(service.client, KEY, keys(1, 1), believed)).unknown == keys(1, 1)


@pytest.mark.parametrize("version_2", [httpx.Response(404), httpx.Response(400), httpx.Response(500)])
async def test_without_a_list_of_series_what_is_known_is_read(version_2):
    service = DicomService(sorted(keys(1, 1, 2)), keys(1, 2))
    service.instead = lambda path: version_2 if path.startswith("v2/") else None
    assert shown(await read(service, keys(1, 1, 2))) == (keys(1, 1), keys(1, 2), set(), False, 0)


@pytest.mark.parametrize("other", ["another series", "another study"])
async def test_the_answer_for_one_series_is_no_word_about_another(other):
    """Whoever mixes up answers, a cache say, must not have instances deleted."""
    there = keys(1, 1) | keys(2, 1, 2)
    service = DicomService(sorted(there), keys(1, 1))
    path = f"v1/studies/{KEY.study_instance_uid}/series/{key(2, 1).series_instance_uid}/metadata"
    uids = (STUDY, key(1, 1)) if other == "another series" else ("1.2.3", key(2, 1))
    row = dataset(StudyInstanceUID=uids[0], SeriesInstanceUID=uids[1][0], SOPInstanceUID=uids[1][1])
    service.instead = lambda asked: httpx.Response(200, headers=JSON, json=[row]) if asked == path else None
    truth = await read(service, there, stored=there)
    assert (set(truth.instances), set(truth.unknown), set(truth.gone)) == (keys(2, 1, 2), keys(1, 1), set())


ROWS = {
    "of another study": [dataset(StudyInstanceUID="1.2.3", SeriesInstanceUID="1.5", NumberOfSeriesRelatedInstances=1)],
    "below zero": [dataset(SeriesInstanceUID="1.5", NumberOfSeriesRelatedInstances=-1)],
    "twice the same": [dataset(SeriesInstanceUID="1.5", NumberOfSeriesRelatedInstances=1)] * 2,
    "null": [None],
    "no list": {"a": 1},
}


@pytest.mark.parametrize("name", ROWS)
async def test_an_odd_list_of_series_is_none(name):
    """What is not known then is not taken for read."""
    there = keys(1, 1, 2) | keys(2, 1)
    service = DicomService(sorted(there), keys(1, 2))
    service.instead = lambda path: _json(ROWS[name]) if path.startswith("v2/") else None
    truth = await read(service, keys(1, 1), stored=keys(1, 1))
    assert not truth.is_whole
    assert not truth.gone


def _json(content):
    return httpx.Response(200, headers=JSON, json=content)


@pytest.mark.parametrize("count", [999_999_999_999, 1_000_000])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="none"),
        pytest.param([dataset(SOPInstanceUID="1.5.1")] * 200, id="always the same"),
        pytest.param([dataset(StudyInstanceUID="1.2.3", SOPInstanceUID="1.5.1")] * 200, id="of another study"),
        pytest.param([dataset(SeriesInstanceUID="1.2.3", SOPInstanceUID="1.5.1")] * 200, id="of another series"),
    ],
)
async def test_a_count_that_is_not_kept_costs_few_requests(rows, count):
    service = DicomService(sorted(keys(1, 1)))
    service.instead = lambda path: (_json(rows) if rows else httpx.Response(204)) if "instances" in path else None
    assert await instances_of(service.client, KEY, key().series_instance_uid, count) <= {
        key()._replace(sop_instance_uid="1.5.1")
    }
    assert sum(service.asked.values()) <= 2


async def test_a_list_of_series_without_end_is_none():
    pages = itertools.count(1)

    def page(_):
        number = next(pages)
        return _json(
            [dataset(SeriesInstanceUID=f"1.{number}.{n}", NumberOfSeriesRelatedInstances=1) for n in range(200)]
        )

    service = DicomService(sorted(keys(1, 1)))
    service.instead = page
    assert await series_of(service.client, KEY) is None


# --- more than can be held at once ---------------------------------------------------------------------------------


@pytest.fixture
def bound(monkeypatch):
    """An answer holds fifty instances of the service in memory and no more."""
    monkeypatch.setattr("shared.body.MOST_BYTES", 60 * len(json.dumps(_dataset(key(1, 100)))))


def asked_of(service):
    return dict(service.asked), service.asked.clear()


@pytest.mark.usefixtures("bound")
async def test_a_study_too_large_for_one_answer_is_read_series_by_series():
    there = {key(series, number) for series in range(1, 11) for number in range(40)}
    service = DicomService(sorted(there))
    assert shown(await read(service, keys(1, 1))) == (there, set(), set(), True, 0)
    first, _ = asked_of(service)
    assert first == {
        "v1/studies/*/metadata": 1,
        "v2/studies/*/series": 1,
        "v1/studies/*/series/*/metadata": 10,
    }
    assert shown(await read(service, keys(1, 2))) == (there, set(), set(), True, 0)
    second, _ = asked_of(service)
    assert second == {name: count for name, count in first.items() if name != "v1/studies/*/metadata"}


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize("count", [200, 400])
async def test_a_series_too_large_for_one_answer_costs_a_request_for_each_instance_and_is_whole(count):
    """So that it covers whatever other messages list. Nothing of it is known before."""
    there = keys(1, *range(count)) | keys(2, *range(30))
    service = DicomService(sorted(there))
    assert shown(await read(service, keys(1, *range(100)))) == (there, set(), set(), True, 0)
    assert sum(service.asked.values()) <= count + count / 200 + 10


@pytest.mark.usefixtures("bound")
async def test_a_large_study_that_is_gone_is_found_out():
    there = keys(1, *range(100))
    service = DicomService(sorted(there))
    await read(service, keys(1, 1))
    service.instances.clear()
    assert shown(await read(service, keys(1, 1))) == (set(), set(), keys(1, 1), True, 0)
    with pytest.raises(Unavailable):
        await read(service)  # nothing is known that could be asked for
    assert shown(await read(service)) == (set(), set(), set(), True, 0)
