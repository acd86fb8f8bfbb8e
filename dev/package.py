"""`python -m dev package`: the app as a zip that Azure runs as it is or, without packages, that Azure builds.

The project's files are what .funcignore leaves, as for azd. The same files and pins give the same bytes.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from pathspec import GitIgnoreSpec

from dev.process import ROOT

PROJECT = {"function_app.py", "host.json", "requirements.txt", "shared"}
PACKAGES = ".python_packages/lib/site-packages"  # where the Python worker looks
PYTHON = "3.11"  # what the templates set, unless told otherwise
LINUX = "manylinux2014_x86_64"
# scripts name the builder's interpreter, and RECORD has their hashes; the app needs neither
LEFT_OUT = re.compile(r"bin/|[^/]+\.dist-info/RECORD$")
EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can name
ORDINARY_FILE = 0o100644 << 16

Files = dict[str, Path]  # by name in the package


class PackageError(Exception):
    """The package cannot be built; the message says what to do."""


def project_files(root: Path) -> Files:
    """What .funcignore leaves of a folder; raises PackageError when that is not the app and nothing else."""
    ignored = GitIgnoreSpec.from_lines((root / ".funcignore").read_text().splitlines())
    found: Files = {}
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if not ignored.match_file(f"{(here / name).as_posix()}/")]
        names = [(here / name).as_posix() for name in files]
        found |= {name: root / name for name in names if not ignored.match_file(name)}
    top = {name.split("/")[0] for name in found}
    if unknown := top - PROJECT:
        raise PackageError(f"{', '.join(sorted(unknown))} would be deployed: remove it, or add it to .funcignore")
    if missing := PROJECT - top:
        raise PackageError(f"{root} has no {', '.join(sorted(missing))}")
    return found


def install(requirements: Path, target: Path, python: str) -> None:
    """The pinned packages as Azure's Linux runs them, whatever this machine is; raises PackageError."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
            *("--platform", LINUX, "--python-version", python, "--implementation", "cp", "--only-binary=:all:"),
            *("--require-hashes", "--no-deps", "--no-compile", "--target", str(target), "-r", str(requirements)),
        ],
        check=False,
    )
    if done.returncode:
        raise PackageError(f"pip found no package of {requirements.name} for Linux and Python {python}: see above")


def package_files(folder: Path) -> Files:
    """What was installed, under the name that the worker looks for."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {f"{PACKAGES}/{name}": path for name, path in files.items() if not LEFT_OUT.match(name)}


def write_zip(to: Path, files: Files) -> None:
    """Write the zip; neither the clock nor the file system decides what is in it."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(to, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.external_attr, entry.compress_type = ORDINARY_FILE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name].read_bytes())


def build(root: Path, to: Path, python: str, *, remote_build: bool) -> str:
    """Build the package of a project; says how large it became. Raises PackageError."""
    files = project_files(root)
    with tempfile.TemporaryDirectory() as temporary:
        if not remote_build:
            install(root / "requirements.txt", Path(temporary), python)
        packages = package_files(Path(temporary))
        write_zip(to, files | packages)
        parts = f"app {_size(files.values())}, packages {_size(packages.values())}"
    unpacked = f"{len(files) + len(packages)} files, unpacked: {parts}"
    return f"{to}: {_size([to])} ({unpacked}), sha256 {hashlib.sha256(to.read_bytes()).hexdigest()}"


def _size(files: Iterable[Path]) -> str:
    return f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB"


def command(
    *,
    to: Annotated[Path, typer.Option(help="Where the zip is written.")] = ROOT / "dist" / "app.zip",
    python: Annotated[str, typer.Option(help="Python version of the function app.")] = PYTHON,
    remote_build: Annotated[bool, typer.Option(help="Leave the packages out: Azure installs them.")] = False,
) -> None:
    """Build the deployment package."""
    try:
        print(build(ROOT, to, python, remote_build=remote_build))
    except PackageError as error:
        sys.exit(f"package: {error}")
