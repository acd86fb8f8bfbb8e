"""Rows of DICOM Cast in the error tables that this app takes over: listed, counted, retried and removed."""

from datetime import UTC, datetime

import pytest

from shared.sync.cases import tally
from tests.builders import make_instance, series_uid, sop_uid, study_uid
from tests.flow.test_parked import FHIR_FAILURES, cells, operated

OF_DICOM_CAST = {
    FHIR_FAILURES: "FhirResourceValidationException",
    "TransientFailureExceptionTable": "TimeoutRejectedException",
    "DicomFailToStoreExceptionTable": "MissingRequiredDicomTagException",
    "InvalidDicomTagExceptionTable": "InvalidDicomTagValueException",
    "TransientRetryExceptionTable": "ResourceConflictException",
}


async def failed_in_dicom_cast(stack):
    """Its rows have the name of an exception as partition and a random row key."""
    for number, (name, exception) in enumerate(OF_DICOM_CAST.items(), start=1):
        table = stack.tables.get_table_client(stack.name + name)
        async with table:
            await stack.tables.create_table_if_not_exists(stack.name + name)
            await table.create_entity(
                {
                    "PartitionKey": exception,
                    "RowKey": f"6f1f2e9c-0000-4000-8000-00000000000{number}",
                    "StudyUid": study_uid(number),
                    "SeriesUid": series_uid(number, 1),
                    "InstanceUid": sop_uid(number, 1, 1),
                    "ChangeFeedSequence": number,
                    "Exception": "Text of an exception",
                }
            )


async def left_of_dicom_cast(stack):
    return [name for name in OF_DICOM_CAST if await stack.rows(name)]


async def test_failures_of_dicom_cast_are_listed_in_the_words_of_explain(stack, capsys):
    await failed_in_dicom_cast(stack)
    _, lines, _ = await operated(capsys, "list")
    failures = [(FHIR_FAILURES, 1), ("TransientFailureExceptionTable", 2), ("DicomFailToStoreExceptionTable", 3)]
    notes = [("InvalidDicomTagExceptionTable", 4), ("TransientRetryExceptionTable", 5)]
    found = [(row["state"], row["study"], row["code"], row["reason"]) for row in cells(lines)]
    assert found == [("failed", study_uid(number), "dicom-cast", OF_DICOM_CAST[name]) for name, number in failures]
    _, lines, _ = await operated(capsys, "list", "noted")
    found = [(row["state"], row["study"], row["code"], row["reason"]) for row in cells(lines)]
    assert found == [("noted", study_uid(number), "dicom-cast-note", OF_DICOM_CAST[name]) for name, number in notes]
    assert "Text" not in "".join(lines)
    for code, state in (("dicom-cast", "failed"), ("dicom-cast-note", "noted")):
        _, lines, _ = await operated(capsys, "explain", code)
        assert lines[0].startswith(f"{code} ({state}): ")


@pytest.mark.parametrize(("code", "studies"), [("dicom-cast", 3), ("dicom-cast-note", 2)])
async def test_a_retry_takes_as_many_as_are_listed(stack, capsys, code, studies):
    await failed_in_dicom_cast(stack)
    _, lines, _ = await operated(capsys, "list", "--code", code)
    assert len(cells(lines)) == studies
    _, _, told = await operated(capsys, "retry", "--code", code)
    assert f"sent through the queue again: {studies} studies" in told
    assert f"removed, since nothing else removes them: {studies} rows" in told
    _, lines, _ = await operated(capsys, "list", "--code", code)
    assert cells(lines) == []


async def test_failures_of_dicom_cast_go_when_their_study_comes_in_by_a_change(stack):
    await failed_in_dicom_cast(stack)
    await stack.store(*(make_instance(number) for number in (1, 3, 5)))
    await stack.drain()
    assert await left_of_dicom_cast(stack) == ["TransientFailureExceptionTable", "InvalidDicomTagExceptionTable"]


async def test_the_status_line_counts_its_failures_and_not_its_notes(stack):
    await failed_in_dicom_cast(stack)
    fields = (await tally(stack.app.records)).fields(datetime.now(UTC))
    assert (fields["failed"], fields["failed_codes"]) == (3, "dicom-cast:3")
    assert (fields["retrying"], fields["skipped"], fields["retry_age_s"], fields["set_up"]) == (0, 0, None, 0)
