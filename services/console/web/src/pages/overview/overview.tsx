/** The exchange at this moment, for those who lead: what flows, what is due, what happens; fits a wall screen. */
import { Button, Segmented } from 'antd'
import { useEffect, useMemo, useState } from 'react'
import { Link, useNavigate } from 'react-router'
import { withQuery } from '../../api/client'
import { useAll, useAsk } from '../../api/asking'
import { useLive, useReloadOn } from '../../api/live'
import {
  CATALOG, DEMAND, type Assessed, type DemandOut, type Grant, type GrantUse, type OpenClock, type Resource, type UsageTotal,
  type UsageWindow,
} from '../../api/types'
import { Plot, quietAxes } from '../../components/plot'
import { Empty, Loading } from '../../components/states'
import { DataTable } from '../../components/table'
import { PageHead, Section } from '../../components/title'
import { DueBy, useNow } from '../../components/when'
import { brief, clockTime, number, percent, placeDay } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments, useRoles } from '../../session'
import { streamsOf, type Stream } from './flow'

const HOURS = 24
const FEED = 9
const MOST_STREAMS = 60

export default function Overview() {
  const words = useWords()
  const told = words.overview
  const language = useLanguage()
  const may = useRoles()
  const departments = useDepartments()
  const [span, setSpan] = useState<'today' | 'month'>('month')
  const today = placeDay(new Date(useNow()))
  const since = span === 'today' ? `${today}T00:00:00+08:00` : null
  const grants = useAll<Grant>(`${DEMAND}/grants?limit=500`)
  const resources = useAll<Resource>(`${CATALOG}/resources?limit=500`)
  const totals = useAsk<UsageTotal[]>(withQuery(`${DEMAND}/usage/totals`, { by: 'grant', since, limit: 500 }))
  const todays = useAsk<UsageTotal[]>(withQuery(`${DEMAND}/usage/totals`, { by: 'department', since: `${today}T00:00:00+08:00`, limit: 500 }))
  const uses = useAll<GrantUse>(`${DEMAND}/usage/grants?limit=500`)
  const assessed = useAsk<Assessed>(`${DEMAND}/assessments/${today.slice(0, 7)}`)
  const clocks = useAll<OpenClock>(may('administrator', 'provider', 'consumer', 'auditor') ? `${DEMAND}/clocks?limit=500` : null)
  const [more, setMore] = useState<Map<string, number>>(new Map())
  const [rate, setRate] = useState(0)
  const [wall, setWall] = useWall()

  useReloadOn('demand', () => {
    grants.reload()
    clocks.reload()
    assessed.reload()
  })
  useLive('deliveries', ({ grants: told_ }) => {
    setRate(told_.reduce((sum, one) => sum + one.records, 0))
    setMore((before) => {
      const next = new Map(before)
      for (const one of told_) next.set(one.grant, (next.get(one.grant) ?? 0) + one.records)
      return next
    })
  })

  const titles = useMemo(
    () => new Map((resources.data ?? []).map((one) => [one.code, { title: (one.published ?? one.draft)?.title ?? one.code, department: one.department }])),
    [resources.data],
  )
  const streams = useMemo(
    () => streamsOf(grants.data ?? [], totals.data ?? [], uses.data ?? [], (code) => titles.get(code)?.department, more),
    [grants.data, totals.data, uses.data, titles, more],
  )
  const fresh = [...more.values()].reduce((sum, one) => sum + one, 0)
  const delivered = (todays.data ?? []).reduce((sum, one) => sum + one.records, 0) + fresh
  const open = clocks.data ?? []
  const days = (one: OpenClock) => (one.due_on ? (Date.parse(one.due_on) - Date.parse(today)) / 86_400_000 : Infinity)
  const late = open.filter((one) => one.overdue)
  const soon = open.filter((one) => !one.overdue && days(one) <= 2)
  const total = assessed.data?.total
  const loading = !grants.data || !resources.data || !totals.data

  return (
    <div className={wall ? 'wall' : undefined}>
      <PageHead
        title={told.title}
        lead={told.lead}
        actions={<Button onClick={() => setWall(!wall)}>{wall ? told.exitWall : told.wall}</Button>}
      />
      <dl className="strip">
        <div className="figure">
          <dt>{told.figures.today}</dt>
          <dd>{number(delivered, language)}</dd>
          <dd className="note">{told.figures.rate} {number(rate, language)}</dd>
        </div>
        <RateFigure name={told.figures.onDemand} rate={total?.on_demand} target={0.95} />
        <RateFigure name={told.figures.minute} rate={total?.minute_level} target={0.9} />
        <RateFigure name={told.figures.quality} rate={total?.quality} />
        {clocks.data && (
          <>
            <div className={late.length ? 'figure bad' : 'figure'}><dt>{told.figures.overdue}</dt><dd>{number(late.length, language)}</dd></div>
            <div className={soon.length ? 'figure warn' : 'figure'}><dt>{told.figures.soon}</dt><dd>{number(soon.length, language)}</dd></div>
          </>
        )}
        <div className="figure">
          <dt>{told.figures.grants}</dt>
          <dd>{number((grants.data ?? []).filter((one) => one.state === 'active').length, language)}</dd>
        </div>
      </dl>
      <div className="grid wide-left">
        <Section
          title={told.flow}
          note={told.flowNote}
          aside={
            <Segmented
              size="small"
              aria-label={told.flow}
              value={span}
              onChange={setSpan}
              options={(['today', 'month'] as const).map((value) => ({ value, label: told.spans[value] }))}
            />
          }
        >
          {loading ? (
            <Loading lines={6} />
          ) : streams.length ? (
            <FlowMap streams={streams} title={(code) => titles.get(code)?.title ?? code} height={wall ? 620 : 440} />
          ) : (
            <Empty title={told.flowNone}>{told.flowNoneMore}</Empty>
          )}
        </Section>
        <div className="stack">
          <Feed />
          {clocks.data && <DueSoon clocks={[...late, ...soon]} />}
          <Scores assessed={assessed.data} name={departments.name} />
        </div>
      </div>
      <Trend />
    </div>
  )
}

