/** What a mount wizard has found, whatever it has looked at: the mapping, what is wrong, rules tried, a masked sample. */
import type { ReactNode } from 'react'
import type { Item, Preview } from '../../api/types'
import { Section } from '../../components/title'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'

type Found = Pick<Preview, 'proposals' | 'defects' | 'rows' | 'sampled' | 'rules'> & { warnings?: Preview['warnings'] }

export interface Source {
  name: string
  type: string
  comment?: string | null
  key?: boolean
}

interface MappingProps {
  items: Item[]
  sources: Source[]
  found: Found
  /** The source that fills an item, empty where none does. */
  chosen: (item: Item) => string
  onChoose: (item: Item, source: string) => void
  disabled: boolean
}

/** Which column fills which item, with why it is proposed and what is wrong with it beside it. */
export function Mapping({ items, sources, found, chosen, onChoose, disabled }: MappingProps) {
  const words = useWords()
  const told = words.providing.mount
  const byItem = new Map(found.proposals.map((one) => [one.item, one]))
  const used = new Set(items.map(chosen))
  const unused = sources.filter((one) => !used.has(one.name))
  return (
    <Section title={told.mapping} note={told.mappingLead}>
      <div className="table-scroll" tabIndex={0}>
        <table className="table">
          <caption className="hear">{told.mapping}</caption>
          <thead>
            <tr>{[told.item, words.catalogue.items.type, told.column, told.why, told.found].map((one) => <th key={one} scope="col" className="plain">{one}</th>)}</tr>
          </thead>
          <tbody>
            {items.map((item, at) => {
              const proposal = byItem.get(item.name)
              const value = chosen(item)
              const said = found.defects.filter((one) => one.pointer.startsWith(`/items/${at}/`))
              const warned = (found.warnings ?? []).filter((one) => one.pointer.startsWith(`/items/${at}/`))
              return (
                <tr key={item.name} className={said.length ? 'bad' : warned.length ? 'warn' : undefined}>
                  <td>{item.title}<span className="second mono">{item.name}</span></td>
                  <td>
                    {named(words.field.types, item.type)}{' '}
                    {item.key && <span className="chip accent">{words.catalogue.items.key}</span>}
                  </td>
                  <td>
                    <select className="picker" aria-label={`${item.title}: ${told.column}`} value={value} disabled={disabled} onChange={(event) => onChoose(item, event.target.value)}>
                      {!sources.some((one) => one.name === value) && <option value={value}>{value ? `${value} ×` : told.none}</option>}
                      {sources.map((one) => <option key={one.name} value={one.name}>{`${one.name} · ${one.type}${one.key ? ' ★' : ''}${one.comment ? ` · ${one.comment}` : ''}`}</option>)}
                    </select>
                  </td>
                  <td className="faint">
                    {proposal?.column === value && proposal.reason ? `${named(told.reasons, proposal.reason)} · ${named(told.confidences, proposal.confidence)}` : value && sources.some((one) => one.name === value) ? told.chosen : ''}
                  </td>
                  <td>
                    {said.map((one) => <span key={one.detail} className="cell-said">{one.detail}</span>)}
                    {warned.map((one) => <span key={one.detail} className="cell-said warn">{one.detail}</span>)}
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
      {unused.length > 0 && <p className="faint" style={{ marginTop: 8 }}>{told.unused(unused.map((one) => one.name).join('、'))}</p>}
    </Section>
  )
}

/** All that keeps the resource from being mounted and all that is worth knowing; rules, and ten rows. */
export function Findings({ found, items, children }: { found: Found; items: Item[]; children?: ReactNode }) {
  const words = useWords()
  const language = useLanguage()
  const told = words.providing.mount
  const title = (name: string) => items.find((one) => one.name === name)?.title ?? name
  const said = (one: { pointer: string; detail: string }) => {
    const at = /^\/items\/(\d+)/.exec(one.pointer)?.[1]
    return at === undefined ? one.detail : `${items[Number(at)]?.title ?? ''}：${one.detail}`
  }
  const shown = items.filter((one) => found.rows.some((row) => one.name in row))
  return (
    <>
      <Section title={told.findings} aside={told.sampled(number(found.sampled, language))}>
        {found.defects.length > 0 ? (
          <div className="problem" role="alert">
            <p className="problem-title">{told.blocks}</p>
            <ul>{found.defects.map((one) => <li key={one.pointer + one.detail}>{said(one)}</li>)}</ul>
          </div>
        ) : (
          <p className="notice ok" role="status">{told.clean}</p>
        )}
        {(found.warnings?.length ?? 0) > 0 && (
          <div className="notice warn">
            <b>{told.warns}</b>
            <ul className="listed">{found.warnings?.map((one) => <li key={one.pointer + one.detail}>{said(one)}</li>)}</ul>
          </div>
        )}
        {found.rules.length > 0 && (
          <>
            <h3 className="sub">{told.rulesTried}</h3>
            <ul className="listed">
              {found.rules.map((one) => (
                <li key={one.rule}><code>{one.rule}</code> {one.items.map(title).join('、')} · {told.broken} {number(one.broken, language)} <span className="faint">{one.detail}</span></li>
              ))}
            </ul>
          </>
        )}
        {children}
      </Section>
      <Section title={told.sample} note={told.sampleNote}>
        {found.rows.length ? (
          <div className="table-scroll" tabIndex={0}>
            <table className="table">
              <caption className="hear">{told.sample}</caption>
              <thead><tr>{shown.map((one) => <th key={one.name} scope="col" className="plain">{one.title}</th>)}</tr></thead>
              <tbody>
                {found.rows.map((row, at) => (
                  <tr key={at}>{shown.map((one) => <td key={one.name}>{row[one.name] === null || row[one.name] === undefined ? <span className="faint">–</span> : String(row[one.name])}</td>)}</tr>
                ))}
              </tbody>
            </table>
          </div>
        ) : (
          <p className="faint">{told.noRows}</p>
        )}
      </Section>
    </>
  )
}
