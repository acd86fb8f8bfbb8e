"""A patient with thousands of studies, such as a phantom for quality control: its newest study goes."""

import json

import pytest

from shared.storage.patient_state import OFFER, ROW_KEY, TABLE_NAME
from tests.builders import make_instance, study_uid

COUNT = 150
BATCH = 100  # of a table transaction


async def with_studies(stack, count, *, are_known):
    """A patient with so many studies in FHIR beside the first. are_known: each has a row of what it offers; or else
    the Patient was there before this app, and DICOM Cast, say, wrote the studies.
    """
    await stack.store(make_instance(1))
    await stack.drain()
    patient = await stack.one("Patient")
    [row] = [one for one in await stack.rows(TABLE_NAME) if one["RowKey"].startswith(OFFER)]
    table = stack.tables.get_table_client(stack.name + TABLE_NAME)
    if not are_known:
        await table.update_entity({"PartitionKey": row["PartitionKey"], "RowKey": ROW_KEY, "IsKnown": False})
    older = json.dumps(dict.fromkeys(json.loads(row["Offers"]), 0))
    uids = [study_uid(1000 + number) for number in range(count)]
    for start in range(0, count, BATCH):
        some = uids[start : start + BATCH]
        entries = [_study(uid, patient["id"]) for uid in some]
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
        (await stack.http.post(stack.fhir, json=bundle)).raise_for_status()
        if are_known:
            rows = [("upsert", {**row, "RowKey": OFFER + uid, "Offers": older}) for uid in some]
            await table.submit_transaction(rows)


def _study(uid, patient):
    resource = {
        "resourceType": "ImagingStudy",
        "status": "available",
        "subject": {"reference": f"Patient/{patient}"},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
    }
    return {"request": {"method": "POST", "url": "ImagingStudy"}, "resource": resource}


async def runs(stack):
    """How many runs it takes until nothing is left."""
    await stack.poll()
    count = 0
    while texts := await stack.messages():
        await stack.run(*texts)
        count += len(texts)
    return count


@pytest.mark.parametrize("are_known", [True, False], ids=["synced by this app", "by another"])
async def test_the_newest_of_many_studies_comes_and_goes(stack, are_known):
    await with_studies(stack, COUNT, are_known=are_known)
    await stack.store(make_instance(2, PatientSex="O"))
    stored = await runs(stack)
    assert (await stack.one("Patient"))["gender"] == "other"
    await stack.delete(study_uid(2))
    deleted = await runs(stack)
    assert (await stack.one("Patient"))["gender"] == "female"
    assert (stored, deleted) == (1, 2)
