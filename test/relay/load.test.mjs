// First loads: in slices, shared, in order; and what slow lines get of a busy document.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, afterEach, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

import {
  closeAll, metric, open, raw, residentBytes, sleep, startDatabase, startDetour, startRelay, startSlowLine, until
} from './harness.mjs'

let database

before(async () => { database = await startDatabase() })
afterEach(closeAll)
after(async () => {
  closeAll()
  await database?.stop()
})

const trace = name => gunzipSync(readFileSync(new URL(`../data/traces/${name}.v1.gz`, import.meta.url)))

// A stored document with that state.
async function store (relay, name, state) {
  const writer = open(relay, name)
  await writer.synced()
  Y.applyUpdate(writer.doc, state)
  await until(async () => await database.psql(`SELECT ydoc.state('${name}')::bytea`) === `\\x${Buffer.from(Y.encodeStateAsUpdate(writer.doc)).toString('hex')}`)
  writer.close()
}

const longText = (name, bytes) => database.psql(
  `SELECT ydoc."create"('${name}', ydoc_from_text(left(repeat('lorem ipsum dolor ', ${bytes}), ${bytes}), 'content'))`)

// A sync message: its kind, the bytes in it.
function readMessage (message) {
  const decoder = decoding.createDecoder(message)
  if (decoding.readVarUint(decoder) !== 0) return {}
  const kind = ['step 1', 'step 2', 'update'][decoding.readVarUint(decoder)]
  return { kind, bytes: decoding.readVarUint8Array(decoder) }
}

function step1 (doc) {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, 0)
  encoding.writeVarUint(encoder, 0)
  encoding.writeVarUint8Array(encoder, Y.encodeStateVector(doc))
  return encoding.toUint8Array(encoder)
}

// Joins without a provider and gathers what it is sent, until the step 2.
async function load (relay, name, doc = new Y.Doc()) {
  const socket = await raw(relay, `/${name}`)
  socket.send(step1(doc))
  const messages = () => socket.received.map(readMessage)
  const isLoaded = () => messages().some(message => message.kind === 'step 2')
  return { socket, doc, messages, isLoaded, loaded: () => until(isLoaded) }
}

test('slices can be applied one by one: nothing waits, and the end is the whole', { timeout: 120000 }, async () => {
  const relay = await startRelay(database, { arguments: ['--slice', '1024', '--load-window', '5000'] })
  try {
    for (const name of ['friendsforever', 'json-crdt-blog-post', 'node_nodecc']) { // the first and last by several writers
      await store(relay, name, trace(name))
      const { messages, loaded, socket, doc } = await load(relay, name)
      await loaded()
      const sync = messages().filter(message => message.kind !== undefined)
      assert.equal(sync[0].kind, 'step 1', 'we ask first')
      assert.equal(sync.at(-1).kind, 'step 2', 'the answer comes last')
      const slices = sync.slice(1)
      assert.ok(slices.length > 10)
      assert.ok(slices.slice(0, -1).every(slice => slice.kind === 'update'))
      for (const slice of slices) {
        assert.ok(slice.bytes.length <= 1024, `a slice of ${slice.bytes.length} bytes`)
        Y.applyUpdate(doc, slice.bytes)
        assert.equal(doc.store.pendingStructs, null)
        assert.equal(doc.store.pendingDs, null)
      }
      const expected = new Y.Doc()
      Y.applyUpdate(expected, trace(name))
      assert.deepEqual(Y.encodeStateAsUpdate(doc), Y.encodeStateAsUpdate(expected))
      socket.close()
    }
  } finally {
    await relay.stop()
  }
})

test('on a slow line an unmodified provider stays connected until all is there', { timeout: 120000 }, async () => {
  const relay = await startRelay(database)
  // as one message it would take 40 s; a provider gives up after 30 s without one
  const line = await startSlowLine(relay, 25000)
  try {
    await longText('slow-line', 1000000)
    const ben = open(line, 'slow-line')
    let closes = 0
    ben.provider.on('connection-close', () => closes++)
    const lengths = new Set()
    const start = performance.now()
    await until(() => {
      lengths.add(ben.text.length)
      assert.ok(!ben.provider.synced || ben.text.length === 1000000, 'synced is said when all is there')
      return ben.provider.synced
    }, 100000)
    assert.ok(performance.now() - start > 31000, 'the line was not slow')
    assert.equal(closes, 0)
    assert.ok(lengths.size > 10, 'the text grew slice by slice')
    assert.equal(ben.text.toString(), await database.text('slow-line'))
    // and it works in both directions
    ben.text.insert(0, 'from afar ')
    await until(async () => (await database.text('slow-line')).startsWith('from afar'))
  } finally {
    closeAll()
    await line.stop()
    await relay.stop()
  }
})

