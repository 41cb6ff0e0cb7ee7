// Runs the core and Yjs in turns on one editing trace and prints the medians beside the targets.
// usage: node compare.mjs BENCH_CORE TRACES_DIRECTORY [ROUNDS [NAME]]
//
// In turns, so that whatever else the machine does hits both.  Ends with status 1 if the core misses
// the gate of the project: applying and loading at least 5 times faster than Yjs.
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

const GATE = 5
const [program, directory, rounds = '5', name = 'automerge-paper'] = process.argv.slice(2)
const yjs = fileURLToPath(new URL('yjs.mjs', import.meta.url))

// What is measured: title, key, the target of DESIGN section 9 in ms on the machine it was set on.
const rows = [
  ['apply all updates one by one', 'apply', 95],
  ['load the encoded state', 'load', 1.4],
  ['the same, first thing in a process', 'loadFirst', null],
  ['encode the state, after loading', 'encode', 0.3],
  ['encode the state, after applying', 'encodeApplied', 0.3],
  ['read the text', 'text', null],
  ['merge the first 10,000 updates', 'mergePrefix', null],
  ['merge all updates', 'mergeAll', 150]
]

const run = (command, args) => JSON.parse(execFileSync(command, args, { encoding: 'utf8' }))
const median = values => values.slice().sort((a, b) => a - b)[values.length >> 1]
const spread = values => `${show(Math.min(...values))} .. ${show(Math.max(...values))}`
const show = ms => ms >= 100 ? ms.toFixed(0) : ms >= 1 ? ms.toFixed(1) : ms.toFixed(3)

const core = []
const js = []
for (let round = 0; round < Number(rounds); round++) {
  core.push(run(program, [directory, name]))
  js.push(run(process.execPath, [yjs, directory, name]))
}

console.log(`${name}, ${rounds} rounds in turns; ${cpus().length} x ${cpus()[0].model.trim()}; node ${process.version}`)
console.log('milliseconds: median (range)')
console.log(`${''.padEnd(34)} ${'core'.padEnd(28)} ${'Yjs'.padEnd(28)} ${'Yjs : core'.padEnd(10)}  target`)
for (const [title, key, target] of rows) {
  const ours = core.map(result => result[key])
  const theirs = js.map(result => result[key]).filter(ms => ms !== undefined)
  const cell = values => values.length === 0 ? '-' : `${show(median(values))} (${spread(values)})`
  const ratio = theirs.length === 0 ? '-' : `${(median(theirs) / median(ours)).toFixed(1)} x`
  const verdict = target === null ? '' : `${target} ${median(ours) <= target ? 'met' : 'missed'}`
  console.log(`${title.padEnd(34)} ${cell(ours).padEnd(28)} ${cell(theirs).padEnd(28)} ${ratio.padEnd(10)}  ${verdict}`)
}

const { loadedBytes, appliedBytes, stateBytes } = core[0]
const times = bytes => (bytes / stateBytes).toFixed(2)
console.log(`memory kept: ${loadedBytes} bytes after loading (${times(loadedBytes)} x the encoded bytes, target 3 ` +
  `${loadedBytes < 3 * stateBytes ? 'met' : 'missed'}), ${appliedBytes} after applying (${times(appliedBytes)} x)`)

const slow = ['apply', 'load'].filter(key =>
  median(js.map(result => result[key])) < GATE * median(core.map(result => result[key])))
for (const key of slow) console.log(`${key}: less than ${GATE} times faster than Yjs`)
process.exitCode = slow.length > 0 ? 1 : 0
