import { describe, expect, it } from 'vitest'
import { words } from '../../i18n/en'
import { blank, blankRow, differing, draftOf, hintsOf, itemsOf, parsed, pinned, same, termsOf, touched, withoutBlanks, type Draft } from './draft'

const told = words.providing.hints

function written(): Draft {
  return {
    ...blank('public_security'), code: 'population', title: ' People ', abstract: 'Who lives here.',
    items: [blankRow({ name: 'id', title: 'ID', key: true, nullable: false }), blankRow({ name: 'name', title: 'Name' })],
  }
}

describe('a draft', () => {
  it('is sent as it was meant, and is the same when it comes back', () => {
    const draft = written()
    const terms = termsOf(draft)
    expect(terms.title).toBe('People')
    expect(terms.items[0]).not.toHaveProperty('id')
    const back = { ...terms, items: terms.items.map((one) => ({ ...one, column: one.name })) }
    expect(same(draftOf(back, draft), draft)).toBe(true)
    expect(draftOf(back, draft).items.map((one) => one.id)).toEqual(draft.items.map((one) => one.id))
  })

  it('says in which fields somebody else has written', () => {
    const draft = written()
    expect(differing(draft, { ...draft, title: 'Other', items: [] })).toEqual(['title', 'items'])
  })

  it('loses only rows in which nothing stands', () => {
    const draft = written()
    expect(withoutBlanks({ ...draft, items: [...draft.items, blankRow()] }).items).toEqual(draft.items)
  })

  it('keeps a fault with its row when rows before it go', () => {
    const draft = written()
    const fault = pinned({ pointer: '/items/1/name', detail: 'x' }, draft)
    expect(fault.pointer).toBe(`/items/r${draft.items[1]!.id}/name`)
    expect(pinned({ pointer: '/items', detail: 'x' }, draft).pointer).toBe('/items')
    expect(touched(fault.pointer, fault.pointer)).toBe(true)
    expect(touched('/items', fault.pointer)).toBe(true)
    expect(touched('/sharing_conditions', '/sharing_type')).toBe(true)
    expect(touched('/title', '/code')).toBe(false)
  })
})

describe('hints', () => {
  const at = (draft: Draft) => hintsOf(draft, told).map((one) => one.pointer)

  it('say nothing of what is only not written yet', () => {
    expect(at(blank('public_security'))).toEqual([])
    expect(at(written())).toEqual([])
  })

  it('follow the rules of the exchange', () => {
    const draft = written()
    const [first, second] = draft.items as [Draft['items'][number], Draft['items'][number]]
    const wrong: Draft = {
      ...draft, code: 'Population', sharing_type: 'unconditional', grade: 'important', openness: { open: true },
      items: [{ ...first, nullable: true, sensitivity: 'secret' }, { ...second, name: 'id', scale: 2, length: 1 }],
    }
    expect(at(wrong)).toEqual([
      '/code', '/sharing_type', '/openness/open', `/items/r${first.id}/name`, `/items/r${first.id}/nullable`,
      `/items/r${first.id}/sensitivity`, `/items/r${second.id}/name`, `/items/r${second.id}/scale`,
    ])
    expect(at({ ...draft, items: draft.items.map((one) => ({ ...one, key: false })) })).toEqual(['/items'])
  })
})

describe('items of a table', () => {
  it('are called as its columns are, or close to it, and come once', () => {
    const column = { type: 'text', item_type: 'string' as const, nullable: true, key: false, comment: null }
    const rows = itemsOf(
      [
        { ...column, name: 'id', key: true, nullable: false }, { ...column, name: 'Holder Name', comment: '持证人：姓名' },
        { ...column, name: 'shape', item_type: null }, { ...column, name: 'known' },
      ],
      [blankRow({ name: 'other', column: 'known' })],
    )
    expect(rows.map((one) => [one.name, one.column, one.title, one.key, one.nullable])).toEqual([
      ['id', '', 'id', true, false], ['holder_name', 'Holder Name', '持证人', false, true],
    ])
  })
})

describe('parameters of a rule', () => {
  it('are of the type of the item', () => {
    expect(parsed('values', '1, 2，3', 'integer')).toEqual([1, 2, 3])
    expect(parsed('values', '1、2', 'string')).toEqual(['1', '2'])
    expect(parsed('min', '0.50', 'decimal')).toBe('0.50')
    expect(parsed('max', '7', 'double')).toBe(7)
    expect(parsed('max_age_seconds', '60', 'timestamp')).toBe(60)
    expect(parsed('pattern', '  ', 'string')).toBeUndefined()
  })
})
