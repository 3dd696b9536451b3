/** One objection: what is said of the record, the source's answer, the delivery that corrected it. */
import { App, Button, Form, Input } from 'antd'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { ask } from '../../api/client'
import { useAsk, useDoing } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { DEMAND, type Story } from '../../api/types'
import { ProblemView, Shown } from '../../components/states'
import { Mark, OBJECTION_TONES } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { DueBy, When } from '../../components/when'
import { named, useWords } from '../../i18n'
import { useTitles } from '../catalogue/titles'
import { useDepartments, useMe, useRoles } from '../../session'

export default function ObjectionPage() {
  const { id = '' } = useParams()
  const words = useWords()
  const told = words.objections
  const departments = useDepartments()
  const titles = useTitles()
  const asked = useAsk<Story>(`${DEMAND}/objections/${id}`)
  useReloadOn('demand', asked.reload)
  return (
    <Shown of={asked}>
      {(one) => (
        <>
          <PageHead
            title={told.page(titles(one.resource))}
            above={[{ to: '/objections', name: told.title }]}
            lead={
              <span className="hit-meta" style={{ fontSize: 13.5 }}>
                <Mark tone={OBJECTION_TONES[one.state] ?? 'calm'}>{named(words.field.objectionStates, one.state)}</Mark>
                <span>{departments.name(one.department)} → {departments.name(one.provider)}</span>
                <span>{told.round(String(one.round))}</span>
                {one.state === 'open' && <DueBy on={one.due_on} overdue={one.overdue} provisional={one.provisional} />}
              </span>
            }
          />
          <div className="grid wide-left">
            <div className="stack">
              <Section title={told.record}>
                {one.content ? (
                  <>
                    <dl className="facts">
                      {Object.entries(one.content.key).map(([name, value]) => (
                        <div key={name} style={{ display: 'contents' }}>
                          <dt>{told.key} {name}</dt>
                          <dd className="mono">{value}</dd>
                        </div>
                      ))}
                      <dt>{told.explanation}</dt>
                      <dd>{one.content.explanation}</dd>
                    </dl>
                    <div className="table-scroll" style={{ marginTop: 12 }}>
                      <table className="table">
                        <thead>
                          <tr>{[told.items, told.says, told.should].map((name) => <th key={name} scope="col" style={{ padding: '8px 4px' }}>{name}</th>)}</tr>
                        </thead>
                        <tbody>
                          {one.content.items.map((claim) => (
                            <tr key={claim.item}>
                              <td><code>{claim.item}</code></td>
                              <td>{claim.says ?? told.missing}</td>
                              <td><b>{claim.should_say ?? told.missing}</b></td>
                            </tr>
                          ))}
                        </tbody>
                      </table>
                    </div>
                  </>
                ) : (
                  <>
                    <p className="chips">{one.items.map((item) => <span key={item} className="chip">{item}</span>)}</p>
                    <p className="faint" style={{ marginTop: 8 }}>{told.hidden}</p>
                  </>
                )}
              </Section>
              <Answer one={one} etag={asked.etag} done={asked.reload} />
              {one.reason && <Section title={told.answer}><p>{one.reason}</p><p className="faint"><When at={one.answered_at} /></p></Section>}
            </div>
            <div className="stack">
              <Section title={told.proof}>
                {one.proof ? (
                  <>
                    <p><Mark tone="ok">{named(words.field.outcomes, one.outcome)}</Mark> <When at={one.closed_at} /></p>
                    <dl className="facts" style={{ marginTop: 10 }}>
                      {Object.entries(one.proof).map(([name, value]) => (
                        <div key={name} style={{ display: 'contents' }}>
                          <dt>{name}</dt>
                          <dd className="mono break">{typeof value === 'object' ? JSON.stringify(value) : String(value)}</dd>
                        </div>
                      ))}
                    </dl>
                  </>
                ) : (
                  <p className="faint">{told.proofNone}</p>
                )}
              </Section>
              {one.chain.length > 1 && (
                <Section title={told.chain}>
                  <ul>{one.chain.map((other) => <li key={other}>{other === one.id ? other : <Link to={`/objections/${other}`}>{other}</Link>}</li>)}</ul>
                </Section>
              )}
            </div>
          </div>
        </>
      )}
    </Shown>
  )
}

function Answer({ one, etag, done }: { one: Story; etag: string | null; done: () => void }) {
  const words = useWords()
  const told = words.objections
  const me = useMe()
  const may = useRoles()
  const { message } = App.useApp()
  const doing = useDoing()
  const [form] = Form.useForm<{ reason?: string }>()
  const [refusing, setRefusing] = useState(false)
  const provides = may('administrator') || (may('provider') && me.department === one.provider)
  const consumes = may('administrator') || (may('consumer') && me.department === one.department)
  const waiting = one.state === 'open' || one.state === 'accepted'
  if (!waiting || (!provides && !consumes)) return null
  const take = async (action: 'accept' | 'refuse' | 'withdraw') => {
    const reason = (form.getFieldValue('reason') as string | undefined)?.trim() ?? ''
    setRefusing(action === 'refuse')
    if (action === 'refuse' && !reason) return
    const answered = await doing.run(() =>
      ask(`${DEMAND}/objections/${one.id}/steps`, { method: 'POST', etag, body: { action, reason } }),
    )
    if (!answered) return
    void message.success(words.page.done)
    done()
  }
  return (
    <Section title={provides ? told.answer : told.withdraw}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Form form={form} layout="vertical">
        {provides && (
          <Form.Item name="reason" label={told.reason} {...(refusing ? { help: words.page.reasonNeeded } : {})}>
            <Input.TextArea autoSize={{ minRows: 2 }} maxLength={2_000} />
          </Form.Item>
        )}
        <div style={{ display: 'flex', gap: 8, marginTop: 10 }}>
          {provides && one.state === 'open' && <Button type="primary" loading={doing.busy} onClick={() => void take('accept')}>{told.accept}</Button>}
          {provides && <Button danger loading={doing.busy} onClick={() => void take('refuse')}>{told.refuse}</Button>}
          {consumes && <Button loading={doing.busy} onClick={() => void take('withdraw')}>{told.withdraw}</Button>}
        </div>
      </Form>
    </Section>
  )
}
