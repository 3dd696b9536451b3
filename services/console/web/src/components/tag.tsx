/** A word for a state, with a mark beside it, so that colour is never all that tells. */
import type { ReactNode } from 'react'

export type Tone = 'ok' | 'warn' | 'bad' | 'accent' | 'calm'

export function Mark({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={`mark ${tone}`} title={title}>
      <i aria-hidden="true" />
      {children}
    </span>
  )
}

export const DEMAND_TONES: Readonly<Record<string, Tone>> = {
  draft: 'calm', submitted: 'accent', accepted: 'accent', returned: 'warn', in_review: 'accent', approved: 'ok',
  refused: 'bad', disputed: 'warn', provisioning: 'accent', delivering: 'ok', evaluated: 'ok', closed: 'calm',
  withdrawn: 'calm', expired: 'calm',
}

export const RESOURCE_TONES: Readonly<Record<string, Tone>> = {
  draft: 'calm', in_review: 'accent', published: 'ok', in_revision: 'warn', withdrawn: 'calm',
}
export const SHARING_TONES: Readonly<Record<string, Tone>> = { unconditional: 'ok', conditional: 'warn', not_shared: 'calm' }
export const GRADE_TONES: Readonly<Record<string, Tone>> = { general: 'calm', important: 'warn', core: 'bad' }
export const OBJECTION_TONES: Readonly<Record<string, Tone>> = {
  open: 'accent', accepted: 'accent', refused: 'bad', withdrawn: 'calm', closed: 'ok',
}
export const GRANT_TONES: Readonly<Record<string, Tone>> = { active: 'ok', expired: 'calm', revoked: 'bad', reopened: 'warn' }
export const MATTER_TONES: Readonly<Record<string, Tone>> = { open: 'bad', answered: 'warn', escalated: 'warn', closed: 'calm' }
export const ALERT_TONES: Readonly<Record<string, Tone>> = { open: 'bad', acknowledged: 'accent', handed_over: 'warn', closed: 'calm' }
export const SEVERITY_TONES: Readonly<Record<string, Tone>> = { critical: 'bad', warning: 'warn' }
export const ENTRY_TONES: Readonly<Record<string, Tone>> = {
  waiting: 'warn', superseded: 'calm', corrected: 'ok', deleted: 'calm', redriven: 'ok', released: 'accent', failed: 'bad',
}
export const REPLAY_TONES: Readonly<Record<string, Tone>> = { requested: 'accent', running: 'accent', cancelling: 'warn', cancelled: 'calm', done: 'ok' }
export const FOUND_TONES: Readonly<Record<string, Tone>> = {
  requested: 'accent', running: 'accent', equal: 'ok', different: 'bad', healed: 'ok', failed: 'warn',
}
