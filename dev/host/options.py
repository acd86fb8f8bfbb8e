"""host.json as values: only the keys this stand-in honours, with the defaults of the real host.

A key can be overridden by an app setting, as in Azure: `AzureFunctionsJobHost__extensions__queues__batchSize`.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.host.errors import StartError
from dev.host.logs import Levels
from dev.host.settings import read_json, time_span_s

_OVERRIDE = "AzureFunctionsJobHost__"
_MAX_BATCH_SIZE = 32  # messages in one Get Messages request


@dataclass(frozen=True)
class QueueOptions:
    """`extensions.queues`."""

    batch_size: int
    new_batch_threshold: int
    visibility_timeout_s: float
    max_dequeue_count: int
    max_polling_interval_s: float
    base64: bool


@dataclass(frozen=True)
class HostOptions:
    """host.json."""

    queues: QueueOptions
    route_prefix: str
    function_timeout_s: float | None
    levels: Levels


class _Tree:
    """A JSON tree whose keys may be overridden from the environment."""

    def __init__(self, content: dict[str, Any], path: str = "") -> None:
        self._content = content
        self._path = path
        self._overrides = {
            name.lower(): value for name, value in os.environ.items() if name.lower().startswith(_OVERRIDE.lower())
        }

    def section(self, name: str) -> "_Tree":
        return _Tree(self._content.get(name) or {}, f"{self._path}{name}__")

    def get(self, name: str, default: Any) -> Any:
        override = self._overrides.get(f"{_OVERRIDE}{self._path}{name}".lower())
        return override if override is not None else self._content.get(name, default)

    def integer(self, name: str, default: int, low: int, high: int = 1_000_000) -> int:
        value = self.get(name, default)
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = low - 1
        if not low <= number <= high:
            raise StartError(f"host.json: {self._name(name)} is {value!r}; it must be a number from {low} to {high}")
        return number

    def seconds(self, name: str, default: str) -> float:
        value = self.get(name, default)
        seconds = time_span_s(str(value))
        if seconds is None:
            raise StartError(f"host.json: {self._name(name)} is {value!r}; it must be a time such as 00:00:30")
        return seconds

    def _name(self, name: str) -> str:
        return f"{self._path}{name}".replace("__", ".")


def read_options(folder: Path) -> HostOptions:
    """Read host.json of an app folder; raise StartError for a value that the real host would refuse as well."""
    path = folder / "host.json"
    if not path.exists():
        raise StartError(f"{folder} holds no host.json: it is not the folder of a Functions app")
    content = read_json(path)
    if content.get("version") != "2.0":
        raise StartError(f'{path} must say "version": "2.0"')
    tree = _Tree(content)
    timeout = str(tree.get("functionTimeout", "00:30:00"))
    return HostOptions(
        queues=_queue_options(tree.section("extensions").section("queues")),
        route_prefix=str(tree.section("extensions").section("http").get("routePrefix", "api")).strip("/"),
        function_timeout_s=None if timeout == "-1" else tree.seconds("functionTimeout", "00:30:00"),
        levels=Levels((content.get("logging") or {}).get("logLevel") or {}),
    )


def _queue_options(queues: _Tree) -> QueueOptions:
    batch_size = queues.integer("batchSize", 16, 1, _MAX_BATCH_SIZE)
    encoding = str(queues.get("messageEncoding", "base64")).lower()
    if encoding not in {"base64", "none"}:
        raise StartError(f"host.json: extensions.queues.messageEncoding is {encoding!r}; it must be base64 or none")
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=queues.integer("newBatchThreshold", batch_size // 2, 0),
        visibility_timeout_s=queues.seconds("visibilityTimeout", "00:00:00"),
        max_dequeue_count=queues.integer("maxDequeueCount", 5, 1),
        # the real default is a minute, and two seconds when it runs on a developer's machine
        max_polling_interval_s=max(0.1, queues.seconds("maxPollingInterval", "00:00:02")),
        base64=encoding == "base64",
    )
