"""Microsoft's own programs as parts: ready when they answer, stopped with everything they started."""

import json
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from dev import microsoft
from dev.microsoft import missing, program
from dev.process import ROOT, Part, running
from shared.settings.of_dicom_cast import SETTINGS_OF_DICOM_CAST
from tests.processes import below, wait_until_gone

PROBES = {"dicom-server": "/v2/changefeed?limit=1", "fhir-server": "/Patient"}
SAMPLE = ROOT / "local.settings.sample.json"
UNREACHABLE = {"DicomWeb__Endpoint": "http://127.0.0.1:1", "Fhir__Endpoint": "http://127.0.0.1:1"}


def real(name):
    return pytest.param(name, marks=pytest.mark.real(name))


@pytest.mark.parametrize("name", [real("dicom-server"), real("fhir-server")])
def test_a_server_answers_when_it_says_so_and_is_gone_after_sigterm(name):
    with running(name, "--port", "0") as part:
        assert httpx.get(part.urls["url"] + PROBES[name], trust_env=False, timeout=60).status_code == 200
        programs = below(part.process.pid)
        os.kill(part.process.pid, signal.SIGTERM)
        wait_until_gone([part.process.pid, *programs])


@pytest.mark.parametrize("name", [real("dicom-server")])
def test_partitions_are_an_option(name):
    with running(name, "--port", "0", "--partitions") as part:
        answer = httpx.get(part.urls["url"] + "/v2/partitions", trust_env=False, timeout=60)
        assert [one["partitionName"] for one in answer.raise_for_status().json()] == ["Microsoft.Default"]


@pytest.mark.parametrize("name", [real("dicom-server")])
def test_faults_are_asked_for_in_the_environment(name):
    with running(name, "--port", "0", env={"MEMSTORE_503_EVERY": "2"}) as part:
        url = part.urls["url"] + PROBES[name]
        statuses = {httpx.get(url, trust_env=False, timeout=60).status_code for _ in range(4)}
    assert statuses == {200, 503}


@pytest.mark.parametrize("name", ["dicom-server", "fhir-server", "func"])
def test_a_taken_port_or_a_missing_program_is_one_clear_line(name):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = [sys.executable, "-m", "dev", name, "--port", str(port)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    wanted = missing(name) or f"the port {port} cannot be used: Address already in use"
    assert done.stderr == f"{name}: {wanted}\n"


@pytest.mark.real("func")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_host_runs_the_app_and_leaves_nothing_behind(azurite, number):
    env = {"AzureWebJobsStorage": azurite["connection_string"], **UNREACHABLE}
    part = Part(("func", "--settings", str(SAMPLE), "--port", "0"), env=env)
    try:
        assert part.urls["version"]
        health = httpx.get(part.urls["url"] + "/api/health", trust_env=False, timeout=60)
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        programs = below(part.process.pid)
        assert len(programs) >= 2, "the host and its worker"
        os.kill(part.process.pid, number)
        wait_until_gone([part.process.pid, *programs], seconds=30)
    finally:
        part.stop()


@pytest.mark.real("func")
def test_a_settings_file_of_a_developer_is_read_and_stays_as_it_is(tmp_path, azurite):
    (tmp_path / "host.json").write_text((ROOT / "host.json").read_text())
    (tmp_path / "function_app.py").write_text(
        "import os, azure.functions as func\n"
        "app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
        "@app.route('said')\n"
        "def said(req: func.HttpRequest) -> str:\n"
        "    return os.environ['SAID'] + ' ' + os.environ['AzureFunctionsWebHost__hostid']\n"
    )
    own = {"IsEncrypted": False, "Values": {"SAID": "by the file", "AzureFunctionsWebHost__hostid": "named"}}
    (tmp_path / "local.settings.json").write_text(json.dumps(own))
    before = {each.name for each in tmp_path.iterdir()}
    env = {"AzureWebJobsStorage": azurite["connection_string"]}
    with running("func", "--app", str(tmp_path), "--port", "0", env=env) as part:
        answer = httpx.get(part.urls["url"] + "/api/said", trust_env=False, timeout=60)
    assert answer.text == "by the file named"
    assert json.loads((tmp_path / "local.settings.json").read_text()) == own
    assert {each.name for each in tmp_path.iterdir()} - {"__pycache__"} == before


@pytest.mark.parametrize("name", ["dicom-server", "fhir-server", "func"])
def test_without_the_program_the_command_says_where_it_is_looked_for(name, tmp_path):
    lacking = "import dev.microsoft, pathlib; dev.microsoft.INSTALL = pathlib.Path('nowhere'); import sys; "
    command = lacking + f"sys.argv = ['dev', {name!r}, '--port', '0']; from dev.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"{name}: Microsoft's {name} must be on PATH or in ../shared/dotnet; docs/stand-ins.md says what these "
        "are, and what runs without them\n"
    )


def test_a_program_that_runs_as_it_is_needs_no_unpacking(monkeypatch, tmp_path):
    for name in ("install", "bicep"):
        (tmp_path / name).touch()
    monkeypatch.setattr(microsoft, "INSTALL", tmp_path / "install")
    monkeypatch.setattr(microsoft, "UNPACKED", tmp_path / "unpacked")
    monkeypatch.setenv("PATH", "")
    assert microsoft.program("bicep") == tmp_path / "bicep"
    assert not (tmp_path / "unpacked").exists()


@pytest.mark.real("dicom-cast")
def test_the_settings_of_dicom_cast_are_known():
    """The setters of its configuration classes, in its assemblies."""
    folder = program("dicom-cast").resolve().parent.parent / "dicom-cast"
    names = ("Microsoft.Health.DicomCast.Core", "Microsoft.Health.DicomCast.TableStorage", "Microsoft.Health.Shared")
    code = b"".join((folder / f"{name}.dll").read_bytes() for name in names)
    keys = {name.rpartition("__")[2] for name in SETTINGS_OF_DICOM_CAST} - {"InstrumentationKey", "LogLevel"}
    assert [key for key in sorted(keys) if b"\x00set_" + key.encode() + b"\x00" not in code] == []
