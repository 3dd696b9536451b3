/** A resource as it is being written: its rows keep who they are while others come and go, so that faults stay with them. */
import type { Item, Preview, Rule, Terms } from '../../api/types'
import type { Words } from '../../i18n'

export type Row = Item & { id: number }
export type RuleRow = Rule & { row: number }
export type Draft = Omit<Terms, 'items' | 'rules'> & { items: Row[]; rules: RuleRow[] }

/** What is wrong somewhere in a draft; items and rules are named by their rows: `/items/r17/name`. */
export interface Fault {
  pointer: string
  detail: string
}

let rows = 0

export function blankRow(given: Partial<Item> = {}): Row {
  rows += 1
  return {
    id: rows, name: '', title: '', type: 'string', column: '', key: false, nullable: true, sensitivity: 'internal', description: null,
    length: null, scale: null, standard: null, code_list: null, unit: null, query_key: false, ...given,
  }
}

export function blankRule(): RuleRow {
  rows += 1
  return { row: rows, id: '', kind: 'required', items: [], parameters: {}, severity: 'error', message: '' }
}

export function blank(department: string): Draft {
  return {
    code: '', title: '', abstract: '', department, sharing_type: 'conditional', sharing_conditions: null, legal_basis: null,
    grade: 'general', classified: false, update_cycle: 'real_time', items: [blankRow({ key: true, nullable: false })], category: null,
    format: { kind: 'database' }, sharing_channels: ['topic', 'api'], openness: { open: false }, related: [], scenario: null,
    provision_channel: null, service_item: null, grade_level: null, data_class: null, keywords: [], rules: [], service_level: {},
  }
}

/** `terms` to be written on; rows are those of `before` where these are what was sent. */
export function draftOf(terms: Terms, before?: Draft): Draft {
  return {
    ...terms,
    // the column of an item's own name is the usual one, and goes with the name when that is changed
    items: terms.items.map((one, at) => ({
      ...one, id: before?.items[at]?.id ?? blankRow().id, column: one.column === one.name ? '' : one.column,
    })),
    rules: terms.rules.map((one, at) => ({ ...one, row: before?.rules[at]?.row ?? blankRule().row })),
  }
}

/** Without the rows that nobody has written anything in. */
export function withoutBlanks(draft: Draft): Draft {
  return {
    ...draft,
    items: draft.items.filter((one) => one.name.trim() || one.title.trim()),
    rules: draft.rules.filter((one) => one.id.trim() || one.items.length),
  }
}

/** The terms as they are sent: texts without what stands around them, null where there is none. */
export function termsOf(draft: Draft): Terms {
  const text = (value: string | null | undefined) => value?.trim() || null
  return {
    ...draft,
    code: draft.code.trim(), title: draft.title.trim(), abstract: draft.abstract.trim(), sharing_conditions: text(draft.sharing_conditions),
    legal_basis: text(draft.legal_basis), scenario: text(draft.scenario), provision_channel: text(draft.provision_channel),
    data_class: text(draft.data_class), format: { ...draft.format, detail: text(draft.format.detail) },
    openness: { ...draft.openness, conditions: text(draft.openness.conditions) },
    items: draft.items.map(({ id: _, ...one }) => ({
      ...one, name: one.name.trim(), title: one.title.trim(), column: one.column.trim(), description: text(one.description),
      standard: text(one.standard), code_list: text(one.code_list), unit: text(one.unit),
    })),
    rules: draft.rules.map(({ row: _, ...one }) => ({ ...one, id: one.id.trim(), message: one.message.trim() })),
  }
}

/** Whether two drafts say the same. */
export function same(one: Draft, other: Draft): boolean {
  return JSON.stringify(termsOf(one)) === JSON.stringify(termsOf(other))
}

/** The names of the fields in which two drafts differ: what somebody else has written meanwhile. */
export function differing(one: Draft, other: Draft): string[] {
  const [a, b] = [termsOf(one) as Record<string, unknown>, termsOf(other) as Record<string, unknown>]
  return Object.keys({ ...a, ...b }).filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]))
}

