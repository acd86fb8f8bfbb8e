"""Which of several hosts runs a timer: the one that holds its lock.

Microsoft's host leases a blob for 15 s at a time; hosts that did not get the lease ask again after a minute. This one
keeps a row of a table, with the same times. Hosts of one host id are one app.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import time
import uuid
from pathlib import Path

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from dev.host.waits import is_set_within

log = logging.getLogger("host")

TABLE = "StandInHostLocks"
LEASE_S, ASK_AGAIN_S = 15.0, 60.0


def host_id(folder: Path) -> str:
    """The app setting, or one of the folder: hosts of one folder are one app."""
    return os.environ.get("AzureFunctionsWebHost__hostid") or hashlib.sha256(str(folder).encode()).hexdigest()[:32]


class TimerLock:
    """The lock of one timer; without a table there is nobody to share it with."""

    look_every_s = 0.1

    def __init__(self, table: TableClient | None, app: str, function: str, held_after_death_s: float) -> None:
        self._table = table
        self._key = {"PartitionKey": app, "RowKey": function}
        self._lease_s = min(LEASE_S, held_after_death_s)
        self._ask_again_s = min(ASK_AGAIN_S, held_after_death_s)
        self._owner = str(uuid.uuid4())
        self._until = 0.0

    @property
    def is_held(self) -> bool:
        return self._table is None or time.time() < self._until

    async def keep(self, stop: asyncio.Event) -> None:
        """Take the lock and renew it, or ask for it again, until told to stop; then give it back."""
        while not stop.is_set():
            await self._ask(time.time() + self._lease_s)
            await is_set_within(stop, self._lease_s / 3 if self.is_held else self._ask_again_s)
        if self.is_held:
            await self._ask(0.0)

    async def _ask(self, until: float) -> None:
        if self._table is None:
            return
        row = {**self._key, "Owner": self._owner, "Until": until}
        with contextlib.suppress(AzureError):
            try:
                there = await self._table.get_entity(self._key["PartitionKey"], self._key["RowKey"])
            except ResourceNotFoundError:
                await self._table.create_entity(row)
            else:
                if there["Owner"] != self._owner and time.time() < float(there["Until"]):
                    return
                etag = there.metadata["etag"]
                await self._table.update_entity(
                    row, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            self._until = until


async def create_table(table: TableClient) -> None:
    """Create the table of the locks where it is not there."""
    with contextlib.suppress(ResourceExistsError):
        await table.create_table()
