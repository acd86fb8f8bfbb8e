"""The composition root: settings to clients to stores to poller and runner. Heavy to import: see `shared.worker`."""

import asyncio
import gc
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
from azure.core.credentials_async import AsyncTokenCredential
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueClient

from shared.checks import Check, Checks
from shared.child import Child
from shared.config import Demographics, Settings
from shared.credentials.tokens import Tokens
from shared.dicom import client as dicom_client
from shared.dicom.client import DicomClient
from shared.dicom.origin import check_reset, check_same
from shared.errors import Misconfigured
from shared.fhir import searchset
from shared.fhir.client import FhirClient
from shared.fhir.id_key import KEY_REFERENCE
from shared.http import new_client
from shared.mapping.patient import PatientRules
from shared.retry import repeated
from shared.settings.authentication import Authentication
from shared.settings.hosting import Limits, StorageAccount, Triggers
from shared.storage import checkpoint, patient_state, study_state
from shared.storage.calls import CLIENT_OPTIONS
from shared.storage.error_records import ErrorRecords, ErrorTable
from shared.storage.study_queue import ENCODE_POLICY, StudyQueue
from shared.storage.table import Table
from shared.sync.attempt import Stores
from shared.sync.cases import tally
from shared.sync.origin import Origin
from shared.sync.other_readers import check_alone
from shared.sync.poller import Poller
from shared.sync.reconciler import Reconciler
from shared.sync.rules import Rules
from shared.sync.runner import Runner

C = TypeVar("C")

# containers made before Python looks for cycles among the new ones. At its default of 700 that takes a third of the
# time of a large study, whose metadata hold hundreds of thousands and no cycle (docs/decisions.md)
COLLECT_AFTER = 20_000


@dataclass(frozen=True, slots=True)
class App:
    """Everything that a worker process needs."""

    poller: Poller
    runner: Runner
    queue: StudyQueue
    poison_queue: StudyQueue
    checkpoints: checkpoint.CheckpointStore
    studies: study_state.StudyStateStore
    records: ErrorRecords
    dicom: DicomClient
    fhir: FhirClient
    resources: AsyncExitStack
    schedule: str
    unknown_settings: tuple[str, ...] = ()

    async def lag(self) -> int:
        """How many sequences of the change feed are not enqueued yet; Misconfigured when the feed was reset."""
        done, latest = await self.checkpoints.get(), await self.dicom.latest()
        check_reset(latest.sequence, done.sequence)
        if done.fingerprint is not None:
            await check_same(self.dicom, done.fingerprint, latest)
        return latest.sequence - done.sequence

    @property
    def checks(self) -> Checks:
        """What `/api/health` and the status line ask."""
        services: dict[str, Check] = {
            "dicom": self._ask_dicom,
            "fhir": self._ask_fhir,
            "tables": self._ask_tables,
            "queues": self._ask_queues,
            "readers": self.readers,
        }
        return Checks(services, self.unknown_settings)

    async def _ask_dicom(self) -> Mapping[str, Any]:
        return {"lag": await self.lag()}

    async def _ask_fhir(self) -> Mapping[str, Any]:
        """By a read that the app's role must allow, of a resource of its own: the CapabilityStatement is open to all,
        and Microsoft's has a megabyte. It is asked for once.
        """
        await self.fhir.check_capable()
        await self.fhir.read_each([KEY_REFERENCE])
        return {}

    async def _ask_tables(self) -> Mapping[str, Any]:
        """When a poll last wrote the checkpoint, None before the first; and what the error tables hold."""
        checkpoint, counted = await asyncio.gather(self.checkpoints.get(), tally(self.records))
        return {"polled_at": checkpoint.saved_at, **counted.fields(_now())}

    async def _ask_queues(self) -> Mapping[str, Any]:
        """Messages, hidden ones included, and for how many seconds the oldest that can be taken has waited."""
        depth, poison, since = await asyncio.gather(
            self.queue.depth(), self.poison_queue.depth(), self.queue.waiting_since()
        )
        age_s = None if since is None else max(0, int((_now() - since).total_seconds()))
        return {"queue": depth, "queue_age_s": age_s, "poison": poison}

    async def readers(self) -> Mapping[str, Any]:
        """Nothing; raises Misconfigured when somebody else reads the change feed with this app's checkpoint."""
        check_alone(await self.checkpoints.get(), self.schedule, _now())
        return {}

    async def ensure_queues(self) -> None:
        """Create both queues where they are missing: the host asks for each every second, and logs every 404."""
        await asyncio.gather(self.queue.ensure(), self.poison_queue.ensure())

    async def close(self) -> None:
        """Close every connection."""
        await self.resources.aclose()


