"""Log records as this stand-in prints them: one line each to stderr, exceptions folded into it.

Microsoft's host names categories: `Function.<name>` for what it says of a function, `Function.<name>.User` for what the
function says, whatever the name of the logger. Levels in host.json count for the categories they begin.
"""

import json
import logging
import time
from contextvars import ContextVar
from dataclasses import dataclass

# the function that runs in this context, in the worker process
running: ContextVar[str] = ContextVar("running", default="")

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}


@dataclass(frozen=True)
class Levels:
    """`logging.logLevel` of host.json: categories and the level from which each is told."""

    by_category: dict[str, str]

    def level(self, category: str) -> int:
        named = {name.lower(): level for name, level in self.by_category.items()}
        parts = category.lower().split(".")
        beginnings = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        found = next((named[each] for each in beginnings if each in named), named.get("default", "information"))
        return _LEVELS.get(found.lower(), logging.INFO)

    def text(self) -> str:
        return json.dumps(self.by_category)


class OneLine(logging.Formatter):
    """A record never spans lines, so that `grep` finds the whole of it."""

    converter = time.gmtime  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return " | ".join(super().format(record).splitlines())


def configure(levels: Levels, *, in_worker: bool = False) -> None:
    """Set up the root logger; what an app's own set-up changes afterwards stays."""

    def is_told(record: logging.LogRecord) -> bool:
        function = getattr(record, "function", "")
        category = f"Function.{function}" if function else f"Function.{running.get()}.User"
        return record.levelno >= levels.level(category if function or running.get() else "Host")

    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    handler.addFilter(is_told)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    if not in_worker:
        # the Azure clients of the host itself would write two records for every empty poll
        for name in ("azure", "uvicorn"):
            logging.getLogger(name).setLevel(logging.WARNING)
