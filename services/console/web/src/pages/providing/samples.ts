/** Sample rows as somebody types them, or copies them from a spreadsheet: the first line names the items. */
import type { Item } from '../../api/types'

/** The first line: the codes of the items. */
export function headOf(items: Item[]): string {
  return `${items.map((one) => one.name).filter(Boolean).join('\t')}\n`
}

/** The rows that stand in `text`, each value as the type of its item wants it; what is empty is missing. */
export function rowsOf(text: string, items: Item[]): Record<string, unknown>[] {
  const lines = text.split(/\r?\n/)
  const head = lines[0] ?? ''
  const apart = head.includes('\t') || !/[,，]/.test(head) ? '\t' : ','
  const names = cells(head, apart).map((name) => items.find((one) => one.title === name)?.name ?? name)
  return lines.slice(1).filter((line) => line.trim()).map((line) => {
    const values = cells(line, apart)
    return Object.fromEntries(
      names.map((name, at) => [name, valued(values[at] ?? '', items.find((one) => one.name === name)?.type)] as const).filter(([name]) => name),
    )
  })
}

/** The cells of a line; one in quotes may hold what parts them. */
function cells(line: string, apart: string): string[] {
  const found = [...line.matchAll(apart === '\t' ? /(?:^|\t)(?:"((?:[^"]|"")*)"|([^\t]*))/g : /(?:^|[,，])(?:"((?:[^"]|"")*)"|([^,，]*))/g)]
  return found.map(([, quoted, plain]) => (quoted === undefined ? (plain ?? '').trim() : quoted.replaceAll('""', '"')))
}

function valued(text: string, type: Item['type'] | undefined): unknown {
  if (text === '') return null
  // what is no such value stays the text that it is, and the exchange says so
  if (type === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : text
  if (type === 'double') return Number.isFinite(Number(text)) ? Number(text) : text
  if (type === 'boolean') return ({ true: true, false: false, 是: true, 否: false, '1': true, '0': false } as Record<string, boolean>)[text.toLowerCase()] ?? text
  return text
}
