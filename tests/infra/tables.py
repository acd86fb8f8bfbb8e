"""What the templates may hold: the tables that the rules look things up in."""

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

# the value without and with a network of its own
PUBLIC_ACCESS, DEFAULT_ACTION = ("Enabled", "Disabled"), ("Allow", "Deny")
# type, property, value
HARDENING = [
    (STORAGE, "properties.allowBlobPublicAccess", False),
    (STORAGE, "properties.allowCrossTenantReplication", False),
    (STORAGE, "properties.allowSharedKeyAccess", False),
    (STORAGE, "properties.defaultToOAuthAuthentication", True),
    (STORAGE, "properties.minimumTlsVersion", "TLS1_2"),
    (STORAGE, "properties.supportsHttpsTrafficOnly", True),
    (STORAGE, "properties.publicNetworkAccess", PUBLIC_ACCESS),
    (STORAGE, "properties.networkAcls.defaultAction", DEFAULT_ACTION),
    ("Microsoft.Storage/storageAccounts/blobServices/containers", "properties.publicAccess", "None"),
    (VAULT, "properties.enableRbacAuthorization", True),
    (VAULT, "properties.enableSoftDelete", True),
    (VAULT, "properties.enablePurgeProtection", True),
    (VAULT, "properties.publicNetworkAccess", PUBLIC_ACCESS),
    (VAULT, "properties.networkAcls.defaultAction", DEFAULT_ACTION),
    ("Microsoft.OperationalInsights/workspaces", "properties.features.disableLocalAuth", True),
    ("Microsoft.Insights/components", "properties.DisableLocalAuth", True),
    ("Microsoft.HealthcareApis/workspaces", "properties.publicNetworkAccess", PUBLIC_ACCESS),
    ("Microsoft.HealthcareApis/workspaces/dicomservices", "properties.publicNetworkAccess", PUBLIC_ACCESS),
    ("Microsoft.HealthcareApis/workspaces/fhirservices", "properties.publicNetworkAccess", PUBLIC_ACCESS),
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

# module, the modules that must be there before it: by name, since names that are computed make nothing wait
WAITS = {
    # the first start is refused where the app comes before its roles; host and app need what they are told to use
    "function-app": {"rbac", "vault", "dicom", "fhir", "storage", "monitoring", "identity"},
    "rbac": {"identity", "storage", "monitoring"},
    "vault": {"identity", "monitoring"},
    "dicom": {"identity", "health-services"},
    "fhir": {"identity", "health-services"},
    "network": {"storage", "vault", "health-services"},
    "alerts": {"monitoring"},
    "workbook": {"monitoring"},
}

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

# private endpoints: group id, and the DNS zones that make its names lead there; {0} is the suffix of storage
ENDPOINTS = {
    "blob": {"privatelink.blob.{0}"},
    "queue": {"privatelink.queue.{0}"},
    "table": {"privatelink.table.{0}"},
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

# names as each kind of resource allows them
LETTERS = r"[a-z0-9-]"
NAMES = {
    "Microsoft.HealthcareApis/workspaces": r"[a-z0-9]{3,24}",
    "Microsoft.HealthcareApis/workspaces/dicomservices": LETTERS + "{3,24}",
    "Microsoft.HealthcareApis/workspaces/fhirservices": LETTERS + "{3,24}",
    "Microsoft.Insights/actionGroups": r"[\w.-]{1,260}",
    "Microsoft.Insights/components": r"[\w.-]{1,255}",
    "Microsoft.Insights/scheduledQueryRules": r"[\w.-]{1,260}",
    VAULT: r"(?=.{3,24}$)[a-z](-?[a-z0-9])+",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[A-Za-z0-9][\w-]{2,127}",
    "Microsoft.Network/virtualNetworks": r"[A-Za-z0-9][\w.-]{1,63}",
    "Microsoft.OperationalInsights/workspaces": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    STORAGE: r"[a-z0-9]{3,24}",
    "Microsoft.Web/serverfarms": LETTERS + "{1,40}",
    # the host cuts its id to 32 characters
    "Microsoft.Web/sites": r"[a-z][a-z0-9-]{0,30}[a-z0-9]",
}

# what every deployment makes: kind and how many
ALWAYS = {
    "Microsoft.Authorization/roleAssignments": 4,
    "Microsoft.Insights/components": 1,
    "Microsoft.Insights/workbooks": 1,
    "Microsoft.ManagedIdentity/userAssignedIdentities": 1,
    "Microsoft.OperationalInsights/workspaces": 1,
    "Microsoft.OperationalInsights/workspaces/tables": len(INSIGHTS_TABLES),
    "Microsoft.Resources/resourceGroups": 1,
    STORAGE: 1,
    STORAGE + "/blobServices": 1,
    STORAGE + "/blobServices/containers": 1,
    STORAGE + "/queueServices": 1,
    STORAGE + "/queueServices/queues": 2,
    "Microsoft.Web/serverfarms": 1,
    "Microsoft.Web/sites": 1,
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": 2,
    "Microsoft.Web/sites/config": 1,
}
NEW_VAULT = {VAULT: 1, "Microsoft.Insights/diagnosticSettings": 1}
ALERTS = {"Microsoft.Insights/actionGroups": 1, "Microsoft.Insights/scheduledQueryRules": 10}
# what each set of parameters makes besides; roles come on top of the four
BESIDES = {
    "first": {},
    "existing": {"Microsoft.Authorization/roleAssignments": 5, **ALERTS},
    "new": {
        "Microsoft.Authorization/roleAssignments": 7,
        "Microsoft.HealthcareApis/workspaces": 1,
        "Microsoft.HealthcareApis/workspaces/dicomservices": 1,
        "Microsoft.HealthcareApis/workspaces/fhirservices": 1,
        **NEW_VAULT,
        **ALERTS,
    },
    "private": {
        "Microsoft.Authorization/roleAssignments": 3,
        "Microsoft.Network/privateDnsZones": 7,
        "Microsoft.Network/privateDnsZones/virtualNetworkLinks": 7,
        "Microsoft.Network/privateEndpoints": 6,
        "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": 6,
        "Microsoft.Network/virtualNetworks": 1,
        **NEW_VAULT,
    },
    "outside": {"Microsoft.Authorization/roleAssignments": 4},
}
# role ids by what they are given on; the groups of services that were there before
OUTSIDE_THE_GROUP = {
    "existing": {"images/dicomservices/archive": ("2", "imaging"), "records/fhirservices/r4": ("3", "records")},
    "private": {"images/dicomservices/archive": ("2", "imaging"), "records/fhirservices/r4": ("3", "records")},
    "outside": {"vaults/hospital": ("4", "secrets")},
}
