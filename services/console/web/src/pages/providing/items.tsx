/** The items of a resource as a table to write in: cells are plain fields, so that hundreds of rows stay quick. */
import { Button } from 'antd'
import { memo, useEffect, useMemo, useRef, type KeyboardEvent, type ReactNode } from 'react'
import type { Item } from '../../api/types'
import { number } from '../../format'
import { useLanguage, useWords } from '../../i18n'
import { blankRow, type Fault, type Row } from './draft'

const TYPES: Item['type'][] = ['string', 'integer', 'decimal', 'double', 'boolean', 'date', 'timestamp']
const SENSITIVITIES: Item['sensitivity'][] = ['open', 'internal', 'personal', 'secret']

interface Props {
  rows: Row[]
  faults: Fault[]
  codeLists: readonly string[]
  /** `change` makes other rows of those there are; `pointer` says what it touches. */
  onChange: (change: (rows: Row[]) => Row[], pointer: string) => void
  tools?: ReactNode
}

export function ItemsTable({ rows, faults, codeLists, onChange, tools }: Props) {
  const words = useWords()
  const language = useLanguage()
  const told = words.providing.table
  const table = useRef<HTMLTableElement>(null)
  const fresh = useRef<number | null>(null)
  const byRow = useMemo(() => {
    const found = new Map<string, Record<string, string>>()
    for (const { pointer, detail } of faults) {
      const [, part, row, name = ''] = pointer.split('/')
      if (part !== 'items' || !row?.startsWith('r')) continue
      const here = found.get(row) ?? {}
      here[name] = here[name] ? `${here[name]} ${detail}` : detail
      found.set(row, here)
    }
    return found
  }, [faults])

  useEffect(() => {
    if (fresh.current === null) return
    table.current?.querySelector<HTMLElement>(`#${idOf(fresh.current, 'title')}`)?.focus()
    fresh.current = null
  }, [rows])

  const add = () => {
    const made = blankRow()
    fresh.current = made.id
    onChange((all) => [...all, made], '/items')
  }
  const down = (event: KeyboardEvent<HTMLTableElement>) => {
    const from = event.target as HTMLElement
    if (event.key !== 'Enter' || !(from instanceof HTMLInputElement) || from.type === 'checkbox') return
    event.preventDefault()
    const below = from.closest('tr')?.nextElementSibling?.querySelector<HTMLElement>(`[name="${from.name}"]`)
    if (below) below.focus()
    else add()
  }
  return (
    <>
      <div className="table-tools">
        <span className="faint">{told.note}</span>
        <span className="table-count">{told.count(number(rows.length, language))}</span>
        {tools}
      </div>
      <div className="table-scroll cells-scroll" tabIndex={0}>
        <table className="table cells" ref={table} onKeyDown={down}>
          <caption className="hear">{told.caption}</caption>
          <thead>
            <tr>
              {([
                ['number', 34], ['title', 150], ['name', 140], ['type', 84], ['length', 62], ['scale', 58], ['key', 44], ['query', 50], ['nullable', 44],
                ['sensitivity', 92], ['codes', 120], ['standard', 120], ['unit', 70], ['column', 120], ['description', 180],
              ] as const).map(([name, width]) => (
                <th key={name} scope="col" style={{ minWidth: width }}>{told[name]}</th>
              ))}
              <td />
            </tr>
          </thead>
          <tbody>
            {rows.map((row, at) => (
              <ItemRow key={row.id} row={row} at={at} last={at === rows.length - 1} faults={byRow.get(`r${row.id}`)} onChange={onChange} />
            ))}
          </tbody>
        </table>
        {!rows.length && <p className="table-none">{told.none}</p>}
      </div>
      <datalist id="code-lists">
        {codeLists.map((one) => <option key={one} value={one} />)}
      </datalist>
      <Button onClick={add} style={{ marginTop: 10 }}>{told.add}</Button>
    </>
  )
}

export function idOf(row: number, name: string): string {
  return `field-items-r${row}-${name}`
}

interface RowProps {
  row: Row
  at: number
  last: boolean
  faults: Record<string, string> | undefined
  onChange: Props['onChange']
}

