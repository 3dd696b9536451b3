/** The frame around every page: sections by what people come for, the search, the person. */
import { Button, Dropdown } from 'antd'
import { lazy, Suspense, useEffect, useRef, useState, type FormEvent } from 'react'
import { Link, NavLink, Outlet, useLocation, useNavigate } from 'react-router'
import type { Role } from '../api/types'
import { useLive } from '../api/live'
import { useWords, type Words } from '../i18n'
import { useDepartments, useMe, useRoles, useSession } from '../session'
import { Broken } from './broken'
import { OtherLanguage } from './language'

const PasswordDialog = lazy(() => import('../pages/signin/password').then((all) => ({ default: all.PasswordDialog })))

interface Entry {
  to: string
  name: keyof Words['nav']
  roles?: Role[]
}

const SECTIONS: { name: keyof Words['nav']; entries: Entry[] }[] = [
  { name: 'lead', entries: [{ to: '/overview', name: 'overview' }] },
  { name: 'find', entries: [{ to: '/catalogue', name: 'catalogue' }] },
  {
    name: 'use',
    entries: [
      { to: '/work', name: 'work', roles: ['administrator', 'provider', 'consumer', 'auditor'] },
      { to: '/demands', name: 'demands', roles: ['administrator', 'provider', 'consumer', 'auditor'] },
      { to: '/matching', name: 'matching' },
      { to: '/data', name: 'data' },
      { to: '/objections', name: 'objections' },
    ],
  },
  {
    name: 'provide',
    entries: [
      { to: '/providing', name: 'providing', roles: ['administrator', 'provider'] },
      { to: '/reviews', name: 'reviews', roles: ['administrator'] },
      { to: '/lists', name: 'lists', roles: ['administrator', 'provider'] },
    ],
  },
  {
    name: 'run',
    entries: [
      { to: '/running/lag', name: 'lag', roles: ['administrator', 'ops', 'auditor'] },
      { to: '/running/alerts', name: 'alerts' },
      { to: '/running/quarantine', name: 'quarantine', roles: ['administrator', 'provider', 'ops', 'auditor'] },
      { to: '/running/replays', name: 'replays', roles: ['administrator', 'ops', 'auditor'] },
      { to: '/running/mounts', name: 'mounts', roles: ['administrator', 'ops', 'auditor'] },
    ],
  },
  {
    name: 'prove',
    entries: [
      { to: '/audit', name: 'audit', roles: ['administrator', 'auditor'] },
      { to: '/matters', name: 'matters' },
      { to: '/assessment', name: 'assessment' },
      { to: '/administration', name: 'administration' },
    ],
  },
]

export function Frame() {
  const words = useWords()
  const location = useLocation()
  const [open, setOpen] = useState(false)
  const main = useRef<HTMLElement>(null)
  const first = useRef(true)

  useEffect(() => {
    setOpen(false)
    // whoever follows a link by keyboard or hears the page goes on at its title, not at the navigation
    if (!first.current) main.current?.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true })
    first.current = false
    window.scrollTo(0, 0)
  }, [location.pathname])

  return (
    <div className={open ? 'frame open' : 'frame'}>
      <a className="skip" href="#main">
        {words.skip}
      </a>
      <aside className="side" aria-label={words.product}>
        <Link to="/" className="brand">
          <Brand />
          <span>
            <b>{words.product}</b>
            <small>{words.productLine}</small>
          </span>
        </Link>
        <Navigation />
        <Standing />
      </aside>
      <button type="button" className="veil" aria-label={words.nav.close} onClick={() => setOpen(false)} hidden={!open} />
      <div className="body">
        <Top onMenu={() => setOpen(!open)} open={open} />
        <main id="main" ref={main} tabIndex={-1}>
          <Broken key={location.pathname}>
            <Outlet />
          </Broken>
        </main>
      </div>
    </div>
  )
}

