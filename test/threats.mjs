// Each threat of doc/threat_model.md names tests, and each of them is there.  Prints N passed, N failed.
//
// A line "* `FILE`: TITLE" says that the file has a test of that name (or a line that says so), "* `FILE`" that all of it is one.
import { existsSync, readFileSync } from 'node:fs'

const top = new URL('..', import.meta.url)
const page = readFileSync(new URL('doc/threat_model.md', top), 'utf8')
const threats = page.split('\n### ').slice(1).map(part => part.split('\n## ')[0])
let passed = 0
let failed = 0

function check (isRight, what) {
  if (isRight) passed++
  else {
    failed++
    console.log(`not ok: ${what}`)
  }
}

for (const threat of threats) {
  const name = threat.split('\n')[0]
  const tests = [...threat.matchAll(/^\* `([^`]+)`(?:: (.+))?$/gm)]
  check(tests.length > 0, `"${name}" names no test`)
  for (const [, file, title] of tests) {
    const path = new URL(file, top)
    const isThere = existsSync(path)
    check(isThere && (title === undefined || readFileSync(path, 'utf8').includes(title)),
      isThere ? `${file} has no "${title}" ("${name}")` : `there is no ${file} ("${name}")`)
  }
}
check(threats.length > 15, 'the page has lost its threats')
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