const ItemRow = memo(
  function ItemRow({ row, at, last, faults, onChange }: RowProps) {
    const words = useWords()
    const told = words.providing.table
    const set = (name: keyof Item, value: Item[keyof Item]) =>
      onChange(
        (all) => all.map((one) => (one.id === row.id ? { ...one, [name]: value, ...(name === 'key' && value ? { nullable: false } : {}) } : one)),
        `/items/r${row.id}/${name}`,
      )
    const move = (by: number) =>
      onChange((all) => {
        const here = all.findIndex((one) => one.id === row.id)
        const next = all.filter((one) => one.id !== row.id)
        next.splice(here + by, 0, row)
        return next
      }, '/items')
    const who = row.title || row.name || String(at + 1)
    const plain = (name: keyof Item, column: string) => ({
      id: idOf(row.id, name), name, 'aria-label': `${who}: ${column}`,
      ...(faults?.[name] ? { 'aria-invalid': true, 'aria-describedby': `${idOf(row.id, name)}-said` } : {}),
    })
    const said = (name: keyof Item) => faults?.[name] && <span className="cell-said" id={`${idOf(row.id, name)}-said`}>{faults[name]}</span>
    const text = (name: 'title' | 'name' | 'code_list' | 'standard' | 'unit' | 'column' | 'description', column: string, more: object = {}) => (
      <td>
        <input {...plain(name, column)} {...more} value={row[name] ?? ''} autoComplete="off" onChange={(event) => set(name, event.target.value)} />
        {said(name)}
      </td>
    )
    const amount = (name: 'length' | 'scale', column: string) => (
      <td>
        <input
          {...plain(name, column)}
          inputMode="numeric"
          value={row[name] ?? ''}
          onChange={(event) => set(name, /^\d{1,7}$/.test(event.target.value) ? Number(event.target.value) : null)}
        />
        {said(name)}
      </td>
    )
    const mark = (name: 'key' | 'query_key' | 'nullable', column: string) => (
      <td className="mark-cell">
        <input {...plain(name, column)} type="checkbox" checked={row[name]} onChange={(event) => set(name, event.target.checked)} />
        {said(name)}
      </td>
    )
    return (
      <tr>
        <td className="faint">{at + 1}</td>
        {text('title', told.title, { maxLength: 200 })}
        {text('name', told.name, { maxLength: 40, className: 'mono' })}
        <td>
          <select {...plain('type', told.type)} value={row.type} onChange={(event) => set('type', event.target.value as Item['type'])}>
            {TYPES.map((one) => <option key={one} value={one}>{words.field.types[one]}</option>)}
          </select>
          {said('type')}
        </td>
        {amount('length', told.length)}
        {amount('scale', told.scale)}
        {mark('key', told.key)}
        {mark('query_key', told.query)}
        {mark('nullable', told.nullable)}
        <td>
          <select {...plain('sensitivity', told.sensitivity)} value={row.sensitivity} onChange={(event) => set('sensitivity', event.target.value as Item['sensitivity'])}>
            {SENSITIVITIES.map((one) => <option key={one} value={one}>{words.field.sensitivity[one]}</option>)}
          </select>
          {said('sensitivity')}
        </td>
        {text('code_list', told.codes, { list: 'code-lists', maxLength: 200 })}
        {text('standard', told.standard, { maxLength: 200 })}
        {text('unit', told.unit, { maxLength: 200 })}
        {text('column', told.column, { maxLength: 200, className: 'mono', placeholder: row.name || told.columnHint })}
        {text('description', told.description, { maxLength: 2_000 })}
        <td className="nowrap">
          <button type="button" className="cell-act" aria-label={`${told.up}: ${who}`} disabled={at === 0} onClick={() => move(-1)}>↑</button>
          <button type="button" className="cell-act" aria-label={`${told.down}: ${who}`} disabled={last} onClick={() => move(1)}>↓</button>
          <button type="button" className="cell-act" aria-label={`${told.remove}: ${who}`} onClick={() => onChange((all) => all.filter((one) => one.id !== row.id), '/items')}>×</button>
        </td>
      </tr>
    )
  },
  (before, after) =>
    before.row === after.row && before.at === after.at && before.last === after.last && before.onChange === after.onChange &&
    JSON.stringify(before.faults) === JSON.stringify(after.faults),
)
