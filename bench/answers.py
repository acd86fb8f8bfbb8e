"""How long the app waits for answers of DICOM and FHIR."""

import time
from typing import Any

import httpx

from shared import http
from shared.body import whole


class Answers:
    """When this process waited for an answer of a service, from sending a request to the last byte, in every client."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        spans, send = self._spans, httpx.AsyncClient.send
        began: dict[int, float] = {}

        async def sent(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
            began[id(request)] = time.perf_counter()
            response = await send(client, request, **options)
            began[id(response)] = began.pop(id(request))
            return response

        async def read(service: str, response: httpx.Response, **options: Any) -> httpx.Response:
            found = await whole(service, response, **options)
            spans.append((began.pop(id(response)), time.perf_counter()))
            return found

        setattr(httpx.AsyncClient, "send", sent)  # noqa: B010 - of any signature
        setattr(http, "whole", read)  # noqa: B010

    def clear(self) -> None:
        self._spans.clear()

    def seconds(self) -> float:
        """How long at least one answer was waited for."""
        total = until = 0.0
        for start, end in sorted(self._spans):
            total += max(0.0, end - max(start, until))
            until = max(until, end)
        return total
