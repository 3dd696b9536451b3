/** Times in words, exact on hover; clocks by how much is left. */
import { useSyncExternalStore } from 'react'
import { ago, day, due, exact, placeDay } from '../format'
import { useLanguage, useWords } from '../i18n'

let now = Date.now()
const waiting = new Set<() => void>()
setInterval(() => {
  now = Date.now()
  for (const tell of waiting) tell()
}, 10_000)

function subscribe(tell: () => void): () => void {
  waiting.add(tell)
  return () => void waiting.delete(tell)
}

/** The time it is, renewed every ten seconds. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now)
}

export function When({ at, never }: { at: string | null | undefined; never?: string }) {
  const language = useLanguage()
  const words = useWords()
  const here = useNow()
  if (!at) return <span className="faint">{never ?? words.when.never}</span>
  return (
    <time dateTime={at} title={exact(at, language)}>
      {ago(at, here, language)}
    </time>
  )
}

export function Day({ on }: { on: string | null | undefined }) {
  const language = useLanguage()
  if (!on) return <span className="faint">–</span>
  return (
    <time dateTime={on} title={on.length === 10 ? on : exact(on, language)}>
      {day(on, language)}
    </time>
  )
}

/** How a clock stands. */
export function DueBy(props: { on: string | null | undefined; overdue?: boolean; provisional?: boolean }) {
  const language = useLanguage()
  const words = useWords()
  const here = useNow()
  if (!props.on) return <span className="faint">{words.when.paused}</span>
  const told = due(props.on, placeDay(new Date(here)), words, language, props.overdue)
  const title = [props.on, props.provisional && words.when.provisional].filter(Boolean).join(' · ')
  return (
    <time dateTime={props.on} title={title} className={`due ${told.tone}`}>
      {told.text}
      {props.provisional && '*'}
    </time>
  )
}
