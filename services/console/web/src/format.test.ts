import { describe, expect, it } from 'vitest'
import { inOrder, matches } from './components/order'
import { ago, csv, due, duration, percent, placeDay } from './format'
import { words as zh } from './i18n/zh'
import { periodBefore, periodsOf } from './pages/assessment/periods'

describe('times', () => {
  const now = Date.parse('2026-11-25T10:00:00Z')
  it('are told in words of the reader', () => {
    expect(ago('2026-11-25T09:57:00Z', now, 'zh-CN')).toBe('3分钟前')
    expect(ago('2026-11-25T10:00:02Z', now, 'en')).toBe('now')
    expect(ago('2026-11-24T10:00:00Z', now, 'en')).toBe('yesterday')
  })
  it('are those of the place', () => {
    expect(placeDay(new Date('2026-11-25T16:30:00Z'))).toBe('2026-11-26')
  })
  it('take the unit that fits', () => {
    expect(duration(36.4, 'zh-CN')).toBe('36 毫秒')
    expect(duration(1_800_000, 'en')).toBe('30 min')
    expect(duration(null, 'en')).toBe('–')
  })
})

describe('a clock', () => {
  it('says how much is left, and is late after its day only', () => {
    expect(due('2026-11-25', '2026-11-25', zh, 'zh-CN')).toMatchObject({ text: '今天到期', tone: 'warn' })
    expect(due('2026-11-24', '2026-11-25', zh, 'zh-CN')).toMatchObject({ text: '已超期 1 天', tone: 'bad' })
    expect(due('2026-12-25', '2026-11-25', zh, 'zh-CN')).toMatchObject({ tone: 'calm', days: 30 })
  })
})

describe('tables', () => {
  it('are put in order as people count and spell, with what is missing last either way', () => {
    const rows = [{ v: null }, { v: 10 }, { v: 9 }]
    expect(inOrder(rows, (one) => one.v, false, 'zh-CN').map((one) => one.v)).toEqual([9, 10, null])
    expect(inOrder(rows, (one) => one.v, true, 'zh-CN').map((one) => one.v)).toEqual([10, 9, null])
    expect(inOrder(['第10', '第9'], (one) => one, false, 'zh-CN')).toEqual(['第9', '第10'])
  })
  it('are filtered by every word', () => {
    expect(matches(['民政局', 'Population'], 'popu 民政')).toBe(true)
    expect(matches(['民政局', null], '公安')).toBe(false)
  })
  it('are kept as CSV that no spreadsheet runs', () => {
    expect(csv(['a', 'b'], [['x"y', '=1+1'], [-5, null]])).toBe('\ufeffa,b\r\n"x""y",\'=1+1\r\n-5,\r\n')
  })
  it('rate nothing as nothing', () => {
    expect(percent(null, 'en')).toBe('–')
    expect(percent(0.954, 'en')).toBe('95.4%')
  })
})

describe('periods', () => {
  it('go back over the year', () => {
    expect(periodBefore('2026-01')).toBe('2025-12')
    expect(periodBefore('2026-Q1')).toBe('2025-Q4')
    expect(periodsOf('quarter', '2026-11-25').slice(0, 2)).toEqual(['2026-Q4', '2026-Q3'])
  })
})
