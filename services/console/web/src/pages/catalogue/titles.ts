/** The resources' titles by their codes, for pages that know only the code. */
import { useCallback, useMemo } from 'react'
import { useAll } from '../../api/asking'
import { CATALOG, type Resource } from '../../api/types'

export function useTitles(): (code: string | null | undefined) => string {
  const { data } = useAll<Resource>(`${CATALOG}/resources?limit=500`)
  const titles = useMemo(
    () => new Map((data ?? []).map((one) => [one.code, (one.published ?? one.draft)?.title ?? one.code])),
    [data],
  )
  return useCallback((code) => (code ? (titles.get(code) ?? code) : ''), [titles])
}
