"""From the name of a connection to a client of the queue service, by the rules of the storage bindings.

`NAME` may hold a connection string or `UseDevelopmentStorage=true`; or `NAME__queueServiceUri`, `NAME__serviceUri` or
`NAME__accountName` point to the account and the identity comes from azure-identity.
"""

import os
from typing import Any

from azure.storage.queue.aio import QueueServiceClient

from dev.host.errors import StartError

_EMULATOR_PORTS = {"blob": 10000, "queue": 10001, "table": 10002}
# the listener itself asks again; the client's own retries would only delay the log line
_CLIENT_OPTIONS: dict[str, Any] = {"retry_total": 0, "connection_timeout": 5, "read_timeout": 30}


def queue_service(connection: str) -> QueueServiceClient:
    """A client for the connection of a queue trigger; raises StartError when no setting describes it."""
    text = _setting(connection)
    if text:
        is_emulator = text.strip().rstrip(";").lower() == "usedevelopmentstorage=true"
        try:
            return QueueServiceClient.from_connection_string(_emulator() if is_emulator else text, **_CLIENT_OPTIONS)
        except ValueError as error:
            raise StartError(f"the app setting {connection} is not a storage connection string") from error
    uri = _setting(f"{connection}__queueServiceUri") or _setting(f"{connection}__serviceUri")
    account = _setting(f"{connection}__accountName")
    if not uri and account:
        uri = f"https://{account}.queue.core.windows.net"
    if not uri:
        raise StartError(
            f"no storage for the connection {connection}: set {connection} to a connection string or "
            f"UseDevelopmentStorage=true, or {connection}__queueServiceUri to the account's queue endpoint"
        )
    return QueueServiceClient(uri, credential=_credential(connection), **_CLIENT_OPTIONS)


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
