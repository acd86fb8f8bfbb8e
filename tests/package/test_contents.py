"""What is deployed, and nothing else."""

import marshal
import os
import re
import sys
import zipfile
from importlib.util import MAGIC_NUMBER

import pytest

from dev import package as package_module
from dev.package import PACKAGES, PROJECT, PYTHON, PackageError, build, pins_for, project_files, write_zip
from dev.process import ROOT
from shared.version import version_of
from tests.package.conftest import RUNNING

pytestmark = pytest.mark.timeout(600)  # packages may have to be fetched first

MOST_ZIPPED_MB = 40
MOST_UNPACKED_MB = 120
BYTECODE = re.compile(rf"(.*/|)__pycache__/([^/]+)\.cpython-{RUNNING.replace('.', '')}\.pyc")
UNCHECKED_HASH = 1  # PEP 552
NAME_AND_VERSION = re.compile(rf"{re.escape(PACKAGES)}/(.+)-([^-]+)\.dist-info/METADATA")


@pytest.fixture(scope="module")
def entries(package):
    with zipfile.ZipFile(package) as archive:
        return archive.infolist()


@pytest.fixture
def project(tmp_path):
    """A small project with all that may lie about in one."""
    (tmp_path / ".funcignore").write_text((ROOT / ".funcignore").read_text())
    for name in (
        *("function_app.py", "host.json", "requirements.txt", "shared/one.py", "shared/deep/table.json"),
        *("shared/__pycache__/one.pyc", "shared/deep/__pycache__/two.pyc", "local.settings.json", ".git/config"),
        *(
            "tests/test_one.py",
            "dev/fhir/node_modules/x/host.json",
            ".venv/lib/x.py",
            "dist/app.zip",
            "infra/main.bicep",
        ),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_only_the_app_is_left_of_a_project(project):
    ours = {"function_app.py", "host.json", "requirements.txt", "shared/one.py", "shared/deep/table.json"}
    assert set(project_files(project)) == ours


@pytest.mark.parametrize("name", ["notes.txt", "secrets/key.pem", "local.settings.production.json"])
def test_what_nobody_decided_about_is_not_deployed(project, name):
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("")
    with pytest.raises(PackageError, match=rf"^{name.split('/')[0]} would be deployed: remove it, or add it to \.func"):
        project_files(project)


def test_a_folder_that_is_no_app_is_named(project):
    (project / "host.json").unlink()
    with pytest.raises(PackageError, match=r"has no host\.json"):
        project_files(project)


def test_everything_that_is_not_deployed_is_named_in_full():
    """Core Tools reads wildcards otherwise than azd does (azure-functions-core-tools issue 2701)."""
    listed = {line.rstrip("/") for line in (ROOT / ".funcignore").read_text().splitlines()}
    assert {path.name for path in ROOT.iterdir()} - PROJECT - listed == set()


def test_project_is_whole(entries):
    names = {entry.filename for entry in entries if not entry.filename.startswith(PACKAGES)}
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "shared").rglob("*") if path.is_file()}
    assert {name for name in names if not BYTECODE.fullmatch(name)} == (PROJECT - {"shared"}) | {
        name for name in code if "__pycache__" not in name
    }


def test_packages_are_the_pinned_ones(entries):
    found = {
        m[1].lower().replace("_", "-").replace(".", "-"): m[2]
        for e in entries
        if (m := NAME_AND_VERSION.match(e.filename))
    }
    wanted = pins_for((ROOT / "requirements.txt").read_text(), RUNNING)
    pins = re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", wanted, re.MULTILINE)
    assert found == {name.replace(".", "-"): version for name, version in pins}


def test_host_json_is_there_once(entries):
    assert [entry.filename for entry in entries if entry.filename.endswith("host.json")] == ["host.json"]


def test_nothing_is_made_for_this_machine(package, entries):
    names = [entry.filename for entry in entries]
    assert [name for name in names if name.startswith(f"{PACKAGES}/bin/")] == []
    with zipfile.ZipFile(package) as archive:
        here = [name for name in names if _found(archive.read(name))]
    assert here == []


def _found(content):
    return [sign for sign in (sys.prefix.encode(), b"/tmp/tmp") if sign in content]


