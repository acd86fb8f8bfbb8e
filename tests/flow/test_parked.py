"""Studies that were set aside, and the command line that releases them."""

import asyncio

import pytest

from shared import operate
from tests.builders import make_instance, series_uid, sop_uid, study_uid

REFUSES = [{"route": "transaction", "status": 422}]
FHIR_FAILURES = "FhirFailToStoreExceptionTable"


async def operated(capsys, *arguments):
    """Exit code, lines of output, and what was said beside it."""
    code = await asyncio.to_thread(operate.main, arguments)
    told = capsys.readouterr()
    return code, told.out.splitlines(), told.err.strip()


async def parked(stack, *numbers):
    await stack.fhir_dev("faults", REFUSES)
    await stack.store(*(make_instance(number) for number in numbers))
    await stack.drain()
    await stack.fhir_dev("faults", [])


async def test_list_and_explain(stack, capsys):
    await parked(stack, 1, 2)
    code, lines, told = await operated(capsys, "list")
    assert (code, told) == (0, "2 studies are set aside")
    assert [line.split("\t")[:3] for line in lines] == [
        [study_uid(number), "Microsoft.Default", "rejected"] for number in (1, 2)
    ]
    assert (await operated(capsys, "list", "--code", "bug"))[1] == []
    code, lines, _ = await operated(capsys, "explain", "rejected")
    assert (code, lines[0][:18]) == (0, "rejected (parked):")
    assert (await operated(capsys, "explain", "nonsense"))[0] == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--study", study_uid(1)), {study_uid(1)}),
        (("--code", "rejected"), {study_uid(1), study_uid(2)}),
        (("--all",), {study_uid(1), study_uid(2)}),
        (("--code", "bug"), set()),
    ],
)
async def test_release(stack, capsys, arguments, expected):
    await parked(stack, 1, 2)
    code, _, _ = await operated(capsys, "release", *arguments)
    assert code == (0 if expected else 1)
    await stack.drain()
    written = {one["identifier"][0]["value"].removeprefix("urn:oid:") for one in await stack.resources("ImagingStudy")}
    assert written == expected
    left = {row["StudyUid"] for row in await stack.rows(FHIR_FAILURES)}
    assert left == {study_uid(1), study_uid(2)} - expected


async def test_a_study_that_fails_again_is_parked_again(stack, capsys):
    await parked(stack, 1)
    await stack.fhir_dev("faults", REFUSES)
    await operated(capsys, "release", "--all")
    await stack.drain()
    assert len(await stack.rows(FHIR_FAILURES)) == 1


async def test_failures_of_dicom_cast_are_understood(stack, capsys):
    """Its rows have the name of an exception as partition and a random row key."""
    await stack.store(make_instance(1))
    table = stack.tables.get_table_client(stack.name + FHIR_FAILURES)
    await table.create_table()
    await table.create_entity(
        {
            "PartitionKey": "FhirResourceValidationException",
            "RowKey": "6f1f2e9c-0000-4000-8000-000000000001",
            "StudyUid": study_uid(1),
            "SeriesUid": series_uid(1, 1),
            "InstanceUid": sop_uid(1, 1, 1),
            "ChangeFeedSequence": 1,
            "Exception": "Text of an exception",
        }
    )
    await table.close()
    _, lines, _ = await operated(capsys, "list")
    assert [line.split("\t")[2] for line in lines] == ["dicom-cast"]
    assert "Text" not in lines[0]
    await operated(capsys, "release", "--study", study_uid(1))
    assert await stack.run(*await stack.messages()) == ["created"]
    assert await stack.rows(FHIR_FAILURES) == []


async def test_wrong_settings_are_named(capsys, monkeypatch):
    monkeypatch.delenv("DicomWeb__Endpoint", raising=False)
    monkeypatch.setenv("Fhir__Endpoint", "nonsense")
    code, _, told = await operated(capsys, "list")
    assert code == 1
    assert "DicomWeb__Endpoint" in told
    assert "Fhir__Endpoint" in told
