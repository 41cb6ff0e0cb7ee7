// The core beside other CRDTs: `make -C bench/core`, or node bench.mjs BUILD TRACES_DIRECTORY.
//
// All run in turns, so that whatever else the machine does hits everybody; medians of the rounds.  ROUNDS (3), TRACES (names),
// SCENARIOS (traces others growth writers large); QUICK=1: one round, small sizes.  Ends with status 1 if something failed, or if the
// core misses the gate of the project: applying and loading automerge-paper at least 5 times faster than Yjs.
import { execFile } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { median, openReport, show } from '../report.mjs'

const GATE = 5
const HEADLINE = 'automerge-paper'
const quick = Boolean(process.env.QUICK)
const rounds = Number(process.env.ROUNDS || (quick ? 1 : 3))
const [build, directory] = process.argv.slice(2)
const scenarios = (process.env.SCENARIOS || 'traces others growth writers large').split(/[ ,]+/)
const index = JSON.parse(readFileSync(`${directory}/index.json`))
const few = process.env.TRACES?.split(/[ ,]+/) ?? (quick ? [HEADLINE, 'friendsforever'] : index.map(trace => trace.name))
const traces = index.filter(trace => few.includes(trace.name))
const here = name => fileURLToPath(new URL(name, import.meta.url))
const report = openReport('core')

async function run (command, args) {
  const { stdout } = await promisify(execFile)(command, args, { timeout: 120000, maxBuffer: 1 << 24 })
  return JSON.parse(stdout)
}
const progress = text => process.stderr.write(`core: ${text}\n`)
const peer = (name, trace, cut) => run(process.execPath, ['--expose-gc', here('peers.mjs'), name, directory, trace.name, trace.root, String(cut)])

// What is measured: title, key.
const rows = [
  ['apply all updates one by one', 'apply'],
  ['load the state', 'load'],
  ['  first thing in a process', 'loadFirst'],
  ['load the state, V2', 'loadV2'],
  ['encode the state', 'encode'],
  ['  after applying', 'encodeApplied'],
  ['encode the state, V2', 'encodeV2'],
  ['diff for who lacks the last tenth', 'diff'],
  ['  from the bytes alone', 'diffUpdate'],
  ['type it again, an update each', 'local'],
  ['read the text', 'text'],
  ['merge the first 5,000 updates', 'mergePrefix'],
  ['merge all updates', 'mergeAll']
]
// Results that must be the same bytes as Yjs'.
const hashes = ['encodeV2Hash', 'diffHash', 'mergePrefixHash']

// A figure of one contestant: the median of its rounds; cut: it is a lower bound.
function figure (results, key) {
  const values = results.map(result => result[key]).filter(value => value !== undefined)
  if (values.length === 0) return undefined
  return { value: median(values), cut: results.some(result => result.cut?.includes(key)) }
}
const cell = figure => figure === undefined ? '' : (figure.cut ? '≥ ' : '') + show(figure.value)
const times = (theirs, ours) => theirs === undefined ? '' : `${theirs.cut ? '≥ ' : ''}${show(theirs.value / ours.value)} x`

