/** The supply-demand matching list: published to all who are signed in, and to be taken along as a workbook. */
import { Button, Checkbox, Select } from 'antd'
import { Link, useSearchParams } from 'react-router'
import { withQuery } from '../../api/client'
import { useAll } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { DEMAND, type MatchingLine } from '../../api/types'
import { Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { DEMAND_TONES, Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { Day, DueBy } from '../../components/when'
import { named, useWords } from '../../i18n'
import { useTitles } from '../catalogue/titles'
import { useDepartments, useMe } from '../../session'

export default function Matching() {
  const words = useWords()
  const me = useMe()
  const departments = useDepartments()
  const titles = useTitles()
  const [params, setParams] = useSearchParams()
  const query = { department: params.get('department'), state: params.get('state'), overdue: params.get('overdue') }
  const asked = useAll<MatchingLine>(withQuery(`${DEMAND}/matching`, { ...query, limit: 500 }))
  useReloadOn('demand', asked.reload)
  const set = (name: string, value: string | undefined) => {
    const next = new URLSearchParams(params)
    if (value) next.set(name, value)
    else next.delete(name)
    setParams(next, { replace: true })
  }
  return (
    <>
      <PageHead
        title={words.nav.matching}
        lead={words.matching.lead}
        actions={
          <Button size="large" href={withQuery(`${DEMAND}/matching/workbook`, query)} download>
            {words.matching.workbook}
          </Button>
        }
      />
      <Section title={words.nav.matching}>
        <Shown of={asked} lines={8}>
          {(lines) => (
            <DataTable
              caption={words.nav.matching}
              rows={lines}
              rowKey={(one) => one.id}
              sort={{ key: 'due' }}
              empty={words.matching.none}
              tone={(one) => (one.overdue ? 'bad' : undefined)}
              height={680}
              tools={
                <>
                  <Select
                    size="small"
                    allowClear
                    showSearch={{ optionFilterProp: 'label' }}
                    style={{ minWidth: 150 }}
                    placeholder={words.field.nodes.department}
                    aria-label={words.field.nodes.department}
                    value={query.department}
                    onChange={(value?: string) => set('department', value)}
                    options={departments.all.map((one) => ({ value: one.slug, label: departments.name(one.slug) }))}
                  />
                  <Select
                    size="small"
                    allowClear
                    style={{ minWidth: 110 }}
                    placeholder={words.list.state}
                    aria-label={words.list.state}
                    value={query.state}
                    onChange={(value?: string) => set('state', value)}
                    options={Object.entries(words.field.states).filter(([value]) => value !== 'draft').map(([value, label]) => ({ value, label }))}
                  />
                  <Checkbox checked={query.overdue === 'true'} onChange={(event) => set('overdue', event.target.checked ? 'true' : undefined)}>
                    {words.matching.overdue}
                  </Checkbox>
                </>
              }
              columns={[
                {
                  key: 'title', title: words.list.demand, value: (one) => one.title,
                  // everybody sees the line, the demand itself only those who have a part in it
                  render: (one) => (me.department === null || [one.department, one.supplier].includes(me.department) ? <Link to={`/demands/${one.id}`}>{one.title}</Link> : one.title),
                },
                { key: 'department', title: words.list.applicant, value: (one) => departments.name(one.department) },
                { key: 'supplier', title: words.list.supplier, value: (one) => departments.name(one.supplier) || words.list.unknown },
                { key: 'resource', title: words.list.resource, value: (one) => titles(one.resource), render: (one) => (one.resource ? <Link to={`/catalogue/${one.resource}`}>{titles(one.resource)}</Link> : <span className="faint">{named(words.field.kinds, one.kind)}</span>) },
                { key: 'path', title: words.matching.path, value: (one) => named(words.field.paths, one.path) },
                { key: 'state', title: words.list.state, value: (one) => named(words.field.states, one.state), render: (one) => <Mark tone={DEMAND_TONES[one.state] ?? 'calm'}>{named(words.field.states, one.state)}</Mark> },
                { key: 'clock', title: words.matching.clock, value: (one) => named(words.field.clocks, one.clock) },
                { key: 'due', title: words.list.due, value: (one) => one.due_on, render: (one) => (one.clock ? <DueBy on={one.due_on} overdue={one.overdue} /> : <span className="faint">–</span>) },
                { key: 'submitted', title: words.matching.submitted, value: (one) => one.submitted_at, render: (one) => <Day on={one.submitted_at} /> },
              ]}
            />
          )}
        </Shown>
      </Section>
    </>
  )
}
