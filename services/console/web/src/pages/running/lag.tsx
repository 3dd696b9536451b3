/** How far everything is behind, hop by hop and group by group, in records and in seconds, and why. */
import { Button, Segmented } from 'antd'
import { useMemo, useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import { useAsk } from '../../api/asking'
import { WATCH } from '../../api/types'
import {
  useSamples, type Both, type CurvePoint, type GroupDetail, type GroupLag, type Hop, type LagList, type LagSample,
  type LagStatus, type TopicLag,
} from '../../api/watch'
import { Plot, quietAxes } from '../../components/plot'
import { Empty, ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark, type Tone } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { When } from '../../components/when'
import { brief, duration, number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments } from '../../session'

export const STATUS_TONES: Record<LagStatus, Tone> = { OK: 'ok', WARN: 'warn', STALL: 'bad', STOP: 'bad', ERR: 'bad' }
const SEVERITY: Record<LagStatus, number> = { OK: 0, WARN: 1, STALL: 2, STOP: 3, ERR: 4 }
const MOST_POINTS = 600

export function useSaid(): (text: Both) => string {
  const language = useLanguage()
  return (text) => (language === 'en' ? text.en : text.zh)
}

export default function Lag() {
  const words = useWords()
  const told = words.overview.lag
  const lag = useAsk<LagList>(`${WATCH}/lag`)
  const hops = useAsk<{ measured_at: string; items: Hop[] }>(`${WATCH}/hops`)
  const [sample, setSample] = useState<LagSample | null>(null)
  const [recent, setRecent] = useState<LagSample[]>([])
  useSamples((one) => {
    setSample(one)
    setRecent((before) => [...before, one].slice(-MOST_POINTS))
  })
  const [params, setParams] = useSearchParams()
  const view = params.get('view') === 'topics' ? 'topics' : 'groups'
  const chosen = params.get('group')
  const choose = (group: string | null) => {
    const next = new URLSearchParams(params)
    if (group) next.set('group', group)
    else next.delete('group')
    setParams(next, { replace: true })
  }
  const groups = useMemo(() => {
    const fresh = new Map((sample?.groups ?? []).map((one) => [one.group, one]))
    return (lag.data?.items ?? []).map((one) => ({ ...one, ...fresh.get(one.group) }))
  }, [lag.data, sample])

  if (lag.problem && !lag.data) {
    return (
      <>
        <PageHead title={told.title} lead={told.lead} />
        {lag.problem.status >= 500 || lag.problem.status === 404 ? (
          <Empty title={told.away} action={<Button onClick={lag.reload}>{words.state.retry}</Button>}>{told.awayMore}</Empty>
        ) : (
          <ProblemView problem={lag.problem} retry={lag.reload} />
        )}
      </>
    )
  }
  const measured = sample?.measured_at ?? lag.data?.measured_at
  return (
    <>
      <PageHead title={told.title} lead={<>{told.lead} {measured && <span className="faint">{told.measured} <When at={measured} /></span>}</>} />
      {lag.data && !lag.data.complete && <p className="notice">{told.incomplete}</p>}
      <Section title={told.hops}>
        <Shown of={hops}>{({ items }) => <Hops hops={items} {...(sample ? { sample } : {})} />}</Shown>
      </Section>
      {chosen && <GroupView key={chosen} group={chosen} recent={recent} onClose={() => choose(null)} />}
      <Section
        title={view === 'groups' ? told.groups : told.topicsTitle}
        aside={
          <Segmented
            size="small"
            aria-label={told.groups}
            value={view}
            onChange={(value) => setParams(value === 'topics' ? { view: 'topics' } : {}, { replace: true })}
            options={[{ value: 'groups', label: told.groups }, { value: 'topics', label: told.topicsTitle }]}
          />
        }
      >
        {view === 'groups' ? (
          <Shown of={lag} lines={6}>{() => <Groups groups={groups} chosen={chosen} choose={choose} />}</Shown>
        ) : (
          <Topics choose={choose} />
        )}
      </Section>
    </>
  )
}

function Status({ status, reason }: { status: LagStatus; reason?: Both }) {
  const words = useWords()
  const said = useSaid()
  return (
    <Mark tone={STATUS_TONES[status]} {...(reason ? { title: said(reason) } : {})}>
      {named(words.overview.lag.statuses, status)}
    </Mark>
  )
}

function Hops({ hops, sample }: { hops: Hop[]; sample?: LagSample }) {
  const words = useWords()
  const told = words.overview.lag
  const language = useLanguage()
  const said = useSaid()
  const fresh = new Map((sample?.hops ?? []).map((one) => [one.hop, one]))
  return (
    <ol className="hops">
      {hops.map((known) => {
        const hop = { ...known, ...fresh.get(known.hop) }
        return (
          <li key={hop.hop} className={STATUS_TONES[hop.status]}>
            <div className="hop-title">{said(hop.title)}</div>
            <div className="hop-figure">
              {hop.seconds === null ? '–' : duration(hop.seconds * 1_000, language)}
              <small>{hop.records === null ? '' : ` ${words.table.rows(brief(hop.records, language))}`}</small>
            </div>
            <Status status={hop.status} />
            <div className="hop-reason">{said(hop.reason)}</div>
            <div className="hop-reason">
              {number(hop.rate, language, 1)} {told.rate}
              {hop.latency && (
                <>
                  {' · '}
                  {told.p50} {duration(hop.latency.p50 * 1_000, language)} · {told.p95} {duration(hop.latency.p95 * 1_000, language)}
                </>
              )}
            </div>
            {hop.histogram.length > 1 && <Histogram buckets={hop.histogram} label={`${said(hop.title)}: ${told.histogram}`} />}
          </li>
        )
      })}
    </ol>
  )
}

/** Counts by bound as small bars; each bar says its bound and count on hover. */
function Histogram({ buckets, label }: { buckets: Hop['histogram']; label: string }) {
  const language = useLanguage()
  const counts = buckets.map((one, at) => ({ le: one.le, count: one.count - (buckets[at - 1]?.count ?? 0) }))
  const most = Math.max(1, ...counts.map((one) => one.count))
  const [width, height] = [8, 34]
  return (
    <svg viewBox={`0 0 ${counts.length * width} ${height}`} width="100%" height={height} preserveAspectRatio="none" role="img" aria-label={label}>
      {counts.map((one, at) => {
        const tall = Math.max(one.count ? 1.5 : 0, (one.count / most) * (height - 2))
        return (
          <rect key={at} x={at * width + 1} width={width - 2} y={height - tall} height={tall} fill="var(--accent)" opacity={0.75}>
            <title>{`≤ ${one.le === null ? '∞' : duration(one.le * 1_000, language)}: ${number(one.count, language)}`}</title>
          </rect>
        )
      })}
    </svg>
  )
}

function Eta({ lag }: { lag: Pick<GroupLag, 'eta_seconds' | 'records'> }) {
  const words = useWords()
  const language = useLanguage()
  const told = words.overview.lag
  if (lag.records === 0) return <span className="faint">{told.clear}</span>
  return lag.eta_seconds === null ? <span className="due warn">{told.never}</span> : <>{duration(lag.eta_seconds * 1_000, language)}</>
}

const ARROWS = { growing: '↗', shrinking: '↘', steady: '→' } as const

function Groups({ groups, chosen, choose }: { groups: GroupLag[]; chosen: string | null; choose: (group: string) => void }) {
  const words = useWords()
  const told = words.overview.lag
  const language = useLanguage()
  const said = useSaid()
  const departments = useDepartments()
  return (
    <DataTable
      caption={told.groups}
      rows={groups}
      rowKey={(one) => one.group}
      sort={{ key: 'status', down: true }}
      tone={(one) => (one.status === 'OK' ? undefined : one.status === 'WARN' ? 'warn' : 'bad')}
      columns={[
        {
          key: 'group', title: told.group, value: (one) => one.group,
          render: (one) => (
            <>
              <button type="button" className="linklike mono" aria-pressed={chosen === one.group} onClick={() => choose(one.group)}>{one.group}</button>
              <span className="second">{departments.name(one.department) || told.exchange}{one.resources.length > 0 && ` · ${one.resources.join('、')}`}</span>
            </>
          ),
        },
        { key: 'status', title: told.status, value: (one) => SEVERITY[one.status], render: (one) => <Status status={one.status} reason={one.reason} /> },
        { key: 'reason', title: told.reason, value: (one) => said(one.reason) },
        { key: 'records', title: told.records, number: true, value: (one) => one.records },
        {
          key: 'seconds', title: told.seconds, number: true, value: (one) => one.seconds,
          render: (one) => <span {...(one.exact ? {} : { title: told.inexact })}>{one.exact ? '' : '≈ '}{duration(one.seconds * 1_000, language)}</span>,
        },
        { key: 'trend', title: told.trend, value: (one) => one.trend, render: (one) => <span className={one.trend === 'growing' && one.status !== 'OK' ? 'due bad' : ''}>{ARROWS[one.trend]} {told[one.trend]}</span> },
        { key: 'eta', title: told.eta, value: (one) => one.eta_seconds, render: (one) => <Eta lag={one} /> },
        { key: 'rates', title: told.rates, number: true, value: (one) => one.consumed_rate, render: (one) => `${number(one.consumed_rate, language, 1)} / ${number(one.produced_rate, language, 1)}` },
        { key: 'members', title: told.members, number: true, value: (one) => one.members },
      ]}
    />
  )
}

function GroupView({ group, recent, onClose }: { group: string; recent: LagSample[]; onClose: () => void }) {
  const words = useWords()
  const told = words.overview.lag
  const language = useLanguage()
  const said = useSaid()
  const asked = useAsk<GroupDetail>(`${WATCH}/lag/${encodeURIComponent(group)}`)
  const more = recent.flatMap((one): CurvePoint[] => {
    const here = one.groups.find((it) => it.group === group)
    return here ? [{ at: one.measured_at, records: here.records, seconds: here.seconds, committed: 0, produced: 0 }] : []
  })
  const fresh = recent.at(-1)?.groups.find((one) => one.group === group)
  return (
    <Section title={group} aside={<Button size="small" type="text" onClick={onClose}>{words.close}</Button>}>
      <Shown of={asked}>
        {(known) => {
          const one = { ...known, ...fresh }
          const last = known.curve.at(-1)?.at ?? ''
          const curve = [...known.curve, ...more.filter((it) => it.at > last)]
          return (
            <>
              <p style={{ marginBottom: 8 }}>
                <Status status={one.status} reason={one.reason} /> {said(one.reason)}{' '}
                <span className="faint">· {told.eta} <Eta lag={one} /> {one.partitions > 1 && `· ${told.skew(number(one.skew, language, 1))}`}</span>
              </p>
              <Plot
                height={250}
                label={`${group}: ${told.curveLabel}`}
                option={(c) => {
                  const axes = quietAxes(c)
                  return {
                    grid: { left: 56, right: 56, top: 34, bottom: 26 },
                    legend: { top: 0, right: 0, textStyle: { color: c.ink2 }, itemHeight: 9 },
                    tooltip: { trigger: 'axis', ...axes.tooltip },
                    xAxis: { type: 'time', ...axes.x },
                    yAxis: [
                      { type: 'value', ...axes.y, minInterval: 1, axisLabel: { ...axes.y.axisLabel, formatter: (value: number) => brief(value, language) } },
                      { type: 'value', ...axes.y, splitLine: { show: false }, axisLabel: { ...axes.y.axisLabel, formatter: (value: number) => duration(value * 1_000, language) } },
                    ],
                    series: [
                      { type: 'line', name: told.records, showSymbol: false, areaStyle: { opacity: 0.14 }, data: curve.map((it) => [it.at, it.records]) },
                      { type: 'line', name: told.seconds, yAxisIndex: 1, showSymbol: false, lineStyle: { width: 2 }, data: curve.map((it) => [it.at, it.seconds]) },
                    ],
                  }
                }}
              />
              <DataTable
                caption={`${group}: ${told.partitions}`}
                rows={known.parts}
                rowKey={(part) => `${part.topic} ${part.partition}`}
                sort={{ key: 'records', down: true }}
                columns={[
                  { key: 'topic', title: told.topics, value: (part) => part.topic, render: (part) => <code>{part.topic}</code> },
                  { key: 'partition', title: told.partition, number: true, value: (part) => part.partition },
                  { key: 'status', title: told.status, value: (part) => SEVERITY[part.status], render: (part) => <Status status={part.status} reason={part.reason} /> },
                  { key: 'reason', title: told.reason, value: (part) => said(part.reason) },
                  { key: 'records', title: told.records, number: true, value: (part) => part.records },
                  { key: 'seconds', title: told.seconds, number: true, value: (part) => part.seconds, render: (part) => duration(part.seconds * 1_000, language) },
                  { key: 'eta', title: told.eta, value: (part) => part.eta_seconds, render: (part) => <Eta lag={part} /> },
                  { key: 'committed', title: told.committed, number: true, value: (part) => part.committed },
                  { key: 'end', title: told.end, number: true, value: (part) => part.end },
                  { key: 'member', title: told.member, value: (part) => part.member },
                ]}
              />
            </>
          )
        }}
      </Shown>
    </Section>
  )
}

function Topics({ choose }: { choose: (group: string) => void }) {
  const words = useWords()
  const told = words.overview.lag
  const language = useLanguage()
  const departments = useDepartments()
  const asked = useAsk<{ items: TopicLag[] }>(`${WATCH}/topics`)
  return (
    <Shown of={asked} lines={6}>
      {({ items }) => (
        <DataTable
          caption={told.topicsTitle}
          rows={items}
          rowKey={(one) => one.topic}
          columns={[
            { key: 'topic', title: told.topics, value: (one) => one.topic, render: (one) => (one.grant ? <Link className="mono" to={`/data/${one.grant}`}>{one.topic}</Link> : <code>{one.topic}</code>) },
            { key: 'kind', title: told.kind, value: (one) => named(told.kinds, one.kind) },
            { key: 'department', title: told.department, value: (one) => departments.name(one.department) },
            { key: 'records', title: words.overview.records, number: true, value: (one) => one.records },
            { key: 'rate', title: told.produced, number: true, value: (one) => one.produced_rate, render: (one) => number(one.produced_rate, language, 1) },
            { key: 'last', title: told.lastRecord, value: (one) => one.last_record_at, render: (one) => <When at={one.last_record_at} /> },
            {
              key: 'groups', title: told.groupsOf, value: (one) => one.groups.map((it) => it.group).join(' '),
              render: (one) => (
                <span className="chips">
                  {one.groups.map((it) => (
                    <button key={it.group} type="button" className="linklike" onClick={() => choose(it.group)}>
                      <Mark tone={STATUS_TONES[it.status]}>{it.group} {it.records > 0 && number(it.records, language)}</Mark>
                    </button>
                  ))}
                </span>
              ),
            },
            { key: 'lag', title: told.records, number: true, value: (one) => Math.max(0, ...one.groups.map((it) => it.records)) },
          ]}
        />
      )}
    </Shown>
  )
}
