"""A signal at the worst moment: while Popen's own lock is held."""

import subprocess
import sys

from dev.process import ROOT
from tests.processes import wait_until_gone

COMMAND = """
import os, signal, subprocess, sys, threading
from dev.process import ended, stopped_at_end

class Lock:
    def __init__(self):
        self._lock = threading.Lock()
        self._signals = 1
    def acquire(self, *arguments):
        taken = self._lock.acquire(*arguments)
        if self._signals:
            self._signals -= 1
            os.kill(os.getpid(), signal.SIGTERM)
        return taken
    __enter__ = acquire
    def __exit__(self, *_):
        self._lock.release()
    release = __exit__

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
child._waitpid_lock = Lock()
print(child.pid, flush=True)
with stopped_at_end(child):
    ended(child)
"""


def test_a_signal_in_the_worst_moment_stops_a_part_and_its_child():
    done = subprocess.run(
        [sys.executable, "-c", COMMAND], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    wait_until_gone([int(done.stdout)], seconds=0)
