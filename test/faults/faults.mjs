// Faults while people type, and then the checks.
//
//     node faults.mjs                                10 faults, a fresh seed
//     SEED=7 FAULTS=200 node faults.mjs              the same faults in the same order for the same seed
//     SEED=7 TIME=3600 node faults.mjs               as many as an hour takes
//
// In the end each check must notice when the same evidence is false in one place.  Last line: N passed, N failed.
import { check, judgeOne } from './checks.mjs'
import { copy, flaws } from './flaws.mjs'
import { compact, describe, drawPlan, happen } from './plan.mjs'
import { openWorld } from './world.mjs'

const seed = Number(process.env.SEED ?? Date.now() % 1000000)
const seconds = process.env.TIME ? Number(process.env.TIME) : undefined
const count = Number(process.env.FAULTS ?? (seconds ? 1e6 : 10))
let passed = 0
let failed = 0

function report (ok, text) {
  ok ? passed++ : failed++
  console.log(`${ok ? 'ok' : 'not ok'}: ${text}`)
}

function judge (evidence) {
  for (const { name, count, what, problems } of check(evidence)) {
    report(problems.length === 0, `invariant ${name} (${count.toLocaleString('en')} ${what})`)
    for (const problem of problems.slice(0, 5)) console.log(`    ${problem}`)
    if (problems.length > 5) console.log(`    and ${problems.length - 5} more`)
  }
}

async function survive (world) {
  const end = Date.now() + (seconds ?? Infinity) * 1000
  const plan = drawPlan(seed, Math.min(count, 100000))
  if (count <= 1000) for (const step of plan) console.log(`    ${describe(step)}`)
  world.work()
  await world.prove()
  let survived = 0
  for (const step of plan) {
    if (Date.now() > end) break
    console.log(describe(step))
    const skipped = await happen(world, step)
    const recovery = await world.prove()
    survived += 1 + (step.company !== undefined)
    console.log(skipped ? `    ${skipped}` : `    recovered in ${(recovery / 1000).toFixed(1)} s`)
  }
  await world.rest()
  console.log(`converged in ${(await world.converge() / 1000).toFixed(1)} s`)
  report(true, `${survived} faults survived`)
}

// Good evidence, spoiled in one place: the check must notice.
function spoilAll (evidence) {
  for (const { invariant, what, spoil } of flaws) {
    const spoiled = copy(evidence)
    spoil(spoiled)
    report(judgeOne(invariant, spoiled).problems.length > 0, `${invariant} notices ${what}`)
  }
}

process.setMaxListeners(0) // every provider has one
console.log(`seed ${seed}`)
let world
try {
  world = await openWorld(seed)
  await survive(world)
} catch (error) {
  await world?.rest()
  report(false, error.stack + (error.cause ? `\ncaused by ${error.cause.stack}` : ''))
  for (const crash of world?.crashes ?? []) console.log(`relay ${crash.relay} ended with ${crash.code ?? crash.signal}: ${crash.log}`)
}
if (world) {
  const evidence = await world.collect().catch(error => report(false, `no evidence: ${error.stack}`))
  await compact(world, { documents: world.documents.map((_, index) => index) })
  await world.close()
  if (evidence) {
    judge(evidence)
    if (failed === 0) spoilAll(evidence)
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
