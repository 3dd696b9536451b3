/** The grants that somebody may see, and how each is delivered just now. */
import { Segmented } from 'antd'
import { useMemo, useState } from 'react'
import { Link } from 'react-router'
import { withQuery } from '../../api/client'
import { useAll } from '../../api/asking'
import { useLive, useReloadOn } from '../../api/live'
import { DEMAND, type Grant, type GrantUse, type UsageWindow } from '../../api/types'
import { Spark } from '../../components/spark'
import { Empty, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { GRANT_TONES, Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { Day, useNow, When } from '../../components/when'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments, useMe } from '../../session'
import { useTitles } from '../catalogue/titles'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

export default function MyData() {
  const words = useWords()
  const told = words.data
  const language = useLanguage()
  const me = useMe()
  const departments = useDepartments()
  const titles = useTitles()
  const [view, setView] = useState<'received' | 'provided' | 'all'>(me.department ? 'received' : 'all')
  const grants = useAll<Grant>(`${DEMAND}/grants?limit=500`)
  const uses = useAll<GrantUse>(`${DEMAND}/usage/grants?limit=500`)
  // the span is kept for as long as the page is open, so that it is asked once
  const since = useMemo(() => new Date(Date.now() - HOUR_MS).toISOString(), [])
  const recent = useAll<UsageWindow>(withQuery(`${DEMAND}/usage`, { granularity: 'minute', since, limit: 500 }))
  const [fresh, setFresh] = useState<Map<string, string>>(new Map())
  const now = useNow()
  useReloadOn('demand', grants.reload)
  useLive('deliveries', (one) => setFresh((before) => new Map([...before, ...one.grants.map((grant) => [grant.grant, one.at] as const)])))

  const byGrant = useMemo(() => new Map((uses.data ?? []).map((one) => [one.grant, one])), [uses.data])
  const curves = useMemo(() => {
    const made = new Map<string, number[]>()
    for (const one of recent.data ?? []) {
      const points = made.get(one.grant) ?? Array.from({ length: 60 }, () => 0)
      const at = Math.floor((Date.parse(one.start) - Date.parse(since)) / MINUTE_MS)
      if (at >= 0 && at < 60) points[at] = (points[at] ?? 0) + one.records
      made.set(one.grant, points)
    }
    return made
  }, [recent.data, since])
  const last = (one: Grant) => fresh.get(one.id) ?? byGrant.get(one.id)?.last_delivered_at ?? null
  const shown = (all: Grant[]) =>
    view === 'all' ? all : all.filter((one) => (view === 'received') === (one.department === me.department))

  return (
    <>
      <PageHead title={told.title} lead={told.lead} />
      <Section title={told.title}>
        <Shown of={grants} lines={6}>
          {(all) =>
            all.length ? (
              <DataTable
                caption={told.title}
                rows={shown(all)}
                rowKey={(one) => one.id}
                sort={{ key: 'state' }}
                tone={(one) => (byGrant.get(one.id)?.silent_since && one.state === 'active' ? 'warn' : undefined)}
                tools={
                  me.department && (
                    <Segmented
                      aria-label={told.department}
                      value={view}
                      onChange={setView}
                      options={(['received', 'provided', 'all'] as const).map((value) => ({ value, label: told[value] }))}
                    />
                  )
                }
                columns={[
                  {
                    key: 'resource', title: told.resource, value: (one) => titles(one.resource),
                    render: (one) => (
                      <>
                        <Link to={`/data/${one.id}`}>{titles(one.resource)}</Link>
                        <span className="second">{one.purpose}</span>
                      </>
                    ),
                  },
                  { key: 'department', title: told.department, value: (one) => departments.name(one.department) },
                  { key: 'channels', title: told.channels, value: (one) => one.channels.map((it) => named(words.field.channels, it)).join(' · ') },
                  { key: 'state', title: told.state, value: (one) => named(words.field.grantStates, one.state), render: (one) => <Mark tone={GRANT_TONES[one.state] ?? 'calm'}>{named(words.field.grantStates, one.state)}</Mark> },
                  { key: 'records', title: told.records, number: true, value: (one) => byGrant.get(one.id)?.records ?? 0 },
                  {
                    key: 'trend', title: told.trend, value: (one) => (curves.get(one.id) ?? []).reduce((sum, it) => sum + it, 0),
                    render: (one) => {
                      const points = curves.get(one.id) ?? []
                      return <Spark points={points} label={`${told.trend}: ${number(points.reduce((sum, it) => sum + it, 0), language)}`} />
                    },
                  },
                  {
                    key: 'last', title: told.last, value: last,
                    render: (one) => {
                      const at = last(one)
                      const silent = byGrant.get(one.id)?.silent_since
                      if (silent && one.state === 'active') return <Mark tone="warn" title={told.silentSince}>{told.silent} <When at={at} /></Mark>
                      return at && now - Date.parse(at) < 10_000 ? <Mark tone="ok"><When at={at} /></Mark> : <When at={at} />
                    },
                  },
                  { key: 'until', title: told.until, value: (one) => one.valid_to, render: (one) => (one.valid_to ? <Day on={one.valid_to} /> : told.forEver) },
                  { key: 'id', title: told.page, value: (one) => one.id, hidden: true },
                ]}
              />
            ) : (
              <Empty title={told.none} action={<Link to="/catalogue">{words.nav.catalogue}</Link>}>{told.noneMore}</Empty>
            )
          }
        </Shown>
      </Section>
    </>
  )
}
