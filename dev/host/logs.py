"""Log records as the worker prints them: INFO and above to stderr, one line each, exceptions folded into it."""

import logging
import time


class OneLine(logging.Formatter):
    """A record never spans lines, so that `grep` finds the whole of it."""

    converter = time.gmtime  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return " | ".join(super().format(record).splitlines())


def configure() -> None:
    """Set up the root logger; what an app's own set-up changes afterwards stays."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # the Azure clients of the host itself would write two records for every empty poll
    for name in ("azure", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
