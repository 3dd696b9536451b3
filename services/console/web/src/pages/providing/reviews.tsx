/** What waits to be reviewed, by its clock. */
import { Link } from 'react-router'
import { useAll } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { CATALOG, type CatalogueTask, type Resource } from '../../api/types'
import { Empty, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { PageHead, Section } from '../../components/title'
import { Day, DueBy } from '../../components/when'
import { useWords } from '../../i18n'
import { useDepartments, useMe } from '../../session'

export function clockOf(resource: Resource): CatalogueTask | undefined {
  return resource.tasks.find((one) => one.clock === 'review')
}

export default function Reviews() {
  const words = useWords()
  const told = words.providing.reviews
  const me = useMe()
  const departments = useDepartments()
  const asked = useAll<Resource>(`${CATALOG}/resources?state=in_review&limit=500`)
  useReloadOn('catalog', asked.reload)
  return (
    <>
      <PageHead title={told.title} lead={told.lead} />
      <Section title={told.title}>
        <Shown of={asked} lines={5}>
          {(all) => (
            <DataTable
              caption={told.title}
              rows={all}
              rowKey={(one) => one.code}
              sort={{ key: 'due' }}
              empty={<Empty title={told.none}>{told.noneMore}</Empty>}
              tone={(one) => (clockOf(one)?.overdue ? 'bad' : undefined)}
              columns={[
                {
                  key: 'due', title: told.due, value: (one) => clockOf(one)?.due_on,
                  render: (one) => <DueBy on={clockOf(one)?.due_on} overdue={clockOf(one)?.overdue === true} provisional={clockOf(one)?.provisional === true} />,
                },
                {
                  key: 'resource', title: told.resource, value: (one) => one.draft?.title ?? one.code,
                  render: (one) => (
                    <>
                      <Link to={`/reviews/${one.code}`}>{one.draft?.title ?? one.code}</Link>
                      <span className="second mono">{one.catalogue_code}</span>
                    </>
                  ),
                },
                { key: 'department', title: told.department, value: (one) => departments.name(one.department) },
                { key: 'kind', title: told.kind, value: (one) => (one.version > 0 ? told.revision : told.first) },
                {
                  key: 'by', title: told.by, value: (one) => one.submitted_by,
                  render: (one) => <>{one.submitted_by}{one.submitted_by === me.login && <span className="second">{told.own}</span>}</>,
                },
                { key: 'since', title: told.since, value: (one) => clockOf(one)?.started_on, render: (one) => <Day on={clockOf(one)?.started_on} /> },
              ]}
            />
          )}
        </Shown>
      </Section>
    </>
  )
}
