"""The version of the app: the same for the same files, wherever they are."""

import re
import shutil
import tomllib

from shared.version import PARTS, RELEASE, ROOT, version, version_of
from shared.worker import Worker


def copy(to):
    to.mkdir()
    for part in PARTS:
        path = ROOT / part
        if path.is_dir():
            shutil.copytree(path, to / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(path, to / part)
    return to


def test_it_is_the_release_and_a_digest():
    assert re.fullmatch(rf"{re.escape(RELEASE)}\+[0-9a-f]{{8}}", version())


def test_the_release_is_that_of_the_project():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == RELEASE
    assert f"template: dicom-fhir-sync@{RELEASE}" in (ROOT / "azure.yaml").read_text()


def test_a_copy_has_the_same_version_with_and_without_bytecode(tmp_path):
    folder = copy(tmp_path / "app")
    assert version_of(folder) == version()
    (folder / "shared" / "__pycache__").mkdir()
    (folder / "shared" / "__pycache__" / "worker.cpython-313.pyc").write_bytes(b"bytecode")
    (folder / ".python_packages").mkdir()
    (folder / ".python_packages" / "one.py").write_text("")
    assert version_of(folder) == version()


def test_each_change_of_a_file_or_of_its_name_is_another_version(tmp_path):
    folder = copy(tmp_path / "app")
    seen = {version_of(folder)}
    (folder / "host.json").write_text("{}")
    seen.add(version_of(folder))
    (folder / "shared" / "retry.py").rename(folder / "shared" / "retried.py")
    seen.add(version_of(folder))
    (folder / "requirements.txt").unlink()
    seen.add(version_of(folder))
    assert len(seen) == 4


async def test_health_says_it_whatever_else_is_wrong(monkeypatch):
    monkeypatch.delenv("DicomWeb__Endpoint", raising=False)
    monkeypatch.delenv("Fhir__Endpoint", raising=False)
    answer = await Worker().health()
    assert (answer["status"], answer["version"]) == ("unhealthy", version())
