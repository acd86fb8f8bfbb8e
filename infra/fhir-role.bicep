// A role that may read, write and delete resources of the FHIR services of one resource group, and nothing else of what
// FHIR Data Writer may. Deployed once, into the group of the FHIR service, by those who may define roles there:
// az deployment group create --resource-group GROUP --template-file infra/fhir-role.bicep

@description('Names of roles are unique in a directory.')
param roleName string = 'FHIR Data Sync (${resourceGroup().name})'

var service = 'Microsoft.HealthcareApis/workspaces/fhirservices/resources'

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, roleName)
  properties: {
    roleName: roleName
    type: 'CustomRole'
    description: 'Reads, writes and deletes FHIR resources. No export, import, reindexing, conversion, and no profiles.'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: ['${service}/read', '${service}/write', '${service}/delete']
        notDataActions: []
      }
    ]
  }
}

output fhirRoleId string = role.name
