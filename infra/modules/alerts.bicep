// Log alerts on the lines that docs/operations.md lists, and who is told.

param location string
param tags object
param actionGroupName string
param ruleNamePrefix string
param workspaceId string
param email string

// A count above or below a number of rows, over `window`, asked every `frequency`.
var rules = [
  {
    name: 'not-polling'
    severity: 1
    description: 'The change feed was not polled for half an hour. A schedule rarer than every ten minutes needs a longer window.'
    query: 'AppRequests | where OperationName == "poll_change_feed" and Success == true'
    operator: 'LessThan'
    threshold: 1
    window: 'PT30M'
    frequency: 'PT15M'
  }
  {
    name: 'set-up'
    severity: 1
    description: 'A setting is wrong or a service refuses the app: nothing is lost, and nothing moves until somebody acts.'
    query: '''
      AppTraces
      | where SeverityLevel >= 3
      | where Message startswith "poll_failed " or Message startswith "services_refuse "
          or (Message startswith "study_set_aside " and Message contains "outcome=deferred")
    '''
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT15M'
    frequency: 'PT5M'
  }
  {
    name: 'poison'
    severity: 2
    description: 'A message failed five times without a reason that has a name: a defect of the app.'
    query: 'AppTraces | where Message startswith "poison_message "'
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT15M'
    frequency: 'PT15M'
  }
  {
    // one worker process that dies fails every message it had, up to twelve, and writes no line. One message that can
    // not be read fails five times in all, and ends as `poison`.
    name: 'failing'
    severity: 2
    description: 'More than five runs of sync_study failed, or one of sync_study_poison, or more than three processes of a study alone ended: a process died, or storage does not answer.'
    // a run whose study ends a process of its own succeeds: the message is sent again
    query: '''
      union
        (AppRequests | where Success == false | project What = OperationName),
        (AppTraces | where Message startswith "process_died " | project What = "process_died")
      | summarize Studies = countif(What == "sync_study"), Poison = countif(What == "sync_study_poison"), Alone = countif(What == "process_died")
      | where Studies > 5 or Poison > 0 or Alone > 3
    '''
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT15M'
    frequency: 'PT5M'
  }
  {
    // each trouble is said once: it lasts while nothing better was said after it
    name: 'outage'
    severity: 2
    description: 'A service has not answered for ten minutes or longer.'
    query: '''
      AppTraces
      | extend Event = tostring(split(Message, " ")[0])
      | extend Part = case(
          Event in ("poll_failed", "poll_back", "feed_polled"), "feed",
          Event in ("services_refuse", "services_back", "study_synced"), "studies",
          "")
      | where Part != ""
      | summarize arg_max(TimeGenerated, Event) by Part
      | where Event in ("poll_failed", "services_refuse") and TimeGenerated < ago(10m)
    '''
    operator: 'GreaterThan'
    threshold: 0
    window: 'P2D'
    frequency: 'PT15M'
  }
  {
    // tries are up to a quarter of an hour apart by then; what waits for a service that refuses everyone writes no
    // lines, and is `outage`
    name: 'waiting'
    severity: 3
    description: 'A study has been tried again for about an hour, while no service refused everyone: python -m shared.operate list deferred'
    query: '''
      AppTraces
      | where SeverityLevel == 2
      | where Message startswith "study_set_aside " and Message contains "outcome=deferred"
      | extend Attempts = toint(extract("attempts=([0-9]+)", 1, Message))
      | where Attempts >= 12
    '''
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT30M'
    frequency: 'PT15M'
  }
  {
    name: 'behind'
    severity: 3
    description: 'For half an hour no poll reached the end of the change feed.'
    query: '''
      AppTraces
      | where Message startswith "feed_polled "
      | extend Behind = toint(extract("behind=([0-9]+)", 1, Message))
      | summarize Behind = min(Behind), Since = min(TimeGenerated)
      | where Behind > 0 and Since < ago(30m)
    '''
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT45M'
    frequency: 'PT15M'
  }
  {
    name: 'parked'
    severity: 3
    description: 'Studies were set aside and wait for somebody: python -m shared.operate list'
    query: 'AppTraces | where Message startswith "study_set_aside " and Message contains "outcome=parked"'
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT1H'
    frequency: 'PT1H'
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

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
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
            operator: rule.operator
            threshold: rule.threshold
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
