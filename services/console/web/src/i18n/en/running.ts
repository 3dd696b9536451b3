import type { Like } from '../like'
import type { running as zh } from '../zh/running'

export const running: Like<typeof zh> = {
  alerts: {
    title: 'Alerts', lead: 'What is wrong and lasts: what was seen, and who is on it. An alert ends by itself when its cause is over.', none: 'There are no alerts.', open: 'Not closed', all: 'Last seven days', show: 'Which',
    alert: 'Alert', severity: 'Severity', state: 'State', owner: 'Owner', nobody: 'nobody', department: 'Department', opened: 'Opened', changed: 'Changed',
    exchange: 'the exchange', text: 'What is wrong', evidence: 'What was seen when it opened', now: 'How it is now', steps: 'What was done', noSteps: 'Nobody has done anything yet.', take: 'Do something', done: 'Noted',
    to: 'Who gets it', toNeed: 'Say who gets it', note: 'Note', noteNeed: 'Say how it was solved', over: 'This is not to be seen now; once that has lasted, the alert closes by itself.',
    watcher: 'the watch', byWatcher: 'closed by the watch',
    severities: { critical: 'critical', warning: 'warning' },
    states: { open: 'open', acknowledged: 'taken on', handed_over: 'handed over', closed: 'closed' },
    actions: { acknowledge: 'Take it on', hand_over: 'Hand it over', close: 'Solved: close' },
    did: { acknowledge: 'taken on', hand_over: 'handed over', close: 'closed' },
    facts: {
      group: 'Group', status: 'Status', topics: 'Topics', records: 'Lag in records', seconds: 'Lag in seconds', members: 'Members', budget_seconds: 'Budget in seconds', connector: 'Connector',
      state: 'Connector state', worker: 'Worker', resource: 'Resource', rows: 'Rows that wait', rules: 'Rules that are broken', system: 'System', reason: 'Reason',
    },
    toLag: 'Lag and curve', toMounts: 'The mounts', toQuarantine: 'The quarantine',
  },
  today: {
    records: 'Records delivered today', since: 'since', timely: 'Within a minute', alerts: 'Open alerts', alertsMore: (opened, solved) => `${opened} opened, ${solved} solved today`, worst: "Today's worst lag",
    waiting: 'Rows that wait', mounts: 'Failed mounts',
  },
  sending: {
    title: 'Where alerts are sent', lead: 'Sent once when an alert opens and once when it is over; again after a while where nobody is on it. The daily summary goes where it is asked for.', none: 'Alerts are sent to nobody yet.', add: 'Add an address', addTitle: 'Send alerts to',
    kind: 'How', kinds: { webhook: 'Webhook', email: 'E-mail' }, target: 'Address', daily: 'Daily summary', scope: 'Alerts of', whole: 'the whole exchange', by: 'Set by', since: 'Since', end: 'End', sureEnd: 'Send nothing there any more?',
    try: 'Try it', tried: 'A trial is on its way', targetHint: 'An https:// address, or an e-mail address', secret: 'Signing secret', secretNote: 'It checks the signature of what is posted (Standard Webhooks). It is shown once: keep it now.',
    sent: 'What was sent', sentNone: 'Nothing was sent yet.', what: 'What', when: 'When', outcome: 'Outcome', delivered: 'delivered', waits: (attempts) => `being tried again (${attempts} so far)`, failed: 'not delivered',
    what_: { alerts_opened: 'alerts opened', alerts_still_open: 'nobody is on it yet', alerts_over: 'alerts over', summary: 'daily summary', trial: 'trial' },
  },
  quarantine: {
    title: 'Quarantine', lead: 'Changes that break the contract or its rules and are not delivered. A correction at the source ends it; so does another try, or a release with a reason. None of their data is here.',
    waiting: 'Waiting', ended: 'Over', failed: 'Not deliverable', all: 'All', show: 'Show', none: 'Nothing is set aside.', resource: 'Resource', rule: 'Rule', owner: 'Owner', since: 'Set aside', state: 'State',
    key: 'Digest of the key', change: 'Digest of the change', place: 'Place', reason: 'Reason', detail: 'Detail', grant: 'Grant', everyGrant: 'every grant', ended_: 'Ended', by: 'By', byLater: 'a later change', releaseReason: 'Reason of the release',
    open: 'Look', entry: (id) => `Entry ${id}`, anyRule: 'Every rule', anyResource: 'Every resource', anyOwner: 'Every department', redrive: 'Try again', release: 'Release', releaseNote: 'Reason of the release', releaseNeed: 'A release gives its reason',
    releaseMore: 'The row breaks a rule. Released, it is delivered as it is to all consumers, and that is in the audit log.', redriveMore: "Judged anew by today's contract and rules; delivered when it breaks none.", redriveAll: (count) => `Try all again (${count})`,
    sureAll: (count) => `Try the ${count} rows that are listed again, one by one?`, ordered: 'Ordered; being carried out…', still: 'It still breaks a rule, and goes on waiting.', going: (done, all) => `Trying ${done} of ${all}`,
    figures: { waiting: 'Rows that wait', resources: 'Resources', oldest: 'Oldest' }, opsOnly: 'A release is for the owning department or the data authority to decide.', fixFirst: 'First correct the data at its source, or revise the rules of the resource.',
    states: { waiting: 'waiting', superseded: 'superseded', corrected: 'corrected', deleted: 'deleted', redriven: 'tried again, delivered', released: 'released', failed: 'not deliverable' },
    reasons: {
      quality: 'breaks a rule', 'not-avro': 'not Avro', 'unknown-schema': 'unknown schema', 'wrong-type': 'wrong type', 'wrong-shape': 'wrong shape', oversized: 'too large',
      'unavailable-value': 'a large value is nowhere',
    },
  },
  inconsistencies: {
    title: 'Rows that do not agree', lead: 'A value that should be unique and is not, or two resources that say different things of one entity. They are delivered all the same; both departments look at their sources, and it is over once these agree. None of their data is here.',
    none: 'All rows agree.', show: 'Show', open: 'Not over', ended: 'Over', kind: 'What', kinds: { unique: 'value twice', consistent: 'sources differ' },
    resource: 'Resource', other: 'Compared with', places: 'Changes', since: 'Seen', over: 'Over',
  },
  replays: {
    title: 'Replays and reconciliation', lead: 'What was granted, delivered once more; and whether consumers have what they should have.', replays: 'Replays', reconciliations: 'Reconciliations', noneReplays: 'No replays in seven days.', noneReconciliations: 'No reconciliations in seven days.',
    resource: 'Resource', department: 'Consumer', mode: 'What', state: 'State', asked: 'Asked', records: 'Records', progress: 'Progress', remaining: (time) => `about ${time} left`, computing: 'being reckoned…',
    ended: 'Ended', cancel: 'Cancel', sureCancel: 'End it as soon as can be; no row goes back behind what was delivered again.', heals: 'heals', healing: 'heals a reconciliation', all: 'All', since: 'From a time', keys: 'By key', rows: (count) => `${count} rows`,
    from: (time) => `from ${time}`, states: { requested: 'about to begin', running: 'running', cancelling: 'being cancelled', cancelled: 'cancelled', done: 'done' },
    found: { requested: 'about to begin', running: 'comparing', equal: 'equal', different: 'different', healed: 'healed', failed: 'not done' }, differences: 'Differences', difference: (rows) => `${rows} rows`, report: 'What was found',
    compare: 'Compare now', compareTitle: 'Compare a grant', heal: 'Heal what differs', healMore: 'Rows that are missing or differ are delivered again; what is too much is removed.', started: 'It is being compared', choose: 'Choose a grant',
    sides: { source: 'Should have', topic: 'Share topic', table: "Department's table" }, missing: 'missing', surplus: 'surplus', differing: 'differing', inTopic: 'Topic against source', inTable: 'Table against topic', setAside: 'In quarantine', keysShown: 'Digests of keys (the first of them)', ranges: 'Ranges that differ',
    range: 'Range', should: 'Should have', has: 'Has', of: 'Side', readOn: 'Look',
    ask: 'Ask for a replay', askLead: 'Has what was granted delivered once more. New changes wait for their turn meanwhile: none is lost, and no row goes back.', what: 'What', when: 'From', key: 'Key', submit: 'Begin', asked_: 'The replay begins', need: 'Fill this in', history: 'Replays so far',
    whatMore: { all: 'every row there is', since: 'changes written from a time on', keys: 'one row by its key' }, notServed: 'Nothing is delivered under this grant, so nothing can be replayed.', compareLead: "Row by row: what should be there, the share topic and the department's table. Only digests are compared.",
  },
}
