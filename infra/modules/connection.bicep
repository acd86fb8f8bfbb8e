// How the app reaches one service: its role there, where there is an id, and the settings that say so.

@allowed(['DicomWeb', 'Fhir'])
param section string

@description('Resource id of the service; empty: one outside of Azure Health Data Services.')
param serviceId string
param endpoint string
param audience string
param authentication string
param roleName string

@description('Id of the role on a FHIR service, without its path; empty: FHIR Data Writer.')
param fhirRoleId string = ''
@description('Resource id of the identity. It makes the name of an assignment: the principal is known only once the deployment runs.')
param identityId string
param principalId string
param clientId string

// without an id, that of this group stands in: the scope of a module is looked at even where the module is left out
var parts = split(empty(serviceId) ? resourceGroup().id : serviceId, '/')
var workspaceName = last(take(parts, 9))
var kind = section == 'DicomWeb' ? 'dicom' : 'fhir'
var host = '${workspaceName}-${last(parts)}.${kind}.azurehealthcareapis.com'
var url = empty(endpoint) && !empty(serviceId) ? 'https://${host}' : endpoint
// DICOM services of Azure share one audience; a FHIR service is its own
var usualAudience = section == 'DicomWeb' ? 'https://dicom.healthcareapis.azure.com' : url
var audienceInUse = empty(audience) ? usualAudience : audience
var isIdentity = authentication == 'ManagedIdentity'

module role 'ahds-role.bicep' = if (!empty(serviceId)) {
  name: roleName
  scope: resourceGroup(parts[2], parts[4])
  params: {
    serviceId: serviceId
    identityId: identityId
    principalId: principalId
    fhirRoleId: fhirRoleId
  }
}

// An empty setting is none: with KeyVault, what the vault says of authentication stands. App settings would win over it.
output settings object = {
  '${section}__Endpoint': url
  '${section}__Authentication__Enabled': authentication == 'KeyVault' ? '' : (authentication == 'None' ? 'false' : 'true')
  '${section}__Authentication__AuthenticationType': contains(['KeyVault', 'None'], authentication) ? '' : authentication
  '${section}__Authentication__ManagedIdentityCredential__Resource': isIdentity ? audienceInUse : ''
  '${section}__Authentication__ManagedIdentityCredential__ClientId': clientId
}
output endpoint string = url