function RateFigure({ name, rate, target }: { name: string; rate: { value: number | null; part: number; whole: number } | undefined; target?: number }) {
  const words = useWords()
  const told = words.overview.figures
  const language = useLanguage()
  const value = rate?.value ?? null
  const tone = target === undefined || value === null ? '' : value >= target ? 'ok' : 'warn'
  return (
    <div className={`figure ${tone}`}>
      <dt>{name}</dt>
      <dd>{percent(value, language)}</dd>
      <dd className="note">
        {[
          target !== undefined && told.target(percent(target, language)),
          rate && rate.whole > 0 && told.parts(number(rate.part, language), number(rate.whole, language)),
        ]
          .filter(Boolean)
          .join(' · ')}
      </dd>
    </div>
  )
}

function FlowMap({ streams, title, height }: { streams: Stream[]; title: (code: string) => string; height: number }) {
  const words = useWords()
  const told = words.overview
  const language = useLanguage()
  const departments = useDepartments()
  const navigate = useNavigate()
  const shown = streams.slice(0, MOST_STREAMS)
  const health = (one: Stream) => (one.errors ? told.errors : one.silent ? told.silent : told.healthy)
  return (
    <>
      <Plot
        label={told.flowLabel}
        height={height}
        onClick={({ name, dataType }) => {
          if (dataType !== 'node') return
          const [kind, value] = [name.slice(0, 1), name.slice(2)]
          void navigate(kind === 'r' ? `/catalogue/${value}?part=uses` : `/catalogue?department=${value}`)
        }}
        option={(c) => {
          // widths by square root, so that a small stream is still seen beside a large one
          const width = (records: number) => Math.sqrt(records) + 1
          const nodes = new Map<string, { name: string; depth: number; itemStyle: { color: string }; value?: number }>()
          const links = new Map<string, { source: string; target: string; value: number; records: number; lineStyle: { color: string } }>()
          const add = (source: string, target: string, one: Stream) => {
            const key = `${source} ${target}`
            const known = links.get(key)
            const records = (known?.records ?? 0) + one.records
            const worse = one.errors ? c.bad : one.silent ? c.warn : c.accent
            const color = known && known.lineStyle.color !== c.accent ? known.lineStyle.color : worse
            links.set(key, { source, target, records, value: width(records), lineStyle: { color } })
          }
          const own = new Map<string, string>()
          for (const one of shown) {
            const [from, via, to] = [`p:${one.provider}`, `r:${one.resource}`, `c:${one.consumer}`]
            for (const [name, depth] of [[from, 0], [via, 1], [to, 2]] as const) {
              if (!own.has(name)) own.set(name, c.series[depth === 1 ? 0 : (own.size % (c.series.length - 1)) + 1] ?? c.accent)
              nodes.set(name, { name, depth, itemStyle: { color: own.get(name)! } })
            }
            add(from, via, one)
            add(via, to, one)
          }
          const axes = quietAxes(c)
          const text = (name: string) => (name.startsWith('r:') ? title(name.slice(2)) : departments.name(name.slice(2)))
          return {
            tooltip: {
              ...axes.tooltip,
              formatter: (what: { dataType: string; name: string; data: { records?: number; source?: string; target?: string } }) =>
                what.dataType === 'edge'
                  ? `${escaped(text(what.data.source ?? ''))} → ${escaped(text(what.data.target ?? ''))}<br><b>${number(what.data.records, language)}</b> ${told.records}`
                  : escaped(text(what.name)),
            },
            series: [
              {
                type: 'sankey', left: 4, right: 4, top: 8, bottom: 8, nodeWidth: 11, nodeGap: 14, draggable: false, layoutIterations: 48,
                data: [...nodes.values()], links: [...links.values()], emphasis: { focus: 'trajectory' },
                lineStyle: { opacity: 0.32, curveness: 0.52 },
                label: { color: c.ink, fontSize: 12.5, formatter: ({ name }: { name: string }) => text(name), overflow: 'truncate', width: 190 },
                levels: [
                  { depth: 0, label: { position: 'right' } },
                  { depth: 1, label: { position: 'right' } },
                  { depth: 2, label: { position: 'left' } },
                ],
              },
            ],
          }
        }}
      />
      <details>
        <summary className="faint">{told.flowTable}</summary>
        <DataTable
          caption={told.flow}
          rows={streams}
          rowKey={(one) => `${one.resource} ${one.consumer}`}
          columns={[
            { key: 'from', title: told.from, value: (one) => departments.name(one.provider) },
            { key: 'resource', title: told.resource, value: (one) => title(one.resource), render: (one) => <Link to={`/catalogue/${one.resource}`}>{title(one.resource)}</Link> },
            { key: 'to', title: told.to, value: (one) => departments.name(one.consumer) },
            { key: 'records', title: told.records, number: true, value: (one) => one.records },
            { key: 'state', title: told.state, value: health },
          ]}
        />
      </details>
    </>
  )
}

