// A workspace with a DICOM and a FHIR service, to try the app with. Not for data that must be kept.

param location string
param tags object
param workspaceName string
param dicomName string
param fhirName string

@description('Reachable through private endpoints only.')
param privateOnly bool

var publicNetworkAccess = privateOnly ? 'Disabled' : 'Enabled'

resource workspace 'Microsoft.HealthcareApis/workspaces@2024-03-31' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    publicNetworkAccess: publicNetworkAccess
  }
}

resource dicom 'Microsoft.HealthcareApis/workspaces/dicomservices@2024-03-31' = {
  parent: workspace
  name: dicomName
  location: location
  tags: tags
  properties: {
    publicNetworkAccess: publicNetworkAccess
  }
}

resource fhir 'Microsoft.HealthcareApis/workspaces/fhirservices@2024-03-31' = {
  parent: workspace
  name: fhirName
  location: location
  tags: tags
  kind: 'fhir-R4'
  properties: {
    publicNetworkAccess: publicNetworkAccess
    authenticationConfiguration: {
      authority: '${environment().authentication.loginEndpoint}${tenant().tenantId}'
      audience: 'https://${workspaceName}-${fhirName}.fhir.azurehealthcareapis.com'
    }
  }
}
