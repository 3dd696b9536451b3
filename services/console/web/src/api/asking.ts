/** Reading in a component: what is asked is kept a while, shown at once when it is asked again, and asked anew. */
import { useCallback, useEffect, useRef, useState } from 'react'
import { ask, askAll, Refused, standing, type Answer, type Asked, type Problem } from './client'

export interface Asking<T> {
  data: T | undefined
  etag: string | null
  problem: Problem | null
  loading: boolean
  reload: () => void
}

interface Kept {
  answer: Answer<unknown>
  at: number
}

const kept = new Map<string, Kept>()
const underWay = new Map<string, Promise<Answer<unknown>>>()
const MOST_KEPT = 200
/** How long an answer does for whoever asks the same: several parts of a page do. */
const FRESH_MS = 5_000

function keep(key: string, answer: Answer<unknown>): void {
  kept.delete(key)
  kept.set(key, { answer, at: Date.now() })
  const oldest = kept.keys().next().value
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest)
}

/** Forgets all that was read: for another person, or another language. */
export function forget(): void {
  kept.clear()
  underWay.clear()
}

standing.changed = () => {
  for (const one of kept.values()) one.at = 0
  underWay.clear()
}

type Fetch<T> = (path: string, asked: Asked) => Promise<Answer<T>>

/** Asks once for all who want the same at the same time. */
function together<T>(key: string, path: string, fetch: Fetch<T>, background: boolean): Promise<Answer<T>> {
  const waiting = underWay.get(key) as Promise<Answer<T>> | undefined
  if (waiting) return waiting
  const asked = fetch(path, { background })
  underWay.set(key, asked)
  const over = () => {
    if (underWay.get(key) === asked) underWay.delete(key)
  }
  asked.then((answer) => {
    if (underWay.get(key) === asked) keep(key, answer)
    over()
  }, over)
  return asked
}

function useReading<T>(path: string | null, fetch: Fetch<T>): Asking<T> {
  const key = path && `${standing.language} ${path}`
  const [state, set] = useState<{ key: string | null; answer?: Answer<T>; problem: Problem | null; loading: boolean }>(
    () => ({ key: null, problem: null, loading: path !== null }),
  )
  const [turn, setTurn] = useState(0)
  const fetching = useRef(fetch)
  fetching.current = fetch

  useEffect(() => {
    if (path === null || key === null) return
    let over = false
    const before = kept.get(key)
    const known = before?.answer as Answer<T> | undefined
    if (known && turn === 0 && Date.now() - before!.at < FRESH_MS) {
      set({ key, answer: known, problem: null, loading: false })
      return
    }
    set((before) => ({
      key,
      ...(known ? { answer: known } : before.key === key && before.answer ? { answer: before.answer } : {}),
      problem: null,
      loading: true,
    }))
    together(key, path, fetching.current, turn > 0).then(
      (answer) => {
        if (over) return
        set({ key, answer, problem: null, loading: false })
      },
      (error: unknown) => {
        if (over) return
        if (!(error instanceof Refused)) throw error
        set((before) => ({ ...before, key, problem: error.problem, loading: false }))
      },
    )
    return () => {
      over = true
    }
  }, [path, key, turn])

  const reload = useCallback(() => setTurn((one) => one + 1), [])
  const here = state.key === key
  return {
    data: here ? state.answer?.data : undefined,
    etag: (here && state.answer?.etag) || null,
    problem: here ? state.problem : null,
    loading: here ? state.loading : path !== null,
    reload,
  }
}

/** What is at `path` (null: nothing is asked yet). */
export function useAsk<T>(path: string | null): Asking<T> {
  return useReading<T>(path, ask as Fetch<T>)
}

/** All items of the list at `path`. */
export function useAll<T>(path: string | null): Asking<T[]> {
  return useReading<T[]>(path, askAll as Fetch<T[]>)
}

/** Reads anew every so often while the page is looked at (null: not now): for what nobody tells of. */
export function useEvery(seconds: number | null, reload: () => void): void {
  const latest = useRef(reload)
  latest.current = reload
  useEffect(() => {
    if (seconds === null) return
    const timer = window.setInterval(() => document.hidden || latest.current(), seconds * 1_000)
    return () => window.clearInterval(timer)
  }, [seconds])
}

export interface Doing {
  busy: boolean
  problem: Problem | null
  /** Runs what changes something; answers undefined where it was refused, and tells the problem. */
  run: <T>(change: () => Promise<T>) => Promise<T | undefined>
  clear: () => void
}

/** A change somebody makes: whether it is under way, and what the exchange said against it. */
export function useDoing(): Doing {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  const run = useCallback(async <T>(change: () => Promise<T>): Promise<T | undefined> => {
    setBusy(true)
    setProblem(null)
    try {
      return await change()
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      setProblem(error.problem)
      return undefined
    } finally {
      setBusy(false)
    }
  }, [])
  const clear = useCallback(() => setProblem(null), [])
  return { busy, problem, run, clear }
}
