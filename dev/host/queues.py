"""The listener of one queue trigger: fetch in batches, keep the agreed number running, back off when idle."""

import asyncio
import logging
import random

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage as StoredMessage

from dev.host.messages import MessageRunner

log = logging.getLogger("host")

MIN_POLLING_INTERVAL_S = 0.1
_JITTER = 0.2


class Backoff:
    """100 ms after a hit, then doubling with jitter up to maxPollingInterval."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._delay_s = MIN_POLLING_INTERVAL_S

    def after(self, *, found: bool) -> float:
        if found:
            self._delay_s = MIN_POLLING_INTERVAL_S
        else:
            grown = self._delay_s * 2 * random.uniform(1 - _JITTER, 1 + _JITTER)
            self._delay_s = min(grown, self._longest_s)
        return self._delay_s


class QueueListener:
    """Takes messages of one queue until told to stop."""

    def __init__(self, runner: MessageRunner) -> None:
        self._runner = runner
        self._running: set[asyncio.Task[None]] = set()
        self._is_down = False

    async def run(self, stop: asyncio.Event) -> None:
        """Listen; when told to stop, take nothing new and return once what was taken is settled."""
        stopping = asyncio.create_task(stop.wait())
        backoff = Backoff(self._runner.options.max_polling_interval_s)
        while not stop.is_set():
            messages = await self._receive()
            for message in messages:
                task = asyncio.create_task(self._runner.process(message))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            # at most newBatchThreshold may still run when batchSize more are fetched
            while len(self._running) > self._runner.options.new_batch_threshold and not stop.is_set():
                await asyncio.wait({*self._running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({stopping}, timeout=backoff.after(found=bool(messages)))
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _receive(self) -> list[StoredMessage]:
        try:
            pages = self._runner.queue.receive_messages(
                messages_per_page=self._runner.options.batch_size,
                visibility_timeout=self._runner.crash_visibility_s,
            ).by_page()
            messages = [message async for message in await anext(pages)]
        except StopAsyncIteration:
            messages = []
        except ResourceNotFoundError:
            # as on Azure: the app creates its queue, the host waits for it
            messages = []
        except AzureError as error:
            self._say_down(error)
            return []
        if self._is_down:
            log.warning("queue %s answers again", self._runner.queue_name)
            self._is_down = False
        return messages

    def _say_down(self, error: AzureError) -> None:
        if not self._is_down:
            log.warning("queue %s does not answer, waiting for it: %s", self._runner.queue_name, type(error).__name__)
        self._is_down = True
