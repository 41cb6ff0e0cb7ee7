// Random streams of frames, cut at random: what was whole before the first fault counts, what comes after it does not, and
// the code is the fault's.  Last line: N passed, N failed.
//
//     node random.mjs [--seed 7] [--streams 300]
import { parseArgs } from 'node:util'

import { chance } from '../chance.mjs'
import { startDatabase, startRelay } from '../relay/servers.mjs'
import { Client, close, fragments, frame, OPCODE, ping, pong, syncStep1, isStep2, text, updateOf } from './client.mjs'

const { values: flags } = parseArgs({ options: { seed: { type: 'string' }, streams: { type: 'string', default: '300' } } })
const seed = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31))
const AT_ONCE = 16

// A generator of its own for each stream, so that one can be looked at alone.
function chanceOf (number) {
  const random = chance(number)
  return { ...random, mask: () => Buffer.from([0, 0, 0, 0].map(() => random.below(256))) }
}

const faults = [
  [1002, () => frame({ payload: syncStep1, mask: null })], [1002, mask => frame({ payload: syncStep1, rsv: 4, mask })], [1002, mask => frame({ opcode: 5, mask })],
  [1002, mask => ping('x'.repeat(126), { mask })], [1002, mask => ping('', { fin: false, mask })], [1002, mask => frame({ payload: syncStep1, lengthBytes: 8, mask })],
  [1002, mask => frame({ length: 2n ** 63n, mask })], [1002, mask => close(1005, '', { mask })], [1002, mask => frame({ opcode: OPCODE.close, payload: [3], mask })],
  [1007, mask => close(1000, [0xc0, 0xaf], { mask })], [1000, mask => close(1000, 'bye', { mask })], [1005, mask => close(undefined, '', { mask })]
]
// faults that depend on whether a message is under way
const outside = [[4413, mask => frame({ length: 2 ** 40, mask })], [1002, mask => frame({ opcode: OPCODE.continuation, mask })], [1003, mask => text('text', { mask })]]
const inside = [[1002, mask => frame({ payload: syncStep1, mask })], [1002, mask => text('text', { mask })]]

// { bytes, letters: how many are stored in the end, code: of the Close, undefined if there is none }
function streamOf (chance) {
  const frames = []
  let letters = 0
  let client = 1
  const control = () => {
    if (chance.once(3)) frames.push(chance.once(2) ? ping('p'.repeat(chance.below(126)), { mask: chance.mask() }) : pong('q'.repeat(chance.below(126)), { mask: chance.mask() }))
  }
  const fault = list => {
    const [code, make] = chance.pick(list)
    frames.push(make(chance.mask()), Buffer.alloc(chance.below(200), chance.below(256)), frame({ payload: updateOf(1000, 1000) }))
    return { bytes: Buffer.concat(frames), letters, code }
  }
  for (let messages = chance.below(8); messages >= 0; messages--) {
    const size = chance.pick([1, 20, 100, 110, 125, 300, 5000, 70000])
    const parts = chance.once(2) ? fragments(updateOf(size, client++), 1 + chance.below(size + 20)).slice(0, 5000) : [frame({ payload: updateOf(size, client++), mask: chance.mask() })]
    for (const [i, part] of parts.entries()) {
      if (i > 0 && i < 20 && chance.once(40)) return fault([...faults, ...inside])
      frames.push(part)
      if (i < 20) control()
    }
    letters += size
    if (chance.once(12)) return fault([...faults, ...outside])
  }
  return { bytes: Buffer.concat(frames), letters, code: undefined }
}

async function run (number, port) {
  const chance = chanceOf(seed + number)
  const document = `stream-${number}`
  const { bytes, letters, code } = streamOf(chance)
  const client = await Client.open({ port, document })
  try {
    for (let at = 0; at < bytes.length;) {
      const size = 1 + chance.below(chance.pick([2, 20, 200, 4000, 100000]))
      client.write(bytes.subarray(at, at += size))
      if (chance.once(3)) await new Promise(resolve => setImmediate(resolve))
    }
    if (code === undefined) {
      client.write(frame({ payload: syncStep1 }))
      await client.until(() => client.messages.some(isStep2), 60000)
    } else {
      await client.until(() => client.closed !== undefined || client.hasEnded, 60000)
      if (client.closed?.code !== code) throw new Error(`ended with ${JSON.stringify(client.state())}, not ${code}`)
    }
    if (client.violation) throw new Error(client.violation)
  } finally {
    client.destroy()
  }
  return { document, letters }
}

console.log(`seed ${seed}`)
const database = await startDatabase()
const relay = await startRelay(database, { arguments: ['--max-message-rate', '0', '--max-byte-rate', '0'] })
let passed = 0
let failed = 0
try {
  const left = Array.from({ length: Number(flags.streams) }, (_, i) => i)
  const expected = new Map()
  const fail = (number, message) => {
    failed++
    console.log(`not ok: stream ${number} of seed ${seed}: ${message}`)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let number; (number = left.shift()) !== undefined;) {
      try {
        const { document, letters } = await run(number, Number(new URL(relay.http).port))
        expected.set(document, letters)
      } catch (error) {
        fail(number, error.message)
      }
    }
  }))
  await relay.terminate() // all that was taken is committed
  const stored = new Map((await database.psql("SELECT name, length(ydoc.text(name, 't')) FROM ydoc_data.document")).split('\n').map(line => line.split('|')).map(([name, size]) => [name, Number(size)]))
  for (const [document, letters] of expected) {
    if ((stored.get(document) ?? 0) === letters) passed++
    else fail(document, `${stored.get(document) ?? 0} letters are stored, not ${letters}`)
  }
} finally {
  await relay.stop()
  await database.stop()
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
