/** Departments with who answers for them, and their information systems. */
import { DatePicker, Form, Input, InputNumber, Select } from 'antd'
import type { Dayjs } from 'dayjs'
import { ask } from '../../api/client'
import { useAll, useAsk } from '../../api/asking'
import { CATALOG, type Department, type InformationSystem } from '../../api/types'
import { Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Section } from '../../components/title'
import { Day } from '../../components/when'
import { useWords } from '../../i18n'
import { useDepartments, useRoles } from '../../session'
import { FormDialog } from './form'

interface Appointment {
  id: string
  role: string
  name: string
  post: string | null
  phone: string | null
  since: string
  until: string | null
}

export function Departments() {
  const words = useWords()
  const told = words.keeping.admin
  const may = useRoles()
  const asked = useAll<Department>(`${CATALOG}/departments?limit=500`)
  const need = [{ required: true, message: words.form.need }]
  return (
    <Section
      title={told.areas.departments}
      aside={
        may('administrator') && (
          <FormDialog<Department> action={told.addDepartment} title={told.addDepartment} primary done={asked.reload} send={(given) => ask(`${CATALOG}/departments`, { method: 'POST', body: { ...given, division: given.division || null } })}>
            <Form.Item name="slug" label={told.slug} rules={[{ required: true, pattern: /^[a-z][a-z0-9_]{0,39}$/, message: 'a-z 0-9 _' }]}><Input /></Form.Item>
            <Form.Item name="uscc" label={told.uscc} rules={need}><Input maxLength={18} /></Form.Item>
            <Form.Item name="name" label={told.name} rules={need}><Input /></Form.Item>
            <Form.Item name="name_en" label={told.nameEn} rules={need}><Input /></Form.Item>
            <Form.Item name="division" label={told.division} rules={[{ pattern: /^\d{6}$/, message: '320612' }]}><Input maxLength={6} /></Form.Item>
          </FormDialog>
        )
      }
    >
      <Shown of={asked} lines={6}>
        {(all) => (
          <DataTable
            caption={told.areas.departments}
            rows={all}
            rowKey={(one) => one.slug}
            columns={[
              { key: 'name', title: told.name, value: (one) => one.name, render: (one) => <>{one.name}<span className="second">{one.name_en}</span></> },
              { key: 'slug', title: told.slug, value: (one) => one.slug, render: (one) => <code>{one.slug}</code> },
              { key: 'uscc', title: told.uscc, value: (one) => one.uscc, render: (one) => <code>{one.uscc}</code> },
              { key: 'division', title: told.division, value: (one) => one.division },
              { key: 'people', title: told.people, value: () => null, render: (one) => <People slug={one.slug} /> },
            ]}
          />
        )}
      </Shown>
    </Section>
  )
}

interface Appointed {
  role: 'responsible' | 'handler'
  name: string
  post?: string
  phone?: string
  since?: Dayjs
}

function People({ slug }: { slug: string }) {
  const words = useWords()
  const told = words.keeping.admin
  const may = useRoles()
  const asked = useAsk<Appointment[]>(`${CATALOG}/departments/${slug}/appointments`)
  const now = (asked.data ?? []).filter((one) => one.until === null)
  const role = (name: string) => (name === 'responsible' ? told.responsible : told.handler)
  const send = ({ since, ...given }: Appointed) =>
    ask(`${CATALOG}/departments/${slug}/appointments`, {
      method: 'POST',
      body: { role: given.role, name: given.name, post: given.post || null, phone: given.phone || null, since: since?.format('YYYY-MM-DD') ?? null },
    })
  return (
    <>
      {now.map((one) => <span key={one.id} className="second">{role(one.role)} {one.name} · {told.since} <Day on={one.since} /></span>)}
      {may('administrator') && (
        <FormDialog<Appointed> action={told.appoint} title={told.appoint} initial={{ role: 'responsible' }} send={send} done={asked.reload}>
          <Form.Item name="role" label={told.role}><Select options={(['responsible', 'handler'] as const).map((value) => ({ value, label: role(value) }))} /></Form.Item>
          <Form.Item name="name" label={told.name} rules={[{ required: true, message: words.form.need }]}><Input /></Form.Item>
          <Form.Item name="post" label={told.post}><Input /></Form.Item>
          <Form.Item name="phone" label={told.phone}><Input /></Form.Item>
          <Form.Item name="since" label={told.since}><DatePicker style={{ width: '100%' }} /></Form.Item>
        </FormDialog>
      )}
    </>
  )
}

export function Systems() {
  const words = useWords()
  const told = words.keeping.admin
  const may = useRoles()
  const departments = useDepartments()
  const asked = useAll<InformationSystem>(`${CATALOG}/systems?limit=500`)
  const need = [{ required: true, message: words.form.need }]
  return (
    <Section
      title={told.areas.systems}
      aside={
        may('administrator', 'provider') && (
          <FormDialog<Record<string, unknown>> action={told.addSystem} title={told.addSystem} primary initial={{ port: 5432 }} done={asked.reload} send={(given) => ask(`${CATALOG}/systems`, { method: 'POST', body: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== '')) })}>
            <Form.Item name="code" label={told.code} rules={[{ required: true, pattern: /^[a-z][a-z0-9_]{0,39}$/, message: 'a-z 0-9 _' }]}><Input /></Form.Item>
            <Form.Item name="department" label={told.department} rules={need}>
              <Select showSearch={{ optionFilterProp: 'label' }} options={departments.all.map((one) => ({ value: one.slug, label: departments.name(one.slug) }))} />
            </Form.Item>
            <Form.Item name="name" label={told.name} rules={need}><Input /></Form.Item>
            <Form.Item name="host" label={told.host}><Input /></Form.Item>
            <Form.Item name="port" label={told.port}><InputNumber min={1} max={65535} style={{ width: '100%' }} /></Form.Item>
            <Form.Item name="database" label={told.database}><Input /></Form.Item>
            <Form.Item name="username" label={told.username}><Input autoComplete="off" /></Form.Item>
            <Form.Item name="password" label={told.password}><Input.Password autoComplete="new-password" /></Form.Item>
          </FormDialog>
        )
      }
    >
      <Shown of={asked} lines={6}>
        {(all) => (
          <DataTable
            caption={told.areas.systems}
            rows={all}
            rowKey={(one) => one.code}
            columns={[
              { key: 'name', title: told.name, value: (one) => one.name, render: (one) => <>{one.name}{one.description && <span className="second">{one.description}</span>}</> },
              { key: 'code', title: told.code, value: (one) => one.code, render: (one) => <code>{one.code}</code> },
              { key: 'department', title: told.department, value: (one) => departments.name(one.department) },
              { key: 'address', title: told.address, value: (one) => (one.host ? `${one.host}:${one.port ?? ''}` : null), render: (one) => (one.host ? <code>{`${one.host}:${one.port ?? ''}`}</code> : <span className="faint">–</span>) },
              { key: 'database', title: told.database, value: (one) => one.database },
              { key: 'protection', title: told.protection, number: true, value: (one) => one.protection_level },
            ]}
          />
        )}
      </Shown>
    </Section>
  )
}
