"""The templates by Microsoft's compiler: its complaints, compiled files, and what a deployment would make."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from dev import microsoft
from dev.process import ROOT

SETS = Path(__file__).parent / "sets"
NAMES = sorted(path.stem for path in SETS.glob("*.bicepparam"))
SUBSCRIPTION, TENANT = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-0000000000ff"
# complaints must not come with the calendar: a warning of an old version is for whoever runs `bicep lint` that day
TODAY = "2026-11-29"


@dataclass(frozen=True)
class Deployment:
    """What one set of parameters would make. What Azure alone knows is an expression in brackets."""

    name: str
    resources: list[dict[str, Any]]
    outputs: dict[str, Any]
    diagnostics: list[Any]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.resources if one["type"] == kind]

    @property
    def settings(self) -> dict[str, str]:
        """App settings."""
        (config,) = [one for one in self.of("Microsoft.Web/sites/config") if one["name"].endswith("/appsettings")]
        return config["properties"]

    def identity(self, of: str) -> str:
        """`principalId` or `clientId` of the app's one identity, as the templates refer to it."""
        (one,) = self.of("Microsoft.ManagedIdentity/userAssignedIdentities")
        return f"[reference('{one['id']}', '{one['apiVersion']}').{of}]"


def at(found: Any, path: str) -> Any:
    """What stands at `properties.x.0.y`; None where it is absent."""
    for name in path.split("."):
        if isinstance(found, list) and name.isdecimal():
            found = found[int(name)] if int(name) < len(found) else None
        else:
            found = found.get(name) if isinstance(found, dict) else None
    return found


class Templates:
    """A copy of the templates, with other texts in the place of some: (file, old, new)."""

    def __init__(self, folder: Path, *changes: tuple[str, str, str]) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "infra", folder / "infra")
        shutil.copytree(SETS, folder / "tests" / "infra" / "sets")
        for name in ("azure.yaml", "host.json"):
            shutil.copy(ROOT / name, folder)
        config = json.loads(self.read("infra/bicepconfig.json"))
        config["analyzers"]["core"]["rules"]["use-recent-api-versions"]["test-today"] = TODAY
        (folder / "infra" / "bicepconfig.json").write_text(json.dumps(config))
        for file, old, new in changes:
            text = self.read(file)
            assert old in text, f"{old!r} is not in {file}"
            (folder / file).write_text(text.replace(old, new, 1))

    def read(self, file: str) -> str:
        return (self.folder / file).read_text()

    def json(self, file: str) -> Any:
        return json.loads(self.read(file))

    def complaints(self, verb: str, file: str) -> list[str]:
        """Errors and warnings of `build` or `lint` on one file and on all that it uses."""
        return _complaints(self._run(verb, file, *(["--stdout"] if verb == "build" else [])))

    @cache  # noqa: B019 - as long as the tests run
    def built(self, file: str) -> dict[str, Any]:
        return json.loads(self._run("build", file, "--stdout").stdout)

    @cache  # noqa: B019
    def deployment(self, name: str) -> Deployment:
        at_place = ("--subscription-id", SUBSCRIPTION, "--tenant-id", TENANT, "--location", "westeurope")
        done = self._run("snapshot", f"tests/infra/sets/{name}.bicepparam", "--mode", "overwrite", *at_place)
        assert done.returncode == 0, done.stderr
        found = self.json(f"tests/infra/sets/{name}.snapshot.json")
        return Deployment(name, found["predictedResources"], found["outputs"], found["diagnostics"] + _complaints(done))

    @cached_property
    def deployments(self) -> list[Deployment]:
        return [self.deployment(name) for name in NAMES]

    def _run(self, verb: str, file: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(microsoft.program("bicep")), verb, file, *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)


def _complaints(done: "subprocess.CompletedProcess[str]") -> list[str]:
    lines = [*done.stderr.splitlines(), *(line for line in done.stdout.splitlines() if line.startswith("/"))]
    return [line for line in lines if re.search(r"\b(Warning|Error|Info)\b", line)]
