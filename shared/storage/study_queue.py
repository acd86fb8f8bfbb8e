"""The queue of StudyChange messages: send now, or later."""

import math
from datetime import datetime

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from shared.errors import Unavailable, VersionConflict
from shared.model import StudyChange
from shared.storage.calls import called

NEVER = -1
# Queue service: a message may be hidden for at most seven days
MAX_DELAY_S = 7 * 24 * 3600


class StudyQueue:
    """Messages do not expire; the queue is created when it is first found missing."""

    def __init__(self, client: QueueClient) -> None:
        self._client = client
        self._what = f"queue {client.queue_name}"

    async def send(self, change: StudyChange, delay_s: float = 0) -> None:
        """Enqueue a change, twice at worst; it becomes visible after the delay."""
        delay, text = min(math.ceil(delay_s), MAX_DELAY_S), change.to_json()

        async def send() -> None:
            await self._client.send_message(text, visibility_timeout=delay, time_to_live=NEVER)

        try:
            return await called(self._what, send)
        except ResourceNotFoundError:
            await self.create()
        try:
            return await called(self._what, send)
        except ResourceNotFoundError:  # one that is being deleted cannot be created for a minute
            raise Unavailable(f"{self._what} is missing and cannot be created yet") from None

    async def create(self) -> None:
        """Create the queue; nothing happens when it is there."""
        try:
            await called(self._what, self._client.create_queue)
        except (VersionConflict, ResourceNotFoundError):  # there, or being deleted: the next request to it tells
            return

    async def ensure(self) -> None:
        """Create the queue if it is missing; asks first, since the app may be allowed to use it and no more."""
        try:
            await called(self._what, self._client.get_queue_properties)
        except ResourceNotFoundError:
            await self.create()

    async def depth(self) -> int:
        """How many messages there are, hidden ones included, approximately."""

        async def count() -> int:
            number = (await self._client.get_queue_properties()).approximate_message_count
            if number is None:
                raise Unavailable(f"{self._what} answered without the number of its messages")
            return number

        try:
            return await called(self._what, count)
        except ResourceNotFoundError:
            return 0

    async def waiting_since(self) -> datetime | None:
        """When the oldest message that can be taken now was sent; None where there is none."""

        async def peek() -> datetime | None:
            return next((message.inserted_on for message in await self._client.peek_messages(1)), None)

        try:
            return await called(self._what, peek)
        except ResourceNotFoundError:
            return None


ENCODE_POLICY = TextBase64EncodePolicy
