"""A study that ends its process, on Microsoft's own Functions host: it alone fails, those beside it are synced."""

import asyncio
import time
from contextlib import contextmanager

import pytest

from dev import microsoft
from tests.builders import make_instance, study_uid
from tests.hosts.real_host import RealHost

pytestmark = [
    pytest.mark.skipif(bool(microsoft.missing("func")), reason=microsoft.missing("func")),
    pytest.mark.timeout(700),
]
FAILED = "FhirFailToStoreExceptionTable"
EVERYBODY = range(1, 9)
WITHIN_S = 500


@contextmanager
def host(stack, folder, fatal, **options):
    one = RealHost(stack, folder, fatal, **options)
    try:
        yield one.wait_until_ready()
    finally:
        one.kill()


async def until(condition, what):
    deadline = time.monotonic() + WITHIN_S
    while not await condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.3)


async def synced(stack):
    found = await stack.resources("ImagingStudy")
    return {one["identifier"][0]["value"].removeprefix("urn:oid:") for one in found}


async def in_flight_together(stack, tmp_path, fatal, **options):
    """Eight studies at once, these of them fatal; what is in FHIR and what failed, once the queue is empty."""
    for number in EVERYBODY:
        await stack.store(make_instance(number))
    fatal = {study_uid(number): how for number, how in fatal.items()}
    with host(stack, tmp_path / "app", fatal, **options) as one:

        async def is_done():
            failed = {row["StudyUid"] for row in await stack.rows(FAILED)}
            return await stack.app.queue.depth() == 0 and failed == set(fatal)

        await until(is_done, "the queue was not emptied")
        assert await stack.app.poison_queue.depth() == 0
        rows = {row["StudyUid"]: row["Exception"].partition(":")[0] for row in await stack.rows(FAILED)}
        return rows, await synced(stack), one.log


@pytest.mark.parametrize(
    ("fatal", "codes"),
    [
        pytest.param({1: "exit"}, {1: "process-died"}, id="exit, first"),
        pytest.param({8: "kill"}, {8: "process-died"}, id="killed, last"),
        pytest.param({3: "exit", 6: "kill"}, {3: "process-died", 6: "process-died"}, id="two"),
        pytest.param({4: "memory"}, {4: "process-died"}, id="memory"),
    ],
)
async def test_a_study_that_ends_its_process_fails_alone(stack, tmp_path, fatal, codes):
    rows, in_fhir, log = await in_flight_together(stack, tmp_path, fatal)
    assert rows == {study_uid(number): code for number, code in codes.items()}
    assert in_fhir == {study_uid(number) for number in EVERYBODY if number not in fatal}
    assert log.count("poison_message") == 0
    assert await stack.rows("TransientRetryExceptionTable") == []


async def test_a_study_that_never_ends_fails_alone(stack, tmp_path):
    """It blocks the event loop: nothing in that process can stop it, the host ends the worker at functionTimeout."""
    rows, in_fhir, _ = await in_flight_together(stack, tmp_path, {2: "loop"}, functionTimeout="00:01:00")
    assert rows == {study_uid(2): "too-slow"}
    assert in_fhir == {study_uid(number) for number in EVERYBODY if number != 2}
