/** What stands where there is nothing to show yet, nothing at all, or something went wrong. */
import { Button } from 'antd'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { Problem } from '../api/client'
import type { Asking } from '../api/asking'
import { named, useWords } from '../i18n'
import { useTitle } from './title'

export function Loading({ lines = 3 }: { lines?: number }) {
  const words = useWords()
  return (
    <div className="loading" role="status" aria-label={words.state.loading}>
      {Array.from({ length: lines }, (_, at) => (
        <span key={at} style={{ width: `${88 - ((at * 29) % 46)}%` }} />
      ))}
    </div>
  )
}

export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <svg viewBox="0 0 64 40" width="64" height="40" aria-hidden="true">
        <path d="M4 12h14c14 0 10 18 24 18h18M4 30h14c6 0 8-4 10-8M36 12h24" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" strokeDasharray="1 5" />
      </svg>
      <p className="empty-title">{title}</p>
      {children && <div className="empty-text">{children}</div>}
      {action}
    </div>
  )
}

/** A problem with everything that has to be mended, and a way on. */
export function ProblemView({ problem, retry }: { problem: Problem; retry?: () => void }) {
  const words = useWords()
  const away = problem.service && problem.status >= 500
  return (
    <div className="problem" role="alert">
      <p className="problem-title">
        {away ? words.state.away(named(words.state.services, problem.service)) : problem.title}
      </p>
      {problem.errors?.length ? (
        <ul>
          {problem.errors.map((one) => (
            <li key={one.pointer + one.detail}>
              <code>{one.pointer}</code> {one.detail}
            </li>
          ))}
        </ul>
      ) : (
        problem.detail && <p>{problem.detail}</p>
      )}
      {retry && <Button onClick={retry}>{words.state.retry}</Button>}
    </div>
  )
}

/** What was asked, once it is there; before that the state it is in. */
export function Shown<T>({ of, lines, children }: { of: Asking<T>; lines?: number; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) {
    return (
      <>
        {of.problem && <ProblemView problem={of.problem} retry={of.reload} />}
        {children(of.data)}
      </>
    )
  }
  if (of.problem) return <ProblemView problem={of.problem} retry={of.reload} />
  return <Loading {...(lines === undefined ? {} : { lines })} />
}

export function NotFound() {
  const words = useWords()
  useTitle(words.state.notFound)
  return (
    <Empty title={words.state.notFound} action={<Link to="/">{words.state.home}</Link>}>
      {words.state.notFoundMore}
    </Empty>
  )
}

export function NotAllowed() {
  const words = useWords()
  useTitle(words.state.notAllowed)
  return <Empty title={words.state.notAllowed} action={<Link to="/">{words.state.home}</Link>} />
}
