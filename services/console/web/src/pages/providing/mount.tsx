/** Tying a resource to where its data really is: tried first, with all that is wrong told, then done, then seen to run. */
import { App, Button, Checkbox, Form, Input, InputNumber, Radio, Segmented, Select } from 'antd'
import { useState, type ReactNode } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { ask, withQuery } from '../../api/client'
import { useAll, useAsk, useDoing } from '../../api/asking'
import { useReloadOn } from '../../api/live'
import {
  CATALOG, type ApiPreview, type InformationSystem, type Item, type Mounted, type Preview, type Resource, type SourceTable,
  type Taken, type Terms, type Upstream,
} from '../../api/types'
import { Empty, Loading, ProblemView, Shown } from '../../components/states'
import { PageHead, Section } from '../../components/title'
import { number } from '../../format'
import { useLanguage, useWords } from '../../i18n'
import { Writer } from './credentials'
import { FilePicker } from './file'
import { Findings, Mapping } from './findings'
import { LiveMount } from './live'
import { useProvides } from './steps'
import { Tables } from './tables'

const KINDS = ['table', 'topic', 'file', 'api'] as const
type Kind = (typeof KINDS)[number]

export default function Mount() {
  const { code = '' } = useParams()
  const words = useWords()
  const told = words.providing.mount
  const provides = useProvides()
  const asked = useAsk<Resource>(`${CATALOG}/resources/${code}`)
  useReloadOn('catalog', asked.reload, code)
  const [made, setMade] = useState<Mounted | null>(null)
  return (
    <Shown of={asked} lines={8}>
      {(resource) => {
        const terms = resource.draft ?? resource.published
        const title = terms?.title ?? code
        const current = made ?? resource
        return (
          <>
            <PageHead
              title={told.title(title)}
              lead={current.mount ? undefined : told.lead}
              above={[{ to: '/providing', name: words.providing.own.title }, { to: `/catalogue/${code}`, name: title }]}
            />
            {!terms || !provides(resource.department) ? (
              <Empty title={words.providing.editor.notYours} />
            ) : current.mount ? (
              <Done resource={current} {...(made ? { made } : {})} />
            ) : terms.sharing_type === 'not_shared' ? (
              <Empty title={told.notShared} />
            ) : (
              <Wizard resource={resource} etag={asked.etag} terms={terms} made={setMade} />
            )}
          </>
        )
      }}
    </Shown>
  )
}

interface WizardProps {
  resource: Resource
  etag: string | null
  /** What is tried: the draft, where there is one. */
  terms: Terms
  made: (mounted: Mounted) => void
}

function Wizard(props: WizardProps) {
  const words = useWords()
  const told = words.providing.mount
  const { resource } = props
  const [kind, setKind] = useState<Kind>('table')
  const [chosen, setSystem] = useState<string | null>(null)
  const systems = useAll<InformationSystem>(`${CATALOG}/systems?limit=500`)
  const own = (systems.data ?? []).filter((one) => one.department === resource.department && (kind !== 'table' || one.database))
  const system = own.find((one) => one.code === chosen)?.code ?? (own.length === 1 ? own[0]!.code : null)
  return (
    <>
      {!resource.published && <p className="notice warn">{told.notPublished}</p>}
      {resource.published && resource.draft && <p className="notice">{told.draftTried}</p>}
      <Section title={told.kind}>
        <Segmented aria-label={told.kind} value={kind} onChange={setKind} options={KINDS.map((value) => ({ value, label: words.field.mountKinds[value] }))} />
        <p className="faint" style={{ margin: '8px 0 14px' }}>{told.kinds[kind]}</p>
        <label className="pair">
          <span>{told.system}</span>
          <Select
            style={{ width: 340 }}
            aria-label={told.system}
            value={system}
            onChange={setSystem}
            loading={systems.loading}
            showSearch={{ optionFilterProp: 'label' }}
            options={own.map((one) => ({ value: one.code, label: `${one.name} (${one.code})` }))}
          />
        </label>
        {systems.data && !own.length && <p className="faint">{told.noSystem} <Link to="/administration/systems">{told.register}</Link></p>}
      </Section>
      {system && kind === 'table' && <FromTable key={system} {...props} system={system} />}
      {system && kind === 'api' && <FromApi key={system} {...props} system={system} />}
      {system && (kind === 'topic' || kind === 'file') && <Plain {...props} system={system} kind={kind} />}
    </>
  )
}

