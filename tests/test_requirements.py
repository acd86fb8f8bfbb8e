"""What is listed is imported, what is imported is listed, and what is installed is pinned by hash."""

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dev.package import pins_for

ROOT = Path(__file__).resolve().parent.parent
FILES = [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))]
PIN = re.compile(r"^([a-z0-9.-]+)==([^ ;\\]+)(?: ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
COMMENT = re.compile(r"^ +# +.*$")
# azure-core imports the one when a client for asyncio is made, httpcore the other at every request if it is there
NOT_IMPORTED = {"aiohttp", "sniffio"}


def lines(name):
    return (ROOT / name).read_text().splitlines()


def pins(name):
    return [match.groups() for line in lines(name) if (match := PIN.match(line))]


def unpinned(text):
    """Lines that are neither a pin with its hashes nor a comment."""
    wrong, hashed = [], True
    for line in [*text, "end==0 \\"]:
        if PIN.match(line):
            wrong += [] if hashed else ["a pin without a hash"]
            hashed = False
        elif HASH.match(line):
            hashed = True
        elif not COMMENT.match(line):
            wrong.append(line)
    return wrong


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_line_is_a_pin_with_hashes(name):
    assert len(pins(name)) > 30
    assert unpinned(lines(name)) == []


PINNED = ["one==1.0 \\", f"    --hash=sha256:{'0' * 64}", "    # via two"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["two>=1.0 \\"],
        ["two"],
        ["two==1.0"],
        ["two @ https://example.org/two.whl"],
        ["--index-url https://example.org/simple"],
        ["-r other.txt"],
        ["two==1.0 \\", "    # via one"],
        ["    --hash=md5:0123"],
    ],
    ids=" ".join,
)
def test_a_line_that_is_not_pinned_is_found(wrong):
    assert unpinned(PINNED) == []
    assert unpinned([*PINNED, *wrong, *PINNED]) != []


@pytest.mark.parametrize(
    ("python", "version"), [("3.11", "1.26.0"), ("3.12", "1.26.0"), ("3.13", "2."), ("3.14", "2.")]
)
def test_each_python_of_the_platform_has_its_library_of_functions(python, version):
    """Version 1 does not install on 3.13, where Azure runs another worker."""
    found = re.findall(
        r"^azure-functions==(\S+)", pins_for((ROOT / "requirements.txt").read_text(), python), re.MULTILINE
    )
    assert [one.startswith(version) for one in found] == [True]


def test_development_runs_what_is_deployed():
    assert set(pins("requirements.txt")) - set(pins("requirements-dev.txt")) == set()


def imports():
    """Modules of others that the app imports, wherever in a file, computed names included."""
    found = set()
    for node in (node for file in FILES for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
            parts = [part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
            found.add(str(parts[0]).rstrip("."))
    return {name for name in found if name.split(".")[0] not in {*sys.stdlib_module_names, "shared"}}


def listed():
    """Modules that each package of requirements.in brings."""
    wanted = [Requirement(line) for line in lines("requirements.in")]
    return {one.name: _modules(metadata.files(one.name)) for one in wanted if not one.marker or one.marker.evaluate()}


def _modules(files):
    paths = (file.with_suffix("") for file in files if file.suffix in (".py", ".so", ".pyd"))
    return {".".join(path.parts).removesuffix(".__init__").split(".cpython-")[0] for path in paths}


def test_everything_imported_is_listed():
    brought = set().union(*listed().values())
    assert imports() - brought == set()


def test_everything_listed_is_imported():
    used = imports()
    assert {name for name, modules in listed().items() if not modules & used} == NOT_IMPORTED
