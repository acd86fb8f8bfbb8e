"""Rules that the templates are held to, one function each: what is wrong, as a list of sentences."""

import json
import re

from tests.infra.compiler import rule
from tests.infra.settings import app_settings, documented_settings, queue_triggers, status_fields
from tests.infra.tables import (
    ENDPOINTS,
    HARDENING,
    HOST_SETTINGS,
    INSIGHTS_TABLES,
    NAMES,
    WAITS,
    WINDOWS,
)
from tests.infra.template import ROOT, call, dotted, objects

MAIN, RESOURCES, APP = "infra/main.bicep", "infra/resources.bicep", "infra/modules/function-app.bicep"
KEYS = re.compile(r"listKeys|listAccountSas|listServiceSas|AccountKey|SharedAccessKey|InstrumentationKey|\bSAS\b")
SECRET = re.compile(r"secret|password|pwd|token(?!uri)|connection_?string|account_?key", re.IGNORECASE)
FUNCTIONS = re.findall(r"^async def (\w+)\(", (ROOT / "function_app.py").read_text(), re.MULTILINE)
EVENT = re.compile(r'"([a-z]+(?:_[a-z]+)+) ?"')


@rule
def logs_are_kept_as_long_as_is_said(infra):
    workspaces, tables = (infra.made(f"Microsoft.OperationalInsights/workspaces{kind}") for kind in ("", "/tables"))
    for one, name in [
        *((one, "retentionInDays") for one in (*workspaces, *tables)),
        *((one, "totalRetentionInDays") for one in tables),
    ]:
        if dotted(one.value(f"properties.{name}")) != "retentionDays":
            yield f"{one.file}: {name} of {one.symbol} is {one.value(f'properties.{name}')}"
    set_here = {name for one in tables for name in infra.templates[one.file].variables["insightsTables"]}
    yield from (f"{name} keeps 90 days" for name in sorted(INSIGHTS_TABLES - set_here))


@rule
def connections_by_identity_are_complete(infra):
    """Without credential and client id the app starts, and no trigger ever fires."""
    settings = app_settings(infra)
    for service in ("blob", "queue", "table"):
        value = dotted(settings.get(f"AzureWebJobsStorage__{service}ServiceUri"))
        if value != f"storage.properties.primaryEndpoints.{service}":
            yield f"AzureWebJobsStorage__{service}ServiceUri is {value or 'missing'}"
    if settings.get("AzureWebJobsStorage__credential") != "managedidentity":
        yield "AzureWebJobsStorage__credential must be managedidentity"
    yield from (
        f"{name} is not the client id of the identity"
        for name in ("AzureWebJobsStorage__clientId", "AZURE_CLIENT_ID")
        if settings.get(name) != "identityClientId"
    )
    if "APPLICATIONINSIGHTS_CONNECTION_STRING" not in settings:
        yield "APPLICATIONINSIGHTS_CONNECTION_STRING is missing"
    if settings.get("APPLICATIONINSIGHTS_AUTHENTICATION_STRING") != "ClientId=${identityClientId};Authorization=AAD":
        yield "APPLICATIONINSIGHTS_AUTHENTICATION_STRING does not name the identity"
    for app in infra.made("Microsoft.Web/sites"):
        if "${identityId}" not in json.dumps(app.value("identity.userAssignedIdentities")):
            yield f"{app.file}: {app.symbol} does not have the identity"
    for section in ("DicomWeb", "Fhir"):
        prefix = f"{section}__Authentication__ManagedIdentityCredential__"
        wanted = {prefix + name for name in ("Resource", "ClientId")}
        wanted |= {f"{section}__Authentication__{name}" for name in ("Enabled", "AuthenticationType")}
        yield from (f"{name} is missing" for name in wanted - set(settings))


@rule
def no_keys(infra):
    for file, template in infra.templates.items():
        yield from (f"{file}: {found}" for found in KEYS.findall(template.text))
    yield from (f"{name} holds a key" for name in app_settings(infra) if name == "AzureWebJobsStorage")


@rule
def no_secret_is_a_parameter_a_setting_or_an_output(infra):
    for file, template in infra.templates.items():
        yield from (f"{file}: parameter {name}" for name in template.parameters if SECRET.search(name))
        for name, value in template.outputs.items():
            if SECRET.search(name) or SECRET.search(json.dumps(value)):
                yield f"{file}: output {name}"
    allowed = {"APPLICATIONINSIGHTS_CONNECTION_STRING"}
    yield from (f"setting {name}" for name in set(app_settings(infra)) - allowed if SECRET.search(name))


