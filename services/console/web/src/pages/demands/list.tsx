/** The demands that somebody may see: those of the own department, and those it supplies. */
import { Button, Segmented } from 'antd'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { useAll } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { DEMAND, type DemandOut } from '../../api/types'
import { Empty, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { DEMAND_TONES, Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { DueBy, When } from '../../components/when'
import { named, useWords } from '../../i18n'
import { useTitles } from '../catalogue/titles'
import { useDepartments, useMe, useRoles } from '../../session'

const VIEWS = ['all', 'actionable', 'mine', 'supplying'] as const

/** Whether there is a step that moves the demand on, not only one that ends it. */
export function isActionable(demand: DemandOut): boolean {
  return demand.actions.some((one) => one !== 'withdraw' && one !== 'close' && one !== 'revoke' && one !== 'evaluate')
}

export default function Demands() {
  const words = useWords()
  const me = useMe()
  const may = useRoles()
  const navigate = useNavigate()
  const departments = useDepartments()
  const titles = useTitles()
  const [params, setParams] = useSearchParams()
  const view = VIEWS.find((one) => one === params.get('view')) ?? 'all'
  const asked = useAll<DemandOut>(`${DEMAND}/demands?limit=500`)
  useReloadOn('demand', asked.reload)
  const chosen = (all: DemandOut[]) => {
    if (view === 'actionable') return all.filter(isActionable)
    if (view === 'mine') return all.filter((one) => one.department === me.department)
    if (view === 'supplying') return all.filter((one) => one.supplier === me.department)
    return all
  }
  return (
    <>
      <PageHead
        title={words.list.title}
        lead={words.list.lead}
        actions={
          may('consumer') && (
            <Button type="primary" size="large" onClick={() => void navigate('/demands/new')}>{words.list.new}</Button>
          )
        }
      />
      <Section title={words.list.title}>
        <Shown of={asked} lines={8}>
          {(all) =>
            all.length ? (
              <DataTable
                caption={words.list.title}
                rows={chosen(all)}
                rowKey={(one) => one.id}
                sort={{ key: 'updated', down: true }}
                tone={(one) => (one.overdue ? 'bad' : undefined)}
                tools={
                  <Segmented
                    aria-label={words.list.state}
                    value={view}
                    onChange={(value) => setParams(value === 'all' ? {} : { view: value }, { replace: true })}
                    options={VIEWS.filter((one) => me.department !== null || one === 'all' || one === 'actionable').map((value) => ({ value, label: words.list[value] }))}
                  />
                }
                columns={[
                  {
                    key: 'title', title: words.list.demand, value: (one) => one.title,
                    render: (one) => (
                      <>
                        <Link to={`/demands/${one.id}`}>{one.title}</Link>
                        <span className="second mono">{one.id}</span>
                      </>
                    ),
                  },
                  { key: 'id', title: words.list.id, value: (one) => one.id, hidden: true },
                  { key: 'department', title: words.list.applicant, value: (one) => departments.name(one.department) },
                  { key: 'supplier', title: words.list.supplier, value: (one) => departments.name(one.supplier) || words.list.unknown },
                  {
                    key: 'resource', title: words.list.resource, value: (one) => titles(one.resource),
                    render: (one) => (one.resource ? <Link to={`/catalogue/${one.resource}`}>{titles(one.resource)}</Link> : <span className="faint">{named(words.field.kinds, one.kind)}</span>),
                  },
                  {
                    key: 'state', title: words.list.state, value: (one) => named(words.field.states, one.state),
                    render: (one) => <Mark tone={DEMAND_TONES[one.state] ?? 'calm'}>{named(words.field.states, one.state)}</Mark>,
                  },
                  {
                    key: 'due', title: words.list.due, value: (one) => one.due_on,
                    render: (one) => (one.clock ? <span title={named(words.field.clocks, one.clock)}><DueBy on={one.due_on} overdue={one.overdue} /></span> : <span className="faint">–</span>),
                  },
                  { key: 'updated', title: words.list.updated, value: (one) => one.updated_at, render: (one) => <When at={one.updated_at} /> },
                ]}
              />
            ) : (
              <Empty title={words.list.none} action={<Link to="/catalogue">{words.nav.catalogue}</Link>}>{words.list.noneMore}</Empty>
            )
          }
        </Shown>
      </Section>
    </>
  )
}
