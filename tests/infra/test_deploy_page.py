"""The steps of docs/deploy.md, run where a shell can run them, with commands that only note what they are told."""

import os
import re
import shlex
import subprocess

import pytest
import yaml

from dev.process import ROOT
from tests.infra.settings import FUNCTIONS
from tests.infra.tables import ROLES

PAGE = (ROOT / "docs" / "deploy.md").read_text()
GITHUB = PAGE.split("\n## From GitHub\n")[1].split("\n## ")[0]
ASKED = "api repos/{owner}/{repo}/actions/oidc/customization/sub --jq .sub_claim_prefix"
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text())


def blocks(text):
    return [
        re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    ]


def run(script, folder, **answers):
    """What each command of a script was told; a command answers with the line of its name."""
    for name, answer in {"az": "", **answers}.items():
        (folder / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >> "$TOLD"\n{answer}\n')
        (folder / name).chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "TOLD": str(folder / "told"), "group": "g", "app": "a"}
    done = subprocess.run(["bash", "-eu", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "told").read_text().splitlines()


@pytest.mark.parametrize("prefix", ["repo:octo@12/sync@345", "repo:octo/sync"], ids=["with ids", "of names"])
def test_the_identity_trusts_the_subject_that_github_sends(tmp_path, prefix):
    (create,) = [block for block in blocks(GITHUB) if "federated-credential create" in block]
    (update,) = [block for block in blocks(GITHUB) if "federated-credential update" in block]
    gh = f'[ "$*" = {shlex.quote(ASKED)} ] && echo {prefix}'
    told = run(create + update, tmp_path, gh=gh)
    subjects = [line.split("--subject ")[1] for line in told if "--subject" in line]
    assert subjects == [f"{prefix}:environment:{WORKFLOW['jobs']['deploy']['environment']}"] * 2


@pytest.mark.parametrize("way", ["az", "azd"])
def test_names_are_had_with_azd_and_without(tmp_path, way):
    found = [block for block in blocks(GITHUB) if re.search(r"\bhealth=\$\(", block)]
    (block,) = [block for block in found if ("azd " in block) == (way == "azd")]
    told = run(block + 'echo "$group $app $health" >> "$TOLD"\n', tmp_path, az="echo x", azd="echo x")
    assert {line.split()[0] for line in told[:-1]} == {way}
    assert re.fullmatch(r"\S+ x x", told[-1])


def test_the_deployer_may_change_the_app_and_read_its_plan(tmp_path):
    (block,) = [block for block in blocks(GITHUB) if "role assignment create" in block]
    told = [line for line in run(block, tmp_path, az='echo "id"') if "assignment" in line]
    assert [re.search(r"--role ([\w ]+) --", line)[1] for line in told] == ["Website Contributor", "Reader"]
    assert "Microsoft.Web/serverfarms" in block


def test_the_way_without_rights_on_the_subscription_comes_first():
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert headings.index("With az") < headings.index("With azd")
    rights = dict(re.findall(r"^  \| \[(With \w+)\]\S+ \| (.+) \|$", PAGE, re.MULTILINE))
    assert list(rights) == ["With az", "With azd"]
    assert "nothing on the subscription" in rights["With az"]
    # a role on a service is given by a deployment into its group, which Owner of the service alone may not make
    assert "the groups of both services" in rights["With az"]
    assert rights["With azd"].startswith("on the subscription")


def test_every_provider_of_the_templates_is_registered():
    """Who has rights on a group only cannot have one registered on the way."""
    (block,) = [block for block in blocks(PAGE) if "az provider register" in block]
    named = set(re.search(r"for name in ([\w ]+);", block)[1].split())
    text = "".join(path.read_text() for path in (ROOT / "infra").rglob("*.bicep"))
    used = set(re.findall(r"^ *resource \w+ 'Microsoft\.(\w+)/", text, re.MULTILINE))
    assert used - {"Authorization", "Resources"} <= named  # these two are registered in every subscription


@pytest.mark.parametrize("heading", ["Change settings, rotate secrets", "Upgrade", "Remove"])
def test_who_deployed_with_az_can_go_on_with_az(heading):
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    assert re.search(r"\baz (deployment|group|functionapp deployment) ", section)


def test_deployments_on_the_pages_name_parameters_of_their_templates():
    pages = [PAGE, (ROOT / "infra" / "README.md").read_text()]
    text = re.sub(r"\s*\\\n\s*", " ", "".join(pages))
    found = re.findall(r"--template-file (\S+\.bicep) --parameters (.+)", text)
    assert len(found) >= 4
    for file, given in found:
        declared = re.findall(r"^param (\w+) \w+( = .+)?$", (ROOT / file).read_text(), re.MULTILINE)
        named = {part.split("=")[0] for part in shlex.split(given)}
        assert {name for name, default in declared if not default} <= named <= {name for name, _ in declared}, file


def test_alerts_are_counted_where_their_cost_is():
    """Azure bills each rule by how often it is asked."""
    files = [path for path in (ROOT / "infra").rglob("alerts.*") if path.suffix in (".bicep", ".yaml")]
    asked = re.findall(r"\bfrequency: '?PT(\d+)M", "".join(path.read_text() for path in files))
    costs = (ROOT / "docs" / "costs.md").read_text()
    (found,) = re.findall(r"\| (\d+) minutes \| (\d+) \| .+\n\| (\d+) minutes \| (\d+) \|", costs)
    assert dict(zip(found[::2], map(int, found[1::2]), strict=True)) == {one: asked.count(one) for one in sorted(asked)}
    assert f"Alerts: {len(asked)} log rules" in (ROOT / "infra" / "README.md").read_text()


def test_what_is_switched_off_are_functions_of_the_app():
    named = set(re.findall(r"AzureWebJobs\.(\w+)\.Disabled", PAGE))
    assert named == {"poll_change_feed", "sync_study"}
    assert named < set(FUNCTIONS)


@pytest.mark.parametrize("page", [path.name for path in (ROOT / "docs").glob("*.md")])
def test_what_azure_no_longer_takes_is_not_advised(page):
    lines = [
        line for line in (ROOT / "docs" / page).read_text().splitlines() if "FUNCTIONS_WORKER_PROCESS_COUNT" in line
    ]
    assert [line for line in lines if "deprecated" not in line] == []


def test_security_says_what_the_role_on_fhir_allows():
    """The data actions of FHIR Data Writer, of Azure's built-in roles."""
    page = (ROOT / "docs" / "security.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| app | FHIR Data Writer |")]
    assert ("app", "FHIR Data Writer") in {(who, role) for who, role, *_ in ROLES}
    for action in (
        "export",
        "import",
        "reindex",
        "validate",
        "convert",
        "edit profiles",
        "read, write and delete only",
    ):
        assert action in row
    (pipeline,) = [line for line in page.splitlines() if line.startswith("| The deployment pipeline is taken over |")]
    assert "acts as the app's identity" in pipeline
