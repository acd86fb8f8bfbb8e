"""From what the host sends to what a function is called with, and from what it returns to what the host answers."""

import json
from typing import Any

import azure.functions as func
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest

from dev.host.frames import Answer

# properties of a message that is a JSON object, in small letters -> what they take the place of
_BINDING_DATA = {"id": "id", "dequeuecount": "dequeue_count", "popreceipt": "pop_receipt"}


def build(kind: str, given: dict[str, Any]) -> Any:
    """The argument of a function of this kind of trigger."""
    if kind == "timer":
        return TimerRequest(**given)
    if kind == "queue":
        return QueueMessage(**given | _said_by(given["body"]))  # type: ignore[no-untyped-call]
    return func.HttpRequest(**given)


def _said_by(body: bytes) -> dict[str, Any]:
    """Microsoft's host keeps what it knows of a message and the message's own properties under the same names."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {_BINDING_DATA[name.lower()]: value for name, value in content.items() if name.lower() in _BINDING_DATA}


def answer(result: object) -> Answer:
    """Raises TypeError for a function that returned nothing: its request has no answer."""
    if result is None:
        raise TypeError("an HTTP function must return something")
    if not isinstance(result, func.HttpResponse):
        return Answer(body=str(result).encode(), headers=[("content-type", "text/plain; charset=utf-8")])
    headers = list(result.headers.items())
    if "content-type" not in {name.lower() for name, _ in headers}:
        charset = f"; charset={result.charset}" if result.mimetype.startswith("text/") else ""
        headers.append(("content-type", result.mimetype + charset))
    return Answer(result.status_code, result.get_body(), headers)
