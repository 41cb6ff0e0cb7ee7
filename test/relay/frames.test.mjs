// What real providers of Hocuspocus said to real servers (test/data/vectors/frames-hocuspocus-*), said to our relay:
// each version must be answered as it was there.  What differs on purpose is named here.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

import { metric, raw, startDatabase, startRelay, until } from './harness.mjs'
import { keyring } from './keyring.mjs'

const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const STATELESS = 5
const CLOSE = 7
const SYNC_STATUS = 8

const keys = keyring('notes')

const transcripts = [2, 3, 4].flatMap(version =>
  gunzipSync(readFileSync(new URL(`../data/vectors/frames-hocuspocus-${version}.jsonl.gz`, import.meta.url)))
    .toString().trim().split('\n').map(line => JSON.parse(line)))

let database, open, checked

before(async () => {
  database = await startDatabase()
  await database.psql("SELECT ydoc.grant_access('%', 'user:writer', 'write'), ydoc.grant_access('%', 'user:reader', 'read')")
  open = await startRelay(database)
  checked = await startRelay(database, { arguments: keys.flags })
})

after(async () => {
  for (const relay of [open, checked]) assert.deepEqual(await relay?.stop(), { code: 0, signal: null })
  await database?.stop()
  keys.remove()
})

// ---- frames ----

function read (bytes) {
  if (bytes.length === 1) return { type: bytes[0] }
  const decoder = decoding.createDecoder(bytes)
  const frame = { address: decoding.readVarString(decoder), type: decoding.readVarUint(decoder), bytes }
  switch (frame.type) {
    case SYNC:
      frame.kind = decoding.readVarUint(decoder)
      if (decoding.hasContent(decoder)) frame.content = decoding.readVarUint8Array(decoder)
      break
    case AWARENESS: frame.states = readStates(decoding.readVarUint8Array(decoder)); break
    case AUTH:
      frame.kind = decoding.readVarUint(decoder)
      if (decoding.hasContent(decoder)) frame.text = decoding.readVarString(decoder)
      break
    case STATELESS: frame.text = decoding.readVarString(decoder)
  }
  return frame
}

function readStates (bytes) {
  const decoder = decoding.createDecoder(bytes)
  return Array.from({ length: decoding.readVarUint(decoder) }, () => {
    const client = decoding.readVarUint(decoder)
    decoding.readVarUint(decoder)
    return { client, state: decoding.readVarString(decoder) }
  })
}

// The servers of old knew other tokens.
function withToken (bytes) {
  const frame = read(bytes)
  if (frame.type !== AUTH) return bytes
  const shown = { good: keys.token('writer'), good2: keys.token('writer'), ro: keys.token('reader') }[frame.text] ?? frame.text
  return encoding.encode(encoder => {
    encoding.writeVarString(encoder, frame.address)
    encoding.writeVarUint(encoder, AUTH)
    encoding.writeVarUint(encoder, 0)
    encoding.writeVarString(encoder, shown)
  })
}

// Updates may be cut into structs in another way; the documents in the end may not differ.
function isSame (expected, found) {
  if (found.type !== expected.type || found.address !== expected.address) return false
  if (expected.type === AUTH && expected.kind === 1) return found.kind === 1 // the reason is ours
  if (expected.type !== SYNC || expected.kind === 0) return Buffer.compare(found.bytes, expected.bytes) === 0
  const extent = update => {
    const { from, to } = Y.parseUpdateMeta(update)
    return JSON.stringify([[...from].sort(), [...to].sort()])
  }
  return found.kind === expected.kind && extent(found.content) === extent(expected.content)
}

// ---- people ----

// Somebody's end of a socket: frames that have come and nobody has asked about, states, documents.
class End {
  received = []
  states = new Map()
  docs = new Map()

  static async open (relay) {
    const end = new End()
    end.socket = await raw(relay, '/')
    end.socket.on('message', data => end.take(read(new Uint8Array(data))))
    return end
  }

  take (frame) {
    for (const { client, state } of frame.states ?? []) this.states.set(client, state)
    if (frame.type === SYNC && frame.kind > 0) Y.applyUpdate(this.doc(frame.address), frame.content)
    if (frame.type !== AWARENESS) this.received.push(frame)
  }

  doc (address) {
    if (!this.docs.has(address)) this.docs.set(address, new Y.Doc())
    return this.docs.get(address)
  }

  say (bytes) {
    const frame = read(bytes)
    if (frame.type === SYNC && frame.kind > 0 && frame.content) {
      try {
        Y.applyUpdate(this.doc(frame.address), frame.content)
      } catch {} // one of them is broken
    }
    this.hasLeft ||= frame.type === CLOSE
    this.socket.send(bytes)
  }

