"""A FHIR server that asks for less, in every way in which servers say so: nothing is set aside for good."""

import json

import pytest

from tests.builders import make_instance
from tests.flow.life import EQUIPMENT, assert_nothing_left, differences, twins
from tests.microsoft import needs_fhir_server, on_microsoft

__all__ = ["on_microsoft"]

STUDIES = 10
PARALLEL = {"FhirServer__Bundle__TransactionDefaultProcessingLogic": "Parallel"}


async def store_studies(stack):
    for number in range(1, STUDIES + 1):
        await stack.store(make_instance(number, PatientID=f"MRN-{number}", **EQUIPMENT))


@needs_fhir_server
@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize("settings", [{}, PARALLEL], ids=["sequential", "parallel"])
async def test_a_throttled_write_of_microsofts_server_sets_nothing_aside(on_microsoft, fresh_projection, settings):
    stack = on_microsoft(MEMSTORE_429_EVERY="10", **settings)
    await store_studies(stack)
    outcomes = await stack.drain()
    assert "failed" not in outcomes
    assert len(await stack.resources("ImagingStudy")) == STUDIES
    assert await twins(stack) == []
    assert differences(await stack.content(), await fresh_projection()) == []
    await assert_nothing_left(stack)


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize("says_when", [True, False], ids=["Retry-After", "without"])
async def test_a_throttled_write_sets_nothing_aside(stack, between, fresh_projection, says_when):
    before = await between("fhir")
    before["fhir"].use([], fhir={"throttle_every": 2, "throttle_says_when": says_when})
    await store_studies(stack)
    outcomes = await stack.drain()
    assert "failed" not in outcomes
    assert before["fhir"].rules.stats.statuses["400"] > 0
    assert differences(await stack.content(), await fresh_projection()) == []
    await assert_nothing_left(stack)


def outcome(*codes):
    return json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": c} for c in codes]})


REFUSAL = {"methods": ["POST"], "holds": '"type":"transaction"', "status": 400}
TRANSIENT = ("throttled", "timeout", "lock-error", "no-store", "exception", "incomplete", "transient")


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize("code", TRANSIENT)
async def test_what_passes_by_its_code_is_tried_again(stack, between, code):
    before = await between("fhir")
    before["fhir"].use([REFUSAL | {"body": outcome("processing", code), "times": 4}])
    await stack.store(make_instance())
    assert "failed" not in await stack.drain()
    await stack.one("ImagingStudy")
    await assert_nothing_left(stack)


@pytest.mark.usefixtures("prompt")
async def test_a_search_that_is_throttled_with_400_waits(stack, between):
    before = await between("fhir")
    before["fhir"].use([{"path": "_search|metadata", "status": 400, "body": outcome("throttled"), "times": 8}])
    await stack.store(make_instance())
    await stack.poll()
    assert await stack.run(*await stack.messages()) == ["retrying"]
    (row,) = await stack.rows("TransientRetryExceptionTable")
    assert row["Exception"].startswith("throttled")
    await stack.drain()
    await stack.one("ImagingStudy")
    await assert_nothing_left(stack)


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize("times", [1, 2])
async def test_a_lasting_refusal_is_believed_the_second_time(stack, between, times):
    """The first may be of something that was read and is gone since."""
    before = await between("fhir")
    before["fhir"].use([REFUSAL | {"body": outcome("invalid"), "times": times}])
    await stack.store(make_instance())
    assert ("failed" in await stack.drain()) is (times == 2)
