// The app's role on one DICOM or FHIR service of Azure Health Data Services, in whichever group that service is.

@description('Resource id: /subscriptions/S/resourceGroups/G/providers/Microsoft.HealthcareApis/workspaces/W/dicomservices/D')
param serviceId string
@description('Resource id of the identity. It makes the name of an assignment: the principal is known only once the deployment runs.')
param identityId string
param principalId string

@description('Id of the role on a FHIR service, without its path; empty: FHIR Data Writer.')
param fhirRoleId string

var roles = loadJsonContent('../roles.json')
var parts = split(serviceId, '/')
var fhirRole = empty(fhirRoleId) ? roles.fhirDataWriter : fhirRoleId
var isDicom = toLower(parts[9]) == 'dicomservices'

resource workspace 'Microsoft.HealthcareApis/workspaces@2024-03-31' existing = {
  name: parts[8]
}

resource dicom 'Microsoft.HealthcareApis/workspaces/dicomservices@2024-03-31' existing = {
  parent: workspace
  name: parts[10]
}

resource fhir 'Microsoft.HealthcareApis/workspaces/fhirservices@2024-03-31' existing = {
  parent: workspace
  name: parts[10]
}

resource readDicom 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isDicom) {
  name: guid(dicom.id, identityId, roles.dicomDataReader)
  scope: dicom
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.dicomDataReader)
  }
}

resource writeFhir 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!isDicom) {
  name: guid(fhir.id, identityId, fhirRole)
  scope: fhir
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', fhirRole)
  }
}
