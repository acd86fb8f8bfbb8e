"""The DICOM service: change feed, metadata and searches (DICOMweb); nothing else is asked of it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from shared.dicom.feed import PAGE_LIMIT, Latest, parse_row
from shared.dicom.sharing import Sharing
from shared.dicom.study import key_of
from shared.errors import Misconfigured, SyncError, Unavailable
from shared.http import SERVER_ERROR, date_of, error_for_read, json_of, send
from shared.model import DEFAULT_PARTITION, ChangeFeedEntry, InstanceKey, StudyKey
from shared.retry import TOO_LARGE, repeated

SERVICE = "the DICOM service"
DICOM_JSON = "application/dicom+json"
REFUSED = "refused-request"
MOST_REMEMBERED = 1000
# of a page of the change feed, whose 100 rows have about 60 KB without metadata; several are read at once
MOST_OF_A_PAGE = 4 * 1024 * 1024

# raises unless the service that answers is the one that this app has read so far
Confirm = Callable[[], Awaitable[None]]


def is_about_the_question(error: SyncError) -> bool:
    """Whether a failed read may be the fault of what was asked for, and not of the service: the answer broke off, came
    too late, was too large, could not be parsed, was a 5xx or a refusal that says nothing about access. A server that
    says how long to wait speaks of itself.
    """
    return error.code == REFUSED or (isinstance(error, Unavailable) and error.retry_after_s is None)


class DicomClient:
    """Reads through version 1 of the API, whose feed offset is a sequence.

    `client` has the service's base URL without a version. last_read: the instance whose metadata came last.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._partition_is_named = False
        self.last_read: tuple[StudyKey, InstanceKey] | None = None
        # asked for once by each process: megabytes would be thrown away each time
        self._too_large: dict[tuple[StudyKey, str], None] = {}

    async def latest_sequence(self) -> int:
        """The highest sequence of the change feed; 0 when it is empty."""
        return (await self.latest()).sequence

    async def latest(self) -> Latest:
        """The end of the change feed."""
        try:
            response = await self._latest("v1")
        except Misconfigured:
            await self._check_version()
            raise
        has_content = response.status_code != httpx.codes.NO_CONTENT and response.content
        row = json_of(SERVICE, response) if has_content else None
        if row is None:
            return Latest(0, date_of(response))
        entry = parse_row(row)
        if not entry.sequence:
            raise Unavailable(f"{SERVICE} answered a latest change without a sequence")
        return Latest(entry.sequence, date_of(response), entry if isinstance(entry, ChangeFeedEntry) else None)

    async def _latest(self, version: str) -> httpx.Response:
        path, query = f"{version}/changefeed/latest", {"includeMetadata": "false"}
        return await self._get(path, query, "application/json", most=MOST_OF_A_PAGE)

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
        """Rows with a sequence in (offset, offset + limit], without metadata. An empty page may be a gap, and is a list
        all the same: a success without content says nothing.
        """
        query = {"offset": str(offset), "limit": str(limit), "includeMetadata": "false"}
        response = await self._get("v1/changefeed", query, "application/json", most=MOST_OF_A_PAGE)
        rows = json_of(SERVICE, response) if response.content else None
        if not isinstance(rows, list) or response.status_code != httpx.codes.OK:
            raise Unavailable(f"{SERVICE} answered {response.status_code} without a page of the change feed")
        if len(rows) > limit:  # it did not read the question, or somebody on the way left it out
            raise Unavailable(f"{SERVICE} answered more rows of the change feed than it was asked for")
        return rows

    async def study_metadata(self, study: StudyKey, confirm: Confirm) -> list[Any] | None:
        """DICOM JSON of every instance of the study, in no order; None when there is no such study.

        confirm: is awaited before absence is believed; see `_check_absent`.
        """
        uid = study.study_instance_uid
        return await self._metadata(study, "", "studies", {"StudyInstanceUID": uid}, confirm)

    async def series_metadata(self, study: StudyKey, series_instance_uid: str, confirm: Confirm) -> list[Any] | None:
        """DICOM JSON of every instance of one series, in no order; None when there is no such series."""
        path, below = f"studies/{study.study_instance_uid}/series", f"/series/{series_instance_uid}"
        return await self._metadata(study, below, path, {"SeriesInstanceUID": series_instance_uid}, confirm)

    async def instance_metadata(
        self, study: StudyKey, key: InstanceKey, confirm: Confirm, *, is_repeated: bool = True
    ) -> list[Any] | None:
        """DICOM JSON of one instance, in a list; None when it is gone."""
        series, instance = key
        path = f"studies/{study.study_instance_uid}/series/{series}/instances"
        below = f"/series/{series}/instances/{instance}"
        query = {"SOPInstanceUID": instance}
        return await self._metadata(study, below, path, query, confirm, is_repeated=is_repeated)

    async def search(
        self, study: StudyKey, path: str, query: dict[str, str], *, version: str = "v1", is_repeated: bool = True
    ) -> list[Any]:
        """One page of a search (QIDO-RS); nothing where nothing matches, which the service says with 204."""
        response = await self._of_partition(study, path, query, version, found=(), is_repeated=is_repeated)
        if response.status_code == httpx.codes.NO_CONTENT:
            return []
        rows = json_of(SERVICE, response)
        if not isinstance(rows, list) or not rows:
            raise Unavailable(f"{SERVICE} answered a search with {response.status_code} and no list")
        return rows

    async def _metadata(
        self,
        study: StudyKey,
        below: str,
        search: str,
        query: dict[str, str],
        confirm: Confirm,
        *,
        is_repeated: bool = True,
    ) -> list[Any] | None:
        """The datasets; None when what was asked for is confirmed to be absent: `search` with `query` must not find it.

        Absence deletes what FHIR says. So a success without a dataset is none: whatever says it, it is not the service.
        """
        if (study, below) in self._too_large:
            raise Unavailable(f"{SERVICE} has metadata that are too large for this worker", code=TOO_LARGE)
        path = f"studies/{study.study_instance_uid}{below}/metadata"
        try:
            response = await self._of_partition(
                study, path, {}, found=(httpx.codes.NOT_FOUND,), is_repeated=is_repeated
            )
        except Unavailable as error:
            if error.code == TOO_LARGE:
                self._too_large[study, below] = None
                if len(self._too_large) > MOST_REMEMBERED:
                    del self._too_large[next(iter(self._too_large))]
            raise
        if response.status_code == httpx.codes.NOT_FOUND:
            await self._check_absent(study, query, search, confirm)
            return None
        datasets = json_of(SERVICE, response, Sharing()) if response.content else []
        if not isinstance(datasets, list) or not datasets or response.status_code != httpx.codes.OK:
            raise Unavailable(f"{SERVICE} answered {response.status_code} without metadata")
        key = key_of(study.study_instance_uid, datasets[0])
        self.last_read = (study, key) if key else self.last_read
        return datasets

    def forget_size(self, study: StudyKey) -> None:
        """Ask for the whole study once more: perhaps little is left of it."""
        self._too_large.pop((study, ""), None)

    async def _check_absent(self, study: StudyKey, query: dict[str, str], path: str, confirm: Confirm) -> None:
        """A 404 alone is not believed: a gateway or a wrong address answers it too.

        The service must be the one that was read so far, and must then find nothing in a search either. In this order
        it is noticed when the address begins or ceases to lead elsewhere meanwhile. Raises Unavailable, or what
        `confirm` raises, otherwise.
        """
        await confirm()
        if await self.search(study, path, {**query, "limit": "1"}):
            raise Unavailable(f"{SERVICE} lists in a search what has no metadata", code=SERVER_ERROR)

    async def _of_partition(
        self,
        study: StudyKey,
        path: str,
        query: dict[str, str],
        version: str = "v1",
        *,
        found: tuple[int, ...],
        is_repeated: bool = True,
    ) -> httpx.Response:
        """A request within a data partition. With partitions switched on even the default one has to be named, and with
        partitions switched off none may be.
        """
        named, plain = f"{version}/partitions/{study.partition_name}/{path}", f"{version}/{path}"
        if study.partition_name != DEFAULT_PARTITION:
            return await self._get(named, query, DICOM_JSON, found, is_repeated=is_repeated)
        first, second = (named, plain) if self._partition_is_named else (plain, named)
        either = (*found, httpx.codes.BAD_REQUEST)
        response = await self._get(first, query, DICOM_JSON, either, is_repeated=is_repeated)
        if response.status_code == httpx.codes.BAD_REQUEST:
            response = await self._get(second, query, DICOM_JSON, found, is_repeated=is_repeated)
            self._partition_is_named = second is named
        return response

    async def _get(
        self,
        path: str,
        query: dict[str, str],
        accept: str,
        found: tuple[int, ...] = (),
        *,
        is_repeated: bool = True,
        most: int | None = None,
    ) -> httpx.Response:
        # what a cache on the way remembers is not what the service has now: it would hide what was stored since
        headers = {"Accept": accept, "Cache-Control": "no-cache"}

        async def once() -> httpx.Response:
            request = self._client.build_request("GET", path, params=query, headers=headers)
            response = await send(self._client, SERVICE, request, most=most)
            if response.is_success or response.status_code in found:
                return response
            if response.status_code == httpx.codes.GONE:  # the service never says so; a 404 is its word for absence
                raise Misconfigured(f"{SERVICE} answered 410: it refuses the request", code=REFUSED)
            raise error_for_read(SERVICE, response)

        return await (repeated(once) if is_repeated else once())
