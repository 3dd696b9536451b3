/** Who is signed in, in which language and light; what all pages stand on. */
import { App as Ant, ConfigProvider } from 'antd'
import { createContext, useCallback, useContext, useEffect, useLayoutEffect, useMemo, useState, type ReactNode } from 'react'
import { ask, standing } from './api/client'
import { forget, useAll } from './api/asking'
import { CATALOG, CONSOLE, type Department, type Me, type Role, type Session, type SignedIn } from './api/types'
import { listen, useLive } from './api/live'
import { bring, LanguageContext, libraryWords, useLanguage, type Language } from './i18n'
import { themeOf, type Mode } from './theme'

interface Held {
  session: Session | null
  failed: boolean
  mode: Mode
  take: (session: Session) => void
  signOut: () => Promise<void>
  /** Rejects where the texts of that language cannot be had. */
  speak: (language: Language) => Promise<void>
  setMode: (mode: Mode) => void
  again: () => void
}

const Context = createContext<Held | null>(null)

export function useSession(): Held {
  const held = useContext(Context)
  if (!held) throw new Error('no session around this component')
  return held
}

/** Who is signed in; only for pages within the frame. */
export function useMe(): Me {
  const { session } = useSession()
  if (!session?.signed_in) throw new Error('nobody is signed in')
  return session.me
}

export function useRoles(): (...roles: Role[]) => boolean {
  const { roles } = useMe()
  return useCallback((...wanted: Role[]) => wanted.some((role) => roles.includes(role)), [roles])
}

function remembered<T extends string>(name: string, values: readonly T[], otherwise: T): T {
  const kept = localStorage.getItem(name) as T | null
  return kept && values.includes(kept) ? kept : otherwise
}

export function rememberedLanguage(): Language {
  return remembered('language', ['zh-CN', 'en'], 'zh-CN')
}

function preferred(): Mode {
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
}

const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''

export function SessionProvider({ children }: { children: ReactNode }) {
  const [session, setSession] = useState<Session | null>(null)
  const [failed, setFailed] = useState(false)
  const [turn, setTurn] = useState(0)
  const [language, setLanguage] = useState<Language>(rememberedLanguage)
  const [mode, setModeState] = useState<Mode>(() => remembered('mode', ['light', 'dark'], preferred()))
  standing.language = language

  const take = useCallback((told: Session) => {
    forget()
    standing.csrf = told.signed_in ? told.csrf : ''
    setFailed(false)
    setSession(told)
  }, [])

  useEffect(() => {
    standing.over = () => {
      setSession((before) => (before?.signed_in ? { signed_in: false, oidc: null } : before))
      setTurn((one) => one + 1)
    }
    standing.renew = async () => {
      const { data } = await ask<Session>(`${CONSOLE}/session`)
      return data.signed_in ? data.csrf : ''
    }
  }, [])

  useEffect(() => {
    ask<Session>(`${CONSOLE}/session`).then(
      ({ data }) => take(data),
      () => setFailed(true),
    )
  }, [turn, take])

  useLayoutEffect(() => {
    document.documentElement.lang = language
    document.documentElement.dataset.mode = mode
  }, [language, mode])

  const held = useMemo<Held>(
    () => ({
      session,
      failed,
      mode,
      take,
      again: () => setTurn((one) => one + 1),
      signOut: async () => {
        await ask(`${CONSOLE}/session`, { method: 'DELETE' })
        forget()
        setTurn((one) => one + 1)
      },
      speak: async (next) => {
        await bring(next)
        localStorage.setItem('language', next)
        standing.language = next
        setLanguage(next)
        // the person's own setting, so that notices come in it too; what cannot be kept there is kept here
        if (session?.signed_in) {
          ask(`${CONSOLE}/me`, { method: 'PATCH', body: { language: next } }).catch(() => undefined)
        }
      },
      setMode: (next) => {
        localStorage.setItem('mode', next)
        setModeState(next)
      },
    }),
    [session, failed, mode, take],
  )

  const live = session?.signed_in && !session.must_change_password
  useEffect(() => (live ? listen() : undefined), [live])
  useLive('signed-out', () => standing.over())

  return (
    <LanguageContext value={language}>
      <ConfigProvider
        theme={themeOf(mode)}
        locale={libraryWords(language)}
        {...(nonce ? { csp: { nonce } } : {})}
        button={{ autoInsertSpace: false }}
        // in the body itself, a dialogue would lock the scrolling by styles that have no nonce
        getPopupContainer={() => document.getElementById('over') ?? document.body}
      >
        <Ant component={false} message={{ maxCount: 3 }}>
          <Context value={held}>{children}</Context>
        </Ant>
      </ConfigProvider>
    </LanguageContext>
  )
}

export function signedIn(session: Session | null): session is SignedIn {
  return session?.signed_in === true
}

/** The departments' names in the reader's language, by slug. */
export function useDepartments(): { name: (slug: string | null | undefined) => string; all: Department[] } {
  const language = useLanguage()
  const { data } = useAll<Department>(`${CATALOG}/departments?limit=500`)
  return useMemo(() => {
    const names = new Map((data ?? []).map((one) => [one.slug, language === 'en' ? one.name_en : one.name]))
    return { name: (slug) => (slug ? (names.get(slug) ?? slug) : ''), all: data ?? [] }
  }, [data, language])
}
