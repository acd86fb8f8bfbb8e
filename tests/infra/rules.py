"""Rules that what would be deployed is held to, one function each: what is wrong, as sentences."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator

from tests.infra.bicep import Deployment, at
from tests.infra.settings import HOST_SETTINGS, documented_settings, queue_triggers
from tests.infra.tables import (
    ALWAYS,
    BESIDES,
    ENDPOINTS,
    HARDENING,
    INSIGHTS_TABLES,
    NAMES,
    OUTSIDE_THE_GROUP,
    ROLES,
    WINDOWS,
)

KEYS = re.compile(r"listKeys|listAccountSas|listServiceSas|AccountKey|SharedAccessKey|InstrumentationKey|\bSAS\b")
SECRET = re.compile(r"secret|password|pwd|token(?!uri)|connection_?string|account_?key", re.IGNORECASE)
INSIGHTS_SETTING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
# the role of infra/fhir-role.bicep, and the operator, as the sets of parameters name them
FHIR, NARROW_ROLE = "Microsoft.HealthcareApis/workspaces/fhirservices", "00000000-0000-0000-0000-00000000000f"
OPERATOR = "00000000-0000-0000-0000-00000000000a"

Rule = Callable[[Deployment], Iterator[str]]
RULES: list[Rule] = []


def rule(check: Rule) -> Rule:
    RULES.append(check)
    return check


@rule
def it_is_expanded_as_a_whole(made):
    yield from map(str, made.diagnostics)


@rule
def resources_are_those_of_the_set(made):
    found = Counter(one["type"] for one in made.resources)
    wanted = Counter(ALWAYS) + Counter(BESIDES[made.name])
    yield from (f"{kind}: {found[kind]}, not {wanted[kind]}" for kind in found | wanted if found[kind] != wanted[kind])


@rule
def names_are_within_limits(made):
    for one in made.resources:
        name = one["name"].rsplit("/", 1)[-1]
        if not re.fullmatch(NAMES.get(one["type"], ".*"), name):
            yield f"{one['type']} would be named {name}"


@rule
def roles_are_those_of_the_table(made):
    """The role, who gets it, and the resource that it is given on, in the subscription and group of that one."""
    who = {made.identity("principalId"): "app", OPERATOR: "operator"}
    found = []
    for one in made.of("Microsoft.Authorization/roleAssignments"):
        scope, _, _ = one["id"].rpartition("/providers/Microsoft.Authorization/roleAssignments/")
        given = one["properties"]
        role = given["roleDefinitionId"].rsplit("/", 1)[-1]
        found.append((who.get(given["principalId"], given["principalId"]), role, _kind(scope)))
        if given["roleDefinitionId"].split("/")[:5] != [*scope.split("/")[:3], "providers", "Microsoft.Authorization"]:
            yield f"{_kind(scope)}: the role is not of the scope's subscription"
        kinds = {"app": {"ServicePrincipal"}, "operator": {"User", "Group"}}
        if given["principalType"] not in kinds.get(found[-1][0], ()):
            yield f"{found[-1][0]}: principalType is {given['principalType']}"
        yield from _place(made, scope)
    yield from (f"gives {one} twice" for one, times in Counter(found).items() if times > 1)
    yield from (f"gives {one}" for one in set(found) - _wanted(made))
    yield from (f"lacks {one}" for one in _wanted(made) - set(found))


def _wanted(made: Deployment) -> set[tuple[str, str, str]]:
    """Roles of the table, as far as the set has an operator, services and a vault."""
    has = {
        "operator": made.name in {"existing", "new", "outside"},
        "Microsoft.HealthcareApis": made.name in {"existing", "new", "private"},
        "Microsoft.KeyVault": made.name in {"new", "private", "outside"},
    }
    return {
        (who, NARROW_ROLE if made.name == "private" and kind == FHIR else role, kind)
        for who, name, role, kind in ROLES
        if has.get(who, True)
        and has.get(kind.split("/")[0], True)
        # who keeps an existing vault knows who may write to it
        and (name != "Key Vault Secrets Officer" or made.of("Microsoft.KeyVault/vaults"))
    }


def _kind(scope: str) -> str:
    """`Microsoft.X/a/b` of a resource id; the id itself where it is none of a resource."""
    provider, *rest = scope.rpartition("/providers/")[2].split("/")
    return "/".join([provider, *rest[::2]]) if "/providers/" in scope else scope


def _place(made: Deployment, scope: str) -> Iterator[str]:
    elsewhere = OUTSIDE_THE_GROUP.get(made.name, {})
    for end, (subscription, group) in elsewhere.items():
        if scope.endswith(end):
            if scope.split("/")[2:5:2] != [f"00000000-0000-0000-0000-00000000000{subscription}", group]:
                yield f"the role on {end} is given in another place: {scope}"
            return
    if scope not in {one["id"] for one in made.resources}:
        yield f"a role is given on {scope}, which is not made here"


@rule
def role_assignments_have_names_of_their_own(made):
    names = Counter(one["name"] for one in made.of("Microsoft.Authorization/roleAssignments"))
    yield from (f"{name} is the name of {times}" for name, times in names.items() if times > 1)


@rule
def resources_are_hardened(made):
    is_private = made.name == "private"
    for kind, path, wanted in HARDENING:
        value = wanted[is_private] if isinstance(wanted, tuple) else wanted
        for one in made.of(kind):
            if type(at(one, path)) is not type(value) or at(one, path) != value:
                yield f"{path} of {one['name']} is {at(one, path)}"


@rule
def publishing_by_password_is_off(made):
    names = {one["name"].rsplit("/")[-1] for one in made.of("Microsoft.Web/sites/basicPublishingCredentialsPolicies")}
    yield from (f"{name} still takes user name and password" for name in {"ftp", "scm"} - names)


@rule
def the_app_is_python_on_flex_consumption(made):
    (plan,), (app,) = made.of("Microsoft.Web/serverfarms"), made.of("Microsoft.Web/sites")
    (identity,) = made.of("Microsoft.ManagedIdentity/userAssignedIdentities")
    (account,) = made.of("Microsoft.Storage/storageAccounts")
    storage = at(app, "properties.functionAppConfig.deployment.storage")
    wanted = [
        (at(plan, "sku"), {"name": "FC1", "tier": "FlexConsumption"}),
        (at(plan, "properties.reserved"), True),
        (app["kind"], "functionapp,linux"),
        (at(app, "properties.functionAppConfig.runtime.name"), "python"),
        (at(app, "properties.serverFarmId"), plan["id"]),
        (at(app, "identity.userAssignedIdentities"), {identity["id"]: {}}),
        (at(app, "properties.keyVaultReferenceIdentity"), identity["id"]),
        (storage["authentication"]["userAssignedIdentityResourceId"], identity["id"]),
        (account["id"] in storage["value"] and "'app-package'" in storage["value"], True),
        (at(app, "tags.azd-service-name"), "sync"),
    ]
    yield from (f"the app has {found}, not {value}" for found, value in wanted if found != value)


@rule
def connections_by_identity_are_complete(made):
    """Without credential and client id the app starts, and no trigger ever fires."""
    (account,) = made.of("Microsoft.Storage/storageAccounts")
    (insights,) = made.of("Microsoft.Insights/components")
    client_id = made.identity("clientId")
    wanted = {
        f"AzureWebJobsStorage__{service}ServiceUri": (
            f"[reference('{account['id']}', '{account['apiVersion']}').primaryEndpoints.{service}]"
        )
        for service in ("blob", "queue", "table")
    }
    wanted |= {
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": client_id,
        "AZURE_CLIENT_ID": client_id,
        INSIGHTS_SETTING: f"[reference('{insights['id']}', '{insights['apiVersion']}').ConnectionString]",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"[format('ClientId={{0}};Authorization=AAD', {client_id[1:-1]})]",
    }
    for name, value in wanted.items():
        if made.settings.get(name) != value:
            yield f"{name} is {made.settings.get(name, 'missing')}"


@rule
def settings_are_known_to_the_app(made):
    known = {*documented_settings(), *HOST_SETTINGS}
    yield from (f"nobody reads {name}" for name in set(made.settings) - known)


@rule
def no_key_and_no_secret_is_anywhere(made):
    text = json.dumps([made.resources, made.outputs])
    yield from (f"{found} is used" for found in set(KEYS.findall(text)))
    yield from (f"setting {name}" for name in made.settings if SECRET.search(name) and name != INSIGHTS_SETTING)
    yield from (f"setting {name} holds a key" for name in made.settings if name == "AzureWebJobsStorage")
    for name, value in made.outputs.items():
        if SECRET.search(name) or SECRET.search(str(value)):
            yield f"output {name}"


@rule
def logs_are_kept_as_long_as_is_said(made):
    days = 90 if made.name == "new" else 30
    tables = made.of("Microsoft.OperationalInsights/workspaces/tables")
    for one, names in [
        *((one, ["retentionInDays"]) for one in made.of("Microsoft.OperationalInsights/workspaces")),
        *((one, ["retentionInDays", "totalRetentionInDays"]) for one in tables),
    ]:
        yield from (f"{name} of {one['name']}" for name in names if at(one, f"properties.{name}") != days)
    set_here = {one["name"].rsplit("/")[-1] for one in tables}
    yield from (f"{name} keeps 90 days" for name in sorted(INSIGHTS_TABLES - set_here))


@rule
def queues_are_those_of_the_app(made):
    """The trigger's, and its poison queue as the host names it."""
    found = {one["name"].rsplit("/")[-1] for one in made.of("Microsoft.Storage/storageAccounts/queueServices/queues")}
    wanted = queue_triggers(made.settings.get("STUDY_QUEUE_NAME", ""))
    if found != wanted:
        yield f"made are {sorted(found)}, the app listens to {sorted(wanted)}"


