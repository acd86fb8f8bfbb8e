"""The whole flow as processes, with a proxy before each service: storage, DICOM, FHIR and hosts of one or two apps."""

import asyncio
import contextlib
import json
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
from tests.chaos import changes
from tests.chaos.additions import CLOCKS_S, Addition
from tests.chaos.asking import ask
from tests.chaos.host import FIRST_START_S, OneHost
from tests.chaos.load import PARTITIONS

QUEUE = "study-changes"
PATIENTS = "urn:oid:1.2.826.0.1.3680043.10.1234.1"
SECOND_PARTITION = PARTITIONS[1]
# written into FHIR; the app connects to the proxy, whose port differs from run to run
PUBLIC_DICOM = "https://dicom.example/"
SERVICES = ("dicom", "fhir", "tables", "queues")
STAND_INS = Parts()
# what Microsoft's servers do by themselves while all is disturbed. 503 comes from the proxy: a step that the DICOM
# service itself fails (MEMSTORE_503_EVERY) leaves an update active for ever, and it refuses every later one
DISTURBED = {
    "dicom": {"MEMSTORE_GAP_EVERY": "7", "MEMSTORE_LATE_EVERY": "5", "MEMSTORE_LATE_MS": "1500"},
    "fhir": {"MEMSTORE_LATENCY_MS": "30", "MEMSTORE_429_EVERY": "10"},
}


@dataclass(frozen=True)
class App:
    """One app of the scene, by what Azure tells it from others by: its name, its queue and the prefix of its tables."""

    name: str
    queue: str
    prefix: str = ""

    @property
    def settings(self):
        return {
            "AzureFunctionsWebHost__hostid": self.name,
            "STUDY_QUEUE_NAME": self.queue,
            "TableStore__TableNamePrefix": self.prefix,
        }


FIRST, SECOND = App("chaos-first", QUEUE), App("chaos-second", "second-changes", "Second")


@dataclass(frozen=True)
class Times:
    """What production takes minutes for, in seconds: how long a write whose outcome is not known may take, the longest
    delay of a retry, how often a service that refuses everyone is tried, and when instances that cannot be read; how
    long the messages of a dead host stay hidden. A paused worker wakes up well before writes are taken for done.
    """

    settled_after_s: float = 8.0
    longest_delay_s: float = 10.0
    first_trial_after_s: float = 5.0
    trial_every_s: float = 60.0
    damage_tried_after_s: tuple = (1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0)
    hidden_after_crash_s: int = 3
    longest_pause_s: float = 4.0


CHANGES = """
import os
import time
from datetime import UTC, datetime
from shared.sync import backoff, circuit, damage, writers
writers.SETTLED_AFTER_S = {times.settled_after_s}
backoff.LONGEST_S = {times.longest_delay_s}
circuit.FIRST_WAIT_S, circuit.LONGEST_WAIT_S = {times.first_trial_after_s}, {times.trial_every_s}
damage.DELAYS_S = {times.damage_tried_after_s}
ahead_s, real_time = float(os.environ.get("CHAOS_CLOCK_S", "0")), time.time
if ahead_s:
    from shared import wiring
    time.time = lambda: real_time() + ahead_s
    wiring._now = lambda: datetime.fromtimestamp(time.time(), UTC)
"""


class Scene:
    """Everything that runs."""

    def __init__(self, folder, times, hosts, made_of=STAND_INS, *, disturbed=False, additions=frozenset()):
        self.folder = Path(folder)
        self.times = times
        self.made_of = made_of
        self._disturbed = disturbed
        self._additions = additions
        self.partitioned = Addition.PARTITIONS in additions
        self.apps = (FIRST, SECOND) if Addition.TWO_APPS in additions else (FIRST,)
        self.other_dicom = ""
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
        archive = (dicom, "--port", "0", *(("--partitions",) if self.partitioned else ()))
        commands = {"azurite": azurite, "dicom": archive, "fhir": (fhir, "--port", "0")}
        faults = DISTURBED if self._disturbed else {}
        storage, dicom, fhir = await asyncio.gather(
            *(self._part(command, faults.get(name)) for name, command in commands.items())
        )
        self.dicom, self.fhir = dicom["url"], fhir["url"]
        if self._disturbed and Addition.OTHER_SERVICE in self._additions:
            other = (await self._part(archive))["url"]
            await changes.lengthen(other, partitioned=self.partitioned)
            self.other_dicom = other
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
        self.queues = [await self._queue(app.queue) for app in self.apps]
        self.poison = [await self._queue(f"{app.queue}-poison") for app in self.apps]
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
            "SYNC_SCHEDULE": "*/1 * * * * *",
            "FUNCTIONS_WORKER_RUNTIME": "python",
        }
        if self.partitioned:  # the partitions share their patients, so that a study that moves keeps its own
            env |= {
                "Patient__PatientSystemId": PATIENTS,
                "Patient__PartitionSystemIds": json.dumps({SECOND_PARTITION: PATIENTS}),
            }
        kind = self.made_of.host
        self.hosts = [OneHost(number, app, env | self._own(number), self.times, kind) for number in range(self._count)]
        for host in self.hosts:
            self._resources.push_async_callback(host.stop)
        await asyncio.gather(*(host.start() for host in self.hosts))
        if kind is Host.FUNC:
            tending = asyncio.gather(*(host.tend() for host in self.hosts))
            self._resources.push_async_callback(_cancelled, tending)

    def _own(self, number):
        """Settings of one host: it belongs to one of the apps, and may have a clock of its own."""
        ahead_s = CLOCKS_S[number % len(CLOCKS_S)] if Addition.CLOCKS in self._additions and self._disturbed else 0.0
        return {**self.apps[number % len(self.apps)].settings, "CHAOS_CLOCK_S": str(ahead_s)}

    # what is there

    async def depth(self, *queues):
        """Messages in these queues, by default in those of studies."""
        found = 0
        for queue in queues or self.queues:
            with contextlib.suppress(ResourceNotFoundError):
                found += (await queue.get_queue_properties()).approximate_message_count
        return found

    async def behind(self):
        """Sequences of the feed that some app has not enqueued yet."""
        query = {"includeMetadata": "false"}
        answer, _ = await ask(self.http, "GET", f"{self.dicom}/v1/changefeed/latest", params=query)
        latest = answer.json()["sequence"] if answer.status_code == 200 else 0
        return max([latest - await self._checkpoint(app) for app in self.apps])

    async def _checkpoint(self, app):
        table = self.tables.get_table_client(f"{app.prefix}SyncStateTable")
        try:
            row = await table.get_entity("SyncStatePartitionKey", "SyncStateRowKey")
        except ResourceNotFoundError:
            return 0
        return row["SyncedSequence"].value

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

    def messages_sent(self):
        """Messages that the apps put on their queues, those included of which they heard no answer."""
        return self.proxies["queues"].rules.stats.carried_out["POST"]

    def requests(self):
        return {name: proxy.rules.stats.total for name, proxy in self.proxies.items()}


async def _cancelled(task):
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
