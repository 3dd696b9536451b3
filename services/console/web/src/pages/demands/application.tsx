/** Applying for data: what, which rows, why, for how long; the conditions stand beside it before anything is sent. */
import { App, Button, Checkbox, DatePicker, Form, Input, Radio, Segmented, Select, Tooltip } from 'antd'
import dayjs, { type Dayjs } from 'dayjs'
import { useEffect, useMemo, useState } from 'react'
import { useNavigate, useParams, useSearchParams } from 'react-router'
import { ask, withQuery } from '../../api/client'
import { useAsk, useDoing } from '../../api/asking'
import {
  CATALOG, DEMAND, type ClockLength, type DemandDetail, type DemandForm, type Found, type Item, type Resource, type Terms,
} from '../../api/types'
import { useDefects } from '../../components/defects'
import { Loading, ProblemView, Shown } from '../../components/states'
import { Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { day } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments } from '../../session'
import { filterOf, filterText, operatorsOf, type Filter } from './filter'
import { maskName, masksOf, MASKS, proposed, type MaskName } from './masks'

interface Fields {
  kind: 'catalogued' | 'uncatalogued'
  title: string
  resource?: string
  wanted?: string
  purpose: string
  scenario?: string
  legal_basis?: string
  frequency: DemandForm['frequency']
  channels: DemandForm['channels']
  table?: { schema: string; table: string }
  until?: Dayjs | null
  emergency?: { responsible: string; reason: string }
}

export default function Application() {
  const { id } = useParams()
  const known = useAsk<DemandDetail>(id ? `${DEMAND}/demands/${id}` : null)
  if (!id) return <Apply />
  return <Shown of={known}>{(demand) => <Apply demand={demand} etag={known.etag} />}</Shown>
}

