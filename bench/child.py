"""`python -m bench.child app|cast`: one side of the comparison, in a process of its own.

A line of JSON on stdin is an order (`catch_up`, `poll`, `work`, `profile`), a line on stdout what was done and used.
The servers are those that the environment names.
"""

import asyncio
import cProfile
import json
import os
import sys
import time
from collections import Counter
from typing import Any

from dev.process import announce, exit_with_parent

BEGAN = time.perf_counter()
Order = dict[str, Any]


class Cast:
    """The re-enactment of DICOM Cast."""

    def __init__(self) -> None:
        from bench.dicom_cast.worker import DicomCast  # noqa: PLC0415 - the two sides load only what is theirs
        from bench.usage import Meter  # noqa: PLC0415

        self._cast = DicomCast(os.environ["DicomWeb__Endpoint"], os.environ["Fhir__Endpoint"])
        self._meter = Meter(None)

    async def obey(self, order: Order) -> dict[str, Any]:
        """Work the feed: all of it, or until so many entries are done, or one page. Measured until the last is done."""
        self._meter.start()
        before, most = self._cast.entries, order.get("most")
        used = None
        while self._cast.page() and order["do"] != "poll":
            used = self._meter.read()
            if most and self._cast.entries - before >= most:
                break
        return {"entries": self._cast.entries - before, **(used or self._meter.read())}

    async def close(self) -> None:
        """Close every connection."""
        self._cast.close()


class Ours:
    """The app: its poller, its queue, its runner."""

    def __init__(self) -> None:
        from azure.storage.queue import TextBase64DecodePolicy  # noqa: PLC0415
        from azure.storage.queue.aio import QueueClient  # noqa: PLC0415

        from bench.answers import Answers  # noqa: PLC0415
        from bench.usage import Meter, StorageCalls  # noqa: PLC0415
        from shared.config import Settings  # noqa: PLC0415
        from shared.settings.hosting import StorageAccount  # noqa: PLC0415
        from shared.wiring import build  # noqa: PLC0415

        settings = Settings.load()
        self._queue = QueueClient.from_connection_string(
            os.environ["AzureWebJobsStorage"],
            settings.study_queue_name,
            message_decode_policy=TextBase64DecodePolicy(),
        )
        self._meter = Meter(StorageCalls(self._queue.url), Answers())
        self._app = build(settings, StorageAccount.load())

    async def obey(self, order: Order) -> dict[str, Any]:
        """Poll and work until both are empty, or one of the two."""
        profile = cProfile.Profile() if order["do"] == "profile" else None
        await self._app.queue.create()
        self._meter.start()
        if profile:
            profile.enable()
        done = await self._done(order)
        if profile:
            profile.disable()
            profile.dump_stats(order["file"])
        return {**self._meter.read(), **done}

    async def close(self) -> None:
        """Close every connection."""
        await self._queue.close()
        await self._app.close()

    async def _done(self, order: Order) -> dict[str, Any]:
        from dev.drain import caught_up, work  # noqa: PLC0415

        if order["do"] == "poll":
            polled = await self._app.poller.poll()
            return {"entries": polled.entries, "messages": polled.messages}
        outcomes: Counter[str] = Counter()
        if order["do"] == "work":
            count = 0
            while worked := await work(self._app, self._queue, outcomes, order["concurrency"]):
                count += worked
            return {"messages": count, "outcomes": dict(outcomes)}
        polled = await self._app.poller.poll()
        count = 0
        while count < polled.messages and (worked := await work(self._app, self._queue, outcomes)):
            count += worked
        used = self._meter.read()
        # that nothing is left is asked for afterwards, and what is left counts
        rest = await caught_up(self._app, self._queue)
        if rest["messages"] or rest["outcomes"]:
            used = self._meter.read()
        return {"entries": polled.entries, "messages": polled.messages, "outcomes": dict(outcomes), **used}


async def obey(side: str) -> None:
    """Until stdin ends."""
    worker = Ours() if side == "app" else Cast()
    announce(part=side, start_s=time.perf_counter() - BEGAN)
    while line := await asyncio.to_thread(sys.stdin.readline):
        announce(**await worker.obey(json.loads(line)))
    await worker.close()


if __name__ == "__main__":
    exit_with_parent()
    asyncio.run(obey(sys.argv[1]))