/** Does the mounting, and tells what stands against it. */
function useMounting({ resource, etag, made }: WizardProps) {
  const doing = useDoing()
  const mount = async (body: object) => {
    const done = await doing.run(() => ask<Mounted>(`${CATALOG}/resources/${resource.code}/mount`, { method: 'PUT', etag, body }))
    if (done) made(done.data)
  }
  return { doing, mount }
}

function MountButton({ onMount, doing, disabled, children }: { onMount: () => void; doing: ReturnType<typeof useDoing>; disabled: boolean; children?: ReactNode }) {
  const words = useWords()
  const told = words.providing.mount
  return (
    <div style={{ marginTop: 14 }}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Button type="primary" size="large" loading={doing.busy} disabled={disabled} onClick={onMount}>{told.act}</Button>{' '}
      {doing.busy && <span role="status" className="faint">{told.acting}</span>}
      {children}
    </div>
  )
}

function Plain(props: WizardProps & { system: string; kind: 'topic' | 'file' }) {
  const words = useWords()
  const told = words.providing.mount
  const { doing, mount } = useMounting(props)
  return (
    <Section title={told.act}>
      <p>{props.kind === 'topic' ? told.credentialsOnce : told.fileLead}</p>
      <MountButton doing={doing} disabled={!props.resource.published} onMount={() => void mount({ kind: props.kind, system: props.system })} />
    </Section>
  )
}

function FromTable(props: WizardProps & { system: string }) {
  const words = useWords()
  const told = words.providing.mount
  const { resource, etag, terms, system } = props
  const navigate = useNavigate()
  const { message } = App.useApp()
  const [table, setTable] = useState<SourceTable | null>(null)
  const [columns, setColumns] = useState<Record<string, string>>({})
  const [found, setFound] = useState<Preview | null>(null)
  const looking = useDoing()
  const writing = useDoing()
  const { doing, mount } = useMounting(props)

  const preview = (of: SourceTable, tried: Record<string, string>) =>
    ask<Preview>(`${CATALOG}/resources/${resource.code}/mount/preview`, { method: 'POST', body: { system, schema: of.schema, table: of.table, columns: tried } })
  const look = (of: SourceTable, tried: Record<string, string> | null) =>
    looking.run(async () => {
      let { data } = await preview(of, tried ?? {})
      let taken = tried ?? {}
      if (!tried) {
        // what the exchange proposes where the draft names a column that is not there is tried at once
        const there = new Set(data.columns.map((one) => one.name))
        const proposed = data.proposals.filter((one) => one.column && !there.has(terms.items.find((item) => item.name === one.item)?.column ?? ''))
        taken = Object.fromEntries(proposed.map((one) => [one.item, one.column!]))
        if (proposed.length) data = (await preview(of, taken)).data
      }
      setColumns(taken)
      setFound(data)
      return data
    })
  const pick = (of: SourceTable) => {
    setTable(of)
    setFound(null)
    void look(of, null)
  }
  const columnOf = (item: Item) => columns[item.name] ?? (item.column || item.name)
  const differs = terms.items.some((item) => columnOf(item) !== (item.column || item.name))
  const editable = resource.actions.includes('submit')
  const write = async () => {
    const path = `${CATALOG}/resources/${resource.code}`
    const kept = await writing.run(async () => {
      const begun = editable ? { data: resource, etag } : await ask<Resource>(`${path}/steps`, { method: 'POST', etag, body: { action: 'revise' } })
      const draft = begun.data.draft ?? terms
      return ask<Resource>(`${path}/draft`, { method: 'PUT', etag: begun.etag, body: { ...draft, items: draft.items.map((one) => ({ ...one, column: columns[one.name] ?? one.column })) } })
    })
    if (!kept) return
    void message.success(told.wrote)
    void navigate(`/catalogue/${resource.code}/edit`)
  }
  const sources = (found?.columns ?? []).map((one) => ({ ...one }))
  return (
    <>
      <Tables system={system} chosen={table} onPick={pick} />
      {looking.problem && <Section title={told.findings}><ProblemView problem={looking.problem} {...(table ? { retry: () => void look(table, columns) } : {})} /></Section>}
      {looking.busy && !found && <Section title={told.trying}><Loading lines={4} /></Section>}
      {found && table && (
        <>
          <Mapping
            items={terms.items}
            sources={sources}
            found={found}
            chosen={columnOf}
            disabled={looking.busy}
            onChoose={(item, column) => {
              const next = { ...columns, [item.name]: column }
              setColumns(next)
              void look(table, next)
            }}
          />
          <Findings found={found} items={terms.items}>
            {differs ? (
              <div style={{ marginTop: 14 }}>
                {writing.problem && <ProblemView problem={writing.problem} />}
                {resource.published && <p className="notice warn">{told.differs}</p>}
                <Button size="large" style={{ marginTop: 10 }} loading={writing.busy} disabled={!editable && !resource.actions.includes('revise')} onClick={() => void write()}>
                  {resource.draft ? told.writeDraft : told.write}
                </Button>
              </div>
            ) : (
              <MountButton
                doing={doing}
                disabled={!resource.published || found.defects.length > 0 || looking.busy}
                onMount={() => void mount({ kind: 'table', system, schema: table.schema, table: table.table })}
              />
            )}
          </Findings>
        </>
      )}
    </>
  )
}

