/** A plot: drawn when it is in the page, in the console's colours, described for those who do not see it. */
import type { ECharts, EChartsCoreOption } from 'echarts/core'
import { useEffect, useRef, useState } from 'react'
import { COLOURS, FONT, type Colours } from '../theme'
import { useSession } from '../session'
import { useWords } from '../i18n'

interface Props {
  /** What the plot shows, in a sentence: its name for those who hear the page. */
  label: string
  height: number | string
  option: (colours: Colours) => EChartsCoreOption
  onClick?: (what: { name: string; dataType?: string; data: unknown }) => void
}

export function Plot({ label, height, option, onClick }: Props) {
  const words = useWords()
  const { mode } = useSession()
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<ECharts | null>(null)
  const [ready, setReady] = useState(false)
  const click = useRef(onClick)
  click.current = onClick

  useEffect(() => {
    let over = false
    let watch: ResizeObserver | undefined
    void import('./charts').then(({ init }) => {
      if (over || !box.current) return
      const made = init(box.current)
      chart.current = made
      made.on('click', (what) => click.current?.(what as never))
      watch = new ResizeObserver(() => made.resize())
      watch.observe(box.current)
      setReady(true)
    })
    return () => {
      over = true
      watch?.disconnect()
      chart.current?.dispose()
      chart.current = null
    }
  }, [])

  useEffect(() => {
    if (!ready || !chart.current) return
    const colours = COLOURS[mode]
    const given = option(colours)
    chart.current.setOption({ ...BASE(colours), ...given }, { replaceMerge: ['series'] })
  })

  return (
    <div className="plot" role="img" aria-label={label} style={{ height }}>
      <div ref={box} style={{ width: '100%', height: '100%' }} />
      {!ready && <span className="hear">{words.state.loading}</span>}
    </div>
  )
}

const BASE = (c: Colours): EChartsCoreOption => ({
  color: c.series,
  textStyle: { color: c.ink2, fontFamily: FONT, fontSize: 12 },
  // a flow has a duration of its own: only this ends it
  animation: !matchMedia('(prefers-reduced-motion: reduce)').matches,
  animationDuration: 300,
})

/** Axes that stay in the background. */
export function quietAxes(c: Colours) {
  return {
    x: {
      axisLine: { lineStyle: { color: c.line } }, axisTick: { show: false }, axisLabel: { color: c.ink3, hideOverlap: true },
      splitLine: { show: false },
    },
    y: {
      axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: c.ink3 },
      splitLine: { lineStyle: { color: c.line, width: 1 } }, nameTextStyle: { color: c.ink3, align: 'left' as const },
    },
    tooltip: {
      backgroundColor: c.surface, borderColor: c.line, textStyle: { color: c.ink, fontSize: 12.5 }, confine: true,
      extraCssText: 'box-shadow: 0 4px 18px rgb(16 24 32 / 16%); font-variant-numeric: tabular-nums;',
    },
  }
}