@rule
def resources_are_hardened(infra):
    for kind, path, wanted in HARDENING:
        if not (made := infra.made(kind)):
            yield f"there is no {kind}"
        for one in made:
            value = infra.resolved(one.file, one.value(path))
            if isinstance(value, dict) and "operator" in value:
                value = value["operator"]["operands"]
            if type(value) is not type(wanted) or value != wanted:
                yield f"{one.file}: {path} of {one.symbol} is {value}"


@rule
def publishing_by_password_is_off(infra):
    kind = "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
    names = {one.body["name"] for one in infra.made(kind)}
    yield from (f"{name} still takes user name and password" for name in {"ftp", "scm"} - names)


@rule
def the_app_is_python_on_flex_consumption(infra):
    plans, apps = infra.made("Microsoft.Web/serverfarms"), infra.made("Microsoft.Web/sites")
    wanted = [(plans, "sku.name", "FC1"), (plans, "sku.tier", "FlexConsumption"), (plans, "properties.reserved", True)]
    wanted += [(apps, "properties.functionAppConfig.runtime.name", "python"), (apps, "kind", "functionapp,linux")]
    for found, path, value in wanted:
        yield from (f"{path} of {one.symbol} must be {value}" for one in found if one.value(path) != value)
        if len(found) != 1:
            yield f"one app has one plan, and there are {len(found)} for {path}"


@rule
def private_endpoints_have_their_zones(infra):
    variables = infra.templates["infra/modules/network.bicep"].variables
    found = {one["group"]: set(one["zones"]) for one in objects(variables) if {"group", "zones"} <= set(one)}
    yield from (f"{group}: {found.get(group)}" for group in ENDPOINTS if found.get(group) != ENDPOINTS[group])
    for one in infra.made("Microsoft.Network/virtualNetworks"):
        if "Microsoft.App/environments" not in json.dumps(one.body):
            yield f"{one.file}: no subnet is delegated to the app"


@rule
def required_settings_are_set(infra):
    settings = app_settings(infra)
    for name, default in documented_settings().items():
        if default == "required" and name not in settings and f"{name}__credential" not in settings:
            yield f"{name} is required and not set"


@rule
def settings_that_are_set_are_known(infra):
    known = {*documented_settings(), *HOST_SETTINGS}
    yield from (f"nobody reads {name}" for name in set(app_settings(infra)) - known)


@rule
def azd_finds_the_app(infra):
    services = re.search(r"^services:\n((?:  .*\n)+)", infra.files["azure.yaml"], re.MULTILINE)
    keys = re.findall(r"^  (\w+):", services[1], re.MULTILINE) if services else []
    tags = re.findall(r"'azd-service-name': '(\w+)'", infra.files[APP])
    if keys != tags:
        yield f"azure.yaml has the services {keys}, the template the tags {tags}"
    for key in keys:
        if f"SERVICE_{key.upper()}_NAME" not in infra.templates[MAIN].outputs:
            yield f"SERVICE_{key.upper()}_NAME is no output"


@rule
def names_are_within_limits(infra):
    short = infra.json("infra/abbreviations.json")
    names = infra.templates[RESOURCES].variables["names"]
    yield from (f"no limit is known for {name}" for name in set(names) - set(NAMES))
    for name, written in names.items():
        made = re.sub(r"\$\{abbreviations\.(\w+)\}", lambda found: short.get(found[1], "?"), written)
        made = made.replace("${suffix}", "a1b2c3d4e5f6g")
        if not re.fullmatch(NAMES.get(name, ".*"), made):
            yield f"{name} would be {made}"


@rule
def parameters_agree(infra):
    """main.parameters.json, main.bicep and resources.bicep: the same parameters with the same defaults."""
    main, inner = infra.templates[MAIN].parameters, infra.templates[RESOURCES].parameters
    given = {name: one["value"] for name, one in infra.json("infra/main.parameters.json")["parameters"].items()}
    yield from (f"main.parameters.json and main.bicep: {name}" for name in set(given) ^ set(main))
    yield from (f"main.bicep and resources.bicep: {name}" for name in set(main) ^ set(inner) ^ {"resourceGroupName"})
    for name in set(main) & set(inner) - {"location"}:
        if main[name] != inner[name]:
            yield f"main.bicep and resources.bicep declare {name} differently"
    variables = []
    for name, value in given.items():
        variable = re.fullmatch(r"\$\{(\w+)(?:=(.*))?\}", str(value))
        default = main.get(name, {}).get("default")
        shown = default if default is None or isinstance(default, str | dict) else json.dumps(default)
        if (variable[2] if variable else value) != shown:
            yield f"the default of {name} is {default} in main.bicep, {value} in main.parameters.json"
        variables += [variable[1]] if variable else []
    yield from (f"{name} is read twice" for name in set(variables) if variables.count(name) > 1)
    echoes = {"AZURE_LOCATION", "AZURE_RESOURCE_GROUP"}
    for name in set(infra.templates[MAIN].outputs) & set(variables) - echoes:
        yield f"{name} is an output and would be taken for a choice of the user"