function Apply({ demand, etag }: { demand?: DemandDetail; etag?: string | null }) {
  const words = useWords()
  const told = words.form
  const navigate = useNavigate()
  const { message } = App.useApp()
  const [params] = useSearchParams()
  const [form] = Form.useForm<Fields>()
  const doing = useDoing()
  useDefects(form, doing.problem)
  const kind = Form.useWatch('kind', form) ?? demand?.kind ?? 'catalogued'
  const channels = Form.useWatch('channels', form) ?? []
  const code = Form.useWatch('resource', form) ?? demand?.resource ?? params.get('resource')
  const asked = useAsk<Resource>(kind === 'catalogued' && code ? `${CATALOG}/resources/${code}` : null)
  const terms = asked.data?.published ?? null
  const [chosen, setChosen] = useState<Map<string, MaskName>>(new Map())
  const [filter, setFilter] = useState<Filter | null>(null)
  const [filterRaw, setFilterRaw] = useState('')
  const [urgent, setUrgent] = useState(Boolean(demand?.emergency))
  const [untouched, setUntouched] = useState(true)

  useEffect(() => {
    if (!terms) return
    const own = demand && demand.resource === terms.code
    const items = own ? terms.items.filter((one) => demand.items.includes(one.name)) : []
    setChosen(new Map(!own ? [] : items.map((one) => [one.name, maskName(demand.masks[one.name] as Record<string, unknown> | undefined) ?? 'clear'])))
    const text = own ? demand.row_filter : null
    setFilter(text ? filterOf(text) : null)
    setFilterRaw(text ?? '')
  }, [terms, demand])

  const typeOf = (name: string) => terms?.items.find((one) => one.name === name)?.type
  const rowFilter = filter ? filterText(filter, typeOf) : filterRaw.trim() || null
  const incomplete = filter !== null && rowFilter === null

  const body = (given: Fields): DemandForm => ({
    kind: given.kind,
    title: given.title,
    resource: given.kind === 'catalogued' ? (given.resource ?? null) : null,
    wanted: given.kind === 'catalogued' ? null : (given.wanted ?? null),
    items: given.kind === 'catalogued' ? [...chosen.keys()] : [],
    masks: Object.fromEntries([...chosen].flatMap(([name, mask]) => (mask === 'clear' ? [] : [[name, MASKS[mask]]]))),
    row_filter: given.kind === 'catalogued' ? rowFilter : null,
    channels: given.channels ?? ['topic'],
    table: given.channels?.includes('table') ? (given.table ?? null) : null,
    purpose: given.purpose,
    scenario: given.scenario?.trim() || null,
    legal_basis: given.legal_basis?.trim() || null,
    frequency: given.frequency,
    until: given.until ? given.until.endOf('day').toISOString() : null,
    emergency: urgent && given.emergency ? given.emergency : null,
  })

  const send = async (submit: boolean) => {
    setUntouched(false)
    if (submit && kind === 'catalogued' && (!chosen.size || incomplete)) {
      await form.validateFields().catch(() => undefined)
      return
    }
    const given = await form.validateFields().catch(() => null)
    if (!given) return
    const done = await doing.run(async () => {
      const kept = demand
        ? await ask<DemandDetail>(`${DEMAND}/demands/${demand.id}`, { method: 'PUT', body: body(given), etag: etag ?? null })
        : await ask<DemandDetail>(`${DEMAND}/demands`, { method: 'POST', body: body(given) })
      if (!submit) return kept.data
      const action = kept.data.state === 'returned' ? 'supplement' : 'submit'
      try {
        const sent = await ask<DemandDetail>(`${DEMAND}/demands/${kept.data.id}/steps`, {
          method: 'POST', body: { action }, etag: kept.etag,
        })
        return sent.data
      } catch (error) {
        // what was written is kept: whoever mends it goes on with the draft instead of making another
        if (!demand) void navigate(`/demands/${kept.data.id}/edit`, { replace: true })
        throw error
      }
    })
    if (!done) return window.scrollTo({ top: 0 })
    void message.success(submit ? told.submitted : told.saved)
    void navigate(`/demands/${done.id}`)
  }

  const initial: Partial<Fields> = demand
    ? {
        kind: demand.kind === 'catalogued' ? 'catalogued' : 'uncatalogued', title: demand.title, purpose: demand.purpose,
        frequency: demand.frequency, channels: demand.channels.filter((one) => one === 'topic' || one === 'table' || one === 'api' || one === 'product'),
        until: demand.until ? dayjs(demand.until) : null,
        ...(demand.resource ? { resource: demand.resource } : {}),
        ...(demand.wanted ? { wanted: demand.wanted } : {}),
        ...(demand.scenario ? { scenario: demand.scenario } : {}),
        ...(demand.legal_basis ? { legal_basis: demand.legal_basis } : {}),
        ...(demand.table ? { table: demand.table } : {}),
        ...(demand.emergency ? { emergency: demand.emergency } : {}),
      }
    : {
        kind: 'catalogued', frequency: 'real_time', channels: ['topic'],
        ...(params.get('resource') ? { resource: params.get('resource')! } : {}),
      }
  const notShared = terms?.sharing_type === 'not_shared'
  const returned = demand?.state === 'returned'

  return (
    <>
      <PageHead
        title={demand ? told.edit : told.title}
        lead={told.lead}
        above={[{ to: '/demands', name: words.list.title }]}
      />
      {doing.problem && <ProblemView problem={doing.problem} />}
      <div className="grid wide-left">
        <Form form={form} layout="vertical" initialValues={initial} requiredMark={false} scrollToFirstError disabled={doing.busy}>
          <Section title={told.what}>
            <Form.Item name="kind" label={told.kind}>
              <Segmented
                disabled={returned}
                options={(['catalogued', 'uncatalogued'] as const).map((value) => ({ value, label: words.field.kinds[value] }))}
              />
            </Form.Item>
            {kind === 'catalogued' ? (
              <Form.Item name="resource" label={told.resource} rules={[{ required: true, message: told.needResource }]}>
                <ResourcePicker disabled={returned} />
              </Form.Item>
            ) : (
              <Form.Item name="wanted" label={told.wanted} extra={told.wantedHint} rules={[{ required: true, message: told.need }]}>
                <Input.TextArea autoSize={{ minRows: 3 }} maxLength={4_000} />
              </Form.Item>
            )}
            <Form.Item name="title" label={told.name} rules={[{ required: true, message: told.need }]}>
              <Input placeholder={told.nameHint} maxLength={200} />
            </Form.Item>
            {terms && (
              <ItemsPicker
                items={terms.items}
                chosen={chosen}
                onChange={setChosen}
                problem={!untouched && !chosen.size ? told.needItems : undefined}
              />
            )}
          </Section>
          {terms && (
            <Section title={told.rows}>
              <RowsPicker
                items={terms.items}
                filter={filter}
                raw={filterRaw}
                text={rowFilter}
                onChange={(next) => {
                  setFilter(next)
                  setFilterRaw('')
                }}
                incomplete={!untouched && incomplete}
              />
            </Section>
          )}
          <Section title={told.why}>
            <Form.Item name="purpose" label={told.purpose} rules={[{ required: true, message: told.need }]}>
              <Input.TextArea autoSize={{ minRows: 2 }} placeholder={told.purposeHint} maxLength={4_000} />
            </Form.Item>
            <div className="grid two">
              <Form.Item name="scenario" label={`${told.scenario} ${told.optional}`}>
                <Input maxLength={2_000} />
              </Form.Item>
              <Form.Item name="legal_basis" label={terms?.sharing_type === 'conditional' ? told.basis : `${told.basis} ${told.optional}`} rules={terms?.sharing_type === 'conditional' ? [{ required: true, message: told.need }] : []}>
                <Input placeholder={told.basisHint} maxLength={2_000} />
              </Form.Item>
              <Form.Item name="frequency" label={told.frequency}>
                <Select options={(['real_time', 'daily', 'weekly', 'monthly', 'quarterly', 'yearly', 'once'] as const).map((value) => ({ value, label: words.field.cycles[value] }))} />
              </Form.Item>
              <Form.Item name="until" label={`${told.until} ${told.optional}`} extra={told.untilHint}>
                <DatePicker style={{ width: '100%' }} minDate={dayjs().add(1, 'day')} />
              </Form.Item>
              <Form.Item name="channels" label={told.channels} rules={[{ type: 'array', min: 1, message: told.need }]}>
                <Checkbox.Group options={(['topic', 'table', 'api', 'product'] as const).map((value) => ({ value, label: words.field.channels[value] }))} />
              </Form.Item>
            </div>
            {channels.includes('table') && (
              <div className="grid two">
                <Form.Item name={['table', 'schema']} label={told.tableSchema} extra={told.tableHint} rules={[{ required: true, message: told.need }]}>
                  <Input placeholder="received" maxLength={63} />
                </Form.Item>
                <Form.Item name={['table', 'table']} label={told.tableName} rules={[{ required: true, message: told.need }]}>
                  <Input placeholder="people" maxLength={63} />
                </Form.Item>
              </div>
            )}
            <Checkbox checked={urgent} disabled={terms?.grade === 'important'} onChange={(event) => setUrgent(event.target.checked)}>
              <b>{told.emergency}</b> <span className="faint">{told.emergencyLead}</span>
            </Checkbox>
            {urgent && (
              <div className="grid two" style={{ marginTop: 12 }}>
                <Form.Item name={['emergency', 'responsible']} label={told.responsible} rules={[{ required: true, message: told.need }]}>
                  <Input />
                </Form.Item>
                <Form.Item name={['emergency', 'reason']} label={told.emergencyReason} rules={[{ required: true, message: told.need }]}>
                  <Input />
                </Form.Item>
              </div>
            )}
          </Section>
        </Form>
        <div style={{ position: 'sticky', top: 70 }}>
          <Before terms={terms} kind={kind} mounted={asked.data ? asked.data.mount !== null : true} loading={asked.loading && !!code} />
          <div style={{ display: 'flex', gap: 8, marginTop: 14 }}>
            <Button type="primary" size="large" block loading={doing.busy} disabled={notShared} onClick={() => void send(true)}>
              {returned ? told.supplement : told.submit}
            </Button>
            <Button size="large" disabled={doing.busy} onClick={() => void send(false)}>
              {told.save}
            </Button>
          </div>
        </div>
      </div>
    </>
  )
}

