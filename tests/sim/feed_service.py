"""The change feed of a DICOM service as texts: each row is what it is told to be, in pages as v1 has them."""

import json
from collections import Counter
from email.utils import format_datetime

import httpx

FEED, LATEST = "/v1/changefeed", "/v1/changefeed/latest"
BROKEN = '{"sequence": tru'


class FeedService:
    """`rows`: texts of rows by sequence. `now`: its clock, which dates its answers. Counts its requests by path."""

    def __init__(self, rows, latest=None, now=None):
        self.rows = rows
        self.latest = latest or max(rows, default=0)
        self.now = now
        self.asked = Counter()

    def __call__(self, request):
        query = request.url.params
        self.asked[request.url.path] += 1
        assert query["includeMetadata"] == "false"
        if request.url.path == LATEST:
            return self._answer(self._end(), 200) if self.latest else self._answer("", 204)
        assert request.url.path == FEED
        offset, limit = int(query["offset"]), int(query["limit"])
        texts = [self.rows[number] for number in range(offset + 1, offset + limit + 1) if number in self.rows]
        return self._answer(f"[{','.join(texts)}]", 200)

    def _end(self):
        """The last row; where that is none, as much of one as says how long the feed is."""
        text = self.rows.get(self.latest, "")
        try:
            is_row = json.loads(text)["sequence"] == self.latest
        except (ValueError, TypeError, KeyError):
            is_row = False
        return text if is_row else json.dumps({"sequence": self.latest})

    def _answer(self, text, status):
        headers = {"content-type": "application/json"}
        if self.now is not None:
            headers["date"] = format_datetime(self.now, usegmt=True)
        return httpx.Response(status, content=text.encode(), headers=headers)

    def client(self):
        return httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="http://dicom.example.org/")
