/** Writing a resource: a draft that is kept whenever its writer likes, with what is wrong beside each field. */
import { App, Button, Checkbox, Form, Input, InputNumber, Modal, Radio, Segmented, Select } from 'antd'
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode, type RefObject } from 'react'
import { useBlocker, useNavigate, useParams } from 'react-router'
import { ask, Refused, withQuery, type Answer } from '../../api/client'
import { useAll, useAsk, useDoing } from '../../api/asking'
import {
  CATALOG, type Category, type Check, type CodeListName, type Found, type Resource, type ResourceStep, type ServiceItem, type Terms,
} from '../../api/types'
import { Empty, Loading, ProblemView, Shown } from '../../components/states'
import { Mark } from '../../components/tag'
import { PageHead, Section } from '../../components/title'
import { DueBy, When } from '../../components/when'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments, useMe, useRoles } from '../../session'
import { useTitles } from '../catalogue/titles'
import { DraftChecked, useFieldName } from './check'
import { ItemsOfTable } from './columns'
import { blank, differing, draftOf, hintsOf, pinned, same, termsOf, touched, withoutBlanks, type Draft, type Fault, type Row } from './draft'
import { ItemsTable } from './items'
import { RulesTable } from './rules'
import { ResourceSteps, useProvides } from './steps'
import { RulesTrial } from './trial'

export default function Editor() {
  const { code } = useParams()
  return code ? <Known key={code} code={code} /> : <New />
}

function New() {
  const me = useMe()
  const first = useMemo(() => blank(me.department ?? ''), [me.department])
  return <Writing first={first} />
}

function Known({ code }: { code: string }) {
  const words = useWords()
  const told = words.providing.editor
  const provides = useProvides()
  const asked = useAsk<Resource>(`${CATALOG}/resources/${code}`)
  const begun = useRef<{ first: Draft; resource: Resource; etag: string | null } | null>(null)
  // what was read before is no state to write from; and what is written stays, whatever is read later
  if (!begun.current && !asked.loading && asked.data?.draft && asked.data.actions.includes('submit')) {
    begun.current = { first: draftOf(asked.data.draft), resource: asked.data, etag: asked.etag }
  }
  if (begun.current) return <Writing {...begun.current} />
  if (asked.loading) return <Loading lines={8} />
  return (
    <Shown of={asked}>
      {(resource) => {
        const why =
          !provides(resource.department) ? told.notYours
          : resource.state === 'in_review' ? told.waits
          : resource.state === 'withdrawn' ? told.gone
          : told.begin
        const title = (resource.published ?? resource.draft)?.title ?? code
        return (
          <>
            <PageHead title={told.edit(title)} above={[{ to: '/providing', name: words.providing.own.title }, { to: `/catalogue/${code}`, name: title }]} />
            <Empty title={named(words.field.resourceStates, resource.state)} action={<div className="page-actions" style={{ justifyContent: 'center' }}><ResourceSteps resource={resource} etag={asked.etag} done={asked.reload} /></div>}>
              {why}
            </Empty>
          </>
        )
      }}
    </Shown>
  )
}

type Theirs = Answer<Resource>
type Control = { id: string; 'aria-invalid'?: boolean; 'aria-describedby'?: string }

