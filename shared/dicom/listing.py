"""Which series and instances a study has, as searches say it (QIDO-RS).

Version 2 of the interface answers for series from its index alone. For instances it reads the metadata of each that is
on a page, so one that is damaged fails the page; the page is halved until that one stands alone
(seen on Microsoft's DICOM service, in both versions).
"""

from collections.abc import Mapping
from typing import Any

from shared.dicom.client import DicomClient, is_about_the_question
from shared.dicom.values import Attributes
from shared.errors import Misconfigured, SyncError
from shared.model import InstanceKey, StudyKey

PAGE_LIMIT = 200  # the service's maximum
MOST_FOUND = 100_000  # series or instances; what never comes to an end has no more
MOST_FAILED = 64  # pages; a series with more damage than this is not searched to its end


async def series_of(dicom: DicomClient, study: StudyKey) -> dict[str, int] | None:
    """How many instances each series has, by its UID; None where the service does not say."""
    counts: dict[str, int] = {}
    while True:
        query = {"includefield": "NumberOfSeriesRelatedInstances", "limit": str(PAGE_LIMIT), "offset": str(len(counts))}
        try:
            rows = await dicom.search(study, f"studies/{study.study_instance_uid}/series", query, version="v2")
        except SyncError as error:
            if is_about_the_question(error) or (isinstance(error, Misconfigured) and error.code == "wrong-endpoint"):
                return None  # older services have no version 2
            raise
        for row in rows:
            uid = _uid_of(row, "SeriesInstanceUID", {"StudyInstanceUID": study.study_instance_uid})
            count = Attributes(row).integer("NumberOfSeriesRelatedInstances") if uid else None
            if uid is None or count is None or count < 0 or uid in counts:  # the study changes meanwhile, perhaps
                return None
            counts[uid] = count
        if len(rows) < PAGE_LIMIT:
            return counts
        if len(counts) >= MOST_FOUND:
            return None


async def instances_of(dicom: DicomClient, study: StudyKey, series_instance_uid: str, count: int) -> set[InstanceKey]:
    """Those of the `count` instances of a series whose metadata the service can read, as far as it says so."""
    found: set[InstanceKey] = set()
    windows = [(0, count)]
    failed = 0
    whose = {"StudyInstanceUID": study.study_instance_uid, "SeriesInstanceUID": series_instance_uid}
    path = f"studies/{study.study_instance_uid}/series/{series_instance_uid}/instances"
    while windows and failed < MOST_FAILED and len(found) < MOST_FOUND:
        start, width = windows.pop()
        if width > PAGE_LIMIT:
            windows.append((start + PAGE_LIMIT, width - PAGE_LIMIT))
            width = PAGE_LIMIT
        query = {"limit": str(width), "offset": str(start)}
        try:
            rows = await dicom.search(study, path, query, is_repeated=False)
        except SyncError as error:
            if not is_about_the_question(error):
                raise
            failed += 1
            if width > 1:
                half = width // 2
                windows += [(start + half, width - half), (start, half)]
            continue
        here = {
            InstanceKey(series_instance_uid, uid)
            for row in rows
            for uid in [_uid_of(row, "SOPInstanceUID", whose)]
            if uid
        }
        if here <= found:  # the end, whatever was counted, or pages that do not lead there
            break
        found |= here
    return found


def _uid_of(row: Any, keyword: str, whose: Mapping[str, str]) -> str | None:
    """The UID that a row is about; None where the row is none, or of another study or series."""
    attributes = Attributes(row if isinstance(row, dict) else {})
    if any(attributes.text(name) not in (uid, None) for name, uid in whose.items()):
        return None
    return attributes.uid(keyword)
