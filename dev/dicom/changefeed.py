"""GET changefeed and changefeed/latest (dicom-server: ChangeFeedController.cs, ChangeFeedEntry.cs).

Names are camelCase and enum values PascalCase whatever the documentation prints; null members are left out.
"""

from datetime import datetime

from starlette.responses import Response

from dev.dicom import clock
from dev.dicom.call import JSON, LONG_MAX, Call, Refused, encode, invalid
from dev.dicom.feed import Row
from dev.dicom.metadata import FAILURES, content_of

_V1_LIMITS, _V2_LIMITS = (10, 100), (100, 200)


async def page(call: Call) -> Response:
    """v1: a window of sequence numbers. v2: a window of time."""
    default, most = _V1_LIMITS if call.version == 1 else _V2_LIMITS
    offset = call.whole("offset", 0, 0, LONG_MAX)
    limit = call.whole("limit", default, 1, most)
    with_metadata = call.flag("includeMetadata", default=True)
    if call.version == 1 and offset + limit > LONG_MAX:
        raise Refused(503, FAILURES[503])  # the sum overflows in the database
    feed = call.service.archive.feed
    rows = feed.by_sequence(offset, limit) if call.version == 1 else feed.by_time(*_window(call), offset, limit)
    body = b"[" + b",".join(_entry(call, row, with_metadata=with_metadata) for row in rows) + b"]"
    return Response(body, media_type=JSON)


async def latest(call: Call) -> Response:
    """The newest row; an empty feed answers 204."""
    with_metadata = call.flag("includeMetadata", default=True)
    feed = call.service.archive.feed
    row = feed.last_by_sequence() if call.version == 1 else feed.last_by_time()
    if row is None:
        return Response(status_code=204)
    return Response(_entry(call, row, with_metadata=with_metadata), media_type=JSON)


def _window(call: Call) -> tuple[datetime | None, datetime | None]:
    found = []
    for name in ("startTime", "endTime"):
        text = call.query().get(name.lower())
        found.append(clock.parse(text) if text else None)
        if text and found[-1] is None:
            raise invalid(name, f"The value '{text}' is not a date and time with a zone.")
    start, end = found
    if end and end <= (start or clock.EARLIEST):
        raise Refused(400, "The end of the time range must be later than its start.")
    return start, end


def _entry(call: Call, row: Row, *, with_metadata: bool) -> bytes:
    """One entry as bytes; the metadata is the instance's newest, whatever the row is about."""
    state, instance = call.service.archive.state(row)
    members = {
        "sequence": row.sequence,
        "partitionName": row.key.partition,
        "studyInstanceUid": row.key.study,
        "seriesInstanceUid": row.key.series,
        "sopInstanceUid": row.key.sop,
        "action": row.action,
        "timestamp": clock.text(row.at),
        "state": state,
    }
    entry = encode(members)
    if instance is None or not with_metadata:
        return entry
    return entry[:-1] + b',"metadata":' + content_of(call.service, instance.key, instance.current) + b"}"
