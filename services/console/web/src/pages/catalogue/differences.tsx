/** What differs between two versions of a resource, or between a version and the draft. */
import { useAsk } from '../../api/asking'
import { withQuery } from '../../api/client'
import { CATALOG, type Difference } from '../../api/types'
import { Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { useWords } from '../../i18n'

/** `after` is the draft where it is null, for those who may see that. */
export function Differences({ code, before, after }: { code: string; before: number; after: number | null }) {
  const words = useWords()
  const told = words.catalogue.history
  const asked = useAsk<Difference[]>(withQuery(`${CATALOG}/resources/${code}/differences`, { before, after }))
  const text = (value: unknown) => (typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value))
  return (
    <Shown of={asked}>
      {(differences) => (
        <DataTable
          caption={after === null ? words.providing.check.changes : told.between(String(before), String(after))}
          rows={differences}
          rowKey={(one) => one.pointer}
          empty={told.same}
          columns={[
            { key: 'words', title: told.compare, value: (one) => one.words },
            {
              key: 'kind', title: '', value: (one) => told[one.kind],
              render: (one) => <Mark tone={one.kind === 'added' ? 'ok' : one.kind === 'removed' ? 'bad' : 'accent'}>{told[one.kind]}</Mark>,
            },
            { key: 'before', title: told.before, value: (one) => text(one.before) },
            { key: 'after', title: told.after, value: (one) => text(one.after) },
          ]}
        />
      )}
    </Shown>
  )
}
