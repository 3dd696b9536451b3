/** Findings, alerts and incidents: what is remarked, and how it is brought to an end. */
import { App, Button, Checkbox, DatePicker, Form, Input, Modal, Segmented, Select } from 'antd'
import type { Dayjs } from 'dayjs'
import { useState } from 'react'
import { Link, useParams, useSearchParams } from 'react-router'
import { ask } from '../../api/client'
import { useAll, useAsk, useDoing } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { AUDIT, type Matter } from '../../api/types'
import { Empty, ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark, MATTER_TONES } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { DueBy, When } from '../../components/when'
import { named, useWords } from '../../i18n'
import { useDepartments, useRoles } from '../../session'

export default function Matters() {
  const { id } = useParams()
  return id ? <MatterPage id={id} /> : <List />
}

function List() {
  const words = useWords()
  const told = words.audit.matters
  const may = useRoles()
  const departments = useDepartments()
  const [params, setParams] = useSearchParams()
  const kind = params.get('kind') ?? 'all'
  const [onlyOpen, setOnlyOpen] = useState(true)
  const asked = useAll<Matter>(`${AUDIT}/matters?limit=500`)
  useReloadOn('audit', asked.reload)
  return (
    <>
      <PageHead title={told.title} lead={told.lead} actions={may('administrator', 'auditor') && <OpenFinding done={asked.reload} />} />
      <Section title={told.title}>
        <Shown of={asked}>
          {(all) =>
            all.length ? (
              <DataTable
                caption={told.title}
                rows={all.filter((one) => (kind === 'all' || one.kind === kind) && (!onlyOpen || one.state !== 'closed'))}
                rowKey={(one) => String(one.id)}
                sort={{ key: 'opened', down: true }}
                tone={(one) => (one.overdue ? 'bad' : undefined)}
                tools={
                  <>
                    <Segmented
                      aria-label={told.kind}
                      value={kind}
                      onChange={(value) => setParams(value === 'all' ? {} : { kind: value }, { replace: true })}
                      options={[{ value: 'all', label: told.all }, ...Object.entries(words.field.matterKinds).map(([value, label]) => ({ value, label }))]}
                    />
                    <Checkbox checked={onlyOpen} onChange={(event) => setOnlyOpen(event.target.checked)}>{told.onlyOpen}</Checkbox>
                  </>
                }
                columns={[
                  { key: 'title', title: told.matter, value: (one) => one.title, render: (one) => <Link to={`/matters/${one.id}`}>{one.title}</Link> },
                  { key: 'kind', title: told.kind, value: (one) => named(words.field.matterKinds, one.kind) },
                  { key: 'state', title: told.state, value: (one) => named(words.field.matterStates, one.state), render: (one) => <Mark tone={MATTER_TONES[one.state] ?? 'calm'}>{named(words.field.matterStates, one.state)}</Mark> },
                  { key: 'department', title: told.department, value: (one) => departments.name(one.department) },
                  { key: 'due', title: told.due, value: (one) => one.due, render: (one) => (one.due ? <DueBy on={one.due} overdue={one.overdue} /> : <span className="faint">–</span>) },
                  { key: 'opened', title: told.opened, value: (one) => one.opened_at, render: (one) => <When at={one.opened_at} /> },
                ]}
              />
            ) : (
              <Empty title={told.none} />
            )
          }
        </Shown>
      </Section>
    </>
  )
}

const EVIDENCE_SHOWN = 60

function MatterPage({ id }: { id: string }) {
  const words = useWords()
  const told = words.audit.matters
  const may = useRoles()
  const departments = useDepartments()
  const asked = useAsk<Matter>(`${AUDIT}/matters/${id}`)
  useReloadOn('audit', asked.reload)
  return (
    <Shown of={asked}>
      {(matter) => (
        <>
          <PageHead
            title={matter.title}
            above={[{ to: '/matters', name: told.title }]}
            lead={
              <span className="hit-meta" style={{ fontSize: 13.5 }}>
                <Mark tone={MATTER_TONES[matter.state] ?? 'calm'}>{named(words.field.matterStates, matter.state)}</Mark>
                <span>{named(words.field.matterKinds, matter.kind)}</span>
                <span>{departments.name(matter.department)}</span>
                {matter.due && <DueBy on={matter.due} overdue={matter.overdue} />}
                <span>{told.by(matter.opened_by)} · <When at={matter.opened_at} /></span>
                {matter.came_from !== null && <Link to={`/matters/${matter.came_from}`}>{told.from(String(matter.came_from))}</Link>}
              </span>
            }
          />
          <div className="grid wide-left">
            <div className="stack">
              <Section title={told.matter}>
                <p style={{ whiteSpace: 'pre-wrap' }}>{matter.text}</p>
                {matter.rule && <p className="faint" style={{ marginTop: 8 }}>{told.rule} <code>{matter.rule}</code></p>}
              </Section>
              {matter.actions.length > 0 && <Handling key={matter.state} matter={matter} etag={asked.etag} done={asked.reload} />}
            </div>
            <div className="stack">
              <Section title={told.evidence}>
                <p className="chips">
                  {matter.evidence.slice(0, EVIDENCE_SHOWN).map((one) =>
                    may('administrator', 'auditor') ? <Link key={one} className="chip" to={`/audit/entries/${one}`}>{one}</Link> : <span key={one} className="chip">{one}</span>,
                  )}
                </p>
              </Section>
              <Section title={told.steps}>
                <ol className="timeline">
                  {[...matter.steps].reverse().map((one) => (
                    <li key={one.taken_at}>
                      <div className="what">{named(told.actions, one.action)}</div>
                      <div style={{ whiteSpace: 'pre-wrap' }}>{one.text}</div>
                      <div className="more"><When at={one.taken_at} /> · {one.taken_by}</div>
                    </li>
                  ))}
                </ol>
                {!matter.steps.length && <p className="faint">{words.none}</p>}
              </Section>
            </div>
          </div>
        </>
      )}
    </Shown>
  )
}

