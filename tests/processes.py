"""Processes of the machine, as /proc tells them (Linux)."""

import time
from pathlib import Path


def children(pid):
    """The processes that this one started and that are still there."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def below(pid):
    """The processes that this one started, and those that they started."""
    return [each for child in children(pid) for each in (child, *below(child))]


def is_worker(pid):
    """Whether this is the process in which Microsoft's host runs the functions."""
    try:
        return b"worker.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:  # gone before it was opened, or between that and reading
        return False


def wait_until_gone(pids, seconds=10):
    """Fail unless all of them end in time; a zombie counts as gone."""
    deadline = time.monotonic() + seconds
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in pids if _alive(pid)] == []
