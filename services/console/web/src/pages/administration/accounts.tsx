/** The accounts of people: opened, given roles, unlocked, ended. First passwords are shown once. */
import { App, Button, Form, Input, Modal, Popconfirm, Select } from 'antd'
import { useState } from 'react'
import { ask } from '../../api/client'
import { useAll, useDoing } from '../../api/asking'
import { CONSOLE, type Account, type Role } from '../../api/types'
import { CopyButton } from '../../components/copy'
import { ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { Section } from '../../components/title'
import { useNow, When } from '../../components/when'
import { useWords } from '../../i18n'
import { useDepartments } from '../../session'
import { FormDialog } from './form'

interface Given {
  login: string
  name: string
  department?: string
  roles: Role[]
}

const ROLES: Role[] = ['administrator', 'provider', 'consumer', 'ops', 'auditor']

export function Accounts() {
  const words = useWords()
  const told = words.keeping.admin
  const { message } = App.useApp()
  const departments = useDepartments()
  const now = useNow()
  const asked = useAll<Account>(`${CONSOLE}/accounts?limit=200`)
  const doing = useDoing()
  const [shown, setShown] = useState<{ login: string; password: string } | null>(null)

  const reset = async (login: string) => {
    const made = await doing.run(() => ask<{ password: string }>(`${CONSOLE}/accounts/${login}/password`, { method: 'POST' }))
    if (made) setShown({ login, password: made.data.password })
    asked.reload()
  }
  const unlock = async (login: string) => {
    if (await doing.run(() => ask(`${CONSOLE}/accounts/${login}/unlock`, { method: 'POST' }))) void message.success(told.saved)
    asked.reload()
  }
  const change = async (login: string, body: Partial<Account>) => {
    // the list has no ETags: what is changed is read just before
    const read = await ask<Account>(`${CONSOLE}/accounts/${login}`)
    return ask<Account>(`${CONSOLE}/accounts/${login}`, { method: 'PATCH', body, etag: read.etag })
  }
  const turn = async (one: Account) => {
    await doing.run(() => change(one.login, { disabled: !one.disabled }))
    asked.reload()
  }
  const state = (one: Account) => {
    if (one.disabled) return told.disabled
    if (one.locked_until && Date.parse(one.locked_until) > now) return told.locked
    return one.must_change_password ? told.mustChange : told.active
  }
  const fields = (
    <>
      <Form.Item name="name" label={told.name} rules={[{ required: true, message: words.form.need }]}><Input autoComplete="off" /></Form.Item>
      <Form.Item name="roles" label={told.roles} rules={[{ required: true, message: words.form.need }]}>
        <Select mode="multiple" options={ROLES.map((value) => ({ value, label: words.field.roles[value] }))} />
      </Form.Item>
      <Form.Item name="department" label={told.department}>
        <Select allowClear placeholder={told.departmentNone} showSearch={{ optionFilterProp: 'label' }} options={departments.all.map((one) => ({ value: one.slug, label: departments.name(one.slug) }))} />
      </Form.Item>
    </>
  )
  return (
    <Section
      title={told.areas.accounts}
      aside={
        <FormDialog<Given>
          action={told.addAccount}
          title={told.addAccount}
          primary
          done={asked.reload}
          send={async (given) => {
            const { data } = await ask<Account & { password: string }>(`${CONSOLE}/accounts`, { method: 'POST', body: { ...given, department: given.department ?? null } })
            setShown({ login: data.login, password: data.password })
          }}
        >
          <Form.Item name="login" label={told.login} rules={[{ required: true, pattern: /^[a-z][a-z0-9._-]{1,39}$/, message: 'a-z 0-9 . _ -' }]}><Input autoComplete="off" placeholder="zhang.wei" /></Form.Item>
          {fields}
        </FormDialog>
      }
    >
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Shown of={asked}>
        {(all) => (
          <DataTable
            caption={told.areas.accounts}
            rows={all}
            rowKey={(one) => one.login}
            columns={[
              { key: 'name', title: told.name, value: (one) => one.name, render: (one) => <>{one.name}<span className="second mono">{one.login}</span></> },
              { key: 'department', title: told.department, value: (one) => departments.name(one.department) || told.departmentNone },
              { key: 'roles', title: told.roles, value: (one) => one.roles.map((role) => words.field.roles[role]).join('、') },
              { key: 'state', title: told.state, value: state, render: (one) => <Mark tone={one.disabled ? 'calm' : state(one) === told.locked ? 'bad' : one.must_change_password ? 'warn' : 'ok'}>{one.local ? state(one) : `${state(one)} · ${told.external}`}</Mark> },
              { key: 'last', title: told.last, value: (one) => one.last_signed_in_at, render: (one) => <When at={one.last_signed_in_at} never={told.never} /> },
              {
                key: 'do', title: words.edit, value: () => null,
                render: (one) => (
                  <span style={{ display: 'flex', gap: 4, flexWrap: 'wrap' }}>
                    <FormDialog<Given> action={words.edit} title={`${words.edit} · ${one.login}`} initial={one} done={asked.reload} send={(given) => change(one.login, { name: given.name, roles: given.roles, department: given.department ?? null })}>
                      {fields}
                    </FormDialog>
                    {one.local && <Popconfirm title={told.sureReset} onConfirm={() => reset(one.login)}><Button size="small">{told.resetPassword}</Button></Popconfirm>}
                    {state(one) === told.locked && <Button size="small" onClick={() => void unlock(one.login)}>{told.unlock}</Button>}
                    <Button size="small" type="text" onClick={() => void turn(one)}>{one.disabled ? told.enable : told.disable}</Button>
                  </span>
                ),
              },
            ]}
          />
        )}
      </Shown>
      <Modal open={shown !== null} title={told.oneTime} onCancel={() => setShown(null)} footer={<Button type="primary" onClick={() => setShown(null)}>{words.close}</Button>}>
        {shown && (
          <>
            <p><code>{shown.login}</code></p>
            <p style={{ fontSize: 18, margin: '8px 0' }}><code className="break">{shown.password}</code> <CopyButton text={shown.password} label={told.password} /></p>
            <p className="notice warn">{told.oneTimeNote}</p>
          </>
        )}
      </Modal>
    </Section>
  )
}
