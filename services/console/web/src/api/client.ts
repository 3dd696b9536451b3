/**
 * Asking the exchange. One origin, a cookie for the session; every change carries the session's CSRF token, an
 * idempotency key, and, where a state is changed, the ETag that was seen.
 *
 * What is refused comes as problem details (RFC 9457) and is thrown as `Refused`, with the texts in the language asked for.
 */

export interface Defect {
  pointer: string
  detail: string
}

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  errors?: Defect[]
  /** Which service is away, where one is. */
  service?: string
  retry_after_seconds?: number
  /** Where a copy of a refused file is, with its faults marked. */
  marked_copy?: string
}

/** What the exchange said no to. `slug` is stable; 0 as status: it did not answer at all. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail)
    this.name = 'Refused'
  }
  get slug(): string {
    return this.problem.type.split(':').at(-1) ?? ''
  }
}

export interface Answer<T> {
  data: T
  etag: string | null
}

export interface Asked {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  body?: unknown
  /** A file in place of a body, sent as it is. */
  file?: File
  etag?: string | null
  signal?: AbortSignal
  /** Read again by the page itself: it does not show that somebody is there, so an idle session still ends. */
  background?: boolean
}

interface Standing {
  language: string
  csrf: string
  /** Called when the session is over. */
  over: () => void
  /** Called when something was changed: what was read before may be so no more. */
  changed: () => void
  /** Gets the session anew and answers its CSRF token. */
  renew: () => Promise<string>
}

/** What every request carries; the session keeps it. */
export const standing: Standing = { language: 'zh-CN', csrf: '', over: () => {}, changed: () => {}, renew: async () => '' }

const SILENT: Record<string, [string, string]> = {
  'zh-CN': ['没有应答', '无法连接数据共享平台，请检查网络后重试。'],
  en: ['No answer', 'The exchange cannot be reached. Check the network and try again.'],
}

function silence(): Refused {
  const [title, detail] = SILENT[standing.language] ?? SILENT.en!
  return new Refused({ type: 'urn:tongshu:problem:no-answer', title, status: 0, detail })
}

async function refusal(response: Response): Promise<Refused> {
  const problem = (await response.json().catch(() => null)) as Problem | null
  return problem?.title ? new Refused(problem) : silence()
}

async function send(path: string, asked: Asked): Promise<Response> {
  const method = asked.method ?? 'GET'
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': standing.language }
  if (method !== 'GET') headers['X-CSRF-Token'] = standing.csrf
  if (method === 'POST') headers['Idempotency-Key'] = crypto.randomUUID()
  if (asked.background) headers['Tongshu-Background'] = '1'
  if (asked.etag) headers['If-Match'] = asked.etag
  if (asked.body !== undefined) headers['Content-Type'] = 'application/json'
  if (asked.file) headers['Content-Type'] = asked.file.type || 'application/octet-stream'
  try {
    return await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      ...(asked.file ? { body: asked.file } : asked.body === undefined ? {} : { body: JSON.stringify(asked.body) }),
      ...(asked.signal ? { signal: asked.signal } : {}),
    })
  } catch (error) {
    if (asked.signal?.aborted) throw error
    throw silence()
  }
}

/** What the exchange answers to `asked`; throws `Refused`. */
export async function ask<T>(path: string, asked: Asked = {}): Promise<Answer<T>> {
  let response = await send(path, asked)
  if (response.status === 403 && asked.method && asked.method !== 'GET') {
    const refused = await refusal(response.clone())
    if (refused.slug === 'csrf-invalid') {
      standing.csrf = await standing.renew()
      response = await send(path, asked)
    }
  }
  if (!response.ok) {
    const refused = await refusal(response)
    if (response.status === 401 && refused.slug === 'not-signed-in') standing.over()
    throw refused
  }
  if (asked.method && asked.method !== 'GET') standing.changed()
  const text = response.status === 204 ? '' : await response.text()
  const json = text !== '' && (response.headers.get('Content-Type') ?? '').includes('json')
  return { data: (json ? JSON.parse(text) : text) as T, etag: response.headers.get('ETag') }
}

export interface Page<T> {
  items: T[]
  next?: string | null
}

const MOST_PAGES = 40

/** All items of a list, page by page, as many as a person will look through (20,000 at pages of 500). */
export async function askAll<T>(path: string, asked: Asked = {}): Promise<Answer<T[]>> {
  const items: T[] = []
  let cursor: string | null | undefined
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const joint = path.includes('?') ? '&' : '?'
    const here = cursor ? `${path}${joint}cursor=${encodeURIComponent(cursor)}` : path
    const { data } = await ask<Page<T>>(here, asked)
    items.push(...data.items)
    cursor = data.next
    if (!cursor) break
  }
  return { data: items, etag: null }
}

/** `path` with the parts of `query` that say something; lists are repeated. */
export function withQuery(
  path: string,
  query: Record<string, string | number | boolean | readonly string[] | null | undefined>,
): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '') continue
    if (Array.isArray(value)) for (const one of value as readonly string[]) search.append(name, one)
    else search.append(name, String(value))
  }
  const text = search.toString()
  return text ? `${path}?${text}` : path
}
