"""The change feed of a DICOM service as texts: each row is what it is told to be, in pages as v1 has them."""

import json
from collections import Counter

import httpx

FEED, LATEST = "/v1/changefeed", "/v1/changefeed/latest"
BROKEN = '{"sequence": tru'


class FeedService:
    """`rows`: texts of rows by sequence. Counts its requests by path."""

    def __init__(self, rows, latest=None):
        self.rows = rows
        self.latest = latest or max(rows, default=0)
        self.asked = Counter()

    def __call__(self, request):
        query = request.url.params
        self.asked[request.url.path] += 1
        assert query["includeMetadata"] == "false"
        if request.url.path == LATEST:
            return self._answer(
                json.dumps({"sequence": self.latest}) if self.latest else "", 200 if self.latest else 204
            )
        assert request.url.path == FEED
        offset, limit = int(query["offset"]), int(query["limit"])
        texts = [self.rows[number] for number in range(offset + 1, offset + limit + 1) if number in self.rows]
        return self._answer(f"[{','.join(texts)}]", 200)

    def _answer(self, text, status):
        return httpx.Response(status, content=text.encode(), headers={"content-type": "application/json"})

    def client(self):
        return httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="http://dicom.example.org/")
