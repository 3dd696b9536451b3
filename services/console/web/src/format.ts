/** Numbers, times and days as people read them. Days and times are those of the place, whose clocks count. */
import type { Language, Words } from './i18n'

export const PLACE = 'Asia/Shanghai'

const DAY_MS = 86_400_000

export function number(value: number | null | undefined, language: Language, digits = 0): string {
  if (value === null || value === undefined) return '–'
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value)
}

/** A large number in few signs: 12.4万, 12.4K. */
export function brief(value: number, language: Language): string {
  return new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 }).format(value)
}

/** A share of one as per cent; a dash where there was nothing to rate. */
export function percent(value: number | null | undefined, language: Language, digits = 1): string {
  if (value === null || value === undefined) return '–'
  return new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: digits }).format(value)
}

/** Milliseconds in the unit that fits. */
export function duration(ms: number | null | undefined, language: Language): string {
  if (ms === null || ms === undefined) return '–'
  const zh = language === 'zh-CN'
  if (ms < 1_000) return `${number(ms, language, ms < 10 ? 1 : 0)} ${zh ? '毫秒' : 'ms'}`
  const seconds = ms / 1_000
  if (seconds < 60) return `${number(seconds, language, seconds < 10 ? 1 : 0)} ${zh ? '秒' : 's'}`
  if (seconds < 3_600) return `${number(seconds / 60, language, seconds < 600 ? 1 : 0)} ${zh ? '分钟' : 'min'}`
  if (seconds < 86_400) return `${number(seconds / 3_600, language, 1)} ${zh ? '小时' : 'h'}`
  return `${number(seconds / 86_400, language, 1)} ${zh ? '天' : 'd'}`
}

export function exact(at: string, language: Language): string {
  return new Intl.DateTimeFormat(language, {
    timeZone: PLACE, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
    second: '2-digit', hour12: false, timeZoneName: 'short',
  }).format(new Date(at))
}

export function clockTime(at: string | number, language: Language, seconds = false): string {
  return new Intl.DateTimeFormat(language, {
    timeZone: PLACE, hour: '2-digit', minute: '2-digit', hour12: false, ...(seconds ? { second: '2-digit' } : {}),
  }).format(new Date(at))
}

/** A day (`2026-11-25` or a time) as people write it. */
export function day(value: string, language: Language): string {
  const at = value.length === 10 ? new Date(`${value}T12:00:00+08:00`) : new Date(value)
  const thisYear = placeDay(new Date()).slice(0, 4) === placeDay(at).slice(0, 4)
  return new Intl.DateTimeFormat(language, {
    timeZone: PLACE, month: language === 'en' ? 'short' : 'numeric', day: 'numeric', ...(thisYear ? {} : { year: 'numeric' }),
  }).format(at)
}

/** The day it is at the place at `at`, as `YYYY-MM-DD`. */
export function placeDay(at: Date): string {
  return new Intl.DateTimeFormat('en-CA', { timeZone: PLACE, year: 'numeric', month: '2-digit', day: '2-digit' }).format(at)
}

const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['second', 60], ['minute', 60], ['hour', 24], ['day', 30], ['month', 12], ['year', Infinity],
]

/** How long ago, or in how long, in words. */
export function ago(at: string, now: number, language: Language): string {
  let value = (new Date(at).getTime() - now) / 1_000
  const words = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
  for (const [unit, size] of STEPS) {
    // what has only just happened was now, also where two clocks differ by a little
    if (unit === 'second' && Math.abs(value) < 5) return words.format(0, 'second')
    if (Math.abs(value) < size) return words.format(Math.round(value), unit)
    value /= size
  }
  return ''
}

export interface Due {
  text: string
  tone: 'bad' | 'warn' | 'calm'
  days: number
}

/** What a clock that is due on the day `dueOn` says on the day `today`. */
export function due(dueOn: string, today: string, words: Words, language: Language, overdue = false): Due {
  const days = Math.round((Date.parse(dueOn) - Date.parse(today)) / DAY_MS)
  if (days < 0) return { text: words.when.over(number(-days, language)), tone: 'bad', days }
  if (overdue) return { text: words.when.overToday, tone: 'bad', days }
  if (days === 0) return { text: words.when.today, tone: 'warn', days }
  if (days === 1) return { text: words.when.tomorrow, tone: 'warn', days }
  return { text: words.when.left(number(days, language)), tone: days <= 2 ? 'warn' : 'calm', days }
}

/** Rows as CSV (RFC 4180), with the mark that tells Excel of UTF-8; what begins like a formula is made text. */
export function csv(header: readonly string[], rows: readonly (readonly (string | number | null | undefined)[])[]): string {
  const field = (value: string | number | null | undefined): string => {
    let text = value === null || value === undefined ? '' : String(value)
    if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = `'${text}`
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return `\ufeff${[header, ...rows].map((row) => row.map(field).join(',')).join('\r\n')}\r\n`
}

/** Offers `content` as a file to keep. */
export function offer(name: string, content: string | Blob, kind = 'text/csv;charset=utf-8'): void {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: kind }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}
