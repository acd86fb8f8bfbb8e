"""All parts of the local stack together: storage emulator, DICOM service, FHIR server and the app in its host.

The last three are the project's stand-ins unless others are asked for (dev/parts.py).

The host gets its settings from here and from the sample settings, never from a developer's own local.settings.json.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from dev.parts import Fhir, Parts
from dev.process import ROOT, Part

STACK = ROOT / ".stack"
LOGS = STACK / "logs"
SAMPLE_SETTINGS = ROOT / "local.settings.sample.json"
QUEUE_NAME = "study-changes"
FAILURE_TABLES = ("DicomFailToStoreExceptionTable", "FhirFailToStoreExceptionTable", "TransientFailureExceptionTable")
FEED_PAGE = 200
MODALITY, SERIES_INSTANCE_UID = "00080060", "0020000E"
LOOK_EVERY_S = 0.5
SCHEDULE = "*/2 * * * * *"  # every two seconds: people are watching
FIRST_START_S = 600.0  # parts that do not come with the project are built or unpacked then
STAND_INS = Parts()


class StackError(Exception):
    """The stack cannot be started or ended by itself; the message says what to do."""


@dataclass(frozen=True)
class Ports:
    """Where the parts listen on 127.0.0.1; 0 is any free port."""

    blob: int = 0
    queue: int = 0
    table: int = 0
    dicom: int = 0
    fhir: int = 0
    host: int = 0

    def check(self) -> None:
        """Raise StackError naming the first taken port and the option that changes it."""
        for name, port in asdict(self).items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    option = f"--{name}-port"
                    raise StackError(f"port {port} is taken: name another one with {option}, or 0 for any") from error


@dataclass(frozen=True)
class Stack:
    """What runs, and where."""

    parts: dict[str, Part]
    connection_string: str
    dicom: str
    fhir: str
    host: str
    logs: Path
    made_of: Parts

    def what_runs(self) -> str:
        """The parts that may be stand-ins, with their versions where they tell one."""
        kinds = (("DICOM service", "dicom"), ("FHIR server", "fhir"), ("host", "host"))
        return "\n".join(f"  {what}: {self._title(kind)}" for what, kind in kinds)

    def _title(self, kind: str) -> str:
        version = self.parts[kind].urls.get("version")
        what: str = getattr(self.made_of, kind).description
        return f"{what} {version}" if version else what

    @property
    def fhir_origin(self) -> str:
        """Where the FHIR server's development routes are."""
        parts = urlsplit(self.fhir)
        return f"{parts.scheme}://{parts.netloc}"

    def check(self) -> None:
        """Raise StackError when a part is no longer there."""
        for name, part in self.parts.items():
            if part.has_ended:
                raise StackError(f"{name} ended by itself: see {name}.log in {self.logs}")

    def wait(self) -> None:
        """Return never; raise StackError when a part ends."""
        while True:
            self.check()
            time.sleep(LOOK_EVERY_S)


@contextlib.contextmanager
def running_stack(
    ports: Ports, data: Path | None = None, logs: Path = LOGS, made_of: Parts = STAND_INS
) -> Iterator[Stack]:
    """The stack for the length of a `with` block; content stays in `data`, or in memory without it."""
    if lack := made_of.missing():
        raise StackError(lack)
    made_of.unpack()
    ports.check()
    logs.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as parts:
        servers = _start_servers(ports, data, logs, parts, made_of)
        storage, dicom, fhir = (servers[name].urls for name in ("azurite", "dicom", "fhir"))
        env = {
            "AzureWebJobsStorage": storage["connection_string"],
            "DicomWeb__Endpoint": dicom["url"],
            "Fhir__Endpoint": fhir["url"],
            "SYNC_SCHEDULE": SCHEDULE,
            "STUDY_QUEUE_NAME": QUEUE_NAME,
            "FUNCTIONS_WORKER_RUNTIME": "python",
        }
        arguments = ["--app", str(ROOT), "--port", str(ports.host)]
        if SAMPLE_SETTINGS.exists():
            arguments += ["--settings", str(SAMPLE_SETTINGS)]
        host = _start("host", made_of.host.command, arguments, logs, env)
        parts.callback(host.stop)
        started = {**servers, "host": host}
        yield Stack(started, storage["connection_string"], dicom["url"], fhir["url"], host.urls["url"], logs, made_of)


def _start_servers(
    ports: Ports, data: Path | None, logs: Path, parts: contextlib.ExitStack, made_of: Parts
) -> dict[str, Part]:
    """They do not need one another, so they start side by side."""
    commands = {"dicom": made_of.dicom.command, "fhir": made_of.fhir.command}
    numbers = {
        "azurite": {"--blob-port": ports.blob, "--queue-port": ports.queue, "--table-port": ports.table},
        "dicom": {"--port": ports.dicom},
        "fhir": {"--port": ports.fhir},
    }
    with ThreadPoolExecutor() as threads:
        starting = {}
        for name, options in numbers.items():
            arguments = [each for option, port in options.items() for each in (option, str(port))]
            if data:
                (data / name).mkdir(parents=True, exist_ok=True)
                arguments += ["--data", str(data / name)]
            starting[name] = threads.submit(_start, name, commands.get(name, name), arguments, logs, {})
    started = {}
    failure = None
    for name, future in starting.items():
        try:
            started[name] = future.result()
            parts.callback(started[name].stop)
        except StackError as error:
            failure = error
    if failure:
        raise failure
    return started


