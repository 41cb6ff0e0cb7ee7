// Two kinds of plot as SVG, each with a background of its own, so that they are readable on light and dark pages: curves on
// logarithmic axes, and bars in groups on a logarithmic axis.  No scripts, no fonts but the reader's.

const COLOURS = [['#1d4ed8', '#7aa2ff'], ['#c2410c', '#ff9e64'], ['#047857', '#4fd6a5'], ['#7e22ce', '#c99bff'], ['#a16207', '#e6c35c'], ['#be123c', '#ff8fa3']]
const WIDTH = 760
const FONT = 'font-family="system-ui, sans-serif" font-size="12"'

const escape = text => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')
const fixed = number => Number(number.toFixed(1))
const label = value => value >= 1000
  ? value.toLocaleString('en', { maximumFractionDigits: 0 })
  : String(Number(value.toPrecision(3)))

function page (height, title, body) {
  const style = pick => `rect.page{fill:${pick('#ffffff', '#0d1117')}}text{fill:${pick('#1f2328', '#e6edf3')}}.grid{stroke:${pick('#d1d9e0', '#3d444d')}}` +
    COLOURS.map(([light, dark], i) => `.f${i}{fill:${pick(light, dark)}}.s${i}{stroke:${pick(light, dark)};fill:none}`).join('')
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}" ${FONT}>
<style>${style(light => light)}@media (prefers-color-scheme: dark){${style((_, dark) => dark)}}</style>
<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>
<text x="16" y="24" font-weight="600" font-size="14">${escape(title)}</text>
${body.join('\n')}
</svg>
`
}

// Names with their colours, in as many lines as it takes; where the plot may begin.
function legend (names) {
  const parts = []
  let [x, y] = [16, 48]
  names.forEach((name, i) => {
    const width = 34 + name.length * 7
    if (x + width > WIDTH && x > 16) [x, y] = [16, y + 18]
    parts.push(`<rect class="f${i}" x="${x}" y="${y - 9}" width="10" height="10" rx="2"/><text x="${x + 15}" y="${y}">${escape(name)}</text>`)
    x += width
  })
  return { parts, bottom: y + 10 }
}

// Powers of ten around the values, and a way from a value to a place between two ends.
function logAxis (values, from, to) {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9)
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9))
  const place = value => fixed(from + (Math.log10(value) - low) / (high - low) * (to - from))
  return { place, ticks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)) }
}

// series: [{name, points: [[x, y], ...]}]
export function curves (title, { x: xName, y: yName, series }) {
  const names = legend(series.map(line => line.name))
  const [left, right, top] = [84, WIDTH - 36, names.bottom + 28]
  const [bottom, height] = [top + 248, top + 292]
  const points = series.flatMap(line => line.points)
  const x = logAxis(points.map(point => point[0]), left, right)
  const y = logAxis(points.map(point => point[1]), bottom, top)
  return page(height, title, [
    ...names.parts,
    ...y.ticks.map(tick => `<line class="grid" x1="${left}" x2="${right}" y1="${y.place(tick)}" y2="${y.place(tick)}"/><text x="${left - 8}" y="${y.place(tick) + 4}" text-anchor="end">${label(tick)}</text>`),
    ...x.ticks.map(tick => `<text x="${x.place(tick)}" y="${bottom + 18}" text-anchor="middle">${label(tick)}</text>`),
    `<text x="${right}" y="${height - 8}" text-anchor="end">${escape(xName)}</text>`,
    `<text x="16" y="${top - 12}">${escape(yName)}</text>`,
    ...series.map((line, i) => `<polyline class="s${i}" stroke-width="2" points="${line.points.map(([a, b]) => `${x.place(a)},${y.place(b)}`).join(' ')}"/>` +
      line.points.map(([a, b]) => `<circle class="f${i}" cx="${x.place(a)}" cy="${y.place(b)}" r="3.5"><title>${escape(line.name)}: ${label(b)}</title></circle>`).join(''))
  ])
}

// bars: [{group, name, value}]; groups and names in the order in which they come
export function groupedBars (title, { unit, bars }) {
  const names = [...new Set(bars.map(bar => bar.name))]
  const named = legend(names)
  const groups = [...new Set(bars.map(bar => bar.group))]
  const [left, right, top, row] = [190, WIDTH - 90, named.bottom + 10, 15]
  const values = bars.map(bar => bar.value).filter(value => value > 0)
  const { place, ticks } = logAxis([...values, Math.min(...values) / 1.5], left, right)
  const body = []
  let y = top
  for (const group of groups) {
    const own = bars.filter(bar => bar.group === group && bar.value > 0)
    body.push(`<text x="${left - 10}" y="${fixed(y + own.length * row / 2 + 4)}" text-anchor="end">${escape(group)}</text>`)
    for (const { name, value } of own) {
      body.push(`<rect class="f${names.indexOf(name)}" x="${left}" y="${y}" width="${fixed(place(value) - left)}" height="${row - 3}" rx="2"/><text x="${place(value) + 6}" y="${y + row - 5}" font-size="11">${label(value)} ${escape(unit)}</text>`)
      y += row
    }
    y += 12
  }
  const height = y + 30
  const grid = ticks.map(tick => `<line class="grid" x1="${place(tick)}" x2="${place(tick)}" y1="${top - 6}" y2="${y}"/><text x="${place(tick)}" y="${y + 16}" text-anchor="middle">${label(tick)}</text>`)
  return page(height, title, [...named.parts, ...grid, ...body])
}
