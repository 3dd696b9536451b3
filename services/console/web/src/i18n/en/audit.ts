import type { Like } from '../like'
import type { audit as zh } from '../zh/audit'

export const audit: Like<typeof zh> = {
  at: 'Time',
  title: 'Audit log',
  lead: 'Everything that happens on the exchange is sealed in a signed log. Looking into it is recorded, too.',
  status: (size, indexed) => `${size} sealed, ${indexed} searchable`, sealing: 'sealing', notSealing: 'this process stands by and does not seal',
  search: 'Search', reset: 'Reset', follow: 'Follow', following: 'Following the newest entries', newest: 'Newest', found: 'Found', more: 'Read on',
  fields: {
    actor: 'Who', department: 'Department', type: 'What', subject: 'Subject', thread: 'Thread', outcome: 'Outcome', since: 'From', until: 'To', topic: 'Topic',
    actorHint: 'Name or reference', subjectHint: 'Resource, demand or grant', threadHint: 'From a demand to its last delivered change',
  },
  columns: { sequence: 'No.', what: 'What', who: 'Who', subject: 'Subject', outcome: 'Outcome', at: 'When', records: 'Records' },
  none: 'No entry fits.', who: 'Who is it', erased: 'name erased',
  entry: {
    title: (number) => `Entry ${number}`, facts: 'The entry', thread: 'Same thread', recorded: 'Sealed', occurred: 'Happened', digest: 'Digest of the record', trace: 'Trace',
    place: 'Place', delay: 'Sealed after', previous: 'Previous', next: 'Next', follow: 'The whole thread',
  },
  verify: {
    title: 'Verified in this page', lead: "Computed by your browser alone, taking nobody's word: signature, leaf hash and inclusion proof, each anew.", run: 'Verify again', running: 'Computing…',
    holds: 'It holds: this entry is in the log that was signed, and unchanged.', fails: 'It does not hold', unsupported: 'This browser has no Ed25519. Use a newer one, or verify.py of an export.',
    checks: { key: "The log's key", signature: 'Signature of the checkpoint (Ed25519)', number: 'The number the entry gives itself', leaf: 'Leaf hash SHA-256(0x00 ‖ entry)', root: 'Root computed from the inclusion proof' },
    proof: 'Inclusion proof', size: (size) => `checkpoint over ${size} entries`, computed: 'computed', signed: 'signed', raw: 'The sealed entry (Base64)', keep: 'Download the proof', steps: (count) => `${count} siblings`,
    anchor: 'Compare with the key that you got by another way',
  },
  trace: { title: 'The whole thread', lead: 'All entries of the thread in time: from application and grant to every delivery.', load: 'Show the thread' },
  matters: {
    title: 'Findings and alerts', lead: 'Departments answer findings; alerts come from rules, and are closed or become incidents.', none: 'No findings or alerts.', kind: 'Kind', state: 'State', matter: 'Matter',
    department: 'Department', due: 'Answer by', opened: 'Opened', evidence: 'Evidence', rule: 'Rule', steps: 'What was done', take: 'Handle it', text: 'What to say', done: 'Done', need: 'Say something',
    actions: { answer: 'Answer', return: 'Return', escalate: 'Make it an incident', close: 'Close' }, open: 'New finding', openTitle: 'Open a finding', title_: 'Title', entries: 'Numbers of entries',
    entriesHint: 'Separated by commas: 4711, 4712', opened_: 'The finding is open', all: 'All', by: (who) => `opened by ${who}`, from: (id) => `grew from alert ${id}`,
    onlyOpen: 'Open only',
  },
}
