/** The shapes of the data road (`/api/sync/v1`): what was set aside or does not agree, replays, reconciliations. */

export type EntryState = 'waiting' | 'superseded' | 'corrected' | 'deleted' | 'redriven' | 'released' | 'failed'
export type EntryAction = 'redrive' | 'release'

/** A change that was set aside. Digests stand for key and change; none of its data is here. */
export interface QuarantineEntry {
  id: string
  resource: string
  owner: string
  grant: string | null
  topic: string
  partition: number
  offset: number
  reason: string
  detail: string
  rules: string[]
  key_digest: string
  digest: string
  state: EntryState
  quarantined_at: string
  ended_at: string | null
  ended_by: string | null
  by_offset: number | null
  release_reason: string | null
  actions: EntryAction[]
}

export interface Replay {
  id: string
  grant: string
  resource: string
  department: string
  mode: 'all' | 'since' | 'keys'
  since: string | null
  keys: number
  reconciliation: string | null
  state: 'requested' | 'running' | 'cancelling' | 'cancelled' | 'done'
  asked_by: string
  asked_at: string
  ended_at: string | null
  records: number
  /** While it runs, in offsets of the change topic. */
  progress: { done: number; behind: number; remaining_seconds: number | null } | null
}

interface Rows {
  rows: number
  keys: string[]
}

export interface Difference {
  missing: Rows
  surplus: Rows
  differing: Rows
}

export interface Report {
  source: number
  topic: number
  table: number | null
  set_aside: number
  in_topic: Difference
  in_table: Difference | null
  ranges: { range: string; of: string; should_have: number; has: number; should_sum: string; sum: string }[]
}

export interface Reconciliation {
  id: string
  grant: string
  resource: string
  department: string
  provider: string
  heal: boolean
  state: 'requested' | 'running' | 'equal' | 'different' | 'healed' | 'failed'
  asked_by: string
  asked_at: string
  ended_at: string | null
  reason: string
  replay: string | null
  report: Report | null
}

/** Rows that do not agree: where they stand, none of what they say. `other` is empty where they are of one resource. */
export interface Inconsistency {
  id: string
  kind: 'unique' | 'consistent'
  rule: string
  resource: string
  owner: string
  other: string
  other_owner: string
  since: string
  ended_at: string | null
  places: { resource: string; topic: string; partition: number; offset: number }[]
}

/** Where a change stands, in words. */
export function place(of: { topic: string; partition: number; offset: number }): string {
  return `${of.topic}/${of.partition}/${of.offset}`
}

/** How many rows differ over all sides of a report. */
export function differing(report: Report): number {
  return [report.in_topic, report.in_table].reduce(
    (sum, side) => sum + (side ? side.missing.rows + side.surplus.rows + side.differing.rows : 0),
    0,
  )
}
