/** A department's resources in every state: where providing begins. */
import { Button } from 'antd'
import { Link, useNavigate } from 'react-router'
import { withQuery } from '../../api/client'
import { useAll } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { CATALOG, type Resource } from '../../api/types'
import { Empty, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark, RESOURCE_TONES } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { DueBy, When } from '../../components/when'
import { named, useWords } from '../../i18n'
import { useDepartments, useMe } from '../../session'

export default function Providing() {
  const words = useWords()
  const told = words.providing.own
  const me = useMe()
  const navigate = useNavigate()
  const departments = useDepartments()
  const asked = useAll<Resource>(withQuery(`${CATALOG}/resources`, { department: me.department, limit: 500 }))
  useReloadOn('catalog', asked.reload)
  const title = (one: Resource) => (one.published ?? one.draft)?.title ?? one.code
  return (
    <>
      <PageHead
        title={told.title}
        lead={me.department ? told.lead : told.leadAll}
        actions={<Button type="primary" size="large" onClick={() => void navigate('/catalogue/new')}>{told.new}</Button>}
      />
      <Section title={told.title}>
        <Shown of={asked} lines={6}>
          {(all) => (
            <DataTable
              caption={told.title}
              rows={all}
              rowKey={(one) => one.code}
              empty={<Empty title={told.none}>{told.noneMore}</Empty>}
              sort={{ key: 'updated', down: true }}
              tone={(one) => (one.mount?.halted ? 'bad' : one.tasks.some((it) => it.overdue) ? 'warn' : undefined)}
              columns={[
                {
                  key: 'resource', title: told.resource, value: title,
                  render: (one) => (
                    <>
                      <Link to={`/catalogue/${one.code}`}>{title(one)}</Link>
                      <span className="second mono">{one.code}</span>
                    </>
                  ),
                },
                { key: 'department', title: told.department, value: (one) => departments.name(one.department), hidden: !!me.department },
                {
                  key: 'state', title: told.state, value: (one) => named(words.field.resourceStates, one.state),
                  render: (one) => <Mark tone={RESOURCE_TONES[one.state] ?? 'calm'}>{named(words.field.resourceStates, one.state)}</Mark>,
                },
                { key: 'version', title: told.version, value: (one) => one.contract_version },
                {
                  key: 'mount', title: told.mount, value: (one) => (one.mount ? named(words.field.mountKinds, one.mount.kind) : ''),
                  render: (one) =>
                    one.mount ? (
                      <Mark tone={one.mount.halted ? 'bad' : 'ok'}>{one.mount.halted ? told.halted : named(words.field.mountKinds, one.mount.kind)}</Mark>
                    ) : (
                      <span className="faint">{told.notMounted}</span>
                    ),
                },
                {
                  key: 'due', title: told.due, value: (one) => one.tasks[0]?.due_on ?? null,
                  render: (one) => (one.tasks[0] ? <DueBy on={one.tasks[0].due_on} overdue={one.tasks[0].overdue} provisional={one.tasks[0].provisional} /> : <span className="faint">–</span>),
                },
                { key: 'updated', title: told.updated, value: (one) => one.updated_at, render: (one) => <When at={one.updated_at} /> },
                {
                  key: 'do', title: '', value: () => null,
                  render: (one) => (
                    <span className="chips">
                      {one.actions.includes('submit') && <Link to={`/catalogue/${one.code}/edit`}>{told.edit}</Link>}
                      {one.published && !one.mount && one.published.sharing_type !== 'not_shared' && <Link to={`/catalogue/${one.code}/mount`}>{told.doMount}</Link>}
                    </span>
                  ),
                },
              ]}
            />
          )}
        </Shown>
      </Section>
    </>
  )
}
