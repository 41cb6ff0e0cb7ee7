// Real editing sessions, keystroke by keystroke through the relay; then a fresh provider and SQL
// must have the text that was written.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, afterEach, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import * as Y from 'yjs'

import { closeAll, metric, open, sleep, startDatabase, startRelay, until } from './harness.mjs'

const traces = new URL('../data/traces/', import.meta.url)
const index = JSON.parse(readFileSync(new URL('index.json', traces)))
const names = process.env.TRACES?.split(' ') ?? index.map(trace => trace.name)

let database, relay

before(async () => {
  database = await startDatabase()
  relay = await startRelay(database, { arguments: ['--max-message-rate', '0'] }) // faster than anybody types
})

afterEach(closeAll)

after(async () => {
  closeAll()
  await relay?.stop()
  await database?.stop()
})

// The updates of a session; of those that are only a state, the state.
function * updatesOf (trace) {
  if (trace.updates === 0) {
    yield readState(trace.name)
    return
  }
  const bytes = gunzipSync(readFileSync(new URL(`${trace.name}.updates.gz`, traces)))
  for (let at = 0; at < bytes.length;) {
    const size = bytes.readUInt32LE(at)
    yield bytes.subarray(at + 4, at + 4 + size)
    at += 4 + size
  }
}

const sha256 = text => createHash('sha256').update(text).digest('hex')

for (const name of names) {
  const trace = index.find(entry => entry.name === name)
  const how = trace.updates === 0 ? 'as one update' : 'keystroke by keystroke'
  test(`${name} goes through the relay ${how}`, { timeout: 240000 }, async t => {
    const writer = open(relay, name)
    await writer.synced()
    const [updatesBefore, batchesBefore] = [await metric(relay, 'updates_received'), await metric(relay, 'batches')]
    const start = performance.now()
    let sent = 0
    for (const update of updatesOf(trace)) {
      // the provider sends every update that its document makes of these
      Y.applyUpdate(writer.doc, update, 'trace')
      while (++sent % 1000 === 0 && writer.provider.ws.bufferedAmount > 1 << 20) await sleep(1)
      if (sent % 1000 === 0) await sleep(0)
    }
    await until(async () => await database.psql(
      `SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(ydoc.text('${name}', '${trace.root}'), 'UTF8')), 'hex')`
    ) === trace.textSha256, 200000)
    const seconds = (performance.now() - start) / 1000
    const batches = await metric(relay, 'batches') - batchesBefore
    t.diagnostic(`${sent} updates in ${seconds.toFixed(1)} s: ${Math.round(sent / seconds)} a second, ` +
      `all committed, in ${batches} transactions`)
    // a provider that had lost its connection would have sent everything as one
    assert.ok(await metric(relay, 'updates_received') - updatesBefore >= sent, 'each keystroke was a message')
    assert.equal(sha256(writer.doc.getText(trace.root).toString()), trace.textSha256)
    writer.close()

    // a real provider that knows nothing loads it
    const reader = open(relay, name)
    await reader.synced()
    assert.equal(sha256(reader.doc.getText(trace.root).toString()), trace.textSha256)
    const expected = new Y.Doc()
    Y.applyUpdate(expected, readState(name))
    assert.deepEqual(Y.encodeStateVector(reader.doc), Y.encodeStateVector(expected))
    const state = await database.psql(`SELECT ydoc.state('${name}')::bytea`)
    assert.equal(state, `\\x${readState(name).toString('hex')}`)
  })
}

function readState (name) {
  return gunzipSync(readFileSync(new URL(`${name}.v1.gz`, traces)))
}
