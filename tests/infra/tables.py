"""What the templates may hold: the tables that the rules look things up in."""

# resource types and the one version of each; all are in the Bicep compiler's own list of types
VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Authorization/roleDefinitions": "2022-04-01",
    "Microsoft.HealthcareApis/workspaces": "2024-03-31",
    "Microsoft.HealthcareApis/workspaces/dicomservices": "2024-03-31",
    "Microsoft.HealthcareApis/workspaces/fhirservices": "2024-03-31",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
    "Microsoft.Insights/scheduledQueryRules": "2023-12-01",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.KeyVault/vaults": "2024-11-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2025-05-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2025-05-01",
    "Microsoft.Network/virtualNetworks": "2025-05-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.OperationalInsights/workspaces/tables": "2025-07-01",
    "Microsoft.Resources/resourceGroups": "2024-11-01",
    "Microsoft.Storage/storageAccounts": "2025-06-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2025-06-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2025-06-01",
    "Microsoft.Storage/storageAccounts/queueServices": "2025-06-01",
    "Microsoft.Storage/storageAccounts/queueServices/queues": "2025-06-01",
    "Microsoft.Web/serverfarms": "2025-03-01",
    "Microsoft.Web/sites": "2025-03-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2025-03-01",
    "Microsoft.Web/sites/config": "2025-03-01",
}

