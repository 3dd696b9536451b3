/** One grant: how it is delivered, how to connect, what it shows, what its user thinks of it. */
import { App, Button, Checkbox, DatePicker, Form, Input, Modal, Popconfirm, Rate, Segmented, Select, Tabs } from 'antd'
import type { Dayjs } from 'dayjs'
import { useMemo, useState } from 'react'
import { Link, useParams, useSearchParams } from 'react-router'
import { ask, withQuery } from '../../api/client'
import { useAll, useAsk, useDoing } from '../../api/asking'
import { useLive, useReloadOn } from '../../api/live'
import {
  CATALOG, CONSOLE, DEMAND, SYNC, type ApiKey, type Credentials, type Endpoints, type Feedback, type Grant, type GrantUse,
  type Resource, type UsageTotal, type UsageWindow,
} from '../../api/types'
import { CopyButton, Snippet } from '../../components/copy'
import { Plot, quietAxes } from '../../components/plot'
import { ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { GRANT_TONES, Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { Day, When } from '../../components/when'
import { clockTime, day, duration, number, percent } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments, useMe, useRoles } from '../../session'
import { Repeat } from './repeat'
import { languagesOf, snippet, TITLES, type SnippetLanguage } from './snippets'

export default function GrantPage() {
  const { id = '' } = useParams()
  const words = useWords()
  const told = words.data
  const departments = useDepartments()
  const me = useMe()
  const may = useRoles()
  const [params, setParams] = useSearchParams()
  const asked = useAsk<Grant>(`${DEMAND}/grants/${id}`)
  useReloadOn('demand', asked.reload)
  const resource = useAsk<Resource>(asked.data ? `${CATALOG}/resources/${asked.data.resource}` : null)
  return (
    <Shown of={asked} lines={8}>
      {(grant) => {
        const own = may('administrator') || (may('consumer') && me.department === grant.department)
        const parts = [
          { key: 'delivery', children: <Delivery grant={grant} /> },
          { key: 'connect', children: <Connect grant={grant} own={own} {...(resource.data ? { resource: resource.data } : {})} /> },
          { key: 'scope', children: <Scope grant={grant} {...(resource.data ? { resource: resource.data } : {})} /> },
          { key: 'repeat', children: <Repeat grant={grant} own={own} {...(resource.data ? { resource: resource.data } : {})} /> },
          { key: 'feedback', children: <Voices grant={grant} own={own} {...(resource.data ? { resource: resource.data } : {})} /> },
        ] as const
        return (
          <>
            <PageHead
              title={resource.data?.published?.title ?? grant.resource}
              above={[{ to: '/data', name: told.title }]}
              lead={
                <span className="hit-meta" style={{ fontSize: 13.5 }}>
                  <Mark tone={GRANT_TONES[grant.state] ?? 'calm'}>{named(words.field.grantStates, grant.state)}</Mark>
                  <span>{departments.name(grant.department)}</span>
                  <span>{grant.channels.map((one) => named(words.field.channels, one)).join(' · ')}</span>
                  <span>
                    {told.until} {grant.valid_to ? <Day on={grant.valid_to} /> : told.forEver}
                  </span>
                  <span className="mono">{grant.id}</span>
                </span>
              }
              actions={own && grant.state === 'active' && grant.valid_to ? <Renewal grant={grant} done={asked.reload} /> : undefined}
            />
            <Tabs
              activeKey={params.get('part') ?? 'delivery'}
              onChange={(part) => setParams(part === 'delivery' ? {} : { part }, { replace: true })}
              items={parts.map((one) => ({ ...one, label: told.tabs[one.key] }))}
            />
          </>
        )
      }}
    </Shown>
  )
}

const SPANS = { minute: 3 * 3_600_000, hour: 4 * 86_400_000, day: 90 * 86_400_000 } as const

function Delivery({ grant }: { grant: Grant }) {
  const words = useWords()
  const told = words.data
  const language = useLanguage()
  const may = useRoles()
  const [granularity, setGranularity] = useState<keyof typeof SPANS>('minute')
  const since = useMemo(() => new Date(Date.now() - SPANS[granularity]).toISOString(), [granularity])
  const windows = useAll<UsageWindow>(withQuery(`${DEMAND}/usage`, { granularity, grant: grant.id, since, limit: 500 }))
  const totals = useAsk<UsageTotal[]>(withQuery(`${DEMAND}/usage/totals`, { by: 'grant', limit: 500 }))
  const uses = useAll<GrantUse>(withQuery(`${DEMAND}/usage/grants`, { resource: grant.resource, limit: 500 }))
  const serving = useAsk<{ live: number; catching_up: number; behind: number }>(
    may('administrator', 'ops', 'auditor') && grant.state === 'active' ? `${SYNC}/grants/${grant.id}` : null,
  )
  const [more, setMore] = useState(0)
  useLive('deliveries', (one) => {
    const mine = one.grants.find((it) => it.grant === grant.id)
    if (mine) setMore((before) => before + mine.records)
  })
  const total = totals.data?.find((one) => one.of === grant.id)
  const use = uses.data?.find((one) => one.grant === grant.id)
  return (
    <div className="stack">
      <dl className="strip">
        <div className="figure">
          <dt>{told.figures.records}</dt>
          <dd>{number((use?.records ?? 0) + more, language)}</dd>
          <dd className="note">{use && <When at={use.last_delivered_at} />}</dd>
        </div>
        <div className="figure">
          <dt>{told.figures.latency}</dt>
          <dd>{duration(total?.latency_mean_ms, language)}</dd>
          <dd className="note">{told.figures.latencyMore}</dd>
        </div>
        <div className="figure"><dt>{told.figures.worst}</dt><dd>{duration(total?.latency_max_ms, language)}</dd></div>
        <div className="figure"><dt>{told.figures.timely}</dt><dd>{percent(total?.timed ? total.timely / total.timed : null, language)}</dd></div>
        <div className={total?.errors ? 'figure warn' : 'figure'}><dt>{told.figures.errors}</dt><dd>{number(total?.errors ?? 0, language)}</dd></div>
        {grant.channels.includes('api') && (
          <div className="figure">
            <dt>{told.figures.calls}</dt>
            <dd>{number(total?.calls ?? 0, language)}</dd>
            <dd className="note">{told.figures.callsMore(duration(total?.call_mean_ms, language), number(total?.refused ?? 0, language))}</dd>
          </div>
        )}
        {serving.data && (
          <div className="figure">
            <dt>{serving.data.catching_up ? told.figures.behind : told.figures.live}</dt>
            <dd>{number(serving.data.catching_up ? serving.data.behind : serving.data.live, language)}</dd>
          </div>
        )}
      </dl>
      <Section
        title={told.plot.title}
        aside={
          <Segmented
            size="small"
            aria-label={told.plot.title}
            value={granularity}
            onChange={setGranularity}
            options={(['minute', 'hour', 'day'] as const).map((value) => ({ value, label: told.plot[value] }))}
          />
        }
      >
        <Shown of={windows}>
          {(data) =>
            data.length ? (
              <Plot
                height={300}
                label={told.plot.label}
                option={(c) => {
                  const axes = quietAxes(c)
                  return {
                    grid: { left: 56, right: 62, top: 34, bottom: 28 },
                    legend: { top: 0, right: 0, textStyle: { color: c.ink2 }, itemHeight: 9 },
                    tooltip: { trigger: 'axis', ...axes.tooltip },
                    xAxis: { type: 'time', ...axes.x },
                    yAxis: [
                      { type: 'value', ...axes.y, minInterval: 1 },
                      { type: 'value', ...axes.y, splitLine: { show: false } },
                    ],
                    series: [
                      {
                        type: 'bar', name: told.plot.records, barMaxWidth: 14, itemStyle: { borderRadius: [2, 2, 0, 0] },
                        data: data.map((one) => [one.start, one.records]),
                      },
                      {
                        type: 'line', name: told.plot.latency, yAxisIndex: 1, showSymbol: data.length < 40, symbolSize: 5, lineStyle: { width: 2 },
                        data: data.map((one) => [one.start, one.latency_mean_ms]),
                      },
                    ],
                  }
                }}
              />
            ) : (
              <p className="faint">{told.plot.none}</p>
            )
          }
        </Shown>
        {windows.data && windows.data.length > 0 && (
          <details>
            <summary className="faint">{words.catalogue.lineage.list}</summary>
            <DataTable
              caption={told.plot.title}
              rows={windows.data}
              rowKey={(one) => one.start}
              sort={{ key: 'start', down: true }}
              columns={[
                { key: 'start', title: words.audit.at, value: (one) => one.start, render: (one) => `${day(one.start, language)} ${clockTime(one.start, language)}` },
                { key: 'records', title: told.plot.records, number: true, value: (one) => one.records },
                { key: 'latency', title: told.plot.latency, number: true, value: (one) => one.latency_mean_ms },
                { key: 'worst', title: told.figures.worst, number: true, value: (one) => one.latency_max_ms },
                { key: 'errors', title: told.figures.errors, number: true, value: (one) => one.errors },
              ]}
            />
          </details>
        )}
      </Section>
    </div>
  )
}

interface PartProps {
  grant: Grant
  resource?: Resource
  own: boolean
}

function Connect({ grant, resource, own }: PartProps) {
  const words = useWords()
  const told = words.data.connect
  const language = useLanguage()
  const { message } = App.useApp()
  const doing = useDoing()
  const endpoints = useAsk<Endpoints>(`${CONSOLE}/endpoints`)
  const table = useAsk<{ state: string; reason: string | null }>(grant.channels.includes('table') ? `${SYNC}/tables/${grant.id}` : null)
  const [credentials, setCredentials] = useState<Credentials | null>(null)
  const [key, setKey] = useState<ApiKey | null>(null)
  const [endsOthers, setEndsOthers] = useState(true)
  const languages = languagesOf(grant)
  const [chosen, choose] = useState<SnippetLanguage>(languages[0] ?? 'curl')
  const granted = grant.items.filter((one) => one.mask === null).map((one) => one.name)
  const queryKey = resource?.published?.items.find((one) => one.query_key && granted.includes(one.name))?.name ?? 'id'
  const access = {
    endpoints: endpoints.data ?? { kafka: '<kafka>:9092', security_protocol: 'SASL_PLAINTEXT', registry: 'http://<registry>/apis/ccompat/v7', rows: 'http://<rows>/api/sync/v1', trace: null },
    username: credentials?.username ?? `dept.${grant.department}`,
    password: credentials?.password ?? '…',
    group: `${credentials?.group_prefix ?? `${grant.department}.`}my-program`,
    apiKey: key?.api_key ?? 'tk_…',
    queryKey,
  }
  const issue = async () => {
    const made = await doing.run(() => ask<Credentials>(`${DEMAND}/departments/${grant.department}/credentials`, { method: 'POST' }))
    if (made) setCredentials(made.data)
  }
  const newKey = async () => {
    const made = await doing.run(() => ask<ApiKey>(`${DEMAND}/grants/${grant.id}/api-keys`, { method: 'POST', body: { ends_others: endsOthers } }))
    if (made) setKey(made.data)
  }
  const endKeys = async () => {
    if (!(await doing.run(() => ask(`${DEMAND}/grants/${grant.id}/api-keys`, { method: 'DELETE' })))) return
    setKey(null)
    void message.success(told.keysEnded)
  }
  return (
    <div className="grid wide-left">
      <Section title={words.data.tabs.connect} note={told.lead}>
        {languages.length > 1 && (
          <Segmented
            aria-label={told.language}
            value={chosen}
            onChange={choose}
            options={languages.map((value) => ({ value, label: TITLES[value] }))}
            style={{ marginBottom: 12 }}
          />
        )}
        {languages.includes(chosen) && <Snippet label={TITLES[chosen]} text={snippet(chosen, grant, access)} />}
        {chosen === 'psql' && <p className="faint" style={{ marginTop: 8 }}>{told.tableNote}</p>}
      </Section>
      <div className="stack">
        {doing.problem && <ProblemView problem={doing.problem} />}
        {grant.channels.includes('topic') && (
          <Section title={told.credentials}>
            {credentials ? (
              <>
                <dl className="facts">
                  {([[told.username, credentials.username], [told.password, credentials.password], [told.mechanism, credentials.mechanism], [told.prefix, credentials.group_prefix], [told.topic, grant.topic]] as const).map(([name, value]) => (
                    <div key={name} style={{ display: 'contents' }}>
                      <dt>{name}</dt>
                      <dd><code>{value}</code> <CopyButton text={value} label={name} /></dd>
                    </div>
                  ))}
                </dl>
                <p className="notice warn" role="status">{told.once}</p>
              </>
            ) : own ? (
              <>
                <p className="faint">{told.issueFirst}</p>
                <Popconfirm title={told.sure} description={<span style={{ maxWidth: 320, display: 'block' }}>{told.issueWarn}</span>} okText={told.generate} onConfirm={() => issue()}>
                  <Button loading={doing.busy} style={{ marginTop: 10 }}>{told.issue}</Button>
                </Popconfirm>
              </>
            ) : (
              <p className="faint">{told.notMine}</p>
            )}
          </Section>
        )}
        {grant.channels.includes('api') && (
          <Section title={told.apiKey}>
            {key && (
              <>
                <p><code className="break">{key.api_key}</code> <CopyButton text={key.api_key} label={told.apiKey} /></p>
                <p className="notice warn" role="status">{told.once} {told.keyCount(number(key.keys, language))}</p>
              </>
            )}
            {own ? (
              <div style={{ display: 'grid', gap: 10, justifyItems: 'start' }}>
                <Checkbox checked={endsOthers} onChange={(event) => setEndsOthers(event.target.checked)}>{told.endsOthers}</Checkbox>
                <div style={{ display: 'flex', gap: 8 }}>
                  <Button loading={doing.busy} onClick={() => void newKey()}>{told.newKey}</Button>
                  <Popconfirm title={told.endKeys} onConfirm={() => endKeys()}><Button type="text" danger>{told.endKeys}</Button></Popconfirm>
                </div>
              </div>
            ) : (
              <p className="faint">{told.notMine}</p>
            )}
          </Section>
        )}
        {grant.table_target && (
          <Section title={told.table}>
            <dl className="facts">
              <dt>{told.table}</dt>
              <dd className="mono">{grant.table_target.schema}.{grant.table_target.table}</dd>
              {table.data && (
                <>
                  <dt>{told.tableState}</dt>
                  <dd><Mark tone={table.data.state === 'running' ? 'ok' : 'warn'}>{table.data.state === 'running' ? told.running : told.waiting}</Mark> {table.data.reason}</dd>
                </>
              )}
            </dl>
          </Section>
        )}
      </div>
    </div>
  )
}

function Scope({ grant, resource }: { grant: Grant; resource?: Resource }) {
  const words = useWords()
  const told = words.data.scope
  const language = useLanguage()
  const items = resource?.published?.items ?? []
  const filter = grant.row_filter_in_words
  const facts: [string, React.ReactNode][] = [
    [told.purpose, grant.purpose],
    [told.filter, grant.row_filter ? <>{filter && <div>{language === 'en' ? filter.en : filter.zh}</div>}<code>{grant.row_filter}</code></> : told.allRows],
    [told.contract, grant.contract_version],
    [told.topic, <code key="t" className="break">{grant.topic}</code>],
    [told.from, <Day key="f" on={grant.valid_from} />],
    [told.thread, <code key="th" className="break">{grant.thread}</code>],
  ]
  return (
    <div className="grid two">
      <Section title={told.items}>
        <DataTable
          caption={told.items}
          rows={grant.items}
          rowKey={(one) => one.name}
          columns={[
            { key: 'title', title: words.catalogue.items.title, value: (one) => items.find((it) => it.name === one.name)?.title ?? one.name },
            { key: 'name', title: words.catalogue.items.name, value: (one) => one.name, render: (one) => <code>{one.name}</code> },
            { key: 'mask', title: told.mask, value: (one) => one.mask ?? told.clear, render: (one) => (one.mask ? <span className="chip">{one.mask}</span> : told.clear) },
          ]}
        />
      </Section>
      <Section title={words.data.tabs.scope}>
        <dl className="facts">
          {facts.map(([name, value]) => (
            <div key={name} style={{ display: 'contents' }}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </Section>
    </div>
  )
}

function Voices({ grant, resource, own }: PartProps) {
  const words = useWords()
  const told = words.feedback
  const asked = useAll<Feedback>(withQuery(`${DEMAND}/feedback`, { grant: grant.id, limit: 100 }))
  return (
    <div className="grid two">
      <Section title={told.title}>
        <Shown of={asked}>
          {(all) => (
            <>
              {!all.length && <p className="faint">{told.none}</p>}
              <ul className="due-list">
                {all.map((one) => (
                  <li key={one.id} style={{ display: 'block' }}>
                    <Rate disabled value={one.score} style={{ fontSize: 15 }} /> <span className="chips" style={{ display: 'inline-flex' }}>{one.reasons.map((reason) => <span key={reason} className="chip">{told.kinds[reason]}</span>)}</span>
                    <p>{one.effect}</p>
                    {one.comment && <p className="faint">{one.comment}</p>}
                    <p className="more">{told.by(one.given_by)} · <When at={one.given_at} /></p>
                  </li>
                ))}
              </ul>
            </>
          )}
        </Shown>
        {own && <GiveFeedback grant={grant} done={asked.reload} />}
      </Section>
      {own && grant.state === 'active' && <RaiseObjection grant={grant} {...(resource ? { resource } : {})} />}
    </div>
  )
}

interface FeedbackGiven {
  score: number
  reasons?: (keyof ReturnType<typeof useWords>['feedback']['kinds'])[]
  effect: string
  comment?: string
}

function GiveFeedback({ grant, done }: { grant: Grant; done: () => void }) {
  const words = useWords()
  const told = words.feedback
  const { message } = App.useApp()
  const doing = useDoing()
  const [form] = Form.useForm<FeedbackGiven>()
  const send = async (given: FeedbackGiven) => {
    const body = { ...given, reasons: given.reasons ?? [], comment: given.comment ?? '' }
    if (!(await doing.run(() => ask(`${DEMAND}/grants/${grant.id}/feedback`, { method: 'POST', body })))) return
    form.resetFields()
    void message.success(told.sent)
    done()
  }
  return (
    <Form form={form} layout="vertical" onFinish={(given: FeedbackGiven) => void send(given)} style={{ marginTop: 18 }} requiredMark="optional">
      <h3 style={{ fontSize: 14, marginBottom: 8 }}>{told.give}</h3>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Form.Item name="score" label={told.score} rules={[{ required: true, message: words.form.need }]}><Rate /></Form.Item>
      <Form.Item name="reasons" label={told.reasons}>
        <Checkbox.Group options={Object.entries(told.kinds).map(([value, label]) => ({ value, label }))} />
      </Form.Item>
      <Form.Item name="effect" label={told.effect} rules={[{ required: true, message: words.form.need }]}>
        <Input.TextArea autoSize={{ minRows: 2 }} placeholder={told.effectHint} maxLength={2_000} />
      </Form.Item>
      <Form.Item name="comment" label={told.comment}><Input maxLength={2_000} /></Form.Item>
      <Button type="primary" htmlType="submit" loading={doing.busy}>{told.send}</Button> <span className="faint">{told.once}</span>
    </Form>
  )
}

interface Raised {
  key: Record<string, string>
  items: { item: string; says?: string; should_say?: string }[]
  explanation: string
}

function RaiseObjection({ grant, resource }: { grant: Grant; resource?: Resource }) {
  const words = useWords()
  const told = words.objections
  const { message } = App.useApp()
  const doing = useDoing()
  const [form] = Form.useForm<Raised>()
  const [made, setMade] = useState<string | null>(null)
  const items = resource?.published?.items ?? []
  const keys = items.filter((one) => one.key)
  const title = (name: string) => items.find((one) => one.name === name)?.title ?? name
  const send = async (given: Raised) => {
    const body = {
      grant: grant.id, key: given.key, explanation: given.explanation,
      items: given.items.map((one) => ({ item: one.item, says: one.says ?? null, should_say: one.should_say ?? null })),
    }
    const raised = await doing.run(() => ask<{ id: string }>(`${DEMAND}/objections`, { method: 'POST', body }))
    if (!raised) return
    form.resetFields()
    setMade(raised.data.id)
    void message.success(told.sent)
  }
  return (
    <Section title={told.raise} note={told.raiseLead}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      {made && <p className="notice ok"><Link to={`/objections/${made}`}>{told.sent} · {told.open}</Link></p>}
      <Form form={form} layout="vertical" onFinish={(given: Raised) => void send(given)} requiredMark="optional" initialValues={{ items: [{}] }}>
        {keys.map((one) => (
          <Form.Item key={one.name} name={['key', one.name]} label={`${told.key} · ${one.title}`} rules={[{ required: true, message: words.form.need }]}>
            <Input />
          </Form.Item>
        ))}
        <Form.List name="items">
          {(fields, { add, remove }) => (
            <>
              {fields.map(({ key, name }) => (
                <div key={key} style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>
                  <Form.Item name={[name, 'item']} label={told.items} rules={[{ required: true, message: words.form.need }]} style={{ flex: '1 1 150px' }}>
                    <Select options={grant.items.map((one) => ({ value: one.name, label: title(one.name) }))} />
                  </Form.Item>
                  <Form.Item name={[name, 'says']} label={told.says} style={{ flex: '1 1 130px' }}><Input /></Form.Item>
                  <Form.Item name={[name, 'should_say']} label={told.should} style={{ flex: '1 1 130px' }}><Input /></Form.Item>
                  {fields.length > 1 && <Button style={{ alignSelf: 'center' }} aria-label={words.form.removeRow} onClick={() => remove(name)}>×</Button>}
                </div>
              ))}
              <Button size="small" onClick={() => add({})}>{told.addItem}</Button>
            </>
          )}
        </Form.List>
        <Form.Item name="explanation" label={told.explanation} rules={[{ required: true, message: words.form.need }]} style={{ marginTop: 14 }}>
          <Input.TextArea autoSize={{ minRows: 2 }} maxLength={2_000} />
        </Form.Item>
        <Button type="primary" htmlType="submit" loading={doing.busy}>{told.send}</Button>
      </Form>
    </Section>
  )
}

function Renewal({ grant, done }: { grant: Grant; done: () => void }) {
  const words = useWords()
  const told = words.data.renew
  const { message } = App.useApp()
  const doing = useDoing()
  const [open, setOpen] = useState(false)
  const [until, setUntil] = useState<Dayjs | null>(null)
  const renew = async () => {
    if (!until) return
    const body = { valid_to: until.endOf('day').toISOString() }
    if (!(await doing.run(() => ask(`${DEMAND}/grants/${grant.id}/renewals`, { method: 'POST', body })))) return
    void message.success(told.done)
    setOpen(false)
    done()
  }
  return (
    <>
      <Button size="large" onClick={() => setOpen(true)}>{told.action}</Button>
      <Modal open={open} title={told.title} onCancel={() => setOpen(false)} onOk={() => void renew()} confirmLoading={doing.busy} okButtonProps={{ disabled: !until }}>
        {doing.problem && <ProblemView problem={doing.problem} />}
        <p className="faint">{told.need}</p>
        <label>
          {told.until} <DatePicker value={until} onChange={setUntil} />
        </label>
      </Modal>
    </>
  )
}
