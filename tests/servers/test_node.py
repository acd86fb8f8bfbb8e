"""The local stack's Node is the one of the virtual environment, and its packages are the pinned ones."""

import json
import subprocess
import sys

from dev import node

LOCK = json.loads((node.FOLDER / "package-lock.json").read_text())


def test_node_is_the_environments_own_and_new_enough():
    assert node.node().is_relative_to(sys.prefix)
    version = subprocess.run([node.node(), "--version"], capture_output=True, text=True, check=True).stdout
    assert int(version.lstrip("v").split(".")[0]) >= 24


def test_lock_names_no_registry_and_every_content():
    packages = {name: package for name, package in LOCK["packages"].items() if name}
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if "integrity" not in package] == []


def test_direct_dependencies_are_pinned_exactly():
    wanted = json.loads((node.FOLDER / "package.json").read_text())["dependencies"]
    assert wanted == {name: LOCK["packages"][f"node_modules/{name}"]["version"] for name in wanted}


def test_npm_runs_with_that_node():
    done = node.npm("exec", "--offline", "--", "node", "--print", "process.execPath")
    assert (done.returncode, done.stdout.strip().splitlines()[-1]) == (0, str(node.node()))
