import type { Like } from '../like'
import type { data as zh } from '../zh/data'

export const data: Like<typeof zh> = {
  title: 'My data',
  lead: 'What was granted to you: how it is delivered, how to connect, credentials.',
  none: 'Nothing was granted yet',
  noneMore: 'Apply in the catalogue; what is approved is connected here.',
  resource: 'Resource', department: 'Department', channels: 'Channels', state: 'State', until: 'Until', records: 'Delivered',
  last: 'Last', trend: 'Last hour', forEver: 'no end', silent: 'silent',
  silentSince: 'Nothing has come for longer than its update cycle', received: 'Received', provided: 'Provided', all: 'All',
  page: 'Grant',
  tabs: { delivery: 'Delivery', connect: 'How to connect', scope: 'What is granted', repeat: 'Replay and reconcile', feedback: 'Feedback and objections' },
  figures: {
    records: 'Records delivered', latency: 'Mean latency', latencyMore: 'source commit to delivery', worst: 'Longest',
    timely: 'Within a minute', errors: 'Set aside', behind: 'catching up', live: 'live',
    calls: 'API calls', callsMore: (mean, refused) => `${mean} on average · ${refused} refused`,
  },
  plot: { title: 'Delivery and latency', records: 'Records', latency: 'Mean latency (ms)', minute: 'By minute', hour: 'By hour', day: 'By day', label: 'Records delivered and mean latency over time', none: 'Nothing was delivered in this span.' },
  connect: {
    lead: 'Credentials are shown once; the snippets below are ready to copy.',
    credentials: 'Credentials for topics', issue: 'New credentials',
    issueWarn: "A new password is made; the department's old one ends at once, and programs that use it are cut off.",
    issueFirst: "The department's Kafka user and password; shown once, so keep them well.", username: 'User', password: 'Password',
    mechanism: 'Mechanism', prefix: 'Group prefix', once: 'Keep it now: it is not shown again.', apiKey: 'API key',
    newKey: 'New API key', endsOthers: 'End the keys before', endKeys: 'End all keys', keysEnded: 'All keys are ended',
    keyCount: (count) => `${count} keys work now`, topic: 'Topic', sure: 'Make new credentials?', generate: 'Make',
    language: 'Snippet', notMine: 'Only the department itself makes its credentials.',
    tableNote: "Table exchange: the data is written into this table of the department's own database; look at it with psql.",
    table: 'Table', tableState: 'Writing', running: 'running', waiting: 'waiting',
  },
  scope: { items: 'Items', mask: 'Mask', clear: 'in clear', filter: 'Rows', allRows: 'all rows', purpose: 'Purpose', from: 'Valid from', contract: 'Contract', thread: 'Thread', topic: 'Topic' },
  renew: { action: 'Renew', title: 'Renew', until: 'New end', done: 'Renewed', need: 'Feedback is needed before renewal.' },
  object: 'Object to a record',
}
