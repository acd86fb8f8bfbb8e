"""Studies that were set aside, and the command line that releases them."""

import asyncio

import pytest

from shared import operate
from shared.advice import ADVICE
from shared.model import DEFAULT_PARTITION, StudyChange, StudyKey
from shared.noted import NOTED
from shared.sync.others import look_again
from tests.builders import make_instance, sop_uid, study_uid

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


def cells(lines):
    """Rows of the table by the names of its columns."""
    return [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]


async def test_list_says_what_happened_to_which_study_and_what_to_do(stack, capsys):
    await parked(stack, 1, 2)
    code, lines, told = await operated(capsys, "list")
    assert code == 0
    assert [(row["state"], row["study"], row["partition"], row["code"]) for row in cells(lines)] == [
        ("failed", study_uid(number), "Microsoft.Default", "rejected") for number in (1, 2)
    ]
    assert "in total: 2 failed, 0 retrying, 0 skipped; 0 messages in the queue, 0 in the poison queue" in told
    assert "rejected (2): The FHIR server refuses the content" in told
    assert len(cells((await operated(capsys, "list", "--study", study_uid(2)))[1])) == 1
    assert (await operated(capsys, "list", "--code", "bug"))[1] == []


async def test_list_for_somebody_who_may_not_count_messages(stack, between, capsys):
    """The role that the templates give to operators lets them send messages, and not read the queue."""
    await parked(stack, 1)
    (await between("queue"))["queue"].use([{"status": 403, "methods": ["GET", "HEAD"]}])
    code, lines, told = await operated(capsys, "list")
    assert (code, len(cells(lines))) == (0, 1)
    assert "1 failed, 0 retrying, 0 skipped; messages are not counted" in told
    assert "rejected (1): The FHIR server refuses the content" in told


async def test_explain(capsys):
    code, lines, _ = await operated(capsys, "explain", "rejected")
    assert (code, lines[0][:18]) == (0, "rejected (failed):")
    code, lines, _ = await operated(capsys, "explain")
    assert (code, len(lines)) == (0, len(ADVICE) + len(NOTED))
    code, lines, told = await operated(capsys, "explain", "nonsense")
    assert (code, lines) == (1, [])
    assert "rejected" in told


async def test_what_waits_and_what_is_skipped_can_be_seen(stack, capsys):
    await stack.store(make_instance(1, 1, 1), make_instance(1, 1, 2, PatientID=""))
    await stack.drain()
    await stack.store(make_instance(2))
    await stack.poll()
    await stack.fhir_dev("faults", [{"route": "transaction", "status": 503}])
    await stack.run(*await stack.messages())
    await stack.fhir_dev("faults", [])
    _, lines, told = await operated(capsys, "list", "all")
    assert [(row["state"], row["study"], row["instance"], row["code"], row["attempts"]) for row in cells(lines)] == [
        ("retrying", study_uid(2), "", "server-error", "1"),
        ("skipped", study_uid(1), sop_uid(1, 1, 2), "missing", ""),
    ]
    assert "0 failed, 1 retrying, 1 skipped, 0 noted; 1 message in the queue" in told
    assert len(cells((await operated(capsys, "list", "retrying"))[1])) == 1
    assert (await operated(capsys, "list"))[1] == []


async def test_what_contradicts_in_a_study_can_be_seen(stack, capsys):
    """It is in the table of values that could not be used, most of which ask for nothing."""
    stray = make_instance(1, 2, 1, PatientID="OTHER", PatientSex="X")
    await stack.store(make_instance(1, 1, 1), make_instance(1, 1, 2), stray, make_instance(2))
    await stack.drain()
    code, lines, told = await operated(capsys, "list", "noted")
    assert (code, [(row["state"], row["study"], row["instance"], row["code"]) for row in cells(lines)]) == (
        0,
        [("noted", study_uid(1), sop_uid(1, 2, 1), "patient-conflict")],
    )
    assert "1 noted" in told
    assert "patient-conflict (1): The PatientID of this instance" in told
    for arguments in (["all"], ["--study", study_uid(1)], ["--code", "patient-conflict"]):
        assert len(cells((await operated(capsys, "list", *arguments))[1])) == 1
    assert (await operated(capsys, "list", "--study", study_uid(2)))[1] == []
    assert (await operated(capsys, "explain", "patient-conflict"))[0] == 0
    code, _, told = await operated(capsys, "retry", "--code", "patient-conflict")
    assert (code, "1 study" in told) == (0, True)
    assert await stack.drain() == {"unchanged": 1}


