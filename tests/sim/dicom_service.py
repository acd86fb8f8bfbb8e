"""A DICOM service of one study in memory, as Microsoft's answers: an instance that is damaged fails whatever holds it.

Whole and large answers break off in their middle, small ones are refused (503). Searches for series answer from the
index, searches for instances read each instance of their page. What is asked for is counted.
"""

import json
import re
from collections import Counter

import httpx

from shared.dicom.client import DicomClient
from shared.model import DEFAULT_PARTITION, InstanceKey, StudyKey
from tests.unit.datasets import STUDY, dataset

KEY = StudyKey(DEFAULT_PARTITION, STUDY)
OTHER = "1.2.840.99"
JSON = {"content-type": "application/dicom+json"}
LARGE = 50
FEED_ROW = {"seriesInstanceUid": "1.9", "sopInstanceUid": "1.9.9", "action": "Create", "state": "Current"}


class Cut(httpx.AsyncByteStream):
    async def __aiter__(self):
        yield b"[{"
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


class DicomService:
    """instances: what the study holds; damaged: those of them that cannot be read."""

    def __init__(self, instances=(), damaged=(), *, has_others=True):
        self.instances, self.damaged = list(instances), set(damaged)
        self.has_others = has_others
        self.is_down = False  # no metadata can be read
        self.instead = None  # answers a path with something else
        self.asked = Counter()
        self.client = DicomClient(
            httpx.AsyncClient(transport=httpx.MockTransport(self._serve), base_url="http://dicom.example.org/")
        )

    def _serve(self, request):
        path = request.url.path.removeprefix("/")
        query = dict(request.url.params)
        self.asked[re.sub(r"[0-9.]{3,}", "*", path)] += 1
        answer = self.instead(path) if self.instead else None
        version, *parts = path.split("/")
        if answer is None and parts[0] == "partitions":
            return httpx.Response(400, text="Data partitions feature is disabled.")
        if answer is not None:
            return answer
        return self._feed(parts, query) if parts[0] == "changefeed" else self._of_any(version, parts, query)

    def _feed(self, parts, query):
        if len(parts) > 1:
            return httpx.Response(200, json={"sequence": 1000})
        uids = [OTHER, STUDY] if self.has_others else [STUDY]
        rows = [{**FEED_ROW, "sequence": 1 + n, "studyInstanceUid": uid} for n, uid in enumerate(uids)]
        return httpx.Response(200, json=rows if query["offset"] == "0" else [])

    def _of_any(self, version, parts, query):
        if len(parts) == 1:
            return _found([{}] if query["StudyInstanceUID"] == STUDY and self.instances else [])
        if parts[1] == OTHER:
            return httpx.Response(503) if self.is_down else _found([{}])
        return self._of_study(version, parts[2:], query)

    def _of_study(self, version, parts, query):
        series = parts[1] if len(parts) > 1 else None
        below = [key for key in self.instances if series in (None, key.series_instance_uid)]
        if parts[-1] == "metadata":
            sop = parts[3] if len(parts) == 5 else None
            found = [key for key in below if sop in (None, key.sop_instance_uid)]
            return self._read(found) if found else httpx.Response(404, text="The specified study cannot be found.")
        start, stop = int(query.get("offset", 0)), int(query.get("offset", 0)) + int(query["limit"])
        if parts == ["series"]:
            return self._series(below, version, query, slice(start, stop))
        wanted = [key for key in below if query.get("SOPInstanceUID", key.sop_instance_uid) == key.sop_instance_uid]
        page = wanted[start:stop]
        if self.is_down or self.damaged & set(page):
            return httpx.Response(503, text="The data store operation failed.")
        return _found([dataset(SOPInstanceUID=key.sop_instance_uid) for key in page])

    def _series(self, below, version, query, page):
        counts = Counter(key.series_instance_uid for key in below)
        wanted = [uid for uid in sorted(counts) if query.get("SeriesInstanceUID", uid) == uid][page]
        if version == "v1" and any(key.series_instance_uid in wanted for key in self.damaged):
            return httpx.Response(503)
        return _found([dataset(SeriesInstanceUID=uid, NumberOfSeriesRelatedInstances=counts[uid]) for uid in wanted])

    def _read(self, keys):
        if self.is_down or (self.damaged & set(keys) and len(keys) < LARGE):
            return httpx.Response(503, text="The data store operation failed.")
        if self.damaged & set(keys):
            return httpx.Response(200, headers=JSON, stream=Cut())
        return _found([_dataset(key) for key in keys])


def _found(rows):
    return httpx.Response(200, headers=JSON, content=json.dumps(rows)) if rows else httpx.Response(204)


def _dataset(key: InstanceKey):
    return dataset(
        StudyInstanceUID=STUDY, SeriesInstanceUID=key.series_instance_uid, SOPInstanceUID=key.sop_instance_uid
    )
