// Everything is made here, to try the app with.
using '../../../infra/main.bicep'

param environmentName = 'new'
param location = 'westeurope'
param nameSuffix = 'TRIAL00000001'
param deployHealthServices = true
param deployKeyVault = true
param zoneRedundant = true
param additionalSettings = { Patient__PatientSystemId: 'urn:oid:1.2.3' }
param logRetentionDays = 90
param alertEmail = 'operators@example.org'
param operatorPrincipalId = '00000000-0000-0000-0000-00000000000a'
