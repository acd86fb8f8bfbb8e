// The vault that the app reads, if any: one made here, or one that was there before, in whichever group.

param location string
param tags object

@description('Make it; otherwise it was there before.')
param isNew bool

@description('Resource id; empty: none.')
param vaultId string
param workspaceId string
param privateOnly bool
param roleName string
@description('Resource id of the identity. It makes the name of an assignment: the principal is known only once the deployment runs.')
param identityId string
param principalId string
param operatorPrincipalId string

@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string

// without a vault, the id of this group stands in: the scope of a module is looked at even where the module is left out
var parts = split(empty(vaultId) ? resourceGroup().id : vaultId, '/')
var vaultName = empty(vaultId) ? '' : last(parts)

module vault 'keyvault.bicep' = if (isNew) {
  name: 'key-vault'
  params: {
    location: location
    tags: tags
    name: vaultName
    workspaceId: workspaceId
    privateOnly: privateOnly
  }
}

module role 'keyvault-role.bicep' = if (!empty(vaultId)) {
  name: roleName
  scope: resourceGroup(parts[2], parts[4])
  params: {
    vaultName: vaultName
    identityId: identityId
    principalId: principalId
    // who keeps an existing vault knows who may write to it
    operatorPrincipalId: isNew ? operatorPrincipalId : ''
    operatorPrincipalType: operatorPrincipalType
  }
  dependsOn: [vault]
}

output name string = vaultName
output endpoint string = empty(vaultId) ? '' : 'https://${vaultName}${environment().suffixes.keyvaultDns}/'