@rule
def queues_are_those_of_the_app(infra):
    """The trigger, its poison queue as the host names it, and the encoding that the app sends with."""
    setting = infra.resolved(RESOURCES, app_settings(infra).get("STUDY_QUEUE_NAME"))
    module = next(one for one in infra.modules() if one.kind == "infra/modules/storage.bicep")
    made = {infra.filled(RESOURCES, name) for name in module.value("params.queueNames")}
    if made != queue_triggers(setting):
        yield f"made are {sorted(made)}, the app listens to {sorted(queue_triggers(setting))}"
    queues = infra.json("host.json")["extensions"]["queues"]
    if queues["messageEncoding"] != "base64" or queues["maxDequeueCount"] < 1:
        yield "host.json: messages are sent as base64, and go to the poison queue after a number of tries"


@rule
def what_needs_others_waits_for_them(infra):
    for file, symbol, other in WAITS:
        if f'"{other}"' not in json.dumps(infra.templates[file].modules[symbol].body):
            yield f"{file}: {symbol} does not wait for {other}"


@rule
def modules_are_deployed_where_they_belong(infra):
    """Roles go where their service is, which need not be this group."""
    if infra.templates[MAIN].tree.get("globals", {}).get("scope", {}).get("value") != "subscription":
        yield f"{MAIN} makes a resource group, and that is of a subscription"
    for module in infra.modules():
        scope = module.body.get("scope")
        if module.file == MAIN and scope != "group":
            yield f"{module.file}: {module.symbol} is not in the group"
        if module.kind.endswith("-role.bicep") and not call(scope, "resource_group"):
            yield f"{module.file}: {module.symbol} is not where its service is"


@rule
def alerts_are_whole(infra):
    for one in infra.templates["infra/modules/alerts.bicep"].variables["rules"]:
        missing = {"name", "severity", "description", "query", "window", "frequency"} - set(one)
        yield from (f"{one.get('name')} has no {name}" for name in missing)
        window, frequency = (WINDOWS.get(one.get(name), 0) for name in ("window", "frequency"))
        if not 0 < frequency <= window:
            yield f"{one.get('name')} is asked every {one.get('frequency')} about {one.get('window')}"
    for one in infra.made("Microsoft.Insights/scheduledQueryRules"):
        condition = one.value("properties.criteria.allOf.0")
        if (condition.get("operator"), condition.get("threshold")) != ("GreaterThan", 0):
            yield f"{one.symbol} fires on {condition.get('operator')} {condition.get('threshold')}"


@rule
def alerts_and_workbook_ask_for_lines_that_exist(infra):
    page = (ROOT / "docs" / "operations.md").read_text().split("\n## ")[1]
    events = {*re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE), *FUNCTIONS}
    for file in ("infra/modules/alerts.bicep", "infra/workbook.json"):
        text = infra.files[file].replace('\\"', '"')
        asked = {*EVENT.findall(text), *re.findall(r'startswith "(\w*) ?"', text)}
        yield from (f"{file}: nothing logs {name}" for name in asked - events)


@rule
def alerts_and_workbook_ask_for_fields_of_the_status_line(infra):
    known = status_fields()
    for file in ("infra/modules/alerts.bicep", "infra/workbook.json"):
        asked = set(re.findall(r'\\?" ([a-z_]+)=', infra.files[file]))
        yield from (f"{file}: the status line has no {name}" for name in asked - known)


@rule
def each_alert_has_one_query_and_looks_at_the_status_line(infra):
    """But for `failing`: a process that dies writes no line."""
    made = infra.templates["infra/modules/alerts.bicep"].variables["rules"]
    queries = [one.get("query") for one in made]
    yield from (f"{one['name']} has the query of another" for one in made if queries.count(one.get("query")) > 1)
    for one in made:
        if 'startswith "status "' not in one.get("query", "") and one["name"] != "failing":
            yield f"{one['name']} looks at other lines"


@rule
def host_keeps_the_rows_that_are_asked_for(infra):
    """Requests are logged by Host.Results, the app's lines by the category of their function."""
    logging = infra.json("host.json")["logging"]
    for category in ("Host.Results", *(f"Function.{name}.User" for name in FUNCTIONS)):
        if logging["logLevel"].get(category) != "Information":
            yield f"host.json: alerts and workbook need {category} at Information"
    sampling = logging["applicationInsights"]["samplingSettings"]
    if sampling["isEnabled"] and not {"Request", "Exception", "Trace"} <= set(sampling["excludedTypes"].split(";")):
        yield "host.json: alerts count rows that are sampled away"