function Writing({ first, resource, etag }: { first: Draft; resource?: Resource; etag?: string | null }) {
  const words = useWords()
  const told = words.providing.editor
  const language = useLanguage()
  const navigate = useNavigate()
  const may = useRoles()
  const { message } = App.useApp()
  const departments = useDepartments()
  const doing = useDoing()
  const nameOf = useFieldName()
  const [draft, setDraft] = useState(first)
  const [kept, setKept] = useState<{ draft: Draft; etag: string | null; resource: Resource | undefined }>({ draft: first, etag: etag ?? null, resource })
  const [faults, setFaults] = useState<Fault[]>([])
  const [theirs, setTheirs] = useState<Theirs | null>(null)
  const [submitting, setSubmitting] = useState(false)
  const leaving = useRef(false)
  const code = kept.resource?.code
  const dirty = !same(draft, kept.draft)
  const hints = hintsOf(draft, words.providing.hints)
  const all = useMemo(() => {
    const known = new Set(faults.map((one) => one.pointer))
    return [...faults, ...hints.filter((one) => !known.has(one.pointer))]
  }, [faults, hints])

  const check = useCallback(async (of: Draft, at: string) => {
    const { data } = await ask<Check>(`${CATALOG}/resources/${at}/check`)
    setFaults(data.defects.map((one) => pinned(one, of)))
  }, [])
  useEffect(() => {
    // a draft that is opened again says what was still missing, and so it does in another language
    if (code) check(kept.draft, code).catch(() => undefined)
  }, [language])

  const mend = useCallback((pointer: string) => setFaults((said) => said.filter((one) => !touched(one.pointer, pointer))), [])
  const set = (change: Partial<Draft>) => {
    setDraft((before) => ({ ...before, ...change }))
    for (const name of Object.keys(change)) mend(`/${name}`)
  }
  const setItems = useCallback(
    (change: (rows: Row[]) => Row[], pointer: string) => {
      setDraft((before) => ({ ...before, items: change(before.items) }))
      mend(pointer)
    },
    [mend],
  )

  const send = (terms: Terms, tag: string | null) =>
    code
      ? ask<Resource>(`${CATALOG}/resources/${code}/draft`, { method: 'PUT', body: terms, etag: tag })
      : ask<Resource>(`${CATALOG}/resources`, { method: 'POST', body: terms })

  /** Keeps the draft; answers the resource, or undefined where it was not kept. */
  const save = async (tag = kept.etag): Promise<Resource | undefined> => {
    const written = withoutBlanks(draft)
    setDraft(written)
    const done = await doing.run(async () => {
      try {
        return await send(termsOf(written), tag)
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        if (error.slug === 'changed-meanwhile') setTheirs(await ask<Resource>(`${CATALOG}/resources/${code}`))
        else setFaults((error.problem.errors ?? []).map((one) => pinned(one, written)))
        throw error
      }
    })
    if (!done?.data.draft) {
      window.scrollTo({ top: 0 })
      return undefined
    }
    setTheirs(null)
    const now = draftOf(done.data.draft, written)
    setDraft(now)
    setKept({ draft: now, etag: done.etag, resource: done.data })
    await check(now, done.data.code)
    return done.data
  }
  const keep = async () => {
    const saved = await save()
    if (!saved) return
    void message.success(told.saved)
    if (!code) {
      leaving.current = true
      void navigate(`/catalogue/${saved.code}/edit`, { replace: true })
    }
  }
  const begin = async () => {
    if ((dirty || !code) && !(await save())) return
    setSubmitting(true)
  }

  const idOf = (pointer: string) => `field${pointer.replaceAll('/', '-')}`
  const field = (pointer: string, label: string, control: (props: Control) => ReactNode, more: { optional?: boolean; extra?: ReactNode } = {}) => {
    const said = all.filter((one) => one.pointer === pointer)
    const id = idOf(pointer)
    return (
      <Form.Item
        label={more.optional ? `${label} ${told.optional}` : label}
        htmlFor={id}
        extra={more.extra}
        {...(said.length ? { validateStatus: 'error' as const, help: <span id={`${id}-said`}>{said.map((one) => one.detail).join(' ')}</span> } : {})}
      >
        {control({ id, ...(said.length ? { 'aria-invalid': true, 'aria-describedby': `${id}-said` } : {}) })}
      </Form.Item>
    )
  }
  const text = (name: 'sharing_conditions' | 'legal_basis' | 'scenario' | 'provision_channel' | 'data_class', label: string, more: { optional?: boolean; extra?: ReactNode; long?: boolean } = {}) =>
    field(
      `/${name}`, label,
      (props) =>
        more.long ? (
          <Input.TextArea {...props} value={draft[name] ?? ''} autoSize={{ minRows: 2 }} maxLength={2_000} onChange={(event) => set({ [name]: event.target.value })} />
        ) : (
          <Input {...props} value={draft[name] ?? ''} maxLength={200} onChange={(event) => set({ [name]: event.target.value })} />
        ),
      more,
    )
  const amount = (name: 'max_delay_seconds' | 'retention_days', label: string, most: number) =>
    field(
      `/service_level/${name}`, label,
      (props) => <InputNumber {...props} style={{ width: '100%' }} min={1} max={most} value={draft.service_level[name] ?? null} onChange={(value) => set({ service_level: { ...draft.service_level, [name]: value } })} />,
      { optional: true },
    )
  const choices = <T extends string>(values: readonly T[], names: Readonly<Record<T, string>>) => values.map((value) => ({ value, label: names[value] }))
  const title = kept.resource ? told.edit(draft.title || kept.resource.code) : told.new
  const returned = kept.resource?.tasks.find((one) => one.clock === 'update')

  return (
    <div className="writing">
      <PageHead
        title={title}
        lead={told.lead}
        above={[{ to: '/providing', name: words.providing.own.title }, ...(kept.resource ? [{ to: `/catalogue/${kept.resource.code}`, name: kept.draft.title }] : [])]}
      />
      {kept.resource && (
        <div className="hit-meta" style={{ marginBottom: 14, fontSize: 13.5 }}>
          <Mark tone="warn">{named(words.field.resourceStates, kept.resource.state)}</Mark>
          <span className="mono">{kept.resource.catalogue_code}</span>
          <span>{told.written('')}<When at={kept.resource.updated_at} /></span>
          {returned && <DueBy on={returned.due_on} overdue={returned.overdue} provisional={returned.provisional} />}
        </div>
      )}
      {kept.resource && <Returned code={kept.resource.code} />}
      {theirs ? (
        <Conflict
          mine={draft}
          theirs={theirs}
          take={(found) => {
            const now = draftOf(found.data.draft ?? termsOf(draft))
            setDraft(now)
            setKept({ draft: now, etag: found.etag, resource: found.data })
            setTheirs(null)
            doing.clear()
            void check(now, found.data.code)
          }}
          keep={(found) => void save(found.etag)}
        />
      ) : (
        doing.problem && !doing.problem.errors?.length && <ProblemView problem={doing.problem} />
      )}
      {faults.length > 0 && (
        <div className="problem" role="alert">
          <p className="problem-title">{doing.problem?.errors?.length ? doing.problem.title : told.todo(number(faults.length, language))}</p>
          <p className="faint">{told.todoNote}</p>
          <ul>
            {faults.map((one) => (
              <li key={one.pointer + one.detail}>
                <button type="button" className="linklike" onClick={() => goTo(idOf(one.pointer))}>{nameOf(one, draft)}</button> {one.detail}
              </li>
            ))}
          </ul>
        </div>
      )}
      <Form layout="vertical" requiredMark={false} disabled={doing.busy} component="div">
        <Section title={told.basics}>
          <div className="grid two">
            {field('/title', told.title, (props) => <Input {...props} value={draft.title} placeholder={told.titleHint} maxLength={200} onChange={(event) => set({ title: event.target.value })} />)}
            {field('/code', told.code, (props) => <Input {...props} className="mono" value={draft.code} disabled={!!code} maxLength={40} onChange={(event) => set({ code: event.target.value })} />, { extra: code ? undefined : told.codeHint })}
          </div>
          {field('/abstract', told.abstract, (props) => <Input.TextArea {...props} value={draft.abstract} autoSize={{ minRows: 2 }} placeholder={told.abstractHint} maxLength={2_000} onChange={(event) => set({ abstract: event.target.value })} />)}
          <div className="grid two">
            {field('/department', told.department, (props) => (
              <Select {...props} value={draft.department || null} disabled={!!code || !may('administrator')} showSearch={{ optionFilterProp: 'label' }} onChange={(value: string) => set({ department: value })} options={departments.all.map((one) => ({ value: one.slug, label: departments.name(one.slug) }))} />
            ))}
            {field('/category', told.category, (props) => <Categories {...props} value={draft.category ?? null} onChange={(value) => set({ category: value })} />, { optional: true })}
            {field('/service_item', told.service_item, (props) => <Services {...props} department={draft.department} value={draft.service_item ?? null} onChange={(value) => set({ service_item: value })} />, { optional: true })}
            {text('data_class', told.data_class, { optional: true })}
            {field('/keywords', told.keywords, (props) => <Select {...props} mode="tags" open={false} suffixIcon={null} value={draft.keywords} placeholder={told.keywordsHint} onChange={(value: string[]) => set({ keywords: value })} />, { optional: true })}
            {field('/related', told.related, (props) => <Related {...props} own={draft.code} value={draft.related} onChange={(value) => set({ related: value })} />, { optional: true })}
            {field('/format', told.format, (props) => <Select {...props} value={draft.format.kind} onChange={(kind) => set({ format: { ...draft.format, kind } })} options={choices(['database', 'spreadsheet', 'file', 'image', 'stream', 'self_describing'] as const, told.formats)} />)}
            {field('/format/detail', told.formatDetail, (props) => <Input {...props} value={draft.format.detail ?? ''} maxLength={200} onChange={(event) => set({ format: { ...draft.format, detail: event.target.value } })} />, { optional: true })}
          </div>
        </Section>
        <Section title={told.sharing} note={told.notHere}>
          {field('/sharing_type', told.sharing_type, ({ id, ...props }) => (
            <div id={id}><Segmented {...props} aria-label={told.sharing_type} value={draft.sharing_type} onChange={(value) => set({ sharing_type: value })} options={choices(['unconditional', 'conditional', 'not_shared'] as const, words.field.sharing)} /></div>
          ))}
          <div className="grid two">
            {draft.sharing_type !== 'unconditional' || draft.sharing_conditions ? text('sharing_conditions', told.sharing_conditions, { long: true, optional: draft.sharing_type !== 'conditional', extra: told.conditionsHint }) : null}
            {text('legal_basis', told.legal_basis, { long: true, optional: draft.sharing_type !== 'not_shared', extra: draft.sharing_type === 'not_shared' ? told.basisHint : undefined })}
            {field('/grade', told.grade, ({ id, ...props }) => (
              <div id={id}><Radio.Group {...props} aria-label={told.grade} value={draft.grade} onChange={(event) => set({ grade: event.target.value as Draft['grade'] })} options={choices(['general', 'important'] as const, words.field.grades)} /></div>
            ))}
            {field('/grade_level', told.grade_level, (props) => <InputNumber {...props} min={1} max={9} style={{ width: '100%' }} value={draft.grade_level ?? null} onChange={(value) => set({ grade_level: value })} />, { optional: true })}
            {field('/update_cycle', told.update_cycle, (props) => <Select {...props} value={draft.update_cycle} onChange={(value) => set({ update_cycle: value })} options={choices(['real_time', 'daily', 'weekly', 'monthly', 'quarterly', 'yearly'] as const, words.field.cycles)} />)}
            {field('/sharing_channels', told.sharing_channels, ({ id }) => (
              <div id={id}><Checkbox.Group value={draft.sharing_channels} onChange={(value) => set({ sharing_channels: value as Draft['sharing_channels'] })} options={choices(['topic', 'table', 'api', 'file', 'product'] as const, words.field.channels)} /></div>
            ))}
            {text('scenario', told.scenario, { long: true, optional: true })}
            {text('provision_channel', told.provision_channel, { optional: true })}
            {field('/openness/open', told.openness, (props) => <Checkbox {...props} checked={draft.openness.open} onChange={(event) => set({ openness: { ...draft.openness, open: event.target.checked } })}>{told.opennessOpen}</Checkbox>)}
            {draft.openness.open && field('/openness/conditions', told.opennessConditions, (props) => <Input {...props} value={draft.openness.conditions ?? ''} maxLength={2_000} onChange={(event) => set({ openness: { ...draft.openness, conditions: event.target.value } })} />, { optional: true })}
          </div>
        </Section>
        <Section title={told.items}>
          {all.filter((one) => one.pointer === '/items').map((one) => <p key={one.detail} id={idOf('/items')} tabIndex={-1} className="cell-said">{one.detail}</p>)}
          <Items draft={draft} code={code} faults={all} onChange={setItems} />
        </Section>
        <Section title={told.rules}>
          <RulesTable
            rules={draft.rules}
            items={draft.items}
            faults={all}
            onChange={(rules, pointer) => {
              setDraft((before) => ({ ...before, rules }))
              mend(pointer)
            }}
          />
          <RulesTrial draft={draft} code={code} itemsDiffer={differing(draft, kept.draft).includes('items')} />
        </Section>
        <Section title={told.level}>
          <div className="grid two">
            {amount('max_delay_seconds', told.delay, 31_622_400)}
            {field('/service_level/availability_percent', told.availability, (props) => <Input {...props} inputMode="decimal" value={draft.service_level.availability_percent ?? ''} placeholder="99.9" onChange={(event) => set({ service_level: { ...draft.service_level, availability_percent: event.target.value.trim() || null } })} />, { optional: true })}
            {amount('retention_days', told.retention, 36_600)}
          </div>
        </Section>
      </Form>
      <div className="writing-bar">
        <span role="status" className={dirty ? 'due warn' : 'faint'}>{dirty ? told.unsaved : kept.resource ? told.allSaved : ''}</span>
        <Button size="large" loading={doing.busy} disabled={!dirty && !!code} onClick={() => void keep()}>{told.save}</Button>
        <Button size="large" type="primary" disabled={doing.busy} onClick={() => void begin()}>{told.submit}</Button>
      </div>
      {submitting && kept.resource && (
        <BeforeSubmit
          resource={kept.resource}
          etag={kept.etag}
          onClose={() => {
            setSubmitting(false)
            // what was new has an address of its own by now
            if (!resource) {
              leaving.current = true
              void navigate(`/catalogue/${kept.resource!.code}/edit`, { replace: true })
            }
          }}
          done={() => {
            leaving.current = true
            void navigate(`/catalogue/${kept.resource!.code}`)
          }}
        />
      )}
      <Leaving dirty={dirty} leaving={leaving} />
    </div>
  )
}