test('many who join at once share the answer', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  const relay = await startRelay(detour)
  try {
    await longText('shared', 300000)
    await until(async () => await metric(relay, 'database_connections_up') === 5)
    detour.hold('sync')
    const everybody = await Promise.all(Array.from({ length: 30 }, () => load(relay, 'shared')))
    await until(async () => await metric(relay, 'syncs') === 30)
    // one who knows something else is another question
    const known = new Y.Doc()
    known.getText('other').insert(0, 'x')
    const stranger = await load(relay, 'shared', known)
    await until(async () => await metric(relay, 'sync_queries') === 2)
    detour.pass()
    await Promise.all([...everybody, stranger].map(one => one.loaded()))
    assert.equal(await metric(relay, 'sync_queries'), 2)
    for (const one of everybody) {
      for (const { bytes } of one.messages().filter(({ kind }) => kind === 'update' || kind === 'step 2')) {
        Y.applyUpdate(one.doc, bytes)
      }
      assert.equal(one.doc.getText('content').length, 300000)
    }
    await until(async () => await metric(relay, 'load_bytes') === 0) // nobody holds it any more
  } finally {
    await relay.stop()
    await detour.stop()
  }
})

test('what is committed between a question and its answer is not missed', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  const relay = await startRelay(detour)
  try {
    await longText('meanwhile', 50000)
    const ann = open(relay, 'meanwhile')
    await ann.synced()
    detour.hold('sync')
    const ben = open(relay, 'meanwhile') // his answer is made now, and comes late
    await until(async () => await metric(relay, 'sync_queries') === 2)
    await sleep(300)
    ann.text.insert(0, 'later ')
    await until(async () => (await database.text('meanwhile')).startsWith('later'))
    const carl = open(relay, 'meanwhile') // gets the same answer, which is older than he
    await until(async () => await metric(relay, 'syncs_shared') === 1)
    await sleep(100)
    detour.pass()
    await Promise.all([ben.synced(), carl.synced()])
    await until(() => ben.text.length === 50006 && carl.text.length === 50006)
    assert.equal(await metric(relay, 'sync_queries'), 2)
  } finally {
    closeAll()
    await relay.stop()
    await detour.stop()
  }
})

test('who is loading when somebody pastes gets that too', { timeout: 60000 }, async () => {
  const relay = await startRelay(database)
  const line = await startSlowLine(relay, 40000)
  try {
    await longText('loading', 400000) // one window
    const ann = open(relay, 'loading')
    await ann.synced()
    const ben = open(line, 'loading')
    await until(() => ben.text.length > 0)
    ann.text.insert(0, 'paste '.repeat(20000))
    await until(async () => (await database.text('loading')).startsWith('paste'))
    assert.ok(!ben.provider.synced)
    line.bytesPerSecond = Infinity
    await until(() => ben.text.length === 520000)
    assert.equal(ben.text.toString(), ann.text.toString())
  } finally {
    closeAll()
    await line.stop()
    await relay.stop()
  }
})

test('documents are loaded in the order they were asked for, few at a time', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  const relay = await startRelay(detour, { arguments: ['--readers', '1', '--max-loads', '2'] })
  try {
    await until(async () => await metric(relay, 'database_connections_up') === 4)
    detour.hold('sync')
    const order = []
    const everybody = []
    for (let i = 0; i < 12; i++) {
      const one = await load(relay, `queue-${i}`)
      one.socket.on('message', message => {
        if (readMessage(new Uint8Array(message)).kind === 'step 2') order.push(i)
      })
      everybody.push(one)
      await until(async () => await metric(relay, 'syncs') === i + 1)
    }
    assert.equal(await metric(relay, 'sync_queries'), 2)
    detour.pass()
    await Promise.all(everybody.map(one => one.loaded()))
    assert.deepEqual(order, [...order].sort((a, b) => a - b))
  } finally {
    await relay.stop()
    await detour.stop()
  }
})

test('a slow line holds a window of slices, not the document, and gets what is written meanwhile', { timeout: 120000 }, async () => {
  const relay = await startRelay(database, { arguments: ['--load-window', '128K', '--max-room-log', '64K'] })
  const line = await startSlowLine(relay, 2000)
  try {
    await longText('window', 4000000)
    const ann = open(relay, 'window')
    await ann.synced()
    const ben = open(line, 'window')
    await until(() => ben.provider.wsconnected)
    for (let i = 0; i < 40; i++) { // beyond what the room keeps for it
      ann.text.insert(0, `${i} ${'meanwhile '.repeat(300)}`)
      await sleep(20)
      assert.ok(await metric(relay, 'load_bytes') <= 256 * 1024)
    }
    line.bytesPerSecond = Infinity
    await ben.synced()
    await until(() => ben.text.length === ann.text.length)
    assert.equal(ben.text.toString(), ann.text.toString())
    await until(async () => await metric(relay, 'load_bytes') === 0)
  } finally {
    closeAll()
    await line.stop()
    await relay.stop()
  }
})

