/** Which page is where. Pages come when they are opened; who is not signed in sees the sign-in alone. */
import { lazy, Suspense, type ComponentType } from 'react'
import { Navigate, Route, Routes } from 'react-router'
import { Broken } from './components/broken'
import { Frame } from './components/frame'
import { Loading, NotAllowed, NotFound, ProblemView } from './components/states'
import type { Role } from './api/types'
import { useWords } from './i18n'
import { useRoles, useSession } from './session'

// who is signed in needs no form
const SignIn = lazy(() => import('./pages/signin/signin').then((all) => ({ default: all.SignIn })))
const FirstPassword = lazy(() => import('./pages/signin/password').then((all) => ({ default: all.FirstPassword })))
const Overview = lazy(() => import('./pages/overview/overview'))
const Catalogue = lazy(() => import('./pages/catalogue/search'))
const ResourcePage = lazy(() => import('./pages/catalogue/resource'))
const Providing = lazy(() => import('./pages/providing/list'))
const Editor = lazy(() => import('./pages/providing/editor'))
const Reviews = lazy(() => import('./pages/providing/reviews'))
const Review = lazy(() => import('./pages/providing/review'))
const Mount = lazy(() => import('./pages/providing/mount'))
const Lists = lazy(() => import('./pages/providing/lists'))
const Work = lazy(() => import('./pages/demands/work'))
const Demands = lazy(() => import('./pages/demands/list'))
const Matching = lazy(() => import('./pages/demands/matching'))
const Application = lazy(() => import('./pages/demands/application'))
const DemandPage = lazy(() => import('./pages/demands/demand'))
const Objections = lazy(() => import('./pages/demands/objections'))
const ObjectionPage = lazy(() => import('./pages/demands/objection'))
const MyData = lazy(() => import('./pages/data/list'))
const GrantPage = lazy(() => import('./pages/data/grant'))
const Lag = lazy(() => import('./pages/running/lag'))
const Alerts = lazy(() => import('./pages/running/alerts'))
const Quarantine = lazy(() => import('./pages/running/quarantine'))
const Replays = lazy(() => import('./pages/running/replays'))
const Mounts = lazy(() => import('./pages/running/mounts'))
const AuditLog = lazy(() => import('./pages/audit/log'))
const EntryPage = lazy(() => import('./pages/audit/entry'))
const Matters = lazy(() => import('./pages/audit/matters'))
const Assessment = lazy(() => import('./pages/assessment/assessment'))
const Administration = lazy(() => import('./pages/administration/administration'))

const EVERYBODY: Role[] = ['administrator', 'provider', 'consumer', 'ops', 'auditor']
const PROVIDERS: Role[] = ['administrator', 'provider']
const PARTIES: Role[] = ['administrator', 'provider', 'consumer', 'auditor']

interface Place {
  path: string
  page: ComponentType
  roles: Role[]
}

const PLACES: Place[] = [
  { path: 'overview', page: Overview, roles: EVERYBODY },
  { path: 'catalogue', page: Catalogue, roles: EVERYBODY },
  { path: 'catalogue/new', page: Editor, roles: PROVIDERS },
  { path: 'catalogue/:code', page: ResourcePage, roles: EVERYBODY },
  { path: 'catalogue/:code/edit', page: Editor, roles: PROVIDERS },
  { path: 'catalogue/:code/mount', page: Mount, roles: PROVIDERS },
  { path: 'lists', page: Lists, roles: PROVIDERS },
  { path: 'providing', page: Providing, roles: PROVIDERS },
  { path: 'reviews', page: Reviews, roles: ['administrator'] },
  { path: 'reviews/:code', page: Review, roles: ['administrator'] },
  { path: 'work', page: Work, roles: PARTIES },
  { path: 'demands', page: Demands, roles: PARTIES },
  { path: 'demands/new', page: Application, roles: ['consumer'] },
  { path: 'demands/:id', page: DemandPage, roles: PARTIES },
  { path: 'demands/:id/edit', page: Application, roles: ['consumer'] },
  { path: 'matching', page: Matching, roles: EVERYBODY },
  { path: 'objections', page: Objections, roles: EVERYBODY },
  { path: 'objections/:id', page: ObjectionPage, roles: EVERYBODY },
  { path: 'data', page: MyData, roles: EVERYBODY },
  { path: 'data/:id', page: GrantPage, roles: EVERYBODY },
  { path: 'running/lag', page: Lag, roles: ['administrator', 'ops', 'auditor'] },
  { path: 'running/alerts', page: Alerts, roles: EVERYBODY },
  { path: 'running/alerts/:id', page: Alerts, roles: EVERYBODY },
  { path: 'running/quarantine', page: Quarantine, roles: ['administrator', 'provider', 'ops', 'auditor'] },
  { path: 'running/replays', page: Replays, roles: ['administrator', 'ops', 'auditor'] },
  { path: 'running/mounts', page: Mounts, roles: ['administrator', 'ops', 'auditor'] },
  { path: 'audit', page: AuditLog, roles: ['administrator', 'auditor'] },
  { path: 'audit/entries/:sequence', page: EntryPage, roles: ['administrator', 'auditor'] },
  { path: 'matters', page: Matters, roles: EVERYBODY },
  { path: 'matters/:id', page: Matters, roles: EVERYBODY },
  { path: 'assessment', page: Assessment, roles: EVERYBODY },
  { path: 'administration/:area?', page: Administration, roles: ['administrator', 'auditor', 'ops', 'provider', 'consumer'] },
]

export function Console() {
  const { session, failed, again } = useSession()
  const words = useWords()
  if (failed) {
    return (
      <main className="alone">
        <ProblemView
          problem={{ type: '', title: words.state.away(words.product), status: 0, detail: '' }}
          retry={again}
        />
      </main>
    )
  }
  if (!session) return <Loading />
  if (!session.signed_in || session.must_change_password) {
    return <Suspense fallback={<Loading />}>{session.signed_in ? <FirstPassword /> : <SignIn oidc={session.oidc} />}</Suspense>
  }
  return (
    <Broken>
      <Routes>
        <Route element={<Frame />}>
          <Route index element={<Home />} />
          {PLACES.map(({ path, page: Page, roles }) => (
            <Route key={path} path={path} element={<Guarded roles={roles} page={Page} />} />
          ))}
          <Route path="*" element={<NotFound />} />
        </Route>
      </Routes>
    </Broken>
  )
}

function Guarded({ roles, page: Page }: { roles: Role[]; page: ComponentType }) {
  const may = useRoles()
  // who may see what is decided by the services: this spares a page that could show nothing
  if (!may(...roles)) return <NotAllowed />
  return (
    <Suspense fallback={<Loading />}>
      <Page />
    </Suspense>
  )
}

/** Each persona begins where its work is. */
function Home() {
  const may = useRoles()
  if (may('administrator', 'auditor')) return <Navigate to="/overview" replace />
  if (may('provider', 'consumer')) return <Navigate to="/work" replace />
  return <Navigate to="/running/lag" replace />
}
