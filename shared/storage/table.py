"""One table of Table Storage: entities in and out under ETags, failures as errors of ours."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import EntityProperty, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.errors import Misconfigured, SyncError, Throttled, Unavailable, VersionConflict

Entity = Mapping[str, Any]
UNAUTHORIZED = (401, 403)


class Table:
    """Rows by PartitionKey and RowKey. The table is created when it is first found missing."""

    def __init__(self, service: TableServiceClient, name: str) -> None:
        self._client: TableClient = service.get_table_client(name)
        self._name = name

    async def get(self, partition_key: str, row_key: str) -> tuple[Entity, str] | None:
        """The row and its ETag, or None."""
        try:
            entity = await self._client.get_entity(partition_key, row_key)
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise self._error(error) from None
        return entity, str(entity.metadata["etag"])

    async def save(self, entity: Entity, etag: str | None) -> str:
        """Insert when `etag` is None, else replace what has this ETag; VersionConflict when that was overtaken."""
        try:
            return await self._save(entity, etag)
        except ResourceNotFoundError:
            if etag is not None:
                raise VersionConflict(f"a row of {self._name} is gone") from None
        except AzureError as error:
            raise self._error(error) from None
        await self.create()
        try:
            return await self._save(entity, etag)
        except AzureError as error:
            raise self._error(error) from None

    async def upsert(self, entity: Entity) -> None:
        """Write the row whatever was there."""
        try:
            await self._client.upsert_entity(entity, mode=UpdateMode.REPLACE)
        except ResourceNotFoundError:
            await self.create()
            await self.upsert(entity)
        except AzureError as error:
            raise self._error(error) from None

    async def delete(self, partition_key: str, row_key: str, etag: str | None = None) -> None:
        """Remove the row if it is there, and still has this ETag where one is given."""
        guard: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        try:
            await self._client.delete_entity(partition_key, row_key, **guard)
        except (ResourceNotFoundError, ResourceModifiedError):
            return
        except AzureError as error:
            raise self._error(error) from None

    async def rows(self, partition_key: str | None = None) -> AsyncIterator[Entity]:
        """All rows, or those of one partition."""
        condition, parameters = ("PartitionKey eq @key", {"key": partition_key}) if partition_key else ("", None)
        try:
            async for entity in self._client.query_entities(condition, parameters=parameters):
                yield entity
        except ResourceNotFoundError:
            return
        except AzureError as error:
            raise self._error(error) from None

    async def create(self) -> None:
        """Create the table; nothing happens when it is there."""
        try:
            await self._client.create_table()
        except ResourceExistsError:
            return
        except AzureError as error:
            raise self._error(error) from None

    async def _save(self, entity: Entity, etag: str | None) -> str:
        if etag is None:
            answer = await self._client.create_entity(entity)
        else:
            answer = await self._client.update_entity(
                entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
            )
        return str(answer["etag"])

    def _error(self, error: AzureError) -> SyncError:
        return storage_error(f"table {self._name}", error)


def storage_error(what: str, error: AzureError) -> SyncError:
    """The error that a failure of Azure Storage stands for; its own text is dropped, it can hold URLs."""
    if isinstance(error, ResourceExistsError | ResourceModifiedError):
        return VersionConflict(f"{what}: somebody else wrote first")
    if isinstance(error, ClientAuthenticationError):
        return Misconfigured(f"{what}: the app's identity or key is refused: check both", code="access-refused")
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in UNAUTHORIZED:
        return Misconfigured(f"{what} refuses access ({status}): check the app's storage roles", code="access-refused")
    if status == 429:
        return Throttled(f"{what} answered 429")
    return Unavailable(f"{what} gave no usable answer ({status or type(error).__name__})")


def int64(value: int) -> Any:
    """A 64 bit integer; Table Storage would write a plain int as 32 bit."""
    return EntityProperty(value, "Edm.Int64")


def integer(entity: Entity, name: str) -> int:
    """An integer column of either width; 0 when it is absent."""
    value = entity.get(name) or 0
    return int(value.value if isinstance(value, EntityProperty) else value)
