// Everything in one resource group. Deployable alone by those who have rights on a group only:
// az deployment group create --template-file infra/resources.bicep

@description('Name of the environment, for tags and for names that must be unique.')
@minLength(1)
@maxLength(64)
param environmentName string

param location string = resourceGroup().location

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
var suffix = empty(nameSuffix) ? uniqueString(resourceGroup().id, environmentName) : toLower(nameSuffix)
var names = {
  actionGroup: '${abbreviations.actionGroup}${suffix}'
  alertRule: '${abbreviations.alertRule}${suffix}-'
  applicationInsights: '${abbreviations.applicationInsights}${suffix}'
  functionApp: '${abbreviations.functionApp}${suffix}'
  functionPlan: '${abbreviations.functionPlan}${suffix}'
  healthWorkspace: '${abbreviations.healthWorkspace}${suffix}'
  dicomService: 'dicom'
  fhirService: 'fhir'
  identity: '${abbreviations.identity}${suffix}'
  keyVault: '${abbreviations.keyVault}${suffix}'
  logAnalytics: '${abbreviations.logAnalytics}${suffix}'
  storageAccount: '${abbreviations.storageAccount}${suffix}'
  virtualNetwork: '${abbreviations.virtualNetwork}${suffix}'
}
var tags = { 'azd-env-name': environmentName }
var containerName = 'app-package'
var queueName = 'study-changes'

// services that were there before and those made here are used alike: by their resource ids
var healthType = 'Microsoft.HealthcareApis/workspaces'
var newDicomId = resourceId('${healthType}/dicomservices', names.healthWorkspace, names.dicomService)
var newFhirId = resourceId('${healthType}/fhirservices', names.healthWorkspace, names.fhirService)
var dicomId = deployHealthServices ? newDicomId : dicomServiceId
var fhirId = deployHealthServices ? newFhirId : fhirServiceId
var vaultId = deployKeyVault ? resourceId('Microsoft.KeyVault/vaults', names.keyVault) : keyVaultId

// `what-if` looks into a module only where names, scopes and counts in it are known before the deployment begins
var identityId = resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', names.identity)
var storageId = resourceId('Microsoft.Storage/storageAccounts', names.storageAccount)

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: {
    location: location
    tags: tags
    name: names.identity
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    location: location
    tags: tags
    name: names.storageAccount
    containerName: containerName
    // the second is where the host puts a message that failed too often
    queueNames: [queueName, '${queueName}-poison']
    zoneRedundant: zoneRedundant
    privateOnly: vnetEnabled
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    location: location
    tags: tags
    workspaceName: names.logAnalytics
    insightsName: names.applicationInsights
    retentionDays: logRetentionDays
    dailyQuotaGb: dailyQuotaGb
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    location: location
    tags: tags
    isNew: deployKeyVault
    vaultId: vaultId
    workspaceId: monitoring.outputs.workspaceId
    privateOnly: vnetEnabled
    roleName: 'vault-role-${suffix}'
    identityId: identityId
    principalId: identity.outputs.principalId
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
  }
}

module healthServices 'modules/ahds.bicep' = if (deployHealthServices) {
  name: 'health-services'
  params: {
    location: location
    tags: tags
    workspaceName: names.healthWorkspace
    dicomName: names.dicomService
    fhirName: names.fhirService
    privateOnly: vnetEnabled
  }
}

module rbac 'modules/rbac.bicep' = {
  name: 'rbac'
  params: {
    identityId: identityId
    principalId: identity.outputs.principalId
    storageName: names.storageAccount
    insightsName: names.applicationInsights
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
  }
  dependsOn: [storage, monitoring]
}

module dicom 'modules/connection.bicep' = {
  name: 'dicom'
  params: {
    section: 'DicomWeb'
    serviceId: dicomId
    endpoint: dicomEndpoint
    audience: dicomAudience
    authentication: dicomAuthentication
    roleName: 'dicom-role-${suffix}'
    identityId: identityId
    principalId: identity.outputs.principalId
    clientId: identity.outputs.clientId
  }
  dependsOn: [healthServices]
}

module fhir 'modules/connection.bicep' = {
  name: 'fhir'
  params: {
    section: 'Fhir'
    serviceId: fhirId
    endpoint: fhirEndpoint
    audience: fhirAudience
    authentication: fhirAuthentication
    roleName: 'fhir-role-${suffix}'
    fhirRoleId: fhirRoleId
    identityId: identityId
    principalId: identity.outputs.principalId
    clientId: identity.outputs.clientId
  }
  dependsOn: [healthServices]
}

module network 'modules/network.bicep' = if (vnetEnabled) {
  name: 'network'
  params: {
    location: location
    tags: tags
    name: names.virtualNetwork
    storageId: storageId
    vaultId: vaultId
    healthServiceIds: [dicomId, fhirId]
  }
  dependsOn: [storage, vault, healthServices]
}

module app 'modules/function-app.bicep' = {
  name: 'function-app'
  params: {
    location: location
    tags: tags
    planName: names.functionPlan
    name: names.functionApp
    identityId: identityId
    identityClientId: identity.outputs.clientId
    storageName: names.storageAccount
    containerName: containerName
    insightsName: names.applicationInsights
    subnetId: vnetEnabled ? network!.outputs.appSubnetId : ''
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    zoneRedundant: zoneRedundant
    settings: union(additionalSettings, dicom.outputs.settings, fhir.outputs.settings, {
      SYNC_SCHEDULE: syncSchedule
      STUDY_QUEUE_NAME: queueName
      KeyVault__Endpoint: vault.outputs.endpoint
    })
  }
  // the app starts as soon as it is there, and then needs all of its roles; the others it gets with the settings
  dependsOn: [rbac]
}

module alerts 'modules/alerts.bicep' = if (!empty(alertEmail)) {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    actionGroupName: names.actionGroup
    ruleNamePrefix: names.alertRule
    workspaceId: monitoring.outputs.workspaceId
    email: alertEmail
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

output functionAppName string = app.outputs.name
output healthUrl string = app.outputs.healthUrl
output identityPrincipalId string = identity.outputs.principalId
output identityClientId string = identity.outputs.clientId
output storageAccountName string = storage.outputs.name
output keyVaultName string = vault.outputs.name
output dicomEndpoint string = dicom.outputs.endpoint
output fhirEndpoint string = fhir.outputs.endpoint
