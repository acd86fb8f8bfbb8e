"""POST studies: STOW-RS (PS3.18 10.5; dicom-server: StoreService.cs, StoreResponseBuilder.cs).

Storing has two phases: the instance is reserved, its file is written, then one transaction makes it visible and adds
the row to the feed. What fails leaves no row.
"""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus

from starlette.responses import Response

from dev.dicom import multipart
from dev.dicom.admission import PROCESSING_FAILURE, VALIDATION_FAILURE, Rejected, admit, has_several_values
from dev.dicom.call import Call, Refused, dicom_json, encode
from dev.dicom.indexed import indexed
from dev.dicom.jsonvalues import element
from dev.dicom.model import Attributes, Key
from dev.dicom.reading import Reading, Unreadable, read

DICOM = "application/dicom"
ALREADY_EXISTS, PENDING = 45070, 45071


class Report:
    """What became of each instance, as the answer's dataset."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.stored: list[Attributes] = []
        self.failed: list[Attributes] = []
        self.warned = False
        self.multiple_values = False

    def fail(self, reason: int, reading: Reading | None = None, comments: list[str] | None = None) -> None:
        item: Attributes = {}
        for tag, source in (("00081150", "00080016"), ("00081155", "00080018")):
            if reading and (uid := reading.first(source)):
                item[tag] = {"vr": "UI", "Value": [uid]}
        item["00081197"] = {"vr": "US", "Value": [reason]}
        if comments:
            item["00741048"] = _failed_attributes(comments)
        self.failed.append(item)

    def store(self, key: Key, reading: Reading, comments: list[str], warning: int | None) -> None:
        url = f"{self._call.base}/studies/{key.study}/series/{key.series}/instances/{key.sop}"
        sop_class = reading.attributes.get("00080016", {}).get("Value", [])[:1]
        item: Attributes = {
            "00081150": {"vr": "UI", "Value": sop_class} if sop_class else {"vr": "UI"},
            "00081155": {"vr": "UI", "Value": [key.sop]},
            "00081190": {"vr": "UR", "Value": [url]},
        }
        if warning is not None:
            item["00081196"] = {"vr": "US", "Value": [warning]}
            self.warned = True
        if self._call.version > 1:
            item["00741048"] = _failed_attributes(comments)
        self.stored.append(item)

    def answer(self, study: str | None) -> Response:
        if not self.stored and not self.failed:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        body: Attributes = {}
        if study and self.stored:
            body["00081190"] = {"vr": "UR", "Value": [f"{self._call.base}/studies/{study}"]}
        if self.failed:
            body["00081198"] = {"vr": "SQ", "Value": self.failed}
        if self.stored:
            body["00081199"] = {"vr": "SQ", "Value": self.stored}
        headers = {}
        if self.multiple_values:
            host = self._call.request.url.netloc
            headers["Warning"] = (
                f'299 {host}: "One or more indexed Dicom tag(s) have multiple values, only first value is indexed."'
            )
        return dicom_json(encode(body), self._status(), headers)

    def _status(self) -> int:
        if not self.stored:
            return HTTPStatus.CONFLICT
        partly = self.failed or (self._call.version > 1 and self.warned)
        return HTTPStatus.ACCEPTED if partly else HTTPStatus.OK


def _failed_attributes(comments: list[str]) -> dict[str, object]:
    if not comments:
        return {"vr": "SQ"}
    # a comment that quotes several values is several values
    return {"vr": "SQ", "Value": [{"00000902": element("LO", comment.split("\\"))} for comment in comments]}


async def store(call: Call) -> Response:
    """Store every part on its own; the answer lists what was stored and what was not."""
    content_type = call.request.headers.get("content-type", "")
    kind, _ = multipart.parameters(content_type)
    if content_type != DICOM and kind != "multipart/related":
        raise Refused(415)
    call.require_json()
    study = next(iter(call.uids()), None)
    call.service.add_partition(call.partition)
    body = await _body(call)
    report = Report(call)
    for data in list(_files(content_type, body)):
        await _store(call, study, data, report)
        await asyncio.sleep(0)  # other requests may go between two files
    return report.answer(study)


async def _body(call: Call) -> bytes:
    pieces, size = [], 0
    async for piece in call.request.stream():
        size += len(piece)
        if size > call.service.max_bytes:
            raise Refused(413, "The request is too large.")
        pieces.append(piece)
    return b"".join(pieces)


def _files(content_type: str, body: bytes) -> Iterator[bytes]:
    if content_type == DICOM:
        yield body
        return
    _, named = multipart.parameters(content_type)
    if not named.get("boundary"):
        raise Refused(415, "The multipart boundary is missing.")
    if "start" in named:
        raise Refused(400, "The start parameter of multipart/related is not supported.")
    assumed = named.get("type", "")
    try:
        for headers, data in multipart.split(body, named["boundary"]):
            if headers.get("content-type", assumed) != DICOM:
                raise Refused(415, "A part of the request is not application/dicom.")
            assumed = ""  # only the first part may leave its type out
            yield data
    except multipart.MalformedError:
        raise Refused(400, "The multipart body is malformed.") from None


async def _store(call: Call, study: str | None, data: bytes, report: Report) -> None:
    try:
        reading = read(data)
    except Unreadable:
        report.fail(VALIDATION_FAILURE)
        return
    report.multiple_values |= has_several_values(reading, call.version)
    try:
        admitted = admit(reading, study, call.version)
    except Rejected as rejected:
        report.fail(rejected.reason, reading, rejected.comments)
        return
    key = Key(call.partition, *admitted.uids)
    archive = call.service.archive
    if key in archive.creating or archive.find(key):
        report.fail(PENDING if key in archive.creating else ALREADY_EXISTS, reading)
        return
    if not await _commit(call, key, data, reading):
        report.fail(PROCESSING_FAILURE, reading)
        return
    report.store(key, reading, admitted.comments, admitted.warning)


async def _commit(call: Call, key: Key, data: bytes, reading: Reading) -> bool:
    """Reserve, write, make visible; False when the instance was deleted before it was visible."""
    service = call.service
    archive = service.archive
    archive.creating.add(key)
    watermark = archive.next_watermark()
    try:
        service.journal.write_object(watermark, data)
        await asyncio.sleep(service.faults.linger_s("stow"))
        if key not in archive.creating:
            service.journal.remove_object(watermark)
            return False
        service.commit(
            "store",
            key=key,
            watermark=watermark,
            metadata=encode(reading.attributes).decode(),
            syntax=reading.syntax,
            index=indexed(reading.attributes),
        )
    finally:
        archive.creating.discard(key)
    return True
