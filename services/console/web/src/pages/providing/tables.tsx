/** The tables of a system, to choose one from. */
import { Button } from 'antd'
import { useAsk } from '../../api/asking'
import { CATALOG, type SourceTable, type SourceTables } from '../../api/types'
import { Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { Section } from '../../components/title'
import { useWords } from '../../i18n'

export function Tables({ system, chosen, onPick }: { system: string; chosen: SourceTable | null; onPick: (table: SourceTable) => void }) {
  const words = useWords()
  const told = words.providing.mount
  const asked = useAsk<SourceTables>(`${CATALOG}/systems/${system}/tables`)
  return (
    <Section title={told.table} note={asked.data?.truncated ? told.truncated : undefined}>
      <Shown of={asked}>
        {({ tables }) => (
          <DataTable
            caption={told.tables}
            rows={tables}
            rowKey={(one) => `${one.schema}.${one.table}`}
            empty={told.noTables}
            height={320}
            columns={[
              {
                key: 'name', title: told.name, value: (one) => `${one.schema}.${one.table}`,
                render: (one) => <><code>{`${one.schema}.${one.table}`}</code>{one.comment && <span className="second">{one.comment}</span>}</>,
              },
              { key: 'kind', title: told.kind, value: (one) => told.kindsOfTable[one.kind] },
              { key: 'rows', title: told.rows, number: true, value: (one) => one.rows },
              { key: 'key', title: told.tableKey, value: (one) => one.key.join(', ') },
              {
                key: 'replica', title: told.replica, value: (one) => (one.replica_identity === 'full' ? told.yes : told.no),
                render: (one) => <Mark tone={one.replica_identity === 'full' ? 'ok' : 'warn'}>{one.replica_identity === 'full' ? told.yes : told.no}</Mark>,
              },
              {
                key: 'readable', title: told.readable, value: (one) => (one.readable ? told.yes : told.no),
                render: (one) => <Mark tone={one.readable ? 'ok' : 'bad'}>{one.readable ? told.yes : told.unreadable}</Mark>,
              },
              {
                key: 'pick', title: '', value: () => null,
                render: (one) => {
                  const here = chosen?.schema === one.schema && chosen.table === one.table
                  return <Button size="small" type={here ? 'primary' : 'default'} aria-label={`${here ? told.picked : told.pick} ${one.schema}.${one.table}`} onClick={() => onPick(one)}>{here ? told.picked : told.pick}</Button>
                },
              },
            ]}
          />
        )}
      </Shown>
    </Section>
  )
}
