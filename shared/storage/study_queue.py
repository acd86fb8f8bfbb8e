"""The queue of StudyChange messages: send now, or later."""

import math

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from shared.model import StudyChange
from shared.storage.table import storage_error

NEVER = -1
# Queue service: a message may be hidden for at most seven days
MAX_DELAY_S = 7 * 24 * 3600


class StudyQueue:
    """Messages do not expire; the queue is created when it is first found missing."""

    def __init__(self, client: QueueClient) -> None:
        self._client = client

    async def send(self, change: StudyChange, delay_s: float = 0) -> None:
        """Enqueue a change; it becomes visible after the delay."""
        delay = min(math.ceil(delay_s), MAX_DELAY_S)
        try:
            await self._client.send_message(change.to_json(), visibility_timeout=delay, time_to_live=NEVER)
        except ResourceNotFoundError:
            await self.create()
            await self.send(change, delay_s)
        except AzureError as error:
            raise storage_error(f"queue {self._client.queue_name}", error) from None

    async def create(self) -> None:
        """Create the queue; nothing happens when it is there."""
        try:
            await self._client.create_queue()
        except ResourceExistsError:
            return
        except AzureError as error:
            raise storage_error(f"queue {self._client.queue_name}", error) from None

    async def depth(self) -> int:
        """How many messages there are, hidden ones included, approximately."""
        try:
            return int((await self._client.get_queue_properties()).approximate_message_count or 0)
        except ResourceNotFoundError:
            return 0
        except AzureError as error:
            raise storage_error(f"queue {self._client.queue_name}", error) from None


ENCODE_POLICY = TextBase64EncodePolicy
