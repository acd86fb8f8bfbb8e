"""What `/api/health` says on the parts of the local stack."""

from datetime import UTC, datetime, timedelta

from azure.storage.queue.aio import QueueServiceClient

from shared.health import Health
from shared.worker import Worker
from tests.builders import make_instance


def checks_of(stack):
    async def checks():
        return stack.app.checks

    return checks


async def test_health_sees_by_the_checkpoint_that_nobody_polls(stack):
    """An idle archive: each poll finds nothing, and only some of them write the checkpoint's date."""
    start = polled = datetime.now(UTC)
    stack.app.poller._now = lambda: polled
    dates = []
    for minutes in range(0, 13, 2):
        polled = start + timedelta(minutes=minutes)
        await stack.poll()
        dates.append((await stack.app.checkpoints.get()).saved_at)
    assert dates == [start, start, start, *[start + timedelta(minutes=6)] * 3, start + timedelta(minutes=12)]
    for minutes, problems in ((20, []), (26, ["not-polling"])):
        health = Health(checks_of(stack), "0 * * * * *", lambda now=start + timedelta(minutes=minutes): now)
        assert [problem.split(":")[0] for problem in (await health.answer())["problems"]] == problems


async def test_health_says_that_messages_are_hidden(stack):
    await stack.store(make_instance())
    await stack.poll()
    health = Health(checks_of(stack), "0 * * * * *")
    assert "notes" not in await health.answer()
    async for _ in stack.queue.receive_messages(visibility_timeout=600):  # as a host that is killed leaves it
        pass
    answer = await Health(checks_of(stack), "0 * * * * *").answer()
    assert (answer["status"], answer["queue"], len(answer["notes"])) == ("healthy", 1, 1)


async def test_the_first_poll_makes_both_queues(stack):
    worker = Worker()
    await worker.poll()
    await (await worker.app()).close()
    async with QueueServiceClient.from_connection_string(stack.azurite["connection_string"]) as service:
        names = [one.name async for one in service.list_queues(name_starts_with=stack.name)]
    assert names == [stack.name, f"{stack.name}-poison"]
