// Runs the cases against a relay, and keeps the table in doc/websocket.md.  Last line: N passed, N failed.
//
//     node wire.mjs [--case 7.] [--write]
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'

import { metric, startDatabase, startRelay, until } from '../relay/servers.mjs'
import closing from './cases/closing.mjs'
import frames from './cases/frames.mjs'
import handshake from './cases/handshake.mjs'
import limits from './cases/limits.mjs'
import { Client, frame, isDocument, isStep2, OPCODE, request, statesOf, syncStep1 } from './client.mjs'

const AT_ONCE = 12
const { values: flags } = parseArgs({ options: { case: { type: 'string', default: '' }, write: { type: 'boolean', default: false } } })
const page = new URL('../../doc/websocket.md', import.meta.url)
const families = [
  ['0', 'Handshakes'], ['1', 'Framing'], ['2', 'Pings and pongs'], ['3', 'Reserved bits'], ['4', 'Opcodes'], ['5', 'Fragmentation'], ['6', 'UTF-8'],
  ['7', 'Closing'], ['9', 'Limits'], ['10', 'Frames of other sizes'], ['12', 'Compression, offered'], ['13', 'Compression, used all the same']
]
const numbers = id => id.split('.').map(Number)
const cases = [...handshake, ...frames, ...closing, ...limits]
  .filter(({ id }) => id.startsWith(flags.case))
  .sort((a, b) => {
    const [one, other] = [numbers(a.id), numbers(b.id)]
    return one[0] - other[0] || one[1] - other[1] || one[2] - other[2]
  })

// ---- one case ----

function expect (condition, what, client) {
  if (!condition) throw new Error(`${what}: ${JSON.stringify(client.state())}`)
}

async function runCase (one, port) {
  const document = `case-${one.id}`
  const client = await Client.connect(port)
  try {
    if (one.isSilent || one.answersLate || one.answersWith) client.beSilent()
    await shakeHands(one, client, document)
    if (client.status === 101) await send(one, client)
    await judge(one, client, port, document)
  } finally {
    client.destroy()
  }
}

async function shakeHands (one, client, document) {
  const head = Buffer.from((one.request ?? request)(document))
  const expected = one.expect.status ?? 101
  if (one.slow) await client.writeSlowly(head, one.slow)
  else client.write(one.isPipelined ? Buffer.concat([head, ...one.send]) : head)
  await client.until(() => client.status !== undefined || client.hasEnded)
  expect(client.status === expected, `the answer is not ${expected}`, client)
  for (const [name, value] of Object.entries(one.expect.headers ?? {})) {
    const got = client.headers[name]
    expect(value instanceof RegExp ? value.test(got) : got === value, `${name} is ${got}`, client)
  }
  if (expected === 101) expect(client.headers['sec-websocket-extensions'] === undefined, 'an extension was taken', client)
}

async function send (one, client) {
  let together = []
  const flush = async () => {
    const data = Buffer.concat(together)
    together = []
    if (one.cut) await client.writeSlowly(data, one.cut)
    else client.write(data)
  }
  for (const item of one.isPipelined ? [] : one.send ?? []) {
    if (typeof item !== 'number') together.push(item)
    else {
      await flush()
      await sleep(item)
    }
  }
  await flush()
}

async function judge (one, client, port, document) {
  const { close, echo, pongs, lastPong, stored, isEnd } = one.expect
  const states = () => client.messages.flatMap(statesOf).map(([, state]) => state)

  if (client.status !== 101 && !isEnd) return
  if (isEnd) return await client.until(() => client.hasEnded, 5000)
  if (close !== undefined) await judgeClose(one, client, [close].flat())
  else {
    await client.until(() => (echo ?? []).every(state => states().includes(state)))
    const before = client.messages.filter(isStep2).length
    client.write(frame({ payload: syncStep1 })) // all before it has been read when it is answered
    await client.until(() => client.messages.filter(isStep2).length > before)
    expect(client.closed === undefined && !client.hasEnded, 'it is closed', client)
  }
  if (echo) for (const state of echo) expect(states().includes(state), `${JSON.stringify(state)} did not come back`, client)
  if (echo?.length === 0) expect(states().length === 0, 'a message counted', client)
  if (pongs) await judgePongs(client, pongs)
  if (lastPong !== undefined) {
    await client.until(() => String(client.pongs.at(-1)) === lastPong)
    expect(new Set(client.pongs.map(String)).size === client.pongs.length || lastPong === 'x', 'a pong came twice', client)
  }
  if (stored !== undefined) await judgeStored(port, document, stored)
  expect(!client.violation, client.violation, client)
}

