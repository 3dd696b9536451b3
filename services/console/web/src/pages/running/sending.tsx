/** Where alerts are sent: addresses, each with what became of what was sent there. */
import { App, Button, Checkbox, Form, Input, Modal, Popconfirm, Segmented } from 'antd'
import { useState } from 'react'
import { ask } from '../../api/client'
import { useAll, useAsk, useDoing, useEvery } from '../../api/asking'
import { WATCH } from '../../api/types'
import type { Dispatch, Subscription } from '../../api/watch'
import { CopyButton } from '../../components/copy'
import { ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { Section } from '../../components/title'
import { When } from '../../components/when'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments, useRoles } from '../../session'
import { FormDialog } from '../administration/form'

const LOOK_SECONDS = 3

interface Given {
  kind: Subscription['kind']
  target: string
  daily?: boolean
}

export function Sending() {
  const words = useWords()
  const told = words.running.sending
  const { message } = App.useApp()
  const departments = useDepartments()
  const may = useRoles()
  const asked = useAsk<Subscription[]>(`${WATCH}/subscriptions`)
  const doing = useDoing()
  const [secret, setSecret] = useState<string | null>(null)
  const [shown, show] = useState<Subscription | null>(null)
  const runs = may('administrator', 'ops')
  const send = async (given: Given) => {
    const { data } = await ask<Subscription & { secret: string | null }>(`${WATCH}/subscriptions`, { method: 'POST', body: { ...given, daily: given.daily ?? false } })
    if (data.secret) setSecret(data.secret)
  }
  const change = async (path: string, method: 'POST' | 'DELETE', done: string) => {
    if (await doing.run(() => ask(`${WATCH}/subscriptions/${path}`, { method }))) void message.success(done)
    asked.reload()
  }
  return (
    <Section
      title={told.title}
      note={told.lead}
      aside={
        <FormDialog<Given> action={told.add} title={told.addTitle} primary initial={{ kind: 'email' }} done={asked.reload} send={send}>
          <Form.Item name="kind" label={told.kind}>
            <Segmented options={(['email', 'webhook'] as const).map((value) => ({ value, label: told.kinds[value] }))} />
          </Form.Item>
          <Form.Item name="target" label={told.target} extra={told.targetHint} rules={[{ required: true, whitespace: true, message: words.form.need }]}><Input maxLength={1_000} /></Form.Item>
          {runs && <Form.Item name="daily" valuePropName="checked"><Checkbox>{told.daily}</Checkbox></Form.Item>}
        </FormDialog>
      }
    >
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Shown of={asked}>
        {(all) => (
          <DataTable
            caption={told.title}
            rows={all}
            rowKey={(one) => one.id}
            empty={told.none}
            columns={[
              { key: 'target', title: told.target, value: (one) => one.target, render: (one) => <span className="break">{one.target}</span> },
              { key: 'kind', title: told.kind, value: (one) => told.kinds[one.kind] },
              { key: 'scope', title: told.scope, value: (one) => departments.name(one.department) || told.whole },
              { key: 'daily', title: told.daily, value: (one) => (one.daily ? words.yes : words.no) },
              { key: 'by', title: told.by, value: (one) => one.created_by },
              { key: 'since', title: told.since, value: (one) => one.created_at, render: (one) => <When at={one.created_at} /> },
              {
                key: 'do', title: words.edit, value: () => null,
                render: (one) => (
                  <span className="nowrap">
                    <Button size="small" type="text" onClick={() => show(one)}>{told.sent}</Button>
                    <Button size="small" type="text" onClick={() => void change(`${one.id}/trials`, 'POST', told.tried)}>{told.try}</Button>
                    <Popconfirm title={told.sureEnd} onConfirm={() => change(one.id, 'DELETE', words.state.saved)}><Button size="small" type="text" danger>{told.end}</Button></Popconfirm>
                  </span>
                ),
              },
            ]}
          />
        )}
      </Shown>
      <Modal open={secret !== null} title={told.secret} onCancel={() => setSecret(null)} footer={<Button type="primary" onClick={() => setSecret(null)}>{words.close}</Button>}>
        {secret && <p><code className="break">{secret}</code> <CopyButton text={secret} label={told.secret} /></p>}
        <p className="notice warn">{told.secretNote}</p>
      </Modal>
      {shown && (
        <Modal open title={`${told.sent} · ${shown.target}`} onCancel={() => show(null)} footer={null} width={720}>
          <Sent of={shown} />
        </Modal>
      )}
    </Section>
  )
}

function Sent({ of }: { of: Subscription }) {
  const words = useWords()
  const told = words.running.sending
  const language = useLanguage()
  const asked = useAll<Dispatch>(`${WATCH}/subscriptions/${of.id}/dispatches?limit=500`)
  useEvery(LOOK_SECONDS, asked.reload)
  return (
    <Shown of={asked}>
      {(all) => (
        <DataTable
          caption={told.sent}
          rows={all}
          rowKey={(one) => String(one.id)}
          sort={{ key: 'when', down: true }}
          empty={told.sentNone}
          columns={[
            { key: 'what', title: told.what, value: (one) => `${named(told.what_, one.kind)} ${one.alerts.join(', ')}` },
            { key: 'when', title: told.when, value: (one) => one.created_at, render: (one) => <When at={one.created_at} /> },
            {
              key: 'outcome', title: told.outcome, value: (one) => one.delivered_at ?? one.failure ?? '',
              render: (one) => {
                if (one.delivered_at) return <Mark tone="ok">{told.delivered}</Mark>
                const [tone, text] = one.next_at ? (['warn', told.waits(number(one.attempts, language))] as const) : (['bad', told.failed] as const)
                return <><Mark tone={tone}>{text}</Mark><span className="second">{one.failure}</span></>
              },
            },
          ]}
        />
      )}
    </Shown>
  )
}
