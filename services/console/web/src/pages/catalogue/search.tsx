/** The catalogue: searched in words, pinyin or initials, narrowed by facets; the address says what is asked. */
import { AutoComplete, Button } from 'antd'
import { useEffect, useState, type ReactNode } from 'react'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { ask, withQuery } from '../../api/client'
import { useAsk, useDoing } from '../../api/asking'
import { CATALOG, type Found, type Hit, type Marked, type Suggestions } from '../../api/types'
import { Empty, ProblemView, Shown } from '../../components/states'
import { GRADE_TONES, Mark, SHARING_TONES } from '../../components/tag'
import { PageHead } from '../../components/title'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useRoles } from '../../session'

const FACETS = ['department', 'category', 'sharing_type', 'grade', 'update_cycle', 'channel'] as const
const FEW = 8
const PAGE = 20

export default function Catalogue() {
  const words = useWords()
  const language = useLanguage()
  const may = useRoles()
  const [params, setParams] = useSearchParams()
  const q = params.get('q') ?? ''
  const filters = Object.fromEntries(FACETS.map((name) => [name, params.getAll(name)]))
  const path = withQuery(`${CATALOG}/search`, { q, ...filters, limit: PAGE })
  const found = useAsk<Found>(path)
  const [more, setMore] = useState<{ path: string; items: Hit[]; next: string | null }>({ path, items: [], next: null })
  const doing = useDoing()
  const beyond = more.path === path ? more : { path, items: [] as Hit[], next: found.data?.next ?? null }

  const toggle = (name: string, value: string) => {
    const next = new URLSearchParams(params)
    const kept = next.getAll(name)
    next.delete(name)
    for (const one of kept.includes(value) ? kept.filter((it) => it !== value) : [...kept, value]) next.append(name, one)
    setParams(next, { replace: true })
  }
  const load = async () => {
    const told = await doing.run(() =>
      ask<Found>(withQuery(`${CATALOG}/search`, { q, ...filters, limit: PAGE, facets: false, cursor: beyond.next })),
    )
    if (told) setMore({ path, items: [...beyond.items, ...told.data.items], next: told.data.next ?? null })
  }

  return (
    <>
      <PageHead title={words.catalogue.title} lead={words.catalogue.lead} />
      <SearchBar
        q={q}
        onSearch={(text) => {
          const next = new URLSearchParams(params)
          if (text) next.set('q', text)
          else next.delete('q')
          setParams(next)
        }}
      />
      <Shown of={found} lines={8}>
        {(data) => (
          <div className="search">
            <div className="facets">
              {FACETS.map((name) => (
                <Facet
                  key={name}
                  title={words.catalogue.facets[name]}
                  values={data.facets[name] ?? []}
                  chosen={filters[name] ?? []}
                  onToggle={(value) => toggle(name, value)}
                />
              ))}
            </div>
            <div>
              <p className="faint" role="status">
                {words.catalogue.found(number(data.total, language))}
                {data.understood && ` · ${words.catalogue.understood(data.understood)}`}
              </p>
              {data.items.length ? (
                <ul className="hits">
                  {[...data.items, ...beyond.items].map((hit) => (
                    <HitView key={hit.code} hit={hit} />
                  ))}
                </ul>
              ) : (
                <Empty
                  title={words.catalogue.nothing}
                  action={
                    may('consumer') && (
                      <Link to="/demands/new">{words.catalogue.askUncatalogued}</Link>
                    )
                  }
                >
                  {words.catalogue.nothingMore}
                </Empty>
              )}
              {doing.problem && <ProblemView problem={doing.problem} />}
              {beyond.next && (
                <Button onClick={() => void load()} loading={doing.busy}>
                  {words.catalogue.moreHits}
                </Button>
              )}
            </div>
          </div>
        )}
      </Shown>
    </>
  )
}

