/** One resource: what is in it, on what terms, where it comes from, who uses it, how it became what it is. */
import { Button, Segmented, Tabs, Tooltip } from 'antd'
import { useMemo, useState } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import { useAsk } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import {
  CATALOG, type Contract, type Item, type Lineage, type Related, type Resource, type Terms,
  type Uses, type Version,
} from '../../api/types'
import { Snippet } from '../../components/copy'
import { Facts, type Fact } from '../../components/facts'
import { Empty, Shown } from '../../components/states'
import { DataTable, type Column } from '../../components/table'
import { GRADE_TONES, Mark, SHARING_TONES } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { Day, When } from '../../components/when'
import { duration, number } from '../../format'
import { named, useLanguage, useWords, type Words } from '../../i18n'
import { useDepartments, useRoles } from '../../session'
import { Writer } from '../providing/credentials'
import { LiveMount } from '../providing/live'
import { ResourceSteps, useProvides } from '../providing/steps'
import { Differences } from './differences'
import { LineageGraph } from './lineage'

export default function ResourcePage() {
  const { code = '' } = useParams()
  const words = useWords()
  const asked = useAsk<Resource>(`${CATALOG}/resources/${code}`)
  useReloadOn('catalog', asked.reload, code)
  return (
    <Shown of={asked} lines={8}>
      {(resource) => {
        const terms = resource.published ?? resource.draft
        return terms ? <ResourceView resource={resource} terms={terms} etag={asked.etag} reload={asked.reload} /> : <Empty title={words.state.notFound} />
      }}
    </Shown>
  )
}

function ResourceView({ resource, terms, etag, reload }: { resource: Resource; terms: Terms; etag: string | null; reload: () => void }) {
  const words = useWords()
  const departments = useDepartments()
  const navigate = useNavigate()
  const may = useRoles()
  const [params, setParams] = useSearchParams()
  const { code } = resource
  const shared = terms.sharing_type !== 'not_shared'
  const applies = may('consumer')
  const why = !shared ? words.catalogue.cannotApply : !applies ? words.catalogue.noPermission : undefined
  const parts = [
    { key: 'items', children: <Items items={terms.items} /> },
    { key: 'terms', children: <TermsView resource={resource} terms={terms} /> },
    { key: 'contract', children: <ContractView code={code} /> },
    { key: 'lineage', children: <LineageView resource={resource} /> },
    { key: 'uses', children: <UsesView code={code} items={terms.items} /> },
    { key: 'history', children: <History code={code} /> },
  ] as const
  return (
    <>
      <PageHead
        title={terms.title}
        above={[{ to: '/catalogue', name: words.catalogue.title }]}
        lead={terms.abstract}
        actions={
          <>
            <ResourceSteps resource={resource} etag={etag} done={reload} />
            {(applies || !resource.actions.length) && (
              <Tooltip title={why}>
                <Button type="primary" size="large" disabled={!!why} onClick={() => void navigate(`/demands/new?resource=${code}`)}>
                  {words.catalogue.apply}
                </Button>
              </Tooltip>
            )}
          </>
        }
      />
      <div className="hit-meta" style={{ marginBottom: 14, fontSize: 13.5 }}>
        <span>{departments.name(terms.department)}</span>
        <Mark tone={SHARING_TONES[terms.sharing_type] ?? 'calm'}>{named(words.field.sharing, terms.sharing_type)}</Mark>
        <Mark tone={GRADE_TONES[terms.grade] ?? 'calm'}>{named(words.field.grades, terms.grade)}</Mark>
        <span>{named(words.field.cycles, terms.update_cycle)}</span>
        <span className="mono">{resource.catalogue_code}</span>
        {resource.mount && (
          <Mark tone={resource.mount.halted ? 'bad' : 'ok'}>
            {words.providing.live.mounted} · {named(words.field.mountKinds, resource.mount.kind)}
          </Mark>
        )}
        {resource.state !== 'published' && (
          <Mark tone="warn">{named(words.field.resourceStates, resource.state)}</Mark>
        )}
      </div>
      {shared && terms.sharing_conditions && (
        <p className="notice">
          <b>{words.catalogue.terms.conditions}</b> {terms.sharing_conditions}
        </p>
      )}
      {resource.mount?.halted && (
        <p className="notice warn">
          <b>{words.catalogue.mount.halted}</b> {resource.mount.halted}
        </p>
      )}
      <Tabs
        activeKey={params.get('part') ?? 'items'}
        onChange={(part) => setParams(part === 'items' ? {} : { part }, { replace: true })}
        items={parts.map((one) => ({ ...one, label: words.catalogue.tabs[one.key] }))}
      />
    </>
  )
}