  async hears (expected) {
    if (expected.type === AWARENESS) {
      if (this.hasLeft) return // it is told no more
      return until(() => expected.states.every(({ client, state }) => (this.states.get(client) ?? 'null') === state))
    }
    await until(() => this.received.some(found => isSame(expected, found)), 5000).catch(() => assert.deepEqual(this.received, expected))
    this.received.splice(this.received.findIndex(found => isSame(expected, found)), 1)
  }
}

// Where our relay goes a way of its own, or a server of old was told to do something.
const otherwise = {
  'server closes the connections of the document': async ({ A }) => {
    await database.psql("SELECT ydoc.text_insert('doc-1', 'content', 0, 'x')")
    await until(() => A.received.length === 1)
    A.received.length = 0
    await database.psql("SELECT ydoc.delete('doc-1')")
    await until(() => A.received.length === 1)
    // whether it is version 2, which does not know CLOSE, cannot be told from version 3
    assert.deepEqual(A.received.map(({ type }) => type), [A.version === 4 ? CLOSE : AUTH])
  },
  // a kind of sync message that nobody knows is ignored, as other types are
  'client sends a broken sync message': async ({ A }, event) => {
    A.say(event)
    A.say(encoding.encode(encoder => {
      encoding.writeVarString(encoder, 'doc-1')
      for (const number of [SYNC, 0]) encoding.writeVarUint(encoder, number)
      encoding.writeVarUint8Array(encoder, new Uint8Array([0]))
    }))
    await until(() => A.received.length === 2)
    assert.deepEqual(A.received.map(({ type, kind }) => [type, kind]), [[SYNC, 0], [SYNC, 1]])
  },
  // what is not stored is not said to be
  'client sends an undecodable update': async ({ A }, event) => {
    A.say(event)
    await until(() => A.received.length === 2)
    assert.deepEqual(A.received.map(({ type }) => type), [SYNC_STATUS, A.version === 4 ? CLOSE : AUTH])
    assert.equal(A.received[0].bytes.at(-1), 0)
  },
  // we ask before a token expires; whatever the reason, it is answered with what it allows
  'server asks for the token': async ({ A }, event, events) => {
    A.say(events.find(({ dir, decoded }) => dir === 'c2s' && decoded.auth === 'token').bytes)
    A.say(new Uint8Array([10])) // a pong
    await until(() => A.received.length === 1)
    assert.deepEqual([A.received[0].kind, A.received[0].text], [2, 'read-write'])
    assert.equal(A.socket.readyState, 1)
  }
}

for (const { name, provider: version, events, final } of transcripts) {
  test(name, { timeout: 60000 }, async () => {
    const isChecked = /denied|read-only/.test(name)
    const ends = {}
    const bytesOf = ({ dir, bytes }) => {
      const plain = new Uint8Array(Buffer.from(bytes, 'base64'))
      return isChecked && dir === 'c2s' ? withToken(plain) : plain
    }
    const all = events.map(event => event.bytes === undefined ? event : { ...event, bytes: bytesOf(event) })
    let endsHere = false

    // whoever had the document before is gone, and so is the document
    await until(async () => await metric(open, 'rooms') + await metric(checked, 'rooms') === 0)
    await database.psql('SELECT ydoc.purge(name, forget => true) FROM ydoc_data.document')
    for (const [i, event] of all.entries()) {
      if (event.note in otherwise) {
        await otherwise[event.note](ends, all[i + 1]?.bytes, all)
        endsHere = true
        break
      }
      const { who, dir } = event
      if (dir === 'open' && ends[who] === undefined) {
        ends[who] = await End.open(isChecked ? checked : open)
        ends[who].version = version
      }
      if (dir === 'c2s') ends[who].say(event.bytes)
      if (dir === 's2c' && event.decoded.name !== 'Stateless') await ends[who].hears(read(event.bytes))
    }
    // with no application behind it, the relay passes stateless messages on as they are
    if (name.endsWith('stateless')) {
      for (const end of Object.values(ends)) {
        const isStateless = ({ type }) => type === STATELESS
        await until(() => end.received.filter(isStateless).length === 2)
        assert.deepEqual(end.received.filter(isStateless).map(({ text }) => text), ['ping é', 'all'])
        end.received = end.received.filter(frame => !isStateless(frame))
      }
    }
    if (endsHere) return Object.values(ends).forEach(end => end.socket.close())
    for (const [who, end] of Object.entries(ends)) {
      // nothing else was said, but for what version 2 is not used to and takes
      assert.deepEqual(end.received.filter(({ type, kind }) => version > 2 || !(type === CLOSE || (type === AUTH && kind === 2))), [])
      for (const [address, doc] of end.docs) {
        const { v1 } = final[who] ?? final[address] ?? Object.values(final)[0]
        assert.equal(Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64'), v1)
      }
      end.socket.close()
    }
  })
}
