/** What a system writes its topic with: told once, and made anew when it was lost or seen by somebody else. */
import { Button, Popconfirm } from 'antd'
import { useState } from 'react'
import { ask } from '../../api/client'
import { useDoing } from '../../api/asking'
import { CATALOG, type WriterCredentials } from '../../api/types'
import { Snippet } from '../../components/copy'
import { ProblemView } from '../../components/states'
import { Section } from '../../components/title'
import { useWords } from '../../i18n'

export function Writer({ code, first }: { code: string; first?: WriterCredentials | null }) {
  const words = useWords()
  const told = words.providing.writer
  const doing = useDoing()
  const [known, setKnown] = useState<WriterCredentials | null>(first ?? null)
  const renew = async () => {
    const done = await doing.run(() => ask<WriterCredentials>(`${CATALOG}/resources/${code}/mount/credentials`, { method: 'POST' }))
    if (done) setKnown(done.data)
  }
  return (
    <Section title={told.title} note={known ? undefined : told.lead}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      {known && (
        <>
          <Snippet text={Object.entries(known).map(([name, value]) => `${name}=${String(value)}`).join('\n')} label={told.title} />
          <p className="notice warn" role="status">{told.once}</p>
        </>
      )}
      <Popconfirm title={told.sure} description={<span style={{ maxWidth: 320, display: 'block' }}>{told.sureMore}</span>} okText={told.renew} cancelText={words.cancel} onConfirm={() => renew()}>
        <Button loading={doing.busy} style={{ marginTop: 10 }}>{told.renew}</Button>
      </Popconfirm>
    </Section>
  )
}
