/** Where one is: the head of a page, and the same in the browser's title. */
import { useEffect, type ReactNode } from 'react'
import { Link } from 'react-router'
import { useWords } from '../i18n'

export function useTitle(title: string): void {
  const words = useWords()
  useEffect(() => {
    document.title = `${title} · ${words.product}`
  }, [title, words.product])
}

export interface Above {
  to: string
  name: string
}

export function PageHead(props: {
  title: string
  lead?: ReactNode
  above?: Above[]
  actions?: ReactNode
  children?: ReactNode
}) {
  useTitle(props.title)
  return (
    <header className="page-head">
      <div className="page-head-text">
        {props.above && (
          <nav aria-label="breadcrumb" className="above">
            {props.above.map((one) => (
              <Link key={one.to} to={one.to}>
                {one.name}
              </Link>
            ))}
          </nav>
        )}
        <h1 tabIndex={-1}>{props.title}</h1>
        {props.lead && <div className="lead">{props.lead}</div>}
      </div>
      {props.actions && <div className="page-actions">{props.actions}</div>}
      {props.children}
    </header>
  )
}

/** A part of a page with its heading. */
export function Section(props: { title: string; aside?: ReactNode; note?: ReactNode; children: ReactNode; plain?: boolean }) {
  return (
    <section className={props.plain ? 'section plain' : 'section'} aria-label={props.title}>
      <div className="section-head">
        <h2>{props.title}</h2>
        {props.aside && <div className="section-aside">{props.aside}</div>}
      </div>
      {props.note && <p className="section-note">{props.note}</p>}
      {props.children}
    </section>
  )
}