function goTo(id: string) {
  const here = document.getElementById(id) ?? document.getElementById(id.replace(/-[^-]*$/, ''))
  here?.scrollIntoView({ block: 'center' })
  here?.focus({ preventScroll: true })
}

function Items({ draft, code, faults, onChange }: { draft: Draft; code: string | undefined; faults: Fault[]; onChange: (change: (rows: Row[]) => Row[], pointer: string) => void }) {
  const lists = useAll<CodeListName>(`${CATALOG}/code-lists?limit=500`)
  const names = useMemo(() => ['GB/T 2260', ...(lists.data ?? []).map((one) => one.name)], [lists.data])
  return (
    <ItemsTable
      rows={draft.items}
      faults={faults}
      codeLists={names}
      onChange={onChange}
      tools={code && <ItemsOfTable code={code} department={draft.department} rows={draft.items} onTake={(rows) => onChange(() => rows, '/items')} />}
    />
  )
}

function Categories({ onChange, value, ...props }: Control & { value: string | null; onChange: (value: string | null) => void }) {
  const asked = useAll<Category>(`${CATALOG}/categories?limit=500`)
  const options = useMemo(() => {
    const byCode = new Map((asked.data ?? []).map((one) => [one.code, one]))
    const path = (one: Category): string => {
      const parent = one.parent ? byCode.get(one.parent) : undefined
      return parent ? `${path(parent)} › ${one.name}` : one.name
    }
    return [...byCode.values()].map((one) => ({ value: one.code, label: `${path(one)} (${one.code})` }))
  }, [asked.data])
  return <Select {...props} allowClear value={value} onChange={(next: string | undefined) => onChange(next ?? null)} showSearch={{ optionFilterProp: 'label' }} loading={asked.loading} options={options} />
}