const PAGINGS = ['none', 'cursor', 'page', 'link'] as const

function FromApi(props: WizardProps & { system: string }) {
  const words = useWords()
  const language = useLanguage()
  const told = words.providing.mount
  const { terms, system, resource } = props
  const [form] = Form.useForm<Upstream>()
  const [fields, setFields] = useState<Record<string, string>>({})
  const [found, setFound] = useState<ApiPreview | null>(null)
  const looking = useDoing()
  const { doing, mount } = useMounting(props)
  const paging = Form.useWatch(['paging', 'kind'], form) ?? 'none'
  const upstream = (given: Upstream, at: Record<string, string>): Upstream => ({
    ...given, fields: at, secret: given.secret?.trim() || null,
    paging: { kind: given.paging.kind, parameter: given.paging.parameter ?? '', pointer: given.paging.pointer ?? '', first: given.paging.first ?? 1 },
  })
  const preview = (given: Upstream, at: Record<string, string>) =>
    ask<ApiPreview>(`${CATALOG}/resources/${resource.code}/mount/upstream/preview`, { method: 'POST', body: { upstream: upstream(given, at) } })
  const look = async (at: Record<string, string> | null) => {
    const given = await form.validateFields().catch(() => null)
    if (!given) return
    await looking.run(async () => {
      let { data } = await preview(given, at ?? {})
      let taken = at ?? {}
      if (!at) {
        taken = Object.fromEntries(data.proposals.flatMap((one) => (one.column ? [[one.item, one.column]] : [])))
        data = (await preview(given, taken)).data
      }
      setFields(taken)
      setFound(data)
      return data
    })
  }
  const here = told.api
  const need = [{ required: true, message: words.form.need }]
  return (
    <>
      <Section title={words.field.mountKinds.api}>
        <Form form={form} layout="vertical" requiredMark="optional" initialValues={{ url: '', rows: '', paging: { kind: 'none', first: 1 }, header: 'Authorization', every_seconds: 60, may_be_empty: false }} onValuesChange={() => setFound(null)}>
          <Form.Item name="url" label={here.url} rules={need}><Input className="mono" placeholder="https://api.example.gov.cn/persons?size=500" maxLength={2_000} /></Form.Item>
          <div className="grid two">
            <Form.Item name="rows" label={here.rows} extra={here.rowsHint}><Input className="mono" /></Form.Item>
            <Form.Item name={['paging', 'kind']} label={here.paging}><Select options={PAGINGS.map((value) => ({ value, label: here.pagings[value] }))} /></Form.Item>
            {(paging === 'cursor' || paging === 'page') && <Form.Item name={['paging', 'parameter']} label={here.parameter} rules={need}><Input className="mono" placeholder={paging} /></Form.Item>}
            {paging === 'cursor' && <Form.Item name={['paging', 'pointer']} label={here.pointer} rules={need}><Input className="mono" placeholder="/data/next" /></Form.Item>}
            <Form.Item name="header" label={here.header}><Input className="mono" /></Form.Item>
            <Form.Item name="secret" label={here.secret} extra={here.secretHint}><Input.Password autoComplete="new-password" /></Form.Item>
            <Form.Item name="every_seconds" label={here.every}><InputNumber min={1} max={31_622_400} style={{ width: '100%' }} /></Form.Item>
            <Form.Item name="may_be_empty" valuePropName="checked" label={here.empty}><Checkbox>{here.empty}</Checkbox></Form.Item>
          </div>
        </Form>
        {looking.problem && <ProblemView problem={looking.problem} />}
        <Button loading={looking.busy} onClick={() => void look(null)}>{here.try}</Button>
      </Section>
      {found && (
        <>
          <Mapping
            items={terms.items}
            sources={found.fields.map((one) => ({ name: one.pointer, type: one.type }))}
            found={found}
            chosen={(item) => fields[item.name] ?? ''}
            disabled={looking.busy}
            onChoose={(item, pointer) => {
              const next = { ...fields, [item.name]: pointer }
              setFields(next)
              void look(next)
            }}
          />
          <Findings found={found} items={terms.items}>
            <p className="faint">{here.pages(number(found.pages, language), number(found.sampled, language))}</p>
            <MountButton
              doing={doing}
              disabled={!resource.published || found.defects.length > 0 || looking.busy}
              onMount={() => void mount({ kind: 'api', system, upstream: upstream(form.getFieldsValue(true) as Upstream, fields) })}
            />
          </Findings>
        </>
      )}
    </>
  )
}

