// A network for the app, and private endpoints for what it talks to.
// Microsoft.App must be registered in the subscription: it provides the delegation of the app's subnet.

param location string
param tags object
param name string

param storageId string
param vaultId string

@description('Resource ids of the DICOM and the FHIR service; empty ones are passed over.')
param healthServiceIds array

// `{0}` is the suffix of storage in this cloud. It goes into the names last: how many zones there are must be known before
// the deployment begins, and the suffix is not
var suffix = environment().suffixes.storage
var storageEndpoints = [
  { name: 'blob', id: storageId, group: 'blob', zones: ['privatelink.blob.{0}'] }
  { name: 'queue', id: storageId, group: 'queue', zones: ['privatelink.queue.{0}'] }
  { name: 'table', id: storageId, group: 'table', zones: ['privatelink.table.{0}'] }
]
var vaultEndpoint = { name: 'vault', id: vaultId, group: 'vault', zones: ['privatelink.vaultcore.azure.net'] }
var vaultEndpoints = empty(vaultId) ? [] : [vaultEndpoint]
// a service is reached through its workspace; two services in one workspace need one endpoint
var workspaceIds = union([], map(filter(healthServiceIds, id => !empty(id)), id => join(take(split(id, '/'), 9), '/')))
var healthEndpoints = map(workspaceIds, id => {
  name: 'health-${uniqueString(id)}'
  id: id
  group: 'healthcareworkspace'
  zones: [
    'privatelink.workspace.azurehealthcareapis.com'
    'privatelink.dicom.azurehealthcareapis.com'
    'privatelink.fhir.azurehealthcareapis.com'
  ]
})
var endpoints = concat(storageEndpoints, vaultEndpoints, healthEndpoints)
// two workspaces share their zones
var zoneNames = union([], flatten(map(endpoints, endpoint => endpoint.zones)))
var appSubnetName = 'app'
var endpointSubnetName = 'endpoints'

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: ['10.0.0.0/16']
    }
    subnets: [
      {
        name: appSubnetName
        properties: {
          addressPrefix: '10.0.0.0/24'
          delegations: [
            {
              name: 'functions'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: endpointSubnetName
        properties: {
          addressPrefix: '10.0.1.0/24'
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zoneName in zoneNames: {
    name: format(zoneName, suffix)
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zoneName, index) in zoneNames: {
    parent: zones[index]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: network.id
      }
    }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for endpoint in endpoints: {
    name: 'pe-${endpoint.name}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: '${network.id}/subnets/${endpointSubnetName}'
      }
      privateLinkServiceConnections: [
        {
          name: endpoint.name
          properties: {
            privateLinkServiceId: endpoint.id
            groupIds: [endpoint.group]
          }
        }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (endpoint, index) in endpoints: {
    parent: privateEndpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        for zoneName in endpoint.zones: {
          name: replace(format(zoneName, suffix), '.', '-')
          properties: {
            privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', format(zoneName, suffix))
          }
        }
      ]
    }
    dependsOn: [zones]
  }
]

output appSubnetId string = '${network.id}/subnets/${appSubnetName}'
