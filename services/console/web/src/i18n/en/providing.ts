import type { Like } from '../like'
import type { providing as zh } from '../zh/providing'

export const providing: Like<typeof zh> = {
  own: {
    title: 'Our resources', lead: 'All that your department has catalogued, drafts and what is in review included: write, revise, submit and mount it here.', leadAll: 'All that departments have catalogued, drafts and what is in review included.',
    new: 'New resource', none: 'No resources yet', noneMore: 'Write one; once it is reviewed and published, data is mounted on it and others apply for it.', resource: 'Resource', state: 'State', version: 'Version', mount: 'Mount',
    department: 'Department', due: 'Due', updated: 'Updated', notMounted: 'not mounted', halted: 'halted', edit: 'Edit', doMount: 'Mount',
  },
  steps: {
    submit: 'Submit for review', recall: 'Recall', return: 'Return', approve: 'Publish', revise: 'Revise', discard: 'Discard the draft', withdraw: 'Withdraw', reopen: 'Reopen', regrade: 'Grade changed',
  },
  step: {
    more: 'More', review: 'Review', edit: 'Edit', mount: 'Mount data', unmount: 'Unmount', done: 'Done', reason: 'Reason', needReason: 'Say why, once and completely', confirm: 'Go on',
    sure: {
      recall: 'It can be written again; the clock of the review stops.', discard: 'The draft is thrown away; what is published stays as it is.', withdraw: 'The resource leaves the catalogue, and all grants and deliveries of it end.',
      reopen: 'What was last in force becomes a draft again.', unmount: 'Data stops flowing, and what was made for it in the source is removed.', revise: 'What is published stays in force meanwhile.',
    },
  },
  editor: {
    new: 'New resource', edit: (title) => `Edit: ${title}`, lead: 'Keep it as a draft and go on whenever you like; before it is submitted, all that is still missing is told.',
    basics: 'What it is', sharing: 'Sharing', items: 'Items', rules: 'Quality rules', level: 'Service level', optional: '(optional)',
    title: 'Name', titleHint: 'For example: basic data of residents', code: 'Code', codeHint: 'Lower-case letters, digits, underscores; not changed later', department: 'Provider', abstract: 'Abstract',
    abstractHint: 'What is in it, from which system, what it is for', category: 'Category', keywords: 'Keywords', keywordsHint: 'Type and press Enter', format: 'Format', formatDetail: 'More on the format',
    related: 'Related resources', data_class: 'Data class', provision_channel: 'Provided over', service_item: 'Service item', serviceHint: 'Import the list of service items first',
    sharing_type: 'Sharing type', sharing_conditions: 'Conditions', conditionsHint: 'Who may use it, for what, and how far', legal_basis: 'Legal basis',
    basisHint: 'What is not shared cites the law it rests on', grade: 'Grade', grade_level: 'Sub-level', update_cycle: 'Update cycle', sharing_channels: 'Channels', openness: 'Open to society',
    opennessOpen: 'May be opened to society', opennessConditions: 'Conditions of opening', scenario: 'Scenario', delay: 'Longest delay (seconds)', availability: 'Availability (%)', retention: 'Kept for days',
    notHere: 'Core data and state secrets never enter this catalogue.', save: 'Save draft', submit: 'Check and submit', saved: 'The draft is saved', unsaved: 'There are unsaved changes', allSaved: 'All is saved', written: (when) => `saved ${when}`,
    todo: (count) => `${count} to mend before it is published`, todoNote: 'Click to go to the field.', ready: 'Complete: it can be submitted.', row: (number, title) => `Item ${number} ${title}`,
    rule: (number, id) => `Rule ${number} ${id}`,
    leave: 'Leave without saving?', leaveMore: 'What you have just changed is not saved, and will be lost.', stay: 'Stay', go: 'Leave without saving',
    conflict: 'Somebody else has changed this draft', conflictMore: (fields) => `Since you opened it, something else was saved. It differs from yours in: ${fields || 'nothing'}. Choose which to keep.`, takeTheirs: 'Take theirs', keepMine: 'Put mine over it',
    begin: 'To change what is published, begin a revision. What is published stays in force meanwhile.', waits: 'It is being reviewed and cannot be written; recall it to change something.', gone: 'It is withdrawn; reopen it to write it again.', notYours: 'You write resources of your own department only.',
    returned: 'Returned by the review', returnedBy: (who) => `by ${who}`,
    formats: { file: 'file', spreadsheet: 'spreadsheet', database: 'database', image: 'image', stream: 'stream', self_describing: 'self-describing' },
  },
  table: {
    number: 'No.', title: 'Name', name: 'Code', type: 'Type', length: 'Length', scale: 'Scale', key: 'Key', query: 'Query', nullable: 'Null', sensitivity: 'Sensitivity', standard: 'Data element',
    codes: 'Code list', unit: 'Unit', column: 'Column', columnHint: 'as its code', description: 'Description', add: 'Add an item', up: 'Up', down: 'Down', remove: 'Remove', caption: 'Items, to be written',
    note: 'Enter goes to the same column of the next row; in the last row it adds one.', count: (count) => `${count} items`, none: 'No items yet.', fromTable: 'Take from a table',
  },
  rules: {
    lead: 'Rules are part of the contract and looked at for every change: an error sets the row aside, a warning is only counted. Unique and consistent set nothing aside: departments are told what does not agree for a while.', add: 'Add a rule', id: 'Code', kind: 'Kind', items: 'Items', parameters: 'Parameters', severity: 'Severity', remove: 'Remove the rule', none: 'No quality rules.',
    kinds: {
      required: 'required', pattern: 'pattern', range: 'range', enumeration: 'enumeration', code_list: 'code list', check_digit: 'check digit', unique: 'unique', compare: 'compare', freshness: 'freshness', consistent: 'consistent',
    },
    names: {
      pattern: 'Pattern (RE2)', min: 'From', max: 'To', values: 'Values, by commas', list: 'Code list', scheme: 'Scheme', operator: 'Relation', max_age_seconds: 'At most (seconds)', resource: 'Other resource', items: 'Its items, by commas', when: 'Only where',
    },
    schemes: { uscc: 'unified social credit code', citizen_id: 'citizen ID' }, severities: { error: 'error', warning: 'warning' },
  },
  hints: {
    slug: 'Begins with a lower-case letter; at most 40 lower-case letters, digits, underscores', twice: 'Another item has this code', noConditions: 'An unconditional resource has no conditions', important: 'Important data is shared on conditions only',
    notOpen: 'What is not shared, personal or secret is not opened to society', noKey: 'No item is a key: mark what identifies a row', keyNullable: 'A key is never missing', scale: 'More decimal places than digits', secret: 'With a sensitive item it is not unconditional',
  },
  check: {
    title: 'Before it is submitted', defects: 'It cannot be submitted yet', none: 'Nothing is missing.', changes: 'What differs from the published version', first: 'It was never published: nothing to compare it with.', level: 'What it means to consumers', submit: 'Submit for review', submitted: 'Submitted for review',
    bumps: { major: 'Major: consumers of today cannot read it, and each acknowledges the notice or lets it run out', minor: 'Minor: consumers of today are not touched', patch: 'Patch: the data stays as it is' }, reading: 'Checking…',
  },
  reviews: {
    title: 'Reviews', lead: 'What departments have submitted, by the clock that runs out first. Nobody reviews what they submitted.', none: 'Nothing waits for a review', noneMore: 'What departments submit shows here at once.', resource: 'Resource', department: 'Department', by: 'Submitted by',
    since: 'Since', due: 'Due', kind: 'Kind', first: 'first time', revision: 'revision', own: 'submitted by you',
    page: (title) => `Review: ${title}`, what: 'What was submitted', history: 'What was done', decide: 'Decide', ownMore: 'You submitted this: somebody else must review it.', approve: 'Publish', return: 'Return', reason: 'Why it is returned',
    reasonHint: 'All that has to be mended, once and completely', comment: 'Comment (optional)', published: 'Published', returned: 'Returned', notWaiting: 'It is not in review.', toResource: 'To the resource', checks: 'Checks', holds: 'Nothing against it.',
  },
  mount: {
    title: (title) => `Mount: ${title}`, lead: 'Tie the resource to where its data really is: try it first, see all that is wrong and a sample, then mount it.', kind: 'Where the data is', system: 'System', noSystem: 'Your department has no information system yet.', register: 'Register one',
    kinds: {
      table: "Every change of a database's table, from its log, within a second.", topic: 'The system itself writes its changes by the contract.', file: 'Files are sent; what differs from the one before flows.', api: 'The exchange asks an API now and then; what differs flows.',
    },
    table: 'Table', tables: 'Tables to choose from', pick: 'Choose', picked: 'chosen', schema: 'Schema', name: 'Table', about: 'Comment', rows: 'Rows, about', tableKey: 'Key', replica: 'Whole rows logged', yes: 'yes', no: 'no', noTables: "The system's user sees no table.", truncated: 'There are more tables than are shown.',
    readable: 'readable', unreadable: 'not readable', kindsOfTable: { table: 'table', partitioned: 'partitioned', view: 'view', materialized: 'materialized', foreign: 'foreign' },
    mapping: 'Columns of the items', mappingLead: 'Proposed by names, comments and pinyin; change what is wrong, and it is checked again at once.', item: 'Item', column: 'Column', why: 'Why', found: 'What is wrong', unused: (columns) => `Columns not used: ${columns}`,
    reasons: { declared: 'declared', name: 'same name', comment: 'its comment', spelling: 'spelled alike', pinyin: 'pinyin', initials: 'initials', type: 'the only one left of its type' }, confidences: { certain: 'certain', likely: 'likely', guess: 'a guess' },
    none: 'none', chosen: 'chosen by hand',
    findings: 'What was found', blocks: 'It cannot be mounted', warns: 'To be looked at', clean: 'Nothing is wrong: it can be mounted.', rulesTried: 'Quality rules, tried', broken: 'Rows that break it', sampled: (count) => `${count} rows sampled`,
    sample: 'Sample', sampleNote: 'Masked by sensitivity, ten rows; nothing of it is kept.', noRows: 'The table is empty.',
    act: 'Mount', acting: 'Making the connector, a minute at most…', differs: 'The columns differ from what is published: write them into a revision, have it reviewed, then mount.', write: 'Write the columns into a revision', writeDraft: 'Write the columns into the draft', wrote: 'The columns are in the draft',
    notPublished: 'It is mounted once it is published; until then try it, and write the columns into the draft.', draftTried: 'What is tried is the draft of a revision; what is mounted is the published version.', already: 'The resource is mounted.', notShared: 'What is not shared is not mounted.',
    live: 'It is mounted', liveMore: (topic) => `Data goes into the change topic ${topic}.`, toResource: 'To the resource',
    credentialsOnce: 'Shown once: keep them now. New ones end these.', file: 'Send a file', fileLead: 'CSV (UTF-8 or GBK) or Excel whose header names the items.', mode: 'What is in it', modes: { full: 'all rows: what is not in it is deleted', changes: 'only rows that are new or changed' },
    upload: 'Send', choose: 'Choose a file', taken: (rows, created, updated, deleted) => `${rows} rows taken in: ${created} new, ${updated} changed, ${deleted} deleted.`,
    api: {
      url: 'Address', rows: 'Where the rows are', rowsHint: 'A JSON pointer: /data/list', paging: 'Pages', pagings: { none: 'one page', cursor: 'cursor', page: 'numbered', link: 'Link header' }, parameter: 'Parameter', pointer: 'Where the next cursor is', header: 'Header of the secret', secret: 'Secret',
      secretHint: 'Kept sealed, never shown', every: 'Asked every (seconds)', empty: 'No rows means that all are gone', try: 'Try the API', fields: 'Where it is', pages: (pages, rows) => `${pages} pages, ${rows} rows`,
    },
    try: 'Check', again: 'Check again', trying: 'Reading the source…',
  },
  trial: {
    title: 'Try the rules on sample rows', lead: 'The first line names the items by code or name, each line after it is a row: paste it from a spreadsheet, or part values by tabs or commas; what is left empty is missing. Nothing of it is kept.', rows: 'Sample rows', act: 'Try',
    count: (count) => `${count} sample rows`, saveFirst: 'Items have changed: save the draft, then try.', noRules: 'There are no rules yet.', noRows: 'Write sample rows below the first line.',
    good: (good, rows) => `${good} of ${rows} rows keep all rules.`, broken: 'Sample rows that break a rule', row: 'Row', rule: 'Rule', detail: 'What is wrong',
  },
  grade: {
    title: 'Change the grade', act: 'Change the grade', actRising: 'Raise it and decide anew', core: 'Core data is not shared over this exchange: withdraw it instead.', grants: 'Grants in force', then: 'Then', reopened: 'stops at once, decided anew', goesOn: 'goes on',
    rises: (count) => `Once the grade is higher, grants stop delivering at once and must be decided anew by it: ${count}. Important data takes two persons.`,
    stays: (count) => `The grade is not higher; grants that go on: ${count}.`,
  },
  writer: {
    title: 'Credentials to write', lead: 'The system writes its change topic with them. The exchange does not keep the password: make new ones when it is lost or was seen.', once: 'Shown once: give them to the program that writes now.', renew: 'New credentials', sure: 'Make new credentials?', sureMore: 'The password of before ends at once; the program cannot write until it has the new one.',
  },
  live: {
    title: 'The mount now', condition: 'Condition', where: 'Where', topic: 'Change topic', connector: 'Connector', records: 'Records of the topic', newest: 'Newest change', every: 'Asked', checked: 'Looked at', waits: 'waiting for the first look…', mounted: 'mounted',
  },
  lists: {
    title: 'Import lists', lead: 'Powers, service items and the data list by template, each as a whole: a file with faults changes nothing, and each is marked.', kinds: { powers: 'Powers', 'service-items': 'Service items', 'data-items': 'Data list' }, template: 'Template', excel: 'Excel', csv: 'CSV',
    upload: 'Import', choose: 'Choose a file', department: 'Department', done: (rows, added, changed) => `${rows} rows imported: ${added} new, ${changed} changed.`, faults: 'Faults of the file', row: 'Row', column: 'Column', detail: 'What is wrong', marked: 'Download the marked copy',
    now: 'What there is', code: 'Code', name: 'Name', power: 'Power', kind: 'Kind', basis: 'Basis', service_item: 'Service item', use: 'Use', uses: { makes: 'makes', needs: 'needs' }, none: 'Nothing was imported yet.', none_: 'No file chosen', exception: 'Exception',
  },
}
