/** One demand: what is asked for, what was done and when it is due, and the step that is the reader's. */
import { App, Button, Form, Input, Modal, Rate, Segmented, Select } from 'antd'
import { useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { ask, withQuery } from '../../api/client'
import { useAsk, useDoing } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import {
  CATALOG, DEMAND, type DemandDetail, type DemandStep, type Found, type Grant, type Resource, type TimelineEntry,
} from '../../api/types'
import { Facts, type Fact } from '../../components/facts'
import { ProblemView, Shown } from '../../components/states'
import { DEMAND_TONES, Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { Day, DueBy, When } from '../../components/when'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments, useRoles } from '../../session'
import { maskName } from './masks'

export default function DemandPage() {
  const { id = '' } = useParams()
  const asked = useAsk<DemandDetail>(`${DEMAND}/demands/${id}`)
  const timeline = useAsk<TimelineEntry[]>(`${DEMAND}/demands/${id}/timeline`)
  const steps = useAsk<DemandStep[]>(`${DEMAND}/demands/${id}/steps`)
  const reload = () => {
    asked.reload()
    timeline.reload()
    steps.reload()
  }
  useReloadOn('demand', reload, id)
  const words = useWords()
  const departments = useDepartments()
  return (
    <Shown of={asked} lines={8}>
      {(demand) => (
        <>
          <PageHead
            title={demand.title}
            above={[{ to: '/demands', name: words.list.title }]}
            lead={
              <span className="hit-meta" style={{ fontSize: 13.5 }}>
                <Mark tone={DEMAND_TONES[demand.state] ?? 'calm'}>{named(words.field.states, demand.state)}</Mark>
                <span>
                  {departments.name(demand.department)} → {departments.name(demand.supplier) || words.list.unknown}
                </span>
                <span>{named(words.field.paths, demand.path)}</span>
                {demand.level !== 'none' && <span>{named(words.field.levels, demand.level)}</span>}
                {demand.papers !== 'none' && <span>{named(words.field.papers, demand.papers)}</span>}
                <span className="mono">{demand.id}</span>
              </span>
            }
            actions={<Urging demand={demand} done={reload} />}
          />
          <Road demand={demand} />
          <div className="grid wide-left">
            <div className="stack">
              <Decision key={`${demand.state} ${asked.etag ?? ''}`} demand={demand} etag={asked.etag} done={reload} />
              <Asked demand={demand} />
            </div>
            <div className="stack">
              <Clocks demand={demand} />
              <Section title={words.page.timeline}>
                <Shown of={timeline}>{(entries) => <Timeline entries={entries} steps={steps.data ?? []} />}</Shown>
              </Section>
            </div>
          </div>
        </>
      )}
    </Shown>
  )
}

const ROAD = ['draft', 'submitted', 'accepted', 'in_review', 'approved', 'provisioning', 'delivering', 'evaluated', 'closed'] as const
/** Where a state that is beside the road stands on it. */
const BESIDE: Record<string, (typeof ROAD)[number]> = { returned: 'submitted', refused: 'in_review', disputed: 'in_review', withdrawn: 'closed', expired: 'closed' }

function Road({ demand }: { demand: DemandDetail }) {
  const words = useWords()
  const state = BESIDE[demand.state] ?? (demand.state as (typeof ROAD)[number])
  const at = ROAD.indexOf(state)
  // what is granted by rule is neither accepted nor reviewed by anybody
  const road = demand.path === 'decision' ? ROAD : ROAD.filter((one) => one !== 'accepted' && one !== 'in_review')
  return (
    <ol className="road" aria-label={words.page.path}>
      {road.map((one) => {
        const here = one === state
        return (
          <li key={one} className={here ? 'here passed' : ROAD.indexOf(one) < at ? 'passed' : ''} aria-current={here ? 'step' : undefined}>
            {named(words.field.states, here ? demand.state : one)}
          </li>
        )
      })}
    </ol>
  )
}

function Asked({ demand }: { demand: DemandDetail }) {
  const words = useWords()
  const told = words.page
  const departments = useDepartments()
  const resource = useAsk<Resource>(demand.resource ? `${CATALOG}/resources/${demand.resource}` : null)
  const grant = useAsk<Grant>(demand.grant ? `${DEMAND}/grants/${demand.grant}` : null)
  const language = useLanguage()
  const terms = resource.data?.published
  const filter = grant.data?.row_filter_in_words
  const facts: Fact[] = [
    [told.applicant, departments.name(demand.department)],
    [told.supplier, departments.name(demand.supplier)],
    [told.resource, demand.resource && <Link to={`/catalogue/${demand.resource}`}>{terms?.title ?? demand.resource}</Link>],
    [told.wanted, demand.wanted],
    [
      told.items,
      demand.items.length > 0 && (
        <span className="chips">
          {demand.items.map((name) => {
            const mask = demand.masks[name] as Record<string, unknown> | undefined
            const known = maskName(mask)
            return (
              <span key={name} className="chip">
                {terms?.items.find((one) => one.name === name)?.title ?? name}
                {mask && ` · ${known ? words.form.masks[known] : String(mask.kind)}`}
              </span>
            )
          })}
        </span>
      ),
    ],
    [
      told.filter,
      demand.resource &&
        (demand.row_filter ? (
          <>
            {filter && <div>{language === 'en' ? filter.en : filter.zh}</div>}
            <code>{demand.row_filter}</code>
          </>
        ) : (
          told.allRows
        )),
    ],
    [told.purpose, demand.purpose],
    [told.scenario, demand.scenario],
    [told.basis, demand.legal_basis],
    [told.channels, demand.channels.map((one) => named(words.field.channels, one)).join(' · ')],
    [words.data.connect.table, demand.table && <code key="table">{`${demand.table.schema}.${demand.table.table}`}</code>],
    [told.frequency, named(words.field.cycles, demand.frequency)],
    [told.until, demand.until ? <Day on={demand.until} /> : told.forEver],
    [told.emergency, demand.emergency && `${demand.emergency.responsible} · ${demand.emergency.reason}`],
    [told.grant, demand.grant && <Link to={`/data/${demand.grant}`}>{told.toGrant}</Link>],
    [told.thread, <code key="thread">{demand.thread}</code>],
  ]
  return (
    <Section title={told.asked}>
      <Facts facts={facts} />
    </Section>
  )
}

function Clocks({ demand }: { demand: DemandDetail }) {
  const words = useWords()
  const departments = useDepartments()
  if (!demand.clocks.length) return null
  return (
    <Section title={words.page.clocks}>
      <ul className="due-list">
        {demand.clocks.map((one) => (
          <li key={one.clock}>
            <div>
              <span className="title">{named(words.field.clocks, one.clock)}</span>
              <div className="more">{departments.name(one.department) || words.field.parties.authority}</div>
            </div>
            <DueBy on={one.due_on} overdue={one.overdue} provisional={one.provisional} />
          </li>
        ))}
      </ul>
    </Section>
  )
}

function Timeline({ entries, steps }: { entries: TimelineEntry[]; steps: DemandStep[] }) {
  const words = useWords()
  const told = words.page
  const given = (entry: TimelineEntry) => steps.find((one) => one.at === entry.at && one.action === entry.what)
  return (
    <ol className="timeline">
      {[...entries].reverse().map((entry, at) => {
        const isClock = entry.what.startsWith('clock_')
        const step = isClock ? undefined : given(entry)
        const defects = step?.given.defects as { pointer: string; detail: string }[] | undefined
        return (
          <li key={at} className={entry.what === 'clock_breached' || entry.what === 'refuse' ? 'bad' : isClock ? 'clock' : ''}>
            <div className="what">
              {isClock
                ? `${named(words.field.clocks, entry.clock)} · ${named(told.marks, entry.what)}`
                : named(words.field.actions, entry.what)}
            </div>
            {entry.detail && !/^\d{4}-/.test(entry.detail) && !isClock && <div>{entry.detail}</div>}
            {typeof step?.given.legal_basis === 'string' && <div className="more">{step.given.legal_basis}</div>}
            {defects && defects.length > 0 && (
              <ul>
                {defects.map((one) => (
                  <li key={one.pointer}>
                    {named(told.fields, one.pointer)}: {one.detail}
                  </li>
                ))}
              </ul>
            )}
            <div className="more">
              <When at={entry.at} />
              {entry.actor && ` · ${entry.actor === 'tongshu' ? words.field.parties.rule : entry.actor}`}
              {step && step.actor !== 'tongshu' && ` · ${named(words.field.parties, step.party)}`}
              {isClock && entry.due_on && (
                <>
                  {' · '}
                  {words.list.due} <Day on={entry.due_on} />
                </>
              )}
            </div>
          </li>
        )
      })}
    </ol>
  )
}

const REASONED = ['refuse', 'overturn', 'uphold', 'revoke']
const NEEDS_REASON = [...REASONED, 'dispute', 'escalate']
/** What is always possible, and nobody waits for. */
const ASIDE = ['revoke', 'withdraw', 'close']
const ORDER = ['accept', 'match', 'catalogue', 'approve', 'return', 'refuse', 'confirm', 'hand_in', 'supplement', 'submit', 'overturn', 'uphold', 'dispute', 'escalate', 'evaluate', 'close', 'revoke', 'withdraw']

interface Given {
  reason?: string
  legal_basis?: string
  defects?: { pointer: string; detail: string }[]
  supplier?: string
  resource?: string
  rating?: number
}

/** The steps that are the reader's now; each asks for what it needs, and says what follows. */
function Decision({ demand, etag, done }: { demand: DemandDetail; etag: string | null; done: () => void }) {
  const words = useWords()
  const told = words.page
  const { message } = App.useApp()
  const navigate = useNavigate()
  const departments = useDepartments()
  const doing = useDoing()
  const [form] = Form.useForm<Given>()
  const actions = [...demand.actions].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b))
  const [action, setAction] = useState<string | undefined>(actions.find((one) => !ASIDE.includes(one)))
  const editable = (demand.state === 'draft' || demand.state === 'returned') && actions.some((one) => one === 'submit' || one === 'supplement')

  if (!action) {
    const clock = demand.clocks.find((one) => one.due_on)
    return (
      <Section title={told.decide}>
        <p className="faint">
          {clock
            ? told.waitingFor(departments.name(clock.department) || words.field.parties.authority, named(words.field.clocks, clock.clock))
            : told.nothing}
        </p>
        {actions.length > 0 && (
          <p style={{ display: 'flex', gap: 8, marginTop: 10 }}>
            {actions.map((one) => (
              <Button key={one} size="small" onClick={() => setAction(one)}>{named(words.field.actions, one)}</Button>
            ))}
          </p>
        )}
      </Section>
    )
  }
  const take = async (given: Given) => {
    const told_ = await doing.run(() =>
      ask<DemandDetail>(`${DEMAND}/demands/${demand.id}/steps`, { method: 'POST', etag, body: { action, ...given } }),
    )
    if (!told_) return
    void message.success(told.done)
    done()
  }
  const needsReason = NEEDS_REASON.includes(action)
  const needsBasis = (REASONED.includes(action) && !(action === 'overturn' && demand.level === 'parties')) || action === 'hand_in'
  return (
    <Section
      title={told.decide}
      aside={demand.needed > 1 ? told.approvals(String(demand.approvals), String(demand.needed)) : undefined}
    >
      <div style={{ display: 'flex', gap: 10, flexWrap: 'wrap', marginBottom: 14 }}>
        <Segmented
          aria-label={told.decide}
          value={action}
          onChange={(next) => {
            setAction(next)
            doing.clear()
          }}
          options={actions.map((value) => ({ value, label: named(words.field.actions, value) }))}
        />
        {editable && <Button onClick={() => void navigate(`/demands/${demand.id}/edit`)}>{told.edit}</Button>}
      </div>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Form form={form} layout="vertical" onFinish={(given: Given) => void take(given)} requiredMark="optional">
        {action === 'return' && (
          <Form.List name="defects" initialValue={[{ pointer: '/purpose' }]}>
            {(fields, { add, remove }) => (
              <div role="group" aria-labelledby="defects-told" style={{ marginBottom: 14 }}>
                <p id="defects-told" style={{ color: 'var(--ink-2)' }}>{told.defects}</p>
                <p className="faint">{told.returnNote}</p>
                {fields.map(({ key, name }) => (
                  <div key={key} style={{ display: 'flex', gap: 8 }}>
                    <Form.Item name={[name, 'pointer']} rules={[{ required: true }]} style={{ width: 170 }}>
                      <Select aria-label={told.field} options={Object.entries(told.fields).map(([value, label]) => ({ value, label }))} />
                    </Form.Item>
                    <Form.Item name={[name, 'detail']} rules={[{ required: true, message: told.defect }]} style={{ flex: 1 }}>
                      <Input aria-label={told.defect} placeholder={told.defect} />
                    </Form.Item>
                    {fields.length > 1 && <Button aria-label={words.form.removeRow} onClick={() => remove(name)}>×</Button>}
                  </div>
                ))}
                <Button size="small" onClick={() => add({ pointer: '/items' })}>{told.addDefect}</Button>
              </div>
            )}
          </Form.List>
        )}
        {action === 'match' && (
          <Form.Item name="supplier" label={told.supplierPick} rules={[{ required: true, message: words.form.need }]}>
            <Select showSearch={{ optionFilterProp: 'label' }} options={departments.all.map((one) => ({ value: one.slug, label: departments.name(one.slug) }))} />
          </Form.Item>
        )}
        {action === 'catalogue' && (
          <Form.Item name="resource" label={told.resourcePick} rules={[{ required: true, message: words.form.needResource }]}>
            <PublishedOf department={demand.supplier} />
          </Form.Item>
        )}
        {action === 'evaluate' && (
          <Form.Item name="rating" label={told.rating} rules={[{ required: true, message: words.form.need }]}>
            <Rate />
          </Form.Item>
        )}
        {action !== 'return' && (
          <Form.Item
            name="reason"
            label={needsReason ? told.reason : told.comment}
            rules={needsReason ? [{ required: true, message: told.reasonNeeded }] : []}
          >
            <Input.TextArea autoSize={{ minRows: 2 }} maxLength={2_000} />
          </Form.Item>
        )}
        {needsBasis && (
          <Form.Item name="legal_basis" label={told.legal} rules={[{ required: true, message: told.basisNeeded }]}>
            <Input placeholder={words.form.basisHint} maxLength={2_000} />
          </Form.Item>
        )}
        {action === 'approve' && <p className="faint">{told.approveNote}</p>}
        {action === 'refuse' && <p className="faint">{told.restNote}</p>}
        <Button
          type="primary"
          htmlType="submit"
          loading={doing.busy}
          danger={['refuse', 'revoke', 'withdraw'].includes(action)}
          style={{ marginTop: 10 }}
        >
          {told.confirm(named(words.field.actions, action))}
        </Button>
      </Form>
    </Section>
  )
}