async function measureTraces ({ table, target, plot, note }) {
  const ratios = []
  for (const trace of traces) {
    const results = { core: [], yjs: [], ywasm: [] }
    // what takes longer in Yjs and yrs is cut: it would say no more
    for (let round = 0; round < rounds; round++) {
      progress(`${trace.name}, round ${round + 1} of ${rounds}`)
      results.core.push(await run(`${build}/bench-core`, [directory, trace.name, trace.root]))
      results.yjs.push(await peer('yjs', trace, trace.name === HEADLINE ? 8 : 2))
      results.ywasm.push(await peer('ywasm', trace, 1.5))
    }
    for (const key of hashes) {
      const [ours, theirs] = [results.core[0][key], results.yjs[0][key]]
      if (theirs !== undefined && ours !== theirs) throw new Error(`${trace.name}: ${key}: not the bytes of Yjs`)
    }
    const of = key => Object.fromEntries(Object.entries(results).map(([name, list]) => [name, figure(list, key)]))
    const lines = rows.filter(([, key]) => of(key).core !== undefined).map(([title, key]) => {
      const { core, yjs, ywasm } = of(key)
      return { ms: title, core: cell(core), Yjs: cell(yjs), ywasm: cell(ywasm), 'Yjs : core': times(yjs, core), 'ywasm : core': times(ywasm, core) }
    })
    const memory = of('loadedBytes')
    lines.push({ ms: 'memory of the loaded document, KiB', core: show(memory.core.value / 1024), Yjs: show(memory.yjs.value / 1024), ywasm: show(memory.ywasm.value / 1024), 'Yjs : core': times(memory.yjs, memory.core), 'ywasm : core': times(memory.ywasm, memory.core) })
    const { stateBytes } = results.core[0]
    table(`${trace.name}: ${trace.clients === 1 ? 'one writer' : `${trace.clients} writers`}, ${trace.updates > 0 ? `${show(trace.updates)} updates of ${show(trace.updateBytes / trace.updates)} bytes` : 'the state only'}; ${show(trace.v1Bytes)} bytes, V2 ${show(trace.v2Bytes)}`, lines)
    for (const key of ['apply', 'load', 'encode', 'local']) {
      const { core, yjs } = of(key)
      if (core && yjs) ratios.push({ name: trace.name, key, value: yjs.value / core.value })
    }
    if (trace.name !== HEADLINE) continue

    const ours = key => of(key).core.value
    target(`${HEADLINE}: apply all updates one by one`, ours('apply'), 95, 'ms')
    target(`${HEADLINE}: load the state`, ours('load'), 1.4, 'ms')
    target(`${HEADLINE}: merge all updates`, ours('mergeAll'), 150, 'ms')
    target(`${HEADLINE}: type it again, an update each`, ours('local'), 100, 'ms')
    target(`${HEADLINE}: encode the state`, ours('encode'), 0.3, 'ms')
    target(`${HEADLINE}: memory of the loaded document, as a multiple of its encoded bytes`, memory.core.value / stateBytes, 3, 'x')
    for (const key of ['apply', 'load']) target(`${HEADLINE}: ${key}, Yjs : core`, of(key).yjs.value / ours(key), GATE, 'x', true)
    plot('core-trace', `${HEADLINE}: milliseconds, less is better`, {
      unit: 'ms',
      bars: [['apply', 'apply one by one'], ['local', 'type it again'], ['load', 'load'], ['encode', 'encode'], ['mergePrefix', 'merge 5,000']].flatMap(([key, title]) =>
        Object.entries(of(key)).filter(([, figure]) => figure).map(([name, figure]) => ({ group: title, name: { core: 'pg_ydoc', yjs: 'Yjs', ywasm: 'ywasm (yrs)' }[name], value: figure.value })))
    })
  }
  if (ratios.length > 0) {
    plot('core-ratios', 'How many times faster than Yjs, by trace', {
      unit: 'x',
      bars: ratios.map(({ name, key, value }) => ({ group: name, name: { apply: 'apply one by one', load: 'load', encode: 'encode', local: 'type it again' }[key], value }))
    })
  }
  note(`Medians of ${rounds} rounds in turns. ≥: cut off after some seconds, and extrapolated. Memory: what the core's allocator gave; JavaScript's heap after a collection; WebAssembly's memory, which grows in pages. mergeUpdates: ywasm exports none; in Yjs it takes quadratic time, so all are merged by the core only.`)
}

// Other formats, so other updates of the same edits: a yardstick only.
async function measureOthers ({ table, note }) {
  const trace = index.find(({ name }) => name === 'friendsforever_flat')
  const lines = []
  const line = (name, result, edits) => lines.push({
    '': name,
    'type, µs/edit': (result.cut?.includes('local') ? '≥ ' : '') + show(result.local / edits * 1e3),
    'apply, µs/update': (result.cut?.includes('apply') ? '≥ ' : '') + show(result.apply / edits * 1e3),
    'bytes/update': show(result.updateBytes ?? trace.updateBytes / trace.updates),
    'load, ms': show(result.load),
    'encode, ms': show(result.encode),
    'encoded bytes': show(result.stateBytes)
  })
  progress(trace.name)
  line('pg_ydoc', await run(`${build}/bench-core`, [directory, trace.name, trace.root]), trace.updates)
  line('Yjs', { ...await peer('yjs', trace, 4), stateBytes: trace.v1Bytes }, trace.updates)
  for (const [name, title] of [['loro', 'Loro (wasm)'], ['automerge', 'Automerge (wasm)']]) {
    progress(`${trace.name}, ${title}`)
    line(title, await peer(name, trace, quick ? 2 : 5), trace.updates)
  }
  table(`${trace.name}: other CRDTs, in formats of their own`, lines)
  note('Loro and Automerge hold more in their formats than Yjs does (every version can be checked out), and were tuned by nobody. ≥: cut off, for the cost of an edit or update still grew.')
}

async function session (operations, writers, peers) {
  const file = `${build}/growth.updates`
  progress(`${show(operations)} operations of ${show(writers)} writers`)
  const core = await run(`${build}/bench-growth`, [operations, writers, file].map(String))
  const others = {}
  for (const name of peers) others[name] = await run(process.execPath, [here('growth.mjs'), name, file, quick ? '1' : '2'])
  rmSync(file)
  return { core, ...others }
}
const growthRow = (first, { core, yjs, ywasm }) => ({
  ...first,
  'type µs': core.local,
  'apply µs': core.apply,
  'Yjs µs': yjs?.apply,
  'ywasm µs': ywasm?.apply,
  'Yjs : core': yjs && `${show(yjs.apply / core.apply)} x`,
  'load ms': core.loadMs,
  'Yjs ms': yjs?.loadMs,
  'encode ms': core.encodeMs,
  'memory B/operation': core.memoryBytes / core.operations
})
const curves = (x, results) => ['core', 'yjs', 'ywasm'].map(name => ({
  name: { core: 'pg_ydoc', yjs: 'Yjs', ywasm: 'ywasm (yrs)' }[name],
  points: results.filter(result => result[name]).map(result => [result.core[x], result[name].apply])
}))

