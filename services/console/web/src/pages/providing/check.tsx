/** What publishing a draft would meet and what it would change, for whoever submits and whoever reviews. */
import type { ReactNode } from 'react'
import { useAsk } from '../../api/asking'
import { CATALOG, type Check, type Resource } from '../../api/types'
import { Loading, ProblemView, Shown } from '../../components/states'
import { useWords } from '../../i18n'
import { Differences } from '../catalogue/differences'
import { draftOf, pinned, type Draft, type Fault } from './draft'

/** Names the field of a fault: by its words, and for items and rules which row it is. */
export function useFieldName(): (fault: Fault, draft: Draft) => string {
  const words = useWords()
  const told = words.providing
  return ({ pointer }, draft) => {
    const [, part = '', row, ...rest] = pointer.split('/')
    const field = rest[0] ?? ''
    if (part === 'items' && row) {
      const at = draft.items.findIndex((one) => `r${one.id}` === row)
      const column = { code_list: 'codes', query_key: 'query' }[field] ?? field
      const title = draft.items[at]?.title
      const of = told.editor.row(String(at + 1), title ? `“${title}”` : '')
      return [of, column in told.table ? String(told.table[column as keyof typeof told.table]) : ''].filter(Boolean).join(' · ')
    }
    if (part === 'rules' && row) {
      const at = draft.rules.findIndex((one) => `r${one.row}` === row)
      return told.editor.rule(String(at + 1), draft.rules[at]?.id ?? '')
    }
    const name = part === 'service_level' ? told.editor.level : told.editor[part as keyof typeof told.editor]
    return typeof name === 'string' ? name : part
  }
}

export function Checked({ resource, check }: { resource: Resource; check: Check }) {
  const words = useWords()
  const told = words.providing.check
  const nameOf = useFieldName()
  const draft = resource.draft ? draftOf(resource.draft) : null
  const bump = check.change as keyof typeof told.bumps | null
  return (
    <>
      {check.defects.length > 0 && draft ? (
        <div className="problem" role="alert">
          <p className="problem-title">{told.defects}</p>
          <ul>
            {check.defects.map((one) => (
              <li key={one.pointer + one.detail}><b>{nameOf(pinned(one, draft), draft)}</b> {one.detail}</li>
            ))}
          </ul>
        </div>
      ) : (
        <p className="notice ok">{told.none}</p>
      )}
      {bump && (
        <div className={bump === 'major' ? 'notice warn' : 'notice'}>
          <b>{told.level}</b> {told.bumps[bump] ?? bump}
          {check.reasons.length > 0 && <ul className="listed">{check.reasons.map((one) => <li key={one}>{one}</li>)}</ul>}
        </div>
      )}
    </>
  )
}

/** Check and differences of the draft as it is kept; `children` follow once it is known what was found. */
export function DraftChecked({ resource, children }: { resource: Resource; children?: (check: Check) => ReactNode }) {
  const words = useWords()
  const told = words.providing.check
  const asked = useAsk<Check>(`${CATALOG}/resources/${resource.code}/check`)
  if (asked.problem) return <ProblemView problem={asked.problem} retry={asked.reload} />
  if (asked.loading) return <Loading lines={4} />
  return (
    <Shown of={asked}>
      {(check) => (
        <>
          <Checked resource={resource} check={check} />
          <h3 className="sub">{told.changes}</h3>
          {resource.version > 0 ? <Differences code={resource.code} before={resource.version} after={null} /> : <p className="faint">{told.first}</p>}
          {children?.(check)}
        </>
      )}
    </Shown>
  )
}
