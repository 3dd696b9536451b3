/** The log explorer: who did what, when, for whom, under which thread; followed as it grows, or searched. */
import { Button, DatePicker, Form, Input, Select, Switch } from 'antd'
import type { Dayjs } from 'dayjs'
import { useEffect, useMemo, useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import { ask, withQuery, type Page } from '../../api/client'
import { useAsk, useDoing } from '../../api/asking'
import { AUDIT, type Entry, type LogStatus } from '../../api/types'
import { ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { When } from '../../components/when'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments } from '../../session'
import { Actor, eventName } from './shown'

const FIELDS = ['actor', 'department', 'type', 'subject', 'thread', 'outcome', 'since', 'until'] as const
const NEWEST = 500

interface Given {
  actor?: string
  department?: string
  type?: string
  subject?: string
  thread?: string
  outcome?: string
  span?: [Dayjs | null, Dayjs | null] | null
}

export default function AuditLog() {
  const words = useWords()
  const told = words.audit
  const language = useLanguage()
  const departments = useDepartments()
  const [params, setParams] = useSearchParams()
  const [form] = Form.useForm<Given>()
  const status = useAsk<LogStatus>(`${AUDIT}/status`)
  const wanted = Object.fromEntries(FIELDS.map((name) => [name, params.get(name)]))
  const asks = FIELDS.some((name) => params.has(name))
  // the API tells the oldest first; without a search the newest are what people want to see
  const start = status.data ? Math.max(0, status.data.indexed - NEWEST) : null
  const cursor = start && start > 0 ? btoa(`[${start - 1}]`).replace(/=+$/, '') : null
  const path = asks
    ? withQuery(`${AUDIT}/entries`, { ...wanted, limit: NEWEST })
    : start === null
      ? null
      : withQuery(`${AUDIT}/entries`, { limit: NEWEST, cursor })
  const found = useAsk<Page<Entry>>(path)
  const [more, setMore] = useState<{ path: string | null; items: Entry[]; next: string | null }>({ path: null, items: [], next: null })
  const doing = useDoing()
  const [following, setFollowing] = useState(false)
  const fresh = useTail(following, wanted)
  const beyond = more.path === path ? more : { path, items: [] as Entry[], next: found.data?.next ?? null }
  const entries = useMemo(() => {
    const all = new Map<number, Entry>()
    for (const one of [...(found.data?.items ?? []), ...beyond.items, ...fresh]) all.set(one.sequence, one)
    return [...all.values()]
  }, [found.data, beyond.items, fresh])

  const search = (given: Given) => {
    const [since, until] = given.span ?? []
    const next = { ...given, since: since?.startOf('day').toISOString(), until: until?.endOf('day').toISOString() }
    const query = new URLSearchParams()
    for (const name of FIELDS) {
      const value = next[name]?.trim()
      if (value) query.set(name, value)
    }
    setParams(query)
  }
  const load = async () => {
    const told_ = await doing.run(() => ask<Page<Entry>>(withQuery(`${AUDIT}/entries`, { ...wanted, limit: NEWEST, cursor: beyond.next })))
    if (told_) setMore({ path, items: [...beyond.items, ...told_.data.items], next: told_.data.next ?? null })
  }
  const types = Object.entries(words.field.entries).map(([value, label]) => ({ value, label }))
  return (
    <>
      <PageHead
        title={told.title}
        lead={
          <>
            {told.lead}{' '}
            {status.data && (
              <>
                {told.status(number(status.data.size, language), number(status.data.indexed, language))}{' '}
                <Mark tone={status.data.sealing ? 'ok' : 'warn'}>{status.data.sealing ? told.sealing : told.notSealing}</Mark>
              </>
            )}
          </>
        }
      />
      <Section title={told.search}>
        <Form
          form={form}
          layout="vertical"
          onFinish={search}
          initialValues={Object.fromEntries(FIELDS.filter((name) => params.has(name) && name !== 'since' && name !== 'until').map((name) => [name, params.get(name)]))}
        >
          <div style={{ display: 'grid', gridTemplateColumns: 'repeat(auto-fit, minmax(190px, 1fr))', gap: '0 16px' }}>
            <Form.Item name="actor" label={told.fields.actor}><Input placeholder={told.fields.actorHint} type="search" /></Form.Item>
            <Form.Item name="department" label={told.fields.department}>
              <Select allowClear showSearch={{ optionFilterProp: 'label' }} options={departments.all.map((one) => ({ value: one.slug, label: departments.name(one.slug) }))} />
            </Form.Item>
            <Form.Item name="type" label={told.fields.type}><Select allowClear showSearch={{ optionFilterProp: 'label' }} options={types} /></Form.Item>
            <Form.Item name="subject" label={told.fields.subject}><Input placeholder={told.fields.subjectHint} type="search" /></Form.Item>
            <Form.Item name="thread" label={told.fields.thread}><Input placeholder={told.fields.threadHint} allowClear /></Form.Item>
            <Form.Item name="outcome" label={told.fields.outcome}>
              <Select allowClear options={Object.entries(words.field.outcome).map(([value, label]) => ({ value, label }))} />
            </Form.Item>
            <Form.Item name="span" label={told.at}><DatePicker.RangePicker style={{ width: '100%' }} /></Form.Item>
            <div style={{ display: 'flex', gap: 8, alignItems: 'center', paddingTop: 12 }}>
              <Button type="primary" htmlType="submit">{told.search}</Button>
              <Button onClick={() => { form.setFieldsValue(Object.fromEntries([...FIELDS, 'span'].map((name) => [name, undefined]))); setParams({}) }}>{told.reset}</Button>
            </div>
          </div>
        </Form>
      </Section>
      <Section
        title={asks ? told.found : told.newest}
        aside={
          <label>
            <Switch size="small" checked={following} onChange={setFollowing} aria-label={told.follow} /> {following ? told.following : told.follow}
          </label>
        }
      >
        {doing.problem && <ProblemView problem={doing.problem} />}
        <Shown of={found} lines={8}>
          {() => (
            <>
              <DataTable
                caption={told.title}
                rows={entries}
                rowKey={(one) => String(one.sequence)}
                sort={{ key: 'sequence', down: true }}
                empty={told.none}
                height={640}
                tone={(one) => (one.outcome === 'done' ? undefined : 'bad')}
                columns={[
                  { key: 'sequence', title: told.columns.sequence, number: true, width: 80, value: (one) => one.sequence, render: (one) => <Link to={`/audit/entries/${one.sequence}`}>{one.sequence}</Link> },
                  { key: 'at', title: told.columns.at, value: (one) => one.occurred_at, render: (one) => <When at={one.occurred_at} /> },
                  { key: 'what', title: told.columns.what, value: (one) => eventName(words, one.type), render: (one) => <span title={one.type}>{eventName(words, one.type)}</span> },
                  { key: 'who', title: told.columns.who, value: (one) => one.actor, render: (one) => <Actor reference={one.actor} /> },
                  { key: 'department', title: told.fields.department, value: (one) => departments.name(one.department) },
                  { key: 'subject', title: told.columns.subject, value: (one) => one.subject, render: (one) => <code title={one.subject}>{one.subject}</code> },
                  { key: 'outcome', title: told.columns.outcome, value: (one) => named(words.field.outcome, one.outcome), render: (one) => <Mark tone={one.outcome === 'done' ? 'calm' : 'bad'}>{named(words.field.outcome, one.outcome)}</Mark> },
                  { key: 'records', title: told.columns.records, number: true, value: (one) => one.records || null },
                  { key: 'thread', title: told.fields.thread, value: (one) => one.thread, render: (one) => one.thread && <Link className="mono" to={`/audit?thread=${encodeURIComponent(one.thread)}`}>{one.thread.slice(0, 8)}</Link> },
                  { key: 'digest', title: told.entry.digest, value: (one) => one.digest, hidden: true },
                ]}
              />
              {asks && beyond.next && <Button style={{ marginTop: 10 }} loading={doing.busy} onClick={() => void load()}>{told.more}</Button>}
            </>
          )}
        </Shown>
      </Section>
    </>
  )
}

const KEPT = 1_000

/** Entries as they are sealed, while `on`. */
function useTail(on: boolean, wanted: Record<string, string | null>): Entry[] {
  const [entries, setEntries] = useState<Entry[]>([])
  const path = withQuery(`${AUDIT}/tail`, wanted)
  useEffect(() => {
    if (!on) return
    const stream = new EventSource(path)
    stream.onmessage = (event: MessageEvent<string>) => {
      const one = JSON.parse(event.data) as Entry
      setEntries((before) => [...before, one].slice(-KEPT))
    }
    return () => {
      stream.close()
      setEntries([])
    }
  }, [on, path])
  return entries
}