/** A fault of the exchange at the row that it means. */
export function pinned({ pointer, detail }: Fault, draft: Draft): Fault {
  const [, part, at, ...rest] = pointer.split('/')
  const row = part === 'items' ? draft.items[Number(at)]?.id : part === 'rules' ? draft.rules[Number(at)]?.row : undefined
  return row === undefined || at === undefined || at === '' ? { pointer, detail } : { pointer: ['', part, `r${row}`, ...rest].join('/'), detail }
}

/** Whether a change at `changed` may have mended what was said of `pointer`. */
export function touched(pointer: string, changed: string): boolean {
  if (pointer === changed || pointer.startsWith(`${changed}/`) || changed.startsWith(`${pointer}/`)) return true
  return changed === '/sharing_type' && ['/sharing_conditions', '/legal_basis', '/openness/open', '/sharing_channels'].includes(pointer)
}

const SLUG = /^[a-z][a-z0-9_]{0,39}$/

/** What can be seen here already, before the exchange is asked: its own rules, as far as a field has anything in it. */
export function hintsOf(draft: Draft, told: Words['providing']['hints']): Fault[] {
  const found: Fault[] = []
  const say = (pointer: string, detail: string) => found.push({ pointer, detail })
  const personal = draft.items.some((one) => one.sensitivity === 'personal' || one.sensitivity === 'secret')
  if (draft.code && !SLUG.test(draft.code)) say('/code', told.slug)
  if (draft.sharing_type === 'unconditional') {
    if (draft.sharing_conditions?.trim()) say('/sharing_conditions', told.noConditions)
    if (draft.grade === 'important') say('/sharing_type', told.important)
  }
  if (draft.openness.open && (personal || draft.sharing_type === 'not_shared')) say('/openness/open', told.notOpen)
  if (draft.items.length && !draft.items.some((one) => one.key)) say('/items', told.noKey)
  const names = new Map<string, number>()
  for (const one of draft.items) names.set(one.name, (names.get(one.name) ?? 0) + 1)
  for (const one of draft.items) {
    const at = `/items/r${one.id}`
    if (one.name && !SLUG.test(one.name)) say(`${at}/name`, told.slug)
    else if (one.name && (names.get(one.name) ?? 0) > 1) say(`${at}/name`, told.twice)
    if (one.key && one.nullable) say(`${at}/nullable`, told.keyNullable)
    if (one.scale != null && (one.length == null || one.scale > one.length)) say(`${at}/scale`, told.scale)
    if (one.sensitivity === 'secret' && draft.sharing_type === 'unconditional') say(`${at}/sensitivity`, told.secret)
  }
  return found
}

/** Items for the columns that no row has yet and that an item can be of. */
export function itemsOf(columns: Preview['columns'], rows: Row[]): Row[] {
  const used = new Set(rows.map((one) => one.column || one.name))
  return columns.flatMap((one) => {
    if (!one.item_type || used.has(one.name)) return []
    const name = SLUG.test(one.name) ? one.name : one.name.toLowerCase().replace(/[^a-z0-9_]/g, '_').slice(0, 40)
    return [
      blankRow({
        name, column: name === one.name ? '' : one.name, title: one.comment?.split(/[：:，,（(；;]/)[0]?.trim() || one.name,
        type: one.item_type, key: one.key, nullable: one.nullable && !one.key,
      }),
    ]
  })
}

export type ParameterName = 'pattern' | 'min' | 'max' | 'values' | 'list' | 'scheme' | 'operator' | 'max_age_seconds' | 'resource' | 'items' | 'when'

/** What somebody has typed, as the rule takes it; undefined where there is nothing. */
export function parsed(name: ParameterName, text: string, type: Item['type']): unknown {
  const said = text.trim()
  if (!said) return undefined
  const one = (value: string): unknown => {
    if (type === 'boolean') return value === 'true' || value === '是'
    return (type === 'integer' || type === 'double') && value !== '' && Number.isFinite(Number(value)) ? Number(value) : value
  }
  if (name === 'values') return said.split(/[,，、]/).map((value) => value.trim()).filter(Boolean).map(one)
  if (name === 'items') return said.split(/[,，、]/).map((value) => value.trim()).filter(Boolean)
  if (name === 'min' || name === 'max') return one(said)
  if (name === 'max_age_seconds') return Number.isFinite(Number(said)) ? Number(said) : said
  return said
}
