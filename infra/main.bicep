// A resource group and everything in it. What the parameters mean: infra/README.md.

targetScope = 'subscription'

@description('Name of the environment, for tags and for names that must be unique.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of everything.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Name of the resource group; empty: made from the environment.')
@maxLength(90)
param resourceGroupName string = ''

@description('What makes names unique, up to 13 lower-case letters and digits; empty: made from the group and the environment.')
@maxLength(13)
param nameSuffix string = ''

@description('Resource id of a DICOM service of Azure Health Data Services, in any subscription; empty: no role is given.')
param dicomServiceId string = ''

@description('Base URL of the DICOM service, without a version; empty: made from its resource id.')
param dicomEndpoint string = ''

@description('Audience of tokens for the DICOM service; empty: that of Azure Health Data Services.')
param dicomAudience string = ''

@description('How the app proves who it is to the DICOM service. The OAuth2 kinds have their details in the vault; with KeyVault everything about it is there.')
@allowed(['ManagedIdentity', 'OAuth2ClientCredential', 'OAuth2UserPasswordCredential', 'KeyVault', 'None'])
param dicomAuthentication string = 'ManagedIdentity'

@description('Resource id of a FHIR service of Azure Health Data Services, in any subscription; empty: no role is given.')
param fhirServiceId string = ''

@description('Base URL of the FHIR R4 server; empty: made from its resource id.')
param fhirEndpoint string = ''

@description('Audience of tokens for the FHIR server; empty: its endpoint.')
param fhirAudience string = ''

@description('As dicomAuthentication, for the FHIR server.')
@allowed(['ManagedIdentity', 'OAuth2ClientCredential', 'OAuth2UserPasswordCredential', 'KeyVault', 'None'])
param fhirAuthentication string = 'ManagedIdentity'

@description('Id of the role that the app gets on the FHIR service, without its path, such as that of infra/fhir-role.bicep; empty: FHIR Data Writer.')
param fhirRoleId string = ''

@description('Create a workspace with a DICOM and a FHIR service, to try the app with. Takes the place of the two ids.')
param deployHealthServices bool = false

@description('NCRONTAB of the timer, six fields, UTC; empty: once a minute.')
param syncSchedule string = ''

@description('Further settings of docs/settings.md. No secrets: those belong in the vault.')
param additionalSettings object = {}

@description('Create a Key Vault and let the app read its secrets.')
param deployKeyVault bool = false

@description('Resource id of an existing Key Vault that the app reads instead, in any subscription.')
param keyVaultId string = ''

@description('Put the app into a network of its own and reach storage, vault and Azure Health Data Services privately.')
param vnetEnabled bool = false

@description('Who is told when something is wrong; empty: no alerts.')
param alertEmail string = ''

@description('Days that logs are kept, of the workspace and of each table of the app.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Gigabytes of logs a day; what comes after is dropped, and alerts are blind until the next day. -1 is no limit.')
param dailyQuotaGb int = 1

@allowed(['3.11', '3.12', '3.13', '3.14'])
param pythonVersion string = '3.13'

@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Of each function; not every region takes less than 40. Times batchSize + newBatchThreshold of host.json, this is how many studies are worked on at once.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 5

@description('Spread over availability zones.')
param zoneRedundant bool = false

@description('Object id of who may list and retry studies from a command line; empty: nobody.')
param operatorPrincipalId string = ''

@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string = 'User'

var abbreviations = loadJsonContent('abbreviations.json')

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: empty(resourceGroupName) ? '${abbreviations.resourceGroup}${environmentName}' : resourceGroupName
  location: location
  tags: { 'azd-env-name': environmentName }
}

module resources 'resources.bicep' = {
  name: 'resources'
  scope: group
  params: {
    environmentName: environmentName
    location: location
    nameSuffix: nameSuffix
    dicomServiceId: dicomServiceId
    dicomEndpoint: dicomEndpoint
    dicomAudience: dicomAudience
    dicomAuthentication: dicomAuthentication
    fhirServiceId: fhirServiceId
    fhirEndpoint: fhirEndpoint
    fhirAudience: fhirAudience
    fhirAuthentication: fhirAuthentication
    fhirRoleId: fhirRoleId
    deployHealthServices: deployHealthServices
    syncSchedule: syncSchedule
    additionalSettings: additionalSettings
    deployKeyVault: deployKeyVault
    keyVaultId: keyVaultId
    vnetEnabled: vnetEnabled
    alertEmail: alertEmail
    logRetentionDays: logRetentionDays
    dailyQuotaGb: dailyQuotaGb
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    zoneRedundant: zoneRedundant
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
  }
}

// azd keeps these in its environment. None may have the name of a variable of main.parameters.json with another meaning:
// it would be read as a choice of the user the next time.
output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_STORAGE_ACCOUNT_NAME string = resources.outputs.storageAccountName
output AZURE_KEY_VAULT_NAME string = resources.outputs.keyVaultName
output SERVICE_SYNC_NAME string = resources.outputs.functionAppName
output APP_HEALTH_URL string = resources.outputs.healthUrl
output APP_IDENTITY_CLIENT_ID string = resources.outputs.identityClientId
output APP_IDENTITY_PRINCIPAL_ID string = resources.outputs.identityPrincipalId
output CONNECTED_DICOM_ENDPOINT string = resources.outputs.dicomEndpoint
output CONNECTED_FHIR_ENDPOINT string = resources.outputs.fhirEndpoint
