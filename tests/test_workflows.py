"""The workflows on GitHub: make verbs, pinned actions, no secrets, least permissions. Each rule is shown to fail."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from dev.package import PYTHON

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".github" / "workflows"
TEXTS = {path.stem: path.read_text() for path in sorted(FOLDER.iterdir())}
VERBS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
TEMPLATE = (ROOT / "infra" / "resources.bicep").read_text()
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
READS = {"contents": "read"}
# what the templates allow, which is what Azure Functions runs
PYTHONS = re.findall(r"'(3\.\d+)'", re.findall(r"@allowed\((.*)\)\nparam pythonVersion", TEMPLATE)[0])
AZURE = {f"{name}-id": f"${{{{ vars.AZURE_{name.upper()}_ID }}}}" for name in ("client", "tenant", "subscription")}


def jobs(workflow):
    return yaml.safe_load(workflow)["jobs"]


def steps(workflow, action=""):
    return [step for job in jobs(workflow).values() for step in _using(job, action)]


def _using(job, action):
    return [step for step in job.get("steps", []) if step.get("uses", "").startswith(action)]


def triggers(workflow):
    # YAML 1.1 reads a bare `on` as true
    return yaml.safe_load(workflow)[True]


def verbs(workflow):
    runs = [step.get("run", "") for step in steps(workflow)]
    return {verb for run in runs for line in re.findall(r"\bmake ([^|;&\n]*)", run) for verb in line.split()}


def unpinned_action(workflow):
    used = re.findall(r"uses: *(.+)", workflow)
    return [action for action in used if not action.startswith("./") and not PINNED.fullmatch(action)]


def unknown_verb(workflow):
    return verbs(workflow) - VERBS


def secret(workflow):
    """None is needed, so none may be named: what is not there cannot be printed."""
    return re.findall(r"secrets|github\.token|set -x|printenv|\benv *\|", workflow)


def text_put_into_a_script(workflow):
    """Values reach scripts by the environment, where they are not read as code."""
    return [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")]


def too_much_permitted(workflow):
    whole = yaml.safe_load(workflow).get("permissions", "everything")
    given = {name: job.get("permissions", whole) for name, job in jobs(workflow).items()}
    signs_in = {name for name, job in jobs(workflow).items() if _using(job, "azure/login@")}
    return [
        (name, permissions)
        for name, permissions in [("", whole), *given.items()]
        if permissions not in ([{"id-token": "write"}] if name in signs_in else [{}, READS])
    ]


def runs_code_where_it_is_signed_in(workflow):
    """Who may sign in to Azure is protected by an environment, and runs nothing of a repository or a package."""
    return [
        job
        for job in jobs(workflow).values()
        if "id-token" in job.get("permissions", {})
        and (job.get("environment") != "production" or _using(job, "actions/checkout@") or "make" in str(job))
    ]


def signed_in_otherwise_than_by_oidc(workflow):
    return [step["with"] for step in steps(workflow, "azure/login@") if step["with"] != AZURE]


def credentials_left_behind(workflow):
    return [step for step in steps(workflow, "actions/checkout@") if step["with"]["persist-credentials"] is not False]


def endless(workflow):
    return [name for name, job in jobs(workflow).items() if "steps" in job and "timeout-minutes" not in job]


def run_for_strangers(workflow):
    return {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers(workflow))


RULES = (
    *(unpinned_action, unknown_verb, secret, text_put_into_a_script, too_much_permitted, credentials_left_behind),
    *(runs_code_where_it_is_signed_in, signed_in_otherwise_than_by_oidc, endless, run_for_strangers),
)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule, name):
    assert not rule(TEXTS[name])


@pytest.mark.parametrize(
    ("rule", "name", "old", "new"),
    [
        (unpinned_action, "ci", "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "v7"),
        (unpinned_action, "ci", " # v7.0.1", ""),
        (unknown_verb, "ci", "make test-hapi", "make test-hapy"),
        (secret, "deploy", "vars.AZURE_CLIENT_ID", "secrets.AZURE_CLIENT_ID"),
        (text_put_into_a_script, "deploy", '"$APP"', "${{ vars.SERVICE_SYNC_NAME }}"),
        (too_much_permitted, "ci", "permissions:\n  contents: read\n", ""),
        (too_much_permitted, "ci", "contents: read", "contents: write"),
        (too_much_permitted, "audit", "contents: read", "contents: read\n  id-token: write"),
        (too_much_permitted, "deploy", "id-token: write", "id-token: write\n      contents: read"),
        (runs_code_where_it_is_signed_in, "deploy", "    environment: production\n", ""),
        (runs_code_where_it_is_signed_in, "deploy", "run: az", "run: make package; az"),
        (signed_in_otherwise_than_by_oidc, "deploy", "client-id: ${{ vars.AZURE_CLIENT_ID }}", "creds: x"),
        (credentials_left_behind, "audit", "persist-credentials: false", "persist-credentials: true"),
        (endless, "audit", "    timeout-minutes: 15\n", ""),
        (run_for_strangers, "ci", "pull_request:", "pull_request_target:"),
    ],
)
def test_rule_fails_where_it_should(rule, name, old, new):
    assert old in TEXTS[name]
    assert rule(TEXTS[name].replace(old, new))


def test_an_action_has_one_version():
    used = {action for text in TEXTS.values() for action in re.findall(r"uses: *([^.].+)", text)}
    assert len({action.split("@")[0] for action in used}) == len(used) > 5


def test_ci_runs_every_check():
    assert verbs(TEXTS["ci"]) == {"lint", "type", "test", "test-azure-cli", "test-hapi", "package"}
    assert jobs(TEXTS["ci"])["test"]["strategy"]["matrix"]["python"] == PYTHONS
    assert {"pull_request", "workflow_call"} <= set(triggers(TEXTS["ci"]))


def test_only_what_passed_is_deployed():
    parts = jobs(TEXTS["deploy"])
    assert parts["ci"]["uses"] == "./.github/workflows/ci.yml"
    assert parts["deploy"]["needs"] == "ci"
    (built,) = steps(TEXTS["ci"], "actions/upload-artifact@")
    (taken,) = steps(TEXTS["deploy"], "actions/download-artifact@")
    assert built["with"]["name"] == taken["with"]["name"]
    assert built["with"]["path"].split() == ["dist/app.zip", "dist/app.version"]
    assert "--src app.zip --build-remote false" in TEXTS["deploy"]


def test_the_package_is_built_by_the_python_that_it_is_for():
    """The bytecode of another version would be of no use."""
    (job,) = [job for job in jobs(TEXTS["ci"]).values() if "make package" in str(job)]
    (python,) = _using(job, "actions/setup-python@")
    (make,) = [step for step in job["steps"] if step.get("run") == "make package"]
    assert python["with"]["python-version"] == make["env"]["FUNCTION_PYTHON_VERSION"]
    assert python["with"]["python-version"].endswith(f"'{PYTHON}' }}}}")


HEALTHY = '{{"status": "{}", "problems": [], "version": "{}"}}'


@pytest.mark.parametrize(
    ("answers", "status", "asked"),
    [
        ([HEALTHY.format("healthy", "0.1.0+11111111")], 0, 1),
        (["", HEALTHY.format("healthy", "0.1.0+22222222"), HEALTHY.format("healthy", "0.1.0+11111111")], 0, 3),
        ([HEALTHY.format("unhealthy", "0.1.0+11111111")], 1, 40),
        ([HEALTHY.format("healthy", "0.1.0+22222222")], 1, 40),
        ([HEALTHY.format("healthy", "0.1.0+111111112")], 1, 40),
        ([""], 1, 40),
    ],
    ids=["at once", "the former version first", "unhealthy", "another version", "a longer version", "no answer"],
)
def test_a_deployment_ends_when_its_own_version_is_healthy(tmp_path, answers, status, asked):
    """The step itself runs; `curl` gives the answers in turn, the last one again and again."""
    (step,) = [step for step in steps(TEXTS["deploy"]) if "app.version" in step.get("run", "")]
    (tmp_path / "app.version").write_text("0.1.0+11111111\n")
    for number, answer in enumerate(answers):
        (tmp_path / f"answer-{number}").write_text(answer)
    curl = f'echo >> asked; n=$(wc -l < asked); n=$((n > {len(answers)} ? {len(answers)} : n)); cat "answer-$((n - 1))"'
    for name, script in {"curl": curl, "sleep": "exit 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HEALTH_URL": "https://app.example/api/health"}
    done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, env=env, capture_output=True, check=False)
    assert (done.returncode, (tmp_path / "asked").read_text().count("\n")) == (status, asked)


def test_every_pinned_file_is_audited():
    pinned = {"requirements.txt", "requirements-dev.txt", "dev/fhir/package-lock.json"}
    on = triggers(TEXTS["audit"])
    assert set(on["push"]["paths"]) == set(on["pull_request"]["paths"]) == pinned
    assert "schedule" in on
    assert verbs(TEXTS["audit"]) == {"audit"}
    assert [path for path in pinned if not (ROOT / path).exists()] == []


def test_variables_are_documented():
    page = (ROOT / "docs" / "deploy.md").read_text()
    used = {name for text in TEXTS.values() for name in re.findall(r"vars\.(\w+)", text)}
    assert {name for name in used if f"gh variable set {name} " not in page} == set()
