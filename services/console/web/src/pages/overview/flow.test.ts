import { describe, expect, it } from 'vitest'
import type { Grant, GrantUse, UsageTotal } from '../../api/types'
import { streamsOf } from './flow'

const grant = (id: string, resource: string, department: string, state = 'active') => ({ id, resource, department, state }) as Grant
const total = (of: string, records: number, errors = 0) => ({ of, records, errors }) as UsageTotal

describe('streams', () => {
  it('join the grants of one resource to one consumer, and count what was only just delivered', () => {
    const found = streamsOf(
      [grant('a', 'population', 'civil'), grant('b', 'population', 'civil'), grant('c', 'population', 'tax')],
      [total('a', 10, 1), total('b', 5), total('c', 100)],
      [{ grant: 'b', silent_since: '2026-11-25T00:00:00Z' } as GrantUse],
      () => 'police',
      new Map([['a', 2]]),
    )
    expect(found).toEqual([
      { provider: 'police', resource: 'population', consumer: 'tax', records: 100, errors: 0, silent: 0 },
      { provider: 'police', resource: 'population', consumer: 'civil', records: 17, errors: 1, silent: 1 },
    ])
  })

  it('leave out what ended without anything, and what nobody is known to provide', () => {
    expect(streamsOf([grant('a', 'x', 'civil', 'revoked')], [], [], () => 'police')).toEqual([])
    expect(streamsOf([grant('a', 'x', 'civil')], [total('a', 3)], [], () => undefined)).toEqual([])
  })
})
