"""Rules for the files themselves, as the compiler writes them: what is wrong, as sentences."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.infra.bicep import Templates
from tests.infra.rules import SECRET
from tests.infra.tables import FHIR_ACTIONS, WAITS

MAIN, RESOURCES, PARAMETERS = "infra/main.bicep", "infra/resources.bicep", "infra/main.parameters.json"

Rule = Callable[[Templates], Iterator[str]]
RULES: list[Rule] = []


def rule(check: Rule) -> Rule:
    RULES.append(check)
    return check


@rule
def parameters_agree(templates):
    """main.parameters.json, main.bicep and resources.bicep: the same parameters with the same defaults."""
    main, inner = (templates.built(file)["parameters"] for file in (MAIN, RESOURCES))
    given = {name: one["value"] for name, one in templates.json(PARAMETERS)["parameters"].items()}
    yield from (f"main.parameters.json and main.bicep: {name}" for name in set(given) ^ set(main))
    yield from (f"main.bicep and resources.bicep: {name}" for name in set(main) ^ set(inner) ^ {"resourceGroupName"})
    for name in set(main) & set(inner) - {"location"}:
        if main[name] != inner[name]:
            yield f"main.bicep and resources.bicep declare {name} differently"
    variables = []
    for name, value in given.items():
        variable = re.fullmatch(r"\$\{(\w+)(?:=(.*))?\}", str(value))
        default = main.get(name, {}).get("defaultValue")
        shown = default if default is None or isinstance(default, str | dict) else json.dumps(default)
        if (variable[2] if variable else value) != shown:
            yield f"the default of {name} is {default} in main.bicep, {value} in main.parameters.json"
        variables += [variable[1]] if variable else []
    yield from (f"{name} is read twice" for name in set(variables) if variables.count(name) > 1)
    echoes = {"AZURE_LOCATION", "AZURE_RESOURCE_GROUP"}
    for name in set(templates.built(MAIN)["outputs"]) & set(variables) - echoes:
        yield f"{name} is an output and would be taken for a choice of the user"


@rule
def no_secret_is_a_parameter(templates):
    for file in (MAIN, RESOURCES):
        yield from (f"{file}: parameter {name}" for name in templates.built(file)["parameters"] if SECRET.search(name))


@rule
def modules_wait_for_what_they_need(templates):
    """A name that is computed makes nothing wait, so that what is said of it has to be said."""
    waits = {one["name"]: _before(one) for one in _modules(templates)}
    for name, others in WAITS.items():
        yield from (f"{name} does not wait for {other}" for other in others - _all_before(name, waits))


def _modules(templates: Templates) -> list[dict[str, Any]]:
    found = templates.built(RESOURCES)["resources"]
    return [one for one in (found.values() if isinstance(found, dict) else found) if "deployments" in one["type"]]


def _before(module: dict[str, Any]) -> set[str]:
    """Names of the modules in `dependsOn`."""
    return {re.search(r"deployments', '([\w-]+)'", one)[1] for one in module.get("dependsOn", [])}


def _all_before(name: str, waits: dict[str, set[str]]) -> set[str]:
    return waits[name].union(*(_all_before(other, waits) for other in waits[name]))


@rule
def the_role_for_fhir_allows_what_the_app_does(templates):
    wanted = [f"Microsoft.HealthcareApis/workspaces/fhirservices/resources/{action}" for action in FHIR_ACTIONS]
    built = templates.built("infra/fhir-role.bicep")
    (role,) = built["resources"]
    (permission,) = role["properties"]["permissions"]
    service = built["variables"]["service"]
    found = [
        re.sub(r"\[format\('\{0\}(.*)', variables\('service'\)\)\]", rf"{service}\1", one)
        for one in permission["dataActions"]
    ]
    if found != wanted or permission["actions"]:
        yield f"it allows {found} and {permission['actions']}"


@rule
def azd_finds_the_app(templates):
    services = re.search(r"^services:\n((?:  .*\n)+)", templates.read("azure.yaml"), re.MULTILINE)
    keys = re.findall(r"^  (\w+):", services[1], re.MULTILINE) if services else []
    tags = re.findall(r"'azd-service-name': '(\w+)'", templates.read("infra/modules/function-app.bicep"))
    if keys != tags:
        yield f"azure.yaml has the services {keys}, the template the tags {tags}"
    for key in keys:
        if f"SERVICE_{key.upper()}_NAME" not in templates.built(MAIN)["outputs"]:
            yield f"SERVICE_{key.upper()}_NAME is no output"
