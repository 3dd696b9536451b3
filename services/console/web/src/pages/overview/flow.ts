/** What flows from whom to whom, reckoned from grants and their deliveries. */
import type { Grant, GrantUse, UsageTotal } from '../../api/types'

export interface Stream {
  provider: string
  resource: string
  consumer: string
  records: number
  errors: number
  /** How many of its grants have been silent for longer than they should. */
  silent: number
}

/** The streams of `grants`, one for each resource and consumer, most records first. */
export function streamsOf(
  grants: readonly Grant[],
  totals: readonly UsageTotal[],
  uses: readonly GrantUse[],
  providerOf: (resource: string) => string | undefined,
  more: ReadonlyMap<string, number> = new Map(),
): Stream[] {
  const byGrant = new Map(totals.map((one) => [one.of, one]))
  const silent = new Set(uses.filter((one) => one.silent_since).map((one) => one.grant))
  const streams = new Map<string, Stream>()
  for (const grant of grants) {
    const provider = providerOf(grant.resource)
    const total = byGrant.get(grant.id)
    const records = (total?.records ?? 0) + (more.get(grant.id) ?? 0)
    if (provider === undefined || (records === 0 && grant.state !== 'active')) continue
    const key = `${grant.resource} ${grant.department}`
    const known = streams.get(key)
    streams.set(key, {
      provider,
      resource: grant.resource,
      consumer: grant.department,
      records: (known?.records ?? 0) + records,
      errors: (known?.errors ?? 0) + (total?.errors ?? 0),
      silent: (known?.silent ?? 0) + (silent.has(grant.id) && grant.state === 'active' ? 1 : 0),
    })
  }
  return [...streams.values()].sort((a, b) => b.records - a.records)
}
