/** The road of a resource's data, drawn in the order in which data passes. */
import { useMemo } from 'react'
import type { Lineage } from '../../api/types'
import { useWords, named } from '../../i18n'
import { useDepartments } from '../../session'

const KINDS = ['system', 'source', 'mount', 'changes', 'resource', 'contract', 'grant', 'delivery', 'department'] as const
const WIDTH = 122
const HEIGHT = 46
const GAP_X = 24
const GAP_Y = 14

interface Placed {
  id: string
  kind: string
  name: string
  x: number
  y: number
}

/** Nodes in columns by kind, each as near to where its data comes from as there is room. */
export function placed(lineage: Lineage): { nodes: Placed[]; width: number; height: number } {
  const columns = KINDS.filter((kind) => lineage.nodes.some((node) => node.kind === kind))
  const tallest = Math.max(1, ...columns.map((kind) => lineage.nodes.filter((node) => node.kind === kind).length))
  const height = tallest * (HEIGHT + GAP_Y) - GAP_Y + 4
  const at = new Map<string, number>()
  const nodes: Placed[] = []
  columns.forEach((kind, column) => {
    const own = lineage.nodes.filter((node) => node.kind === kind)
    const wanted = (id: string): number => {
      const before = lineage.edges.filter(([, to]) => to === id).map(([from]) => at.get(from) ?? height / 2)
      return before.length ? before.reduce((sum, one) => sum + one, 0) / before.length : height / 2
    }
    const ordered = own.map((node, order) => ({ node, order, y: wanted(node.id) })).sort((a, b) => a.y - b.y || a.order - b.order)
    const room = own.length * (HEIGHT + GAP_Y) - GAP_Y
    ordered.forEach(({ node }, row) => {
      const y = (height - room) / 2 + row * (HEIGHT + GAP_Y)
      at.set(node.id, y + HEIGHT / 2)
      nodes.push({ ...node, x: column * (WIDTH + GAP_X) + 2, y })
    })
  })
  return { nodes, width: columns.length * (WIDTH + GAP_X) - GAP_X + 4, height }
}

export function LineageGraph({ lineage }: { lineage: Lineage }) {
  const words = useWords()
  const departments = useDepartments()
  const { nodes, width, height } = useMemo(() => placed(lineage), [lineage])
  const byId = new Map(nodes.map((one) => [one.id, one]))
  const name = (node: Placed) =>
    node.kind === 'department'
      ? departments.name(node.name)
      : node.kind === 'delivery'
        ? named(words.field.channels, node.name)
        : node.name
  return (
    <>
      <div className="lineage" tabIndex={0}>
        <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={words.catalogue.lineage.title} style={{ maxWidth: width * 1.15 }}>
          {lineage.edges.map(([from, to]) => {
            const [a, b] = [byId.get(from), byId.get(to)]
            if (!a || !b) return null
            const [x1, y1, x2, y2] = [a.x + WIDTH, a.y + HEIGHT / 2, b.x, b.y + HEIGHT / 2]
            return <path key={`${from} ${to}`} d={`M${x1} ${y1} C${x1 + GAP_X / 2} ${y1} ${x2 - GAP_X / 2} ${y2} ${x2} ${y2}`} />
          })}
          {nodes.map((node) => (
            <g key={node.id} className={node.kind === 'resource' ? 'node own' : 'node'} transform={`translate(${node.x} ${node.y})`}>
              <title>{name(node)}</title>
              <rect width={WIDTH} height={HEIGHT} rx="7" />
              <text className="kind" x="10" y="17">
                {named(words.field.nodes, node.kind)}
              </text>
              <text x="10" y="35">
                {short(name(node))}
              </text>
            </g>
          ))}
        </svg>
      </div>
      <details>
        <summary className="faint">{words.catalogue.lineage.list}</summary>
        <dl className="facts">
          {KINDS.filter((kind) => nodes.some((node) => node.kind === kind)).map((kind) => (
            <div key={kind} style={{ display: 'contents' }}>
              <dt>{named(words.field.nodes, kind)}</dt>
              <dd>
                {nodes
                  .filter((node) => node.kind === kind)
                  .map(name)
                  .join('、')}
              </dd>
            </div>
          ))}
        </dl>
      </details>
    </>
  )
}

const UNITS = 14

/** As much of a name as fits a box; signs of Chinese take the room of two letters. */
function short(name: string): string {
  let units = 0
  let out = ''
  for (const sign of name) {
    units += sign.charCodeAt(0) > 255 ? 1.75 : 1
    if (units > UNITS) return `${out}…`
    out += sign
  }
  return out
}
