"""The one object behind all routes: content, files, faults on request, and what the gateway in front does."""

import asyncio
import random
from pathlib import Path
from typing import Any

from dev.dicom import clock
from dev.dicom.archive import Archive
from dev.dicom.faults import Faults
from dev.dicom.gateway import Gateway
from dev.dicom.journal import Journal
from dev.dicom.model import DEFAULT_PARTITION

MAX_FILE_BYTES = 2_147_483_647


class Service:
    """State of one stand-in; everything that changes content goes through `commit`."""

    def __init__(self, folder: Path, *, keep: bool = False, partitions: bool = False, seed: int = 0) -> None:
        self.partitions = partitions
        self.max_bytes = MAX_FILE_BYTES
        self.journal = Journal(folder, keep=keep)
        self.faults = Faults()
        self._seed = seed
        self._start_empty()
        for change in self.journal.changes():
            self.archive.apply(change)
        self.add_partition(DEFAULT_PARTITION)

    def _start_empty(self) -> None:
        self.archive = Archive()
        # by SOPInstanceUID: the status with which reading the metadata of the instance fails
        self.unreadable: dict[str, int] = {}
        self.gateway = Gateway()
        self.operations: dict[str, dict[str, Any]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.rng = random.Random(self._seed)

    def commit(self, op: str, **fields: Any) -> Any:
        """One transaction: into the journal, then into the archive, at the service's own time."""
        change = {"op": op, "at": clock.now().isoformat(), **fields}
        self.journal.append(change)
        return self.archive.apply(change)

    def reset(self) -> None:
        """Forget content, feed, numbering, faults and counters."""
        for task in self.tasks:
            task.cancel()
        self.journal.clear()
        self._start_empty()
        self.add_partition(DEFAULT_PARTITION)
        self.faults.reset()

    def partition_named(self, name: str) -> str | None:
        """The name of a partition as it was first written; None where there is none."""
        return next((known for known in self.archive.partitions if known.lower() == name.lower()), None)

    def add_partition(self, name: str) -> None:
        """A partition is there from its first store on; the default one always."""
        if self.partitions and self.partition_named(name) is None:
            self.commit("partition", name=name)
