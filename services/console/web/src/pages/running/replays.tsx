/** Replays and reconciliations of all grants: what is delivered once more, how far it is, and who has what he should. */
import { App, Button, Checkbox, Form, Modal, Popconfirm, Select } from 'antd'
import { useMemo, useState } from 'react'
import { Link } from 'react-router'
import { ask, withQuery } from '../../api/client'
import { useAll, useDoing, useEvery, type Asking } from '../../api/asking'
import { differing, type Difference, type Reconciliation, type Replay, type Report } from '../../api/sync'
import { DEMAND, SYNC, type Grant } from '../../api/types'
import { Facts, type Fact } from '../../components/facts'
import { ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { FOUND_TONES, Mark, REPLAY_TONES } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { When } from '../../components/when'
import { clockTime, day, duration, number, percent } from '../../format'
import { useLanguage, useWords } from '../../i18n'
import { useDepartments, useRoles } from '../../session'
import { useTitles } from '../catalogue/titles'

const SHOWN_DAYS = 7
const DAY_MS = 86_400_000
const LOOK_SECONDS = { running: 1, still: 10 }

export default function Replays() {
  const words = useWords()
  const told = words.running.replays
  const may = useRoles()
  const departments = useDepartments()
  const titles = useTitles()
  const { message } = App.useApp()
  const since = useMemo(() => new Date(Date.now() - SHOWN_DAYS * DAY_MS).toISOString(), [])
  const replays = useAll<Replay>(withQuery(`${SYNC}/replays`, { since, limit: 500 }))
  const reconciliations = useAll<Reconciliation>(withQuery(`${SYNC}/reconciliations`, { since, limit: 500 }))
  const grants = useAll<Grant>(`${DEMAND}/grants?limit=500`)
  useLook(replays)
  useLook(reconciliations)
  const [chosen, choose] = useState<string | null>(null)
  const served = (grants.data ?? []).filter((one) => one.state === 'active')
  return (
    <>
      <PageHead title={told.title} lead={told.lead} />
      <Section title={told.replays}>
        <Shown of={replays}>{(all) => <ReplayTable rows={all} named changed={replays.reload} empty={told.noneReplays} />}</Shown>
      </Section>
      <Section
        title={told.reconciliations}
        note={told.compareLead}
        aside={
          may('administrator', 'ops') && (
            <span style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>
              <Select
                showSearch={{ optionFilterProp: 'label' }}
                aria-label={told.choose}
                placeholder={told.choose}
                value={chosen}
                onChange={choose}
                popupMatchSelectWidth={false}
                style={{ minWidth: 240 }}
                options={served.map((one) => ({ value: one.id, label: `${titles(one.resource)} → ${departments.name(one.department)} · ${one.id}` }))}
              />
              <CompareNow
                grant={chosen}
                done={() => {
                  void message.success(told.started)
                  reconciliations.reload()
                }}
              />
            </span>
          )
        }
      >
        <Shown of={reconciliations}>{(all) => <ReconciliationTable rows={all} named empty={told.noneReconciliations} />}</Shown>
      </Section>
    </>
  )
}

/** Looks often while something runs. */
export function useLook(asked: Asking<{ ended_at: string | null }[]>): void {
  const running = asked.data?.some((one) => one.ended_at === null)
  useEvery(running ? LOOK_SECONDS.running : LOOK_SECONDS.still, asked.reload)
}

export function Progress({ of }: { of: Replay }) {
  const words = useWords()
  const told = words.running.replays
  const language = useLanguage()
  if (of.ended_at !== null) return <span className="faint">–</span>
  if (!of.progress) return <span className="faint">{told.computing}</span>
  const { done, behind, remaining_seconds } = of.progress
  const part = done + behind ? done / (done + behind) : 0
  return (
    <span role="progressbar" aria-label={told.progress} aria-valuenow={Math.round(part * 100)} aria-valuemin={0} aria-valuemax={100} className="nowrap">
      <progress value={part} max={1} aria-hidden="true" style={{ width: 90, verticalAlign: 'middle' }} /> {percent(part, language, 0)}{' '}
      <span className="faint">{remaining_seconds === null ? told.computing : told.remaining(duration(remaining_seconds * 1_000, language))}</span>
    </span>
  )
}

/** Replays; `named` says of each whose it is, where they are not all of one grant. */
export function ReplayTable(props: { rows: Replay[]; named?: boolean; changed: () => void; empty: string }) {
  const words = useWords()
  const told = words.running.replays
  const language = useLanguage()
  const departments = useDepartments()
  const titles = useTitles()
  const may = useRoles()
  const doing = useDoing()
  const cancel = async (one: Replay) => {
    await doing.run(() => ask(`${SYNC}/grants/${one.grant}/replays/${one.id}`, { method: 'DELETE' }))
    props.changed()
  }
  const mode = (one: Replay) =>
    one.mode === 'since' && one.since ? told.from(`${day(one.since, language)} ${clockTime(one.since, language)}`) : one.mode === 'keys' ? told.rows(number(one.keys, language)) : told.all
  return (
    <>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <DataTable
        caption={told.replays}
        rows={props.rows}
        rowKey={(one) => one.id}
        sort={{ key: 'asked', down: true }}
        empty={props.empty}
        columns={[
          ...(props.named ? ofWhom<Replay>(told, titles, departments.name) : []),
          { key: 'mode', title: told.mode, value: mode, render: (one) => <>{mode(one)}{one.reconciliation && <span className="second">{told.healing}</span>}</> },
          { key: 'state', title: told.state, value: (one) => told.states[one.state], render: (one) => <Mark tone={REPLAY_TONES[one.state] ?? 'calm'}>{told.states[one.state]}</Mark> },
          { key: 'progress', title: told.progress, value: (one) => one.progress?.remaining_seconds, render: (one) => <Progress of={one} /> },
          { key: 'records', title: told.records, number: true, value: (one) => one.records },
          { key: 'asked', title: told.asked, value: (one) => one.asked_at, render: (one) => <><When at={one.asked_at} /><span className="second">{one.asked_by}</span></> },
          { key: 'ended', title: told.ended, value: (one) => one.ended_at, render: (one) => (one.ended_at ? <When at={one.ended_at} /> : <span className="faint">–</span>) },
          {
            key: 'do', title: words.cancel, value: () => null,
            render: (one) =>
              one.ended_at === null && one.state !== 'cancelling' && may('administrator', 'consumer') && (
                <Popconfirm title={told.sureCancel} onConfirm={() => cancel(one)}><Button size="small" type="text" danger loading={doing.busy}>{told.cancel}</Button></Popconfirm>
              ),
          },
        ]}
      />
    </>
  )
}

interface Owned {
  grant: string
  resource: string
  department: string
}

function ofWhom<T extends Owned>(told: { resource: string; department: string }, title: (code: string) => string, name: (slug: string) => string) {
  return [
    {
      key: 'resource', title: told.resource, value: (one: T) => title(one.resource),
      render: (one: T) => <><Link to={`/data/${one.grant}?part=repeat`}>{title(one.resource)}</Link><span className="second mono">{one.grant}</span></>,
    },
    { key: 'department', title: told.department, value: (one: T) => name(one.department) },
  ]
}

export function ReconciliationTable(props: { rows: Reconciliation[]; named?: boolean; empty: string }) {
  const words = useWords()
  const told = words.running.replays
  const language = useLanguage()
  const departments = useDepartments()
  const titles = useTitles()
  const [shown, show] = useState<string | null>(null)
  const chosen = props.rows.find((one) => one.id === shown)
  return (
    <>
      <DataTable
        caption={told.reconciliations}
        rows={props.rows}
        rowKey={(one) => one.id}
        sort={{ key: 'asked', down: true }}
        tone={(one) => (one.state === 'different' ? 'bad' : one.state === 'failed' ? 'warn' : undefined)}
        empty={props.empty}
        columns={[
          ...(props.named ? ofWhom<Reconciliation>(told, titles, departments.name) : []),
          { key: 'state', title: told.state, value: (one) => told.found[one.state], render: (one) => <><Mark tone={FOUND_TONES[one.state] ?? 'calm'}>{told.found[one.state]}</Mark>{one.reason && <span className="second">{one.reason}</span>}</> },
          { key: 'differences', title: told.differences, number: true, value: (one) => (one.report ? differing(one.report) : null), render: (one) => (one.report ? told.difference(number(differing(one.report), language)) : '–') },
          { key: 'heal', title: told.heals, value: (one) => (one.heal ? words.yes : words.no) },
          { key: 'asked', title: told.asked, value: (one) => one.asked_at, render: (one) => <><When at={one.asked_at} /><span className="second">{one.asked_by}</span></> },
          { key: 'ended', title: told.ended, value: (one) => one.ended_at, render: (one) => (one.ended_at ? <When at={one.ended_at} /> : <span className="faint">–</span>) },
          { key: 'open', title: told.readOn, value: () => null, render: (one) => one.report && <Button size="small" onClick={() => show(one.id)}>{told.readOn}<span className="hear"> {one.id}</span></Button> },
        ]}
      />
      {chosen?.report && (
        <Modal open title={told.report} onCancel={() => show(null)} footer={<Button onClick={() => show(null)}>{words.close}</Button>} width={760}>
          <Found report={chosen.report} />
        </Modal>
      )}
    </>
  )
}

function Found({ report }: { report: Report }) {
  const words = useWords()
  const told = words.running.replays
  const language = useLanguage()
  const count = (rows: number | null) => (rows === null ? null : number(rows, language))
  return (
    <>
      <Facts
        facts={[
          [told.sides.source, count(report.source)],
          [told.sides.topic, count(report.topic)],
          [told.sides.table, count(report.table)],
          [told.setAside, count(report.set_aside)],
        ]}
      />
      {([[told.inTopic, report.in_topic], [told.inTable, report.in_table]] as [string, Difference | null][]).map(
        ([title, difference]) =>
          difference && (
            <section key={title} style={{ marginTop: 14 }}>
              <h3 style={{ fontSize: 14 }}>{title}</h3>
              <Facts
                facts={(['missing', 'surplus', 'differing'] as const).map((kind): Fact => [
                  told[kind],
                  <span key={kind}>
                    {number(difference[kind].rows, language)}
                    {difference[kind].keys.length > 0 && (
                      <details>
                        <summary className="faint">{told.keysShown}</summary>
                        <span className="chips">{difference[kind].keys.map((one) => <code key={one} className="chip">{one}</code>)}</span>
                      </details>
                    )}
                  </span>,
                ])}
              />
            </section>
          ),
      )}
      {report.ranges.length > 0 && (
        <DataTable
          caption={told.ranges}
          rows={report.ranges}
          rowKey={(one) => `${one.of} ${one.range}`}
          columns={[
            { key: 'range', title: told.range, value: (one) => one.range, render: (one) => <code>{one.range}</code> },
            { key: 'of', title: told.of, value: (one) => (one.of === 'table' ? told.inTable : told.inTopic) },
            { key: 'should', title: told.should, number: true, value: (one) => one.should_have },
            { key: 'has', title: told.has, number: true, value: (one) => one.has },
          ]}
        />
      )}
    </>
  )
}

/** A button that has a grant compared, and healed where that is wanted. */
export function CompareNow({ grant, done }: { grant: string | null; done: () => void }) {
  const words = useWords()
  const told = words.running.replays
  const doing = useDoing()
  const [open, setOpen] = useState(false)
  const [form] = Form.useForm<{ heal?: boolean }>()
  const send = async ({ heal }: { heal?: boolean }) => {
    if (!(await doing.run(() => ask(`${SYNC}/grants/${grant}/reconciliations`, { method: 'POST', body: { heal: heal ?? false } })))) return
    setOpen(false)
    done()
  }
  return (
    <>
      <Button type="primary" disabled={grant === null} onClick={() => setOpen(true)}>{told.compare}</Button>
      <Modal
        open={open}
        title={told.compareTitle}
        okText={told.compare}
        cancelText={words.cancel}
        confirmLoading={doing.busy}
        onOk={() => form.submit()}
        onCancel={() => {
          setOpen(false)
          doing.clear()
        }}
        destroyOnHidden
      >
        {doing.problem && <ProblemView problem={doing.problem} />}
        <p className="faint" style={{ marginBottom: 10 }}>{told.compareLead}</p>
        <Form form={form} onFinish={(given: { heal?: boolean }) => void send(given)}>
          <Form.Item name="heal" valuePropName="checked" extra={told.healMore}><Checkbox>{told.heal}</Checkbox></Form.Item>
        </Form>
      </Modal>
    </>
  )
}
