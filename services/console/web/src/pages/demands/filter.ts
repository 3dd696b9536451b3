/**
 * Row filters, from rows of a form to the exchange's small language and back:
 * `region starts with "3206" and status in ("alive", "moved")`. What the form cannot show is kept as text.
 */
import type { Item } from '../../api/types'

export const OPERATORS = ['=', '!=', 'starts with', 'in', '<', '<=', '>', '>=', 'is null', 'is not null'] as const
export type Operator = (typeof OPERATORS)[number]

export interface Condition {
  item: string
  operator: Operator
  value: string
}

export interface Filter {
  join: 'and' | 'or'
  conditions: Condition[]
}

type ItemType = Item['type']

/** The relations that fit an item of `type`. */
export function operatorsOf(type: ItemType): Operator[] {
  const ordered = ['integer', 'decimal', 'date', 'timestamp'].includes(type)
  return OPERATORS.filter((one) => {
    if (one === 'starts with') return type === 'string'
    if (['<', '<=', '>', '>='].includes(one)) return ordered
    return !(type === 'boolean' && one === 'in')
  })
}

/** A value as the language writes it for an item of `type`; null where it is none. */
function literal(text: string, type: ItemType): string | null {
  const value = text.trim()
  switch (type) {
    case 'integer':
      return /^-?\d+$/.test(value) ? value : null
    case 'decimal':
    case 'double':
      return /^-?\d+(\.\d+)?$/.test(value) ? value : null
    case 'boolean':
      return value === 'true' || value === 'false' ? value : null
    case 'date':
      return /^\d{4}-\d{2}-\d{2}$/.test(value) ? `date "${value}"` : null
    case 'timestamp':
      return Number.isNaN(Date.parse(value)) ? null : `timestamp "${value}"`
    case 'string':
      return value === '' ? null : `"${value.replace(/[\\"]/g, '\\$&')}"`
  }
}

/** One condition in the language; null where it is not complete. */
export function conditionText(one: Condition, type: ItemType): string | null {
  if (one.operator === 'is null' || one.operator === 'is not null') return `${one.item} ${one.operator}`
  if (one.operator === 'in') {
    const values = one.value.split(/[,，、]/).filter((part) => part.trim() !== '').map((part) => literal(part, type))
    return values.length && !values.includes(null) ? `${one.item} in (${values.join(', ')})` : null
  }
  const value = literal(one.value, type)
  return value === null ? null : `${one.item} ${one.operator} ${value}`
}

/** The filter in the language; null as long as a condition is not complete. */
export function filterText(filter: Filter, typeOf: (item: string) => ItemType | undefined): string | null {
  const parts = filter.conditions.map((one) => {
    const type = typeOf(one.item)
    return type ? conditionText(one, type) : null
  })
  return parts.length && !parts.includes(null) ? parts.join(` ${filter.join} `) : null
}

const ONE =
  /^([a-z_][a-z0-9_]*)\s+(?:(is not null|is null)|(in)\s*\(([^()]*)\)|(starts with|!=|<=|>=|=|<|>)\s*((?:date\s+|timestamp\s+)?"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false))$/

/** The rows of a form that say what `text` says; null where they cannot. */
export function filterOf(text: string): Filter | null {
  const join = / or /.test(outsideTexts(text)) ? 'or' : 'and'
  if (join === 'or' && / and /.test(outsideTexts(text))) return null
  const conditions: Condition[] = []
  for (const part of splitOutsideTexts(text, ` ${join} `)) {
    const found = ONE.exec(part.trim())
    if (!found) return null
    const [, item = '', missing, isIn, list = '', operator, value = ''] = found
    if (missing) conditions.push({ item, operator: missing as Operator, value: '' })
    else if (isIn) conditions.push({ item, operator: 'in', value: splitOutsideTexts(list, ',').map(plain).join(', ') })
    else conditions.push({ item, operator: operator as Operator, value: plain(value) })
  }
  return { join, conditions }
}

function plain(value: string): string {
  const text = /^(?:date\s+|timestamp\s+)?"(.*)"$/s.exec(value.trim())
  return text ? (text[1] ?? '').replace(/\\(.)/g, '$1') : value.trim()
}

function outsideTexts(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"/g, (found) => '·'.repeat(found.length))
}

function splitOutsideTexts(text: string, by: string): string[] {
  const bare = outsideTexts(text)
  const parts: string[] = []
  let begin = 0
  for (let at = bare.indexOf(by); at >= 0; at = bare.indexOf(by, begin)) {
    parts.push(text.slice(begin, at))
    begin = at + by.length
  }
  return [...parts, text.slice(begin)]
}
