"""What the pages say of the templates is what the templates do."""

import json
import re

import pytest
import yaml

from dev.process import ROOT
from tests.infra.bicep import Templates
from tests.infra.tables import ROLES

README, SECURITY = "infra/README.md", "docs/security.md"


def rows(page, heading):
    """Cells of each row of the table under a heading."""
    section = (ROOT / page).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][1:]


def test_every_parameter_is_on_the_page_with_its_variable_and_default():
    given = json.loads((ROOT / "infra" / "main.parameters.json").read_text())["parameters"]
    wanted = []
    for name, value in given.items():
        found = re.fullmatch(r"\$\{(\w+)(?:=(.*))?\}", str(value["value"]))
        variable, default = (found[1], found[2]) if found else (None, "{}")
        wanted.append((name, variable, {None: "required", "": "empty"}.get(default, default)))
    written = [[cell.strip("`") for cell in row] for row in rows(README, "Parameters")]
    assert [(name, variable.split(":")[0], default) for name, variable, default, _ in written] == [
        (name, variable or "none", default) for name, variable, default in wanted
    ]


def test_both_tables_of_roles_are_those_that_are_given():
    wanted = sorted((who, role) for who, role, *_ in ROLES)
    for page in (README, SECURITY):
        assert sorted((row[0], row[1]) for row in rows(page, "Roles")) == wanted, page


def test_every_alert_is_on_the_page_with_its_severity():
    made = yaml.safe_load((ROOT / "infra" / "alerts.yaml").read_text())
    written = {(row[0].strip("`"), int(row[1])) for row in rows("docs/operations.md", "Alerts")}
    assert written == {(one["name"], one["severity"]) for one in made}


@pytest.mark.needs("bicep")
def test_the_steps_by_hand_set_what_the_templates_set(tmp_path):
    page = (ROOT / "docs" / "deploy.md").read_text().split("\n## By hand, in the portal\n")[1].split("\n## ")[0]
    with_a_default = {"SYNC_SCHEDULE", "STUDY_QUEUE_NAME", "KeyVault__Endpoint"}
    by_the_portal = {"APPLICATIONINSIGHTS_CONNECTION_STRING"}
    named = set(re.findall(r"`(\w+)`", page))
    settings = Templates(tmp_path / "copy").deployment("first").settings
    assert set(settings) - with_a_default - by_the_portal - named == set()


@pytest.mark.needs("bicep")
def test_what_the_pages_ask_azd_for_is_an_output(tmp_path):
    page = (ROOT / "docs" / "deploy.md").read_text()
    asked = {
        *re.findall(r"azd env get-value (\w+)", page),
        *re.findall(r"\$(?:env:)?([A-Z_]+)", (ROOT / "azure.yaml").read_text()),
    }
    assert asked - set(Templates(tmp_path / "copy").built("infra/main.bicep")["outputs"]) == set()
    assert {"APP_HEALTH_URL", "AZURE_KEY_VAULT_NAME"} <= asked
