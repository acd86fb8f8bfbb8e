"""Answers that are no answers: every call of every client ends with what it is for, or with one of our errors."""

import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from dev.azurite import connection_string
from shared.dicom.client import DicomClient
from shared.errors import SyncError
from shared.fhir.bundle import Entry
from shared.fhir.capabilities import Capabilities
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import by_identifier
from shared.http import new_client
from shared.model import DEFAULT_PARTITION, InstanceKey, StudyChange, StudyKey
from shared.storage.calls import CLIENT_OPTIONS
from shared.storage.checkpoint import CheckpointStore
from shared.storage.patient_state import PatientStateStore
from shared.storage.study_queue import StudyQueue
from shared.storage.study_state import StudyStateStore
from shared.storage.table import Table
from shared.telemetry import quiet_libraries
from tests.odd_server import answers, odd_server

STUDY = StudyKey(DEFAULT_PARTITION, "1.2")
INSTANCE = InstanceKey("1.2.3", "1.2.3.4")
ROW = {"PartitionKey": "p", "RowKey": "r"}
IDENTITY = by_identifier("Patient", "urn:x", "MRN-0001")
CREATE = Entry.create(IDENTITY, {"resourceType": "Patient"})


def storage_calls(url):
    text = connection_string({"table": f"{url}/devstoreaccount1", "queue": f"{url}/devstoreaccount1"})
    service = TableServiceClient.from_connection_string(text, **CLIENT_OPTIONS)
    client = QueueClient.from_connection_string(
        text, "queue", message_encode_policy=TextBase64EncodePolicy(), **CLIENT_OPTIONS
    )
    table, queue = Table(service, "Rows"), StudyQueue(client)
    studies, patients = StudyStateStore(table), PatientStateStore(table)
    return (service, client), {
        "update": lambda: table.save(ROW, 'W/"1"'),
        "upsert": lambda: table.upsert(ROW),
        "delete": lambda: table.delete("p", "r", 'W/"1"'),
        "rows": lambda: studies.partitions_of("1.2"),
        "create table": table.create,
        "checkpoint": CheckpointStore(table).get,
        "study state": lambda: studies.get(STUDY),
        "patient state": lambda: patients.get("key"),
        "send": lambda: queue.send(StudyChange(STUDY, 1)),
        "create queue": queue.create,
        "depth": queue.depth,
    }


def service_calls(url):
    client = new_client(url, None)
    dicom, fhir = DicomClient(client), FhirClient(client)
    knowing = FhirClient(client)
    knowing._capabilities = Capabilities(
        "4.0.1", transactions=True, update_create=frozenset(), conditional_update=frozenset(), software=""
    )
    return (client,), {
        "latest": dicom.latest_sequence,
        "feed": lambda: dicom.feed_page(0),
        "study": lambda: dicom.study_metadata(STUDY, dicom.latest),
        "instance": lambda: dicom.instance_metadata(STUDY, INSTANCE, dicom.latest),
        "probe": fhir.probe,
        "find": lambda: knowing.find(IDENTITY),
        "find any": lambda: knowing.find_any([IDENTITY]),
        "studies": lambda: knowing.studies_of("Patient/1"),
        "transact": lambda: knowing.transact([CREATE]),
    }


@pytest.fixture
async def odd(monkeypatch):
    monkeypatch.setattr("shared.retry.REPEATS", 1)
    quiet_libraries()
    async with odd_server() as server:
        yield server


async def escaped(odd, calls):
    """What came out of these calls that has no name."""
    named, found = 0, []
    for name, answer in answers():
        odd.answer = answer
        for call, run in calls.items():
            try:
                await run()
            except SyncError as error:
                named += 1
                if "MRN-0001" in str(error) or "127.0.0.1" in str(error):
                    found.append((call, name, str(error)))
            except Exception as error:  # noqa: BLE001 - they are what is looked for
                found.append((call, name, repr(error)))
    return named, found


@pytest.mark.parametrize("made", [storage_calls, service_calls], ids=["storage", "services"])
async def test_nothing_without_a_name_comes_out(odd, made):
    clients, calls = made(odd.url)
    try:
        named, found = await escaped(odd, calls)
    finally:
        for client in clients:
            await (client.close() if hasattr(client, "close") else client.aclose())
    assert found == []
    assert named > len(calls) * 100
