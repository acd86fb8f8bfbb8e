"""Which series and instances a study has, as searches say it (QIDO-RS).

Version 2 of the interface answers for series from its index alone. For instances it reads the metadata of each that is
on a page, so one that is damaged fails the page; the page is halved until that one stands alone
(seen on Microsoft's DICOM service, in both versions).
"""

from shared.dicom.client import DicomClient, is_about_the_question
from shared.dicom.values import Attributes
from shared.errors import Misconfigured, SyncError
from shared.model import InstanceKey, StudyKey

PAGE_LIMIT = 200  # the service's maximum
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
            attributes = Attributes(row if isinstance(row, dict) else {})
            uid, count = attributes.uid("SeriesInstanceUID"), attributes.integer("NumberOfSeriesRelatedInstances")
            if uid is None or count is None or uid in counts:  # the study changes meanwhile, perhaps
                return None
            counts[uid] = count
        if len(rows) < PAGE_LIMIT:
            return counts


async def instances_of(dicom: DicomClient, study: StudyKey, series_instance_uid: str, count: int) -> set[InstanceKey]:
    """Those of the `count` instances of a series whose metadata the service can read, as far as it says so."""
    found: set[InstanceKey] = set()
    windows = [(start, min(PAGE_LIMIT, count - start)) for start in range(0, count, PAGE_LIMIT)][::-1]
    failed = 0
    path = f"studies/{study.study_instance_uid}/series/{series_instance_uid}/instances"
    while windows and failed < MOST_FAILED:
        start, width = windows.pop()
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
        for row in rows:
            uid = Attributes(row if isinstance(row, dict) else {}).uid("SOPInstanceUID")
            found |= {InstanceKey(series_instance_uid, uid)} if uid else set()
    return found
