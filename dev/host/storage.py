"""From the name of a connection to clients of its storage account, by the rules of the storage bindings.

`NAME` may hold a connection string or `UseDevelopmentStorage=true`; or `NAME__queueServiceUri`, `NAME__serviceUri` or
`NAME__accountName` point to the account and the identity comes from azure-identity.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.data.tables.aio import TableClient
from azure.storage.queue.aio import QueueServiceClient

from dev.host.errors import BindingError, Recycled

_EMULATOR_PORTS = {"blob": 10000, "queue": 10001, "table": 10002}
# the listener itself asks again; the client's own retries would only delay the log line
_CLIENT_OPTIONS: dict[str, Any] = {"retry_total": 0, "connection_timeout": 5, "read_timeout": 30}
# as Microsoft's clients do by default, which its host uses at the start
_TRIES, _FIRST_WAIT_S = 6, 0.8


def queue_service(connection: str) -> QueueServiceClient:
    """A client for the connection of a queue trigger; raises BindingError when no setting describes it."""
    text = _connection_string(connection)
    if text:
        try:
            return QueueServiceClient.from_connection_string(text, **_CLIENT_OPTIONS)
        except ValueError as error:
            raise BindingError(f"the app setting {connection} is not a storage connection string") from error
    uri = _setting(f"{connection}__queueServiceUri") or _setting(f"{connection}__serviceUri")
    account = _setting(f"{connection}__accountName")
    if not uri and account:
        uri = f"https://{account}.queue.core.windows.net"
    if not uri:
        raise BindingError(
            f"no storage for the connection {connection}: set {connection} to a connection string or "
            f"UseDevelopmentStorage=true, or {connection}__queueServiceUri to the account's queue endpoint"
        )
    return QueueServiceClient(uri, credential=_credential(connection), **_CLIENT_OPTIONS)


def table_client(connection: str, table: str) -> TableClient | None:
    """A client for one table of the connection's account; None when no setting describes the account."""
    if text := _connection_string(connection):
        return TableClient.from_connection_string(text, table, **_CLIENT_OPTIONS)
    uri, account = _setting(f"{connection}__tableServiceUri"), _setting(f"{connection}__accountName")
    if not uri and account:
        uri = f"https://{account}.table.core.windows.net"
    return TableClient(uri, table, credential=_credential(connection), **_CLIENT_OPTIONS) if uri else None


async def reach(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask until there is an answer, also one that says that something is absent; raise Recycled after half a minute."""
    wait_s = _FIRST_WAIT_S
    for attempt in range(1, _TRIES + 1):
        try:
            await ask()
        except ResourceNotFoundError:
            return
        except AzureError as error:
            if attempt == _TRIES:
                raise Recycled(
                    f"An unhandled exception has occurred. Host is shutting down. {type(error).__name__}"
                ) from error
            await asyncio.sleep(wait_s)
            wait_s *= 2
        else:
            return


def _connection_string(connection: str) -> str | None:
    text = _setting(connection)
    if not text:
        return None
    return _emulator() if text.strip().rstrip(";").lower() == "usedevelopmentstorage=true" else text


def _setting(name: str) -> str | None:
    return os.environ.get(f"AzureWebJobs{name}") or os.environ.get(name)


def _emulator() -> str:
    # imported here: it brings in Node, which a host pointed at Azure does without
    from dev.azurite import ACCOUNT, connection_string  # noqa: PLC0415

    return connection_string(
        {service: f"http://127.0.0.1:{port}/{ACCOUNT}" for service, port in _EMULATOR_PORTS.items()}
    )


def _credential(connection: str) -> Any:
    # imported here: most runs use the emulator and need no identity
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    client_id = _setting(f"{connection}__clientId")
    if (_setting(f"{connection}__credential") or "").lower() == "managedidentity":
        return ManagedIdentityCredential(client_id=client_id)
    return DefaultAzureCredential(managed_identity_client_id=client_id)
