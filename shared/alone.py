"""`python -m shared.alone`: run messages in this process, for the worker process that started it (`shared.child`).

Lines of JSON on stdout: that it is set up, that it is ready, and of each message that it begins, its log events and its
result. On stdin comes the path to import from, then a message when there is one.
"""

import contextlib
import ctypes
import json
import logging
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TextIO

from shared.errors import Raised, place_of

PR_SET_PDEATHSIG = 1  # prctl(2), Linux
OOM_SCORE = Path("/proc/self/oom_score_adj")


def main() -> None:
    """Run the messages; exit code 0 however that went."""
    out, sys.stdout = sys.stdout, sys.stderr
    _end_with_parent()
    with contextlib.suppress(OSError):  # where memory gets short, this process ends and not the worker
        OOM_SCORE.write_text("1000")
    _say(out, set_up=True)
    path = json.loads(sys.stdin.readline() or "null")
    if path is None:
        return
    sys.path[:] = path  # as the worker's, whose packages lie in folders of the host
    import asyncio  # noqa: PLC0415 - after the path is known

    asyncio.run(_serve(out))


async def _serve(out: TextIO) -> None:
    import asyncio  # noqa: PLC0415

    from shared.config import Settings  # noqa: PLC0415
    from shared.errors import SyncError  # noqa: PLC0415
    from shared.settings.hosting import StorageAccount  # noqa: PLC0415
    from shared.telemetry import LOGGER, quiet_libraries  # noqa: PLC0415
    from shared.wiring import build  # noqa: PLC0415

    quiet_libraries()
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    LOGGER.addHandler(Forward(out))
    try:
        app = build(Settings.load(), StorageAccount.load(), starts_processes=False)
    except SyncError as error:
        _say(out, refused=f"{error.code}: {error}")
        return
    try:
        _say(out, ready=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            _say(out, begins=True)
            _say(out, **await _result(app.runner.run(json.loads(line))))
    finally:
        await app.close()


async def _result(run: Awaitable[Any]) -> dict[str, Any]:
    try:
        return dict((await run)._asdict())
    except MemoryError:
        return {"memory": True}
    except Exception as error:  # noqa: BLE001 - raised again by the worker
        return {"raised": str(error) if isinstance(error, Raised) else place_of(error)}


class Forward(logging.Handler):
    """Events as lines; nothing else that is logged here leaves this process."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        """One event: its name, level and fields."""
        name = getattr(record, "event", None)
        if name is None:
            return
        said = vars(record).items()
        fields = {key.removeprefix("field_"): value for key, value in said if key.startswith("field_")}
        _say(self._out, event=name, level=record.levelno, fields=fields)


def _say(out: TextIO, **fields: object) -> None:
    print(json.dumps(fields, default=str), file=out, flush=True)


def _end_with_parent() -> None:
    """Have the kernel end this process when the worker ends, however that goes and whatever this one is doing."""
    with contextlib.suppress(OSError, AttributeError):  # elsewhere than on Linux it ends when its stdin does
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main()