async def test_a_deferred_study_can_be_tried_now(stack, capsys):
    await stack.store(make_instance(1))
    await stack.poll()
    await stack.fhir_dev("faults", [{"route": "transaction", "status": 503}])
    await stack.run(*await stack.messages())
    await stack.fhir_dev("faults", [])
    assert (await operated(capsys, "retry", "--study", study_uid(1)))[0] == 0
    await stack.drain()
    await stack.one("ImagingStudy")
    assert await stack.rows("TransientRetryExceptionTable") == []


async def test_a_study_without_a_row_is_looked_at_when_it_is_named(stack, capsys):
    """Its message was lost, say, or it was in the archive that this one replaced."""
    await stack.store(make_instance(1), make_instance(2))
    await stack.poll()
    await stack.messages()
    code, _, told = await operated(capsys, "retry", "--study", study_uid(1))
    assert (code, "1 study" in told) == (0, True)
    await stack.drain()
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 1
    assert (await operated(capsys, "retry", "--study", study_uid(1)))[0] == 0
    assert (await operated(capsys, "retry", "--study", study_uid(1), "--partition", "clinic-a"))[0] == 0
    assert [StudyChange.from_json(text).study.partition_name for text in await stack.messages()] == [
        "Microsoft.Default",
        "clinic-a",
    ]


@pytest.mark.parametrize("wrong", [("--study", "1.2.x"), ("--study", "1.2.3", "--partition", "a/b")])
def test_what_names_no_study_is_refused(wrong):
    with pytest.raises(SystemExit, match="2"):
        operate.main(("retry", *wrong))


async def test_naming_a_code_or_a_study_shows_it_whatever_its_state(stack, capsys):
    await stack.store(make_instance(1))
    await stack.poll()
    await stack.fhir_dev("faults", [{"route": "transaction", "status": 503}])
    await stack.run(*await stack.messages())
    for named in (["--study", study_uid(1)], ["--code", "server-error"]):
        assert len(cells((await operated(capsys, "list", *named))[1])) == 1
        assert (await operated(capsys, "list", "failed", *named))[1] == []


async def test_rows_about_no_study_are_taken_away_when_they_were_seen(stack, capsys):
    await stack.store(make_instance(1), make_instance(2))
    await stack.dicom_dev("feed", {"malform": {"sequence": 1, "how": "not_an_object"}})
    await stack.drain()
    with pytest.raises(ValueError, match="not a StudyChange"):
        await stack.run("hello")
    await stack.app.runner.record_poison("hello")
    _, lines, _ = await operated(capsys, "list", "skipped")
    assert [(row["study"], row["code"]) for row in cells(lines)] == [("", "malformed-entry"), ("", "malformed-message")]
    for code in ("malformed-entry", "malformed-message"):
        assert (await operated(capsys, "retry", "--code", code))[0] == 0
    assert await stack.messages() == []
    assert await operated(capsys, "list", "all") == (0, [], (await operated(capsys, "list", "all"))[2])
    assert (await operated(capsys, "retry", "--code", "malformed-entry"))[0] == 1


ODD_ROWS = [
    {},
    {"StudyUid": "../../x", "PartitionName": "Microsoft.Default", "Exception": "rejected: m"},
    {"StudyUid": study_uid(9), "PartitionName": "a/b", "Exception": 7, "RetryNumber": "many"},
    {"StudyUid": study_uid(9), "PartitionName": "Microsoft.Default", "Exception": "\x1b[31mred", "RetryNumber": 2.5},
    {"StudyUid": 5, "SeriesUid": b"x", "InstanceUid": "no", "ChangeFeedSequence": "x", "Exception": "E"},
    {"StudyUid": study_uid(8), "SeriesUid": "x/y", "InstanceUid": "z", "ChangeFeedSequence": -4, "Exception": "E"},
]


