/** Alerts of the watch: what is wrong and lasts, what was seen, who is on it; and where such is sent. */
import { App, Button, Form, Input, Segmented } from 'antd'
import { useMemo, useState } from 'react'
import { Link, useParams, useSearchParams } from 'react-router'
import { ask, withQuery } from '../../api/client'
import { useAll, useAsk, useDoing, useEvery } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { CATALOG, WATCH, type MountStatus } from '../../api/types'
import type { Alert, AlertAction, Connector, GroupDetail, Summary } from '../../api/watch'
import { Facts, type Fact } from '../../components/facts'
import { Empty, ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { ALERT_TONES, Mark, SEVERITY_TONES } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { When } from '../../components/when'
import { duration, number, percent } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments, useRoles } from '../../session'
import { useTitles } from '../catalogue/titles'
import { STATUS_TONES, useSaid } from './lag'
import { WaitingRows } from './quarantine'
import { Sending } from './sending'

const SHOWN_DAYS = 7
const DAY_MS = 86_400_000
const LOOK_SECONDS = 3
const WATCHER = 'the watch'

export default function Alerts() {
  const { id } = useParams()
  return id ? <AlertPage id={id} /> : <List />
}

function List() {
  const words = useWords()
  const told = words.running.alerts
  const said = useSaid()
  const departments = useDepartments()
  const may = useRoles()
  const [params, setParams] = useSearchParams()
  const onlyOpen = params.get('show') !== 'all'
  const since = useMemo(() => new Date(Date.now() - SHOWN_DAYS * DAY_MS).toISOString(), [])
  const asked = useAll<Alert>(withQuery(`${WATCH}/alerts`, { since, limit: 500 }))
  useReloadOn('watch', asked.reload)
  const nameOf = useSubject()
  return (
    <>
      <PageHead title={told.title} lead={told.lead} />
      {may('administrator', 'ops', 'auditor') && <Today />}
      <Section title={told.title}>
        <Shown of={asked}>
          {(all) => (
            <DataTable
              caption={told.title}
              rows={all.filter((one) => !onlyOpen || one.state !== 'closed')}
              rowKey={(one) => String(one.id)}
              sort={{ key: 'opened', down: true }}
              tone={(one) => (one.state === 'closed' ? undefined : one.severity === 'critical' ? 'bad' : 'warn')}
              empty={<Empty title={told.none} />}
              tools={
                <Segmented
                  aria-label={told.show}
                  value={onlyOpen ? 'open' : 'all'}
                  onChange={(value) => setParams(value === 'all' ? { show: 'all' } : {}, { replace: true })}
                  options={(['open', 'all'] as const).map((value) => ({ value, label: told[value] }))}
                />
              }
              columns={[
                {
                  key: 'alert', title: told.alert, value: (one) => `${said(one.title)} ${nameOf(one)}`,
                  render: (one) => <><Link to={`/running/alerts/${one.id}`}>{said(one.title)}</Link><span className="second">{nameOf(one)}</span></>,
                },
                { key: 'text', title: told.text, value: (one) => said(one.text) },
                { key: 'severity', title: told.severity, value: (one) => (one.severity === 'critical' ? 1 : 0), render: (one) => <Mark tone={SEVERITY_TONES[one.severity] ?? 'calm'}>{told.severities[one.severity]}</Mark> },
                { key: 'state', title: told.state, value: (one) => told.states[one.state], render: (one) => <Mark tone={ALERT_TONES[one.state] ?? 'calm'}>{told.states[one.state]}</Mark> },
                { key: 'owner', title: told.owner, value: (one) => one.owner ?? '', render: (one) => one.owner ?? <span className="faint">{one.state === 'closed' ? '–' : told.nobody}</span> },
                { key: 'department', title: told.department, value: (one) => departments.name(one.department) || told.exchange },
                { key: 'opened', title: told.opened, value: (one) => one.opened_at, render: (one) => <When at={one.opened_at} /> },
                { key: 'changed', title: told.changed, value: (one) => one.changed_at, render: (one) => <When at={one.changed_at} /> },
              ]}
            />
          )}
        </Shown>
      </Section>
      {may('administrator', 'ops', 'provider', 'consumer') && <Sending />}
    </>
  )
}

