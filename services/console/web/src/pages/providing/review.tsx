/** One resource before its reviewer: what was submitted, what it changes, what the checks say; then published or returned. */
import { App, Button, Input, Segmented } from 'antd'
import { useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { ask } from '../../api/client'
import { useAsk, useDoing } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { CATALOG, type Resource, type ResourceStep, type Terms } from '../../api/types'
import { Facts } from '../../components/facts'
import { Empty, ProblemView, Shown } from '../../components/states'
import { GRADE_TONES, Mark, SHARING_TONES } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { DueBy, When } from '../../components/when'
import { named, useWords } from '../../i18n'
import { useDepartments, useMe } from '../../session'
import { Items, termsFacts } from '../catalogue/resource'
import { DraftChecked } from './check'
import { clockOf } from './reviews'

export default function Review() {
  const { code = '' } = useParams()
  const words = useWords()
  const told = words.providing.reviews
  const departments = useDepartments()
  const asked = useAsk<Resource>(`${CATALOG}/resources/${code}`)
  useReloadOn('catalog', asked.reload, code)
  return (
    <Shown of={asked} lines={8}>
      {(resource) => {
        const terms = resource.draft
        const clock = clockOf(resource)
        const above = [{ to: '/reviews', name: told.title }]
        if (!terms || resource.state !== 'in_review') {
          const title = (resource.published ?? terms)?.title ?? code
          return (
            <>
              <PageHead title={told.page(title)} above={above} />
              <Empty title={told.notWaiting} action={<Link to={`/catalogue/${code}`}>{told.toResource}</Link>} />
            </>
          )
        }
        return (
          <>
            <PageHead title={told.page(terms.title)} lead={terms.abstract} above={above} />
            <div className="hit-meta" style={{ marginBottom: 14, fontSize: 13.5 }}>
              <span>{departments.name(terms.department)}</span>
              <span>{resource.version > 0 ? told.revision : told.first}</span>
              <Mark tone={SHARING_TONES[terms.sharing_type] ?? 'calm'}>{named(words.field.sharing, terms.sharing_type)}</Mark>
              <Mark tone={GRADE_TONES[terms.grade] ?? 'calm'}>{named(words.field.grades, terms.grade)}</Mark>
              <span>{told.by} {resource.submitted_by}</span>
              {clock && <DueBy on={clock.due_on} overdue={clock.overdue} provisional={clock.provisional} />}
            </div>
            <div className="grid wide-left">
              <div className="stack">
                <Section title={told.checks}>
                  <DraftChecked resource={resource} />
                </Section>
                <Submitted resource={resource} terms={terms} />
                <Items items={terms.items} />
              </div>
              <div className="stack" style={{ position: 'sticky', top: 70 }}>
                <Decision resource={resource} etag={asked.etag} />
                <Steps code={code} />
              </div>
            </div>
          </>
        )
      }}
    </Shown>
  )
}

function Submitted({ resource, terms }: { resource: Resource; terms: Terms }) {
  const words = useWords()
  return (
    <Section title={words.providing.reviews.what}>
      <Facts facts={termsFacts(words, resource, terms)} />
    </Section>
  )
}

function Decision({ resource, etag }: { resource: Resource; etag: string | null }) {
  const words = useWords()
  const told = words.providing.reviews
  const me = useMe()
  const { message } = App.useApp()
  const navigate = useNavigate()
  const doing = useDoing()
  const own = resource.submitted_by === me.login
  const [action, setAction] = useState<'approve' | 'return'>(own ? 'return' : 'approve')
  const [reason, setReason] = useState('')
  const take = async () => {
    const taken = await doing.run(() =>
      ask<Resource>(`${CATALOG}/resources/${resource.code}/steps`, { method: 'POST', etag, body: { action, reason: reason.trim() || null } }),
    )
    if (!taken) return
    void message.success(action === 'approve' ? told.published : told.returned)
    void navigate('/reviews')
  }
  const may = resource.actions.includes(action)
  return (
    <Section title={told.decide}>
      {own && <p className="notice warn" role="alert">{told.ownMore}</p>}
      {doing.problem && <ProblemView problem={doing.problem} />}
      {!own && (
        <>
          <Segmented
            aria-label={told.decide}
            value={action}
            onChange={(value) => {
              setAction(value)
              doing.clear()
            }}
            options={(['approve', 'return'] as const).map((value) => ({ value, label: told[value] }))}
          />
          <label style={{ display: 'block', marginTop: 14 }}>
            {action === 'return' ? told.reason : told.comment}
            <Input.TextArea value={reason} onChange={(event) => setReason(event.target.value)} autoSize={{ minRows: 3 }} maxLength={2_000} placeholder={action === 'return' ? told.reasonHint : ''} />
          </label>
          <Button type="primary" style={{ marginTop: 12 }} loading={doing.busy} disabled={!may || (action === 'return' && !reason.trim())} onClick={() => void take()}>
            {action === 'approve' ? told.approve : told.return}
          </Button>
        </>
      )}
    </Section>
  )
}

function Steps({ code }: { code: string }) {
  const words = useWords()
  const told = words.providing.reviews
  const asked = useAsk<ResourceStep[]>(`${CATALOG}/resources/${code}/steps`)
  return (
    <Section title={told.history}>
      <Shown of={asked}>
        {(steps) => (
          <ol className="timeline">
            {[...steps].reverse().map((one) => (
              <li key={one.at + one.action}>
                <div className="what">{named(words.providing.steps, one.action)}</div>
                {one.reason && <div>{one.reason}</div>}
                <div className="more"><When at={one.at} /> · {one.actor}</div>
              </li>
            ))}
          </ol>
        )}
      </Shown>
    </Section>
  )
}
