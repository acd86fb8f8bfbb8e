"""Patient state: which change a Patient's demographics came from. Keyed by a digest, never by the identifier itself."""

import json
from dataclasses import replace

from shared.model import PatientState, Told, Written
from shared.storage.calls import read_from
from shared.storage.table import Table, int64, integer

TABLE_NAME = "PatientStateTable"
ROW_KEY = "Demographics"


class PatientStateStore:
    """One row a Patient, ETag-guarded."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, patient: str) -> PatientState:
        """The Patient's state by its key; an empty one without ETag when there is none."""
        found = await self._table.get(patient, ROW_KEY)
        if found is None:
            return PatientState()
        entity, etag = found
        with read_from(self._table.name, patient):
            written = json.loads(entity.get("Written") or "null")
            return PatientState(
                told={name: Told(*one) for name, one in json.loads(entity.get("Told") or "{}").items()},
                birth_date_is_ours=bool(entity.get("BirthDateIsOurs")),
                is_open=bool(entity.get("IsOpen")),
                written=Written(*written) if written else None,
                creating_at=integer(entity, "CreatingAt"),
                etag=etag,
            )

    async def save(self, patient: str, state: PatientState) -> PatientState:
        """Write it under its ETag; VersionConflict when another worker was faster."""
        entity = {
            "PartitionKey": patient,
            "RowKey": ROW_KEY,
            "Told": json.dumps(dict(state.told)),
            "BirthDateIsOurs": state.birth_date_is_ours,
            "IsOpen": state.is_open,
            "Written": json.dumps(state.written),
            "CreatingAt": int64(state.creating_at),
        }
        return replace(state, etag=await self._table.save(entity, state.etag))