/** The day so far, as its summary will tell it. */
function Today() {
  const words = useWords()
  const told = words.running.today
  const language = useLanguage()
  const asked = useAsk<Summary>(`${WATCH}/summary`)
  useReloadOn('watch', asked.reload)
  const one = asked.data
  if (!one) return null
  const waiting = Object.values(one.waiting).reduce((sum, rows) => sum + rows, 0)
  const failed = Object.keys(one.failed_mounts).length
  return (
    <dl className="strip">
      <div className="figure">
        <dt>{told.records}</dt>
        <dd>{number(one.records, language)}</dd>
        <dd className="note">{told.since} <When at={one.since} /></dd>
      </div>
      <div className="figure"><dt>{told.timely}</dt><dd>{percent(one.within_a_minute, language)}</dd></div>
      <div className={one.alerts.open ? 'figure warn' : 'figure'}>
        <dt>{told.alerts}</dt>
        <dd>{number(one.alerts.open, language)}</dd>
        <dd className="note">{told.alertsMore(number(one.alerts.opened, language), number(one.alerts.solved, language))}</dd>
      </div>
      <div className="figure">
        <dt>{told.worst}</dt>
        <dd>{one.worst_lag ? duration(one.worst_lag.seconds * 1_000, language) : '–'}</dd>
        <dd className="note break">{one.worst_lag?.group}</dd>
      </div>
      <div className={waiting ? 'figure warn' : 'figure'}><dt><Link to="/running/quarantine">{told.waiting}</Link></dt><dd>{number(waiting, language)}</dd></div>
      <div className={failed ? 'figure bad' : 'figure'}><dt><Link to="/running/mounts">{told.mounts}</Link></dt><dd>{number(failed, language)}</dd></div>
    </dl>
  )
}

/** What an alert is about, by its name: resources by their titles. */
function useSubject(): (one: Alert) => string {
  const titles = useTitles()
  return (one) => (one.evidence.resource === one.subject ? titles(one.subject) : one.subject)
}

function AlertPage({ id }: { id: string }) {
  const words = useWords()
  const told = words.running.alerts
  const said = useSaid()
  const departments = useDepartments()
  const nameOf = useSubject()
  const asked = useAsk<Alert>(`${WATCH}/alerts/${id}`)
  useReloadOn('watch', asked.reload, `alert/${id}`)
  return (
    <Shown of={asked}>
      {(alert) => (
        <>
          <PageHead
            title={`${said(alert.title)} · ${nameOf(alert)}`}
            above={[{ to: '/running/alerts', name: told.title }]}
            lead={
              <span className="hit-meta" style={{ fontSize: 13.5 }}>
                <Mark tone={ALERT_TONES[alert.state] ?? 'calm'}>{told.states[alert.state]}</Mark>
                <Mark tone={SEVERITY_TONES[alert.severity] ?? 'calm'}>{told.severities[alert.severity]}</Mark>
                <span>{departments.name(alert.department) || told.exchange}</span>
                <span>{told.owner} {alert.owner ?? told.nobody}</span>
                <span>{told.opened} <When at={alert.opened_at} /></span>
              </span>
            }
          />
          <div className="grid wide-left">
            <div className="stack">
              <Section title={told.text}>
                <p style={{ marginBottom: 12 }}>{said(alert.text)}</p>
                <Evidence alert={alert} />
              </Section>
              <Now key={alert.id} alert={alert} />
            </div>
            <div className="stack">
              {alert.actions.length > 0 && <Handling key={alert.state} alert={alert} etag={asked.etag} done={asked.reload} />}
              <Section title={told.steps}>
                {alert.steps.length ? (
                  <ol className="timeline">
                    {[...alert.steps].reverse().map((one) => (
                      <li key={one.at + one.action}>
                        <div className="what">{one.by === WATCHER ? told.byWatcher : told.did[one.action]}{one.to && ` → ${one.to}`}</div>
                        {one.text && one.by !== WATCHER && <div style={{ whiteSpace: 'pre-wrap' }}>{one.text}</div>}
                        <div className="more"><When at={one.at} /> · {one.by === WATCHER ? told.watcher : one.by}</div>
                      </li>
                    ))}
                  </ol>
                ) : (
                  <p className="faint">{told.noSteps}</p>
                )}
              </Section>
            </div>
          </div>
        </>
      )}
    </Shown>
  )
}

function Evidence({ alert }: { alert: Alert }) {
  const words = useWords()
  const told = words.running.alerts
  const language = useLanguage()
  const facts = Object.entries(alert.evidence).map(
    ([name, value]): Fact => [named(told.facts, name), typeof value === 'number' ? number(value, language, 1) : <span key={name} className="mono break">{value}</span>],
  )
  if (!facts.length) return null
  return (
    <>
      <h3 style={{ fontSize: 13, marginBottom: 6 }} className="faint">{told.evidence}</h3>
      <Facts facts={facts} />
    </>
  )
}

/** How what the alert is about does at this moment, and where one goes on. */
function Now({ alert }: { alert: Alert }) {
  const words = useWords()
  const told = words.running.alerts
  const may = useRoles()
  const sees = may('administrator', 'ops', 'auditor')
  // when the watch closes it, who handles it does not lose what is open before them
  const [wasOpen] = useState(alert.state !== 'closed')
  if (!wasOpen) return null
  switch (alert.rule) {
    case 'group-stands':
    case 'sealing-behind':
      return <Section title={told.now} aside={sees && <Link to={`/running/lag?group=${encodeURIComponent(alert.subject)}`}>{told.toLag}</Link>}><GroupNow group={alert.subject} /></Section>
    case 'connector-failed':
      return <Section title={told.now} aside={sees && <Link to="/running/mounts">{told.toMounts}</Link>}><ConnectorNow connector={alert.subject} /></Section>
    case 'mount-halted':
      if (!sees) return null
      return <Section title={told.now} aside={<Link to="/running/mounts">{told.toMounts}</Link>}><MountNow resource={alert.subject} /></Section>
    case 'rows-wait':
      if (!may('administrator', 'ops', 'auditor', 'provider')) return null
      return <Section title={told.now} aside={<Link to={`/running/quarantine?resource=${alert.subject}`}>{told.toQuarantine}</Link>}><WaitingRows resource={alert.subject} /></Section>
    default:
      return null
  }
}