export function Items({ items }: { items: Item[] }) {
  const words = useWords()
  const told = words.catalogue.items
  const columns: Column<Item>[] = [
    {
      key: 'title', title: told.title, value: (one) => one.title,
      render: (one) => (
        <>
          {one.title}
          {one.description && <span className="second">{one.description}</span>}
        </>
      ),
    },
    { key: 'name', title: told.name, value: (one) => one.name, render: (one) => <code>{one.name}</code> },
    {
      key: 'type', title: told.type, value: (one) => named(words.field.types, one.type),
      render: (one) => `${named(words.field.types, one.type)}${one.length ? ` (${one.length}${one.scale ? `, ${one.scale}` : ''})` : ''}`,
    },
    {
      key: 'marks', title: '', value: (one) => [one.key && told.key, one.query_key && told.query, one.nullable && told.nullable].filter(Boolean).join(' '),
      render: (one) => (
        <span className="chips">
          {one.key && <span className="chip accent">{told.key}</span>}
          {one.query_key && <span className="chip">{told.query}</span>}
        </span>
      ),
    },
    {
      key: 'sensitivity', title: told.sensitivity, value: (one) => named(words.field.sensitivity, one.sensitivity),
      render: (one) => (
        <Mark tone={one.sensitivity === 'secret' ? 'bad' : one.sensitivity === 'personal' ? 'warn' : 'calm'}>
          {named(words.field.sensitivity, one.sensitivity)}
        </Mark>
      ),
    },
    { key: 'standard', title: told.standard, value: (one) => one.standard },
    { key: 'codes', title: told.codes, value: (one) => one.code_list },
    { key: 'unit', title: told.unit, value: (one) => one.unit, hidden: items.every((one) => !one.unit) },
  ]
  return (
    <Section title={words.catalogue.tabs.items}>
      <DataTable rows={items} columns={columns} rowKey={(one) => one.name} caption={words.catalogue.tabs.items} />
    </Section>
  )
}

/** The terms, name by name. */
export function termsFacts(words: Words, resource: Resource, terms: Terms): Fact[] {
  const told = words.catalogue.terms
  return [
    [told.sharing, named(words.field.sharing, terms.sharing_type)],
    [told.conditions, terms.sharing_conditions],
    [told.basis, terms.legal_basis],
    [told.channels, (terms.sharing_channels ?? []).map((one) => named(words.field.channels, one)).join(' · ')],
    [told.grade, `${named(words.field.grades, terms.grade)}${terms.grade_level ? ` · ${terms.grade_level} ${told.level}` : ''}`],
    [told.cycle, named(words.field.cycles, terms.update_cycle)],
    [told.scenario, terms.scenario],
    [told.service, terms.service_item],
    [told.category, terms.category],
    [told.openness, terms.openness?.open ? (terms.openness.conditions ?? told.open) : told.notOpen],
    [told.keywords, (terms.keywords ?? []).join('、')],
    [told.published, <When key="at" at={resource.published_at} />],
    [told.updated, <When key="at" at={resource.updated_at} />],
  ]
}

function TermsView({ resource, terms }: { resource: Resource; terms: Terms }) {
  const words = useWords()
  return (
    <div className="grid wide-left">
      <Section title={words.catalogue.tabs.terms}>
        <Facts facts={termsFacts(words, resource, terms)} />
      </Section>
      <RelatedView code={resource.code} />
    </div>
  )
}

function RelatedView({ code }: { code: string }) {
  const words = useWords()
  const related = useAsk<Related>(`${CATALOG}/resources/${code}/related`)
  return (
    <Section title={words.catalogue.related.title}>
      <Shown of={related}>
        {({ items }) => (
          <ul className="feed">
            {items.length === 0 && <li>{words.none}</li>}
            {items.map((one) => (
              <li key={one.code} style={{ display: 'block' }}>
                <Link to={`/catalogue/${one.code}`}>{one.title}</Link>
                <span className="faint">
                  {' '}
                  {one.department_name} · {one.reasons.map((reason) => named(words.catalogue.related, reason)).join(' · ')}
                </span>
              </li>
            ))}
          </ul>
        )}
      </Shown>
    </Section>
  )
}

