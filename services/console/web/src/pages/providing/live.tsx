/** How a mount is just now: its condition, its connector, and what has come into its change topic. */
import { useEffect } from 'react'
import { useAsk } from '../../api/asking'
import { CATALOG, WATCH, type MountStatus } from '../../api/types'
import type { Connector, TopicLag } from '../../api/watch'
import { Facts } from '../../components/facts'
import { Shown } from '../../components/states'
import { Mark } from '../../components/tag'
import { Section } from '../../components/title'
import { When } from '../../components/when'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'

const TONES = { ok: 'ok', warn: 'warn', stopped: 'bad' } as const
const LOOK_MS = 2_000

export function LiveMount({ code }: { code: string }) {
  const words = useWords()
  const language = useLanguage()
  const told = words.providing.live
  const status = useAsk<MountStatus>(`${CATALOG}/resources/${code}/mount`)
  // the watch may be away: what it would tell is left out then
  const connectors = useAsk<{ items: Connector[] }>(`${WATCH}/connectors`)
  const topics = useAsk<{ items: TopicLag[] }>(`${WATCH}/topics`)
  const reload = [status.reload, connectors.reload, topics.reload]
  useEffect(() => {
    const timer = window.setInterval(() => reload.forEach((again) => again()), LOOK_MS)
    return () => window.clearInterval(timer)
  }, [code])
  return (
    <Section title={told.title}>
      <Shown of={status}>
        {(one) => {
          const topic = topics.data?.items.find((it) => it.topic === one.mount.topic)
          const connector = connectors.data?.items.find((it) => it.connector === one.mount.connector)
          return (
            <>
              <Facts
                facts={[
                  [told.condition, <Mark key="condition" tone={TONES[one.condition]}>{named(words.field.conditions, one.condition)}</Mark>],
                  [told.where, <code key="where">{[one.mount.system, one.mount.schema, one.mount.table].filter(Boolean).join('.')}</code>],
                  [told.topic, one.mount.topic && <code key="topic">{one.mount.topic}</code>],
                  [told.connector, connector && <Mark key="connector" tone={connector.status === 'OK' ? 'ok' : connector.status === 'WARN' ? 'warn' : 'bad'}>{connector.state}</Mark>],
                  [told.records, topic && <b key="records">{number(topic.records, language)}</b>],
                  [told.newest, topic?.last_record_at && <When key="newest" at={topic.last_record_at} />],
                  [told.every, one.upstream && <When key="asked" at={one.upstream.asked_at} never={told.waits} />],
                  [told.checked, one.checked_at ? <When key="checked" at={one.checked_at} /> : told.waits],
                ]}
              />
              {one.findings.length > 0 && (
                <ul className="listed" style={{ marginTop: 10 }}>
                  {one.findings.map((it) => <li key={it.object + it.detail}><Mark tone={it.weight === 'stop' ? 'bad' : it.weight === 'warn' ? 'warn' : 'calm'}>{it.object}</Mark> {it.detail}</li>)}
                </ul>
              )}
            </>
          )
        }}
      </Shown>
    </Section>
  )
}
