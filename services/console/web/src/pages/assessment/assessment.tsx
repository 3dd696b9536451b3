/** The figures of a month, quarter or year: the whole place, the ranking, the bulletin. */
import { Button, Segmented, Select } from 'antd'
import { useSearchParams } from 'react-router'
import { useAsk } from '../../api/asking'
import { DEMAND, type Assessed, type Assessment, type Norm, type Rate } from '../../api/types'
import { Plot, quietAxes } from '../../components/plot'
import { Empty, Shown } from '../../components/states'
import { DataTable, type Column } from '../../components/table'
import { PageHead, Section } from '../../components/title'
import { useNow } from '../../components/when'
import { number, percent, placeDay } from '../../format'
import { useLanguage, useWords } from '../../i18n'
import { useDepartments } from '../../session'
import { kindOf, periodBefore, periodsOf, type PeriodKind } from './periods'

const RATES = ['on_demand', 'minute_level', 'timeliness', 'answers', 'quality', 'use', 'satisfaction'] as const
type RateName = (typeof RATES)[number]

export default function AssessmentPage() {
  const words = useWords()
  const told = words.keeping.assessment
  const today = placeDay(new Date(useNow()))
  const [params, setParams] = useSearchParams()
  const period = params.get('period') ?? today.slice(0, 7)
  const kind = kindOf(period)
  const asked = useAsk<Assessed>(`${DEMAND}/assessments/${period}`)
  const before = useAsk<Assessed>(`${DEMAND}/assessments/${periodBefore(period)}`)
  const norms = useAsk<Norm[]>(`${DEMAND}/norms`)
  const weights = (norms.data?.find((one) => one.name === 'weights')?.value ?? {}) as Partial<Record<RateName, number>>
  return (
    <>
      <PageHead
        title={told.title}
        lead={told.lead}
        actions={
          <>
            <Segmented
              aria-label={told.period}
              value={kind}
              onChange={(next) => setParams({ period: periodsOf(next as PeriodKind, today)[0]! }, { replace: true })}
              options={(['month', 'quarter', 'year'] as const).map((value) => ({ value, label: told[value] }))}
            />
            <Select
              aria-label={told.period}
              style={{ width: 120 }}
              value={period}
              onChange={(next: string) => setParams({ period: next }, { replace: true })}
              options={periodsOf(kind, today).map((value) => ({ value, label: value }))}
            />
            <Button href={`${DEMAND}/bulletins/${period}`} target="_blank">{told.bulletin}</Button>
          </>
        }
      />
      <Shown of={asked} lines={8}>
        {(data) => (
          <>
            <dl className="strip">
              <div className="figure"><dt>{told.total} · {told.score}</dt><dd><Score value={data.total.score} /></dd></div>
              {RATES.map((name) => <RateView key={name} name={told.rates[name]} rate={data.total[name]} before={before.data?.total[name]} />)}
            </dl>
            {data.departments.length ? (
              <>
                <Ranking departments={data.departments} />
                <div className="grid two">
                  <Section title={told.ranking}><Bars departments={data.departments} /></Section>
                  <Section title={told.weights} note={told.weightsNote}>
                    {RATES.filter((name) => weights[name]).map((name) => (
                      <div key={name} className="meter">
                        <span>{told.rates[name]}</span>
                        <span className="bar" aria-hidden="true"><i style={{ width: `${weights[name]}%` }} /></span>
                        <b>{weights[name]}</b>
                      </div>
                    ))}
                  </Section>
                </div>
              </>
            ) : (
              <Empty title={told.none} />
            )}
          </>
        )}
      </Shown>
    </>
  )
}

function Score({ value }: { value: number | null }) {
  const language = useLanguage()
  return <>{value === null ? '–' : number(value, language, 1)}</>
}

function RateView({ name, rate, before }: { name: string; rate: Rate; before: Rate | undefined }) {
  const words = useWords()
  const told = words.keeping.assessment
  const language = useLanguage()
  const change = rate.value !== null && before?.value != null ? rate.value - before.value : null
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd>{percent(rate.value, language)}</dd>
      <dd className="note">
        {rate.whole > 0 && told.part(number(rate.part, language), number(rate.whole, language))}
        {change !== null && ` · ${told.change} ${change >= 0 ? '+' : ''}${percent(change, language)}`}
      </dd>
    </div>
  )
}

function Ranking({ departments }: { departments: Assessment[] }) {
  const words = useWords()
  const told = words.keeping.assessment
  const language = useLanguage()
  const names = useDepartments()
  const columns: Column<Assessment>[] = [
    { key: 'department', title: told.department, value: (one) => names.name(one.department) || words.list.unknown },
    { key: 'score', title: told.score, number: true, value: (one) => one.score, render: (one) => <b><Score value={one.score} /></b> },
    ...RATES.map((name): Column<Assessment> => ({
      key: name, title: told.rates[name], number: true, value: (one) => one[name].value,
      render: (one) => <span title={told.part(number(one[name].part, language), number(one[name].whole, language))}>{percent(one[name].value, language)}</span>,
    })),
    { key: 'provided', title: told.provided, number: true, value: (one) => one.provided },
    { key: 'received', title: told.received, number: true, value: (one) => one.received },
    { key: 'objections', title: told.objections, number: true, value: (one) => one.objections },
    { key: 'feedback', title: told.feedback, number: true, value: (one) => one.feedback },
  ]
  return (
    <Section title={told.department}>
      <DataTable caption={told.ranking} rows={departments} columns={columns} rowKey={(one) => one.department} sort={{ key: 'score', down: true }} />
    </Section>
  )
}

function Bars({ departments }: { departments: Assessment[] }) {
  const words = useWords()
  const told = words.keeping.assessment
  const language = useLanguage()
  const names = useDepartments()
  const ranked = departments.filter((one) => one.score !== null).sort((a, b) => (a.score ?? 0) - (b.score ?? 0))
  if (!ranked.length) return <p className="faint">{told.none}</p>
  return (
    <Plot
      label={told.plotLabel}
      height={Math.max(120, ranked.length * 34 + 30)}
      option={(c) => {
        const axes = quietAxes(c)
        return {
          grid: { left: 118, right: 44, top: 4, bottom: 4 },
          xAxis: { type: 'value', max: 100, show: false },
          yAxis: { type: 'category', ...axes.y, splitLine: { show: false }, axisLabel: { color: c.ink2, width: 108, overflow: 'truncate' }, data: ranked.map((one) => names.name(one.department)) },
          series: [
            {
              type: 'bar', barMaxWidth: 14, itemStyle: { borderRadius: 3 }, data: ranked.map((one) => one.score), showBackground: true, backgroundStyle: { color: c.sunken, borderRadius: 3 },
              label: { show: true, position: 'right', color: c.ink, formatter: ({ value }: { value: number }) => number(value, language, 1) },
            },
          ],
        }
      }}
    />
  )
}
