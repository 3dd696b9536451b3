/** What entries of the log are called, and who is behind a reference. */
import { Button } from 'antd'
import { useState } from 'react'
import { useAsk } from '../../api/asking'
import { AUDIT } from '../../api/types'
import { named, useWords, type Words } from '../../i18n'

/** What happened, in words: `cn.tongshu.demand.grant_opened.v1` is a grant that was opened. */
export function eventName(words: Words, type: string): string {
  const what = type.replace(/^cn\.tongshu\./, '').replace(/\.v\d+$/, '')
  const known = named(words.field.entries, type)
  return known === type ? what.replace('.', ' · ').replaceAll('_', ' ') : known
}

/** A reference; whom it stands for is asked only when somebody wants to know, for that is in the log as well. */
export function Actor({ reference }: { reference: string }) {
  const words = useWords()
  const [wanted, setWanted] = useState(false)
  const told = useAsk<{ name: string | null; erased_at: string | null }>(wanted && reference ? `${AUDIT}/actors/${reference}` : null)
  if (!reference) return <span className="faint">–</span>
  if (told.data) return <span title={reference}>{told.data.name ?? <span className="faint">{words.audit.erased}</span>}</span>
  return (
    <Button type="text" size="small" loading={wanted && told.loading} onClick={() => setWanted(true)} title={words.audit.who}>
      <code>{reference.slice(0, 8)}</code>
    </Button>
  )
}
