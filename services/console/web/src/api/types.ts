/** The types of the APIs that the pages use, by the names the field uses. Made from OpenAPI: `npm run types`. */
import type { components as AuditComponents } from './generated/audit'
import type { components as CatalogComponents } from './generated/catalog'
import type { components as DemandComponents } from './generated/demand'

type Catalog = CatalogComponents['schemas']
type Demand = DemandComponents['schemas']
type Audit = AuditComponents['schemas']

export type Role = Catalog['Role']

export type Department = Catalog['DepartmentForm']
export type InformationSystem = Catalog['SystemOut']
export type Resource = Catalog['ResourceOut']
export type Terms = Catalog['TermsForm']
export type Item = Catalog['ItemForm']
export type Rule = Catalog['RuleForm']
export type Action = Catalog['Action']
export type Check = Catalog['CheckOut']
export type ResourceStep = Catalog['StepOut']
export type Category = Catalog['CategoryForm']
export type ServiceItem = Catalog['ServiceItemOut']
export type CodeListName = Catalog['CodeListName']
export type SourceTables = Catalog['TablesOut']
export type SourceTable = Catalog['TableOut']
export type Preview = Catalog['PreviewOut']
export type ApiPreview = Catalog['ApiPreviewOut']
export type Upstream = Catalog['UpstreamForm']
export type Mounted = Catalog['MountedOut']
export type Taken = Catalog['TakenOut']
export type Trial = Catalog['TrialOut']
export type WriterCredentials = Catalog['WriterCredentials']
export type ImportDone = Catalog['ImportOut']
export type Power = Catalog['PowerOut']
export type DataItem = Catalog['DataItemOut']
export type Contract = Catalog['ContractOut']
export type Lineage = Catalog['LineageOut']
export type Uses = Catalog['UsesOut']
export type Version = Catalog['VersionOut']
export type Difference = Catalog['DifferenceOut']
export type Found = Catalog['FoundOut']
export type Hit = Catalog['HitOut']
export type Marked = Catalog['MarkedOut']
export type Suggestions = Catalog['SuggestionsOut']
export type Related = Catalog['RelatedOut']
export type CatalogueTask = Catalog['TaskOut']
export type MountStatus = Catalog['MountStatus']
export type CatalogueNotice = Catalog['NoticeOut']
export type Token = Catalog['TokenOut']
export type CalendarDay = Catalog['DayOut']

export type DemandForm = Demand['DemandForm']
export type DemandOut = Demand['DemandOut']
export type DemandDetail = Demand['DemandDetail']
export type TimelineEntry = Demand['TimelineEntry']
export type DemandStep = Demand['StepOut']
export type MatchingLine = Demand['LineOut']
export type OpenClock = Demand['OpenClock']
export type Notice = Demand['NoticeOut']
export type Grant = Demand['GrantOut']
export type Credentials = Demand['Credentials']
export type ApiKey = Demand['ApiKeyOut']
export type Objection = Demand['ObjectionOut']
export type Story = Demand['StoryOut']
export type Feedback = Demand['FeedbackOut']
export type FeedbackRequest = Demand['RequestOut']
export type UsageWindow = Demand['WindowOut']
export type UsageTotal = Demand['TotalOut']
export type GrantUse = Demand['GrantUseOut']
export type Assessed = Demand['PeriodOut']
export type Assessment = Demand['AssessmentOut']
export type Rate = Demand['RateOut']
export type ClockLength = Demand['LengthOut']
export type Norm = Demand['NormOut']

export type Entry = Audit['EntryOut']
export type ProvedEntry = Audit['ProvedEntry']
export type Matter = Audit['MatterOut']
export type LogStatus = Audit['LogStatus']

/** Somebody who is signed in. */
export interface Me {
  login: string
  name: string
  department: string | null
  roles: Role[]
  language: 'zh-CN' | 'en'
  local: boolean
}

export interface SignedOut {
  signed_in: false
  oidc: { title: string; begin: string } | null
}

export interface SignedIn {
  signed_in: true
  csrf: string
  must_change_password: boolean
  idle_ends_at: string
  ends_at: string
  me: Me
}

export type Session = SignedOut | SignedIn

export interface Account {
  login: string
  name: string
  department: string | null
  roles: Role[]
  language: string
  must_change_password: boolean
  disabled: boolean
  locked_until: string | null
  failures: number
  last_signed_in_at: string | null
  created_by: string
  created_at: string
  local: boolean
}

export const CATALOG = '/api/catalog/v1'
export const DEMAND = '/api/demand/v1'
export const SYNC = '/api/sync/v1'
export const AUDIT = '/api/audit/v1'
export const WATCH = '/api/watch/v1'
export const CONSOLE = '/api/console/v1'

/** Where programs of departments connect to. */
export interface Endpoints {
  kafka: string
  security_protocol: string
  registry: string
  rows: string
  /** Where a trace is looked at, with `{trace_id}` in it. */
  trace: string | null
}