function PublishedOf(props: { department: string | null; value?: string; onChange?: (code: string) => void }) {
  const found = useAsk<Found>(withQuery(`${CATALOG}/search`, { department: props.department, limit: 100, facets: false }))
  return (
    <Select
      {...(props.value ? { value: props.value } : {})}
      {...(props.onChange ? { onChange: props.onChange } : {})}
      showSearch={{ optionFilterProp: 'label' }}
      loading={found.loading}
      options={(found.data?.items ?? []).map((one) => ({ value: one.code, label: one.title.text }))}
    />
  )
}

/** Urging whoever the demand waits for, one rung higher each time. */
function Urging({ demand, done }: { demand: DemandDetail; done: () => void }) {
  const words = useWords()
  const language = useLanguage()
  const may = useRoles()
  const { message } = App.useApp()
  const [open, setOpen] = useState(false)
  const [text, setText] = useState('')
  const doing = useDoing()
  if (!may('administrator', 'consumer') || !demand.clocks.some((one) => one.due_on)) return null
  const urge = async () => {
    const told = await doing.run(() =>
      ask(`${DEMAND}/demands/${demand.id}/urging`, { method: 'POST', body: { message: text.trim() || null } }),
    )
    if (!told) return
    void message.success(words.page.urged)
    setOpen(false)
    done()
  }
  return (
    <>
      <Button size="large" onClick={() => setOpen(true)}>{words.page.urge}</Button>
      <Modal open={open} onCancel={() => setOpen(false)} onOk={() => void urge()} confirmLoading={doing.busy} title={words.page.urge} okText={words.page.urge}>
        {doing.problem && <ProblemView problem={doing.problem} />}
        <label>
          {words.page.urgeNote}
          <Input.TextArea value={text} onChange={(event) => setText(event.target.value)} autoSize={{ minRows: 2 }} maxLength={500} />
        </label>
        <p className="faint">{number(text.length, language)} / 500</p>
      </Modal>
    </>
  )
}
