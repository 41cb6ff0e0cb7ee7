// Makes bench/RESULTS.md and bench/plots/*.svg of what the benches have kept in bench/results/*.jsonl (report.mjs).
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'

import { readResults, show } from './report.mjs'
import { curves, groupedBars } from './svg.mjs'

const here = new URL('.', import.meta.url)
const ROOMS = {
  core: ['The core', 'C beside JavaScript and WebAssembly, one process each; `bench/core/README.md` says what is timed.'],
  sql: ['SQL', 'In one server of its own, with its default settings but for what a measurement says; `bench/sql/README.md`.'],
  relay: ['The relay', 'Servers, database and load share the machine; each server is measured alone; `bench/relay/README.md`.']
}

const cell = value => show(value).replace(/\|/g, '\\|').replace(/^ +/, spaces => '&nbsp;'.repeat(spaces.length))
const tableOf = (heads, rows) => [
  `| ${heads.map(cell).join(' | ')} |`,
  `|${heads.map((_, i) => i === 0 ? '---' : '---:').join('|')}|`,
  ...rows.map(row => `| ${row.map(cell).join(' | ')} |`),
  ''
]

function writePlot ({ file, title, series, bars, ...axes }) {
  const drawn = series ? curves(title, { ...axes, series: series.filter(line => line.points.length > 0) }) : groupedBars(title, { ...axes, bars })
  writeFileSync(new URL(`plots/${file}.svg`, here), drawn)
  return `![${title}](plots/${file}.svg)`
}

// Records by scenario, in the order they are kept.
function scenariosOf (records) {
  const scenarios = new Map()
  for (const record of records) {
    if (!scenarios.has(record.scenario)) scenarios.set(record.scenario, [])
    scenarios.get(record.scenario).push(record)
  }
  return scenarios
}

const contents = Object.keys(ROOMS).map(room => ({ room, records: readResults(room) })).filter(({ records }) => records.length > 0)
const runs = contents.flatMap(({ records }) => records.filter(({ kind }) => kind === 'run'))
if (runs.length === 0) throw new Error('there are no results yet: bench/run')
const newest = runs.reduce((a, b) => a.at > b.at ? a : b)
const versions = Object.assign({}, ...runs.slice().sort((a, b) => a.at < b.at ? -1 : 1).map(run => run.versions))

mkdirSync(new URL('plots', here), { recursive: true })
for (const name of readdirSync(new URL('plots', here))) rmSync(new URL(`plots/${name}`, here))

const targets = contents.flatMap(({ room, records }) => records.filter(({ kind }) => kind === 'target').map(target => ({ room, ...target })))
const failures = contents.flatMap(({ room, records }) => records.filter(({ kind }) => kind === 'failed').map(failure => ({ room, ...failure })))
const lines = [
  '# Results',
  '',
  '<!-- Made by bench/page.mjs from bench/results/*.jsonl; `bench/run` measures and makes it anew. -->',
  '',
  'Made by `bench/run` (or `make bench`, which installs what it needs). Ratios between contestants of one run are the claims; absolute figures are those of',
  'this machine. Targets are those that the project set itself before it was fast.',
  '',
  '## Machine and versions',
  '',
  ...tableOf(['', ''], [
    ['processor', `${newest.machine.cpu}, ${newest.machine.cores} cores`],
    ['memory', `${newest.machine.memoryGiB} GiB`],
    ['system', `${newest.machine.system}, Linux ${newest.machine.kernel}`],
    ['measured', `${newest.at.replace('T', ' ')}, commit ${newest.commit || 'unknown'}, load average before it ${newest.load}`],
    ...Object.entries(versions)
  ]),
  '## Targets',
  '',
  `${targets.filter(({ met }) => met).length} of ${targets.length} are met.${failures.length > 0 ? ` ${failures.length} scenarios failed.` : ''}`,
  '',
  ...tableOf(['what', 'where', 'target', 'measured', 'met'], targets.map(({ room, what, target, measured, met }) => [what.trim(), room, target, measured, met ? 'yes' : '**no**']))
]
if (failures.length > 0) lines.push(...tableOf(['failed', 'where', 'why'], failures.map(({ room, scenario, error }) => [scenario, room, error])))

for (const { room, records } of contents) {
  const [title, what] = ROOMS[room]
  lines.push(`## ${title}`, '', what, '')
  for (const [scenario, own] of scenariosOf(records)) {
    const run = own.find(({ kind }) => kind === 'run')
    const isElsewhere = run.commit !== newest.commit || JSON.stringify(run.machine) !== JSON.stringify(newest.machine)
    lines.push(`### ${scenario}`, '')
    if (isElsewhere) lines.push(`Measured ${run.at.replace('T', ' ')}, commit ${run.commit || 'unknown'}, ${run.machine.cpu}, ${run.machine.cores} cores.`, '')
    for (const record of own) {
      if (record.kind === 'plot') lines.push(writePlot(record), '')
      if (record.kind === 'note') lines.push(record.text, '')
      if (record.kind === 'failed') lines.push(`**Failed:** ${record.error}`, '')
      if (record.kind === 'table') lines.push(`**${record.title}**`, '', ...tableOf(record.heads, record.rows))
    }
  }
}
writeFileSync(new URL('RESULTS.md', here), lines.join('\n'))
console.log(`bench/RESULTS.md: ${targets.filter(({ met }) => met).length} of ${targets.length} targets met${failures.length > 0 ? `, ${failures.length} scenarios failed` : ''}`)
