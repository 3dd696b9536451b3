/**
 * A table for work: sorted by any column, filtered in place, kept as CSV, and smooth with ten thousand rows, of which
 * only those in sight are in the page. It is a real table, so it is read and walked through as one.
 */
import { Button } from 'antd'
// alone, without the fields for passwords, codes and paragraphs
import Input from 'antd/es/input/Input'
import { useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { csv, number, offer, placeDay } from '../format'
import { useLanguage, useWords } from '../i18n'
import { inOrder, matches, type Value } from './order'

export interface Column<T> {
  key: string
  title: string
  /** By what the column is sorted and filtered, and what is exported. */
  value: (row: T) => Value
  render?: (row: T) => ReactNode
  number?: boolean
  width?: number | string
  /** Not in the table, but in the export. */
  hidden?: boolean
}

interface Props<T> {
  rows: readonly T[]
  columns: readonly Column<T>[]
  rowKey: (row: T) => string
  /** What the table holds, for those who hear it; also the name of the exported file. */
  caption: string
  sort?: { key: string; down?: boolean }
  empty?: ReactNode
  filterable?: boolean
  tools?: ReactNode
  /** Marks rows that want attention. */
  tone?: (row: T) => 'bad' | 'warn' | undefined
  /** How high the window may be, in pixels; without it the page scrolls. */
  height?: number
}

const ROW = 41
const WINDOWED_FROM = 120
const BEYOND = 12

export function DataTable<T>(props: Props<T>) {
  const { rows, rowKey, caption } = props
  const words = useWords()
  const language = useLanguage()
  const [sort, setSort] = useState(props.sort ?? null)
  const [filter, setFilter] = useState('')
  const shown = props.columns.filter((one) => !one.hidden)

  const ordered = useMemo(() => {
    const columns = props.columns
    const fit = filter ? rows.filter((row) => matches(columns.map((one) => one.value(row)), filter)) : [...rows]
    const by = sort && columns.find((one) => one.key === sort.key)
    return by ? inOrder(fit, by.value, sort.down === true, language) : fit
    // columns are made anew at every rendering, and say the same
  }, [rows, filter, sort, language])

  const windowed = ordered.length > WINDOWED_FROM
  const { box, first, last, onScroll } = useWindow(ordered.length, windowed)
  const seen = windowed ? ordered.slice(first, last) : ordered

  const turn = (key: string) => setSort(sort?.key === key ? { key, down: !sort.down } : { key })
  const keep = () =>
    offer(
      `${caption}-${placeDay(new Date())}.csv`,
      csv(props.columns.map((one) => one.title), ordered.map((row) => props.columns.map((one) => one.value(row)))),
    )

  return (
    <div className="table-block">
      <div className="table-tools">
        {props.filterable !== false && rows.length > 8 && (
          <Input
            type="search"
            size="small"
            className="table-filter"
            placeholder={words.table.filter}
            aria-label={`${words.table.filter}: ${caption}`}
            value={filter}
            onChange={(event) => setFilter(event.target.value)}
          />
        )}
        {props.tools}
        <span className="table-count">
          {filter
            ? words.table.filtered(number(ordered.length, language), number(rows.length, language))
            : words.table.rows(number(rows.length, language))}
        </span>
        <Button size="small" type="text" onClick={keep} disabled={!rows.length}>
          {words.table.csv}
        </Button>
      </div>
      <div
        className={windowed ? 'table-scroll windowed' : 'table-scroll'}
        ref={box}
        onScroll={onScroll}
        style={windowed ? { maxHeight: props.height ?? 560 } : undefined}
        tabIndex={0}
      >
        <table className="table" aria-rowcount={ordered.length + 1}>
          <caption className="hear">{caption}</caption>
          <thead>
            <tr>
              {shown.map((one) => {
                const here = sort?.key === one.key
                return (
                  <th
                    key={one.key}
                    scope="col"
                    className={one.number ? 'number' : undefined}
                    style={one.width ? { width: one.width } : undefined}
                    aria-sort={here ? (sort.down ? 'descending' : 'ascending') : 'none'}
                  >
                    <button type="button" onClick={() => turn(one.key)} title={words.table.sortBy(one.title)}>
                      {one.title}
                      <i aria-hidden="true" className={here ? (sort.down ? 'down' : 'up') : ''} />
                    </button>
                  </th>
                )
              })}
            </tr>
          </thead>
          <tbody>
            {windowed && first > 0 && (
              <tr aria-hidden="true" className="gap">
                <td colSpan={shown.length} style={{ height: first * ROW }} />
              </tr>
            )}
            {seen.map((row, at) => (
              <tr key={rowKey(row)} className={props.tone?.(row)} aria-rowindex={(windowed ? first : 0) + at + 2}>
                {shown.map((one) => (
                  <td key={one.key} className={one.number ? 'number' : undefined}>
                    {one.render ? one.render(row) : cell(one.value(row), one.number === true, language)}
                  </td>
                ))}
              </tr>
            ))}
            {windowed && last < ordered.length && (
              <tr aria-hidden="true" className="gap">
                <td colSpan={shown.length} style={{ height: (ordered.length - last) * ROW }} />
              </tr>
            )}
          </tbody>
        </table>
        {!ordered.length &&
          (filter ? (
            <p className="table-none">
              {words.table.none}
              <Button type="link" size="small" onClick={() => setFilter('')}>
                {words.table.clear}
              </Button>
            </p>
          ) : (
            <div className="table-none">{props.empty ?? words.table.none}</div>
          ))}
      </div>
    </div>
  )
}

function cell(value: Value, isNumber: boolean, language: 'zh-CN' | 'en'): ReactNode {
  if (value === null || value === undefined || value === '') return <span className="faint">–</span>
  return isNumber && typeof value === 'number' ? number(value, language, 2) : value
}

/** Which rows are in sight. Rows have one height, which `styles.css` gives them. */
function useWindow(count: number, windowed: boolean) {
  const box = useRef<HTMLDivElement>(null)
  const [at, setAt] = useState(0)
  const [height, setHeight] = useState(600)
  useEffect(() => {
    if (!windowed || !box.current) return
    const watch = new ResizeObserver(([one]) => one && setHeight(one.contentRect.height))
    watch.observe(box.current)
    return () => watch.disconnect()
  }, [windowed])
  const first = Math.max(0, Math.min(count, Math.floor(at / ROW)) - BEYOND)
  const last = Math.min(count, first + Math.ceil(height / ROW) + 2 * BEYOND)
  return { box, first, last, onScroll: () => windowed && box.current && setAt(box.current.scrollTop) }
}
