"""GET …/metadata at three levels, and DELETE of the same (dicom-server: RetrieveMetadataService.cs, ETagGenerator.cs).

The order of instances is not promised by either, so it is shuffled. The service reads one instance after the other
while it answers: where one cannot be read, what it sends depends on how much of the answer is written already.
"""

from starlette.responses import Response

from dev.dicom.call import DICOM_JSON_UTF8, Call, Refused, dicom_json
from dev.dicom.model import Instance, Key, Version
from dev.dicom.service import Service
from dev.dicom.wire import CutShort

LEVELS = ("study", "series", "instance")
FAILURES = {
    500: "The server encountered an internal error. Please retry the request. If the issue persists, please contact "
    "support.",
    503: "The data store operation failed.",
}
# an answer is sent in such blocks; what the server can still take back is less than one
BLOCK_BYTES = 16_384
# of more than this, the server's own error answer fails: its length no longer fits what is written
REPLACEABLE_BYTES = 12_288


def content_of(service: Service, key: Key, version: Version) -> bytes:
    """The metadata of one version as JSON; raises Refused where the service cannot read it."""
    status = service.unreadable.get(key.sop) or (503 if version.is_damaged else None)
    if status:
        raise Refused(status, FAILURES[status])
    return version.metadata


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
    versions = [(instance.key, wanted(call, instance)) for instance in selected(call)]
    etag = _etag(call, [version.watermark for _, version in versions])
    if call.request.headers.get("if-none-match", "").lower() == etag:
        return Response(status_code=304)
    call.service.rng.shuffle(versions)
    written = bytearray()
    for key, version in versions:
        try:
            content = content_of(call.service, key, version)
        except Refused as failure:
            return _broken_off(written, failure, etag)
        written += b"," if written else b"["
        written += content
    return dicom_json(bytes(written) + b"]", headers={"ETag": etag})


def _broken_off(written: bytearray, failure: Refused, etag: str) -> Response:
    """What comes of an answer in which an instance cannot be read, by how much of it is written by then."""
    if len(written) >= BLOCK_BYTES:
        sent = bytes(written[: len(written) // BLOCK_BYTES * BLOCK_BYTES])
        return CutShort(sent, headers={"ETag": etag}, media_type=DICOM_JSON_UTF8)
    if len(written) > REPLACEABLE_BYTES:
        return Response(status_code=500, headers={"Connection": "close"})
    return dicom_json(failure.text.encode(), failure.status, {"ETag": etag})


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
