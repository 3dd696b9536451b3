/** Rules tried on sample rows, before they hold for anything: what is kept of these rows is nothing. */
import { Button, Input } from 'antd'
import { useState } from 'react'
import { ask } from '../../api/client'
import { useDoing } from '../../api/asking'
import { CATALOG, type Trial } from '../../api/types'
import { ProblemView } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { number } from '../../format'
import { useLanguage, useWords } from '../../i18n'
import { termsOf, type Draft } from './draft'
import { headOf, rowsOf } from './samples'

interface Props {
  draft: Draft
  /** The resource, once its draft was kept: the exchange tries rules on the items of what is kept. */
  code: string | undefined
  /** Whether items differ from those that are kept. */
  itemsDiffer: boolean
}

export function RulesTrial({ draft, code, itemsDiffer }: Props) {
  const words = useWords()
  const language = useLanguage()
  const told = words.providing.trial
  const doing = useDoing()
  const [text, setText] = useState<string | null>(null)
  const [found, setFound] = useState<Trial | null>(null)
  const { items, rules } = termsOf(draft)
  const written = text ?? headOf(items)
  const rows = rowsOf(written, items)
  const why = !code || itemsDiffer ? told.saveFirst : !rules.length ? told.noRules : !rows.length ? told.noRows : ''
  const attempt = async () => {
    setFound(null)
    const done = await doing.run(() => ask<Trial>(`${CATALOG}/resources/${code}/trial`, { method: 'POST', body: { rows, rules } }))
    if (done) setFound(done.data)
  }
  const title = (name: string) => items.find((one) => one.name === name)?.title || name
  return (
    <details className="trial">
      <summary>{told.title}</summary>
      <p className="faint" id="trial-lead" style={{ margin: '8px 0' }}>{told.lead}</p>
      <Input.TextArea
        className="mono"
        aria-label={told.rows}
        aria-describedby="trial-lead"
        value={written}
        autoSize={{ minRows: 4, maxRows: 14 }}
        spellCheck={false}
        onChange={(event) => setText(event.target.value)}
      />
      <div className="pair" style={{ margin: '10px 0' }}>
        <Button loading={doing.busy} disabled={!!why} onClick={() => void attempt()}>{told.act}</Button>
        <span className="faint" role="status">{why || told.count(number(rows.length, language))}</span>
      </div>
      {doing.problem && <ProblemView problem={doing.problem} />}
      {found && (
        <>
          <p className={found.broken.length ? 'notice warn' : 'notice ok'} role="status">{told.good(number(found.good, language), number(found.rows, language))}</p>
          {found.broken.length > 0 && (
            <DataTable
              caption={told.broken}
              rows={found.broken.map((one, at) => ({ ...one, at }))}
              rowKey={(one) => String(one.at)}
              columns={[
                { key: 'row', title: told.row, number: true, value: (one) => one.row + 1 },
                { key: 'rule', title: told.rule, value: (one) => one.rule, render: (one) => <code>{one.rule}</code> },
                { key: 'items', title: words.providing.rules.items, value: (one) => one.items.map(title).join('、') },
                { key: 'detail', title: told.detail, value: (one) => one.detail },
                {
                  key: 'severity', title: words.providing.rules.severity, value: (one) => one.severity,
                  render: (one) => <Mark tone={one.severity === 'error' ? 'bad' : 'warn'}>{words.providing.rules.severities[one.severity === 'error' ? 'error' : 'warning']}</Mark>,
                },
              ]}
            />
          )}
        </>
      )}
    </details>
  )
}