function SearchBar({ q, onSearch }: { q: string; onSearch: (text: string) => void }) {
  const words = useWords()
  const navigate = useNavigate()
  const [text, setText] = useState(q)
  useEffect(() => setText(q), [q])
  const wanted = useSettled(text.trim())
  const path = wanted && wanted !== q ? withQuery(`${CATALOG}/suggestions`, { q: wanted }) : null
  const { data } = useAsk<Suggestions>(path)
  return (
    <form
      role="search"
      aria-label={words.catalogue.title}
      className="search-bar"
      onSubmit={(event) => {
        event.preventDefault()
        onSearch(text.trim())
      }}
    >
      <AutoComplete
        value={text}
        onChange={setText}
        onSelect={(code: string) => void navigate(`/catalogue/${code}`)}
        options={(data?.items ?? []).map((one) => ({ value: one.code, label: <Marks text={one.title} /> }))}
        placeholder={words.catalogue.ask}
        aria-label={words.catalogue.ask}
        defaultActiveFirstOption={false}
        size="large"
      />
      <Button type="primary" size="large" htmlType="submit">
        {words.catalogue.search}
      </Button>
    </form>
  )
}

const SETTLED_MS = 180

/** `value` once it has stopped changing. */
function useSettled(value: string): string {
  const [settled, set] = useState(value)
  useEffect(() => {
    const timer = window.setTimeout(() => set(value), SETTLED_MS)
    return () => window.clearTimeout(timer)
  }, [value])
  return settled
}

interface FacetProps {
  title: string
  values: { value: string; label: string; count: number }[]
  chosen: string[]
  onToggle: (value: string) => void
}

function Facet({ title, values, chosen, onToggle }: FacetProps) {
  const words = useWords()
  const language = useLanguage()
  const [all, setAll] = useState(false)
  if (!values.length) return null
  const shown = all ? values : values.filter((one, at) => at < FEW || chosen.includes(one.value))
  return (
    <fieldset>
      <legend>{title}</legend>
      {shown.map((one) => (
        <label key={one.value}>
          <input type="checkbox" checked={chosen.includes(one.value)} onChange={() => onToggle(one.value)} />
          <span>{one.label}</span>
          <span className="count">{number(one.count, language)}</span>
        </label>
      ))}
      {values.length > FEW && (
        <Button type="link" size="small" onClick={() => setAll(!all)}>
          {all ? words.catalogue.fewerFacets : words.catalogue.allFacets(number(values.length, language))}
        </Button>
      )}
    </fieldset>
  )
}

function HitView({ hit }: { hit: Hit }) {
  const words = useWords()
  const language = useLanguage()
  return (
    <li>
      <Link to={`/catalogue/${hit.code}`} className="hit-title">
        <Marks text={hit.title} />
      </Link>
      <p className="hit-text">
        <Marks text={hit.abstract} />
      </p>
      {hit.items.length > 0 && (
        <p className="hit-text chips" aria-label={words.catalogue.matching}>
          {hit.items.map((item) => (
            <span key={item.name} className="chip">
              <Marks text={item.title} />
            </span>
          ))}
        </p>
      )}
      <div className="hit-meta">
        <span>{hit.department_name}</span>
        <Mark tone={SHARING_TONES[hit.sharing_type] ?? 'calm'}>{named(words.field.sharing, hit.sharing_type)}</Mark>
        <Mark tone={GRADE_TONES[hit.grade] ?? 'calm'}>{named(words.field.grades, hit.grade)}</Mark>
        <span>{named(words.field.cycles, hit.update_cycle)}</span>
        <span>{hit.channels.map((one) => named(words.field.channels, one)).join(' · ')}</span>
        {hit.category.length > 0 && <span>{hit.category.map((one) => one.name).join(' › ')}</span>}
        {hit.uses > 0 && <span>{words.catalogue.uses(number(hit.uses, language))}</span>}
      </div>
    </li>
  )
}

/** A text with what the search matched in it marked; places count code points. */
export function Marks({ text }: { text: Marked }) {
  const signs = [...text.text]
  const parts: ReactNode[] = []
  let at = 0
  for (const [begin, end] of text.ranges) {
    parts.push(signs.slice(at, begin).join(''), <mark key={begin}>{signs.slice(begin, end).join('')}</mark>)
    at = end
  }
  return (
    <>
      {parts}
      {signs.slice(at).join('')}
    </>
  )
}