/** What was mounted, running; with what a kind needs from then on. */
function Done({ resource, made }: { resource: Resource; made?: Mounted }) {
  const words = useWords()
  const told = words.providing.mount
  const mount = resource.mount!
  return (
    <>
      <div className="notice ok" role="status">
        <b>{made ? told.live : told.already}</b> {told.liveMore(mount.topic ?? '')} <Link to={`/catalogue/${resource.code}`}>{told.toResource}</Link>
      </div>
      {mount.kind === 'topic' && <Writer code={resource.code} {...(made ? { first: made.credentials } : {})} />}
      {mount.kind === 'file' && <Files code={resource.code} />}
      <LiveMount code={resource.code} />
    </>
  )
}

function Files({ code }: { code: string }) {
  const words = useWords()
  const language = useLanguage()
  const told = words.providing.mount
  const doing = useDoing()
  const [mode, setMode] = useState<'full' | 'changes'>('full')
  const [file, setFile] = useState<File | null>(null)
  const [taken, setTaken] = useState<Taken | null>(null)
  const send = async () => {
    if (!file) return
    setTaken(null)
    const done = await doing.run(() => ask<Taken>(withQuery(`${CATALOG}/resources/${code}/mount/files`, { mode }), { method: 'POST', file }))
    if (done) setTaken(done.data)
  }
  const said = (value: number) => number(value, language)
  return (
    <Section title={told.file} note={told.fileLead}>
      <Radio.Group aria-label={told.mode} value={mode} onChange={(event) => setMode(event.target.value as 'full' | 'changes')} options={(['full', 'changes'] as const).map((value) => ({ value, label: told.modes[value] }))} />
      <div className="pair" style={{ margin: '12px 0' }}>
        <FilePicker label={told.choose} file={file} onChange={setFile} />
        <Button type="primary" disabled={!file} loading={doing.busy} onClick={() => void send()}>{told.upload}</Button>
      </div>
      {doing.problem && <ProblemView problem={doing.problem} />}
      {taken && <p className="notice ok" role="status">{told.taken(said(taken.rows), said(taken.created), said(taken.updated), said(taken.deleted))}</p>}
    </Section>
  )
}
