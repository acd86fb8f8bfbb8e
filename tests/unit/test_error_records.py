"""Keys of error records: the same failure has the same row, another one another."""

import pytest

from shared.model import StudyKey
from shared.storage import error_records
from shared.storage.error_records import ErrorRecord, ErrorRecords, ErrorTable, _partition_key

STUDY = StudyKey("Microsoft.Default", "1.2")
RECORD = ErrorRecord(STUDY, "invalid-date", "1.2.3", "1.2.3.4", 7, "StudyDate", 0)


def test_tables_have_the_names_of_dicom_cast():
    assert [str(table) for table in ErrorTable] == [
        "InvalidDicomTagExceptionTable",
        "DicomFailToStoreExceptionTable",
        "FhirFailToStoreExceptionTable",
        "TransientRetryExceptionTable",
        "TransientFailureExceptionTable",
    ]


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(ErrorRecord(STUDY, "invalid-date", "1.2.3", "1.2.3.4", 9, "StudyDate"), id="later sequence"),
        pytest.param(ErrorRecord(STUDY, "invalid-date", "1.2.3", "1.2.3.4", 7, "StudyDate", 3), id="more attempts"),
        pytest.param(ErrorRecord(STUDY, "irregular-date", "1.2.3", "1.2.3.4", 7, "StudyDate"), id="another code"),
    ],
)
def test_repeated_failure_has_the_same_row(again):
    assert again.row_key == RECORD.row_key


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(
            ErrorRecord(STUDY, "invalid-date", "1.2.3", "1.2.3.4", 7, "SeriesDate", key="SeriesDate"), id="attribute"
        ),
        pytest.param(ErrorRecord(STUDY, "invalid-date", "1.2.3", "1.2.3.5", 7, "StudyDate"), id="instance"),
        pytest.param(ErrorRecord(STUDY, "invalid-date", "1.2.4", "1.2.3.4", 7, "StudyDate"), id="series"),
        pytest.param(
            ErrorRecord(StudyKey("clinic-a", "1.2"), "invalid-date", "1.2.3", "1.2.3.4", 7, "StudyDate"), id="partition"
        ),
    ],
)
def test_another_failure_has_a_row_of_its_own(other):
    assert other.row_key != RECORD.row_key


@pytest.mark.parametrize(
    ("detail", "text"), [("", "invalid-date"), ("StudyDate", "invalid-date: StudyDate")], ids=["code", "with detail"]
)
def test_text_of_a_record(detail, text):
    assert ErrorRecord(STUDY, "invalid-date", detail=detail).text == text


@pytest.mark.parametrize(
    ("uid", "key"),
    [
        pytest.param("1.2.3", "1.2.3", id="UID"),
        pytest.param("", "unknown", id="none"),
        pytest.param("1/2", "unknown", id="slash"),
        pytest.param("1#2?", "unknown", id="characters a key cannot hold"),
        pytest.param("...", "unknown", id="only dots"),
    ],
)
def test_partition_key(uid, key):
    assert _partition_key(StudyKey("Microsoft.Default", uid)) == key


TWO = ("DicomTagException", "2")


class Rows:
    """A table with so many rows of DICOM Cast, which counts those that were read, and keeps keys that were removed."""

    def __init__(self, count=0):
        self.count, self.read, self.removed = count, 0, []

    async def rows_between(self, first, before):
        assert first <= "DicomTagException" < before
        for number in range(self.count):
            self.read += 1
            yield {"PartitionKey": "DicomTagException", "RowKey": str(number), "StudyUid": f"1.{number}"}

    async def delete(self, *keys):
        self.removed.append(keys)


async def test_notes_of_dicom_cast_leave_room_for_its_failures(monkeypatch):
    """It wrote a row for each value of each instance that it could not use."""
    monkeypatch.setattr(error_records, "MOST_OF_DICOM_CAST", 10)
    tables = {name: Rows() for name in ErrorTable}
    tables[ErrorTable.INVALID_TAG], tables[ErrorTable.TRANSIENT_RETRY] = Rows(30), Rows(30)
    tables[ErrorTable.FHIR], tables[ErrorTable.TRANSIENT_FAILURE] = Rows(6), Rows(3)
    await ErrorRecords(tables).clear_of_dicom_cast(StudyKey("Microsoft.Default", "1.2"), is_asked=True)
    assert (tables[ErrorTable.FHIR].removed, tables[ErrorTable.TRANSIENT_FAILURE].removed) == ([TWO], [TWO])
    assert sum(table.read for table in tables.values()) <= 12
