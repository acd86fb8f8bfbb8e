"""Nothing that names a patient reaches a log line, a table or the queue, whatever goes wrong."""

import logging

import pytest

from tests.builders import make_instance, study_uid

TELLTALE = {
    "PatientID": "ZZID77",
    "PatientName": "ZZFAMILY^ZZGIVEN",
    "PatientBirthDate": "19431231",
    "StudyDescription": "ZZDESCRIPTION",
    "SeriesDescription": "ZZSERIES",
    "AccessionNumber": "ZZACCESSION",
    "ReferringPhysicianName": "ZZREFERRER",
    "StudyTime": "ZZTIME",
}
WORDS = ("ZZ", "19431231", "1943-12-31")
FAULTS = [
    None,
    {"route": "transaction", "status": 400, "times": 1},
    {"route": "transaction", "status": 422, "times": 1},
    {"route": "transaction", "status": 412, "times": 9},
    {"route": "search", "kind": "html", "times": 3},
    {"route": "search", "kind": "truncate", "times": 3},
    {"route": "transaction", "kind": "drop_after", "times": 1},
]


def clean(text):
    return [word for word in WORDS if word in text]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_nothing_names_the_patient(stack, caplog, fault):
    caplog.set_level(logging.DEBUG, logger="dicom_fhir_sync")
    odd = {"StudyDate": "ZZDATE", "PatientSex": "ZZ", "InstanceNumber": "ZZ"}
    dataset = make_instance(**{**TELLTALE, "StudyTime": None, "StudyDate": None})
    await stack.store(dataset)
    await stack.bulk_update(study_uid(1), **{"00100040": {"vr": "CS", "Value": [odd["PatientSex"]]}})
    await stack.fhir_dev("faults", [fault] if fault else [])
    await stack.poll()
    texts = await stack.messages()
    await stack.run(*texts)
    assert clean("".join(texts)) == []
    queued = [message.content async for message in stack.queue.receive_messages()]
    assert clean("".join(queued)) == []
    assert clean(caplog.text) == []
    prefix = len(stack.name)
    tables = [one.name[prefix:] async for one in stack.tables.list_tables() if one.name.startswith(stack.name)]
    assert tables
    for table in tables:
        assert clean(str(await stack.rows(table))) == [], table
