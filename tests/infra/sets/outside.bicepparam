// Servers outside Azure, whose credentials are in a vault that was there before.
using '../../../infra/main.bicep'

param environmentName = 'outside'
param location = 'westeurope'
param dicomEndpoint = 'https://dicom.example.org'
param dicomAuthentication = 'OAuth2ClientCredential'
param fhirEndpoint = 'https://fhir.example.org/r4'
param fhirAuthentication = 'KeyVault'
param keyVaultId = '/subscriptions/00000000-0000-0000-0000-000000000004/resourceGroups/secrets/providers/Microsoft.KeyVault/vaults/hospital'
param operatorPrincipalId = '00000000-0000-0000-0000-00000000000a'
param syncSchedule = '*/10 * * * * *'
