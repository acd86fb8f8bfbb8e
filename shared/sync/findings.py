"""Keep the error tables true to the last look at a study: what failed is there once, what was mended is gone."""

from collections.abc import Collection, Mapping

from shared.model import Finding, InstanceKey, StudyChange, StudyKey, is_uid
from shared.storage.error_records import MALFORMED_ENTRY, ErrorRecord, ErrorRecords, ErrorTable
from shared.storage.table import Entity
from shared.sync.delta import UNREAD

# in the place of an instance, where something concerns the study as such
OF_STUDY = InstanceKey("", "")
OF_INSTANCES = (ErrorTable.INVALID_TAG, ErrorTable.DICOM)
OF_STUDIES = (ErrorTable.FHIR, ErrorTable.TRANSIENT_FAILURE)


async def record(
    records: ErrorRecords,
    study: StudyKey,
    looked_at: Collection[InstanceKey],
    failed: Mapping[InstanceKey, Collection[Finding]],
    findings: Mapping[InstanceKey, Collection[Finding]],
    listed: Mapping[InstanceKey, int],
    *,
    may_have_records: bool,
) -> bool:
    """Write what was found in the instances looked at, clear what no longer is; whether any record is left.

    `failed` keeps an instance out of FHIR, `findings` only an element.
    """
    left = False
    for table, found in zip(OF_INSTANCES, (findings, failed), strict=True):
        there = await records.of_study(table, study) if may_have_records else []
        rows = {row["RowKey"]: row for row in there if not _is_of_feed(row)}
        wanted = {
            entry.row_key: entry
            for key, some in found.items()
            for finding in some
            for entry in [_record_of(study, key, finding, listed.get(key, 0))]
        }
        said = {row_key: row.get("Exception") for row_key, row in rows.items()}
        await records.put_all(table, [entry for row_key, entry in wanted.items() if said.get(row_key) != entry.text])
        mended = {
            row_key
            for row_key, row in rows.items()
            if row_key not in wanted and (_instance_of(row) in looked_at or _is_of_series(row))
        }
        await records.clear(table, study, mended)
        left = left or bool(wanted) or len(rows) > len(mended)
    return left


async def unread(records: ErrorRecords, study: StudyKey) -> list[InstanceKey]:
    """Instances of the study that are recorded as ones whose metadata cannot be had."""
    rows = await records.of_study(ErrorTable.DICOM, study)
    return [
        key
        for row in rows
        if str(row.get("Exception") or "").startswith(UNREAD)
        for key in [_instance_of(row)]
        if is_uid(key.series_instance_uid) and is_uid(key.sop_instance_uid)
    ]


def _is_of_feed(row: Entity) -> bool:
    """Rows about the feed say nothing about an instance: no look mends them."""
    return str(row.get("Exception") or "").startswith(MALFORMED_ENTRY)


def _is_of_series(row: Entity) -> bool:
    """Rows about a series as such are found again in each pass, whatever was read."""
    return bool(row.get("SeriesUid")) and not row.get("InstanceUid")


def _instance_of(row: Entity) -> InstanceKey:
    return InstanceKey(str(row.get("SeriesUid") or ""), str(row.get("InstanceUid") or ""))


async def clear_failed(records: ErrorRecords, change: StudyChange, *, was_parked: bool) -> None:
    """Remove rows of failures after a pass over the whole study: it did what they were about, DICOM Cast's too."""
    study = change.study
    await records.clear_of_dicom_cast(study, is_asked=not change.instances)
    for table in OF_STUDIES if was_parked else ():
        await records.clear(table, study, [row["RowKey"] for row in await records.of_study(table, study)])


def _record_of(study: StudyKey, key: InstanceKey, finding: Finding, sequence: int) -> ErrorRecord:
    return ErrorRecord(
        study,
        finding.code,
        key.series_instance_uid,
        key.sop_instance_uid,
        sequence,
        finding.keyword,
        key=finding.keyword,
    )