// The code, and that the server ends the connection; in its own time, if the client does not answer.
async function judgeClose (one, client, codes) {
  await client.until(() => client.closed !== undefined || client.hasEnded)
  expect(client.closed !== undefined, 'the connection ended without a Close', client)
  expect(codes.includes(client.closed.code), `closed with ${client.closed.code}, not ${codes.join(' or ')}`, client)
  if (one.answersLate) await sleep(one.answersLate)
  if (one.answersLate || one.answersWith) client.write(one.answersWith ?? frame({ opcode: OPCODE.close, payload: [3, 232] }))
  await client.until(() => client.hasEnded, one.isSilent ? 12000 : 4000)
}

async function judgePongs (client, pongs) {
  const wanted = pongs.map(payload => Buffer.from(payload).toString('hex'))
  const got = () => client.pongs.map(payload => payload.toString('hex'))
  await client.until(() => got().length >= wanted.length)
  expect(JSON.stringify(got()) === JSON.stringify(wanted), `pongs ${got()}, not ${wanted}`, client)
}

// What another client is given of the document has so many bytes, or none.
async function judgeStored (port, document, letters) {
  const reader = await Client.open({ port, document })
  const size = () => reader.messages.filter(isDocument).reduce((sum, message) => sum + message.length, 0)
  reader.write(frame({ payload: syncStep1 }))
  await reader.until(() => reader.messages.some(isStep2))
  await reader.until(() => size() >= letters)
  if (letters === 0) expect(size() < 10, 'something was stored', reader)
  reader.destroy()
}

// ---- all of them ----

async function runAll (port) {
  const left = [...cases]
  const failures = new Map()
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let one; (one = left.shift());) {
      try {
        await runCase(one, port)
      } catch (error) {
        failures.set(one.id, error.message)
      }
    }
  }))
  return failures
}

// ---- the table ----

const code = value => value === 1005 ? 'a Close without a code' : `Close ${[value].flat().join(' or ')}`

function expectation ({ expect: { status, close, echo, pongs, lastPong, stored } }) {
  const parts = [
    status !== undefined && status !== 101 && String(status), status === 101 && '101', echo?.length && 'its message is taken', stored && 'stored',
    pongs?.length && 'pong', lastPong !== undefined && 'pong to the last', close !== undefined && code(close)
  ].filter(Boolean)
  return parts.join(', ') || 'goes on'
}

function table () {
  const cell = value => String(value).replaceAll('|', '\\|')
  const lines = []
  for (const [family, title] of families) {
    const rows = cases.filter(({ id }) => id.split('.')[0] === family)
    lines.push(`### ${family}. ${title}: ${rows.length} cases`, '', '| case | what is sent | RFC 6455 | the relay |', '|---|---|---|---|')
    let before
    for (const one of rows) {
      const demand = `${one.section}: ${one.demand}`
      lines.push(`| ${one.id} | ${cell(one.name)} | ${demand === before ? '″' : cell(demand)} | ${expectation(one)} |`)
      before = demand
    }
    lines.push('')
  }
  return `${cases.length} cases in ${families.length} families; each of them passes.\n\n${lines.join('\n')}`
}

const mark = '<!-- what follows is written by make -C test/wire check WRITE=1 -->\n\n'
const written = () => readFileSync(page, 'utf8').split(mark)

const database = await startDatabase()
const relay = await startRelay(database, { arguments: ['--max-connections', '500', '--hocuspocus-path', '/hocuspocus'] })
let failures
let passed = 0
const failed = []
try {
  failures = await runAll(Number(new URL(relay.http).port))
  await until(async () => await metric(relay, 'connections') === 0 && await metric(relay, 'reassembly_bytes') === 0)
} finally {
  const ended = await relay.stop()
  await database.stop()
  if (ended.code !== 0) failed.push(`not ok: the relay ended with ${JSON.stringify(ended)}`)
}
for (const one of cases) if (!failures.has(one.id)) passed++
for (const [id, message] of failures) failed.push(`not ok: ${id} ${cases.find(one => one.id === id)?.name ?? ''}: ${message}`)
if (new Set(cases.map(({ id }) => id)).size !== cases.length) failed.push('not ok: a number is there twice')
if (flags.case === '') {
  if (flags.write && failed.length === 0) writeFileSync(page, written()[0] + mark + table())
  if (written()[1] === table() && cases.length >= 250) passed++
  else failed.push('not ok: the table in doc/websocket.md is not what was tested: make -C test/wire check WRITE=1')
}
for (const line of failed) console.log(line)
console.log(`${passed} passed, ${failed.length} failed`)
process.exit(failed.length === 0 ? 0 : 1)
