"""`python -m dev package`: the app as a zip that Azure runs as it is or, without packages, that Azure builds.

The project's files are what .funcignore leaves, as for azd. Bytecode is added, since Azure keeps none between starts.
The same files, pins and interpreter give the same bytes.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import Requirement
from pathspec import GitIgnoreSpec

from dev.process import ROOT
from shared.version import PARTS, version_of

PROJECT = set(PARTS)
PACKAGES = ".python_packages/lib/site-packages"  # where the Python worker looks
PYTHON = "3.13"  # what the templates set, unless told otherwise
LINUX = "manylinux2014_x86_64"
# scripts name the builder's interpreter, and RECORD has their hashes; the app needs neither
LEFT_OUT = re.compile(rf"{re.escape(PACKAGES)}/(bin/|[^/]+\.dist-info/RECORD$)")
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


def pins_for(text: str, python: str) -> str:
    """Lines of a pin file that hold for Azure's Linux and a Python version, without their markers.

    pip does not do this: it evaluates markers for the interpreter that it runs on, whatever `--python-version` says.
    """
    azure = {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    kept: list[str] = []
    holds = True
    for line in text.splitlines():
        if line[:1].strip() and not line.startswith("#"):
            pin = Requirement(line.removesuffix("\\"))
            holds = pin.marker is None or pin.marker.evaluate(azure)
            line = f"{pin.name}{pin.specifier} \\"  # noqa: PLW2901 - the same line, less its marker
        kept += [line] if holds else []
    return "\n".join([*kept, ""])


def install(requirements: Path, target: Path, python: str) -> None:
    """The pinned packages as Azure's Linux runs them, whatever this machine is; raises PackageError."""
    with tempfile.TemporaryDirectory() as temporary:
        pins = Path(temporary) / requirements.name
        pins.write_text(pins_for(requirements.read_text(), python))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
                *("--platform", LINUX, "--python-version", python, "--implementation", "cp", "--only-binary=:all:"),
                *("--require-hashes", "--no-deps", "--no-compile", "--target", str(target), "-r", str(pins)),
            ],
            check=False,
        )
    if done.returncode:
        raise PackageError(f"pip found no package of {requirements.name} for Linux and Python {python}: see above")


def interpreter(python: str) -> str | None:
    """An interpreter of this version on this machine, or None: no other version can make its bytecode."""
    for candidate in (sys.executable, shutil.which(f"python{python}")):
        if candidate is not None:
            asked = "import sys; print('%d.%d' % sys.version_info[:2])"
            said = subprocess.run([candidate, "-c", asked], capture_output=True, text=True, check=False).stdout.strip()
            if said == python:
                return candidate
    return None


def compile_all(folder: Path, command: str) -> None:
    """Put the bytecode of every module of a folder beside it.

    It is never compared with its source, so that times of files do not matter. A file of a package that this version
    cannot compile is left as it is, as pip does.
    """
    subprocess.run(
        [
            *(command, "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(folder), str(folder)),
        ],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=False,
    )


def stage(files: Files, to: Path) -> None:
    """Copy files to where the app has them."""
    for name, path in files.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to / name)


def staged(folder: Path) -> Files:
    """Every file of a folder that the app needs, by name in the package."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path for name, path in files.items() if not LEFT_OUT.match(name)}


def write_zip(to: Path, files: Files) -> None:
    """Write the zip; neither the clock nor the file system decides what is in it."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(to, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.external_attr, entry.compress_type = ORDINARY_FILE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name].read_bytes())


def build(root: Path, to: Path, python: str, *, remote_build: bool) -> str:
    """Build the package of a project, and its version beside it; says how large it became. Raises PackageError."""
    files = project_files(root)
    if remote_build:
        return _written(to, files, version_of(root), "without packages and bytecode")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stage(files, folder)
        install(root / "requirements.txt", folder / PACKAGES, python)
        if (command := interpreter(python)) is None:
            how = f"without bytecode, as there is no Python {python} here: the app starts about a second later"
        else:
            compile_all(folder, command)
            how = f"with bytecode of Python {python}"
        return _written(to, staged(folder), version_of(root), how)


def _written(to: Path, files: Files, version: str, how: str) -> str:
    write_zip(to, files)
    to.with_suffix(".version").write_text(f"{version}\n")
    packages = {name: path for name, path in files.items() if name.startswith(PACKAGES)}
    bytecode = {name: path for name, path in files.items() if name.endswith(".pyc")}
    app = files.keys() - packages.keys()
    parts = f"app {_size(files[name] for name in app)}, packages {_size(packages.values())}"
    unpacked = f"{len(files)} files, unpacked: {parts}, of these bytecode {_size(bytecode.values())}; {how}"
    return f"{to}: version {version}, {_size([to])} ({unpacked}), sha256 {hashlib.sha256(to.read_bytes()).hexdigest()}"


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
