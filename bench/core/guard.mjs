// Counts the instructions of fixed work (guard.c) with callgrind, and compares them with reference.json.
// usage: node guard.mjs PROGRAM TRACES_DIRECTORY [--renew]
//
// Instructions do not depend on what else the machine does, but on the compiler: counts are compared as multiples of that of
// the workload `calibration`, and another compiler than the reference's may differ more.  Fails if a count is too high; what
// has become much lower is said, for then the reference should be renewed: make -C bench/core reference.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MORE = 1.10 // with the compiler of the reference
const MORE_ELSEWHERE = 1.25
const CALIBRATION = 'calibration'
const [program, traces, renew] = process.argv.slice(2)
const file = new URL('reference.json', import.meta.url)

// Which functions of the C library are taken depends on the processor, so let it have none of the newer instructions.
const plain = '-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-AVX_Usable,-AVX2_Usable,-AVX_Fast_Unaligned_Load'

function count () {
  const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-guard.'))
  try {
    execFileSync('valgrind', ['--tool=callgrind', '-q', `--callgrind-out-file=${directory}/out`, program, traces], {
      env: { ...process.env, GLIBC_TUNABLES: `glibc.cpu.hwcaps=${plain}` },
      stdio: ['ignore', 'ignore', 'inherit']
    })
    const counts = {}
    const parts = readdirSync(directory).map(name => ({ name, part: Number(name.replace('out.', '')) })).sort((a, b) => a.part - b.part)
    for (const { name } of parts) {
      const profile = readFileSync(join(directory, name), 'utf8')
      const workload = profile.match(/^desc: Trigger: Client Request: (.*)$/m)?.[1]
      if (workload !== undefined) counts[workload] = Number(profile.match(/^(?:totals|summary): (\d+)/m)[1])
    }
    return counts
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const compiler = execFileSync(process.env.CC || 'cc', ['--version'], { encoding: 'utf8' }).split('\n')[0].replace(/-\S+\)/, ')')
const counts = count()
if (!(counts[CALIBRATION] > 0)) throw new Error('callgrind counted nothing')
if (renew === '--renew') {
  writeFileSync(file, JSON.stringify({ compiler, instructions: counts }, null, 2) + '\n')
  console.log(`${Object.keys(counts).length} counts are the reference now`)
  process.exit()
}

const reference = JSON.parse(readFileSync(file, 'utf8'))
const most = reference.compiler === compiler ? MORE : MORE_ELSEWHERE
if (most !== MORE) console.log(`the reference was made with ${reference.compiler}, this with ${compiler}: ${MORE_ELSEWHERE} x is allowed`)
const calibration = counts[CALIBRATION] / reference.instructions[CALIBRATION]
let [passed, failed] = [0, 0]
for (const name of new Set([...Object.keys(reference.instructions), ...Object.keys(counts)])) {
  const [now, before] = [counts[name], reference.instructions[name]]
  const ratio = now / before / calibration
  // not a number, where one of the two lacks it, is not less
  const good = ratio <= most
  if (good) passed++
  else failed++
  const remark = !good ? '  more than is allowed' : ratio < 2 - MORE ? '  less: renew the reference' : ''
  console.log(`${good ? 'ok' : 'not ok'} ${name.padEnd(32)} ${String(now ?? '-').padStart(12)}, reference ${String(before ?? '-').padStart(12)}: ${ratio.toFixed(3)} x${remark}`)
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
