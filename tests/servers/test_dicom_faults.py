"""Faults, counters and synthetic backlogs under /_dev/."""

import asyncio
import time

import httpx
import pytest
from test_dicom_arrange import STUDY, feed, make_file, metadata_of, stand_in, store


@pytest.fixture
async def dicom(tmp_path):
    async with stand_in(tmp_path) as client:
        yield client


async def use(client, *rules, **more):
    response = await client.post("/_dev/faults", json={"rules": list(rules), **more} if more else list(rules))
    assert response.status_code == 200, response.text


async def statuses(client, path="/v1/changefeed", count=3):
    return [(await client.get(path)).status_code for _ in range(count)]


async def test_status_with_retry_after_a_number_of_times(dicom):
    await use(dicom, {"route": "changefeed", "times": 2, "status": 429, "retry_after_s": 2, "body": "slow down"})
    response = await dicom.get("/v2/changefeed")
    assert (response.status_code, response.headers["retry-after"], response.text) == (429, "2", "slow down")
    assert await statuses(dicom) == [429, 200, 200]
    assert await statuses(dicom, "/v1/changefeed/latest", 1) == [204]


async def test_draws_are_seeded(dicom):
    drawn = []
    for _ in range(2):
        await use(dicom, {"route": "*", "probability": 0.5, "status": 500}, seed=7)
        drawn.append(await statuses(dicom, count=20))
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {200, 500}


ROUTES = [
    ("changefeed", "GET", "/v1/changefeed"),
    ("latest", "GET", "/v2/changefeed/latest"),
    ("metadata", "GET", f"/v1/studies/{STUDY}/series/1.2/metadata"),
    ("stow", "POST", "/v2/partitions/a/studies"),
    ("qido", "GET", "/v2/studies/1.2/series"),
    ("retrieve", "GET", "/v2/studies/1.2"),
    ("delete", "DELETE", "/v2/studies/1.2"),
    ("update", "POST", "/v2/studies/$bulkUpdate"),
    ("operations", "GET", "/v2/operations/1"),
    ("health", "GET", "/health/check"),
]


@pytest.mark.parametrize(("route", "method"), [(route, method) for route, method, _ in ROUTES])
async def test_rules_are_by_route(dicom, route, method):
    await use(dicom, {"route": route, "status": 403, "body": "Authorization failed."})
    assert [(await dicom.request(m, p)).status_code == 403 for _, m, p in ROUTES] == [r == route for r, _, _ in ROUTES]
    stats = (await dicom.get("/_dev/stats")).json()
    assert stats["requests"][route] == {method: 1}


async def test_only_with_metadata(dicom):
    await use(dicom, {"route": "changefeed", "status": 503, "only_with_metadata": True})
    assert (await statuses(dicom, "/v1/changefeed", 1)) == [503]
    assert (await statuses(dicom, "/v1/changefeed?includeMetadata=false", 1)) == [200]


async def test_headers_of_an_answer(dicom):
    await use(dicom, {"status": 401, "headers": {"WWW-Authenticate": 'Bearer realm="test"'}})
    response = await dicom.get("/v2/changefeed")
    assert (response.status_code, response.headers["www-authenticate"]) == (401, 'Bearer realm="test"')


async def test_html(dicom):
    await use(dicom, {"kind": "html", "times": 1}, {"status": 502, "body": "html"})
    for status in (200, 502):
        response = await dicom.get("/v2/changefeed")
        assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert response.text.startswith("<!DOCTYPE html>")


async def test_delay_goes_on_to_the_next_rule(dicom):
    await use(dicom, {"kind": "delay", "seconds": 0.1, "times": 1}, {"route": "changefeed", "status": 500, "times": 1})
    before = time.monotonic()
    assert await statuses(dicom, count=2) == [500, 200]
    assert 0.1 <= time.monotonic() - before < 1


async def test_drop_and_drop_after(dicom):
    await use(dicom, {"route": "stow", "kind": "drop", "times": 1}, {"route": "stow", "kind": "drop_after"})
    for stored in (0, 1):
        with pytest.raises(httpx.RemoteProtocolError):
            await store(dicom, make_file())
        assert len(await feed(dicom)) == stored


async def test_truncate(dicom):
    await store(dicom, make_file())
    await use(dicom, {"kind": "truncate"})
    with pytest.raises(httpx.RemoteProtocolError):
        await dicom.get("/v1/changefeed")


@pytest.mark.parametrize("rules", [[{"kind": "explode"}], [{"chance": 1}], {"no": "rules"}, [1]])
async def test_unknown_rules_are_400(dicom, rules):
    assert (await dicom.post("/_dev/faults", json=rules)).status_code == 400


async def test_stats_and_reset(dicom):
    sent = make_file()
    stored = await store(dicom, sent)
    page = await dicom.get("/v1/changefeed")
    stats = (await dicom.get("/_dev/stats")).json()
    assert stats == {
        "requests": {"stow": {"POST": 1}, "changefeed": {"GET": 1}},
        "statuses": {"200": 2},
        "faults": {},
        "bytes_in": stats["bytes_in"],
        "bytes_out": len(stored.content) + len(page.content),
        "studies": 1,
        "instances": 1,
        "feed_rows": 1,
        "next_sequence": 2,
    }
    assert stats["bytes_in"] > len(sent)
    await use(dicom, {"route": "stow", "status": 500})
    assert (await dicom.post("/_dev/reset")).json() == {}
    empty = {"requests": {}, "statuses": {}, "faults": {}, "bytes_in": 0, "bytes_out": 0}
    content = {"studies": 0, "instances": 0, "feed_rows": 0, "next_sequence": 1}
    assert (await dicom.get("/_dev/stats")).json() == {**empty, **content}
    assert (await store(dicom, make_file())).status_code == 200


async def test_bulk_makes_plausible_studies(dicom):
    wish = {"studies": 3, "series_per_study": 2, "instances_per_series": 4, "patients": 2, "seed": 5}
    studies = (await dicom.post("/_dev/bulk", json=wish)).json()["studies"]
    assert len(set(studies)) == 3
    entries = await feed(dicom)
    assert [entry["sequence"] for entry in entries] == list(range(1, 25))
    assert {entry["state"] for entry in entries} == {"Current"}
    found = [instance for study in studies for instance in await metadata_of(dicom, study)]
    assert len(found) == 24
    uids = {instance[tag]["Value"][0] for instance in found for tag in ("0020000D", "0020000E", "00080018")}
    assert len(uids) == 3 + 6 + 24
    assert all(50 <= len(uid) <= 60 for uid in uids)
    names = {instance["00100010"]["Value"][0]["Alphabetic"] for instance in found}
    assert names == {"TEST^PATIENT0001", "TEST^PATIENT0002"}
    assert all(len(instance) >= 55 for instance in found)
    again = (await dicom.post("/_dev/bulk", json=wish)).json()["studies"]
    assert again == studies
    assert len(await feed(dicom)) == 24


async def test_bulk_makes_a_backlog(dicom):
    wish = {"studies": 100, "series_per_study": 1, "instances_per_series": 100}
    await dicom.post("/_dev/bulk", json=wish)
    assert [entry["sequence"] for entry in await feed(dicom, offset=9_990)] == list(range(9_991, 10_001))


async def test_other_requests_pass_while_files_are_stored(dicom):
    files = [make_file(sop=f"1.2.{number}") for number in range(200)]
    storing = asyncio.create_task(store(dicom, *files))
    seen = set()
    while not storing.done():
        seen.add(len(await feed(dicom, version=2, includeMetadata="false")))
        await asyncio.sleep(0)
    assert len(seen) > 2
    assert (await storing).status_code == 200
