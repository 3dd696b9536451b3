/** What waits for whoever is signed in, by the clock that runs out first. */
import { Button } from 'antd'
import { Link } from 'react-router'
import { ask } from '../../api/client'
import { useAll, useAsk, useDoing } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import {
  AUDIT, CATALOG, DEMAND, type CatalogueTask, type DemandOut, type FeedbackRequest, type Matter, type Notice,
  type Objection, type OpenClock,
} from '../../api/types'
import { Empty, ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { PageHead, Section } from '../../components/title'
import { DueBy, useNow, When } from '../../components/when'
import { number, placeDay } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useTitles } from '../catalogue/titles'
import { useDepartments, useMe, useRoles } from '../../session'

interface Task {
  id: string
  kind: 'demand' | 'objection' | 'catalogue' | 'feedback' | 'finding'
  title: string
  more: string
  to: string
  due: string | null
  overdue: boolean
}

export default function Work() {
  const words = useWords()
  const language = useLanguage()
  const may = useRoles()
  const me = useMe()
  const departments = useDepartments()
  const title = useTitles()
  const today = placeDay(new Date(useNow()))
  const demands = useAll<DemandOut>(`${DEMAND}/demands?limit=500`)
  const clocks = useAll<OpenClock>(`${DEMAND}/clocks?limit=500`)
  const objections = useAll<Objection>(`${DEMAND}/objections?state=open&limit=500`)
  const requests = useAll<FeedbackRequest>(may('consumer', 'administrator') ? `${DEMAND}/feedback/requests?limit=500` : null)
  const catalogue = useAsk<CatalogueTask[]>(may('administrator', 'provider', 'auditor') ? `${CATALOG}/tasks` : null)
  const findings = useAll<Matter>(`${AUDIT}/matters?kind=finding&state=open&limit=500`)
  const notices = useAll<Notice>(may('administrator', 'provider', 'consumer') ? `${DEMAND}/notices?limit=200` : null)
  useReloadOn('demand', () => {
    for (const one of [demands, clocks, objections, requests, notices]) one.reload()
  })
  useReloadOn('catalog', catalogue.reload)

  const own = me.department ?? ''
  const mine = (department: string) => department === own || (may('administrator') && department === '')
  const titles = new Map((demands.data ?? []).map((one) => [one.id, one]))
  const tasks: Task[] = [
    ...(clocks.data ?? [])
      .filter((one) => mine(one.department))
      .flatMap((one): Task[] => {
        const demand = titles.get(one.demand)
        // what the exchange itself has still to do is nobody's task
        if (demand && !demand.actions.some((action) => action !== 'withdraw' && action !== 'close')) return []
        return [{
          id: `${one.demand} ${one.clock}`, kind: 'demand', title: demand?.title ?? one.demand, to: `/demands/${one.demand}`,
          more: [named(words.field.clocks, one.clock), demand && departments.name(demand.department)].filter(Boolean).join(' · '),
          due: one.due_on ?? null, overdue: one.overdue,
        }]
      }),
    ...(objections.data ?? [])
      .filter((one) => one.provider === own)
      .map((one): Task => ({
        id: `objection ${one.id}`, kind: 'objection', title: words.work.objection(title(one.resource)), to: `/objections/${one.id}`,
        more: departments.name(one.department), due: one.due_on, overdue: one.overdue,
      })),
    ...(catalogue.data ?? [])
      .filter((one) => mine(one.department) || may('administrator'))
      .map((one): Task => ({
        id: `catalogue ${one.resource} ${one.clock}`, kind: 'catalogue', title: title(one.resource),
        // a review is the data authority's, an update whoever writes the resource
        to: one.clock === 'review' ? (may('administrator') ? `/reviews/${one.resource}` : `/catalogue/${one.resource}`) : `/catalogue/${one.resource}/edit`,
        more: [named(words.field.clocks, one.clock), one.assignee].filter(Boolean).join(' · '), due: one.due_on, overdue: one.overdue,
      })),
    ...(requests.data ?? [])
      .filter((one) => one.department === own)
      .map((one): Task => ({
        id: `feedback ${one.grant}`, kind: 'feedback', title: words.work.feedback(title(one.resource)), to: `/data/${one.grant}`,
        more: words.table.rows(number(one.records, language)), due: null, overdue: false,
      })),
    ...(findings.data ?? [])
      .filter((one) => one.department === own && one.department !== '')
      .map((one): Task => ({
        id: `finding ${one.id}`, kind: 'finding', title: one.title, to: `/matters/${one.id}`, more: '', due: one.due ?? null,
        overdue: one.overdue,
      })),
  ].sort((a, b) => (a.due ?? '9').localeCompare(b.due ?? '9'))
  const unread = (notices.data ?? []).filter((one) => one.read_at === null)
  const days = (due: string | null) => (due ? (Date.parse(due) - Date.parse(today)) / 86_400_000 : Infinity)
  const late = tasks.filter((one) => one.overdue || days(one.due) < 0).length
  const soon = tasks.filter((one) => !one.overdue && days(one.due) >= 0 && days(one.due) <= 2).length

  return (
    <>
      <PageHead title={words.work.title} lead={words.work.lead} />
      <dl className="strip">
        <div className={late ? 'figure bad' : 'figure'}><dt>{words.work.overdue}</dt><dd>{number(late, language)}</dd></div>
        <div className={soon ? 'figure warn' : 'figure'}><dt>{words.work.soon}</dt><dd>{number(soon, language)}</dd></div>
        <div className="figure"><dt>{words.work.open}</dt><dd>{number(tasks.length, language)}</dd></div>
        <div className="figure"><dt>{words.work.unread}</dt><dd>{number(unread.length, language)}</dd></div>
      </dl>
      <div className="grid wide-left">
        <Section title={words.work.waiting}>
          <Shown of={clocks}>
            {() =>
              tasks.length ? (
                <ul className="due-list by-clock">
                  {tasks.map((one) => (
                    <li key={one.id}>
                      <DueBy on={one.due} overdue={one.overdue} />
                      <div>
                        <Link className="title" to={one.to}>{one.title}</Link>
                        <div className="more">{one.more}</div>
                      </div>
                      <span className="chip">{words.work.kinds[one.kind]}</span>
                    </li>
                  ))}
                </ul>
              ) : (
                <Empty title={words.work.nothing}>{words.work.nothingMore}</Empty>
              )
            }
          </Shown>
        </Section>
        <Notices notices={unread} reload={notices.reload} />
      </div>
      <Section title={words.work.clocks} note={words.work.clocksLead}>
        <Shown of={clocks}>
          {(all) => (
            <DataTable
              caption={words.work.clocks}
              rows={all}
              rowKey={(one) => `${one.demand} ${one.clock}`}
              sort={{ key: 'due' }}
              tone={(one) => (one.overdue ? 'bad' : undefined)}
              columns={[
                { key: 'due', title: words.work.due, value: (one) => one.due_on, render: (one) => <DueBy on={one.due_on} overdue={one.overdue} provisional={one.provisional} /> },
                { key: 'what', title: words.work.what, value: (one) => titles.get(one.demand)?.title ?? one.demand, render: (one) => <Link to={`/demands/${one.demand}`}>{titles.get(one.demand)?.title ?? one.demand}</Link> },
                { key: 'clock', title: words.work.step, value: (one) => named(words.field.clocks, one.clock) },
                { key: 'who', title: words.work.who, value: (one) => departments.name(one.department) || words.field.parties.authority },
              ]}
            />
          )}
        </Shown>
      </Section>
    </>
  )
}

const SHOWN = 12

function Notices({ notices, reload }: { notices: Notice[]; reload: () => void }) {
  const words = useWords()
  const doing = useDoing()
  const read = async (id: number) => {
    if (await doing.run(() => ask(`${DEMAND}/notices/${id}/read`, { method: 'PUT' }))) reload()
  }
  return (
    <Section title={words.work.notices}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      {!notices.length && <p className="faint">{words.work.noticesNone}</p>}
      <ul className="due-list">
        {[...notices].reverse().slice(0, SHOWN).map((one) => (
          <li key={one.id}>
            <div>
              {one.demand ? <Link to={`/demands/${one.demand}`}>{one.words}</Link> : one.words}
              <div className="more"><When at={one.created_at} /></div>
            </div>
            <Button size="small" type="text" onClick={() => void read(one.id)}>{words.work.read}</Button>
          </li>
        ))}
      </ul>
    </Section>
  )
}
