// One page that shows how it goes: infra/workbook.json.

param location string
param tags object
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // Azure wants a GUID for a name
  name: guid(resourceGroup().id, 'dicom-fhir-sync')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'dicom-fhir-sync'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: loadTextContent('../workbook.json')
  }
}
