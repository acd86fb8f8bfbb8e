"""`python -m dev drain`: poll the feed and work the queue until both are empty, then print counts as JSON.

Drives the app's own poller and runner without a Functions host, against whatever the settings name.
"""

import asyncio
import contextlib
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueMessage, TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from dev.process import ROOT, announce
from shared.config import Settings
from shared.errors import SyncError
from shared.settings.hosting import StorageAccount
from shared.wiring import App, build

CONCURRENCY = 12
LEASE_S = 600
IDLE_S = 0.2


def command(
    settings: Annotated[
        Path | None, typer.Option(help="Settings that the environment lacks; local.settings.json by default.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="Give up after this many seconds.")] = 600.0,
) -> None:
    """Poll and work the queue until both are empty; print counts as JSON."""
    from dev.host.settings import load_local_settings  # noqa: PLC0415 - the one reader of local.settings.json

    load_local_settings(ROOT, settings)
    try:
        announce(part="drain", **asyncio.run(drain(timeout_s)))
    except SyncError as error:
        sys.exit(f"drain: {error}")
    except TimeoutError:
        sys.exit(f"drain: the queue is not empty after {timeout_s:.0f} s")


async def drain(timeout_s: float = 600.0) -> dict[str, object]:
    """Counts of entries, messages and outcomes; TimeoutError when the queue does not become empty."""
    loaded, account = Settings.load(), StorageAccount.load()
    if account.connection_string is None:
        raise typer.BadParameter("drain needs AzureWebJobsStorage as a connection string")
    queue = QueueClient.from_connection_string(
        account.connection_string.get_secret_value(),
        loaded.study_queue_name,
        message_decode_policy=TextBase64DecodePolicy(),
    )
    app = build(loaded, account)
    try:
        async with queue, asyncio.timeout(timeout_s):
            return await caught_up(app, queue)
    finally:
        await app.close()


async def caught_up(app: App, queue: QueueClient) -> dict[str, object]:
    """Poll and work until feed and queue are empty."""
    started = time.monotonic()
    outcomes: Counter[str] = Counter()
    entries = messages = 0
    await app.queue.create()
    while True:
        polled = await app.poller.poll()
        entries, messages = entries + polled.entries, messages + polled.messages
        worked = await work(app, queue, outcomes)
        if not worked and not polled.entries and polled.sequence >= polled.latest and not await app.queue.depth():
            break
        if not worked:
            await asyncio.sleep(IDLE_S)
    seconds = round(time.monotonic() - started, 2)
    return {
        "entries": entries,
        "messages": messages,
        "outcomes": {name: number for name, number in outcomes.items() if number},
        "seconds": seconds,
    }


async def work(app: App, queue: QueueClient, outcomes: Counter[str], concurrency: int = CONCURRENCY) -> int:
    """Run what is visible now, so many messages at once; how many there were. Leaves to others what it cannot run."""
    running: set[asyncio.Task[None]] = set()
    count = 0

    async def run(message: QueueMessage) -> None:
        result = await app.runner.run(message.content)
        outcomes[str(result.outcome)] += 1
        outcomes["instances kept out"] += result.failed
        outcomes["values left out"] += result.findings
        with contextlib.suppress(ResourceNotFoundError):  # the SDK asked again, and the first request had deleted it
            await queue.delete_message(message)

    async for message in queue.receive_messages(messages_per_page=concurrency, visibility_timeout=LEASE_S):
        count += 1
        running.add(asyncio.create_task(run(message)))
        if len(running) >= concurrency:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    await asyncio.gather(*running)
    return count
