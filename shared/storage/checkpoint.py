"""The checkpoint: how far the change feed has been enqueued. Table, keys and `SyncedSequence` are DICOM Cast's."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from shared.model import Checkpoint, Fingerprint, SequenceRange
from shared.storage.calls import read_from
from shared.storage.table import Table, int64, integer

TABLE_NAME = "SyncStateTable"
PARTITION_KEY = "SyncStatePartitionKey"
ROW_KEY = "SyncStateRowKey"


class CheckpointStore:
    """One row, guarded by its ETag: whoever loses it stops polling."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self) -> Checkpoint:
        """The checkpoint; the beginning of the feed when there is none."""
        found = await self._table.get(PARTITION_KEY, ROW_KEY)
        if found is None:
            return Checkpoint()
        entity, etag = found
        with read_from(self._table.name, ROW_KEY):
            gaps = tuple(
                SequenceRange(int(first), int(last), datetime.fromtimestamp(seen_at, UTC))
                for first, last, seen_at in json.loads(entity.get("Holes") or "[]")
            )
            sequence, said = json.loads(entity["Witness"]) if entity.get("Witness") else (0, "")
            fingerprint = Fingerprint(int(sequence), str(said)) if sequence else None
            saved_at = entity.get("SyncedDate")
            return Checkpoint(
                integer(entity, "SyncedSequence"),
                integer(entity, "Poll"),
                gaps,
                etag,
                fingerprint,
                saved_at if isinstance(saved_at, datetime) and saved_at.tzinfo else None,
            )

    async def save(self, checkpoint: Checkpoint) -> Checkpoint:
        """Write it under its ETag; return it with the new one. VersionConflict when another poller was faster."""
        entity = {
            "PartitionKey": PARTITION_KEY,
            "RowKey": ROW_KEY,
            "SyncedSequence": int64(checkpoint.sequence),
            "SyncedDate": checkpoint.saved_at or datetime.now(UTC),
            "Poll": int64(checkpoint.poll),
            "Witness": json.dumps(checkpoint.fingerprint) if checkpoint.fingerprint else "",
            "Holes": json.dumps([(gap.first, gap.last, int(gap.seen_at.timestamp())) for gap in checkpoint.gaps]),
        }
        return replace(checkpoint, etag=await self._table.save(entity, checkpoint.etag))