def _start(name: str, command: str, arguments: list[str], logs: Path, env: dict[str, str]) -> Part:
    log = logs / f"{name}.log"
    log.write_bytes(b"")
    try:
        return Part([command, *arguments], env=env, log=log, timeout_s=FIRST_START_S)
    except RuntimeError as error:
        said = log.read_text(errors="replace").strip().splitlines()
        raise StackError(f"{name} did not start: {said[-1] if said else error} (all of it in {log})") from error


@dataclass(frozen=True)
class Content:
    """One study as a service shows it."""

    modalities: tuple[str, ...]
    series: int
    instances: int


class View:
    """Looks at the stack from outside: DICOM, FHIR, queue and tables, through their public interfaces only."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._http = httpx.Client(timeout=60, trust_env=False)
        self._queues = QueueServiceClient.from_connection_string(stack.connection_string)
        self._tables = TableServiceClient.from_connection_string(stack.connection_string)

    def close(self) -> None:
        self._http.close()
        self._queues.close()
        self._tables.close()

    def feed_latest(self) -> int:
        """The newest sequence of the change feed, 0 while it is empty."""
        answer = self._http.get(f"{self._stack.dicom}/v1/changefeed/latest", params={"includeMetadata": "false"})
        return int(answer.raise_for_status().json()["sequence"]) if answer.status_code == 200 else 0

    def synced(self) -> int:
        """The sequence up to which the app has enqueued the feed."""
        table = self._tables.get_table_client("SyncStateTable")
        try:
            value: Any = table.get_entity("SyncStatePartitionKey", "SyncStateRowKey")["SyncedSequence"]
        except ResourceNotFoundError:
            return 0
        return int(getattr(value, "value", value))

    def waiting(self, suffix: str = "") -> int:
        """Messages in the app's queue, hidden ones included."""
        try:
            queue = self._queues.get_queue_client(QUEUE_NAME + suffix)
            return int(queue.get_queue_properties().approximate_message_count or 0)
        except ResourceNotFoundError:
            return 0

    def stored_studies(self) -> list[str]:
        """Every study the change feed has ever named, in the order of their first entries."""
        found: dict[str, None] = {}
        offset = 0
        while True:
            query = {"offset": str(offset), "limit": str(FEED_PAGE), "includeMetadata": "false"}
            page = self._http.get(f"{self._stack.dicom}/v2/changefeed", params=query).raise_for_status().json()
            if not page:
                return list(found)
            found |= dict.fromkeys(entry["studyInstanceUid"] for entry in page)
            offset += len(page)

    def in_dicom(self, study: str) -> Content | None:
        """What the DICOM service has of a study now."""
        url = f"{self._stack.dicom}/v2/studies/{study}/metadata"
        answer = self._http.get(url, headers={"Accept": "application/dicom+json"})
        if answer.status_code == 404:
            return None
        instances: list[dict[str, Any]] = answer.raise_for_status().json()
        series = {_first(each, SERIES_INSTANCE_UID): _first(each, MODALITY) for each in instances}
        return Content(tuple(sorted(set(series.values()) - {""})), len(series), len(instances))

    def imaging_study(self, study: str) -> dict[str, Any] | None:
        """The study as FHIR has it; several are an error of the app and raise."""
        identifier = f"urn:dicom:uid|urn:oid:{study}"
        found = self.fhir("ImagingStudy", identifier=identifier).get("entry", [])
        if len(found) > 1:
            raise StackError(f"FHIR holds {len(found)} ImagingStudy resources of the study {study}")
        resource: dict[str, Any] | None = found[0]["resource"] if found else None
        return resource

    def dose_summary(self, study: str) -> dict[str, Any] | None:
        """The Observation of a dose report of the study, if it has one."""
        query = {"identifier": f"urn:dicom:uid|urn:oid:{study}", "code": "http://loinc.org|73569-6"}
        found = self.fhir("Observation", **query).get("entry", [])
        resource: dict[str, Any] | None = found[0]["resource"] if found else None
        return resource

    def fhir(self, path: str, **query: str) -> dict[str, Any]:
        """A resource or a search result."""
        answer = self._http.get(f"{self._stack.fhir}/{path}", params=query).raise_for_status()
        resource: dict[str, Any] = answer.json()
        return resource

    def fhir_requests(self) -> int | None:
        """Requests the FHIR server has answered, these included; None where it does not count them."""
        if self._stack.made_of.fhir is Fhir.MICROSOFT:
            return None
        return int(self._http.get(f"{self._stack.fhir_origin}/_dev/stats").raise_for_status().json()["total"])

    def recorded(self, study: str) -> list[str]:
        """Codes of the failures that the app recorded for a study."""
        codes: dict[str, None] = {}
        for name in FAILURE_TABLES:
            with contextlib.suppress(ResourceNotFoundError):
                for row in self._tables.get_table_client(name).query_entities(f"PartitionKey eq '{study}'"):
                    codes[str(row["Exception"])] = None
        return list(codes)


def _first(instance: dict[str, Any], tag: str) -> str:
    return str((instance.get(tag, {}).get("Value") or [""])[0])
