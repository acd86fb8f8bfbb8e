"""Keys of error records: the same failure has the same row, another one another."""

import pytest

from shared.model import StudyKey
from shared.storage.error_records import ErrorRecord, ErrorTable, _partition_key

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