STORAGE = "Microsoft.Storage/storageAccounts"
VAULT = "Microsoft.KeyVault/vaults"
# who, role, its id, and the type of resource it is given on: no more and no less; docs/security.md says why
ROLES = {
    ("app", "Storage Blob Data Owner", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", STORAGE),
    ("app", "Storage Queue Data Contributor", "974c5e8b-45b9-4653-ba55-5f855dd0fb88", STORAGE),
    ("app", "Storage Table Data Contributor", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", STORAGE),
    ("app", "Monitoring Metrics Publisher", "3913510d-42f4-4e42-8a64-420c390055eb", "Microsoft.Insights/components"),
    ("app", "Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6", VAULT),
    (
        "app",
        "DICOM Data Reader",
        "e89c7a3c-2f64-4fa1-a847-3e4c9ba4283a",
        "Microsoft.HealthcareApis/workspaces/dicomservices",
    ),
    (
        "app",
        "FHIR Data Writer",
        "3f88fce4-5892-4214-ae73-ba5294559913",
        "Microsoft.HealthcareApis/workspaces/fhirservices",
    ),
    ("operator", "Storage Queue Data Message Sender", "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a", STORAGE),
    ("operator", "Storage Queue Data Reader", "19e7f393-937e-4f77-808e-94535e297925", STORAGE),
    ("operator", "Storage Table Data Contributor", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", STORAGE),
    ("operator", "Key Vault Secrets Officer", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7", VAULT),
}

PRIVATE_ONLY = {"condition": "privateOnly", "true_value": "Disabled", "false_value": "Enabled"}
DENY = {"condition": "privateOnly", "true_value": "Deny", "false_value": "Allow"}
# type, property, value
HARDENING = [
    (STORAGE, "properties.allowBlobPublicAccess", False),
    (STORAGE, "properties.allowCrossTenantReplication", False),
    (STORAGE, "properties.allowSharedKeyAccess", False),
    (STORAGE, "properties.defaultToOAuthAuthentication", True),
    (STORAGE, "properties.minimumTlsVersion", "TLS1_2"),
    (STORAGE, "properties.supportsHttpsTrafficOnly", True),
    (STORAGE, "properties.publicNetworkAccess", PRIVATE_ONLY),
    (STORAGE, "properties.networkAcls.defaultAction", DENY),
    ("Microsoft.Storage/storageAccounts/blobServices/containers", "properties.publicAccess", "None"),
    (VAULT, "properties.enableRbacAuthorization", True),
    (VAULT, "properties.enableSoftDelete", True),
    (VAULT, "properties.enablePurgeProtection", True),
    (VAULT, "properties.publicNetworkAccess", PRIVATE_ONLY),
    (VAULT, "properties.networkAcls.defaultAction", DENY),
    ("Microsoft.OperationalInsights/workspaces", "properties.features.disableLocalAuth", True),
    ("Microsoft.Insights/components", "properties.DisableLocalAuth", True),
    ("Microsoft.HealthcareApis/workspaces", "properties.publicNetworkAccess", PRIVATE_ONLY),
    ("Microsoft.HealthcareApis/workspaces/dicomservices", "properties.publicNetworkAccess", PRIVATE_ONLY),
    ("Microsoft.HealthcareApis/workspaces/fhirservices", "properties.publicNetworkAccess", PRIVATE_ONLY),
    ("Microsoft.Web/sites", "properties.httpsOnly", True),
    ("Microsoft.Web/sites", "properties.siteConfig.minTlsVersion", "1.2"),
    ("Microsoft.Web/sites", "identity.type", "UserAssigned"),
    (
        "Microsoft.Web/sites",
        "properties.functionAppConfig.deployment.storage.authentication.type",
        "UserAssignedIdentity",
    ),
    ("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "properties.allow", False),
]

SITE, DEPLOYMENT = "Microsoft.Web/sites", "properties.functionAppConfig.deployment.storage"
CONDITION, LINK = "properties.criteria.allOf.0", "properties.privateLinkServiceConnections.0"
# what a resource of each type cannot be without: `name` for all, `parent` for children, and these
REQUIRED = {
    "Microsoft.Authorization/roleDefinitions": "properties.roleName properties.assignableScopes properties.type",
    "Microsoft.HealthcareApis/workspaces": "location",
    "Microsoft.HealthcareApis/workspaces/dicomservices": "location",
    "Microsoft.HealthcareApis/workspaces/fhirservices": (
        "location kind properties.authenticationConfiguration.authority properties.authenticationConfiguration.audience"
    ),
    "Microsoft.Insights/actionGroups": (
        "location properties.enabled properties.groupShortName"
        " properties.emailReceivers.0.name properties.emailReceivers.0.emailAddress"
    ),
    "Microsoft.Insights/components": "location kind properties.Application_Type properties.WorkspaceResourceId",
    "Microsoft.Insights/diagnosticSettings": (
        "scope properties.workspaceId properties.logs.0.categoryGroup properties.logs.0.enabled"
    ),
    "Microsoft.Insights/scheduledQueryRules": (
        "location kind properties.severity properties.enabled properties.autoMitigate properties.scopes"
        " properties.evaluationFrequency properties.windowSize properties.skipQueryValidation"
        f" properties.actions.actionGroups {CONDITION}.query {CONDITION}.timeAggregation {CONDITION}.operator"
        f" {CONDITION}.threshold"
    ),
    "Microsoft.Insights/workbooks": (
        "location kind properties.displayName properties.category properties.sourceId properties.serializedData"
    ),
    VAULT: "location properties.tenantId properties.sku.family properties.sku.name",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "location",
    "Microsoft.Network/privateDnsZones": "location",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": (
        "location properties.registrationEnabled properties.virtualNetwork.id"
    ),
    "Microsoft.Network/privateEndpoints": (
        f"location properties.subnet.id {LINK}.name {LINK}.properties.privateLinkServiceId {LINK}.properties.groupIds"
    ),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "properties.privateDnsZoneConfigs dependsOn",
    "Microsoft.Network/virtualNetworks": (
        "location properties.addressSpace.addressPrefixes properties.subnets.0.name"
        " properties.subnets.0.properties.addressPrefix properties.subnets.1.name"
        " properties.subnets.1.properties.addressPrefix"
    ),
    "Microsoft.OperationalInsights/workspaces": "location properties.sku.name properties.retentionInDays",
    "Microsoft.OperationalInsights/workspaces/tables": "properties.retentionInDays properties.totalRetentionInDays",
    "Microsoft.Resources/resourceGroups": "location tags",
    STORAGE: "location kind sku.name",
    "Microsoft.Web/serverfarms": "location",
    SITE: (
        "location tags properties.serverFarmId properties.keyVaultReferenceIdentity identity.userAssignedIdentities"
        f" {DEPLOYMENT}.type {DEPLOYMENT}.value {DEPLOYMENT}.authentication.userAssignedIdentityResourceId"
        " properties.functionAppConfig.scaleAndConcurrency.triggers.http.perInstanceConcurrency"
    ),
}

MODULES = "infra/modules/"
# file, module, what it must name, directly or in `dependsOn`
WAITS = [
    # the first start is refused where the app comes before its roles
    *(("infra/resources.bicep", "app", other) for other in ("rbac", "vault", "dicom", "fhir")),
    # a role needs the service that it is given on
    *(("infra/resources.bicep", module, "healthServices") for module in ("dicom", "fhir", "network")),
    (MODULES + "vault.bicep", "role", "vault"),
]

# what a log alert may have for a window (Azure Monitor), in minutes
WINDOWS = {
    "PT5M": 5,
    "PT10M": 10,
    "PT15M": 15,
    "PT30M": 30,
    "PT45M": 45,
    "PT1H": 60,
    "PT6H": 360,
    "P1D": 1440,
    "P2D": 2880,
}

# private endpoints: group id, and the DNS zones that make its names lead there
ENDPOINTS = {
    "blob": {"privatelink.blob.${suffix}"},
    "queue": {"privatelink.queue.${suffix}"},
    "table": {"privatelink.table.${suffix}"},
    "vault": {"privatelink.vaultcore.azure.net"},
    "healthcareworkspace": {
        "privatelink.workspace.azurehealthcareapis.com",
        "privatelink.dicom.azurehealthcareapis.com",
        "privatelink.fhir.azurehealthcareapis.com",
    },
}

# tables of a workspace that Application Insights writes to: each keeps 90 days unless its own retention is set
INSIGHTS_TABLES = {
    *("AppAvailabilityResults", "AppBrowserTimings", "AppDependencies", "AppEvents", "AppExceptions", "AppMetrics"),
    *("AppPageViews", "AppPerformanceCounters", "AppRequests", "AppSystemEvents", "AppTraces"),
}

# what the app does on a FHIR service, of the data actions of Microsoft.HealthcareApis/workspaces/fhirservices/resources
FHIR_ACTIONS = ["read", "write", "delete"]

# settings that the Functions host or a library reads; those of the app are in docs/settings.md
HOST_SETTINGS = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AZURE_CLIENT_ID",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__credential",
}

# names with a suffix of 13 characters: what each kind of resource allows
NAMES = {
    "actionGroup": r"[\w.-]{1,260}",
    "alertRule": r"[\w.-]{1,230}",
    "applicationInsights": r"[\w.-]{1,255}",
    "dicomService": r"[a-z0-9-]{3,24}",
    "fhirService": r"[a-z0-9-]{3,24}",
    # the host cuts its id to 32 characters
    "functionApp": r"[a-z][a-z0-9-]{0,30}[a-z0-9]",
    "functionPlan": r"[a-z0-9-]{1,40}",
    "healthWorkspace": r"[a-z0-9]{3,24}",
    "identity": r"[A-Za-z0-9][\w-]{2,127}",
    "keyVault": r"(?=.{3,24}$)[a-z](-?[a-z0-9])+",
    "logAnalytics": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "storageAccount": r"[a-z0-9]{3,24}",
    "virtualNetwork": r"[A-Za-z0-9][\w.-]{1,63}",
}
