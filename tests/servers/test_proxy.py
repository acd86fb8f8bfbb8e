"""The proxy: passes everything as it is, and fails only as it is told."""

import asyncio
import json
import time

import httpx
import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueClient

from dev.azurite import connection_string
from dev.process import running
from dev.proxy.server import Proxy
from tests.builders import make_instance


@pytest.fixture
async def before():
    """A proxy before a service."""
    proxies = []

    async def start(to, *rules, seed=0, **fhir):
        proxy = await Proxy(to).start()
        proxies.append(proxy)
        proxy.use(list(rules), seed, fhir)
        return proxy

    yield start
    for proxy in proxies:
        await proxy.close()


@pytest.fixture
async def http():
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        yield client


def patient(value):
    return {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": value}]}


def transaction(*values):
    entries = [
        {
            "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012}",
            "resource": patient(value),
            "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier=urn%3As%7C{value}"},
        }
        for number, value in enumerate(values)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def patients(stack):
    return sorted(one["identifier"][0]["value"] for one in await stack.resources("Patient"))


async def test_answers_are_those_of_the_service(stack, before, http):
    await stack.store(make_instance())
    proxy = await before(stack.dicom)
    for path in (
        "/v2/studies?limit=5",
        "/v2/changefeed",
        "/v2/studies/1.2/metadata",
        "/v1/changefeed/latest",
        "/odd//%7c",
    ):
        answers = [
            await http.get(origin + path, headers={"Accept": "application/dicom+json"})
            for origin in (stack.dicom, proxy.url)
        ]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].content == answers[1].content
        left, right = ({k: v for k, v in one.headers.items() if k not in ("date", "connection")} for one in answers)
        assert left == right


async def test_storage_takes_signed_requests_through_it(azurite, before):
    """Shared keys sign path and headers, not the host."""
    tables, queues = await before(azurite["table"]), await before(azurite["queue"])
    text = connection_string({"table": tables.url, "queue": queues.url})
    async with TableServiceClient.from_connection_string(text) as service:
        table = await service.create_table_if_not_exists("proxied")
        await table.upsert_entity({"PartitionKey": "a b", "RowKey": "c|d", "Value": "ü"})
        assert [row["Value"] async for row in table.query_entities("PartitionKey eq 'a b'")] == ["ü"]
    async with QueueClient.from_connection_string(text, "proxied") as queue:
        await queue.create_queue()
        await queue.send_message("text")
        assert [message.content async for message in queue.receive_messages()] == ["text"]
    assert tables.rules.stats.writes == 2
    assert queues.rules.stats.requests == {"PUT": 1, "POST": 1, "GET": 2}


@pytest.mark.parametrize(("kind", "carried_out"), [("reset", 0), ("lose", 1)])
async def test_lost_connections(stack, before, http, kind, carried_out):
    proxy = await before(stack.fhir, {"kind": kind, "times": 1})
    with pytest.raises(httpx.TransportError):
        await http.post(proxy.url, json=transaction("a"))
    assert len(await patients(stack)) == carried_out
    assert (await http.post(proxy.url, json=transaction("a"))).status_code == 200
    assert proxy.rules.stats.faults == {kind: 1}
    assert proxy.rules.stats.writes == 2


async def test_half_an_answer(stack, before, http):
    proxy = await before(stack.fhir, {"kind": "truncate", "path": "metadata"})
    with pytest.raises(httpx.TransportError):
        await http.get(f"{proxy.url}/metadata")


@pytest.mark.parametrize("kind", ["lose", "truncate", "duplicate"])
async def test_a_service_that_is_gone_answers_nothing_under_a_fault_either(before, http, kind):
    proxy = await before("http://127.0.0.1:1/fhir", {"kind": kind})
    with pytest.raises(httpx.TransportError):
        await http.get(f"{proxy.url}/metadata")


async def test_refusals(stack, before, http):
    proxy = await before(
        stack.fhir,
        {"status": 429, "retry_after_s": 3, "retry_after_ms": 2500, "writes": True, "times": 1},
        {"kind": "html", "status": 200, "methods": ["GET"]},
    )
    answer = await http.post(proxy.url, json=transaction("a"))
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["x-ms-retry-after-ms"]) == (
        429,
        "3",
        "2500",
    )
    assert (await http.get(f"{proxy.url}/Patient")).headers["content-type"] == "text/html"
    assert await patients(stack) == []


async def test_a_refusal_of_what_was_carried_out(stack, before, http):
    proxy = await before(stack.fhir, {"status": 500, "carried_out": True, "times": 1})
    assert (await http.post(proxy.url, json=transaction("a"))).status_code == 500
    assert await patients(stack) == ["a"]
    (entry,) = (await http.post(proxy.url, json=transaction("a"))).json()["entry"]
    assert entry["response"]["status"] == "200"


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_an_answer_without_a_body(stack, before, http, status):
    proxy = await before(stack.dicom, {"kind": "empty", "status": status})
    answer = await http.get(f"{proxy.url}/v2/changefeed")
    assert (answer.status_code, answer.content) == (status, b"")
    assert proxy.rules.stats.faults == {f"empty {status}": 1}
    assert not proxy.rules.stats.carried_out


