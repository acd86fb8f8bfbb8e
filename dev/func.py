"""`python -m dev func`: the app in Microsoft's own Functions host, by Azure Functions Core Tools.

The host reads local.settings.json beside the app, so it runs in a scratch folder of links to the app's files: a
developer's own file is never written to.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from dev.host.errors import StartError
from dev.host.settings import read_json
from dev.microsoft import port_for, program, running_program, wait_until_answers
from dev.process import announce, ended

NAME = "func"
HOST_ID = "AzureFunctionsWebHost__hostid"
SETTINGS = "local.settings.json"
NOT_LINKED = {SETTINGS, ".git", ".venv", ".stack"}
STOP_TIMEOUT_S = 20.0  # functions have ten seconds to end


def command(
    *,
    app: Annotated[Path, typer.Option(help="Folder of the app: function_app.py and host.json.")] = Path(),
    settings: Annotated[Path | None, typer.Option(help="Settings file [local.settings.json of the app].")] = None,
    port: Annotated[int, typer.Option(help="HTTP port, 0 for a free one.")] = 7071,
) -> None:
    """Run the Functions app of a folder in Microsoft's host: `func start`. What is set in the environment wins.

    Hosts of one folder share a host id, so they are one app: one of them runs the timers.
    """
    folder = app.resolve()
    try:
        content = _settings(folder, settings)
    except StartError as error:
        sys.exit(f"{NAME}: {error}")
    port = port_for(NAME, port)
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="func-") as scratch:
        _link(folder, Path(scratch))
        (Path(scratch) / SETTINGS).write_text(json.dumps(content))
        # the worker is the first Python on PATH
        env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        arguments = ("start", "--port", str(port))
        with running_program(NAME, *arguments, env=env, cwd=Path(scratch), stop_timeout_s=STOP_TIMEOUT_S) as child:
            wait_until_answers(child, NAME, url)
            announce(part=NAME, url=url, version=_version(), pid=child.pid)
            status = ended(child)
    sys.exit(f"{NAME}: ended by itself with status {status}")


def _version() -> str:
    return subprocess.run([str(program(NAME)), "--version"], capture_output=True, text=True, check=False).stdout.strip()


def _settings(folder: Path, file: Path | None) -> dict[str, Any]:
    """The settings file, with the host id of this folder unless it names one."""
    path = file or folder / SETTINGS
    if file is not None and not path.exists():
        raise StartError(f"the settings file {file} does not exist")
    content: dict[str, Any] = read_json(path) if path.exists() else {"IsEncrypted": False}
    host_id = hashlib.sha256(str(folder).encode()).hexdigest()[:24]
    values = {HOST_ID: host_id, "FUNCTIONS_WORKER_RUNTIME": "python", **content.get("Values", {})}
    return {**content, "Values": values}


def _link(folder: Path, scratch: Path) -> None:
    for each in folder.iterdir():
        if each.name not in NOT_LINKED:
            (scratch / each.name).symlink_to(each)
