"""Drive the app against the local stack and look at what is in FHIR, tables and queue afterwards."""

import asyncio
import itertools
import json
import time
from collections import Counter
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from shared.config import Settings
from shared.fhir.id_key import KEY_ID
from shared.settings.hosting import StorageAccount
from shared.wiring import build
from tests.builders import part10

NUMBERS = itertools.count(1)
BOUNDARY = "flow-test"
IN_STEP_WITHIN_S = 120


class Stack:
    """One app, with a queue and tables of its own, on shared servers that were emptied."""

    def __init__(self, monkeypatch, azurite, dicom, fhir):
        self.azurite, self.dicom, self.fhir = azurite, dicom, fhir
        self.name = f"t{next(NUMBERS)}x{id(self)}"
        self._monkeypatch = monkeypatch
        self.http = httpx.AsyncClient(timeout=120, trust_env=False, verify=False)
        self.app = self.new_app()
        self._apps = [self.app]
        self.queue = QueueClient.from_connection_string(
            azurite["connection_string"], self.name, message_decode_policy=TextBase64DecodePolicy()
        )
        self.tables = TableServiceClient.from_connection_string(azurite["connection_string"])

    def new_app(self, **settings):
        """An app of its own, as another worker process would have."""
        values = {
            "AzureWebJobsStorage": self.azurite["connection_string"],
            "DicomWeb__Endpoint": self.dicom,
            "Fhir__Endpoint": self.fhir,
            "TableStore__TableNamePrefix": self.name,
            "STUDY_QUEUE_NAME": self.name,
            **settings,
        }
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)
        app = build(Settings.load(), StorageAccount.load())
        self._apps = [*getattr(self, "_apps", []), app]
        return app

    async def close(self):
        for app in set(self._apps):
            await app.close()
        await self.queue.close()
        await self.tables.close()
        await self.http.aclose()

    # DICOM

    async def store(self, *datasets, version="v2", partition=None):
        parts = b"".join(
            b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (BOUNDARY.encode(), part10(dataset))
            for dataset in datasets
        )
        answer = await self.http.post(
            f"{self.dicom}/{version}{_below(partition)}/studies",
            content=parts + b"--%s--" % BOUNDARY.encode(),
            headers={
                "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
                "Accept": "application/dicom+json",
            },
        )
        assert answer.status_code in (200, 202), (answer.status_code, answer.text)

    async def delete(self, path, partition=None):
        answer = await self.http.delete(f"{self.dicom}/v2{_below(partition)}/studies/{path}")
        assert answer.status_code == 204, answer.text

    async def bulk_update(self, study, partition=None, **dataset):
        body = {"studyInstanceUids": [study], "changeDataset": dataset}
        answer = await self.http.post(f"{self.dicom}/v2{_below(partition)}/studies/$bulkUpdate", json=body)
        assert answer.status_code == 202, answer.text
        operation = answer.json()["href"]
        for _ in range(100):
            answer = await self.http.get(operation)
            if answer.status_code == 200:
                assert answer.json()["status"] == "succeeded"
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the update did not end")

    async def dicom_dev(self, path, body=None):
        content = json.dumps({} if body is None else body)  # NaN and the like, which httpx refuses to write
        answer = await self.http.post(f"{self.dicom}/_dev/{path}", content=content)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def dicom_requests(self):
        return (await self.http.get(f"{self.dicom}/_dev/stats")).json()

    # the app

    async def poll(self, app=None):
        return await (app or self.app).poller.poll()

    async def messages(self):
        """Take every visible message off the queue; their texts."""
        await self.app.queue.create()
        texts = []
        async for message in self.queue.receive_messages(messages_per_page=32, visibility_timeout=60):
            texts.append(message.content)
            with suppress(ResourceNotFoundError):  # the SDK asked again, and the first request had deleted it
                await self.queue.delete_message(message)
        return texts

    async def run(self, *texts, app=None):
        return [(await (app or self.app).runner.run(text)).outcome for text in texts]

    async def drain(self, app=None, waiting=0):
        """Poll and run until nothing is left but so many messages that wait for minutes and hours; outcomes."""
        outcomes = Counter()
        while True:
            polled = await self.poll(app)
            texts = await self.messages()
            outcomes.update(map(str, await self.run(*texts, app=app)))
            if not texts and polled.sequence >= polled.latest and await self.app.queue.depth() <= waiting:
                return outcomes
            await asyncio.sleep(0 if texts else 0.1)

    async def until_in_step(self):
        """Until hosts that run elsewhere have read all of the feed and emptied the queue, hidden messages included."""
        deadline = time.monotonic() + IN_STEP_WITHIN_S
        while (await self.app.checkpoints.get()).sequence != await self.app.dicom.latest_sequence() or (
            await self.app.queue.depth()
        ):
            assert time.monotonic() < deadline, "FHIR did not get in step"
            await asyncio.sleep(0.2)

    # FHIR

    async def fhir_dev(self, path, body=None):
        parts = urlsplit(self.fhir)
        url = f"{parts.scheme}://{parts.netloc}/_dev/{path}"
        answer = await (self.http.get(url) if body is None else self.http.post(url, json=body))
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def fhir_requests(self):
        return (await self.fhir_dev("stats"))["total"]

    async def resources(self, resource_type=None):
        """All but the Device that holds the key of ids, which is the app's own."""
        found = [one for one in await self.fhir_dev("dump") if (one["resourceType"], one["id"]) != ("Device", KEY_ID)]
        return [one for one in found if resource_type in (None, one["resourceType"])]

    async def one(self, resource_type):
        found = await self.resources(resource_type)
        assert len(found) == 1, [one["resourceType"] for one in found]
        return found[0]

    async def versions(self):
        return {f"{one['resourceType']}/{one['id']}": one["meta"]["versionId"] for one in await self.resources()}

    async def put(self, resource):
        answer = await self.http.put(f"{self.fhir}/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code == 200, answer.text

    async def post(self, resource):
        answer = await self.http.post(f"{self.fhir}/{resource['resourceType']}", json=resource)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def content(self):
        """Everything in FHIR without what the server adds, references by what they point to."""
        return normalised(await self.resources())

    # tables

    async def rows(self, table):
        """Rows of one of the app's tables; none when there is no such table."""
        found = []
        existing = [one.name async for one in self.tables.list_tables()]
        if self.name + table in existing:
            client = self.tables.get_table_client(self.name + table)
            async with client:
                found = [dict(row) async for row in client.list_entities()]
        return found

    async def forget(self, table):
        await self.tables.delete_table(self.name + table)


def _below(partition):
    return f"/partitions/{partition}" if partition else ""


def normalised(resources):
    names = {f"{one['resourceType']}/{one['id']}": _name(one) for one in resources}
    text = json.dumps([_bare(one) for one in resources], sort_keys=True)
    for reference, name in names.items():
        text = text.replace(f'"{reference}"', json.dumps(name))
    return sorted(json.loads(text), key=lambda one: json.dumps(one, sort_keys=True))


def _name(resource):
    identifier = resource.get("identifier", [{}])[0]
    system = f"{identifier['system']}|" if resource["resourceType"] == "Patient" and "system" in identifier else ""
    return f"{resource['resourceType']} {system}{identifier.get('value') or resource.get('name')}"


def _bare(resource):
    source = resource.get("meta", {}).get("source", "").split("#")[0]
    bare = {key: value for key, value in resource.items() if key not in ("id", "meta")}
    return {**bare, "source": source} if source else bare
