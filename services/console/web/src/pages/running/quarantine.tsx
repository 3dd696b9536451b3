/** What was set aside: which rows wait, whose they are and why; tried again, or released with a reason. No data of any. */
import { App, Button, Form, Input, Modal, Popconfirm, Segmented, Select } from 'antd'
import { useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import { ask, withQuery } from '../../api/client'
import { useAll, useAsk, useDoing, useEvery } from '../../api/asking'
import { place, type EntryAction, type QuarantineEntry } from '../../api/sync'
import { SYNC } from '../../api/types'
import { Facts } from '../../components/facts'
import { Empty, ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { ENTRY_TONES, Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { When } from '../../components/when'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments, useMe } from '../../session'
import { useTitles } from '../catalogue/titles'
import { Inconsistencies } from './inconsistencies'

const VIEWS = ['waiting', 'ended', 'failed', 'all'] as const
type View = (typeof VIEWS)[number]
const LOOK_SECONDS = { few: 5, many: 30 }
const MANY = 1_000
const DIGITS = 12

export default function Quarantine() {
  const words = useWords()
  const told = words.running.quarantine
  const departments = useDepartments()
  const titles = useTitles()
  const [params, setParams] = useSearchParams()
  const view = VIEWS.find((one) => one === params.get('show')) ?? 'waiting'
  const [resource, rule, owner] = ['resource', 'rule', 'owner'].map((name) => params.get(name))
  const choose = (name: string, value: string | null | undefined) => {
    const next = new URLSearchParams(params)
    if (value) next.set(name, value)
    else next.delete(name)
    setParams(next, { replace: true })
  }
  const state = view === 'waiting' || view === 'failed' ? view : null
  const asked = useAll<QuarantineEntry>(withQuery(`${SYNC}/quarantine`, { state, resource, rule, owner, limit: 500 }))
  useEvery(asked.data && asked.data.length > MANY ? LOOK_SECONDS.many : LOOK_SECONDS.few, asked.reload)
  const fit = (asked.data ?? []).filter((one) => view !== 'ended' || (one.state !== 'waiting' && one.state !== 'failed'))
  const options = (values: (string | null)[], chosen: string | null | undefined, label: (value: string) => string) =>
    [...new Set([...values, ...(chosen ? [chosen] : [])])].flatMap((value) => (value ? [{ value, label: label(value) }] : []))
  return (
    <>
      <PageHead title={told.title} lead={told.lead} />
      <Figures shown={view === 'waiting' && asked.data ? fit : null} />
      <Section title={told.title}>
        <Shown of={asked} lines={6}>
          {() => (
            <Entries
              rows={fit}
              changed={asked.reload}
              tools={
                <>
                  <Segmented
                    aria-label={told.show}
                    value={view}
                    onChange={(value: View) => choose('show', value === 'waiting' ? null : value)}
                    options={VIEWS.map((value) => ({ value, label: told[value] }))}
                  />
                  {(
                    [
                      ['resource', told.anyResource, options(fit.map((one) => one.resource), resource, titles)],
                      ['rule', told.anyRule, options(fit.flatMap((one) => one.rules), rule, (value) => value)],
                      ['owner', told.anyOwner, options(fit.map((one) => one.owner), owner, departments.name)],
                    ] as const
                  ).map(([name, any, values]) => (
                    <Select
                      key={name}
                      allowClear
                      size="small"
                      aria-label={told[name]}
                      placeholder={any}
                      value={params.get(name)}
                      onChange={(value) => choose(name, value)}
                      options={values}
                      popupMatchSelectWidth={false}
                      style={{ minWidth: 130 }}
                    />
                  ))}
                </>
              }
            />
          )}
        </Shown>
      </Section>
      <Inconsistencies />
    </>
  )
}

function Figures({ shown }: { shown: QuarantineEntry[] | null }) {
  const words = useWords()
  const told = words.running.quarantine.figures
  const language = useLanguage()
  if (!shown?.length) return null
  const oldest = shown.reduce((one, other) => (other.quarantined_at < one.quarantined_at ? other : one))
  return (
    <dl className="strip">
      <div className="figure warn"><dt>{told.waiting}</dt><dd>{number(shown.length, language)}</dd></div>
      <div className="figure"><dt>{told.resources}</dt><dd>{number(new Set(shown.map((one) => one.resource)).size, language)}</dd></div>
      <div className="figure"><dt>{told.oldest}</dt><dd><When at={oldest.quarantined_at} /></dd></div>
    </dl>
  )
}

/** The rows of a resource that wait, with what can be done about them. */
export function WaitingRows({ resource }: { resource: string }) {
  const asked = useAll<QuarantineEntry>(withQuery(`${SYNC}/quarantine`, { resource, state: 'waiting', limit: 500 }))
  useEvery(LOOK_SECONDS.few, asked.reload)
  return <Shown of={asked}>{(rows) => <Entries rows={rows} changed={asked.reload} />}</Shown>
}

function Entries({ rows, changed, tools }: { rows: QuarantineEntry[]; changed: () => void; tools?: React.ReactNode }) {
  const words = useWords()
  const told = words.running.quarantine
  const departments = useDepartments()
  const titles = useTitles()
  const [shown, show] = useState<string | null>(null)
  return (
    <>
      <DataTable
        caption={told.title}
        rows={rows}
        rowKey={(one) => one.id}
        sort={{ key: 'since', down: true }}
        tone={(one) => (one.state === 'waiting' ? 'warn' : one.state === 'failed' ? 'bad' : undefined)}
        empty={<Empty title={told.none} />}
        tools={
          <>
            {tools}
            <TryAll rows={rows} done={changed} />
          </>
        }
        columns={[
          {
            key: 'resource', title: told.resource, value: (one) => titles(one.resource),
            render: (one) => <><Link to={`/catalogue/${one.resource}`}>{titles(one.resource)}</Link><span className="second">{departments.name(one.owner)}</span></>,
          },
          { key: 'owner', title: told.owner, hidden: true, value: (one) => departments.name(one.owner) },
          {
            key: 'why', title: told.reason, value: (one) => `${named(told.reasons, one.reason)} ${one.rules.join(' ')}`,
            render: (one) =>
              one.rules.length ? <span className="chips">{one.rules.map((it) => <code key={it} className="chip">{it}</code>)}</span> : named(told.reasons, one.reason),
          },
          { key: 'key', title: told.key, value: (one) => one.key_digest, render: (one) => (one.key_digest ? <code title={one.key_digest}>{one.key_digest.slice(0, DIGITS)}</code> : <span className="faint">–</span>) },
          { key: 'since', title: told.since, value: (one) => one.quarantined_at, render: (one) => <When at={one.quarantined_at} /> },
          { key: 'state', title: told.state, value: (one) => told.states[one.state], render: (one) => <Mark tone={ENTRY_TONES[one.state] ?? 'calm'}>{told.states[one.state]}</Mark> },
          { key: 'place', title: told.place, hidden: true, value: place },
          { key: 'open', title: told.open, value: () => null, render: (one) => <Button size="small" onClick={() => show(one.id)}>{told.open}<span className="hear"> {told.entry(one.id)}</span></Button> },
        ]}
      />
      {shown && (
        <EntryDialog
          key={shown}
          id={shown}
          onClose={() => {
            show(null)
            changed()
          }}
        />
      )}
    </>
  )
}

const step = (id: string, action: EntryAction, etag: string | null, reason = '') =>
  ask<QuarantineEntry>(`${SYNC}/quarantine/${id}/steps`, { method: 'POST', etag, body: { action, reason } })

function TryAll({ rows, done }: { rows: QuarantineEntry[]; done: () => void }) {
  const words = useWords()
  const told = words.running.quarantine
  const language = useLanguage()
  const { message } = App.useApp()
  const doing = useDoing()
  const [at, setAt] = useState(0)
  const may = rows.filter((one) => one.actions.includes('redrive'))
  if (may.length < 2) return null
  const all = number(may.length, language)
  const run = () =>
    doing.run(async () => {
      for (const [index, one] of may.entries()) {
        setAt(index + 1)
        // what it would find has been looked at: that somebody tries it twice changes nothing
        await step(one.id, 'redrive', '*')
      }
      void message.success(told.ordered)
      done()
    })
  return (
    <>
      <Popconfirm title={told.sureAll(all)} onConfirm={() => void run()}>
        <Button size="small" loading={doing.busy}>{doing.busy ? told.going(number(at, language), all) : told.redriveAll(all)}</Button>
      </Popconfirm>
      {doing.problem && <ProblemView problem={doing.problem} />}
    </>
  )
}

const OUTCOME_SECONDS = 1

function EntryDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const words = useWords()
  const told = words.running.quarantine
  const departments = useDepartments()
  const titles = useTitles()
  const me = useMe()
  const doing = useDoing()
  const asked = useAsk<QuarantineEntry>(`${SYNC}/quarantine/${id}`)
  // the states before an order and after it; another one says that the relay has carried it out
  const [ordered, setOrdered] = useState<(string | null)[]>([])
  const one = asked.data
  const isOver = ordered.length > 0 && asked.etag !== null && !ordered.includes(asked.etag)
  const isUnderWay = ordered.length > 0 && !isOver
  useEvery(isUnderWay ? OUTCOME_SECONDS : null, asked.reload)
  const take = async (action: EntryAction, reason = '') => {
    const before = asked.etag
    const taken = await doing.run(() => step(id, action, before, reason))
    if (taken) setOrdered([before, taken.etag])
    asked.reload()
  }
  return (
    <Modal open title={told.entry(id)} onCancel={onClose} footer={<Button onClick={onClose}>{words.close}</Button>} width={640}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Shown of={asked}>
        {(entry) => (
          <>
            <Facts
              facts={[
                [told.state, <Mark key="s" tone={ENTRY_TONES[entry.state] ?? 'calm'}>{told.states[entry.state]}</Mark>],
                [told.resource, <Link key="r" to={`/catalogue/${entry.resource}?part=contract`}>{titles(entry.resource)}</Link>],
                [told.owner, departments.name(entry.owner)],
                [told.reason, named(told.reasons, entry.reason)],
                [told.rule, entry.rules.length > 0 && <span key="c" className="chips">{entry.rules.map((it) => <code key={it} className="chip">{it}</code>)}</span>],
                [told.detail, entry.detail],
                [told.grant, entry.reason === 'quality' ? told.everyGrant : entry.grant && <code key="g">{entry.grant}</code>],
                [told.since, <When key="w" at={entry.quarantined_at} />],
                [told.key, entry.key_digest && <code key="k" className="break">{entry.key_digest}</code>],
                [told.change, <code key="d" className="break">{entry.digest}</code>],
                [told.place, <code key="p" className="break">{place(entry)}</code>],
                [told.ended_, entry.ended_at && <When key="e" at={entry.ended_at} />],
                [told.by, entry.ended_by && (entry.ended_by === 'tongshu' ? told.byLater : entry.ended_by)],
                [told.releaseReason, entry.release_reason],
              ]}
            />
            {isUnderWay && <p className="notice" role="status">{told.ordered}</p>}
            {isOver && entry.state === 'waiting' && <p className="notice warn" role="status">{told.still} {told.fixFirst}</p>}
            {isOver && entry.state !== 'waiting' && <p className="notice ok" role="status">{told.states[entry.state]}</p>}
          </>
        )}
      </Shown>
      {one && one.actions.length > 0 && (
        <div style={{ display: 'grid', gap: 14, marginTop: 16 }}>
          <div>
            <Button type="primary" loading={doing.busy || isUnderWay} onClick={() => void take('redrive')}>{told.redrive}</Button>{' '}
            <span className="faint">{told.redriveMore}</span>
          </div>
          {one.actions.includes('release') ? (
            <Form layout="vertical" onFinish={({ reason }: { reason: string }) => void take('release', reason)}>
              <Form.Item name="reason" label={told.releaseNote} extra={told.releaseMore} rules={[{ required: true, whitespace: true, message: told.releaseNeed }]}>
                <Input.TextArea autoSize={{ minRows: 2 }} maxLength={2_000} />
              </Form.Item>
              <Button htmlType="submit" danger loading={doing.busy}>{told.release}</Button>
            </Form>
          ) : (
            me.department === null && <p className="faint">{told.opsOnly}</p>
          )}
        </div>
      )}
    </Modal>
  )
}