/** What follows from submitting, as far as it is known beforehand. */
function Before({ terms, kind, mounted, loading }: { terms: Terms | null; kind: string; mounted: boolean; loading: boolean }) {
  const words = useWords()
  const language = useLanguage()
  const told = words.form
  const departments = useDepartments()
  const lengths = useAsk<ClockLength[]>(`${DEMAND}/place/clocks`)
  const length = lengths.data?.find((one) => one.clock === (kind === 'catalogued' ? 'reply' : 'accept'))?.working_days
  const due = useAsk<{ due_on: string }>(length === undefined ? null : withQuery(`${CATALOG}/place/due`, { working_days: length }))
  const dueOn = due.data?.due_on ? day(due.data.due_on, language) : '…'
  return (
    <Section title={told.before}>
      {loading && <Loading />}
      {kind !== 'catalogued' && <p className="notice">{told.uncatalogued(dueOn)}</p>}
      {kind === 'catalogued' && !terms && !loading && <p className="faint">{told.pick}</p>}
      {kind === 'catalogued' && terms && (
        <>
          {terms.sharing_type === 'unconditional' && terms.grade === 'general' && <p className="notice ok">{told.unconditional}</p>}
          {terms.sharing_type === 'conditional' && <p className="notice warn">{told.conditional(dueOn)}</p>}
          {terms.sharing_type === 'not_shared' && <p className="notice warn">{told.notShared}</p>}
          {terms.grade === 'important' && <p className="notice warn">{told.important}</p>}
          {!mounted && <p className="notice warn">{told.noMount}</p>}
          <dl className="facts" style={{ marginTop: 14 }}>
            <dt>{words.catalogue.provider}</dt>
            <dd>{departments.name(terms.department)}</dd>
            {terms.sharing_conditions && (
              <>
                <dt>{told.conditions}</dt>
                <dd>{terms.sharing_conditions}</dd>
              </>
            )}
            {terms.legal_basis && (
              <>
                <dt>{told.basis}</dt>
                <dd>{terms.legal_basis}</dd>
              </>
            )}
            <dt>{words.catalogue.terms.cycle}</dt>
            <dd>{named(words.field.cycles, terms.update_cycle)}</dd>
          </dl>
        </>
      )}
      <p className="faint" style={{ marginTop: 14 }}>{told.duty}</p>
      <p className="faint">{told.once}</p>
    </Section>
  )
}

