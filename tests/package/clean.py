"""Runs an unpacked package by a Python that has the standard library and what the package brought, nothing else."""

import sys
from importlib import metadata

from dev.package import PACKAGES
from dev.process import ROOT, Part

# what the host stand-in needs and the app does not; whatever else it needs it must find in the package, too
HOST_ONLY = (
    *("typer", "annotated-doc", "shellingham", "rich", "markdown-it-py", "mdurl", "pygments"),
    *("uvicorn", "click", "starlette"),
)


def python(code, *paths):
    """A command. No environment variables of Python, no virtual environment, no site-packages: only these paths."""
    return (sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {[str(path) for path in paths]}\n{code}")


def host_parts(folder):
    """A folder that holds the stand-in and what is its own."""
    folder.mkdir()
    (folder / "dev").symlink_to(ROOT / "dev")
    for name in HOST_ONLY:
        files = metadata.files(name) or []
        assert files, f"{name} is not installed"
        for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
            (folder / top).symlink_to(metadata.distribution(name).locate_file(top))
    return folder


def host(app, parts, log, env):
    """The host stand-in on the unpacked app."""
    dev = python("from dev.__main__ import main; main()", app / PACKAGES, parts)
    return Part(("host", "--app", str(app), "--port", "0"), env=env, log=log, cwd=app, dev=dev)


def without(app, folder, lacking):
    """The same app, less one path below its packages."""
    for path in app.iterdir():
        if path.name != PACKAGES.split("/")[0]:
            (folder / path.name).symlink_to(path)
    _link(app / PACKAGES, folder / PACKAGES, lacking.split("/"))
    return folder


def _link(real, linked, lacking):
    linked.mkdir(parents=True)
    for path in real.iterdir():
        if path.name != lacking[0]:
            (linked / path.name).symlink_to(path)
        elif len(lacking) > 1:
            _link(path, linked / path.name, lacking[1:])
