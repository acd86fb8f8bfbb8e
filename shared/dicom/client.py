"""The DICOM service: change feed and DICOMweb metadata; nothing else is asked of it."""

from collections.abc import Mapping
from typing import Any

import httpx

from shared.errors import Misconfigured, Unavailable, VersionConflict
from shared.http import error_for, json_of, repeated, send
from shared.model import DEFAULT_PARTITION, InstanceKey, StudyKey

SERVICE = "the DICOM service"
DICOM_JSON = "application/dicom+json"
PAGE_LIMIT = 100  # the service's maximum for v1


class DicomClient:
    """Reads through version 1 of the API, whose feed offset is a sequence.

    `client` has the service's base URL without a version.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._partition_is_named = False

    async def latest_sequence(self) -> int:
        """The highest sequence of the change feed; 0 when it is empty."""
        response = await self._get("v1/changefeed/latest", {"includeMetadata": "false"}, "application/json")
        if response.status_code == httpx.codes.NO_CONTENT or not response.content:
            return 0
        entry = json_of(SERVICE, response)
        if entry is None:
            return 0
        members = {str(name).lower(): value for name, value in entry.items()} if isinstance(entry, Mapping) else {}
        sequence = str(members.get("sequence", ""))
        if not sequence.isdecimal():
            raise Unavailable(f"{SERVICE} answered a latest change without a sequence")
        return int(sequence)

    async def feed_page(self, offset: int, limit: int = PAGE_LIMIT) -> list[Any]:
        """Rows with a sequence in (offset, offset + limit], without metadata. An empty page may be a hole."""
        query = {"offset": str(offset), "limit": str(limit), "includeMetadata": "false"}
        response = await self._get("v1/changefeed", query, "application/json")
        rows = json_of(SERVICE, response) if response.content else []
        if not isinstance(rows, list):
            raise Unavailable(f"{SERVICE} answered a page of the change feed that is not a list")
        return rows

    async def study_metadata(self, study: StudyKey) -> list[Any] | None:
        """DICOM JSON of every instance of the study, in no order; None when there is no such study."""
        return await self._metadata(study, "")

    async def instance_metadata(self, study: StudyKey, key: InstanceKey) -> list[Any] | None:
        """DICOM JSON of one instance, in a list; None when it is gone."""
        return await self._metadata(study, f"/series/{key.series_instance_uid}/instances/{key.sop_instance_uid}")

    async def _metadata(self, study: StudyKey, below: str) -> list[Any] | None:
        named = self._partition_is_named or study.partition_name != DEFAULT_PARTITION
        partition = f"/partitions/{study.partition_name}" if named else ""
        path = f"v1{partition}/studies/{study.study_instance_uid}{below}/metadata"
        response = await self._get(path, {}, DICOM_JSON, found=(404,) if named else (404, 400))
        if response.status_code == httpx.codes.BAD_REQUEST:
            # with data partitions switched on, even the default one has to be named
            self._partition_is_named = True
            return await self._metadata(study, below)
        if response.status_code == httpx.codes.NOT_FOUND:
            _check_absence(response)
            return None
        datasets = json_of(SERVICE, response) if response.content else []
        if not isinstance(datasets, list):
            raise Unavailable(f"{SERVICE} answered metadata that is not a list")
        return datasets

    async def _get(self, path: str, query: dict[str, str], accept: str, found: tuple[int, ...] = ()) -> httpx.Response:
        async def once() -> httpx.Response:
            request = self._client.build_request("GET", path, params=query, headers={"Accept": accept})
            response = await send(self._client, SERVICE, request)
            if response.is_success or response.status_code in found:
                return response
            error = error_for(SERVICE, response)
            # nothing is written here, so there is nothing to conflict with
            raise Unavailable(str(error)) if isinstance(error, VersionConflict) else error

        return await repeated(once)


def _check_absence(response: httpx.Response) -> None:
    """The service says 404 in plain text; a proxy or a wrong address answers with a page of its own."""
    if "html" in response.headers.get("content-type", ""):
        raise Misconfigured(f"{SERVICE} answered 404 with a web page: check DicomWeb__Endpoint", code="wrong-endpoint")