function Handling({ matter, etag, done }: { matter: Matter; etag: string | null; done: () => void }) {
  const words = useWords()
  const told = words.audit.matters
  const { message } = App.useApp()
  const doing = useDoing()
  const [action, setAction] = useState<string>(matter.actions[0] ?? 'close')
  const take = async ({ text }: { text: string }) => {
    const taken = await doing.run(() => ask(`${AUDIT}/matters/${matter.id}/steps`, { method: 'POST', etag, body: { action, text } }))
    if (!taken) return
    void message.success(told.done)
    done()
  }
  return (
    <Section title={told.take}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Segmented
        aria-label={told.take}
        value={action}
        onChange={setAction}
        options={matter.actions.map((value) => ({ value, label: named(told.actions, value) }))}
        style={{ marginBottom: 12 }}
      />
      <Form layout="vertical" onFinish={(given: { text: string }) => void take(given)}>
        <Form.Item name="text" label={told.text} rules={[{ required: true, message: told.need }]}>
          <Input.TextArea autoSize={{ minRows: 3 }} maxLength={10_000} />
        </Form.Item>
        <Button type="primary" htmlType="submit" loading={doing.busy} style={{ marginTop: 10 }}>{named(told.actions, action)}</Button>
      </Form>
    </Section>
  )
}

interface Finding {
  title: string
  text: string
  department: string
  entries: string
  due: Dayjs
}

function OpenFinding({ done }: { done: () => void }) {
  const words = useWords()
  const told = words.audit.matters
  const { message } = App.useApp()
  const departments = useDepartments()
  const doing = useDoing()
  const [open, setOpen] = useState(false)
  const [form] = Form.useForm<Finding>()
  const send = async (given: Finding) => {
    const entries = given.entries.split(/[,，、\s]+/).filter(Boolean).map(Number)
    const body = { ...given, entries, due: given.due.format('YYYY-MM-DD') }
    if (!(await doing.run(() => ask(`${AUDIT}/findings`, { method: 'POST', body })))) return
    void message.success(told.opened_)
    form.resetFields()
    setOpen(false)
    done()
  }
  const need = [{ required: true, message: words.form.need }]
  return (
    <>
      <Button type="primary" size="large" onClick={() => setOpen(true)}>{told.open}</Button>
      <Modal open={open} title={told.openTitle} onCancel={() => setOpen(false)} onOk={() => form.submit()} confirmLoading={doing.busy}>
        {doing.problem && <ProblemView problem={doing.problem} />}
        <Form form={form} layout="vertical" onFinish={(given: Finding) => void send(given)}>
          <Form.Item name="title" label={told.title_} rules={need}><Input maxLength={200} /></Form.Item>
          <Form.Item name="department" label={told.department} rules={need}>
            <Select showSearch={{ optionFilterProp: 'label' }} options={departments.all.map((one) => ({ value: one.slug, label: departments.name(one.slug) }))} />
          </Form.Item>
          <Form.Item name="entries" label={told.entries} extra={told.entriesHint} rules={[{ required: true, pattern: /^\s*\d+([\s,，、]+\d+)*\s*$/, message: told.entriesHint }]}><Input /></Form.Item>
          <Form.Item name="due" label={told.due} rules={need}><DatePicker style={{ width: '100%' }} /></Form.Item>
          <Form.Item name="text" label={told.text} rules={need}><Input.TextArea autoSize={{ minRows: 3 }} maxLength={10_000} /></Form.Item>
        </Form>
      </Modal>
    </>
  )
}