def test_bytecode_of_every_module_of_the_app_is_there(entries):
    """Azure keeps none between starts. It is not compared with its source, whose date is not that of the builder's."""
    names = {entry.filename for entry in entries}
    sources = {name for name in names if name.endswith(".py") and not name.startswith(PACKAGES)}
    assert {f"{m[1]}{m[2]}.py" for name in names if (m := BYTECODE.fullmatch(name))} >= sources


def test_bytecode_is_of_the_python_of_the_app_and_needs_no_dates(package, entries):
    compiled = [entry.filename for entry in entries if entry.filename.endswith(".pyc")]
    assert len(compiled) > 1000
    assert [name for name in compiled if not BYTECODE.fullmatch(name)] == []
    with zipfile.ZipFile(package) as archive:
        heads = {archive.read(name)[:8] for name in compiled}
        where = marshal.loads(archive.read(next(name for name in compiled if name.startswith("__pycache__/")))[16:])
    assert heads == {MAGIC_NUMBER + UNCHECKED_HASH.to_bytes(4, "little")}
    assert where.co_filename == "function_app.py"


def test_the_same_files_give_the_same_package(package, tmp_path):
    said = build(ROOT, tmp_path / "again.zip", RUNNING, remote_build=False)
    assert f"with bytecode of Python {RUNNING}" in said
    assert (tmp_path / "again.zip").read_bytes() == package.read_bytes()


def test_a_python_that_is_not_here_leaves_the_bytecode_out(project, tmp_path, monkeypatch):
    monkeypatch.setattr(package_module, "install", lambda *_: None)
    said = build(project, tmp_path / "zips" / "other.zip", "3.99", remote_build=False)
    assert "without bytecode, as there is no Python 3.99 here" in said
    with zipfile.ZipFile(tmp_path / "zips" / "other.zip") as archive:
        assert {name for name in archive.namelist() if name.endswith(".pyc")} == set()


def test_the_package_says_which_version_it_is(package, app):
    said = package.with_suffix(".version").read_text().strip()
    assert said == version_of(app) == version_of(ROOT)


PINS = """\
one==1.0 ; python_full_version < '3.13' \\
    --hash=sha256:11
one==2.0 ; python_full_version >= '3.13' \\
    --hash=sha256:22
    # via two
two==1.0 ; sys_platform == 'win32' \\
    --hash=sha256:33
three==1.0 ; platform_python_implementation != 'PyPy' \\
    --hash=sha256:44
"""


@pytest.mark.parametrize(("python", "one"), [("3.12", "1.0"), ("3.13", "2.0"), ("3.14", "2.0")])
def test_pins_are_those_of_azures_linux_and_of_the_python_that_is_asked_for(python, one):
    kept = [line for line in pins_for(PINS, python).splitlines() if line[0] != " "]
    assert kept == [f"one=={one} \\", "three==1.0 \\"]


def test_size_is_bounded(package, entries):
    assert package.stat().st_size < MOST_ZIPPED_MB * 1e6
    assert sum(entry.file_size for entry in entries) < MOST_UNPACKED_MB * 1e6


def test_neither_clock_nor_order_decides_the_bytes(project, tmp_path):
    def zipped(name):
        files = project_files(project)
        write_zip(tmp_path / "zips" / name, dict(reversed(files.items())) if name == "two" else files)
        return (tmp_path / "zips" / name).read_bytes()

    before = zipped("one")
    os.utime(project / "host.json", (0, 10**9))
    (project / "host.json").chmod(0o755)
    (project / ".funcignore").write_text((ROOT / ".funcignore").read_text() + "zips/\n")
    assert zipped("two") == before


def test_package_is_for_the_python_of_the_templates():
    template = (ROOT / "infra" / "resources.bicep").read_text()
    assert f"param pythonVersion string = '{PYTHON}'" in template


def test_remote_build_leaves_the_packages_to_azure(tmp_path, entries):
    said = build(ROOT, tmp_path / "remote.zip", PYTHON, remote_build=True)
    assert "packages 0.0 MB" in said
    with zipfile.ZipFile(tmp_path / "remote.zip") as archive:
        own = [entry.filename for entry in entries if not entry.filename.startswith(PACKAGES)]
        assert archive.namelist() == [name for name in own if not name.endswith(".pyc")]
