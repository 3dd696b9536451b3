import { describe, expect, it } from 'vitest'
import { checkEntry, fromBase64, numberOf, toHex } from './proof'
import vectors from './proof.vectors.json'

/** Made with the exchange's own prover and signed as its log is (services/audit). */
const all = vectors as { index: number; raw: string; proof: string[]; checkpoint: string; key: string }[]

const changed = (base64: string, at: number): string => {
  const bytes = fromBase64(base64)
  bytes[at % bytes.length]! ^= 1
  return btoa(String.fromCharCode(...bytes))
}
const failing = async (one: (typeof all)[number]) =>
  (await checkEntry(one.index, one)).filter((it) => !it.holds).map((it) => it.check)

describe('a proof', () => {
  it('holds in trees of every shape', async () => {
    for (const one of all) expect(await failing(one)).toEqual([])
  })

  it('fails where anything was changed', async () => {
    for (const one of all) {
      expect(await failing({ ...one, raw: changed(one.raw, 9) })).toContain('root')
      expect(await failing({ ...one, index: one.index + 1 })).toContain('number')
      const [first, ...rest] = one.proof
      if (first) expect(await failing({ ...one, proof: [changed(first, 3), ...rest] })).toEqual(['root'])
      expect(await failing({ ...one, checkpoint: one.checkpoint.replace(/\n(\d+)\n/, '\n1$1\n') })).toContain('signature')
      expect(await failing({ ...one, key: one.key.replace('tongshu', 'tongsku') })).toEqual(['key', 'signature'])
    }
  })

  it('reads the number that an entry gives itself', () => {
    expect(all.map((one) => numberOf(fromBase64(one.raw)))).toEqual(all.map((one) => one.index))
    expect(numberOf(new Uint8Array(3))).toBeNull()
    expect(toHex(Uint8Array.of(0, 255))).toBe('00ff')
  })
})
