/** How rows are put in order and found: numbers as numbers, texts as the language has it, what is missing last. */
export type Value = string | number | null | undefined

export function inOrder<T>(rows: readonly T[], value: (row: T) => Value, down: boolean, language: string): T[] {
  const texts = new Intl.Collator(language, { numeric: true })
  const missing = (one: Value) => one === null || one === undefined || one === ''
  return [...rows].sort((left, right) => {
    const [a, b] = [value(left), value(right)]
    if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b))
    const order = typeof a === 'number' && typeof b === 'number' ? a - b : texts.compare(String(a), String(b))
    return down ? -order : order
  })
}

/** Whether every word of `filter` is somewhere in `values`. */
export function matches(values: readonly Value[], filter: string): boolean {
  const text = values.map((one) => one ?? '').join(' ').toLowerCase()
  return filter.toLowerCase().split(/\s+/).every((word) => text.includes(word))
}
