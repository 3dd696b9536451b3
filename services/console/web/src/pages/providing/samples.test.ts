import { describe, expect, it } from 'vitest'
import { blankRow } from './draft'
import { headOf, rowsOf } from './samples'

const items = [
  blankRow({ name: 'id', title: '编号' }), blankRow({ name: 'visits', title: '次数', type: 'integer' }),
  blankRow({ name: 'active', title: '有效', type: 'boolean' }), blankRow({ name: 'share', title: '占比', type: 'double' }),
]

describe('sample rows', () => {
  it('begin with the codes of the items', () => {
    expect(headOf(items)).toBe('id\tvisits\tactive\tshare\n')
    expect(rowsOf(headOf(items), items)).toEqual([])
  })

  it('are typed as their items are, whether copied from a spreadsheet or written with commas', () => {
    const wanted = [{ id: 'a,1', visits: 7, active: true, share: 0.25 }, { id: '说"是"', visits: null, active: false, share: null }]
    expect(rowsOf('id\tvisits\tactive\tshare\r\na,1\t7\ttrue\t0.25\r\n"说""是"""\t\t否\t\r\n', items)).toEqual(wanted)
    expect(rowsOf('编号,次数,有效,占比\n"a,1",7,是,0.25\n说"是",,0,\n\n', items)).toEqual(wanted)
  })

  it('keep what is no value of the type, for the exchange to say so', () => {
    expect(rowsOf('visits\nseven\n12345678901234567890', items)).toEqual([{ visits: 'seven' }, { visits: '12345678901234567890' }])
    expect(rowsOf('other\nx', items)).toEqual([{ other: 'x' }])
  })
})
