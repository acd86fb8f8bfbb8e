"""The checkpoint: how far the change feed has been enqueued. Table, keys and `SyncedSequence` are DICOM Cast's."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.model import Checkpoint, Fingerprint, OtherReaders, SequenceRange
from shared.storage.calls import read_from
from shared.storage.table import Table, int64, integer

TABLE_NAME = "SyncStateTable"
PARTITION_KEY = "SyncStatePartitionKey"
ROW_KEY = "SyncStateRowKey"


class CheckpointStore:
    """One row, guarded by its ETag: whoever loses it stops polling.

    DICOM Cast merges `SyncedSequence` into the row, whoever wrote it meanwhile, and leaves the other columns as they
    are. So the column `Readers` has what this app wrote there, and how far it has read itself.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._saved: tuple[datetime | None, str | None] | None = None

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
            synced = integer(entity, "SyncedSequence")
            checkpoint = Checkpoint(
                synced,
                integer(entity, "Poll"),
                gaps,
                etag,
                fingerprint,
                saved_at if isinstance(saved_at, datetime) and saved_at.tzinfo else None,
                synced,
            )
            readers = json.loads(entity.get("Readers") or "{}")
            return self._with_readers(checkpoint, readers) if readers else checkpoint

    def _with_readers(self, row: Checkpoint, readers: dict[str, Any]) -> Checkpoint:
        # a write of others that left the sequence as it was is seen by the ETag, as long as this process lives
        is_rewritten = self._saved is not None and self._saved[0] == row.saved_at and self._saved[1] != row.etag
        is_moved = row.synced != readers["written"] or is_rewritten
        others = OtherReaders(
            readers["seenTo"],
            datetime.fromtimestamp(readers["seenAt"], UTC),
            readers["againTo"],
            datetime.fromtimestamp(readers["movedAt"], UTC) if readers["movedAt"] else None,
        )
        return replace(row, sequence=readers["read"], moved_to=row.synced if is_moved else None, others=others)

    async def save(self, checkpoint: Checkpoint) -> Checkpoint:
        """Write it under its ETag; return it with the new one. VersionConflict when another poller was faster.

        `SyncedSequence` never goes back, or a DICOM Cast that still runs would write once more what it has written.
        """
        synced, others = max(checkpoint.sequence, checkpoint.synced), checkpoint.others
        entity = {
            "PartitionKey": PARTITION_KEY,
            "RowKey": ROW_KEY,
            "SyncedSequence": int64(synced),
            "SyncedDate": checkpoint.saved_at or datetime.now(UTC),
            "Poll": int64(checkpoint.poll),
            "Witness": json.dumps(checkpoint.fingerprint) if checkpoint.fingerprint else "",
            "Holes": json.dumps([(gap.first, gap.last, int(gap.seen_at.timestamp())) for gap in checkpoint.gaps]),
        }
        if others is not None:
            entity["Readers"] = json.dumps(
                {
                    "read": checkpoint.sequence,
                    "written": synced,
                    "seenTo": others.seen_to,
                    "seenAt": int(others.seen_at.timestamp()),
                    "againTo": others.again_to,
                    "movedAt": int(others.moved_at.timestamp()) if others.moved_at else 0,
                }
            )
        etag = await self._table.save(entity, checkpoint.etag)
        self._saved = (checkpoint.saved_at, etag)
        return replace(checkpoint, etag=etag, synced=synced, moved_to=None)
