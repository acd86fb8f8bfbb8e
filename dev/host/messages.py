"""One queue message from receipt to its end: run, then delete, show again later or move to the poison queue."""

import asyncio
import base64
import binascii
import contextlib
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage as StoredMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from dev.host.errors import BindingError
from dev.host.index import Function
from dev.host.options import QueueOptions
from dev.host.worker import FunctionFailed, Worker, WorkerDied

log = logging.getLogger("host")

POISON_SUFFIX = "-poison"
_COMPLETION_ATTEMPTS = 3
_QUEUE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


def queue_message(stored: StoredMessage, body: bytes) -> dict[str, Any]:
    """What a queue function is called with."""
    return {
        "id": stored.id,
        "body": body,
        "dequeue_count": stored.dequeue_count,
        "insertion_time": stored.inserted_on,
        "expiration_time": stored.expires_on,
        "time_next_visible": stored.next_visible_on,
        "pop_receipt": stored.pop_receipt,
    }


def decode(content: str, options: QueueOptions) -> bytes | None:
    """The bytes of a message, or None when it is not encoded as host.json says."""
    if not options.base64:
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None


class MessageRunner:
    """Runs one function for the messages of one queue."""

    def __init__(
        self,
        function: Function,
        service: QueueServiceClient,
        options: QueueOptions,
        worker: Worker,
        crash_visibility_s: int,
    ) -> None:
        self.queue_name = _checked(str(function.trigger["queueName"]).lower())
        self.queue: QueueClient = service.get_queue_client(self.queue_name)
        self.options = options
        self.crash_visibility_s = crash_visibility_s
        self._function = function
        self._worker = worker
        # messages that fail in a poison queue have nowhere to go: they stay hidden until their lease ends
        is_poison = self.queue_name.endswith(POISON_SUFFIX)
        self._poison = None if is_poison else service.get_queue_client(self.queue_name + POISON_SUFFIX)

    async def process(self, message: StoredMessage) -> None:
        """Run the function once for the message and settle the message; raises nothing."""
        body = decode(message.content, self.options)
        # a count above the limit means that a host died with the message on its last attempt
        if body is None or (message.dequeue_count or 0) > self.options.max_dequeue_count:
            log.error("%s MessageId=%s, queue %s", _why(body), message.id, self.queue_name)
            await self._settle(message, succeeded=False, give_up=True)
            return
        succeeded = True
        async with self._leased(message):
            try:
                body.decode()  # the host hands bodies on as text
                reason = f"message {message.id}, attempt {message.dequeue_count}"
                await self._worker.run(self._function, queue_message(message, body), reason)
            except UnicodeDecodeError:
                log.error("Exception binding parameter: message %s is not UTF-8", message.id)  # noqa: TRY400
                succeeded = False
            except (FunctionFailed, WorkerDied, TimeoutError):
                succeeded = False
        give_up = not succeeded and (message.dequeue_count or 0) >= self.options.max_dequeue_count
        await self._settle(message, succeeded=succeeded, give_up=give_up)

    @contextlib.asynccontextmanager
    async def _leased(self, message: StoredMessage) -> AsyncIterator[None]:
        """Keep the message hidden while its function runs; only a crash lets the lease end."""
        updating = asyncio.Lock()

        async def renew() -> None:
            while True:
                await asyncio.sleep(self.crash_visibility_s / 2)
                async with updating:
                    await self._renew(message)

        renewal = asyncio.create_task(renew())
        try:
            yield
        finally:
            # never between the request and its answer: the new pop receipt would be lost
            async with updating:
                renewal.cancel()

    async def _renew(self, message: StoredMessage) -> None:
        try:
            renewed = await self.queue.update_message(message, visibility_timeout=self.crash_visibility_s)
            message.pop_receipt = renewed.pop_receipt
        except AzureError as error:
            log.warning("lease of message %s was not renewed: %s", message.id, type(error).__name__)

    async def _settle(self, message: StoredMessage, *, succeeded: bool, give_up: bool) -> None:
        for attempt in range(1, _COMPLETION_ATTEMPTS + 1):
            try:
                if succeeded:
                    await self.queue.delete_message(message)
                elif self._poison is None:
                    log.warning("message %s stays hidden in %s", message.id, self.queue_name)
                elif give_up:
                    await self._move(message, self._poison)
                else:
                    delay_s = int(self.options.visibility_timeout_s)
                    await self.queue.update_message(message, visibility_timeout=delay_s)
            except ResourceNotFoundError:
                log.warning("message %s is no longer ours: its lease ended or somebody deleted it", message.id)
                return
            except AzureError as error:
                log.warning("message %s was not settled (attempt %d): %s", message.id, attempt, type(error).__name__)
                await asyncio.sleep(attempt)
            else:
                return

    async def _move(self, message: StoredMessage, poison: QueueClient) -> None:
        try:
            await poison.send_message(message.content)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):
                await poison.create_queue()
            await poison.send_message(message.content)
        log.error("message %s was moved to %s%s", message.id, self.queue_name, POISON_SUFFIX)
        await self.queue.delete_message(message)


def _why(body: bytes | None) -> str:
    return "Message decoding has failed!" if body is None else "A message was taken too often."


def _checked(name: str) -> str:
    if not _QUEUE_NAME.fullmatch(name) or "--" in name:
        raise BindingError(f"{name!r} is no name for a queue: 3 to 63 letters, digits and single hyphens are")
    return name
