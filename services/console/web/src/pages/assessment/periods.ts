/** Periods of assessment by name: `2026-11`, `2026-Q4`, `2026`. */
export type PeriodKind = 'month' | 'quarter' | 'year'

export function kindOf(period: string): PeriodKind {
  if (/^\d{4}-\d{2}$/.test(period)) return 'month'
  return /^\d{4}-Q[1-4]$/.test(period) ? 'quarter' : 'year'
}

/** The period before `period`. */
export function periodBefore(period: string): string {
  const year = Number(period.slice(0, 4))
  switch (kindOf(period)) {
    case 'month': {
      const month = Number(period.slice(5))
      return month === 1 ? `${year - 1}-12` : `${year}-${String(month - 1).padStart(2, '0')}`
    }
    case 'quarter': {
      const quarter = Number(period.slice(6))
      return quarter === 1 ? `${year - 1}-Q4` : `${year}-Q${quarter - 1}`
    }
    case 'year':
      return String(year - 1)
  }
}

const SHOWN: Record<PeriodKind, number> = { month: 18, quarter: 8, year: 5 }

/** The periods up to the one of the day `today`, newest first. */
export function periodsOf(kind: PeriodKind, today: string): string[] {
  const first = { month: today.slice(0, 7), quarter: `${today.slice(0, 4)}-Q${Math.ceil(Number(today.slice(5, 7)) / 3)}`, year: today.slice(0, 4) }[kind]
  const periods = [first]
  while (periods.length < SHOWN[kind]) periods.push(periodBefore(periods.at(-1)!))
  return periods
}