async function measureGrowth ({ table, target, plot }) {
  const results = []
  for (const operations of quick ? [1000, 10000, 100000] : [1000, 10000, 100000, 1000000]) {
    results.push(await session(operations, 1, operations > 100000 ? ['yjs'] : ['yjs', 'ywasm']))
  }
  table('an operation, as the document grows (one writer, now and then elsewhere)', results.map(result => growthRow({ operations: result.core.operations }, result)))
  target(`cost of an update at ${show(results.at(-1).core.operations)} operations, as a multiple of that at 10,000`, results.at(-1).core.apply / results[1].core.apply, 3, 'x')
  plot('core-growth', 'Microseconds to apply an update, by operations before', { x: 'operations', y: 'µs', series: curves('operations', results) })
}

async function measureWriters ({ table, target, plot }) {
  const results = []
  const operations = quick ? 50000 : 200000
  for (const writers of [1, 10, 1000, 10000]) results.push(await session(operations, writers, ['yjs', 'ywasm']))
  table(`an operation, as writers become many (${show(operations)} operations)`, results.map(result => growthRow({ writers: result.core.writers }, result)))
  target('cost of an update with 10,000 writers, as a multiple of that with 10', results[3].core.apply / results[1].core.apply, 5, 'x')
  plot('core-writers', 'Microseconds to apply an update, by writers', { x: 'writers', y: 'µs', series: curves('writers', results) })
}

// What others are known to be weak at: a large document, and one of which little is left.
async function measureLarge ({ table, target, note }) {
  const bytes = quick ? 2e6 : 2e7
  progress(`a document of ${show(bytes)} bytes`)
  const core = await run(`${build}/bench-large`, [String(bytes), build])
  const results = { core }
  for (const name of ['yjs', 'ywasm']) {
    progress(`the same, ${name}`)
    results[name] = {}
    for (const which of ['STATE', 'DELETED']) Object.assign(results[name], await run(process.execPath, ['--expose-gc', here('large.mjs'), name, build, which]))
  }
  for (const name of ['state', 'updates', 'deleted']) rmSync(`${build}/large.${name}`)
  if (results.yjs.mergeHash !== core.mergeHash) throw new Error('merge: not the bytes of Yjs')
  const line = (title, key) => {
    const [yjs, ywasm] = [results.yjs[key], results.ywasm[key]]
    return { '': title, core: core[key], Yjs: yjs, ywasm, 'Yjs : core': yjs && `${show(yjs / core[key])} x`, 'ywasm : core': ywasm && `${show(ywasm / core[key])} x` }
  }
  table(`a document of ${show(core.stateBytes)} bytes, ten writers; memory as multiples of the bytes`, [
    line('merge it with 1,000 updates that came since, ms', 'merge'),
    line('  memory for that, at most', 'mergePeak'),
    line('its state vector, from the bytes, ms', 'vector'),
    line('load it, ms', 'load'),
    line('  memory while loading, at most', 'loadPeak'),
    line('  memory of the document', 'encodeKept'),
    line('encode it, ms', 'encode'),
    line('  memory for that, at most', 'encodePeak')
  ])
  table(`the same after 99 % of its text was deleted: ${show(core.deletedBytes)} bytes`, [
    line('memory of the document', 'deletedEncodeKept'),
    line('encode it, ms', 'deletedEncode'),
    line('  memory for that, at most', 'deletedEncodePeak')
  ])
  target('a large document: merging 1,000 updates into it', core.stateBytes / 1e3 / core.merge, 200, 'MB/s', true)
  target('a large document: memory while merging, as a multiple of its bytes', core.mergePeak, 1.5, 'x')
  target('a large document: its state vector, from the bytes', core.vector, 50, 'ms')
  target('a large document: its memory, as a multiple of its bytes', core.encodeKept, 3, 'x')
  target('a large document full of tombstones: memory while encoding, as a multiple of its bytes', core.deletedEncodePeak, 1.5, 'x')
  note("The core's memory: what a counting allocator gave, documents and output included. Others': the process's resident memory, by the kernel.")
}

const all = { traces: measureTraces, others: measureOthers, growth: measureGrowth, writers: measureWriters, large: measureLarge }
for (const name of scenarios) {
  if (!(name in all)) throw new Error(`no scenario ${name}; there are ${Object.keys(all).join(' ')}`)
}
for (const name of scenarios) await report.scenario(name, all[name])
const missedGate = report.verdicts.some(({ what, met }) => what.includes('Yjs : core') && !met)
process.exitCode = report.end() && !missedGate ? 0 : 1
