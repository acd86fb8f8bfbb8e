"""The templates compile without a word and keep the rules. Each rule is shown to find a fault somebody could make."""

import pytest

from tests.infra import files, rules
from tests.infra.bicep import NAMES, Templates

pytestmark = pytest.mark.needs("bicep")

M = "infra/modules/"
# rule, set of parameters, file, text, what stands in its place, a word of what the rule says: all in one copy
FAULTS = [
    (
        rules.resources_are_those_of_the_set,
        "new",
        "infra/resources.bicep",
        "if (!empty(alertEmail))",
        "if (empty(alertEmail))",
        "scheduledQueryRules: 0, not 10",
    ),
    (
        rules.names_are_within_limits,
        "new",
        "infra/abbreviations.json",
        '"kv-"',
        '"vault-of-secrets-"',
        "vault-of-secrets-",
    ),
    (
        rules.roles_are_those_of_the_table,
        "new",
        M + "rbac.bicep",
        "  scope: insights\n",
        "  scope: storage\n",
        "lacks ('app', '3913510d",
    ),
    (rules.roles_are_those_of_the_table, "new", "infra/roles.json", "b7e6dc6d", "b24988ac", "gives ('app', 'b24988ac"),
    (
        rules.roles_are_those_of_the_table,
        "new",
        M + "ahds-role.bicep",
        "principalType: 'ServicePrincipal'",
        "principalType: 'User'",
        "app: principalType is User",
    ),
    (
        rules.roles_are_those_of_the_table,
        "private",
        M + "connection.bicep",
        "resourceGroup(parts[2], parts[4])",
        "resourceGroup(parts[2], last(parts))",
        "given in another place",
    ),
    (
        rules.roles_are_those_of_the_table,
        "first",
        M + "rbac.bicep",
        "= if (!empty(operatorPrincipalId)) {",
        "= {",
        "gives (''",
    ),
    (
        rules.roles_are_those_of_the_table,
        "outside",
        M + "vault.bicep",
        "isNew ? operatorPrincipalId : ''",
        "operatorPrincipalId",
        "gives ('operator', 'b86a8fe4",
    ),
    (
        rules.role_assignments_have_names_of_their_own,
        "new",
        M + "rbac.bicep",
        "guid(storage.id, identityId, roles.storageTableDataContributor)",
        "guid(storage.id, identityId, roles.storageQueueDataContributor)",
        "is the name of 2",
    ),
    (
        rules.resources_are_hardened,
        "new",
        M + "storage.bicep",
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
        "allowSharedKeyAccess",
    ),
    (
        rules.resources_are_hardened,
        "private",
        M + "keyvault.bicep",
        "privateOnly ? 'Disabled' : 'Enabled'",
        "privateOnly ? 'Enabled' : 'Enabled'",
        "properties.publicNetworkAccess of",
    ),
    (rules.publishing_by_password_is_off, "new", M + "function-app.bicep", "  name: 'ftp'", "  name: 'scm2'", "ftp"),
    (
        rules.the_app_is_python_on_flex_consumption,
        "new",
        M + "function-app.bicep",
        "kind: 'functionapp,linux'",
        "kind: 'functionapp'",
        "functionapp,linux",
    ),
    (
        rules.connections_by_identity_are_complete,
        "new",
        M + "function-app.bicep",
        "AzureWebJobsStorage__credential: 'managedidentity'",
        "AzureWebJobsStorage__credential: 'key'",
        "credential is key",
    ),
    (
        rules.connections_by_identity_are_complete,
        "new",
        "infra/resources.bicep",
        "identityClientId: identity.outputs.clientId",
        "identityClientId: identity.outputs.principalId",
        "AZURE_CLIENT_ID",
    ),
    (
        rules.settings_are_known_to_the_app,
        "new",
        "infra/resources.bicep",
        "SYNC_SCHEDULE:",
        "SYNC_SCHEDULES:",
        "SYNC_SCHEDULES",
    ),
    (
        rules.no_key_and_no_secret_is_anywhere,
        "new",
        M + "function-app.bicep",
        "insights.properties.ConnectionString",
        "insights.properties.InstrumentationKey",
        "InstrumentationKey is used",
    ),
    (
        rules.no_key_and_no_secret_is_anywhere,
        "new",
        M + "connection.bicep",
        "  '${section}__Endpoint': url\n",
        "  '${section}__Endpoint': url\n  '${section}__Authentication__ClientSecret': url\n",
        "setting Fhir__Authentication__ClientSecret",
    ),
    (
        rules.no_key_and_no_secret_is_anywhere,
        "new",
        "infra/main.bicep",
        "output AZURE_LOCATION string",
        "output APP_SECRET string = location\noutput AZURE_LOCATION string",
        "output APP_SECRET",
    ),
    (
        rules.logs_are_kept_as_long_as_is_said,
        "new",
        M + "monitoring.bicep",
        "  'AppTraces'\n",
        "",
        "AppTraces keeps 90 days",
    ),
    (
        rules.logs_are_kept_as_long_as_is_said,
        "new",
        M + "monitoring.bicep",
        "totalRetentionInDays: retentionDays",
        "totalRetentionInDays: 365",
        "totalRetentionInDays",
    ),
    (rules.queues_are_those_of_the_app, "new", "infra/resources.bicep", "}-poison'", "}-dead'", "listens"),
    (
        rules.private_endpoints_have_their_zones,
        "private",
        M + "network.bicep",
        "privatelink.queue",
        "privatelink.file",
        "queue: {'privatelink.file",
    ),
    (
        rules.private_endpoints_have_their_zones,
        "private",
        M + "network.bicep",
        "Microsoft.App/environments",
        "Microsoft.Web/serverFarms",
        "no subnet",
    ),
    (rules.alerts_are_whole, "private", M + "alerts.bicep", "actionGroups: [people.id]", "actionGroups: []", "tells"),
    (rules.alerts_are_whole, "private", "infra/alerts.yaml", "frequency: PT5M", "frequency: P3D", "asked every P3D"),
]
# rule, file, text, what stands in its place, a word of what the rule says
FAULTS_OF_FILES = [
    (files.parameters_agree, files.PARAMETERS, "_COUNT=5}", "_COUNT=40}", "maximumInstanceCount"),
    (
        files.parameters_agree,
        "infra/resources.bicep",
        "param vnetEnabled bool = false",
        "param vnetEnabled bool = true",
        "vnetEnabled",
    ),
    (files.parameters_agree, files.PARAMETERS, "${DICOM_AUDIENCE", "${FHIR_AUDIENCE", "read twice"),
    (files.parameters_agree, files.PARAMETERS, "${DICOM_ENDPOINT", "${CONNECTED_DICOM_ENDPOINT", "choice of the user"),
    (
        files.no_secret_is_a_parameter,
        "infra/main.bicep",
        "param syncSchedule",
        "param fhirClientSecret string = ''\noutput ANY string = fhirClientSecret\nparam syncSchedule",
        "fhirClientSecret",
    ),
    (
        files.modules_wait_for_what_they_need,
        "infra/resources.bicep",
        "  dependsOn: [storage, monitoring]\n",
        "",
        "rbac does not wait for storage",
    ),
    (
        files.the_role_for_fhir_allows_what_the_app_does,
        "infra/fhir-role.bicep",
        "/delete'",
        "/export/action'",
        "export",
    ),
    (files.azd_finds_the_app, "azure.yaml", "  sync:", "  worker:", "worker"),
]


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    return Templates(tmp_path_factory.mktemp("templates") / "copy")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    changes = [(file, old, new) for *_, file, old, new, _ in (*FAULTS, *FAULTS_OF_FILES)]
    return Templates(tmp_path_factory.mktemp("faulty") / "copy", *changes)


