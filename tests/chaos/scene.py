"""The whole flow as processes, with a proxy before each service: storage, DICOM, FHIR and several hosts."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue import TextBase64DecodePolicy, TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from dev.azurite import connection_string
from dev.parts import Host, Parts
from dev.process import Part
from dev.proxy.server import Proxy
from tests.app_folder import write_app
from tests.chaos.asking import ask
from tests.chaos.host import FIRST_START_S, OneHost

QUEUE = "study-changes"
# written into FHIR; the app connects to the proxy, whose port differs from run to run
PUBLIC_DICOM = "https://dicom.example/"
SERVICES = ("dicom", "fhir", "tables", "queues")
STAND_INS = Parts()
# what Microsoft's servers do by themselves while all is disturbed
DISTURBED = {
    "dicom": {
        "MEMSTORE_GAP_EVERY": "7",
        "MEMSTORE_LATE_EVERY": "5",
        "MEMSTORE_LATE_MS": "1500",
        "MEMSTORE_503_EVERY": "97",
    },
    "fhir": {"MEMSTORE_LATENCY_MS": "30", "MEMSTORE_429_EVERY": "10"},
}


@dataclass(frozen=True)
class Times:
    """What production takes minutes for, in seconds: how long a write whose outcome is not known may take, the longest
    delay of a retry, how often a service that refuses everyone is tried; how long the messages of a dead host stay
    hidden. A paused worker wakes up well before writes are taken for done.
    """

    settled_after_s: float = 8.0
    longest_delay_s: float = 10.0
    first_trial_after_s: float = 5.0
    trial_every_s: float = 60.0
    hidden_after_crash_s: int = 3
    longest_pause_s: float = 4.0


CHANGES = """
from shared.sync import backoff, circuit, writers
writers.SETTLED_AFTER_S = {times.settled_after_s}
backoff.LONGEST_S = {times.longest_delay_s}
circuit.FIRST_WAIT_S, circuit.LONGEST_WAIT_S = {times.first_trial_after_s}, {times.trial_every_s}
"""


class Scene:
    """Everything that runs."""

    def __init__(self, folder, times, hosts, made_of=STAND_INS, *, disturbed=False):
        self.folder = Path(folder)
        self.times = times
        self.made_of = made_of
        self._disturbed = disturbed
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
        _, dicom, fhir = self.made_of.commands
        commands = {"azurite": azurite, "dicom": (dicom, "--port", "0"), "fhir": (fhir, "--port", "0")}
        faults = DISTURBED if self._disturbed else {}
        storage, dicom, fhir = await asyncio.gather(
            *(self._part(command, faults.get(name)) for name, command in commands.items())
        )
        self.dicom, self.fhir = dicom["url"], fhir["url"]
        targets = {"dicom": self.dicom, "fhir": self.fhir, "tables": storage["table"], "queues": storage["queue"]}
        for name, url in targets.items():
            self.proxies[name] = await Proxy(url).start()
            self._resources.push_async_callback(self.proxies[name].close)
        self._storage = storage
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

    async def _part(self, command, env=None):
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{command[0]}.log"
        part = await asyncio.to_thread(Part, command, env=env, log=log, timeout_s=FIRST_START_S)
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
        app = write_app(self.folder / "app", CHANGES.format(times=self.times))
        endpoints = {"table": self.proxies["tables"].url, "queue": self.proxies["queues"].url}
        endpoints["blob"] = self._storage["blob"]
        env = {
            "AzureWebJobsStorage": connection_string(endpoints),
            "DicomWeb__Endpoint": PUBLIC_DICOM,
            "DicomWeb__PrivateEndpoint": self.proxies["dicom"].url,
            "Fhir__Endpoint": self.proxies["fhir"].url,
            "STUDY_QUEUE_NAME": QUEUE,
            "SYNC_SCHEDULE": "*/1 * * * * *",
            "FUNCTIONS_WORKER_RUNTIME": "python",
        }
        kind = self.made_of.host
        self.hosts = [OneHost(number, app, env, self.times, kind) for number in range(self._count)]
        for host in self.hosts:
            self._resources.push_async_callback(host.stop)
        await asyncio.gather(*(host.start() for host in self.hosts))
        if kind is Host.FUNC:
            tending = asyncio.gather(*(host.tend() for host in self.hosts))
            self._resources.push_async_callback(_cancelled, tending)

    # what is there

    async def depth(self, queue=None):
        try:
            return (await (queue or self.queue).get_queue_properties()).approximate_message_count
        except ResourceNotFoundError:
            return 0

    async def behind(self):
        """Sequences of the feed that were not enqueued yet."""
        query = {"includeMetadata": "false"}
        answer, _ = await ask(self.http, "GET", f"{self.dicom}/v1/changefeed/latest", params=query)
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

    @property
    def hidden_s(self):
        """How long the messages of a killed host stay away; Microsoft's host leaves that as it is in Azure."""
        return self.times.hidden_after_crash_s if self.made_of.host is Host.STAND_IN else 600

    def requests(self):
        return {name: proxy.rules.stats.total for name, proxy in self.proxies.items()}


async def _cancelled(task):
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