function Services({ department, onChange, value, ...props }: Control & { department: string; value: string | null; onChange: (value: string | null) => void }) {
  const words = useWords()
  const asked = useAll<ServiceItem>(department ? withQuery(`${CATALOG}/lists/service-items`, { department, limit: 500 }) : null)
  return (
    <Select
      {...props}
      allowClear
      value={value}
      onChange={(next: string | undefined) => onChange(next ?? null)}
      showSearch={{ optionFilterProp: 'label' }}
      loading={asked.loading}
      notFoundContent={words.providing.editor.serviceHint}
      options={(asked.data ?? []).map((one) => ({ value: one.code, label: `${one.name} (${one.code})` }))}
    />
  )
}

function Related({ own, onChange, value, ...props }: Control & { own: string; value: string[]; onChange: (value: string[]) => void }) {
  const [text, setText] = useState('')
  const titles = useTitles()
  const found = useAsk<Found>(withQuery(`${CATALOG}/search`, { q: text, limit: 20, facets: false }))
  const options = (found.data?.items ?? []).filter((one) => one.code !== own).map((one) => ({ value: one.code, label: one.title.text }))
  for (const one of value) if (!options.some((it) => it.value === one)) options.push({ value: one, label: titles(one) })
  return <Select {...props} mode="multiple" value={value} onChange={(next: string[]) => onChange(next)} showSearch={{ filterOption: false, onSearch: setText }} loading={found.loading} options={options} />
}

