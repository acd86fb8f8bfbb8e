// Log alerts on the status line that docs/operations.md describes, and who is told.

param location string
param tags object
param actionGroupName string
param ruleNamePrefix string
param workspaceId string
param email string

// Each query looks for a state, so an alert is on as long as the state lasts and no longer. The latest line says what is
// so; `window` is long because a schedule may be a day. Where a state has to last before it matters, its beginning is
// the last line without it, or the first line that is kept. `frequency`: how often it is asked; rows mean that it is on.
var rules = [
  {
    name: 'not-polling'
    severity: 1
    description: 'No status line was written for a quarter of an hour after it was due: the timer does not run.'
    query: '''
      AppTraces
      | where Message startswith "status "
      | summarize Lines = count(), arg_max(TimeGenerated, Message)
      | extend DueIn = toint(extract(" due_s=([0-9]+)", 1, Message))
      | where Lines == 0 or TimeGenerated + DueIn * 1s < ago(15m)
    '''
    window: 'P2D'
    frequency: 'PT5M'
  }
  {
    name: 'set-up'
    severity: 1
    description: 'A setting is wrong or a service refuses the app: nothing is lost, and studies wait until somebody acts.'
    query: '''
      AppTraces
      | where Message startswith "status "
      | summarize arg_max(TimeGenerated, Message)
      | where Message contains "=misconfigured:" or toint(extract(" set_up=([0-9]+)", 1, Message)) > 0
    '''
    window: 'P2D'
    frequency: 'PT5M'
  }
  {
    name: 'outage'
    severity: 2
    description: 'A service has not answered for ten minutes or longer.'
    query: '''
      AppTraces
      | where Message startswith "status "
      | extend IsDown = Message contains "=failing:"
      | summarize Began = min(TimeGenerated), LastUp = maxif(TimeGenerated, not(IsDown)), arg_max(TimeGenerated, IsDown)
      | where IsDown and coalesce(LastUp, Began) < ago(10m)
    '''
    window: 'P2D'
    frequency: 'PT5M'
  }
  {
    // A process that dies writes no line, and the timer runs in another one: only the requests of the host tell. One
    // worker process that dies fails every message it had, up to twelve. One message that cannot be read fails five
    // times in all, and ends as `poison`.
    name: 'failing'
    severity: 2
    description: 'More than five runs of sync_study failed, or one of sync_study_poison: a process died, or storage does not answer.'
    query: '''
      AppRequests
      | where Success == false
      | summarize Studies = countif(OperationName == "sync_study"), Poison = countif(OperationName == "sync_study_poison")
      | where Studies > 5 or Poison > 0
    '''
    window: 'PT15M'
    frequency: 'PT5M'
  }
  {
    name: 'poison'
    severity: 2
    description: 'Messages failed five times without a reason that has a name: a defect of the app. Their studies have failed.'
    query: '''
      AppTraces
      | where Message startswith "status " and Message contains " failed="
      | summarize arg_max(TimeGenerated, Message)
      | where Message matches regex " failed_codes=([^ ]*,)?bug:" or toint(extract(" poison=([0-9]+)", 1, Message)) > 0
    '''
    window: 'P2D'
    frequency: 'PT15M'
  }
  {
    // after an outage, studies that waited for it are retried within a quarter of an hour or so
    name: 'waiting'
    severity: 3
    description: 'A study has been retried for more than an hour while all services answered: python -m shared.operate list retrying'
    query: '''
      AppTraces
      | where Message startswith "status "
      | extend IsDown = Message contains "=failing:" or Message contains "=misconfigured:"
      | summarize LastDown = maxif(TimeGenerated, IsDown), arg_max(TimeGenerated, Message)
      | where isnull(LastDown) or LastDown < ago(1h)
      | where toint(extract(" retry_age_s=([0-9]+)", 1, Message)) > 3600
    '''
    window: 'P2D'
    frequency: 'PT15M'
  }
  {
    name: 'queue'
    severity: 3
    description: 'The oldest message that a worker could take has waited in the queue for more than half an hour.'
    query: '''
      AppTraces
      | where Message startswith "status "
      | summarize arg_max(TimeGenerated, Message)
      | where toint(extract(" queue_age_s=([0-9]+)", 1, Message)) > 1800
    '''
    window: 'P2D'
    frequency: 'PT15M'
  }
  {
    name: 'lag'
    severity: 3
    description: 'For half an hour no poll reached the end of the change feed.'
    query: '''
      AppTraces
      | where Message startswith "status " and Message contains " lag="
      | extend Lag = tolong(extract(" lag=([0-9]+)", 1, Message))
      | summarize Began = min(TimeGenerated), LastZero = maxif(TimeGenerated, Lag == 0), arg_max(TimeGenerated, Lag)
      | where Lag > 0 and coalesce(LastZero, Began) < ago(30m)
    '''
    window: 'P2D'
    frequency: 'PT15M'
  }
  {
    name: 'failed'
    severity: 3
    description: 'Studies have failed and wait for their next change, or for somebody: python -m shared.operate list'
    query: '''
      AppTraces
      | where Message startswith "status " and Message contains " failed="
      | summarize arg_max(TimeGenerated, Message)
      | where toint(extract(" failed=([0-9]+)", 1, Message)) > 0
    '''
    window: 'P2D'
    frequency: 'PT15M'
  }
  {
    name: 'skipped'
    severity: 3
    description: 'Instances, rows of the change feed or messages were skipped and are not in FHIR: python -m shared.operate list skipped'
    query: '''
      AppTraces
      | where Message startswith "status " and Message contains " skipped="
      | summarize arg_max(TimeGenerated, Message)
      | where toint(extract(" skipped=([0-9]+)", 1, Message)) > 0
    '''
    window: 'P2D'
    frequency: 'PT15M'
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'dicom-fhir'
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: '${ruleNamePrefix}${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'dicom-fhir-sync: ${rule.name}'
      description: rule.description
      severity: rule.severity
      enabled: true
      autoMitigate: true
      scopes: [workspaceId]
      evaluationFrequency: rule.frequency
      windowSize: rule.window
      // the tables exist only once the app has logged something
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: [people.id]
      }
    }
  }
]