async def test_it_can_lead_to_another_service_for_a_while(stack, before, http):
    proxy = await before(stack.dicom)
    there = await http.get(f"{proxy.url}/v1/changefeed")
    proxy.lead_to(stack.fhir)
    assert (await http.get(f"{proxy.url}/v1/changefeed")).content != there.content
    proxy.lead_to(stack.dicom)
    assert (await http.get(f"{proxy.url}/v1/changefeed")).content == there.content
    assert proxy.rules.stats.carried_out == {"GET": 3}


async def test_a_request_that_arrives_twice(stack, before, http):
    proxy = await before(stack.fhir, {"kind": "duplicate", "writes": True})
    assert (await http.post(f"{proxy.url}/Patient", json=patient("a"))).status_code == 201
    assert await patients(stack) == ["a", "a"]


async def test_the_same_seed_gives_the_same_faults(stack, before, http):
    async def statuses():
        proxy = await before(stack.fhir, {"status": 503, "probability": 0.5}, seed=4)
        return [(await http.get(f"{proxy.url}/Patient")).status_code for _ in range(12)]

    first = await statuses()
    assert set(first) == {200, 503}
    assert await statuses() == first


async def test_creates_that_are_searched_first_make_twins(stack, before, http):
    proxy = await before(stack.fhir, searched_creates_s=0.3)
    answers = await asyncio.gather(*(http.post(proxy.url, json=transaction("a")) for _ in range(3)))
    assert [one.json()["entry"][0]["response"]["status"] for one in answers] == ["201"] * 3
    assert await patients(stack) == ["a", "a", "a"]


async def test_a_create_that_is_lost_to_a_rival(stack, before, http):
    proxy = await before(stack.fhir, lost_creates=1)
    bundle = transaction("a", "b")
    link = {"other": {"reference": bundle["entry"][0]["fullUrl"]}, "type": "seealso"}
    bundle["entry"][1]["resource"]["link"] = [link]
    answer = (await http.post(proxy.url, json=bundle)).json()
    assert [one["response"]["status"] for one in answer["entry"]] == ["200", "201"]
    assert await patients(stack) == ["a", "b"]
    (linked,) = [one for one in await stack.resources() if "link" in one]
    assert linked["link"][0]["other"]["reference"] != f"Patient/{answer['entry'][0]['resource']['id']}"


async def test_the_only_create_of_a_transaction_is_lost(stack, before, http):
    proxy = await before(stack.fhir, lost_creates=1)
    answer = await http.post(proxy.url, json=transaction("a"))
    (entry,) = answer.json()["entry"]
    assert (answer.status_code, entry["response"]["status"]) == (200, "200")
    assert entry["resource"] == await stack.one("Patient")


async def test_an_answer_in_other_words(stack, before, http):
    stored = await stack.post(patient("a"))
    proxy = await before(stack.fhir, swap_refusals=True, extra_entry=True, location_on_update=False)
    update = {"method": "PUT", "url": f"Patient/{stored['id']}", "ifMatch": 'W/"other"'}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": stored, "request": update}]}
    assert (await http.post(stack.fhir, json=bundle)).status_code == 412
    assert (await http.post(proxy.url, json=bundle)).status_code == 409
    update["ifMatch"] = f'W/"{stored["meta"]["versionId"]}"'
    entries = (await http.post(proxy.url, json=bundle)).json()["entry"]
    assert len(entries) == 2
    assert "location" not in entries[0]["response"]


async def test_a_replica_that_lags(stack, before, http):
    proxy = await before(stack.fhir, lag_s=0.5)

    async def seen():
        answer = await http.post(f"{proxy.url}/Patient/_search", data={"identifier": "urn:s|a"})
        return [one["resource"].get("gender") for one in answer.json()["entry"]]

    stored = await stack.post(patient("a"))
    assert await seen() == []
    await asyncio.sleep(0.6)
    assert await seen() == [None]
    await stack.put(stored | {"gender": "other"})
    assert await seen() == [None]
    await asyncio.sleep(0.6)
    assert await seen() == ["other"]
    await http.delete(f"{stack.fhir}/Patient/{stored['id']}")
    assert await seen() == ["other"]
    await asyncio.sleep(0.6)
    assert await seen() == []


async def test_a_replica_that_stands_still(stack, before, http):
    proxy = await before(stack.fhir)

    async def seen():
        answer = await http.post(f"{proxy.url}/Patient/_search", data={"identifier": "urn:s|a"})
        return [one["resource"].get("gender") for one in answer.json()["entry"]]

    stored = await stack.post(patient("a"))
    proxy.use([], fhir={"replica_at": time.time()})
    await stack.put(stored | {"gender": "other"})
    assert await seen() == [None]
    proxy.use([], fhir={"replica_at": 0.0})
    assert await seen() == []
    proxy.use([])
    assert await seen() == ["other"]


async def test_it_runs_as_a_part(stack, http):
    with running("proxy", "--to", stack.fhir, "--port", "0") as part:
        url, admin = part.urls["url"], part.urls["admin"]
        assert (await http.post(f"{admin}/rules", json={"rules": [{"kind": "nonsense"}]})).status_code == 400
        rules = [{"status": 503, "times": 1}]
        assert (
            await http.post(f"{admin}/rules", json={"rules": rules, "fhir": {"extra_entry": True}})
        ).status_code == 200
        assert (await http.get(f"{url}/metadata")).status_code == 503
        assert (await http.get(f"{url}/metadata")).json()["fhirVersion"] == "4.0.1"
        stats = (await http.get(f"{admin}/stats")).json()
        assert json.dumps(stats["faults"]) == '{"status 503": 1}'
        assert stats["total"] == 2
