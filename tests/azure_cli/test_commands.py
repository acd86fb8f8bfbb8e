"""The pages' `az` commands, by the Azure CLI's own parser (`make test-azure-cli`)."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.azure_cli.commands import all_commands, commands

DRIVER = Path(__file__).parent / "driver.py"
COMMANDS = all_commands()


@pytest.fixture(scope="module")
def ask(request, tmp_path_factory):
    """What the CLI answers to commands, in a profile of its own that is signed in nowhere."""
    profile = str(tmp_path_factory.mktemp("azure"))
    env = {**os.environ, "AZURE_CONFIG_DIR": profile, "AZURE_CORE_COLLECT_TELEMETRY": "no", "PYTHONWARNINGS": "ignore"}

    def answers(mode, arguments):
        done = subprocess.run(
            [request.config.getoption("--azure-cli"), str(DRIVER)],
            input=json.dumps([mode, arguments]),
            capture_output=True,
            text=True,
            env=env,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return answers


@pytest.fixture(scope="module")
def complaints(ask):
    return ask("parse", [_whole(arguments) for _, arguments in COMMANDS])


def _whole(arguments):
    """A command that is only named is asked for its help, which none has that does not exist."""
    return arguments if any(part.startswith("-") for part in arguments) else [*arguments, "--help"]


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=[f"{page} {' '.join(one[:4])}" for page, one in COMMANDS])
def test_the_cli_takes_the_command(complaints, number):
    assert complaints[number] == ""


def test_the_cli_refuses_what_is_misspelt(ask):
    wrong = ["functionapp stop --resourcegroup g --name n", "functionapp halt --help", "functionapp stop --name"]
    assert all(ask("parse", [one.split() for one in wrong]))


DEPLOYMENTS = [(page, one) for page, one in COMMANDS if "config-zip" in one]


def test_pages_and_workflow_deploy_the_package_that_was_tested(ask, tmp_path):
    """Without `--build-remote false`, the CLI has Azure build an app of Python on Flex Consumption."""
    package = tmp_path / "app.zip"
    package.write_bytes(b"zip")
    assert {page for page, _ in DEPLOYMENTS} >= {"deploy.md", "deploy.yml"}
    found = [[*one[: one.index("--src") + 1], str(package), *one[one.index("--src") + 2 :]] for _, one in DEPLOYMENTS]
    (plain,) = commands(f"az functionapp deployment source config-zip -g g -n n --src {package}")
    url = "https://app.scm.example/api/publish?RemoteBuild={}&Deployer=az_cli"
    assert ask("deploy", [*found, plain]) == [[url.format("false")]] * len(found) + [[url.format("True")]]
