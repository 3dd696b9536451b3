/** What happens while somebody looks: one stream of server-sent events a browser, heard by whoever asks. */
import { useEffect, useRef } from 'react'

export interface Happened {
  type: string
  subject: string
  department: string
  at: string
  data: Record<string, unknown>
}

export interface Delivered {
  at: string
  grants: {
    grant: string
    resource: string
    department: string
    records: number
    batches: number
    latency_ms_max: number | null
    latency_ms_min: number | null
  }[]
}

export interface Heard {
  demand: Happened
  catalog: Happened
  audit: Happened
  watch: Happened
  deliveries: Delivered
  heartbeat: { at: string }
  /** The stream lost its place: what is shown is read anew. */
  reset: Record<string, never>
  'signed-out': Record<string, never>
}

type Kind = keyof Heard
type Hear = (told: never, kind: Kind) => void

const KINDS: Kind[] = ['demand', 'catalog', 'audit', 'watch', 'deliveries', 'heartbeat', 'reset', 'signed-out']
const listeners = new Map<Kind, Set<Hear>>()
let stream: EventSource | null = null

/** Begins to listen; answers what ends it. */
export function listen(): () => void {
  stream?.close()
  const here = new EventSource('/api/console/v1/live')
  stream = here
  for (const kind of KINDS) {
    here.addEventListener(kind, (event) => {
      const told = JSON.parse((event as MessageEvent<string>).data) as never
      for (const hear of listeners.get(kind) ?? []) hear(told, kind)
    })
  }
  return () => {
    here.close()
    if (stream === here) stream = null
  }
}

/** Calls `hear` with everything of `kind` that is told while the component is there. */
export function useLive<K extends Kind>(kind: K, hear: (told: Heard[K]) => void): void {
  const latest = useRef(hear)
  latest.current = hear
  useEffect(() => {
    const mine: Hear = (told) => latest.current(told)
    const all = listeners.get(kind) ?? new Set()
    listeners.set(kind, all.add(mine))
    return () => void all.delete(mine)
  }, [kind])
}

const CALM_MS = 700

/** Reads anew when something of `kind` happens (about `subject`, where given), at most every so often. */
export function useReloadOn(kind: 'demand' | 'catalog' | 'audit' | 'watch', reload: () => void, subject?: string): void {
  const waiting = useRef<number | null>(null)
  const soon = () => {
    waiting.current ??= window.setTimeout(() => {
      waiting.current = null
      reload()
    }, CALM_MS)
  }
  useLive(kind, (told) => {
    if (subject === undefined || told.subject === subject) soon()
  })
  useLive('reset', soon)
  useEffect(() => () => void (waiting.current !== null && window.clearTimeout(waiting.current)), [])
}
