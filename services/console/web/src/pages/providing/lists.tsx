/** The lists that say why a department holds data, imported as files: a template out, a file in, its faults marked. */
import { Button, Segmented, Select } from 'antd'
import { useState } from 'react'
import { ask, withQuery } from '../../api/client'
import { useAll, useDoing } from '../../api/asking'
import { CATALOG, type DataItem, type ImportDone, type Power, type ServiceItem } from '../../api/types'
import { ProblemView, Shown } from '../../components/states'
import { DataTable, type Column } from '../../components/table'
import { PageHead, Section } from '../../components/title'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments, useMe } from '../../session'
import { FilePicker } from './file'

const KINDS = ['powers', 'service-items', 'data-items'] as const
type Kind = (typeof KINDS)[number]
type Line = Partial<Power & ServiceItem & DataItem> & { code: string; name: string }

export default function Lists() {
  const words = useWords()
  const told = words.providing.lists
  const me = useMe()
  const departments = useDepartments()
  const [kind, setKind] = useState<Kind>('powers')
  const [chosen, choose] = useState<string | null>(null)
  const department = me.department ?? chosen ?? departments.all[0]?.slug ?? null
  const lines = useAll<Line>(department ? withQuery(`${CATALOG}/lists/${kind}`, { department, limit: 500 }) : null)
  const columns: Column<Line>[] = [
    { key: 'code', title: told.code, value: (one) => one.code, render: (one) => <code>{one.code}</code> },
    { key: 'name', title: told.name, value: (one) => one.name },
    ...(kind === 'powers'
      ? [
          { key: 'kind', title: told.kind, value: (one: Line) => one.kind },
          { key: 'basis', title: told.basis, value: (one: Line) => one.legal_basis },
        ]
      : kind === 'service-items'
        ? [{ key: 'power', title: told.power, value: (one: Line) => one.power }]
        : [
            { key: 'service_item', title: told.service_item, value: (one: Line) => one.service_item },
            { key: 'use', title: told.use, value: (one: Line) => named(told.uses, one.use) },
            { key: 'exception', title: told.exception, value: (one: Line) => one.exception },
          ]),
  ]
  return (
    <>
      <PageHead title={told.title} lead={told.lead} />
      <div className="pair" style={{ marginBottom: 16 }}>
        <Segmented aria-label={told.title} value={kind} onChange={setKind} options={KINDS.map((value) => ({ value, label: told.kinds[value] }))} />
        {!me.department && (
          <Select style={{ width: 260 }} aria-label={told.department} value={department} onChange={choose} showSearch={{ optionFilterProp: 'label' }} options={departments.all.map((one) => ({ value: one.slug, label: departments.name(one.slug) }))} />
        )}
      </div>
      {department && <Import key={`${department} ${kind}`} kind={kind} department={department} done={lines.reload} />}
      <Section title={told.now}>
        <Shown of={lines}>{(all) => <DataTable key={kind} caption={told.kinds[kind]} rows={all} rowKey={(one) => one.code} columns={columns} empty={told.none} />}</Shown>
      </Section>
    </>
  )
}

function Import({ kind, department, done }: { kind: Kind; department: string; done: () => void }) {
  const words = useWords()
  const language = useLanguage()
  const told = words.providing.lists
  const doing = useDoing()
  const [file, setFile] = useState<File | null>(null)
  const [imported, setImported] = useState<ImportDone | null>(null)
  const send = async () => {
    if (!file) return
    setImported(null)
    const sent = await doing.run(() => ask<ImportDone>(`${CATALOG}/departments/${department}/lists/${kind}/imports`, { method: 'POST', file }))
    if (!sent) return
    setImported(sent.data)
    setFile(null)
    done()
  }
  const template = `${CATALOG}/lists/${kind}/template`
  const faults = doing.problem?.errors ?? []
  return (
    <Section
      title={told.upload}
      aside={
        <>
          {told.template} <a href={`${template}?format=xlsx`} download>{told.excel}</a> · <a href={`${template}?format=csv`} download>{told.csv}</a>
        </>
      }
    >
      <div className="pair">
        <FilePicker
          label={told.choose}
          file={file}
          onChange={(next) => {
            setFile(next)
            doing.clear()
          }}
        />
        <Button type="primary" disabled={!file} loading={doing.busy} onClick={() => void send()}>{told.upload}</Button>
      </div>
      {imported && <p className="notice ok" role="status">{told.done(number(imported.rows, language), number(imported.added, language), number(imported.changed, language))}</p>}
      {doing.problem && (
        <div style={{ marginTop: 12 }}>
          <ProblemView problem={{ ...doing.problem, errors: [] }} />
          {doing.problem.marked_copy && <p><a href={doing.problem.marked_copy} download>{told.marked}</a></p>}
          {faults.length > 0 && (
            <DataTable
              caption={told.faults}
              rows={faults}
              rowKey={(one) => one.pointer + one.detail}
              columns={[
                { key: 'row', title: told.row, number: true, value: (one) => Number(one.pointer.split('/')[1]) },
                { key: 'column', title: told.column, value: (one) => one.pointer.split('/')[2] ?? '' },
                { key: 'detail', title: told.detail, value: (one) => one.detail },
              ]}
            />
          )}
        </div>
      )}
    </Section>
  )
}