@pytest.mark.parametrize("verb", ["build", "lint"])
@pytest.mark.parametrize("file", ["infra/main.bicep", "infra/fhir-role.bicep"])
def test_the_compiler_has_nothing_to_say(templates, verb, file):
    assert templates.complaints(verb, file) == []


def test_the_compiler_complains(tmp_path):
    faults = [
        (M + "rbac.bicep", "guid(storage.id, identityId, ", "guid(storage.id, principalId, "),
        (M + "storage.bicep", "  kind: 'StorageV2'\n", ""),
        (M + "keyvault.bicep", "vaults@2026-02-01", "vaults@2024-04-01-preview"),
    ]
    said = str(Templates(tmp_path / "copy", *faults).complaints("build", "infra/main.bicep"))
    for name in ("what-if-short-circuiting", "BCP035", "use-recent-api-versions"):
        assert name in said


@pytest.mark.parametrize("name", NAMES)
def test_what_would_be_deployed_keeps_the_rules(templates, name):
    made = templates.deployment(name)
    assert {check.__name__: problems for check in rules.RULES if (problems := list(check(made)))} == {}


def test_the_files_keep_the_rules(templates):
    assert {check.__name__: problems for check in files.RULES if (problems := list(check(templates)))} == {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: f"{one[0].__name__}-{one[-1]}")
def test_a_rule_finds_the_fault(faulty, fault):
    check, name, *_, says = fault
    assert says in "\n".join(check(faulty.deployment(name)))


@pytest.mark.parametrize("fault", FAULTS_OF_FILES, ids=lambda one: f"{one[0].__name__}-{one[-1]}")
def test_a_rule_finds_the_fault_of_a_file(faulty, fault):
    check, *_, says = fault
    assert says in "\n".join(check(faulty))


def test_a_module_that_what_if_cannot_look_into_is_found(tmp_path):
    """The number of zones hangs on the suffix of the cloud."""
    change = (
        "infra/modules/network.bicep",
        "endpoint => endpoint.zones)",
        "endpoint => map(endpoint.zones, zone => format(zone, suffix)))",
    )
    made = Templates(tmp_path / "copy", change).deployment("private")
    assert "NestedDeploymentShortCircuited" in "\n".join(rules.it_is_expanded_as_a_whole(made))


def test_every_rule_is_shown_to_fail():
    shown = {fault[0] for fault in (*FAULTS, *FAULTS_OF_FILES)} | {rules.it_is_expanded_as_a_whole}
    assert shown == {*rules.RULES, *files.RULES}
