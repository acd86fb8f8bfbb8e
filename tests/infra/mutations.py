"""Faults that somebody could make in the templates, each with the rule that must find it and a word of what it says."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.infra import access, compiler, rules
from tests.infra.rules import APP, MAIN, RESOURCES
from tests.infra.tables import HARDENING, REQUIRED
from tests.infra.template import Infra

MODULES = "infra/modules/"
STORAGE, RBAC, NETWORK = MODULES + "storage.bicep", MODULES + "rbac.bicep", MODULES + "network.bicep"
PARAMETERS = "infra/main.parameters.json"
FHIR_ROLE, MONITORING = "infra/fhir-role.bicep", MODULES + "monitoring.bicep"
CONNECTION, ALERTS, AHDS_ROLE = MODULES + "connection.bicep", MODULES + "alerts.bicep", MODULES + "ahds-role.bicep"


class Mutation(NamedTuple):
    rule: compiler.Rule
    file: str
    old: str
    new: str
    says: str


WRITTEN = [
    Mutation(compiler.every_file_parses, STORAGE, "  location: location\n", "  location: :\n", "storage.bicep"),
    Mutation(compiler.every_file_parses, "infra/workbook.json", "{", "", "workbook.json"),
    Mutation(
        compiler.names_are_declared_and_used, STORAGE, "name: containerName", "name: containrName", "not declared"
    ),
    Mutation(compiler.names_are_declared_and_used, STORAGE, "name: containerName", "name: 'packages'", "not used"),
    Mutation(compiler.names_are_declared_and_used, RBAC, ": 'ServicePrincipal'", ": ServicePrincipal", "not declared"),
    Mutation(compiler.names_are_declared_and_used, ALERTS, "${rule.name}'", "${rul.name}'", "rul is not declared"),
    Mutation(
        compiler.modules_exist_and_get_their_parameters,
        RESOURCES,
        "modules/alerts.bicep",
        "modules/alarms.bicep",
        "alarms",
    ),
    Mutation(
        compiler.modules_exist_and_get_their_parameters,
        RESOURCES,
        "zoneRedundant: zoneRedundant",
        "zones: true",
        "zones",
    ),
    Mutation(compiler.modules_exist_and_get_their_parameters, RESOURCES, "    email: alertEmail\n", "", "lacks email"),
    Mutation(
        compiler.properties_that_are_read_exist, RESOURCES, "identity.outputs.id\n", "identity.outputs.ident\n", "ident"
    ),
    Mutation(
        compiler.properties_that_are_read_exist, RESOURCES, "network!.outputs.app", "network!.outputs.site", "site"
    ),
    Mutation(compiler.properties_that_are_read_exist, RESOURCES, "names.keyVault", "names.vault", "no vault"),
    Mutation(compiler.properties_that_are_read_exist, RBAC, "roles.storageBlobDataOwner", "roles.owner", "no owner"),
    Mutation(compiler.properties_that_are_read_exist, RESOURCES, "{abbreviations.identity", "{abbreviations.i", "no i"),
    Mutation(
        compiler.resource_types_and_versions_are_known, STORAGE, "account 'Microsoft.Storage/", "account 'X/", "X/"
    ),
    Mutation(access.roles_are_those_of_the_table, RBAC, "scope: storage\n", "scope: insights\n", "gives"),
    Mutation(access.roles_are_those_of_the_table, RBAC, "  scope: storage\n", "", "farther"),
    Mutation(access.roles_are_those_of_the_table, RBAC, ": 'ServicePrincipal'", ": 'User'", "principalType"),
    Mutation(access.roles_are_those_of_the_table, RBAC, "    principalType: 'ServicePrincipal'\n", "", "principalType"),
    Mutation(access.roles_are_those_of_the_table, RBAC, "= if (!empty(operatorPrincipalId)) {", "= {", "nobody"),
    Mutation(
        access.roles_are_those_of_the_table,
        RBAC,
        "'Microsoft.Authorization/roleDefinitions', roles.storageBlob",
        "'Microsoft.Authorization/policyDefinitions', roles.storageBlob",
        "lacks",
    ),
    Mutation(
        access.roles_are_those_of_the_table,
        RBAC,
        "principalId: operatorPrincipalId",
        "principalId: principalId",
        "must have the principalType",
    ),
    Mutation(access.roles_are_those_of_the_table, AHDS_ROLE, "scope: dicom\n", "scope: workspace\n", "gives"),
    Mutation(
        access.roles_are_those_of_the_table, AHDS_ROLE, "? roles.fhirDataWriter", "? roles.dicomDataReader", "lacks"
    ),
    Mutation(access.the_role_for_fhir_allows_what_the_app_does, FHIR_ROLE, ", '${service}/delete'", "", "allows"),
    Mutation(access.the_role_for_fhir_allows_what_the_app_does, FHIR_ROLE, "/delete'", "/export/action'", "allows"),
    Mutation(access.the_role_for_fhir_allows_what_the_app_does, FHIR_ROLE, "actions: []", "actions: ['*']", "allows"),
    Mutation(rules.logs_are_kept_as_long_as_is_said, MONITORING, "  'AppTraces'\n", "", "AppTraces keeps 90 days"),
    Mutation(
        rules.logs_are_kept_as_long_as_is_said,
        MONITORING,
        "totalRetentionInDays: retentionDays",
        "plan: 'Analytics'",
        "is",
    ),
    Mutation(
        access.role_assignments_have_names_of_their_own,
        RBAC,
        "guid(storage.id, principalId, ",
        "guid(storage.id, ",
        "guid",
    ),
    Mutation(
        access.roles_and_settings_are_of_the_one_identity,
        RESOURCES,
        "principalId: identity.outputs.principalId",
        "principalId: identity.outputs.clientId",
        "gets identity.outputs.clientId",
    ),
    Mutation(
        access.roles_and_settings_are_of_the_one_identity,
        RESOURCES,
        "identityClientId: identity.outputs.clientId",
        "identityClientId: identity.outputs.principalId",
        "for identityClientId",
    ),
    Mutation(rules.connections_by_identity_are_complete, APP, "'${identityId}': {}", "'': {}", "have the identity"),
    Mutation(rules.no_keys, APP, "'managedidentity'", "storage.listKeys().keys[0].value", "listKeys"),
    Mutation(rules.no_keys, APP, "AzureWebJobsStorage__credential:", "AzureWebJobsStorage:", "holds a key"),
    Mutation(
        rules.no_keys, APP, "insights.properties.ConnectionString", "insights.properties.InstrumentationKey", "Key"
    ),
    Mutation(
        rules.no_secret_is_a_parameter_a_setting_or_an_output,
        MODULES + "monitoring.bicep",
        "output insightsName string = insights.name",
        "output insightsName string = insights.properties.ConnectionString",
        "output insightsName",
    ),
    Mutation(
        rules.no_secret_is_a_parameter_a_setting_or_an_output,
        MAIN,
        "param alertEmail string",
        "param fhirClientSecret string",
        "parameter fhirClientSecret",
    ),
    Mutation(
        rules.no_secret_is_a_parameter_a_setting_or_an_output,
        RESOURCES,
        "STUDY_QUEUE_NAME: queueName",
        "Fhir__Authentication__OAuth2ClientCredential__ClientSecret: queueName",
        "ClientSecret",
    ),
    Mutation(rules.publishing_by_password_is_off, APP, "  name: 'ftp'", "  name: 'ssh'", "ftp"),
    Mutation(rules.the_app_is_python_on_flex_consumption, APP, "'FC1'", "'Y1'", "sku.name"),
    Mutation(rules.the_app_is_python_on_flex_consumption, APP, "'functionapp,linux'", "'functionapp'", "kind"),
    Mutation(rules.the_app_is_python_on_flex_consumption, APP, "name: 'python'", "name: 'node'", "runtime"),
    Mutation(rules.private_endpoints_have_their_zones, NETWORK, "privatelink.queue", "privatelink.blob", "queue"),
    Mutation(rules.private_endpoints_have_their_zones, NETWORK, "    'privatelink.fhir", "    'private.fhir", "health"),
    Mutation(
        rules.private_endpoints_have_their_zones, NETWORK, "Microsoft.App/environ", "Microsoft.Web/farms", "subnet"
    ),
    Mutation(rules.required_settings_are_set, CONNECTION, "__Endpoint'", "__Url'", "Endpoint is required"),
    Mutation(rules.required_settings_are_set, APP, "Storage__credential", "Storage__kind", "AzureWebJobsStorage is"),
    Mutation(rules.settings_that_are_set_are_known, RESOURCES, "SYNC_SCHEDULE:", "SYNC_SCHEDULES:", "SYNC_SCHEDULES"),
    Mutation(
        rules.settings_that_are_set_are_known, APP, "AZURE_CLIENT_ID:", "FUNCTIONS_WORKER_RUNTIME:", "WORKER_RUNTIME"
    ),
    Mutation(rules.azd_finds_the_app, APP, "'azd-service-name': 'sync'", "'azd-service-name': 'api'", "api"),
    Mutation(rules.azd_finds_the_app, "azure.yaml", "  sync:", "  worker:", "worker"),
    Mutation(rules.azd_finds_the_app, MAIN, "SERVICE_SYNC_NAME", "FUNCTION_NAME", "no output"),
    Mutation(rules.names_are_within_limits, "infra/abbreviations.json", '"st"', '"st-"', "storageAccount"),
    Mutation(
        rules.names_are_within_limits, RESOURCES, ".keyVault}${suffix}", ".keyVault}${suffix}-of-secrets", "keyVault"
    ),
    Mutation(rules.names_are_within_limits, RESOURCES, "dicomService: 'dicom'", "dicomService: 'dc'", "dicomService"),
    Mutation(rules.names_are_within_limits, RESOURCES, "  identity: '$", "  person: '$", "no limit"),
    Mutation(rules.parameters_agree, PARAMETERS, '"alertEmail"', '"email"', "email"),
    Mutation(rules.parameters_agree, PARAMETERS, "_COUNT=5}", "_COUNT=40}", "maximumInstanceCount"),
    Mutation(rules.parameters_agree, PARAMETERS, "ENABLED=false", "ENABLED=true", "vnetEnabled"),
    Mutation(rules.parameters_agree, PARAMETERS, "${DICOM_AUDIENCE", "${FHIR_AUDIENCE", "read twice"),
    Mutation(rules.parameters_agree, PARAMETERS, "${DICOM_ENDPOINT", "${CONNECTED_DICOM_ENDPOINT", "choice"),
    Mutation(
        rules.parameters_agree, RESOURCES, "param vnetEnabled bool = false", "param vnetEnabled bool = true", "vnet"
    ),
    Mutation(rules.parameters_agree, MAIN, "@maxValue(730)", "@maxValue(365)", "logRetentionDays"),
    Mutation(rules.queues_are_those_of_the_app, RESOURCES, "}-poison'", "}-dead'", "listens"),
    Mutation(rules.queues_are_those_of_the_app, RESOURCES, "[queueName, ", "['work', ", "listens"),
    Mutation(rules.queues_are_those_of_the_app, "host.json", '"base64"', '"none"', "base64"),
    Mutation(rules.what_needs_others_waits_for_them, RESOURCES, "  dependsOn: [rbac]\n", "", "rbac"),
    Mutation(
        rules.what_needs_others_waits_for_them, RESOURCES, "KeyVault__Endpoint: vault.outputs.endpoint", "", "for vault"
    ),
    Mutation(
        rules.what_needs_others_waits_for_them, RESOURCES, "  dependsOn: [healthServices]\n", "", "healthServices"
    ),
    Mutation(rules.what_needs_others_waits_for_them, MODULES + "vault.bicep", "  dependsOn: [vault]\n", "", "role"),
    Mutation(
        rules.modules_are_deployed_where_they_belong,
        CONNECTION,
        "  scope: resourceGroup(parts[2], parts[4])\n",
        "",
        "where its service is",
    ),
    Mutation(rules.modules_are_deployed_where_they_belong, MAIN, "  scope: group\n", "", "not in the group"),
    Mutation(rules.modules_are_deployed_where_they_belong, MAIN, "targetScope = 'subscription'\n", "", "subscription"),
    Mutation(rules.alerts_are_whole, ALERTS, "    window: 'P2D'\n", "", "no window"),
    Mutation(rules.alerts_are_whole, ALERTS, "frequency: 'PT15M'", "frequency: 'P3D'", "every P3D"),
    Mutation(rules.alerts_are_whole, ALERTS, "operator: 'GreaterThan'", "operator: 'LessThan'", "fires on"),
    Mutation(rules.alerts_and_workbook_ask_for_lines_that_exist, ALERTS, '"status "', '"state "', "state"),
    Mutation(
        rules.alerts_and_workbook_ask_for_fields_of_the_status_line,
        ALERTS,
        '" retry_age_s=',
        '" retry_age=',
        "retry_age",
    ),
    Mutation(
        rules.alerts_and_workbook_ask_for_fields_of_the_status_line,
        "infra/workbook.json",
        " queue=",
        " depth=",
        "depth",
    ),
    Mutation(
        rules.each_alert_has_one_query_and_looks_at_the_status_line,
        ALERTS,
        'startswith "status "',
        'startswith "poll_failed "',
        "not-polling looks at other lines",
    ),
    Mutation(
        rules.alerts_and_workbook_ask_for_lines_that_exist,
        "infra/workbook.json",
        "services_back",
        "services_up",
        "ces_up",
    ),
    Mutation(
        rules.alerts_and_workbook_ask_for_lines_that_exist, ALERTS, '"sync_study_poison")', '"sync_poison")', "poison"
    ),
    Mutation(
        rules.host_keeps_the_rows_that_are_asked_for,
        "host.json",
        '"Host.Results": "Information"',
        '"Host.Results": "Warning"',
        "Host.Results",
    ),
    Mutation(
        rules.host_keeps_the_rows_that_are_asked_for,
        "host.json",
        '"Function.sync_study.User": "Information"',
        '"Function.sync_study.Users": "Information"',
        "User",
    ),
    Mutation(
        rules.host_keeps_the_rows_that_are_asked_for, "host.json", "Request;Exception;Trace", "Request", "sampled"
    ),
]

IDENTITY_BASED = [
    "AZURE_CLIENT_ID",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
]


def made(infra: Infra) -> Iterator[Mutation]:
    """The same fault at every place where it can be made."""
    for name in IDENTITY_BASED:
        line = re.search(rf"^ +{name}: .*\n", infra.files[APP], re.MULTILINE)
        yield Mutation(rules.connections_by_identity_are_complete, APP, line[0], "", name)
    for name in ("Enabled", "AuthenticationType", "ManagedIdentityCredential__Resource"):
        yield Mutation(rules.connections_by_identity_are_complete, CONNECTION, name, "Other", name)
    for one in infra.resources():
        paths = REQUIRED.get(one.kind, "").split() if not one.existing else []
        for path in ("name", *(["parent"] if one.kind.count("/") > 1 else []), *paths):
            yield left_out(infra, one.file, one.symbol, path)
    for role, guid in infra.json("infra/roles.json").items():
        other = guid[:-1] + ("0" if guid[-1] != "0" else "1")
        yield Mutation(access.roles_are_those_of_the_table, "infra/roles.json", guid, other, guid)
        if role.startswith("storage"):
            yield Mutation(access.roles_are_those_of_the_table, "infra/roles.json", guid, "b24988ac", "gives")
    for one in infra.resources():
        old = f"resource {one.symbol} '{one.kind}@"
        yield Mutation(compiler.resource_types_and_versions_are_known, one.file, old, old + "2019-", "2019-")
    for kind, path, _ in HARDENING:
        yield from (softened(infra, one.file, one.symbol, path) for one in infra.made(kind))


def softened(infra: Infra, file: str, symbol: str, path: str) -> Mutation:
    """What stands at this path of a resource, replaced by something else."""
    return changed(rules.resources_are_hardened, infra, (file, symbol, path), path.rsplit(".", maxsplit=1)[-1])


def left_out(infra: Infra, file: str, symbol: str, path: str) -> Mutation:
    rule = compiler.resources_and_modules_have_what_they_cannot_be_without
    return changed(rule, infra, (file, symbol, path), "renamed")._replace(says=f"{symbol} has no {path}")


def changed(rule: compiler.Rule, infra: Infra, place: tuple[str, str, str], name: str) -> Mutation:
    """The line of a path in a resource, with another value and under this name."""
    file, symbol, path = place
    text = infra.files[file]
    start = end = text.index(f"resource {symbol} ")
    for part in path.split("."):
        # the second of a list comes after the end of the first
        end = text.index("\n      }\n", end) if part == "1" else end if part == "0" else text.index(f" {part}:", end)
    old = text[start : text.index("\n", end + 1)]
    # what goes on in the next line stays as it is
    value = old[-1] if old[-1] in "{[" else "'Whatever'"
    new = old[: end - start] + f" {name}: {value}"
    return Mutation(rule, file, old, new, path)
