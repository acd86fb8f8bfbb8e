"""Rows of a change feed that are held back before Microsoft's DICOM service, as its stand-in holds them by itself."""

import json
from dataclasses import replace
from http import HTTPStatus

import httpx

from dev.proxy.call import Answer


class HeldFeed:
    """Hides every row beyond a sequence, from `hold` until `release`."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._last: int | None = None

    def hold(self) -> None:
        """Show no row that comes later."""
        latest = self._http.get("/v1/changefeed/latest?includeMetadata=false")
        self._last = latest.json()["sequence"] if latest.status_code == HTTPStatus.OK else 0

    def release(self, count: int | None = None) -> None:
        """Show everything, or so many more numbers."""
        self._last = None if count is None or self._last is None else self._last + count

    def passed(self, route: str, answer: Answer) -> Answer:
        """The answer as it may be seen."""
        if self._last is None or answer.status != HTTPStatus.OK or route not in ("changefeed", "latest"):
            return answer
        content = json.loads(answer.body)
        if route == "changefeed":
            return replace(answer, body=json.dumps([row for row in content if row["sequence"] <= self._last]).encode())
        if content["sequence"] <= self._last:
            return answer
        rows = self._http.get(f"/v1/changefeed?offset={max(0, self._last - 1)}&limit=1").json() if self._last else []
        if not rows:
            return Answer(HTTPStatus.NO_CONTENT)
        return replace(answer, body=json.dumps(rows[0]).encode())

    def close(self) -> None:
        self._http.close()