/** Names come from people, tooltips are HTML. */
function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}

interface Told {
  key: string
  at: string
  text: string
  to: string
}

function Feed() {
  const words = useWords()
  const told = words.overview
  const language = useLanguage()
  const departments = useDepartments()
  const [feed, setFeed] = useState<Told[]>([])
  const push = (more: Told[]) => setFeed((before) => [...more, ...before].slice(0, FEED))
  useLive('deliveries', ({ at, grants }) => {
    const most = [...grants].sort((a, b) => b.records - a.records).slice(0, 2)
    push(most.map((one) => ({ key: `${at} ${one.grant}`, at, to: `/data/${one.grant}`, text: `${departments.name(one.department)} · ${told.delivery(number(one.records, language))}` })))
  })
  useLive('demand', ({ at, type, subject, department }) => {
    // cn.tongshu.demand.demand_approved.v1: what happened stands before the version
    const what = type.split('.').at(-2)?.replace(/^demand_/, '') ?? type
    push([{ key: `${at} ${subject} ${type}`, at, to: `/demands/${subject}`, text: `${departments.name(department)} · ${named(words.field.events, what)}` }])
  })
  return (
    <Section title={told.feed}>
      {feed.length ? (
        <ul className="feed" aria-live="off">
          {feed.map((one) => (
            <li key={one.key}>
              <time dateTime={one.at}>{clockTime(one.at, language, true)}</time>
              <Link to={one.to}>{one.text}</Link>
            </li>
          ))}
        </ul>
      ) : (
        <p className="faint">{told.feedNone}</p>
      )}
    </Section>
  )
}

