"""GET …/metadata at three levels, and DELETE of the same (dicom-server: RetrieveMetadataService.cs, ETagGenerator.cs).

The order of instances is not promised by either, so it is shuffled.
"""

from starlette.responses import Response

from dev.dicom import bent
from dev.dicom.call import Call, Refused, dicom_json
from dev.dicom.model import Instance, Version

LEVELS = ("study", "series", "instance")


def selected(call: Call) -> list[Instance]:
    """The instances that the path names; 404 when there is none."""
    uids = call.uids()
    found = call.service.archive.select(call.partition, *uids)
    if not found:
        raise Refused(404, f"The specified {LEVELS[len(uids) - 1]} cannot be found.")
    return found


def wanted(call: Call, instance: Instance) -> Version:
    """The newest version, or the one before any update when the request asks for it."""
    original = call.request.headers.get("msdicom-request-original", "").lower() == "true"
    return instance.original if original else instance.current


async def metadata(call: Call) -> Response:
    """An array in no particular order; the ETag is compared as one literal string."""
    call.require_json()
    instances = selected(call)
    versions = [(instance.key.sop, wanted(call, instance)) for instance in instances]
    etag = _etag(call, [version.watermark for _, version in versions])
    if call.request.headers.get("if-none-match", "").lower() == etag:
        return Response(status_code=304)
    call.service.rng.shuffle(versions)
    shape = call.service.shape
    bodies = [bent.metadata(shape, sop, version.metadata) for sop, version in versions]
    return dicom_json(b"[" + b",".join(bodies) + b"]", headers={"ETag": etag})


def _etag(call: Call, watermarks: list[int]) -> str:
    newest = max(watermarks)
    return str(newest) if "instance" in call.request.path_params else f"{newest}-{len(watermarks)}"


async def delete(call: Call) -> Response:
    """All rows of one delete are one transaction; their order is not promised, so it is shuffled."""
    uids = call.uids()
    archive = call.service.archive
    pending = {key for key in archive.creating if (key.partition, *key[1 : len(uids) + 1]) == (call.partition, *uids)}
    instances = archive.select(call.partition, *uids)
    if not instances and not pending:
        raise Refused(404, f"The specified {LEVELS[len(uids) - 1]} cannot be found.")
    archive.creating -= pending
    if instances:
        call.service.rng.shuffle(instances)
        call.service.commit("delete", keys=[instance.key for instance in instances])
        for version in {v.watermark for instance in instances for v in (instance.current, instance.original)}:
            call.service.journal.remove_object(version)
    return Response(status_code=204)
