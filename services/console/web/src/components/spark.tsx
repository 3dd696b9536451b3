/** A few points as a line as high as the text around it. */
export function Spark({ points, width = 96, height = 22, tone = 'var(--accent)', label }: { points: readonly number[]; width?: number; height?: number; tone?: string; label: string }) {
  if (points.length < 2) return <svg className="spark" width={width} height={height} role="img" aria-label={label} />
  const most = Math.max(...points, 1e-9)
  const at = (value: number, index: number) =>
    `${((index / (points.length - 1)) * (width - 2) + 1).toFixed(1)} ${(height - 2 - (value / most) * (height - 4)).toFixed(1)}`
  const line = `M${points.map(at).join('L')}`
  return (
    <svg className="spark" width={width} height={height} role="img" aria-label={label}>
      <path d={`${line}L${width - 1} ${height}L1 ${height}Z`} fill={tone} opacity="0.12" />
      <path d={line} fill="none" stroke={tone} strokeWidth="1.5" strokeLinejoin="round" />
    </svg>
  )
}
