/** Items made from the columns of a table, for whoever catalogues what a system holds already. */
import { Button, Modal, Select } from 'antd'
import { useState } from 'react'
import { ask } from '../../api/client'
import { useAll, useDoing } from '../../api/asking'
import { CATALOG, type InformationSystem, type Preview, type SourceTable } from '../../api/types'
import { ProblemView } from '../../components/states'
import { useWords } from '../../i18n'
import { itemsOf, type Row } from './draft'
import { Tables } from './tables'

interface Props {
  code: string
  department: string
  rows: Row[]
  onTake: (rows: Row[]) => void
}

export function ItemsOfTable({ code, department, rows, onTake }: Props) {
  const words = useWords()
  const told = words.providing
  const [open, setOpen] = useState(false)
  const [chosen, choose] = useState<string | null>(null)
  const doing = useDoing()
  const systems = useAll<InformationSystem>(open ? `${CATALOG}/systems?limit=500` : null)
  const own = (systems.data ?? []).filter((one) => one.department === department && one.database)
  const system = chosen ?? (own.length === 1 ? own[0]!.code : null)
  const take = async (table: SourceTable) => {
    const found = await doing.run(() =>
      ask<Preview>(`${CATALOG}/resources/${code}/mount/preview`, { method: 'POST', body: { system, schema: table.schema, table: table.table } }),
    )
    if (!found) return
    onTake([...rows.filter((one) => one.name || one.title), ...itemsOf(found.data.columns, rows)])
    setOpen(false)
  }
  return (
    <>
      <Button size="small" onClick={() => setOpen(true)}>{told.table.fromTable}</Button>
      <Modal open={open} width={860} title={told.table.fromTable} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        {doing.problem && <ProblemView problem={doing.problem} />}
        <label className="pair" style={{ marginBottom: 12 }}>
          <span>{told.mount.system}</span>
          <Select style={{ width: 340 }} aria-label={told.mount.system} value={system} onChange={choose} loading={systems.loading} showSearch={{ optionFilterProp: 'label' }} options={own.map((one) => ({ value: one.code, label: `${one.name} (${one.code})` }))} />
        </label>
        {systems.data && !own.length && <p className="faint">{told.mount.noSystem}</p>}
        {system && <Tables key={system} system={system} chosen={null} onPick={(table) => void take(table)} />}
      </Modal>
    </>
  )
}
