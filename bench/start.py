"""What a cold start costs before anything is done: importing the app in a fresh interpreter."""

import subprocess
import sys

from dev.process import ROOT

RUNS = 5
IMPORT = "import time; t = time.perf_counter(); import function_app; print(time.perf_counter() - t)"


def import_s() -> float:
    """Seconds of the fastest of several imports of function_app."""
    command = [sys.executable, "-c", IMPORT]
    return min(float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout) for _ in range(RUNS))
