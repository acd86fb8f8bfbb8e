// A network of its own; services that were there before, in two workspaces, and the narrower role on FHIR.
using '../../../infra/main.bicep'

param environmentName = 'private'
param location = 'westeurope'
param dicomServiceId = '/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/imaging/providers/Microsoft.HealthcareApis/workspaces/images/dicomservices/archive'
param fhirServiceId = '/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups/records/providers/Microsoft.HealthcareApis/workspaces/records/fhirservices/r4'
param fhirRoleId = '00000000-0000-0000-0000-00000000000f'
param deployKeyVault = true
param vnetEnabled = true
