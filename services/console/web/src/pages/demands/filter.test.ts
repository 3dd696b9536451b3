import { describe, expect, it } from 'vitest'
import { conditionText, filterOf, filterText, operatorsOf, type Filter } from './filter'

const TYPES = { region: 'string', born: 'date', age: 'integer', alive: 'boolean' } as const
const typeOf = (name: string) => TYPES[name as keyof typeof TYPES]

describe('a row filter', () => {
  it('reads as the language that grants are written in', () => {
    const filter: Filter = {
      join: 'and',
      conditions: [
        { item: 'region', operator: 'starts with', value: '3206' },
        { item: 'born', operator: '>=', value: '1990-01-01' },
        { item: 'age', operator: 'in', value: '1，2, 3' },
        { item: 'alive', operator: '=', value: 'true' },
      ],
    }
    expect(filterText(filter, typeOf)).toBe(
      'region starts with "3206" and born >= date "1990-01-01" and age in (1, 2, 3) and alive = true',
    )
  })

  it('comes back as the rows it was made of, whatever the texts hold', () => {
    for (const value of ['3206', 'a "b" \\ c', ' and ', 'x or y', '，、', 'true', '…']) {
      const filter: Filter = { join: 'or', conditions: [
        { item: 'region', operator: '!=', value: value.trim() },
        { item: 'region', operator: 'is not null', value: '' },
      ] }
      expect(filterOf(filterText(filter, typeOf)!)).toEqual(filter)
    }
  })

  it('is not there before every condition is complete', () => {
    expect(conditionText({ item: 'age', operator: '=', value: 'many' }, 'integer')).toBeNull()
    expect(filterText({ join: 'and', conditions: [] }, typeOf)).toBeNull()
    expect(filterText({ join: 'and', conditions: [{ item: 'gone', operator: '=', value: '1' }] }, typeOf)).toBeNull()
  })

  it('stays text where rows cannot say it', () => {
    expect(filterOf('not (region = "1")')).toBeNull()
    expect(filterOf('region = "1" and age = 1 or age = 2')).toBeNull()
  })

  it('offers only relations that fit', () => {
    expect(operatorsOf('string')).not.toContain('<')
    expect(operatorsOf('date')).not.toContain('starts with')
  })
})
