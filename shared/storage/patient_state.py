"""Patient state: which change a Patient's demographics came from, and what each of its studies offers.

One partition a Patient, keyed by a digest, never by the identifier itself. One row in it says where the demographics
came from. One row a study says which elements the study offers, and of which change: so the next provider of an element
is found with one query, and nobody has to ask all studies of a Patient.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from shared.state import PatientState, Told, Written
from shared.storage.calls import made_of, read_from, texts
from shared.storage.table import Entity, Table, int64, integer

TABLE_NAME = "PatientStateTable"
ROW_KEY = "Demographics"
OFFER = "Offer."  # with the Study Instance UID: the key of a study's row


class PatientStateStore:
    """The rows of Patients."""

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
                told={name: made_of(Told, one) for name, one in json.loads(entity.get("Told") or "{}").items()},
                birth_date_is_ours=bool(entity.get("BirthDateIsOurs")),
                open_by=texts(entity.get("OpenBy")),
                is_known=bool(entity.get("IsKnown")),
                ours=texts(entity.get("Ours")),
                unprovided=texts(entity.get("Unprovided")),
                conflicts={
                    uid: texts(json.dumps(some)) for uid, some in json.loads(entity.get("Conflicts") or "{}").items()
                },
                resource=str(entity.get("Resource") or ""),
                written=made_of(Written, written) if written else None,
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
            "OpenBy": json.dumps(state.open_by),
            "IsKnown": state.is_known,
            "Ours": json.dumps(state.ours),
            "Unprovided": json.dumps(state.unprovided),
            "Conflicts": json.dumps(dict(state.conflicts)),
            "Resource": state.resource,
            "Written": json.dumps(state.written),
            "CreatingAt": int64(state.creating_at),
        }
        return replace(state, etag=await self._table.save(entity, state.etag))

    async def offer(self, patient: str, study_instance_uid: str, offers: Mapping[str, int]) -> None:
        """Say which elements a study offers, each with the sequence of the change that it comes from."""
        row = {"PartitionKey": patient, "RowKey": OFFER + study_instance_uid, "Offers": json.dumps(dict(offers))}
        await self._table.upsert(row)

    async def withdraw(self, patient: str, study_instance_uid: str) -> None:
        """The study offers nothing to this Patient any more."""
        await self._table.delete(patient, OFFER + study_instance_uid)

    async def offer_of(self, patient: str, study_instance_uid: str) -> dict[str, int] | None:
        """What one study offers; None when it has no row."""
        found = await self._table.get(patient, OFFER + study_instance_uid)
        return self._offers(patient, found[0]) if found else None

    async def offers(self, patient: str) -> dict[str, dict[str, int]]:
        """What every study offers, by Study Instance UID."""
        return {
            str(row["RowKey"]).removeprefix(OFFER): self._offers(patient, row)
            async for row in self._table.rows(patient)
            if str(row["RowKey"]).startswith(OFFER)
        }

    def _offers(self, patient: str, row: Entity) -> dict[str, int]:
        with read_from(self._table.name, patient):
            return {str(name): int(sequence) for name, sequence in json.loads(row.get("Offers") or "{}").items()}
