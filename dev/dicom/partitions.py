"""Data partitions: who must name one, who may, and GET partitions.

Source: dicom-server, PopulateDataPartitionFilterAttribute.cs.
"""

import re
from datetime import datetime

from starlette.responses import JSONResponse, Response

from dev.dicom import clock
from dev.dicom.call import Answer, Call, Refused
from dev.dicom.model import DEFAULT_PARTITION

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DISABLED = "Data partitions feature is disabled."


def partitioned(answer: Answer, *, creates: bool) -> Answer:
    """The route with its partition checked; a store makes the partition it names."""

    async def checked(call: Call) -> Response:
        name = call.request.path_params.get("partition")
        _check(call, name)
        call.partition = name or DEFAULT_PARTITION
        if creates:
            call.service.add_partition(call.partition)
        elif call.service.partitions and call.partition not in call.service.archive.partitions:
            raise Refused(400, "Specified PartitionName does not exist.")
        return await answer(call)

    return checked


def _check(call: Call, name: str | None) -> None:
    if name is not None and not call.service.partitions:
        raise Refused(400, _DISABLED)
    if name is None and call.service.partitions:
        raise Refused(400, "PartitionName value is missing in the route segment.")
    if name is not None and not _NAME.fullmatch(name):
        raise Refused(400, "PartitionName is invalid: letters, digits, '.', '-' and '_', at most 64.")


async def partitions(call: Call) -> Response:
    """All partitions; the default one has key 1."""
    if not call.service.partitions:
        raise Refused(400, _DISABLED)
    found = enumerate(call.service.archive.partitions.items(), start=1)
    return JSONResponse(
        [
            {"partitionKey": key, "partitionName": name, "createdDate": clock.text(datetime.fromisoformat(at))}
            for key, (name, at) in found
        ]
    )
