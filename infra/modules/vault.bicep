// The vault that the app reads, if any: one made here, or one that was there before, in whichever group.

param location string
param tags object

@description('Make one of this name.')
param isNew bool
param name string

@description('Resource id of the existing one; empty: none.')
param existingId string
param workspaceId string
param privateOnly bool
param roleName string
param principalId string
param operatorPrincipalId string

@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string

var vaultId = isNew ? resourceId('Microsoft.KeyVault/vaults', name) : existingId
// without a vault, the id of this group stands in: the scope of a module is looked at even where the module is left out
var parts = split(empty(vaultId) ? resourceGroup().id : vaultId, '/')
var vaultName = empty(vaultId) ? '' : last(parts)

module vault 'keyvault.bicep' = if (isNew) {
  name: 'key-vault'
  params: {
    location: location
    tags: tags
    name: name
    workspaceId: workspaceId
    privateOnly: privateOnly
  }
}

module role 'keyvault-role.bicep' = if (!empty(vaultId)) {
  name: roleName
  scope: resourceGroup(parts[2], parts[4])
  params: {
    vaultName: vaultName
    principalId: principalId
    // who keeps an existing vault knows who may write to it
    operatorPrincipalId: isNew ? operatorPrincipalId : ''
    operatorPrincipalType: operatorPrincipalType
  }
  dependsOn: [vault]
}

output id string = vaultId
output name string = vaultName
output endpoint string = empty(vaultId) ? '' : 'https://${vaultName}${environment().suffixes.keyvaultDns}/'
