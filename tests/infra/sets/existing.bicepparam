// Services of Azure Health Data Services that were there before, each in a subscription of its own.
using '../../../infra/main.bicep'

param environmentName = 'existing'
param location = 'westeurope'
param dicomServiceId = '/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/imaging/providers/Microsoft.HealthcareApis/workspaces/images/dicomservices/archive'
param fhirServiceId = '/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups/records/providers/Microsoft.HealthcareApis/workspaces/records/fhirservices/r4'
param alertEmail = 'operators@example.org'
param operatorPrincipalId = '00000000-0000-0000-0000-00000000000a'
param operatorPrincipalType = 'Group'
