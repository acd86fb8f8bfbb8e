"""Find and run Microsoft's own programs: Functions host, DICOM service, FHIR server, DICOM Cast, Bicep compiler.

A program is looked for on PATH, where a user has it from Microsoft, then in the folder `shared/dotnet` beside this
project, whose `install` unpacks all of them. They are unpacked once into `.stack/dotnet`.
"""

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from dev.process import ROOT, claim_port, stopped_at_end

PROGRAMS = ("func", "dicom-server", "fhir-server", "dicom-cast", "dicom-json", "bicep")
SERVED = ("func", "dicom-server", "fhir-server")
INSTALL = ROOT.parent / "shared" / "dotnet" / "install"
UNPACKED = ROOT / ".stack" / "dotnet"
START_TIMEOUT_S = 280.0  # a busy machine takes minutes for what else takes seconds
STOP_TIMEOUT_S = 8.0
# waits until its input ends and kills the process group that it was given
LAST_ONE = 'read -r _; kill -s KILL -- "-$0"'


def program(name: str) -> Path | None:
    """The path of one of PROGRAMS, unpacked where that is needed; None where this machine does not have it."""
    if name not in PROGRAMS:
        raise ValueError(f"not one of {', '.join(PROGRAMS)}")
    if found := shutil.which(name):
        return Path(found)
    if (ready := INSTALL.with_name(name)).is_file():  # one file that runs as it is
        return ready
    return _unpacked() / "bin" / name if INSTALL.is_file() else None


def missing(*names: str) -> str:
    """A sentence that says which of the programs this machine lacks, and what to do; empty if it has all of them."""
    lacking = [name for name in names if shutil.which(name) is None and not INSTALL.is_file()]
    if not lacking:
        return ""
    return (
        f"Microsoft's {', '.join(lacking)} must be on PATH or in ../shared/dotnet; docs/stand-ins.md says what these "
        "are, and what runs without them"
    )


def _unpacked() -> Path:
    """The folder of the unpacked programs. Several processes may ask at once: one unpacks, the others wait."""
    done = UNPACKED / ".done"
    if done.is_file() and done.stat().st_mtime >= INSTALL.stat().st_mtime:
        return UNPACKED
    UNPACKED.parent.mkdir(parents=True, exist_ok=True)
    with (UNPACKED.parent / "dotnet.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.is_file() and done.stat().st_mtime >= INSTALL.stat().st_mtime):
            print("unpacking Microsoft's programs, once; this takes a while", file=sys.stderr, flush=True)
            shutil.rmtree(UNPACKED, ignore_errors=True)
            subprocess.run(["bash", str(INSTALL), str(UNPACKED), sys.executable], check=True, stdout=sys.stderr)
            done.touch()
    return UNPACKED


def command() -> None:
    """Say where Microsoft's host, DICOM service and FHIR server are, or what is missing; unpack them where needed."""
    if lack := missing(*SERVED):
        sys.exit(f"microsoft: {lack}")
    print(*(program(name) for name in SERVED), sep="\n")


def port_for(name: str, port: int) -> int:
    """The port for one of PROGRAMS, a free one for 0; ends the command with a sentence where the program is missing, or
    else the port is taken.
    """
    if lack := missing(name):
        sys.exit(f"{name}: {lack}")
    return claim_port(port, f"{name}: the port")


def start_program(
    name: str, *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> "subprocess.Popen[bytes]":
    """Start one of PROGRAMS; ends the command with a sentence where it is missing.

    What it prints goes to stderr. Neither it nor a process that it started outlives this one, however this one ends.
    """
    if lack := missing(name):
        sys.exit(f"{name}: {lack}")
    _kill_what_is_left()
    return subprocess.Popen(
        [str(program(name)), *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )


@contextlib.contextmanager
def running_program(
    name: str,
    *arguments: str,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    stop_timeout_s: float = STOP_TIMEOUT_S,
) -> Iterator["subprocess.Popen[bytes]"]:
    """One of PROGRAMS for the length of a `with` block."""
    child = start_program(name, *arguments, env=env, cwd=cwd)
    with stopped_at_end(child, stop_timeout_s):
        yield child


@functools.cache
def _kill_what_is_left() -> None:
    """Have this process's group killed as soon as this process is gone.

    These programs do not notice the end of their parent, and the processes that they start not theirs.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    reader, _ = os.pipe()  # the other end is closed by the end of this process alone
    command = ["/bin/sh", "-c", LAST_ONE, str(os.getpgrp())]
    silent = subprocess.DEVNULL
    subprocess.Popen(command, stdin=reader, stdout=silent, stderr=silent, start_new_session=True)
    os.close(reader)


def wait_until_answers(child: "subprocess.Popen[bytes]", name: str, url: str) -> httpx.Response:
    """The first answer of 200 at this URL; ends the command where there is none in time or the program ends."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            sys.exit(f"{name}: ended with status {child.returncode} before it was ready")
        with contextlib.suppress(httpx.HTTPError):
            # whoever gives up early makes a busy machine begin again with an answer of a megabyte
            answer = httpx.get(url, trust_env=False, timeout=max(1.0, deadline - time.monotonic()))
            if answer.status_code == 200:
                return answer
        time.sleep(0.05)
    sys.exit(f"{name}: it gave no answer within {START_TIMEOUT_S:.0f} s")