@pytest.mark.parametrize(
    "table",
    [
        "FhirFailToStoreExceptionTable",
        "TransientFailureExceptionTable",
        "TransientRetryExceptionTable",
        "DicomFailToStoreExceptionTable",
    ],
)
async def test_rows_that_nobody_understands_stop_nothing(stack, capsys, table):
    await stack.store(make_instance(9))  # absence is believed from a service whose feed was read
    await stack.drain()
    client = stack.tables.get_table_client(stack.name + table)
    await client.create_table()
    for number, row in enumerate(ODD_ROWS):
        await client.create_entity({"PartitionKey": "p", "RowKey": str(number), **row})
    await client.close()
    code, lines, told = await operated(capsys, "list", "all")
    assert code == 0
    assert len(lines) > 3
    assert "\x1b" not in "".join(lines) + told
    for one in {row["code"] for row in cells(lines)}:
        assert (await operated(capsys, "retry", "--code", one))[0] == 0
    assert set(await stack.run(*await stack.messages())) <= {"unchanged"}
    assert (await operated(capsys, "list", "all"))[1] == []


async def test_wrong_arguments(capsys):
    for arguments in ((), ("retry",), ("retry", "--all", "--code", "x"), ("list", "nonsense"), ("nonsense",)):
        with pytest.raises(SystemExit) as raised:
            operate.main(arguments)
        assert raised.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit) as raised:
        operate.main(("--help",))
    assert raised.value.code == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("failed", "retrying", "skipped", "exit codes", "list", "explain", "retry"))


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
    code, _, _ = await operated(capsys, "retry", *arguments)
    assert code == (0 if expected else 1)
    await stack.drain()
    written = {one["identifier"][0]["value"].removeprefix("urn:oid:") for one in await stack.resources("ImagingStudy")}
    assert written == expected
    left = {row["StudyUid"] for row in await stack.rows(FHIR_FAILURES)}
    assert left == {study_uid(1), study_uid(2)} - expected


async def test_a_study_that_fails_again_is_parked_again(stack, capsys):
    await parked(stack, 1)
    await stack.fhir_dev("faults", REFUSES)
    await operated(capsys, "retry", "--all")
    await stack.drain()
    assert len(await stack.rows(FHIR_FAILURES)) == 1


async def test_a_study_that_was_never_written_is_looked_at(stack):
    """Its message was lost, say. What somebody else wrote of one that the service does not have stays."""
    await stack.store(make_instance(1), make_instance(1, instance=2))
    identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(2)}"}
    theirs = {
        "resourceType": "ImagingStudy",
        "identifier": [identifier],
        "status": "available",
        "subject": {"display": "x"},
    }
    theirs = await stack.post(theirs)
    await stack.poll()
    await stack.messages()
    asked = [look_again(StudyKey(DEFAULT_PARTITION, study_uid(number)), 0).to_json() for number in (1, 2, 3)]
    assert await stack.run(*asked) == ["created", "unchanged", "unchanged"]
    assert await stack.run(*asked) == ["unchanged"] * 3
    studies = {one["identifier"][0]["value"]: one for one in await stack.resources("ImagingStudy")}
    assert studies.keys() == {f"urn:oid:{study_uid(1)}", f"urn:oid:{study_uid(2)}"}
    assert studies[f"urn:oid:{study_uid(1)}"]["numberOfInstances"] == 2
    assert studies[f"urn:oid:{study_uid(2)}"] == theirs
    assert {row["PartitionKey"] for row in await stack.rows("StudyStateTable")} == {study_uid(1)}


async def test_wrong_settings_are_named(capsys, monkeypatch):
    monkeypatch.delenv("DicomWeb__Endpoint", raising=False)
    monkeypatch.setenv("Fhir__Endpoint", "nonsense")
    code, _, told = await operated(capsys, "list")
    assert code == 1
    assert "DicomWeb__Endpoint" in told
    assert "Fhir__Endpoint" in told