def build(settings: Settings, account: StorageAccount, *, starts_processes: bool = True) -> App:
    """The app of these settings. Connects to nothing yet.

    starts_processes: whether it works on messages that are marked alone in a process of their own.
    """
    gc.set_threshold(COLLECT_AFTER)
    resources = AsyncExitStack()
    dicom_web = settings.dicom_web
    dicom_url = dicom_web.private_endpoint or dicom_web.endpoint
    dicom = DicomClient(_client(dicom_client.SERVICE, dicom_url, dicom_web.authentication, resources))
    fhir = FhirClient(_client(searchset.SERVICE, settings.fhir.endpoint, settings.fhir.authentication, resources))
    tables = _table_service(settings, account, resources)
    queue = study_queue(account, settings.study_queue_name, resources)
    poison_queue = study_queue(account, f"{settings.study_queue_name}-poison", resources)

    def table(name: str) -> Table:
        return Table(tables, settings.table_store.table_name_prefix + name)

    records = ErrorRecords({name: table(name) for name in ErrorTable})
    checkpoints = checkpoint.CheckpointStore(table(checkpoint.TABLE_NAME))
    stores = Stores(
        study_state.StudyStateStore(table(study_state.TABLE_NAME)),
        patient_state.PatientStateStore(table(patient_state.TABLE_NAME)),
        records,
    )
    reconciler = Reconciler(dicom, Origin(dicom, checkpoints), fhir, stores, queue, _rules(settings))
    retry = settings.retry_configuration.total_retry_duration
    limits = Limits.load()
    child = Child(limits.process_s, limits.start_s)
    resources.push_async_callback(child.close)
    work_alone = child.work if starts_processes else None
    runner = Runner(
        reconciler, stores.studies, queue, records, retry, _now, limit_s=limits.message_s, work_alone=work_alone
    )
    record_malformed = not settings.dicom_cast.features.ignore_json_parsing_errors
    schedule = Triggers.load().schedule
    poller = Poller(
        dicom,
        checkpoints,
        queue,
        records,
        _now,
        record_malformed=record_malformed,
        default_zone=dicom_web.default_time_zone,
        schedule=schedule,
    )
    return App(
        poller,
        runner,
        queue,
        poison_queue,
        checkpoints,
        stores.studies,
        records,
        dicom,
        fhir,
        resources,
        schedule,
        settings.unknown_settings,
    )


def _rules(settings: Settings) -> Rules:
    patient, features = settings.patient, settings.dicom_cast.features
    follow = patient.demographics is Demographics.SYNC
    return Rules(
        settings.dicom_web.endpoint,
        PatientRules(
            patient.patient_system_id,
            patient.is_issuer_id_used,
            follow,
            patient.partition_system_ids,
            patient.former_system_ids,
        ),
        settings.dicom_web.default_time_zone,
        enforce_valid_values=features.enforce_validation_of_tag_values,
        record_unreadable=not features.ignore_json_parsing_errors,
        generate_observations=features.generate_observations,
        generate_events=features.generate_irradiation_events,
        most_instances=settings.imaging_study.most_listed,
        former_endpoints=settings.dicom_web.former_endpoints,
    )


def _client(service: str, url: str, authentication: Authentication, resources: AsyncExitStack) -> httpx.AsyncClient:
    client = new_client(url, _tokens(service, authentication))
    resources.push_async_callback(client.aclose)
    return client


def _tokens(service: str, authentication: Authentication) -> Tokens | None:
    """The tokens of one service; None where authentication is switched off."""
    if (identity := authentication.managed_identity_credential) is not None:
        from shared.credentials.identity import identity_token  # noqa: PLC0415 - heavy, and not needed by everybody

        return Tokens(lambda: repeated(lambda: identity_token(service, identity)))
    grant = authentication.o_auth2_user_password_credential or authentication.o_auth2_client_credential
    if grant is None:
        return None
    from shared.credentials.grant import grant_token  # noqa: PLC0415 - as above

    return Tokens(lambda: repeated(lambda: grant_token(service, grant)))


def _table_service(settings: Settings, account: StorageAccount, resources: AsyncExitStack) -> TableServiceClient:
    own = settings.table_store
    connection = own.connection_string or (None if own.endpoint_uri else account.connection_string)
    if connection is not None:
        name = "TableStore__ConnectionString" if own.connection_string else "AzureWebJobsStorage"
        secret = connection.get_secret_value()
        service = _connected(name, lambda: TableServiceClient.from_connection_string(secret, **CLIENT_OPTIONS))
    else:
        url, client_id = (
            (own.endpoint_uri, own.client_id) if own.endpoint_uri else (account.table_service_uri, account.client_id)
        )
        credential = _credential(client_id, resources)
        service = TableServiceClient(str(url), credential=credential, **CLIENT_OPTIONS)
    resources.push_async_callback(service.close)
    return service


def study_queue(account: StorageAccount, name: str, resources: AsyncExitStack) -> StudyQueue:
    """The queue alone; its client is closed with `resources`."""
    options = {"message_encode_policy": ENCODE_POLICY(), **CLIENT_OPTIONS}
    if account.connection_string is not None:
        secret = account.connection_string.get_secret_value()
        client = _connected("AzureWebJobsStorage", lambda: QueueClient.from_connection_string(secret, name, **options))
    else:
        credential = _credential(account.client_id, resources)
        client = QueueClient(str(account.queue_service_uri), name, credential=credential, **options)
    resources.push_async_callback(client.close)
    return StudyQueue(client)


def _connected(setting: str, connect: Callable[[], C]) -> C:
    try:
        return connect()
    except ValueError:  # its text can hold the key
        problem = f"{setting} is not a connection string of a storage account"
        raise Misconfigured(f"settings: {problem}", code="settings", problems=[problem]) from None


def _credential(client_id: str | None, resources: AsyncExitStack) -> AsyncTokenCredential:
    from shared.credentials.identity import credential_of  # noqa: PLC0415 - heavy, and not needed with a connection string

    credential = credential_of(client_id)
    resources.push_async_callback(credential.close)
    return credential


def _now() -> datetime:
    return datetime.now(UTC)
