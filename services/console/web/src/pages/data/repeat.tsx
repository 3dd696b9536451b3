/** A grant delivered once more, from a time on, one row or all; and whether its consumer has what it should have. */
import { App, Button, DatePicker, Form, Input, Segmented } from 'antd'
import type { Dayjs } from 'dayjs'
import { useState } from 'react'
import { ask } from '../../api/client'
import { useAll, useDoing } from '../../api/asking'
import type { Reconciliation, Replay } from '../../api/sync'
import { SYNC, type Grant, type Item, type Resource } from '../../api/types'
import { ProblemView, Shown } from '../../components/states'
import { Mark, REPLAY_TONES } from '../../components/tag'
import { Section } from '../../components/title'
import { useWords } from '../../i18n'
import { useMe, useRoles } from '../../session'
import { CompareNow, Progress, ReconciliationTable, ReplayTable, useLook } from '../running/replays'

interface Props {
  grant: Grant
  own: boolean
  resource?: Resource
}

export function Repeat({ grant, own, resource }: Props) {
  const words = useWords()
  const told = words.running.replays
  const { message } = App.useApp()
  const may = useRoles()
  const me = useMe()
  const sees = own || may('ops', 'auditor')
  const replays = useAll<Replay>(sees ? `${SYNC}/grants/${grant.id}/replays?limit=500` : null)
  const reconciliations = useAll<Reconciliation>(`${SYNC}/grants/${grant.id}/reconciliations?limit=500`)
  useLook(replays)
  useLook(reconciliations)
  const running = replays.data?.find((one) => one.ended_at === null)
  const compares = may('administrator', 'ops') || (may('consumer', 'provider') && me.department !== null)
  return (
    <div className="stack">
      {sees && (
        <div className="grid wide-left">
          <Section title={told.history}>
            <Shown of={replays}>{(all) => <ReplayTable rows={all} changed={replays.reload} empty={words.none} />}</Shown>
          </Section>
          <Section title={told.ask} note={told.askLead}>
            {running ? (
              <p role="status"><Mark tone={REPLAY_TONES[running.state] ?? 'calm'}>{told.states[running.state]}</Mark> <Progress of={running} /></p>
            ) : grant.state !== 'active' ? (
              <p className="faint">{told.notServed}</p>
            ) : own ? (
              <Request grant={grant} {...(resource ? { resource } : {})} done={replays.reload} />
            ) : (
              <p className="faint">{words.data.connect.notMine}</p>
            )}
          </Section>
        </div>
      )}
      <Section
        title={told.reconciliations}
        note={told.compareLead}
        aside={
          compares && (
            <CompareNow
              grant={grant.id}
              done={() => {
                void message.success(told.started)
                reconciliations.reload()
              }}
            />
          )
        }
      >
        <Shown of={reconciliations}>{(all) => <ReconciliationTable rows={all} empty={words.none} />}</Shown>
      </Section>
    </div>
  )
}

const MODES = ['since', 'keys', 'all'] as const
type Mode = (typeof MODES)[number]

interface Given {
  since?: Dayjs
  key?: Record<string, string>
}

function Request({ grant, resource, done }: { grant: Grant; resource?: Resource; done: () => void }) {
  const words = useWords()
  const told = words.running.replays
  const { message } = App.useApp()
  const doing = useDoing()
  const [mode, setMode] = useState<Mode>('since')
  const keys = (resource?.published?.items ?? []).filter((one) => one.key)
  const clear = new Set(grant.items.filter((one) => one.mask === null).map((one) => one.name))
  const send = async ({ since, key }: Given) => {
    const one = Object.fromEntries(keys.map((item) => [item.name, valueOf(item, clear.has(item.name), key?.[item.name] ?? '')]))
    const body = mode === 'all' ? { all: true } : mode === 'since' ? { from: since?.toISOString() } : { key: one }
    if (!(await doing.run(() => ask(`${SYNC}/grants/${grant.id}/replays`, { method: 'POST', body })))) return
    void message.success(told.asked_)
    done()
  }
  const need = [{ required: true, message: told.need }]
  return (
    <>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Segmented aria-label={told.what} value={mode} onChange={setMode} options={MODES.map((value) => ({ value, label: told[value] }))} style={{ marginBottom: 10 }} />
      <p className="faint" style={{ marginBottom: 10 }}>{told.whatMore[mode]}</p>
      <Form key={mode} layout="vertical" onFinish={(given: Given) => void send(given)} requiredMark="optional">
        {mode === 'since' && <Form.Item name="since" label={told.when} rules={need}><DatePicker showTime style={{ width: '100%' }} /></Form.Item>}
        {mode === 'keys' &&
          keys.map((one) => <Form.Item key={one.name} name={['key', one.name]} label={`${told.key} · ${one.title}`} rules={need}><Input /></Form.Item>)}
        <Button type="primary" htmlType="submit" loading={doing.busy}>{told.submit}</Button>
      </Form>
    </>
  )
}

/** A key item as records of the grant have it; one that is not granted in clear is a pseudonym, and text. */
function valueOf(item: Item, isClear: boolean, text: string): string | number | boolean {
  if (!isClear) return text
  if (item.type === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text)
  if (item.type === 'boolean') return text === 'true'
  return text
}