function DueSoon({ clocks }: { clocks: OpenClock[] }) {
  const words = useWords()
  const told = words.overview
  const departments = useDepartments()
  const demands = useAll<DemandOut>(`${DEMAND}/demands?limit=500`)
  const title = (id: string) => demands.data?.find((one) => one.id === id)?.title ?? id
  return (
    <Section title={told.clocks} aside={<Link to="/work">{words.nav.work}</Link>}>
      {!clocks.length && <p className="faint">{told.clocksNone}</p>}
      <ul className="due-list">
        {clocks.slice(0, 6).map((one) => (
          <li key={`${one.demand} ${one.clock}`}>
            <div>
              <Link className="title" to={`/demands/${one.demand}`}>{title(one.demand)}</Link>
              <div className="more">{named(words.field.clocks, one.clock)} · {departments.name(one.department) || words.field.parties.authority}</div>
            </div>
            <DueBy on={one.due_on} overdue={one.overdue} provisional={one.provisional} />
          </li>
        ))}
      </ul>
    </Section>
  )
}

function Scores({ assessed, name }: { assessed: Assessed | undefined; name: (slug: string) => string }) {
  const words = useWords()
  const told = words.overview
  const language = useLanguage()
  const ranked = [...(assessed?.departments ?? [])].filter((one) => one.score !== null && one.department).sort((a, b) => (b.score ?? 0) - (a.score ?? 0))
  return (
    <Section title={told.qualityTrend} aside={<Link to="/assessment">{words.nav.assessment}</Link>}>
      {!ranked.length && <p className="faint">{told.noScore}</p>}
      {ranked.slice(0, 6).map((one) => (
        <div key={one.department} className="meter">
          <span>{name(one.department)}</span>
          <span className="bar" aria-hidden="true"><i style={{ width: `${one.score ?? 0}%` }} /></span>
          <b>{number(one.score, language, 1)}</b>
        </div>
      ))}
    </Section>
  )
}

function Trend() {
  const words = useWords()
  const told = words.overview
  const language = useLanguage()
  const since = useMemo(() => new Date(Date.now() - HOURS * 3_600_000).toISOString(), [])
  const windows = useAll<UsageWindow>(withQuery(`${DEMAND}/usage`, { granularity: 'minute', since, limit: 500 }))
  const points = useMemo(() => {
    const sums = new Map<string, { records: number; errors: number; latency: number | null }>()
    for (const one of windows.data ?? []) {
      const known = sums.get(one.start) ?? { records: 0, errors: 0, latency: null }
      sums.set(one.start, {
        records: known.records + one.records,
        errors: known.errors + one.errors,
        latency: one.latency_max_ms === null ? known.latency : Math.max(known.latency ?? 0, one.latency_max_ms),
      })
    }
    return [...sums].sort(([a], [b]) => a.localeCompare(b))
  }, [windows.data])
  if (!points.length) return null
  return (
    <Section title={told.trend}>
      <Plot
        label={told.trendLabel}
        height={210}
        option={(c) => {
          const axes = quietAxes(c)
          return {
            grid: { left: 56, right: 20, top: 32, bottom: 26 },
            legend: { top: 0, right: 0, textStyle: { color: c.ink2 }, itemHeight: 9 },
            tooltip: { trigger: 'axis', ...axes.tooltip },
            xAxis: { type: 'time', ...axes.x },
            yAxis: { type: 'value', ...axes.y, axisLabel: { ...axes.y.axisLabel, formatter: (value: number) => brief(value, language) } },
            series: [
              {
                type: 'line', name: told.delivered, areaStyle: { opacity: 0.14 }, showSymbol: points.length < 30, symbolSize: 4, lineStyle: { width: 2 },
                data: points.map(([at, one]) => [at, one.records]),
              },
              { type: 'bar', name: told.setAside, itemStyle: { color: c.bad }, barMaxWidth: 6, data: points.map(([at, one]) => [at, one.errors]) },
            ],
          }
        }}
      />
    </Section>
  )
}

/** The wall screen: the page alone, as large as the screen. */
function useWall(): [boolean, (on: boolean) => void] {
  const [wall, setWall] = useState(false)
  useEffect(() => {
    document.documentElement.classList.toggle('on-wall', wall)
    const left = () => setWall(document.fullscreenElement !== null)
    document.addEventListener('fullscreenchange', left)
    return () => {
      document.removeEventListener('fullscreenchange', left)
      document.documentElement.classList.remove('on-wall')
    }
  }, [wall])
  const turn = (on: boolean) => {
    setWall(on)
    // a browser that does not allow it shows the page alone all the same
    if (on) document.documentElement.requestFullscreen().catch(() => undefined)
    else if (document.fullscreenElement) void document.exitFullscreen()
  }
  return [wall, turn]
}
