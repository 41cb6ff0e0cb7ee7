// Random histories in the real Yjs, replayed by our core: node fuzz.mjs --runner PROGRAM
// [--seed N] [--time SECONDS] [--case FILE] [--out FILE]
import { spawn, spawnSync } from 'node:child_process'
import { once, setMaxListeners } from 'node:events'
import fs from 'node:fs'
import { parseArgs } from 'node:util'
import { History } from './history.mjs'
import { play } from './world.mjs'

const { values: options } = parseArgs({ options: { runner: { type: 'string' }, seed: { type: 'string' }, time: { type: 'string' }, case: { type: 'string' }, out: { type: 'string' } } })
const seconds = Number(options.time || 60)
const seed = options.seed ? Number(options.seed) : Math.floor(Math.random() * 2 ** 32)
const out = options.out ?? 'case.jsonl'
const KEPT = 4 // cases that the runner may still be working on

// what the runner says of one case; empty: it passes
const verdict = (json) => {
  const result = spawnSync(options.runner, ['-'], { input: JSON.stringify(json) + '\n', encoding: 'utf8', maxBuffer: 1 << 28 })
  return result.status === 0 ? '' : result.stdout.split('\n').filter((line) => /^( |FAIL)/.test(line)).slice(0, 12).join('\n') || result.stderr.slice(-400) || `status ${result.status} ${result.signal}`
}
const fails = (setting, steps) => {
  try { return verdict(play(setting, steps).json) } catch { return '' }
}

// drops halves, quarters ... single steps, then single operations, as long as it still fails
const minimize = (setting, steps) => {
  let kept = steps
  const attempt = (candidate) => {
    if (fails(setting, candidate) === '') return false
    kept = candidate
    return true
  }
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < kept.length;) if (!attempt([...kept.slice(0, start), ...kept.slice(start + size)])) start += size
  }
  for (let i = 0; i < kept.length; i++) {
    for (let o = 0; kept[i].ops && o < kept[i].ops.length && kept[i].ops.length > 1;) {
      const smaller = { ...kept[i], ops: kept[i].ops.filter((_, at) => at !== o) }
      if (!attempt([...kept.slice(0, i), smaller, ...kept.slice(i + 1)])) o++
    }
  }
  return kept
}

const bare = ({ emitted, state, ...step }) => ({ ...step, ...(state ? { state: 'snapshot' } : {}) })
const reportFailure = (json, why) => {
  const { steps, final, group, kind, ...setting } = json
  console.log(`MISMATCH in ${json.name}\n${why}`)
  const small = minimize(setting, steps.map(bare))
  const smallest = play(setting, small).json
  console.log(`\nminimized to ${small.length} steps:`)
  for (const step of small) console.log(JSON.stringify(step).slice(0, 600))
  console.log(verdict(smallest))
  fs.writeFileSync(out, JSON.stringify(smallest) + '\n')
  console.log(`\nwritten to ${out}; again: make fuzz-yjs CASE=${out}`)
}

if (options.case) {
  let failed = 0
  const lines = fs.readFileSync(options.case, 'utf8').split('\n').filter(Boolean)
  for (const line of lines) {
    const why = verdict(JSON.parse(line))
    if (why) console.log(why)
    failed += why ? 1 : 0
  }
  console.log(`${lines.length - failed} passed, ${failed} failed`)
  process.exit(failed ? 1 : 0)
}

console.warn = () => {} // Yjs, about client ids, while a history is being minimized
console.log(`seed ${seed}, ${seconds} s`)
const runner = spawn(options.runner, ['-'], { stdio: ['pipe', 'pipe', 'inherit'] })
setMaxListeners(0, runner)
let said = ''
let ended = false
runner.stdout.on('data', (data) => { said += data })
runner.stdin.on('error', () => {}) // it ends at the first failure
runner.on('exit', () => { ended = true })

const started = Date.now()
const recent = []
let operations = 0
let histories = 0
let thrown = 0 // of them, in which Yjs threw
let told = started
while (!ended && Date.now() - started < seconds * 1000) {
  const made = new History(seed, histories).make()
  if (!made) {
    thrown++
    histories++
    continue
  }
  histories++
  operations += made.operations
  recent.push(made.json)
  if (recent.length > 200) recent.shift()
  if (!runner.stdin.write(JSON.stringify(made.json) + '\n')) await Promise.race([once(runner.stdin, 'drain'), once(runner, 'exit')]).catch(() => {})
  else if (histories % KEPT === 0) await new Promise(setImmediate)
  if (Date.now() - told > 10000) {
    told = Date.now()
    console.log(`${histories} histories, ${operations} operations, ${Math.round(operations / (told - started) * 1000)} a second`)
  }
}
runner.stdin.end()
if (!ended) await once(runner, 'exit')
await new Promise(setImmediate)

const name = /FAIL standard input: (\S+?):/.exec(said)?.[1]
const culprit = recent.find((json) => json.name === name) ?? (runner.exitCode !== 0 ? recent.find((json) => verdict(json) !== '') : undefined)
if (culprit) reportFailure(culprit, said.split('\n').filter((line) => /^( |FAIL)/.test(line)).slice(0, 12).join('\n'))
else if (runner.exitCode !== 0) console.log(said.slice(-2000), `the runner ended with ${runner.exitCode ?? runner.signalCode}`)
console.log(`${operations} operations compared in ${histories - thrown} histories (in ${thrown} others Yjs threw), seed ${seed}`)
const failed = culprit || runner.exitCode !== 0 ? 1 : 0
console.log(`${histories - thrown - failed} passed, ${failed} failed`)
process.exit(failed)
