/** Mounts and their connectors: where data comes from, whether it comes, what has changed at the source; and what is set aside. */
import { Link } from 'react-router'
import { withQuery } from '../../api/client'
import { useAll, useAsk } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import { CATALOG, DEMAND, WATCH, type MountStatus, type UsageTotal } from '../../api/types'
import type { Connector } from '../../api/watch'
import { Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { Day, When } from '../../components/when'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments } from '../../session'
import { useTitles } from '../catalogue/titles'
import { STATUS_TONES, useSaid } from './lag'

const TONES = { ok: 'ok', warn: 'warn', stopped: 'bad' } as const

interface Clearance {
  resource: string
  system: string
  kind: string
  not_before: string
  error: string | null
  created_at: string
}

export default function Mounts() {
  const words = useWords()
  const told = words.overview.mounts
  const language = useLanguage()
  const said = useSaid()
  const departments = useDepartments()
  const titles = useTitles()
  const mounts = useAll<MountStatus>(`${CATALOG}/mounts?limit=500`)
  const clearances = useAsk<Clearance[]>(`${CATALOG}/clearances`)
  const connectors = useAsk<{ items: Connector[] }>(`${WATCH}/connectors`)
  const totals = useAsk<UsageTotal[]>(withQuery(`${DEMAND}/usage/totals`, { by: 'resource', limit: 500 }))
  useReloadOn('catalog', mounts.reload)
  const byName = new Map((connectors.data?.items ?? []).map((one) => [one.connector, one]))
  const setAside = (totals.data ?? []).filter((one) => one.errors > 0)
  return (
    <>
      <PageHead title={told.title} lead={told.lead} />
      <Section title={told.title}>
        <Shown of={mounts} lines={6}>
          {(all) => (
            <DataTable
              caption={told.title}
              rows={all}
              rowKey={(one) => one.resource}
              empty={told.none}
              sort={{ key: 'condition', down: true }}
              tone={(one) => (one.condition === 'ok' ? undefined : one.condition === 'warn' ? 'warn' : 'bad')}
              columns={[
                {
                  key: 'resource', title: told.resource, value: (one) => titles(one.resource),
                  render: (one) => (
                    <>
                      <Link to={`/catalogue/${one.resource}?part=lineage`}>{titles(one.resource)}</Link>
                      <span className="second">{departments.name(one.department)}</span>
                    </>
                  ),
                },
                {
                  key: 'kind', title: told.kind, value: (one) => named(words.field.mountKinds, one.mount.kind),
                  render: (one) => (
                    <>
                      {named(words.field.mountKinds, one.mount.kind)}
                      <span className="second mono">{[one.mount.system, one.mount.schema, one.mount.table].filter(Boolean).join('.')}</span>
                    </>
                  ),
                },
                { key: 'condition', title: told.condition, value: (one) => ['ok', 'warn', 'stopped'].indexOf(one.condition), render: (one) => <Mark tone={TONES[one.condition]}>{named(words.field.conditions, one.condition)}</Mark> },
                {
                  key: 'connector', title: told.connector, value: (one) => one.mount.connector ?? '',
                  render: (one) => {
                    const found = byName.get(one.mount.connector ?? '')
                    return (
                      <>
                        <code>{one.mount.connector || '–'}</code>
                        {found && <span className="second"><Mark tone={STATUS_TONES[found.status]} title={said(found.reason)}>{found.state}</Mark> {told.committed} <When at={found.last_committed_at} /></span>}
                      </>
                    )
                  },
                },
                {
                  key: 'findings', title: told.findings, value: (one) => one.findings.map((it) => it.detail).join(' '),
                  render: (one) =>
                    one.findings.length ? (
                      <ul>{one.findings.map((it) => <li key={it.object + it.detail}><Mark tone={it.weight === 'stop' ? 'bad' : it.weight === 'warn' ? 'warn' : 'calm'}>{it.object}</Mark> {it.detail}</li>)}</ul>
                    ) : (
                      <span className="faint">{words.none}</span>
                    ),
                },
                { key: 'checked', title: told.checked, value: (one) => one.checked_at, render: (one) => <When at={one.checked_at} /> },
              ]}
            />
          )}
        </Shown>
      </Section>
      <div className="grid two">
        <Section title={words.overview.lag.quarantine} note={words.overview.lag.quarantineNote} aside={<Link to="/running/quarantine">{words.running.alerts.toQuarantine}</Link>}>
          <Shown of={totals}>
            {() => (
              <DataTable
                caption={words.overview.lag.quarantine}
                rows={setAside}
                rowKey={(one) => one.of}
                empty={words.overview.lag.quarantineNone}
                columns={[
                  { key: 'of', title: told.resource, value: (one) => titles(one.of), render: (one) => <Link to={`/catalogue/${one.of}`}>{titles(one.of)}</Link> },
                  { key: 'errors', title: words.overview.setAside, number: true, value: (one) => one.errors },
                  { key: 'records', title: words.overview.delivered, number: true, value: (one) => one.records, render: (one) => number(one.records, language) },
                ]}
              />
            )}
          </Shown>
        </Section>
        {clearances.data && clearances.data.length > 0 && (
          <Section title={told.clearances} note={told.clearancesNote}>
            <DataTable
              caption={told.clearances}
              rows={clearances.data}
              rowKey={(one) => `${one.resource} ${one.created_at}`}
              columns={[
                { key: 'resource', title: told.resource, value: (one) => one.resource },
                { key: 'system', title: told.system, value: (one) => one.system },
                { key: 'since', title: told.since, value: (one) => one.created_at, render: (one) => <Day on={one.created_at} /> },
                { key: 'error', title: words.overview.lag.reason, value: (one) => one.error },
              ]}
            />
          </Section>
        )}
      </div>
    </>
  )
}
