"""Rules of who may do what: roles, and the identities that they and the settings name."""

from typing import Any

from tests.infra.compiler import rule
from tests.infra.tables import FHIR_ACTIONS, ROLES
from tests.infra.template import Declared, call, dotted


@rule
def roles_are_those_of_the_table(infra):
    found = []
    for one in infra.made("Microsoft.Authorization/roleAssignments"):
        who = "operator" if dotted(one.value("properties.principalId")) == "operatorPrincipalId" else "app"
        kind = "operatorPrincipalType" if who == "operator" else "ServicePrincipal"
        if one.value("properties.principalType") != kind:
            yield f"{one.file}: {one.symbol} must have the principalType {kind}"
        role = _unless_chosen(infra, one.file, infra.resolved(one.file, _role(one)))
        if who == "operator" and not one.condition:
            yield f"{one.file}: {one.symbol} is given though nobody is named"
        if (scope := infra.templates[one.file].resources.get(one.body.get("scope", ""))) is None:
            yield f"{one.file}: {one.symbol} reaches farther than one resource"
            continue
        found.append((who, role, scope.kind))
    wanted = [(who, role, kind) for who, _, role, kind in ROLES]
    yield from (f"lacks {one}" for one in sorted(set(wanted) - set(found)))
    yield from (f"gives {one}" for one in sorted(set(found) - set(wanted), key=str))
    yield from (f"gives {one} twice" for one in set(found) if found.count(one) > 1)


def _role(one: Declared) -> Any:
    kind, role, *_ = call(one.value("properties.roleDefinitionId"), "subscription_resource_id") or ["", ""]
    return role if kind == "Microsoft.Authorization/roleDefinitions" else ""


def _unless_chosen(infra, file, value):
    """What `empty(parameter) ? usual : parameter` is while nobody sets the parameter; any other value as it is."""
    parts = value.get("operator", {}).get("operands", {}) if isinstance(value, dict) else {}
    (chosen,) = call(parts.get("condition"), "empty") or [None]
    is_choice = chosen is not None and chosen == parts["false_value"]
    return infra.resolved(file, parts["true_value"]) if is_choice else value


@rule
def the_role_for_fhir_allows_what_the_app_does(infra):
    for one in infra.made("Microsoft.Authorization/roleDefinitions"):
        (permission,) = one.value("properties.permissions")
        found = [infra.filled(one.file, action) for action in permission["dataActions"]]
        wanted = [f"Microsoft.HealthcareApis/workspaces/fhirservices/resources/{action}" for action in FHIR_ACTIONS]
        if found != wanted or permission["actions"]:
            yield f"{one.file}: {one.symbol} allows {found} and {permission['actions']}"


@rule
def role_assignments_have_names_of_their_own(infra):
    """Made from the resource, the principal and the role: the same at every deployment, and never those of another."""
    for one in infra.made("Microsoft.Authorization/roleAssignments"):
        wanted = [f"{one.body.get('scope')}.id", dotted(one.value("properties.principalId")), dotted(_role(one))]
        if [dotted(part) for part in call(one.body["name"], "guid")] != wanted:
            yield f"{one.file}: the name of {one.symbol} is not guid({', '.join(wanted)})"


@rule
def roles_and_settings_are_of_the_one_identity(infra):
    for module in infra.modules():
        for name, output in [
            ("principalId", "principalId"),
            ("clientId", "clientId"),
            ("identityClientId", "clientId"),
        ]:
            value = dotted(module.value(f"params.{name}"))
            if value not in {"", output, f"identity.outputs.{output}"}:
                yield f"{module.file}: {module.symbol} gets {value} for {name}"
