/**
 * The log's proofs recomputed here, with the browser's own cryptography and nothing of the exchange's: that a checkpoint
 * is signed by the log's key, and that an entry is in the tree which was signed.
 *
 * Sources: C2SP signed note and checkpoint; RFC 6962, sections 2.1 and 2.1.1.
 */

export type Check = 'key' | 'signature' | 'leaf' | 'root' | 'number'

export interface Checked {
  check: Check
  holds: boolean
  /** What was computed and what it was held against, for those who look closely. */
  shown: string[]
}

export interface Proved {
  raw: string
  proof: string[]
  checkpoint: string
  key: string
}

export interface Checkpoint {
  origin: string
  size: number
  root: Uint8Array
}

const ED25519 = 1
type Bytes = Uint8Array<ArrayBuffer>

export function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))
}

export function toHex(bytes: Uint8Array): string {
  return [...bytes].map((one) => one.toString(16).padStart(2, '0')).join('')
}

function joined(...parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0))
  let at = 0
  for (const one of parts) {
    all.set(one, at)
    at += one.length
  }
  return all
}

async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((one, at) => one === b[at])
}

/** Where the three lines of a checkpoint end and its signatures begin; null for what is no checkpoint. */
export function checkpointOf(note: string): { checkpoint: Checkpoint; text: string; signatures: string } | null {
  const at = note.lastIndexOf('\n\n')
  if (at < 0) return null
  const text = note.slice(0, at + 1)
  const [origin, size, root] = text.split('\n')
  if (!origin || !size || !/^\d+$/.test(size) || !root) return null
  try {
    return { checkpoint: { origin, size: Number(size), root: fromBase64(root) }, text, signatures: note.slice(at + 2) }
  } catch {
    return null
  }
}

export const encoder = new TextEncoder()

/** The key that `text` (`name+id+base64`) names, once its id is what it must be; null otherwise. */
export async function keyOf(text: string): Promise<{ name: string; id: Bytes; public: Bytes } | null> {
  const parts = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text.trim())
  if (!parts) return null
  const [, name = '', told = '', encoded = ''] = parts
  const raw = fromBase64(encoded)
  if (raw.length !== 33 || raw[0] !== ED25519) return null
  const id = (await sha256(joined(encoder.encode(`${name}\n`), raw))).slice(0, 4)
  return toHex(id) === told ? { name, id, public: raw.slice(1) } : null
}

/** Whether `note` bears a good signature of `key`. */
export async function isSigned(note: string, key: { name: string; id: Bytes; public: Bytes }): Promise<boolean> {
  const parsed = checkpointOf(note)
  if (!parsed || parsed.checkpoint.origin !== key.name) return false
  const imported = await crypto.subtle.importKey('raw', key.public, 'Ed25519', false, ['verify'])
  for (const line of parsed.signatures.split('\n')) {
    const [mark, name, encoded] = line.split(' ')
    if (mark !== '—' || name !== key.name || !encoded) continue
    const signature = fromBase64(encoded)
    if (!same(signature.slice(0, 4), key.id)) continue
    return crypto.subtle.verify('Ed25519', imported, signature.slice(4), encoder.encode(parsed.text))
  }
  return false
}

/** The root that `proof` leads to from the `index`th of `size` leaves; null when it has not the right length. */
export async function rootFrom(index: number, size: number, leaf: Bytes, proof: readonly Bytes[]): Promise<Bytes | null> {
  if (index < 0 || index >= size) return null
  let [place, last, node] = [index, size - 1, leaf]
  for (const sibling of proof) {
    if (last === 0) return null
    if (place % 2 === 1 || place === last) {
      node = await sha256(joined(Uint8Array.of(1), sibling, node))
      while (place % 2 === 0 && place > 0) [place, last] = [place / 2, Math.floor(last / 2)]
    } else {
      node = await sha256(joined(Uint8Array.of(1), node, sibling))
    }
    ;[place, last] = [Math.floor(place / 2), Math.floor(last / 2)]
  }
  return last === 0 ? node : null
}

/** The number that a sealed entry gives itself: Avro's first field (zigzag varint) behind five bytes of wire format. */
export function numberOf(entry: Uint8Array): number | null {
  let value = 0n
  let shift = 0n
  for (const byte of entry.slice(5, 15)) {
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return Number((value >> 1n) ^ -(value & 1n))
    shift += 7n
  }
  return null
}

/** Every check of an entry's proof, in the order in which they rest on each other. */
export async function checkEntry(sequence: number, proved: Proved): Promise<Checked[]> {
  const key = await keyOf(proved.key)
  const parsed = checkpointOf(proved.checkpoint)
  const raw = fromBase64(proved.raw)
  const leaf = await sha256(joined(Uint8Array.of(0), raw))
  const signed = key !== null && (await isSigned(proved.checkpoint, key))
  const root = parsed ? await rootFrom(sequence, parsed.checkpoint.size, leaf, proved.proof.map(fromBase64)) : null
  const number = numberOf(raw)
  return [
    { check: 'key', holds: key !== null, shown: [proved.key] },
    { check: 'signature', holds: signed, shown: parsed ? [parsed.checkpoint.origin, String(parsed.checkpoint.size), toHex(parsed.checkpoint.root)] : [] },
    { check: 'number', holds: number === sequence, shown: [String(number), String(sequence)] },
    { check: 'leaf', holds: raw.length > 0, shown: [toHex(leaf)] },
    { check: 'root', holds: root !== null && parsed !== null && same(root, parsed.checkpoint.root), shown: [root ? toHex(root) : '–', parsed ? toHex(parsed.checkpoint.root) : '–'] },
  ]
}
