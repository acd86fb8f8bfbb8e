"""The DICOM service: change feed and DICOMweb metadata; nothing else is asked of it."""

from collections.abc import Mapping
from typing import Any

import httpx

from shared.dicom.sharing import Sharing
from shared.errors import Misconfigured, SyncError, Unavailable
from shared.http import SERVER_ERROR, error_for_read, json_of, send
from shared.model import DEFAULT_PARTITION, MAX_INT64, InstanceKey, StudyKey
from shared.retry import repeated

SERVICE = "the DICOM service"
DICOM_JSON = "application/dicom+json"
MAX_DIGITS = 19
PAGE_LIMIT = 100  # the service's maximum for v1


class DicomClient:
    """Reads through version 1 of the API, whose feed offset is a sequence.

    `client` has the service's base URL without a version.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._partition_is_named = False

    async def latest_sequence(self) -> int:
        """The highest sequence of the change feed; 0 when it is empty. Never above that of an int64."""
        try:
            response = await self._latest("v1")
        except Misconfigured:
            await self._check_version()
            raise
        if response.status_code == httpx.codes.NO_CONTENT or not response.content:
            return 0
        entry = json_of(SERVICE, response)
        if entry is None:
            return 0
        members = {str(name).lower(): value for name, value in entry.items()} if isinstance(entry, Mapping) else {}
        sequence = str(members.get("sequence", ""))
        if not sequence.isdecimal() or len(sequence) > MAX_DIGITS or int(sequence) > MAX_INT64:
            raise Unavailable(f"{SERVICE} answered a latest change without a sequence")
        return int(sequence)

    async def _latest(self, version: str) -> httpx.Response:
        return await self._get(f"{version}/changefeed/latest", {"includeMetadata": "false"}, "application/json")

    async def _check_version(self) -> None:
        """Version 1 is refused: raise Misconfigured that says so where version 2 is not."""
        try:
            await self._latest("v2")
        except SyncError:
            return
        raise Misconfigured(
            f"{SERVICE} offers version 2 of its API and refuses version 1, which this app reads: check where /v1 leads",
            code="version-refused",
        )

    async def feed_page(self, offset: int, limit: int = PAGE_LIMIT) -> list[Any]:
        """Rows with a sequence in (offset, offset + limit], without metadata. An empty page may be a hole."""
        query = {"offset": str(offset), "limit": str(limit), "includeMetadata": "false"}
        response = await self._get("v1/changefeed", query, "application/json")
        rows = json_of(SERVICE, response) if response.content else []
        if not isinstance(rows, list):
            raise Unavailable(f"{SERVICE} answered a page of the change feed that is not a list")
        return rows

    async def study_metadata(self, study: StudyKey, seen_at: int) -> list[Any] | None:
        """DICOM JSON of every instance of the study, in no order; None when there is no such study.

        `seen_at` is a sequence that the change feed is known to have had; see `_check_absent`.
        """
        datasets = await self._metadata(study, "")
        if datasets is None:
            await self._check_absent(study, {"StudyInstanceUID": study.study_instance_uid}, "studies", seen_at)
        return datasets

    async def instance_metadata(self, study: StudyKey, key: InstanceKey, seen_at: int) -> list[Any] | None:
        """DICOM JSON of one instance, in a list; None when it is gone."""
        series, instance = key
        datasets = await self._metadata(study, f"/series/{series}/instances/{instance}")
        if datasets is None:
            path = f"studies/{study.study_instance_uid}/series/{series}/instances"
            await self._check_absent(study, {"SOPInstanceUID": instance}, path, seen_at)
        return datasets

    async def _metadata(self, study: StudyKey, below: str) -> list[Any] | None:
        response = await self._of_partition(study, f"studies/{study.study_instance_uid}{below}/metadata", {})
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        datasets = json_of(SERVICE, response, Sharing()) if response.content else []
        if not isinstance(datasets, list):
            raise Unavailable(f"{SERVICE} answered metadata that is not a list")
        return datasets

    async def _check_absent(self, study: StudyKey, query: dict[str, str], path: str, seen_at: int) -> None:
        """Absence deletes what FHIR says, so a 404 alone is not believed: a gateway or a wrong address answers it too.

        The service must also find nothing in a search, which it says with 204, and its change feed must not have been
        reset. Raises Unavailable or Misconfigured otherwise.
        """
        response = await self._of_partition(study, path, {**query, "limit": "1"})
        if response.status_code == httpx.codes.OK:
            raise Unavailable(f"{SERVICE} finds in a search what it has no metadata of", code=SERVER_ERROR)
        if response.status_code != httpx.codes.NO_CONTENT:
            raise Misconfigured(f"{SERVICE} answers 404: check DicomWeb__Endpoint", code="wrong-endpoint")
        check_reset(await self.latest_sequence(), seen_at)

    async def _of_partition(self, study: StudyKey, path: str, query: dict[str, str]) -> httpx.Response:
        """A request within a data partition. With partitions switched on even the default one has to be named, and with
        partitions switched off none may be.
        """
        named, plain = f"v1/partitions/{study.partition_name}/{path}", f"v1/{path}"
        if study.partition_name != DEFAULT_PARTITION:
            return await self._get(named, query, DICOM_JSON, found=(404,))
        first, second = (named, plain) if self._partition_is_named else (plain, named)
        response = await self._get(first, query, DICOM_JSON, found=(404, 400))
        if response.status_code == httpx.codes.BAD_REQUEST:
            response = await self._get(second, query, DICOM_JSON, found=(404,))
            self._partition_is_named = second is named
        return response

    async def _get(self, path: str, query: dict[str, str], accept: str, found: tuple[int, ...] = ()) -> httpx.Response:
        async def once() -> httpx.Response:
            request = self._client.build_request("GET", path, params=query, headers={"Accept": accept})
            response = await send(self._client, SERVICE, request)
            if response.is_success or response.status_code in found:
                return response
            raise error_for_read(SERVICE, response)

        return await repeated(once)


def check_reset(latest: int, seen_at: int) -> None:
    """Raise Misconfigured when the change feed ends before a sequence that it once had."""
    if latest < seen_at:
        raise feed_reset(f"ends at {latest}, before {seen_at}, which it once had")


def feed_reset(what: str) -> Misconfigured:
    """The error that says that sequences have begun anew."""
    return Misconfigured(
        f"the change feed {what}: this is another or a re-created DICOM service; check DicomWeb__Endpoint, or delete "
        "the state tables to begin anew",
        code="feed-reset",
    )
