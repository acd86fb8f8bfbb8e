// A first deployment: nothing is named, nothing is asked for.
using '../../../infra/main.bicep'

param environmentName = 'first'
param location = 'westeurope'
