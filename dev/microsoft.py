"""Find Microsoft's own programs: Functions host, DICOM service, FHIR server, DICOM Cast, Bicep compiler.

A program is looked for on PATH, where a user has it from Microsoft, then in the folder `shared/dotnet` beside this
project, whose `install` unpacks all of them. They are unpacked once into `.stack/dotnet`.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from dev.process import ROOT

PROGRAMS = ("func", "dicom-server", "fhir-server", "dicom-cast", "dicom-json", "bicep")
INSTALL = ROOT.parent / "shared" / "dotnet" / "install"
UNPACKED = ROOT / ".stack" / "dotnet"


def program(name: str) -> Path | None:
    """The path of one of PROGRAMS, unpacked where that is needed; None where this machine does not have it."""
    if name not in PROGRAMS:
        raise ValueError(f"not one of {', '.join(PROGRAMS)}")
    if found := shutil.which(name):
        return Path(found)
    return _unpacked() / "bin" / name if INSTALL.is_file() else None


def missing(*names: str) -> str:
    """A sentence that says which of the programs this machine lacks; empty when it has all of them."""
    lacking = [name for name in names if shutil.which(name) is None and not INSTALL.is_file()]
    if not lacking:
        return ""
    return f"Microsoft's {', '.join(lacking)} must be on PATH or in shared/dotnet beside this project"


def _unpacked() -> Path:
    """The folder of the unpacked programs. Several processes may ask at once: one unpacks, the others wait."""
    done = UNPACKED / ".done"
    if done.is_file() and done.stat().st_mtime >= INSTALL.stat().st_mtime:
        return UNPACKED
    UNPACKED.parent.mkdir(parents=True, exist_ok=True)
    with (UNPACKED.parent / "dotnet.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.is_file() and done.stat().st_mtime >= INSTALL.stat().st_mtime):
            print("Microsoft's programs: unpacking them, once", file=sys.stderr, flush=True)
            shutil.rmtree(UNPACKED, ignore_errors=True)
            subprocess.run(["bash", str(INSTALL), str(UNPACKED), sys.executable], check=True, stdout=sys.stderr)
            done.touch()
    return UNPACKED
