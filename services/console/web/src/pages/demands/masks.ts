/** The masks that a form offers for an item, and what each is called in the exchange's own terms. */
import type { Item } from '../../api/types'

type Mask = Record<string, unknown>

export const MASKS = {
  keep_first: { kind: 'keep', first: 1 },
  keep_ends: { kind: 'keep', first: 6, last: 4 },
  keep_last4: { kind: 'keep', last: 4 },
  year: { kind: 'date_to', unit: 'year' },
  month: { kind: 'date_to', unit: 'month' },
  range: { kind: 'range', width: 10 },
  prefecture: { kind: 'region_to', level: 'prefecture' },
  county: { kind: 'region_to', level: 'county' },
  pseudonym: { kind: 'pseudonym' },
  null: { kind: 'null' },
} as const satisfies Record<string, Mask>

export type MaskName = keyof typeof MASKS | 'clear'

const BY_TYPE: Record<Item['type'], MaskName[]> = {
  string: ['clear', 'keep_first', 'keep_ends', 'keep_last4', 'prefecture', 'pseudonym', 'null'],
  date: ['clear', 'year', 'month', 'null'],
  timestamp: ['clear', 'year', 'month', 'null'],
  integer: ['clear', 'range', 'null'],
  decimal: ['clear', 'range', 'null'],
  double: ['clear', 'null'],
  boolean: ['clear', 'null'],
}

/** The masks that fit `item`. */
export function masksOf(item: Item): MaskName[] {
  return BY_TYPE[item.type].filter((one) => one !== 'null' || item.nullable !== false)
}

/** What is proposed for `item`: as little as will mostly do. */
export function proposed(item: Item): MaskName {
  if (item.sensitivity === 'secret') return item.type === 'string' ? 'pseudonym' : 'null'
  if (item.sensitivity !== 'personal') return 'clear'
  if (item.key) return 'pseudonym'
  return item.type === 'string' ? 'keep_first' : item.type === 'date' || item.type === 'timestamp' ? 'year' : 'clear'
}

/** The offered mask that `mask` is; null where it is another one. */
export function maskName(mask: Mask | null | undefined): MaskName | null {
  if (!mask) return 'clear'
  const wanted = JSON.stringify(Object.entries(mask).sort())
  const found = Object.entries(MASKS).find(([, one]) => JSON.stringify(Object.entries(one).sort()) === wanted)
  return (found?.[0] as MaskName | undefined) ?? null
}
