/** Tokens of programs: made for a department and roles, shown once, ended at once everywhere. */
import { App, Button, DatePicker, Form, Input, Modal, Popconfirm, Select } from 'antd'
import type { Dayjs } from 'dayjs'
import { useState } from 'react'
import { ask } from '../../api/client'
import { useAll, useDoing } from '../../api/asking'
import { CATALOG, type Role, type Token } from '../../api/types'
import { CopyButton } from '../../components/copy'
import { ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { Section } from '../../components/title'
import { Day, When } from '../../components/when'
import { useWords } from '../../i18n'
import { useDepartments, useRoles } from '../../session'
import { FormDialog } from './form'

interface Given {
  name: string
  department?: string
  roles: Role[]
  expires_at?: Dayjs | null
}

const ROLES: Role[] = ['administrator', 'provider', 'consumer', 'ops', 'auditor']

export function Tokens() {
  const words = useWords()
  const told = words.keeping.admin
  const may = useRoles()
  const { message } = App.useApp()
  const departments = useDepartments()
  const asked = useAll<Token>(`${CATALOG}/tokens?limit=500`)
  const doing = useDoing()
  const [made, setMade] = useState<string | null>(null)
  const revoke = async (id: string) => {
    if (await doing.run(() => ask(`${CATALOG}/tokens/${id}`, { method: 'DELETE' }))) void message.success(told.saved)
    asked.reload()
  }
  const send = async ({ expires_at, department, ...given }: Given) => {
    const body = { ...given, department: department ?? null, expires_at: expires_at?.endOf('day').toISOString() ?? null }
    const { data } = await ask<Token & { token: string }>(`${CATALOG}/tokens`, { method: 'POST', body })
    setMade(data.token)
  }
  const spent = (one: Token) => one.revoked_at !== null || (one.expires_at !== null && Date.parse(one.expires_at) < Date.now())
  return (
    <Section
      title={told.areas.tokens}
      note={told.tokenNote}
      aside={
        may('administrator') && (
          <FormDialog<Given> action={told.addToken} title={told.addToken} primary done={asked.reload} send={send}>
            <Form.Item name="name" label={told.name} rules={[{ required: true, message: words.form.need }]}><Input /></Form.Item>
            <Form.Item name="roles" label={told.roles} rules={[{ required: true, message: words.form.need }]}>
              <Select mode="multiple" options={ROLES.map((value) => ({ value, label: words.field.roles[value] }))} />
            </Form.Item>
            <Form.Item name="department" label={told.department}>
              <Select allowClear showSearch={{ optionFilterProp: 'label' }} options={departments.all.map((one) => ({ value: one.slug, label: departments.name(one.slug) }))} />
            </Form.Item>
            <Form.Item name="expires_at" label={told.expires}><DatePicker style={{ width: '100%' }} /></Form.Item>
          </FormDialog>
        )
      }
    >
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Shown of={asked}>
        {(all) => (
          <DataTable
            caption={told.areas.tokens}
            rows={all}
            rowKey={(one) => one.id}
            sort={{ key: 'created', down: true }}
            columns={[
              { key: 'name', title: told.name, value: (one) => one.name, render: (one) => <>{one.name}<span className="second mono">{one.id}</span></> },
              { key: 'department', title: told.department, value: (one) => departments.name(one.department) || told.departmentNone },
              { key: 'roles', title: told.roles, value: (one) => one.roles.map((role) => words.field.roles[role]).join('、') },
              { key: 'expires', title: told.expires, value: (one) => one.expires_at, render: (one) => (one.expires_at ? <Day on={one.expires_at} /> : told.forEver) },
              { key: 'state', title: told.state, value: (one) => (spent(one) ? told.revoked : told.active), render: (one) => <Mark tone={spent(one) ? 'calm' : 'ok'}>{spent(one) ? told.revoked : told.active}</Mark> },
              { key: 'by', title: told.createdBy, value: (one) => one.created_by },
              { key: 'created', title: told.created, value: (one) => one.created_at, render: (one) => <When at={one.created_at} /> },
              {
                key: 'do', title: words.edit, value: () => null,
                render: (one) => !spent(one) && may('administrator') && <Popconfirm title={told.sureRevoke} onConfirm={() => revoke(one.id)}><Button size="small" danger type="text">{told.revoke}</Button></Popconfirm>,
              },
            ]}
          />
        )}
      </Shown>
      <Modal open={made !== null} title={told.token} onCancel={() => setMade(null)} footer={<Button type="primary" onClick={() => setMade(null)}>{words.close}</Button>}>
        {made && <p><code className="break">{made}</code> <CopyButton text={made} label={told.token} /></p>}
        <p className="notice warn">{told.tokenNote}</p>
      </Modal>
    </Section>
  )
}
