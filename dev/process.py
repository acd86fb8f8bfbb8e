"""Start and stop parts of the stack as child processes that never outlive their parent."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEV = (sys.executable, "-m", "dev")
STOP_TIMEOUT_S = 10.0


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def claim_port(port: int, name: str) -> int:
    """The port to use, a free one for 0; ends the command with a sentence when it is taken."""
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(f"{name} {port} cannot be used: {error.strerror}")
    return port


def announce(**fields: Any) -> None:
    """Print the one JSON line that says a part is ready and where it listens."""
    print(json.dumps(fields), flush=True)


def wait_for_port(port: int, timeout_s: float, process: "subprocess.Popen[Any] | None" = None) -> None:
    """Return when something accepts connections; raise TimeoutError, or RuntimeError when the process ended."""
    deadline = time.monotonic() + timeout_s
    while True:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the process ended with status {process.returncode} before it was ready")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on port {port} after {timeout_s:.0f} s")
        time.sleep(0.05)


def terminate_on_sigterm() -> None:
    """Make SIGTERM end the process through SystemExit, so that `finally` blocks stop the children."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _waiting_for(child: "subprocess.Popen[bytes]") -> threading.Thread:
    """A thread that ends when the child does.

    Signals end a command by raising in its main thread. Raised inside Popen.poll or wait they can leave Popen's lock
    taken, and every later wait would be endless; so the main thread does not call them while signals may come.
    """
    waiting = threading.Thread(target=child.wait, daemon=True)
    waiting.start()
    return waiting


class Part:
    """One `python -m dev …` command as a child process; `urls` is the JSON line it printed."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        env: dict[str, str] | None = None,
        log: Path | None = None,
        timeout_s: float = 300.0,
        cwd: Path = ROOT,
        dev: Sequence[str] = DEV,
    ) -> None:
        self._log = log.open("ab") if log else None
        self.process = subprocess.Popen(
            [*dev, *args],
            cwd=cwd,
            env={**os.environ, **(env or {}), "DEV_PARENT_PID": str(os.getpid())},
            stdout=subprocess.PIPE,
            stderr=self._log or None,
            start_new_session=True,
        )
        self._waiting = _waiting_for(self.process)
        self._drainer = threading.Thread(target=self._drain, daemon=True)
        try:
            self.urls: dict[str, Any] = self._ready_line(args, timeout_s)
        finally:
            # keep the pipe drained, or a chatty child blocks
            self._drainer.start()

    def _ready_line(self, args: Sequence[str], timeout_s: float) -> dict[str, Any]:
        watchdog = threading.Timer(timeout_s, self.kill)
        watchdog.start()
        try:
            assert self.process.stdout is not None
            for line in self.process.stdout:
                if line.startswith(b"{"):
                    ready: dict[str, Any] = json.loads(line)
                    return ready
        finally:
            watchdog.cancel()
        self._waiting.join()
        raise RuntimeError(f"`python -m dev {args[0]}` ended before it was ready (status {self.process.returncode})")

    def _drain(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines, self._log or contextlib.nullcontext():
            for line in lines:
                if self._log:
                    self._log.write(line)
                    self._log.flush()

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return not self._waiting.is_alive()

    def signal(self, number: int) -> None:
        """Send a signal to the part's whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """kill -9 the part and everything it started."""
        self.signal(signal.SIGKILL)
        self._waiting.join()
        if self._drainer.is_alive():
            self._drainer.join()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for what is left."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        self._waiting.join(STOP_TIMEOUT_S)
        self.kill()


def exit_with_parent() -> None:
    """End this process when the one that started it is gone, however it went."""
    parent = os.environ.get("DEV_PARENT_PID")
    if not parent:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def ended(child: "subprocess.Popen[bytes]") -> int:
    """Wait for a child and return its status.

    In short steps: a SIGTERM that comes in the moment before an endless wait would only be noticed after it.
    """
    waiting = _waiting_for(child)
    while waiting.is_alive():
        waiting.join(0.2)
    return child.returncode


@contextlib.contextmanager
def stopped_at_end(child: "subprocess.Popen[bytes]", timeout_s: float = STOP_TIMEOUT_S - 2) -> Iterator[None]:
    """Run a block beside a child; leave no child behind, however the block ends.

    timeout_s: how long the child may take to end after a SIGTERM, before it is killed.
    """
    terminate_on_sigterm()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    exit_with_parent()
    try:
        yield
    finally:
        # a second signal must not interrupt the stopping
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        child.terminate()
        try:
            child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def running(*args: str, **options: Any) -> Iterator[Part]:
    """A part for the length of a `with` block."""
    part = Part(args, **options)
    try:
        yield part
    finally:
        part.stop()
