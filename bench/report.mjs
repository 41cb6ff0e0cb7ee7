// What a benchmark has to say: printed for people, and kept as lines of JSON, of which page.mjs makes bench/RESULTS.md.
//
//     const report = openReport('core')
//     await report.scenario('traces', async ({ table, target, plot, note }) => { ... })
//     report.end()
//
// bench/results/NAME.jsonl holds, for each scenario, the records of its last run: one of kind `run` (when, on which machine,
// which versions), then tables, targets, plots and notes in the order they were made, or `failed` with the error.  A scenario
// that fails is reported, and the next one runs.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'

const here = new URL('.', import.meta.url)
const results = new URL('results/', here)

const ask = (command, args) => {
  try {
    return execFileSync(command, args, { cwd: here.pathname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim().split('\n')[0]
  } catch { return '' }
}

const osName = () => {
  try {
    return readFileSync('/etc/os-release', 'utf8').match(/^PRETTY_NAME="?([^"\n]*)/m)[1]
  } catch { return process.platform }
}

const machineFacts = () => ({
  cpu: cpus()[0].model.trim(),
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  system: osName()
})

const versionFacts = room => {
  const { dependencies = {} } = readPackage(room)
  return {
    PostgreSQL: ask(process.env.PG_CONFIG || 'pg_config', ['--version']).replace('PostgreSQL ', ''),
    compiler: ask(process.env.CC || 'cc', ['--version']),
    'Node.js': process.version.slice(1),
    ...dependencies
  }
}

function readPackage (room) {
  try {
    return JSON.parse(readFileSync(new URL(`${room}/package.json`, here), 'utf8'))
  } catch { return {} }
}

export const round = number => Math.abs(number) >= 100 || Number.isInteger(number) ? Math.round(number) : Number(number.toPrecision(3))

// Numbers as people read them; anything else as it is.
export const show = value => typeof value === 'number' ? round(value).toLocaleString('en', { maximumFractionDigits: 6 }) : String(value ?? '')

export const median = values => values.slice().sort((a, b) => a - b)[values.length >> 1]

export const readResults = name => {
  try {
    return readFileSync(new URL(`${name}.jsonl`, results), 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line))
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
}

function printTable ({ title, heads, rows }) {
  const cells = [heads, ...rows.map(row => row.map(show))]
  const widths = heads.map((_, i) => Math.max(...cells.map(line => line[i].length)))
  console.log(`\n${title}`)
  for (const line of cells) console.log(line.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join('  ').trimEnd())
}

export function openReport (name) {
  const machine = machineFacts()
  const versions = versionFacts(name)
  const commit = ask('git', ['describe', '--always', '--dirty', '--exclude=*'])
  const verdicts = []
  let failed = 0

  // the records of other scenarios stay; a reader never sees half a file
  function keep (scenario, records) {
    const others = readResults(name).filter(record => record.scenario !== scenario)
    const lines = [...others, ...records.map(record => ({ scenario, ...record }))].map(record => JSON.stringify(record) + '\n')
    mkdirSync(results, { recursive: true })
    const file = new URL(`${name}.jsonl`, results).pathname
    writeFileSync(`${file}.new`, lines.join(''))
    renameSync(`${file}.new`, file)
  }

  async function scenario (title, work) {
    const start = performance.now()
    const run = { kind: 'run', at: new Date().toISOString().slice(0, 16) + 'Z', commit, machine, versions, load: round(loadavg()[0]) }
    const records = [run]
    try {
      await work({
        // rows: objects; the keys of the first are the heads
        table (title, rows, heads = Object.keys(rows[0])) {
          const record = { kind: 'table', title, heads, rows: rows.map(row => heads.map(head => typeof row[head] === 'number' ? round(row[head]) : row[head] ?? '')) }
          records.push(record)
          printTable(record)
        },
        target (what, measured, limit, unit, atLeast = false) {
          const met = atLeast ? measured >= limit : measured <= limit
          const record = { kind: 'target', what, target: `${atLeast ? 'at least' : 'at most'} ${show(limit)} ${unit}`.trim(), measured: `${show(measured)} ${unit}`.trim(), met }
          records.push(record)
          verdicts.push(record)
        },
        // lines: {x, y, series: [{name, points: [[x, y]]}]}; bars: {unit, bars: [{name, value}]}
        plot (file, title, data) { records.push({ kind: 'plot', file, title, ...data }) },
        note (text) {
          records.push({ kind: 'note', text })
          console.log(text)
        }
      })
    } catch (error) {
      failed++
      records.push({ kind: 'failed', error: String(error.message ?? error).split('\n')[0] })
      console.error(`\n${name}/${title} failed: ${error.stack ?? error}`)
    }
    run.seconds = Math.round((performance.now() - start) / 1000)
    keep(title, records)
  }

  // Says whether all went well: nothing failed.  Missed targets are no failures.
  function end () {
    if (verdicts.length > 0) {
      printTable({
        title: 'targets',
        heads: ['what', 'target', 'measured', 'met'],
        rows: verdicts.map(({ what, target, measured, met }) => [what, target, measured, met ? 'met' : 'missed'])
      })
    }
    if (failed > 0) console.log(`${failed} failed`)
    return failed === 0
  }

  return { scenario, end, verdicts }
}