/** Why the review has sent it back, as long as nobody has submitted it again. */
function Returned({ code }: { code: string }) {
  const words = useWords()
  const told = words.providing.editor
  const asked = useAsk<ResourceStep[]>(`${CATALOG}/resources/${code}/steps`)
  const last = asked.data?.at(-1)
  if (last?.action !== 'return') return null
  return (
    <p className="notice warn">
      <b>{told.returned}</b> {last.reason} <span className="faint">{told.returnedBy(last.actor)} · <When at={last.at} /></span>
    </p>
  )
}

function Conflict({ mine, theirs, take, keep }: { mine: Draft; theirs: Theirs; take: (theirs: Theirs) => void; keep: (theirs: Theirs) => void }) {
  const words = useWords()
  const told = words.providing.editor
  const there = theirs.data.draft ? draftOf(theirs.data.draft, mine) : mine
  const names = differing(mine, there).map((one) => named(told as unknown as Record<string, string>, one === 'service_level' ? 'level' : one))
  return (
    <div className="problem" role="alert">
      <p className="problem-title">{told.conflict}</p>
      <p>{told.conflictMore(names.join('、'))}</p>
      <Button onClick={() => take(theirs)}>{told.takeTheirs}</Button>{' '}
      <Button danger onClick={() => keep(theirs)}>{told.keepMine}</Button>
    </div>
  )
}