export function Brand() {
  return (
    <svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--accent)" />
      <g fill="none" stroke="var(--on-accent)" strokeWidth="2.4" strokeLinecap="round">
        <path d="M6 10h6c6 0 4 12 10 12h4" />
        <path d="M6 22h6c2.4 0 3.5-1.9 4.5-4" opacity=".55" />
        <path d="M17.6 14c1-2.1 2-4 4.4-4h4" opacity=".55" />
      </g>
    </svg>
  )
}

function Navigation() {
  const words = useWords()
  const may = useRoles()
  return (
    <nav aria-label={words.nav.label}>
      {SECTIONS.map((section) => {
        const entries = section.entries.filter((one) => !one.roles || may(...one.roles))
        if (!entries.length) return null
        return (
          <div key={section.name} className="nav-section">
            <p id={`nav-${section.name}`}>{words.nav[section.name]}</p>
            <ul aria-labelledby={`nav-${section.name}`}>
              {entries.map((one) => (
                <li key={one.to}>
                  <NavLink to={one.to}>{words.nav[one.name]}</NavLink>
                </li>
              ))}
            </ul>
          </div>
        )
      })}
    </nav>
  )
}

const SILENT_AFTER_MS = 40_000

/** Whether the page is being kept up to date: the stream has a heartbeat of 15 s. */
function Standing() {
  const words = useWords()
  const [live, setLive] = useState<boolean | null>(null)
  const waiting = useRef<number | undefined>(undefined)
  const heard = () => {
    setLive(true)
    window.clearTimeout(waiting.current)
    waiting.current = window.setTimeout(() => setLive(false), SILENT_AFTER_MS)
  }
  useLive('heartbeat', heard)
  useLive('deliveries', heard)
  if (live === null) return null
  return (
    <p className={live ? 'standing live' : 'standing'} role="status">
      <i aria-hidden="true" />
      {live ? words.top.live : words.top.still}
    </p>
  )
}

function Top({ onMenu, open }: { onMenu: () => void; open: boolean }) {
  const words = useWords()
  const me = useMe()
  const departments = useDepartments()
  const { setMode, mode, signOut } = useSession()
  const navigate = useNavigate()
  const [changing, setChanging] = useState(false)
  const search = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const q = new FormData(event.currentTarget).get('q')
    void navigate(`/catalogue?q=${encodeURIComponent(String(q ?? ''))}`)
  }
  return (
    <div className="top" role="banner">
      <button type="button" className="menu" aria-expanded={open} aria-label={words.nav.open} onClick={onMenu}>
        <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
          <path d="M3 5h14M3 10h14M3 15h14" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" />
        </svg>
      </button>
      <form role="search" className="top-search" onSubmit={search}>
        <svg viewBox="0 0 20 20" width="16" height="16" aria-hidden="true">
          <circle cx="9" cy="9" r="5.5" fill="none" stroke="currentColor" strokeWidth="1.7" />
          <path d="m13.2 13.2 4 4" stroke="currentColor" strokeWidth="1.7" strokeLinecap="round" />
        </svg>
        <input name="q" type="search" placeholder={words.top.search} aria-label={words.top.search} autoComplete="off" />
      </form>
      <div className="top-right">
        <OtherLanguage />
        <Button type="text" className="only-wide" onClick={() => setMode(mode === 'dark' ? 'light' : 'dark')}>
          {mode === 'dark' ? words.top.light : words.top.dark}
        </Button>
        <Dropdown
          trigger={['click']}
          menu={{
            items: [
              ...(me.local ? [{ key: 'password', label: words.top.password }] : []),
              { key: 'out', label: words.top.signOut },
            ],
            onClick: ({ key }) => (key === 'out' ? void signOut() : setChanging(true)),
          }}
        >
          <button type="button" className="person" aria-haspopup="menu">
            <span className="person-name">{me.name}</span>
            <span className="person-of">
              {me.department ? departments.name(me.department) : me.roles.map((one) => words.field.roles[one]).join(' · ')}
            </span>
          </button>
        </Dropdown>
      </div>
      {changing && <Suspense fallback={null}><PasswordDialog open onClose={() => setChanging(false)} /></Suspense>}
    </div>
  )
}
