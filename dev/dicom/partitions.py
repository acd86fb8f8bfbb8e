"""Data partitions: who must name one, who may, and GET partitions.

Source: dicom-server, PopulateDataPartitionFilterAttribute.cs.
"""

import re
from datetime import datetime

from starlette.responses import Response

from dev.dicom import clock
from dev.dicom.call import JSON, Answer, Call, Refused, encode
from dev.dicom.model import DEFAULT_PARTITION

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DISABLED = "Data partitions feature is disabled."


def partitioned(answer: Answer, *, creates: bool) -> Answer:
    """The route with its partition checked; names are case-insensitive. A store may name one that is not there yet."""

    async def checked(call: Call) -> Response:
        name = call.request.path_params.get("partition")
        _check(call, name)
        known = call.service.partition_named(name or DEFAULT_PARTITION)
        if known is None and call.service.partitions and not creates:
            raise Refused(400, "Specified PartitionName does not exist.")
        call.partition = known or name or DEFAULT_PARTITION
        return await answer(call)

    return checked


def _check(call: Call, name: str | None) -> None:
    if name is not None and not call.service.partitions:
        raise Refused(400, _DISABLED)
    if name is None and call.service.partitions:
        raise Refused(400, "PartitionName value is missing in the route segment.")
    if name is not None and not _NAME.fullmatch(name):
        raise Refused(400, "The specified PartitionName is invalid. ")


async def partitions(call: Call) -> Response:
    """All partitions; the default one has key 1."""
    if not call.service.partitions:
        raise Refused(400, _DISABLED)
    found = enumerate(call.service.archive.partitions.items(), start=1)
    listed = [
        {"partitionKey": key, "partitionName": name, "createdDate": clock.text(datetime.fromisoformat(at))}
        for key, (name, at) in found
    ]
    return Response(encode(listed), media_type=JSON)
