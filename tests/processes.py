"""Processes of the machine, as /proc tells them (Linux)."""

import time
from pathlib import Path


def children(pid):
    """The processes that this one started and that are still there."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


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
