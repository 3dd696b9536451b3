/** One entry: what it says, its proof computed anew in this page, and the whole thread it belongs to. */
import { Button } from 'antd'
import { useEffect, useState } from 'react'
import { Link, useParams } from 'react-router'
import { withQuery } from '../../api/client'
import { useAll, useAsk } from '../../api/asking'
import { AUDIT, CONSOLE, type Endpoints, type Entry, type ProvedEntry } from '../../api/types'
import { Snippet } from '../../components/copy'
import { Facts, type Fact } from '../../components/facts'
import { Loading, Shown } from '../../components/states'
import { Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { When } from '../../components/when'
import { duration, number, offer } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments } from '../../session'
import { checkEntry, checkpointOf, type Checked } from './proof'
import { Actor, eventName } from './shown'

export default function EntryPage() {
  const { sequence = '0' } = useParams()
  const words = useWords()
  const told = words.audit
  const at = Number(sequence)
  const asked = useAsk<ProvedEntry>(`${AUDIT}/entries/${sequence}`)
  return (
    <>
      <PageHead
        title={told.entry.title(sequence)}
        above={[{ to: '/audit', name: told.title }]}
        lead={asked.data && eventName(words, asked.data.entry.type)}
        actions={
          <>
            {at > 0 && <Link to={`/audit/entries/${at - 1}`}>← {told.entry.previous}</Link>}
            <Link to={`/audit/entries/${at + 1}`}>{told.entry.next} →</Link>
          </>
        }
      />
      <Shown of={asked} lines={8}>
        {(proved) => (
          <>
            <div className="grid two">
              <About entry={proved.entry} />
              <Verification sequence={at} proved={proved} />
            </div>
            {proved.entry.thread && <Thread entry={proved.entry} />}
          </>
        )}
      </Shown>
    </>
  )
}

function About({ entry }: { entry: Entry }) {
  const words = useWords()
  const told = words.audit
  const language = useLanguage()
  const departments = useDepartments()
  const facts: Fact[] = [
    [told.columns.what, <code key="type">{entry.type}</code>],
    [told.columns.who, <Actor key="actor" reference={entry.actor} />],
    [told.fields.department, departments.name(entry.department)],
    [told.columns.subject, <code key="s" className="break">{entry.subject}</code>],
    [told.columns.outcome, <Mark key="o" tone={entry.outcome === 'done' ? 'ok' : 'bad'}>{named(words.field.outcome, entry.outcome)}</Mark>],
    [told.columns.records, entry.records ? number(entry.records, language) : null],
    [told.entry.occurred, <When key="at" at={entry.occurred_at} />],
    [told.entry.delay, duration(Math.max(0, Date.parse(entry.recorded_at) - Date.parse(entry.occurred_at)), language)],
    [told.entry.place, <code key="p" className="break">{`${entry.topic} ${entry.partition}@${entry.offset}`}</code>],
    [told.fields.thread, <code key="t" className="break">{entry.thread}</code>],
    [told.entry.trace, entry.trace && <TraceLink key="tr" trace={entry.trace} />],
    [told.entry.digest, <code key="d" className="break">{entry.digest}</code>],
  ]
  return (
    <Section title={told.entry.facts}>
      <Facts facts={facts} />
    </Section>
  )
}

/** The id of a trace; a way to it, where the exchange is told one. */
function TraceLink({ trace }: { trace: string }) {
  const endpoints = useAsk<Endpoints>(`${CONSOLE}/endpoints`)
  const shown = <code className="break">{trace}</code>
  const to = endpoints.data?.trace?.replaceAll('{trace_id}', trace)
  return to ? <a href={to} target="_blank" rel="noreferrer">{shown}</a> : shown
}

function Verification({ sequence, proved }: { sequence: number; proved: ProvedEntry }) {
  const words = useWords()
  const told = words.audit.verify
  const language = useLanguage()
  const [checks, setChecks] = useState<Checked[] | null>(null)
  const [unsupported, setUnsupported] = useState(false)
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    let over = false
    setChecks(null)
    checkEntry(sequence, proved).then(
      (found) => !over && setChecks(found),
      () => !over && setUnsupported(true),
    )
    return () => {
      over = true
    }
  }, [sequence, proved, turn])
  const holds = checks?.every((one) => one.holds)
  const size = checkpointOf(proved.checkpoint)?.checkpoint.size ?? 0
  return (
    <Section
      title={told.title}
      note={told.lead}
      aside={
        <Button size="small" onClick={() => setTurn((one) => one + 1)} disabled={!checks}>
          {told.run}
        </Button>
      }
    >
      {unsupported ? (
        <p className="notice warn">{told.unsupported}</p>
      ) : !checks ? (
        <Loading />
      ) : (
        <>
          <p className={holds ? 'notice ok' : 'problem'} role="status">
            <b>{holds ? told.holds : told.fails}</b>
          </p>
          <div style={{ marginTop: 8 }}>
            {checks.map((one) => (
              <div key={one.check} className={one.holds ? 'check holds' : 'check fails'}>
                <span className="sign" role="img" aria-label={one.holds ? words.yes : words.no}>{one.holds ? '✓' : '✗'}</span>
                <div>
                  <div>{told.checks[one.check]}{one.check === 'signature' && <span className="faint"> · {told.size(number(size, language))}</span>}</div>
                  {one.check === 'root' ? (
                    <>
                      <div className="hashes">{told.computed} {one.shown[0]}</div>
                      <div className="hashes">{told.signed} {one.shown[1]}</div>
                    </>
                  ) : (
                    <div className="hashes">{one.shown.join(' · ')}</div>
                  )}
                  {one.check === 'key' && <div className="faint">{told.anchor}</div>}
                </div>
              </div>
            ))}
          </div>
          <details>
            <summary className="faint">{told.proof} · {told.steps(number(proved.proof.length, language))}</summary>
            <ol className="hashes">{proved.proof.map((one) => <li key={one}>{one}</li>)}</ol>
            <Snippet label={told.raw} text={proved.raw} />
          </details>
          <Button
            style={{ marginTop: 10 }}
            onClick={() => offer(`entry-${sequence}.json`, JSON.stringify(proved, null, 2), 'application/json')}
          >
            {told.keep}
          </Button>
        </>
      )}
    </Section>
  )
}

/** All that happened under the entry's thread, asked when it is wanted: such reads are in the log themselves. */
function Thread({ entry }: { entry: Entry }) {
  const words = useWords()
  const told = words.audit.trace
  const departments = useDepartments()
  const language = useLanguage()
  const [wanted, setWanted] = useState(false)
  const asked = useAll<Entry>(wanted ? withQuery(`${AUDIT}/entries`, { thread: entry.thread, limit: 500 }) : null)
  return (
    <Section title={told.title} note={told.lead}>
      {!wanted ? (
        <Button onClick={() => setWanted(true)}>{told.load}</Button>
      ) : (
        <Shown of={asked}>
          {(entries) => (
            <ol className="timeline">
              {entries.map((one) => (
                <li key={one.sequence} className={one.outcome === 'done' ? (one.type.includes('.sync.') ? 'clock' : '') : 'bad'}>
                  <div className="what">
                    <Link to={`/audit/entries/${one.sequence}`}>{eventName(words, one.type)}</Link>
                    {one.records > 0 && ` · ${words.table.rows(number(one.records, language))}`}
                  </div>
                  <div className="more">
                    <When at={one.occurred_at} /> · {departments.name(one.department)} · <code>{one.subject}</code>
                  </div>
                </li>
              ))}
            </ol>
          )}
        </Shown>
      )}
    </Section>
  )
}
