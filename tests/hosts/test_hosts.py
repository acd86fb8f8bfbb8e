"""Whole hosts as processes: several on one queue, and one that is killed without warning."""

import asyncio
import base64
import collections
import random

import pytest

from dev.process import Part
from tests.app_folder import write_app
from tests.builders import make_instance, make_series

ROUNDS_OF_KILLS = 5
# what is under way is waited for; the servers here answer within milliseconds, not minutes
CHANGES = """
from shared.sync import writers
writers.SETTLED_AFTER_S = 3
"""


@pytest.fixture
def app_folder(tmp_path):
    return write_app(tmp_path / "app", CHANGES)


def host(stack, app_folder, name, **settings):
    """A host of this stack's settings; a crash hides its messages for two seconds instead of Azure's ten minutes."""
    env = settings | {
        "AzureWebJobsStorage": stack.azurite["connection_string"],
        "DicomWeb__Endpoint": stack.dicom,
        "Fhir__Endpoint": stack.fhir,
        "TableStore__TableNamePrefix": stack.name,
        "STUDY_QUEUE_NAME": stack.name,
        "SYNC_SCHEDULE": "*/1 * * * * *",
        "FUNCTIONS_WORKER_RUNTIME": "python",
    }
    args = (stack.host_command, "--app", str(app_folder), "--port", "0")
    if stack.host_command == "host":
        args += ("--crash-visibility-s", "2")
    return Part(args, env=env, log=app_folder.parent / f"{name}.log")


async def test_two_hosts_make_no_twins(stack, app_folder, fresh_projection):
    """50 studies of 10 new patients on one new equipment, all at once."""
    equipment = {"Manufacturer": "ACME", "DeviceSerialNumber": "SN1"}
    hosts = [host(stack, app_folder, name) for name in ("one", "two")]
    try:
        for study in range(1, 51):
            await stack.store(*make_series(study, 1, 2, PatientID=f"MRN-{study % 10}", **equipment))
        await stack.until_in_step()
    finally:
        for one in hosts:
            one.stop()
    counts = collections.Counter(one["resourceType"] for one in await stack.resources())
    assert counts == {"ImagingStudy": 50, "Patient": 10, "Endpoint": 1, "Device": 1}
    assert await stack.content() == await fresh_projection()


@pytest.mark.not_on("func", "the messages of a killed host stay hidden for ten minutes, as in Azure")
@pytest.mark.timeout(600)
async def test_a_host_that_is_killed_leaves_nothing_undone(stack, app_folder, fresh_projection):
    """kill -9 at random moments of a load; the next host goes on."""
    choose = random.Random(7)
    for kill in range(ROUNDS_OF_KILLS):
        one = host(stack, app_folder, "killed")
        for number in range(4):
            study = kill * 4 + number + 1
            await stack.store(*(make_instance(study, 1, instance) for instance in range(1, choose.randint(2, 12))))
        await asyncio.sleep(choose.uniform(0.1, 2.0))
        one.kill()
    last = host(stack, app_folder, "last")
    try:
        await stack.until_in_step()
    finally:
        last.stop()
    assert await stack.content() == await fresh_projection()


# bytes that are not UTF-8 reach no function, see tests/contract/test_host_running.py
GARBAGE = (b"hello", b"", b'{"study": "1.2/../3", "partition": "p", "poll": 1}', b"[" * 9_000)


async def test_messages_that_are_none_end_as_records_and_stop_nobody(stack, app_folder):
    # to Microsoft's host, bytes that are not UTF-8 are for no function; they stay in the poison queue
    bodies = [body for body in GARBAGE if stack.host_command == "host" or body.isascii()]
    await stack.app.queue.create()
    for body in bodies:
        await stack.queue.send_message(base64.b64encode(body).decode())
    await stack.store(make_instance(1))
    at_once = {"AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:00"}
    one = host(stack, app_folder, "one", **at_once)
    try:
        await stack.until_in_step()
        async with asyncio.timeout(60):
            while len(await stack.rows("FhirFailToStoreExceptionTable")) < len(bodies):
                await asyncio.sleep(0.2)
            while await stack.app.poison_queue.depth():
                await asyncio.sleep(0.2)
    finally:
        one.stop()
    rows = await stack.rows("FhirFailToStoreExceptionTable")
    assert {row["Exception"].partition(":")[0] for row in rows} == {"malformed-message"}
    assert len(rows) == len(bodies)
    await stack.one("ImagingStudy")
