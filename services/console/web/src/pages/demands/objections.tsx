/** Objections to delivered records: raised by who received them, answered by where they come from. */
import { Link } from 'react-router'
import { useAll } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { DEMAND, type Objection } from '../../api/types'
import { Empty, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark, OBJECTION_TONES } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { DueBy, When } from '../../components/when'
import { named, useWords } from '../../i18n'
import { useTitles } from '../catalogue/titles'
import { useDepartments } from '../../session'

export default function Objections() {
  const words = useWords()
  const told = words.objections
  const departments = useDepartments()
  const titles = useTitles()
  const asked = useAll<Objection>(`${DEMAND}/objections?limit=500`)
  useReloadOn('demand', asked.reload)
  return (
    <>
      <PageHead title={told.title} lead={told.lead} />
      <Section title={told.title}>
        <Shown of={asked}>
          {(all) =>
            all.length ? (
              <DataTable
                caption={told.title}
                rows={all}
                rowKey={(one) => one.id}
                sort={{ key: 'raised', down: true }}
                tone={(one) => (one.overdue ? 'bad' : undefined)}
                columns={[
                  { key: 'resource', title: told.resource, value: (one) => titles(one.resource), render: (one) => <Link to={`/objections/${one.id}`}>{titles(one.resource)}</Link> },
                  { key: 'from', title: told.from, value: (one) => departments.name(one.department) },
                  { key: 'to', title: told.to, value: (one) => departments.name(one.provider) },
                  { key: 'items', title: told.items, value: (one) => one.items.join('、') },
                  { key: 'state', title: told.state, value: (one) => named(words.field.objectionStates, one.state), render: (one) => <Mark tone={OBJECTION_TONES[one.state] ?? 'calm'}>{named(words.field.objectionStates, one.state)}</Mark> },
                  { key: 'due', title: told.due, value: (one) => (one.state === 'open' ? one.due_on : null), render: (one) => (one.state === 'open' ? <DueBy on={one.due_on} overdue={one.overdue} provisional={one.provisional} /> : <span className="faint">–</span>) },
                  { key: 'outcome', title: told.outcome, value: (one) => named(words.field.outcomes, one.outcome) },
                  { key: 'raised', title: told.raised, value: (one) => one.raised_at, render: (one) => <When at={one.raised_at} /> },
                ]}
              />
            ) : (
              <Empty title={told.none}>{told.noneMore}</Empty>
            )
          }
        </Shown>
      </Section>
    </>
  )
}