function ContractView({ code }: { code: string }) {
  const words = useWords()
  const language = useLanguage()
  const told = words.catalogue.contract
  const asked = useAsk<Contract>(`${CATALOG}/resources/${code}/contract`)
  return (
    <Shown of={asked}>
      {(contract) => (
        <div className="stack">
          <Section title={told.title} aside={<a href={`${CATALOG}/odcs/${code}`}>{told.download}</a>}>
            <dl className="facts columns">
              <div><dt>{told.version}</dt><dd>{contract.version}</dd></div>
              <div><dt>{told.subject}</dt><dd className="mono">{contract.subject ?? '–'}</dd></div>
              <div><dt>{told.delay}</dt><dd>{contract.service_level.max_delay_seconds ? duration(contract.service_level.max_delay_seconds * 1_000, language) : '–'}</dd></div>
              <div><dt>{told.availability}</dt><dd>{contract.service_level.availability_percent ? `${contract.service_level.availability_percent} %` : '–'}</dd></div>
              <div><dt>{told.retention}</dt><dd>{number(contract.service_level.retention_days, language)}</dd></div>
            </dl>
          </Section>
          <Section title={told.rules}>
            <DataTable
              caption={told.rules}
              rows={contract.rules}
              rowKey={(one) => one.id}
              empty={told.noRules}
              columns={[
                { key: 'id', title: told.rule, value: (one) => one.id, render: (one) => <code>{one.id}</code> },
                { key: 'kind', title: words.catalogue.mount.kind, value: (one) => one.kind },
                { key: 'items', title: told.items, value: (one) => one.items.join(', ') },
                { key: 'parameters', title: told.parameters, value: (one) => JSON.stringify(one.parameters ?? {}) },
                {
                  key: 'severity', title: told.severity, value: (one) => (one.severity === 'warning' ? told.warning : told.error),
                },
              ]}
            />
          </Section>
          {contract.row && (
            <Section title={told.schema}>
              <Snippet text={JSON.stringify(contract.row, null, 2)} label={told.schema} />
            </Section>
          )}
        </div>
      )}
    </Shown>
  )
}

function LineageView({ resource }: { resource: Resource }) {
  const words = useWords()
  const provides = useProvides()(resource.department)
  const asked = useAsk<Lineage>(`${CATALOG}/resources/${resource.code}/lineage`)
  return (
    <div className="stack">
      <Section title={words.catalogue.lineage.title} note={resource.mount ? words.catalogue.lineage.lead : words.catalogue.lineage.none}>
        <Shown of={asked}>{(lineage) => <LineageGraph lineage={lineage} />}</Shown>
      </Section>
      {provides && resource.mount && <LiveMount code={resource.code} />}
      {provides && resource.mount?.kind === 'topic' && <Writer code={resource.code} />}
    </div>
  )
}

function UsesView({ code, items }: { code: string; items: Item[] }) {
  const words = useWords()
  const departments = useDepartments()
  const told = words.catalogue.uses_
  const asked = useAsk<Uses>(`${CATALOG}/resources/${code}/uses`)
  const title = (name: string) => items.find((one) => one.name === name)?.title ?? name
  return (
    <Section title={told.title}>
      <Shown of={asked}>
        {(uses) => (
          <DataTable
            caption={told.title}
            rows={uses.items}
            rowKey={(one) => one.grant}
            empty={told.none}
            columns={[
              {
                key: 'department', title: told.department, value: (one) => departments.name(one.department),
                render: (one) => <Link to={`/data/${one.grant}`}>{departments.name(one.department)}</Link>,
              },
              { key: 'purpose', title: told.purpose, value: (one) => one.purpose },
              { key: 'items', title: told.items, value: (one) => one.items.map(title).join('、') },
              { key: 'channels', title: told.channels, value: (one) => one.channels.map((it) => named(words.field.channels, it)).join(' · ') },
              { key: 'until', title: told.until, value: (one) => one.valid_to ?? told.forEver, render: (one) => (one.valid_to ? <Day on={one.valid_to} /> : told.forEver) },
            ]}
          />
        )}
      </Shown>
    </Section>
  )
}

function History({ code }: { code: string }) {
  const words = useWords()
  const told = words.catalogue.history
  const asked = useAsk<Version[]>(`${CATALOG}/resources/${code}/versions`)
  const [chosen, choose] = useState<number | null>(null)
  const versions = useMemo(() => [...(asked.data ?? [])].sort((a, b) => b.version - a.version), [asked.data])
  const after = chosen ?? versions[0]?.version ?? null
  return (
    <Section title={told.title}>
      <Shown of={asked}>
        {() => (
          <>
            <Segmented
              aria-label={told.version}
              value={after ?? 0}
              onChange={(value) => choose(Number(value))}
              options={versions.slice(0, 12).map((one) => ({ value: one.version, label: `${told.version} ${one.version}` }))}
            />
            {versions
              .filter((one) => one.version === after)
              .map((one) => (
                <p key={one.version} className="faint" style={{ margin: '10px 0' }}>
                  {told.contract} {one.contract_version} · <When at={one.published_at} />
                </p>
              ))}
            {after !== null && after > 1 ? <Differences code={code} before={after - 1} after={after} /> : <p>{told.none}</p>}
          </>
        )}
      </Shown>
    </Section>
  )
}
