"""`python -m dev audit`: is there a known vulnerability in anything that is pinned? Asks the package registries."""

import subprocess
import sys

from dev import node
from dev.process import ROOT

PINS = ("requirements.txt", "requirements-dev.txt")


def command() -> None:
    """Look for known vulnerabilities in the pinned packages."""
    files = [part for name in PINS for part in ("-r", str(ROOT / name))]
    python = subprocess.run(
        # pins and hashes are complete: nothing is resolved, downloaded or run
        [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", *files],
        check=False,
    )
    packages = node.npm("audit")
    print(packages.stdout.strip())
    sys.exit(1 if python.returncode or packages.returncode else 0)
