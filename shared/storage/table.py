"""One table of Table Storage: entities in and out under ETags, failures as errors of ours."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import EntityProperty, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.errors import Unavailable, VersionConflict
from shared.storage.calls import called

Entity = Mapping[str, Any]
T = TypeVar("T")


class Table:
    """Rows by PartitionKey and RowKey. The table is created when it is first found missing."""

    def __init__(self, service: TableServiceClient, name: str) -> None:
        self._client: TableClient = service.get_table_client(name)
        self.name = name
        self._what = f"table {name}"

    async def get(self, partition_key: str, row_key: str) -> tuple[Entity, str] | None:
        """The row and its ETag, or None."""

        async def read() -> tuple[Entity, str]:
            entity = await self._client.get_entity(partition_key, row_key)
            return entity, self._etag_of(entity.metadata)

        try:
            return await called(self._what, read)
        except ResourceNotFoundError:
            return None

    async def save(self, entity: Entity, etag: str | None) -> str:
        """Insert when `etag` is None, else replace what has this ETag; VersionConflict when that was overtaken."""

        async def write() -> str:
            if etag is None:
                return self._etag_of(await self._client.create_entity(entity))
            guard: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            return self._etag_of(await self._client.update_entity(entity, mode=UpdateMode.REPLACE, **guard))

        if etag is None:
            return await self._in_table(write)
        try:
            return await called(self._what, write)
        except ResourceNotFoundError:
            raise VersionConflict(f"a row of {self.name} is gone") from None

    async def upsert(self, entity: Entity) -> None:
        """Write the row whatever was there."""
        await self._in_table(lambda: self._client.upsert_entity(entity, mode=UpdateMode.REPLACE))

    async def delete(self, partition_key: str, row_key: str, etag: str | None = None) -> None:
        """Remove the row if it is there, and still has this ETag where one is given."""
        guard: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        try:
            await called(self._what, lambda: self._client.delete_entity(partition_key, row_key, **guard))
        except (ResourceNotFoundError, VersionConflict):
            return

    async def rows(self, partition_key: str | None = None) -> AsyncIterator[Entity]:
        """All rows, or those of one partition."""
        found = self._found("PartitionKey eq @key", {"key": partition_key}) if partition_key else self._found("", None)
        async for entity in found:
            yield entity

    async def rows_between(self, first: str, before: str) -> AsyncIterator[Entity]:
        """Rows whose PartitionKey is not below `first`, and below `before`."""
        keys = {"first": first, "before": before}
        async for entity in self._found("PartitionKey ge @first and PartitionKey lt @before", keys):
            yield entity

    async def _found(self, condition: str, parameters: dict[str, str] | None) -> AsyncIterator[Entity]:
        pages = self._client.query_entities(condition, parameters=parameters).by_page()

        async def next_page() -> list[Entity] | None:
            page = await anext(pages, None)
            return None if page is None else [entity async for entity in page]

        try:
            while (page := await called(self._what, next_page)) is not None:
                for entity in page:
                    yield entity
        except ResourceNotFoundError:
            return

    async def create(self) -> None:
        """Create the table; nothing happens when it is there."""
        try:
            await called(self._what, self._client.create_table)
        except (VersionConflict, ResourceNotFoundError):  # there, or being deleted: the next request to it tells
            return

    async def _in_table(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write, into a table that is created when it is missing."""
        try:
            return await called(self._what, write)
        except ResourceNotFoundError:
            await self.create()
        try:
            return await called(self._what, write)
        except ResourceNotFoundError:  # one that is being deleted cannot be created for a minute
            raise Unavailable(f"{self._what} is missing and cannot be created yet") from None

    def _etag_of(self, answer: Mapping[str, Any]) -> str:
        etag = answer["etag"]
        if not etag:
            raise Unavailable(f"{self._what} answered without an ETag")
        return str(etag)


def int64(value: int) -> Any:
    """A 64 bit integer; Table Storage would write a plain int as 32 bit."""
    return EntityProperty(value, "Edm.Int64")


def integer(entity: Entity, name: str) -> int:
    """An integer column of either width; 0 when it is absent."""
    value = entity.get(name) or 0
    return int(value.value if isinstance(value, EntityProperty) else value)
