"""What the error tables hold, as the status line counts it."""

from datetime import UTC, datetime, timedelta

from shared.model import DEFAULT_PARTITION, StudyKey
from shared.storage.error_records import ErrorRecord, ErrorRecords, ErrorTable
from shared.sync.cases import MOST_COUNTED, tally
from tests.sim.parts import SimTable

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
STUDY = StudyKey(DEFAULT_PARTITION, "1.2.3")
OF_DICOM_CAST = {
    "PartitionKey": "System.Exception",
    "RowKey": "1",
    "StudyUid": "1.2.3",
    "Exception": "System.Exception",
}


async def counted(rows):
    """The fields of these rows, each a table and a record or a raw row."""
    tables = {table: SimTable() for table in ErrorTable}
    records = ErrorRecords(tables)
    for table, row in rows:
        await (records.put(table, row) if isinstance(row, ErrorRecord) else tables[table].upsert(row))
    return (await tally(records)).fields(NOW)


async def test_nothing():
    assert await counted([]) == {
        "retrying": 0,
        "retrying_codes": "",
        "retry_age_s": None,
        "set_up": 0,
        "failed": 0,
        "failed_codes": "",
        "skipped": 0,
        "skipped_codes": "",
    }


async def test_each_table_by_code_and_the_oldest_wait():
    def retried(code, key, minutes):
        at = None if minutes is None else NOW - timedelta(minutes=minutes)
        return ErrorTable.TRANSIENT_RETRY, ErrorRecord(STUDY, code, key=key, first_failed_at=at)

    fields = await counted(
        [
            retried("unavailable", "1", 5),
            retried("unavailable", "2", 70),
            retried("access-refused", "3", None),
            (ErrorTable.FHIR, ErrorRecord(STUDY, "rejected", detail="issues: x")),
            (ErrorTable.FHIR, ErrorRecord(StudyKey(DEFAULT_PARTITION, ""), "malformed-message", key="4")),
            (ErrorTable.TRANSIENT_FAILURE, ErrorRecord(STUDY, "server-error")),
            (ErrorTable.DICOM, ErrorRecord(STUDY, "missing", sop_instance_uid="1.2")),
            (ErrorTable.DICOM, ErrorRecord(STUDY, "missing", sop_instance_uid="1.3")),
            (ErrorTable.INVALID_TAG, ErrorRecord(STUDY, "patient-conflict")),
        ]
    )
    assert fields == {
        "retrying": 3,
        "retrying_codes": "unavailable:2,access-refused:1",
        "retry_age_s": 70 * 60,
        "set_up": 1,
        "failed": 2,
        "failed_codes": "rejected:1,server-error:1",
        "skipped": 3,
        "skipped_codes": "missing:2,malformed-message:1",
    }


async def test_rows_of_dicom_cast_are_no_studies_that_are_retried():
    """Nothing retries them any more; its failures count."""
    fields = await counted([(ErrorTable.TRANSIENT_RETRY, OF_DICOM_CAST), (ErrorTable.FHIR, OF_DICOM_CAST)])
    assert (fields["retrying"], fields["failed_codes"]) == (0, "dicom-cast:1")


async def test_no_more_rows_are_read_than_a_minute_can_bear():
    rows = [(ErrorTable.FHIR, ErrorRecord(STUDY, "rejected", key=str(number))) for number in range(MOST_COUNTED + 10)]
    assert (await counted(rows))["failed"] == MOST_COUNTED
