/** What is known of a thing, name by name; what is not known is left out. */
import type { ReactNode } from 'react'

export type Fact = [name: string, value: ReactNode]

export function Facts({ facts }: { facts: Fact[] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) =>
        value ? (
          <div key={name} style={{ display: 'contents' }}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ) : null,
      )}
    </dl>
  )
}