function BeforeSubmit({ resource, etag, onClose, done }: { resource: Resource; etag: string | null; onClose: () => void; done: () => void }) {
  const words = useWords()
  const told = words.providing.check
  const { message } = App.useApp()
  const doing = useDoing()
  const submit = async () => {
    const sent = await doing.run(() => ask(`${CATALOG}/resources/${resource.code}/steps`, { method: 'POST', etag, body: { action: 'submit' } }))
    if (!sent) return
    void message.success(told.submitted)
    done()
  }
  return (
    <Modal open width={920} title={told.title} onCancel={onClose} footer={null}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <DraftChecked resource={resource}>
        {(check) => (
          <div className="writing-end">
            <Button onClick={onClose}>{words.cancel}</Button>
            <Button type="primary" loading={doing.busy} disabled={check.defects.length > 0} onClick={() => void submit()}>{told.submit}</Button>
          </div>
        )}
      </DraftChecked>
    </Modal>
  )
}

/** Asks before what is not saved is left, within the console or by closing the window. */
function Leaving({ dirty, leaving }: { dirty: boolean; leaving: RefObject<boolean> }) {
  const words = useWords()
  const told = words.providing.editor
  const blocker = useBlocker(({ currentLocation, nextLocation }) => dirty && !leaving.current && currentLocation.pathname !== nextLocation.pathname)
  useEffect(() => {
    if (!dirty) return
    const hold = (event: BeforeUnloadEvent) => event.preventDefault()
    window.addEventListener('beforeunload', hold)
    return () => window.removeEventListener('beforeunload', hold)
  }, [dirty])
  return (
    <Modal
      open={blocker.state === 'blocked'}
      title={told.leave}
      okText={told.stay}
      cancelText={told.go}
      onOk={() => blocker.reset?.()}
      onCancel={() => blocker.proceed?.()}
      closable={false}
      mask={{ closable: false }}
      keyboard={false}
    >
      {told.leaveMore}
    </Modal>
  )
}