function ResourcePicker(props: { value?: string; onChange?: (code: string) => void; disabled?: boolean; id?: string }) {
  const words = useWords()
  const [text, setText] = useState('')
  const found = useAsk<Found>(withQuery(`${CATALOG}/search`, { q: text, limit: 20, facets: false }))
  const own = useAsk<Resource>(props.value ? `${CATALOG}/resources/${props.value}` : null)
  const options = (found.data?.items ?? []).map((one) => ({ value: one.code, label: `${one.title.text} · ${one.department_name}` }))
  if (props.value && !options.some((one) => one.value === props.value)) {
    options.unshift({ value: props.value, label: own.data?.published?.title ?? props.value })
  }
  return (
    <Select
      {...(props.id ? { id: props.id } : {})}
      {...(props.value ? { value: props.value } : {})}
      {...(props.onChange ? { onChange: props.onChange } : {})}
      disabled={props.disabled === true}
      showSearch={{ filterOption: false, onSearch: setText }}
      placeholder={words.form.resourceHint}
      loading={found.loading}
      options={options}
    />
  )
}

interface ItemsProps {
  items: Item[]
  chosen: Map<string, MaskName>
  onChange: (next: Map<string, MaskName>) => void
  problem?: string | undefined
}

function ItemsPicker({ items, chosen, onChange, problem }: ItemsProps) {
  const words = useWords()
  const told = words.form
  const set = (name: string, mask: MaskName | null) => {
    const next = new Map(chosen)
    if (mask) next.set(name, mask)
    else next.delete(name)
    onChange(next)
  }
  return (
    <div role="group" aria-labelledby="items-picked">
      <p id="items-picked" style={{ color: 'var(--ink-2)' }}>{told.items}</p>
      <p className="faint">
        {told.itemsLead}{' '}
        <Button type="link" size="small" onClick={() => onChange(new Map(items.map((one) => [one.name, chosen.get(one.name) ?? proposed(one)])))}>
          {told.itemsAll}
        </Button>
        <Button type="link" size="small" onClick={() => onChange(new Map())}>{told.itemsNone}</Button>
      </p>
      {problem && <p role="alert" style={{ color: 'var(--bad)' }}>{problem}</p>}
      <div className="table-scroll" style={{ maxHeight: 420, overflow: 'auto' }} tabIndex={0}>
        <table className="table">
          <tbody>
            {items.map((one) => {
              const mask = chosen.get(one.name)
              return (
                <tr key={one.name}>
                  <td>
                    <Checkbox checked={mask !== undefined} onChange={(event) => set(one.name, event.target.checked ? proposed(one) : null)}>
                      {one.title} <span className="faint mono">{one.name}</span>
                    </Checkbox>
                  </td>
                  <td>
                    <Mark tone={one.sensitivity === 'secret' ? 'bad' : one.sensitivity === 'personal' ? 'warn' : 'calm'}>
                      {named(words.field.sensitivity, one.sensitivity)}
                    </Mark>
                  </td>
                  <td>{one.key && <span className="chip accent">{words.catalogue.items.key}</span>}</td>
                  <td style={{ width: 170 }}>
                    {mask && (
                      <Select
                        size="small"
                        style={{ width: 150 }}
                        aria-label={`${one.title}: ${told.clear}`}
                        value={mask}
                        onChange={(value: MaskName) => set(one.name, value)}
                        options={masksOf(one).map((value) => ({ value, label: told.masks[value] }))}
                      />
                    )}
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
    </div>
  )
}

interface RowsProps {
  items: Item[]
  filter: Filter | null
  /** A filter that rows of a form cannot say, kept as it is. */
  raw: string
  text: string | null
  onChange: (next: Filter | null) => void
  incomplete: boolean
}

function RowsPicker({ items, filter, raw, text, onChange, incomplete }: RowsProps) {
  const words = useWords()
  const told = words.form
  const byName = useMemo(() => new Map(items.map((one) => [one.name, one])), [items])
  const first = items[0]
  if (!first) return null
  const some = filter !== null || raw !== ''
  const set = (at: number, change: Partial<Filter['conditions'][number]>) => {
    if (!filter) return
    onChange({ ...filter, conditions: filter.conditions.map((one, other) => (other === at ? { ...one, ...change } : one)) })
  }
  return (
    <>
      <Radio.Group
        aria-label={told.rows}
        value={some}
        onChange={(event) => onChange(event.target.value ? { join: 'and', conditions: [{ item: first.name, operator: '=', value: '' }] } : null)}
        options={[{ value: false, label: told.rowsAll }, { value: true, label: told.rowsSome }]}
      />
      {filter && (
        <div style={{ display: 'grid', gap: 8, marginTop: 12 }}>
          {filter.conditions.map((one, at) => {
            const type = byName.get(one.item)?.type ?? 'string'
            const missing = one.operator === 'is null' || one.operator === 'is not null'
            return (
              <div key={at} style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>
                <Select
                  aria-label={told.item}
                  style={{ width: 190 }}
                  value={one.item}
                  showSearch={{ optionFilterProp: 'label' }}
                  onChange={(item: string) => set(at, { item, operator: '=', value: '' })}
                  options={items.map((item) => ({ value: item.name, label: item.title }))}
                />
                <Select
                  aria-label={told.operator}
                  style={{ width: 130 }}
                  value={one.operator}
                  onChange={(operator) => set(at, { operator })}
                  options={operatorsOf(type).map((value) => ({ value, label: told.operators[value] }))}
                />
                {!missing && (
                  <Tooltip title={one.operator === 'in' ? told.inHint : undefined}>
                    <Input
                      aria-label={told.value}
                      style={{ flex: 1, minWidth: 140 }}
                      value={one.value}
                      placeholder={type === 'date' ? '2026-01-31' : one.operator === 'in' ? told.inHint : ''}
                      onChange={(event) => set(at, { value: event.target.value })}
                    />
                  </Tooltip>
                )}
                <Button aria-label={told.removeRow} onClick={() => onChange(filter.conditions.length > 1 ? { ...filter, conditions: filter.conditions.filter((_, other) => other !== at) } : null)}>
                  ×
                </Button>
              </div>
            )
          })}
          <div style={{ display: 'flex', gap: 12, alignItems: 'center' }}>
            <Button onClick={() => onChange({ ...filter, conditions: [...filter.conditions, { item: first.name, operator: '=', value: '' }] })}>
              {told.addRow}
            </Button>
            {filter.conditions.length > 1 && (
              <Segmented
                aria-label={told.join}
                value={filter.join}
                onChange={(join) => onChange({ ...filter, join: join === 'or' ? 'or' : 'and' })}
                options={[{ value: 'and', label: told.joinAnd }, { value: 'or', label: told.joinOr }]}
              />
            )}
          </div>
          {incomplete && <p role="alert" style={{ color: 'var(--bad)' }}>{told.need}</p>}
        </div>
      )}
      {text && (
        <p className="faint" style={{ marginTop: 10 }}>
          {told.filterText} <code>{text}</code>
        </p>
      )}
    </>
  )
}
