/** The shapes of the watch (`/api/watch/v1`): groups, hops and topics with their lag, connectors; and its own stream. */
import { useEffect, useRef } from 'react'
import { WATCH } from './types'

export type LagStatus = 'OK' | 'WARN' | 'STALL' | 'STOP' | 'ERR'
export type Trend = 'growing' | 'shrinking' | 'steady'

/** A text in both languages, so that the page can switch without asking again. */
export interface Both {
  zh: string
  en: string
}

export interface Lagging {
  status: LagStatus
  reason: Both
  records: number
  /** How long the oldest record not yet committed has waited. */
  seconds: number
  exact: boolean
  trend: Trend
  consumed_rate: number
  produced_rate: number
  /** Null: it will not be clear at this rate. */
  eta_seconds: number | null
}

export interface GroupLag extends Lagging {
  group: string
  /** Null: the exchange's own. */
  department: string | null
  state: string
  kind: string
  members: number
  topics: string[]
  resources: string[]
  skew: number
  partitions: number
}

export interface PartitionLag extends Lagging {
  topic: string
  partition: number
  committed: number | null
  begin: number
  end: number
  member: string | null
}

export interface CurvePoint {
  at: string
  records: number
  seconds: number
  committed: number
  produced: number
}

export interface GroupDetail extends GroupLag {
  parts: PartitionLag[]
  curve: CurvePoint[]
}

export interface LagList {
  measured_at: string
  complete: boolean
  items: GroupLag[]
}

export interface Hop {
  hop: string
  title: Both
  status: LagStatus
  reason: Both
  records: number | null
  seconds: number | null
  rate: number
  latency: { p50: number; p95: number; max: number; count: number } | null
  /** Cumulative counts; the last bound is null. */
  histogram: { le: number | null; count: number }[]
  rows: {
    name: string
    department: string | null
    resource: string | null
    status: LagStatus
    reason: Both
    records: number | null
    seconds: number | null
    rate: number
    last_at: string | null
  }[]
}

export interface TopicLag {
  topic: string
  kind: string
  department: string | null
  resource: string | null
  grant: string | null
  partitions: number
  records: number
  produced_rate: number
  last_record_at: string | null
  groups: { group: string; status: LagStatus; records: number; seconds: number }[]
}

export interface Connector {
  connector: string
  kind: string
  resource: string | null
  department: string | null
  state: string
  worker: string
  tasks: { id: number; state: string; worker: string; trace: string | null }[]
  status: LagStatus
  reason: Both
  last_committed_at: string | null
}

export type AlertState = 'open' | 'acknowledged' | 'handed_over' | 'closed'
export type AlertAction = 'acknowledge' | 'hand_over' | 'close'

export interface Alert {
  id: number
  rule: string
  /** What the rule watches for. */
  title: Both
  subject: string
  department: string | null
  severity: 'warning' | 'critical'
  state: AlertState
  text: Both
  /** What was seen when it was opened. */
  evidence: Record<string, string | number>
  owner: string | null
  opened_at: string
  changed_at: string
  steps: { action: AlertAction; by: string; to: string | null; text: string; at: string }[]
  actions: AlertAction[]
}

/** What the daily summary says so far; shares from 0 to 1. */
export interface Summary {
  since: string
  until: string
  /** Whether nothing was left out of what was counted. */
  is_whole: boolean
  deliveries: number
  records: number
  records_per_second: number
  within_a_minute: number | null
  longest_seconds: number | null
  alerts: { opened: number; solved: number; open: number }
  worst_lag: { seconds: number; group: string; at: string } | null
  waiting: Record<string, number>
  failed_mounts: Record<string, Both>
}

/** Where alerts are sent. */
export interface Subscription {
  id: string
  /** Null: those of the whole exchange. */
  department: string | null
  kind: 'webhook' | 'email'
  target: string
  daily: boolean
  created_by: string
  created_at: string
  ended_at: string | null
}

export interface Dispatch {
  id: number
  kind: string
  alerts: number[]
  attempts: number
  next_at: string | null
  delivered_at: string | null
  failure: string | null
  created_at: string
}

/** What the watch tells every few seconds. */
export interface LagSample {
  measured_at: string
  groups: Pick<GroupLag, 'group' | 'department' | 'status' | 'records' | 'seconds' | 'trend' | 'eta_seconds' | 'consumed_rate' | 'produced_rate'>[]
  hops: Pick<Hop, 'hop' | 'status' | 'records' | 'seconds' | 'rate'>[]
}

/** Calls `hear` with every sample of the watch while the component is there. */
export function useSamples(hear: (sample: LagSample) => void): void {
  const latest = useRef(hear)
  latest.current = hear
  useEffect(() => {
    const stream = new EventSource(`${WATCH}/events`)
    stream.addEventListener('sample', (event) => latest.current(JSON.parse((event as MessageEvent<string>).data) as LagSample))
    return () => stream.close()
  }, [])
}
