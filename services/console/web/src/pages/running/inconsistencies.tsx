/** Rows that should agree and do not: one value twice, or two resources that say different things of one entity. */
import { Segmented } from 'antd'
import { useState } from 'react'
import { Link } from 'react-router'
import { withQuery } from '../../api/client'
import { useAll, useEvery } from '../../api/asking'
import { place, type Inconsistency } from '../../api/sync'
import { SYNC } from '../../api/types'
import { Empty, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { Section } from '../../components/title'
import { When } from '../../components/when'
import { useWords } from '../../i18n'
import { useDepartments } from '../../session'
import { useTitles } from '../catalogue/titles'

const LOOK_SECONDS = 10

export function Inconsistencies() {
  const told = useWords().running.inconsistencies
  const departments = useDepartments()
  const titles = useTitles()
  const [ended, setEnded] = useState(false)
  const asked = useAll<Inconsistency>(withQuery(`${SYNC}/inconsistencies`, { open: !ended, limit: 500 }))
  useEvery(LOOK_SECONDS, asked.reload)
  const side = (code: string, owner: string) =>
    code && <><Link to={`/catalogue/${code}?part=contract`}>{titles(code)}</Link><span className="second">{departments.name(owner)}</span></>
  return (
    <Section title={told.title}>
      <p className="faint" style={{ marginBottom: 10 }}>{told.lead}</p>
      <Shown of={asked} lines={3}>
        {(rows) => (
          <DataTable
            caption={told.title}
            rows={rows}
            rowKey={(one) => one.id}
            sort={{ key: 'since', down: true }}
            tone={(one) => (one.ended_at ? undefined : 'warn')}
            empty={<Empty title={told.none} />}
            tools={
              <Segmented
                aria-label={told.show}
                value={ended ? 'ended' : 'open'}
                onChange={(value) => setEnded(value === 'ended')}
                options={[{ value: 'open', label: told.open }, { value: 'ended', label: told.ended }]}
              />
            }
            columns={[
              { key: 'kind', title: told.kind, value: (one) => told.kinds[one.kind], render: (one) => <><Mark tone={one.ended_at ? 'calm' : 'warn'}>{told.kinds[one.kind]}</Mark><span className="second"><code>{one.rule}</code></span></> },
              { key: 'resource', title: told.resource, value: (one) => titles(one.resource), render: (one) => side(one.resource, one.owner) },
              { key: 'other', title: told.other, value: (one) => (one.other ? titles(one.other) : null), render: (one) => side(one.other, one.other_owner) || <span className="faint">–</span> },
              {
                key: 'places', title: told.places, value: (one) => one.places.map(place).join(' '),
                render: (one) => <span className="chips">{one.places.map((it) => <code key={place(it)} className="chip break" title={titles(it.resource)}>{place(it)}</code>)}</span>,
              },
              { key: 'since', title: told.since, value: (one) => one.since, render: (one) => <When at={one.since} /> },
              { key: 'ended', title: told.over, value: (one) => one.ended_at, render: (one) => (one.ended_at ? <When at={one.ended_at} /> : <span className="faint">–</span>) },
            ]}
          />
        )}
      </Shown>
    </Section>
  )
}