@rule
def private_endpoints_have_their_zones(made):
    text, zones = json.dumps(made.resources), made.of("Microsoft.Network/privateDnsZones")
    wanted = {"blob", "queue", "table", "vault", "healthcareworkspace"} if made.name == "private" else set()
    groups = {}
    for one in made.of("Microsoft.Network/privateEndpoints"):
        group = at(one, "properties.privateLinkServiceConnections.0.properties.groupIds.0")
        (zone_group,) = [each for each in made.resources if each["name"] == f"{one['name']}/default"]
        ids = [at(each, "properties.privateDnsZoneId") for each in at(zone_group, "properties.privateDnsZoneConfigs")]
        groups[group] = {re.search(r"format\('([^']+)'", each)[1] for each in ids}
        yield from (f"{one['name']}: no zone {each} is made" for each in set(ids) - {zone["id"] for zone in zones})
    yield from (f"{group}: {groups.get(group)}" for group in wanted if groups.get(group) != ENDPOINTS[group])
    if wanted and "Microsoft.App/environments" not in text:
        yield "no subnet is delegated to the app"
    (app,) = made.of("Microsoft.Web/sites")
    subnet = str(at(app, "properties.virtualNetworkSubnetId") or "")
    if subnet.endswith("/subnets/app") != bool(wanted):
        yield f"the app sends from {subnet or 'the public network'}"


@rule
def alerts_are_whole(made):
    groups = [one["id"] for one in made.of("Microsoft.Insights/actionGroups")]
    workspaces = [one["id"] for one in made.of("Microsoft.OperationalInsights/workspaces")]
    for one in made.of("Microsoft.Insights/scheduledQueryRules"):
        name, has = one["name"], one["properties"]
        window, frequency = (WINDOWS.get(has[key], 0) for key in ("windowSize", "evaluationFrequency"))
        if not 0 < frequency <= window:
            yield f"{name} is asked every {has['evaluationFrequency']} about {has['windowSize']}"
        condition = at(has, "criteria.allOf.0")
        if (condition["operator"], condition["threshold"], has["autoMitigate"]) != ("GreaterThan", 0, True):
            yield f"{name} fires on {condition['operator']} {condition['threshold']}"
        if (at(has, "actions.actionGroups"), has["scopes"]) != (groups, workspaces):
            yield f"{name} asks {has['scopes']} and tells {at(has, 'actions.actionGroups')}"
