import type { Like } from '../like'
import type { catalogue as zh } from '../zh/catalogue'

export const catalogue: Like<typeof zh> = {
  title: 'Catalogue',
  lead: 'Find what departments have published, read on what conditions it is shared, and apply for it.',
  ask: 'Names, information items, pinyin or initials',
  search: 'Search',
  found: (count) => `${count} resources`,
  understood: (text) => `read as “${text}”`,
  nothing: 'No resource fits',
  nothingMore:
    'Try other words, pinyin or initials, or fewer filters. Data that nobody has catalogued can be applied for in words.',
  askUncatalogued: 'Apply for uncatalogued data',
  uses: (count) => `${count} grants in force`,
  facets: {
    department: 'Provider', category: 'Category', sharing_type: 'Sharing type', grade: 'Grade', update_cycle: 'Update cycle',
    channel: 'Channel',
  },
  matching: 'Matching items',
  moreHits: 'Show more',
  allFacets: (count) => `All ${count}`,
  fewerFacets: 'Fewer',
  apply: 'Apply',
  cannotApply: 'Resources that are not shared cannot be applied for',
  noPermission: 'Consumers apply',
  provider: 'Provider',
  code: 'Catalogue code',
  tabs: {
    items: 'Items', terms: 'Terms', contract: 'Contract', lineage: 'Where from, where to', uses: 'Uses', history: 'History',
  },
  items: {
    title: 'Information item', name: 'Name', type: 'Type', sensitivity: 'Sensitivity', key: 'key', query: 'query key',
    nullable: 'may be missing', standard: 'Data element', unit: 'Unit', codes: 'Code list', length: 'Length',
    description: 'Description',
  },
  terms: {
    sharing: 'Sharing type', conditions: 'Conditions', basis: 'Legal basis', grade: 'Grade', cycle: 'Update cycle',
    channels: 'Channels', openness: 'Open to society', scenario: 'Scenario', category: 'Category', format: 'Format',
    service: 'Service item', keywords: 'Keywords', published: 'Published', updated: 'Updated', summary: 'Abstract',
    level: 'level', open: 'open', notOpen: 'not open',
  },
  contract: {
    title: 'Contract', version: 'Version', subject: 'Subject', rules: 'Quality rules', level: 'Service level',
    delay: 'Longest delay', availability: 'Availability', retention: 'Kept for days', schema: 'Avro schema',
    noRules: 'No quality rules are declared.', rule: 'Rule', items: 'Items', severity: 'Severity', parameters: 'Parameters',
    error: 'error', warning: 'warning', none: 'A resource has a contract once it is published.', download: 'Download as ODCS',
  },
  lineage: {
    title: 'Where the data comes from and goes to',
    lead: 'From the source system by connector, changes, contract and grant to the departments; as far as you may know.',
    none: 'Nothing is mounted on this resource, so there is no road yet.',
    list: 'As a list',
  },
  uses_: {
    title: 'Grants in force', department: 'Department', purpose: 'Purpose', items: 'Items', channels: 'Channels',
    until: 'Until', none: 'There are no grants that you may see.', forEver: 'no end',
  },
  history: {
    title: 'Published versions', version: 'Version', contract: 'Contract', at: 'Published', compare: 'Compared with the one before',
    none: 'This is the first version: nothing to compare it with.', same: 'The two versions do not differ.',
    between: (a, b) => `version ${a} → ${b}`, added: 'added', removed: 'removed', changed: 'changed', before: 'before',
    after: 'after',
  },
  related: {
    title: 'Related', declared: 'declared', service_item: 'same service item', category: 'same category', items: 'similar items',
  },
  mount: {
    title: 'Mount', none: 'not mounted', halted: 'Delivery is halted', kind: 'Kind', system: 'System', table: 'Table',
    topic: 'Change topic',
  },
}