for (const [how, flags] of [['one message', ['--slice', '16M', '--load-window', '16M']], ['slices', []]]) {
  test(`a slow client holds a place in the log, not a queue, and becomes current by ${how}`, { timeout: 90000 }, async t => {
    const relay = await startRelay(database, { arguments: ['--max-room-log', '64K', ...flags] })
    const line = await startSlowLine(relay, Infinity)
    try {
      const name = `busy by ${how}`
      const ann = open(relay, name)
      const carl = open(relay, name)
      const ben = open(line, name)
      await Promise.all([ann.synced(), ben.synced(), carl.synced()])
      let closes = 0
      ben.provider.on('connection-close', () => closes++)
      line.bytesPerSecond = 1000
      // 1,000 updates a second, 100 kB
      const filler = 'lorem ipsum '.repeat(8)
      const start = performance.now()
      const memory = []
      let typed = 0
      while (performance.now() - start < 15000) {
        for (const due = performance.now() - start; typed < due; typed++) ann.text.insert(ann.text.length, `${typed} ${filler}`)
        if (typed > memory.length * 1000) memory.push(residentBytes(relay))
        await sleep(10)
      }
      await until(() => carl.text.length === ann.text.length, 5000)
      assert.ok(await metric(relay, 'fell_behind') > 0)
      assert.ok(ben.text.length < ann.text.length / 2, 'it is far behind')
      const [early, late] = [Math.max(...memory.slice(3, 7)), Math.max(...memory.slice(-4))]
      t.diagnostic(`${typed} updates; the relay had ${early >> 10} kB early, ${late >> 10} kB late; ben ${ben.text.length} of ${ann.text.length}`)
      assert.ok(late - early < (process.env.YDOC_RELAY?.includes('sanitize') ? 64 : 2) << 20, `memory grew from ${early} to ${late}`)

      // freed, it gets what was in its socket, and then everything that it missed
      const caughtUp = await metric(relay, 'caught_up')
      const updates = []
      ben.doc.on('update', update => updates.push(update.length))
      line.bytesPerSecond = Infinity
      await until(() => ben.text.length === ann.text.length, 10000)
      assert.equal(ben.text.toString(), ann.text.toString())
      assert.equal(closes, 0)
      if (how === 'one message') {
        assert.equal(await metric(relay, 'caught_up') - caughtUp, 1)
        assert.ok(updates.at(-1) > ann.text.length / 4, `the last of ${updates.length} updates had ${updates.at(-1)} bytes`)
      } else assert.ok(updates.every(size => size <= 65536))
    } finally {
      closeAll()
      await line.stop()
      await relay.stop()
    }
  })
}

test('what one writes at once reaches the others in slices', { timeout: 60000 }, async () => {
  const relay = await startRelay(database)
  try {
    const ann = open(relay, 'paste')
    await ann.synced()
    ann.text.insert(0, 'before ')
    const ben = await load(relay, 'paste')
    await ben.loaded()
    const carl = open(relay, 'paste')
    await carl.synced()
    ann.text.insert(7, 'paste '.repeat(50000))
    ann.text.insert(0, 'after ')
    await until(() => carl.text.length === ann.text.length)
    assert.equal(carl.text.toString(), ann.text.toString())
    const textOf = doc => doc.getText('content')
    await until(() => {
      for (const { kind, bytes } of ben.messages()) if (kind === 'update' || kind === 'step 2') Y.applyUpdate(ben.doc, bytes)
      return textOf(ben.doc).length === ann.text.length
    })
    assert.ok(ben.messages().every(({ bytes }) => bytes === undefined || bytes.length <= 65536))
    assert.equal(ben.messages().filter(({ kind }) => kind === 'step 2').length, 1, 'the others are updates')
    // also when it was not written through this relay
    const doc = new Y.Doc()
    textOf(doc).insert(0, 'x'.repeat(100000))
    await database.psql(`SELECT ydoc.import('paste', ydoc_from_text(repeat('from SQL ', 30000), 'content')::bytea)`)
    await until(() => carl.text.length === ann.text.length && carl.text.length > 500000)
    assert.equal(carl.text.toString(), await database.text('paste'))
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('one value that is larger than a slice goes alone', { timeout: 60000 }, async () => {
  const relay = await startRelay(database)
  try {
    const ann = open(relay, 'image')
    await ann.synced()
    ann.doc.getMap('m').set('image', new Uint8Array(500000).fill(7))
    ann.text.insert(0, 'with an image')
    await until(async () => await database.text('image') === 'with an image')
    const ben = open(relay, 'image')
    await ben.synced()
    assert.equal(ben.doc.getMap('m').get('image').length, 500000)
    assert.equal(ben.text.toString(), 'with an image')
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('a malformed state vector closes its connection for good', { timeout: 20000 }, async () => {
  const relay = await startRelay(database)
  try {
    const eve = await raw(relay, '/vector')
    eve.send(new Uint8Array([0, 0, 2, 5, 1]))
    assert.deepEqual(await eve.closed, { code: 4400, reason: 'malformed state vector' })
  } finally {
    await relay.stop()
  }
})