function GroupNow({ group }: { group: string }) {
  const words = useWords()
  const told = words.running.alerts
  const language = useLanguage()
  const said = useSaid()
  const asked = useAsk<GroupDetail>(`${WATCH}/lag/${encodeURIComponent(group)}`)
  useEvery(LOOK_SECONDS, asked.reload)
  return (
    <Shown of={asked}>
      {(one) => (
        <>
          <p style={{ marginBottom: 10 }}><Mark tone={STATUS_TONES[one.status]}>{named(words.overview.lag.statuses, one.status)}</Mark> {said(one.reason)}</p>
          <Facts
            facts={[
              [told.facts.records, number(one.records, language)],
              [words.overview.lag.seconds, duration(one.seconds * 1_000, language)],
              [told.facts.members, number(one.members, language)],
            ]}
          />
          {one.status === 'OK' && <p className="notice ok">{told.over}</p>}
        </>
      )}
    </Shown>
  )
}

function ConnectorNow({ connector }: { connector: string }) {
  const words = useWords()
  const told = words.running.alerts
  const said = useSaid()
  const asked = useAsk<{ items: Connector[] }>(`${WATCH}/connectors`)
  useEvery(LOOK_SECONDS, asked.reload)
  return (
    <Shown of={asked}>
      {({ items }) => {
        const one = items.find((it) => it.connector === connector)
        if (!one) return <p className="notice ok">{told.over}</p>
        const trace = one.tasks.find((it) => it.trace)?.trace
        return (
          <>
            <p style={{ marginBottom: 10 }}><Mark tone={STATUS_TONES[one.status]}>{one.state}</Mark> {said(one.reason)}</p>
            {trace && <pre className="break" tabIndex={0} style={{ whiteSpace: 'pre-wrap', maxHeight: 220, overflow: 'auto' }}>{trace}</pre>}
            {one.status === 'OK' && <p className="notice ok">{told.over}</p>}
          </>
        )
      }}
    </Shown>
  )
}

function MountNow({ resource }: { resource: string }) {
  const words = useWords()
  const told = words.running.alerts
  const asked = useAll<MountStatus>(`${CATALOG}/mounts?limit=500`)
  useReloadOn('catalog', asked.reload)
  return (
    <Shown of={asked}>
      {(all) => {
        const one = all.find((it) => it.resource === resource)
        if (!one || one.condition === 'ok') return <p className="notice ok">{told.over}</p>
        return (
          <>
            <Mark tone={one.condition === 'warn' ? 'warn' : 'bad'}>{named(words.field.conditions, one.condition)}</Mark>
            <ul style={{ marginTop: 8 }}>{one.findings.map((it) => <li key={it.object + it.detail}><code>{it.object}</code> {it.detail}</li>)}</ul>
          </>
        )
      }}
    </Shown>
  )
}

interface Given {
  to?: string
  text?: string
}

function Handling({ alert, etag, done }: { alert: Alert; etag: string | null; done: () => void }) {
  const words = useWords()
  const told = words.running.alerts
  const { message } = App.useApp()
  const doing = useDoing()
  const [action, setAction] = useState<AlertAction>(alert.actions[0] ?? 'close')
  const take = async ({ to, text }: Given) => {
    const body = { action, text: text ?? '', ...(action === 'hand_over' ? { to } : {}) }
    const taken = await doing.run(() => ask(`${WATCH}/alerts/${alert.id}/steps`, { method: 'POST', etag, body }))
    if (taken) void message.success(told.done)
    done()
  }
  return (
    <Section title={told.take}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Segmented
        aria-label={told.take}
        value={action}
        onChange={setAction}
        options={alert.actions.map((value) => ({ value, label: told.actions[value] }))}
        style={{ marginBottom: 12 }}
      />
      <Form key={action} layout="vertical" requiredMark="optional" onFinish={(given: Given) => void take(given)}>
        {action === 'hand_over' && (
          <Form.Item name="to" label={told.to} rules={[{ required: true, whitespace: true, message: told.toNeed }]}><Input maxLength={200} /></Form.Item>
        )}
        <Form.Item name="text" label={told.note} rules={action === 'close' ? [{ required: true, whitespace: true, message: told.noteNeed }] : []}>
          <Input.TextArea autoSize={{ minRows: 2 }} maxLength={2_000} />
        </Form.Item>
        <Button type="primary" htmlType="submit" loading={doing.busy}>{told.actions[action]}</Button>
      </Form>
    </Section>
  )
}
