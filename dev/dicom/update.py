"""POST studies/$bulkUpdate and GET operations/{id} (dicom-server: StoreController.cs, UpdateInstanceService.cs).

An update runs behind the answer, one at a time, one transaction per study. Only the newest and the original version of
an instance survive it.
"""

import asyncio
import json
import uuid
import warnings
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pydicom
from pydicom import config
from starlette.responses import Response

from dev.dicom import clock, rules
from dev.dicom.call import JSON, Call, Refused, encode
from dev.dicom.indexed import indexed
from dev.dicom.model import Attributes, Instance
from dev.dicom.service import Service

MOST_STUDIES = 50
UNDER_WAY = ("notStarted", "running")
# UpdateTags.cs: patient identification, patient demographics, general study
_IDENTIFICATION = "00100010 00100020 00100021 00100022 00101000 00101001 00101005 00101060 00101090"
_DEMOGRAPHICS = (
    "00100030 00100032 00100040 00100200 00101010 00101020 00101030 00101040 00101080 00101081 00102150 00102152 "
    "00102154 00102160 00102180 001021F0 00102201 00102292 00102295 00102297 00102298 00102299 00104000 00403001"
)
_STUDY = "00080050 00080090 00081030"
UPDATABLE = frozenset(f"{_IDENTIFICATION} {_DEMOGRAPHICS} {_STUDY}".split())


async def bulk_update(call: Call) -> Response:
    """Start an update of all instances of some studies; v1 has no such route."""
    if call.version == 1:
        raise Refused(404)
    if call.request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refused(415)
    studies, changes = _wishes(await call.request.body())
    if comments := _invalid(changes):
        items = [{"00000902": {"vr": "LO", "Value": [comment]}} for comment in comments]
        return Response(encode({"00741048": {"vr": "SQ", "Value": items}}), 400, media_type=JSON)
    operations = call.service.operations
    for other, operation in operations.items():
        if operation["status"] in UNDER_WAY:
            raise Refused(409, f"There is already an active update operation with ID '{other}'.")
    number = uuid.UUID(int=call.service.rng.getrandbits(128), version=4).hex
    operations[number] = _operation(number)
    _start(call.service, _run(call.service, call.partition, operations[number], studies, changes))
    href = f"{call.request.base_url}v2/operations/{number}"
    return Response(encode({"id": number, "href": href}), 202, media_type=JSON)


async def operation(call: Call) -> Response:
    """The state of an operation: 202 while it goes on, 200 when it ended."""
    await asyncio.sleep(0)  # a client in the same process may ask without ever letting the work go on
    number = call.request.path_params["operation"].replace("-", "").lower()
    found = call.service.operations.get(number)
    if found is None:
        raise Refused(404)
    if found["status"] in UNDER_WAY:
        return Response(encode(found), 202, {"Location": str(call.request.url)}, media_type=JSON)
    status = "completed" if call.version == 1 and found["status"] == "succeeded" else found["status"]
    return Response(encode({**found, "status": status}), media_type=JSON)


def _wishes(body: bytes) -> tuple[list[str], Attributes]:
    try:
        wish = json.loads(body)
        studies, changes = wish["studyInstanceUids"], wish["changeDataset"]
    except (ValueError, TypeError, KeyError):
        raise Refused(400, "studyInstanceUids and changeDataset are required.") from None
    if not isinstance(studies, list) or not 1 <= len(studies) <= MOST_STUDIES or not isinstance(changes, dict):
        raise Refused(400, f"studyInstanceUids must name between 1 and {MOST_STUDIES} studies.")
    if not all(isinstance(uid, str) and rules.uid_is_valid(uid) for uid in studies):
        raise Refused(400, "studyInstanceUids holds a value that is not a valid UID.")
    return studies, changes


def _invalid(changes: Attributes) -> list[str]:
    comments = []
    for tag, element in changes.items():
        if tag not in UPDATABLE:
            text: str | None = "The attribute cannot be updated."
        else:
            values = element.get("Value", ())
            plain = ["=".join(v.values()) if isinstance(v, dict) else str(v or "") for v in values]
            text = rules.problem(element["vr"], "\\".join(plain), plain)
            text = text or rules.wrong_number(int(tag, 16), element["vr"], len(plain))
        if text:
            comments.append(rules.comment(tag, text))
    return comments


def _operation(number: str) -> dict[str, Any]:
    now = _now()
    return {
        "operationId": number,
        "type": "update",
        "createdTime": now,
        "lastUpdatedTime": now,
        "status": "notStarted",
        "percentComplete": 0,
        "results": {"studyProcessed": 0, "studyUpdated": 0, "studyFailed": 0, "instanceUpdated": 0},
    }


def _now() -> str:
    """The present instant as an operation prints it, other than the change feed."""
    return clock.text(clock.now()).replace("+00:00", "Z")


def _start(service: Service, work: Any) -> None:
    task = asyncio.get_running_loop().create_task(work)
    service.tasks.add(task)
    task.add_done_callback(service.tasks.discard)


async def _run(
    service: Service, partition: str, operation: dict[str, Any], studies: list[str], changes: Attributes
) -> None:
    operation["status"] = "running"
    await asyncio.sleep(service.faults.linger_s("update"))
    updated, failed, instances = 0, [], 0
    for done, study in enumerate(studies, start=1):
        try:
            count = _update(service, service.archive.select(partition, study), changes)
        except (ValueError, AttributeError, TypeError, OSError, EOFError):
            failed.append(f"Failed to update instances for a study. StudyInstanceUID: {study}")
        else:
            instances += count
            updated += count > 0
        operation |= {"percentComplete": 100 * done // len(studies), "lastUpdatedTime": _now()}
        await asyncio.sleep(0)
    results: dict[str, Any] = {
        "studyProcessed": len(studies),
        "studyUpdated": updated,
        "studyFailed": len(failed),
        "instanceUpdated": instances,
    }
    operation["results"] = results | ({"errors": failed} if failed else {})
    operation["status"] = "failed" if failed else "succeeded"


def _update(service: Service, instances: Iterable[Instance], changes: Attributes) -> int:
    """New versions first, then one transaction for the study, then the superseded files go."""
    versions, superseded = [], []
    for instance in instances:
        attributes = dict(sorted({**json.loads(instance.current.metadata), **changes}.items()))
        watermark = service.archive.next_watermark()
        data = service.journal.read_object(instance.current.watermark)
        if data is not None:
            service.journal.write_object(watermark, _changed(data, changes))
        if instance.current is not instance.original:
            superseded.append(instance.current.watermark)
        text = encode(attributes).decode()
        version = {"key": instance.key, "watermark": watermark, "metadata": text, "syntax": instance.current.syntax}
        versions.append({**version, "index": indexed(attributes)})
    if versions:
        service.rng.shuffle(versions)
        service.commit("update", versions=versions)
    for watermark in superseded:
        service.journal.remove_object(watermark)
    return len(versions)


def _changed(data: bytes, changes: Attributes) -> bytes:
    """The file with the new values, and with us as the last who wrote it (0002,0012), (0002,0013)."""
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(BytesIO(data))
        dataset.update(pydicom.Dataset.from_json(changes))
        dataset.file_meta.ImplementationClassUID = pydicom.uid.PYDICOM_IMPLEMENTATION_UID
        dataset.file_meta.ImplementationVersionName = "DICOM-STAND-IN"
        out = BytesIO()
        dataset.save_as(out)
    return out.getvalue()
