"""The whole flow as processes, with a proxy before each service: storage, DICOM, FHIR and several hosts."""

import asyncio
import contextlib
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue import TextBase64DecodePolicy, TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from dev.azurite import connection_string
from dev.process import ROOT, Part
from dev.proxy.server import Proxy

QUEUE = "study-changes"
# written into FHIR; the app connects to the proxy, whose port differs from run to run
PUBLIC_DICOM = "https://dicom.example/"
SERVICES = ("dicom", "fhir", "tables", "queues")


@dataclass(frozen=True)
class Times:
    """What production takes minutes for, in seconds: the expiry of claims, when they are renewed, the longest delay of
    a retry, how often a service that refuses everyone is tried; how long the messages of a dead host stay hidden. A
    paused worker wakes up well before claims expire.
    """

    claim_expires_s: float = 8.0
    claim_renewed_after_s: float = 1.0
    longest_delay_s: float = 10.0
    first_trial_after_s: float = 5.0
    trial_every_s: float = 60.0
    hidden_after_crash_s: int = 3
    longest_pause_s: float = 4.0


APP = """
import sys
from datetime import timedelta
sys.path.insert(0, {root!r})
from shared.storage import creation_claim
from shared.sync import backoff, circuit, claiming
creation_claim.EXPIRES_AFTER = timedelta(seconds={times.claim_expires_s})
claiming.RENEW_AFTER_S = {times.claim_renewed_after_s}
backoff.LONGEST_S = {times.longest_delay_s}
circuit.FIRST_WAIT_S, circuit.LONGEST_WAIT_S = {times.first_trial_after_s}, {times.trial_every_s}
exec(open({root!r} + "/function_app.py").read())
"""


class Host:
    """One worker process that is started again whenever it was killed."""

    def __init__(self, number, folder, env, times):
        self._arguments = ("host", "--app", str(folder), "--port", "0")
        self._arguments += ("--crash-visibility-s", str(times.hidden_after_crash_s))
        self._env = env
        self.log = folder / f"host-{number}.log"
        self.part = None
        self.busy = asyncio.Lock()

    async def start(self):
        self.part = await asyncio.to_thread(Part, self._arguments, env=self._env, log=self.log)

    async def kill(self):
        async with self.busy:
            await asyncio.to_thread(self.part.kill)
            await self.start()

    async def pause(self, seconds):
        async with self.busy:
            self.part.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.part.signal(signal.SIGCONT)

    async def stop(self):
        if self.part:
            await asyncio.to_thread(self.part.stop)


class Scene:
    """Everything that runs."""

    def __init__(self, folder, times, hosts):
        self.folder = Path(folder)
        self.times = times
        self._count = hosts
        self._resources = contextlib.AsyncExitStack()
        self.proxies = {}
        self.hosts = []

    async def __aenter__(self):
        try:
            await self._start()
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(self, *_):
        await self._resources.aclose()

    async def _start(self):
        azurite = ("azurite", "--blob-port", "0", "--queue-port", "0", "--table-port", "0")
        commands = (azurite, ("dicom", "--port", "0"), ("fhir", "--port", "0"))
        storage, dicom, fhir = await asyncio.gather(*(self._part(command) for command in commands))
        self.dicom, self.fhir = dicom["url"], fhir["url"]
        targets = {"dicom": self.dicom, "fhir": self.fhir, "tables": storage["table"], "queues": storage["queue"]}
        for name, url in targets.items():
            self.proxies[name] = await Proxy(url).start()
            self._resources.push_async_callback(self.proxies[name].close)
        self._connection = storage["connection_string"]
        self.http = await self._resources.enter_async_context(
            httpx.AsyncClient(timeout=60, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        )
        self.tables = await self._resources.enter_async_context(
            TableServiceClient.from_connection_string(self._connection)
        )
        self.queue = await self._queue(QUEUE)
        self.poison = await self._queue(f"{QUEUE}-poison")
        await self._start_hosts()

    async def _part(self, command):
        part = await asyncio.to_thread(Part, command)
        self._resources.push_async_callback(asyncio.to_thread, part.stop)
        return part.urls

    async def _queue(self, name):
        client = QueueClient.from_connection_string(
            self._connection,
            name,
            message_encode_policy=TextBase64EncodePolicy(),
            message_decode_policy=TextBase64DecodePolicy(),
        )
        return await self._resources.enter_async_context(client)

    async def _start_hosts(self):
        app = self.folder / "app"
        app.mkdir(parents=True)
        (app / "function_app.py").write_text(APP.format(root=str(ROOT), times=self.times))
        shutil.copy(ROOT / "host.json", app)
        endpoints = {"table": self.proxies["tables"].url, "queue": self.proxies["queues"].url}
        env = {
            "AzureWebJobsStorage": connection_string(endpoints),
            "DicomWeb__Endpoint": PUBLIC_DICOM,
            "DicomWeb__PrivateEndpoint": self.proxies["dicom"].url,
            "Fhir__Endpoint": self.proxies["fhir"].url,
            "STUDY_QUEUE_NAME": QUEUE,
            "SYNC_SCHEDULE": "*/1 * * * * *",
            "FUNCTIONS_WORKER_RUNTIME": "python",
        }
        self.hosts = [Host(number, app, env, self.times) for number in range(self._count)]
        for host in self.hosts:
            self._resources.push_async_callback(host.stop)
        await asyncio.gather(*(host.start() for host in self.hosts))

    # what is there

    async def depth(self, queue=None):
        try:
            return (await (queue or self.queue).get_queue_properties()).approximate_message_count
        except ResourceNotFoundError:
            return 0

    async def behind(self):
        """Sequences of the feed that were not enqueued yet."""
        query = {"includeMetadata": "false"}
        answer = await self.http.get(f"{self.dicom}/v1/changefeed/latest", params=query)
        latest = answer.json()["sequence"] if answer.status_code == 200 else 0
        try:
            row = await self.tables.get_table_client("SyncStateTable").get_entity(
                "SyncStatePartitionKey", "SyncStateRowKey"
            )
        except ResourceNotFoundError:
            return latest
        return latest - row["SyncedSequence"].value

    async def rows(self):
        """Rows of every table, by its name."""
        found = {}
        async for table in self.tables.list_tables():
            client = self.tables.get_table_client(table.name)
            found[table.name] = [dict(row) async for row in client.list_entities()]
        return found

    def logs(self):
        return "".join(host.log.read_text(errors="replace") for host in self.hosts if host.log.exists())

    async def is_in_step(self):
        return await self.behind() == 0 and await self.depth() == 0

    async def wait_until_in_step(self, timeout_s):
        """False when it did not get there in time."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline:
            if await self.is_in_step():
                # a message under way puts others on the queue before it is taken off
                await asyncio.sleep(1)
                if await self.is_in_step():
                    return True
            await asyncio.sleep(0.2)
        return False

    def requests(self):
        return {name: proxy.rules.stats.total for name, proxy in self.proxies.items()}
