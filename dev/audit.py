"""`python -m dev audit`: is there a known vulnerability in anything that is pinned? Asks the package registries."""

import subprocess
import sys

from dev import node
from dev.process import ROOT

PINS = ("requirements.txt", "requirements-dev.txt")


def pip_audit_arguments() -> list[str]:
    """Pins and hashes are complete: nothing is resolved, downloaded or run. A package that the registry does not answer
    for is a failure: it would be skipped, and an audit that skips everything finds nothing.
    """
    files = [part for name in PINS for part in ("-r", str(ROOT / name))]
    return ["--strict", "--require-hashes", "--disable-pip", *files]


def command() -> None:
    """Look for known vulnerabilities in the pinned packages."""
    python = subprocess.run(
        [sys.executable, "-m", "pip_audit", *pip_audit_arguments()],
        check=False,
    )
    packages = node.npm("audit")
    print(packages.stdout.strip())
    sys.exit(1 if python.returncode or packages.returncode else 0)
