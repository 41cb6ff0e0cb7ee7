// Times another CRDT on one editing trace; prints one JSON object of milliseconds and bytes, by the names of core.c.
// usage: node --expose-gc peers.mjs PEER TRACES_DIRECTORY NAME ROOT [CUT_SECONDS]
//
// PEER: yjs, ywasm (both read the trace's own updates), loro, automerge (other formats: their own updates of the same edits).
// What takes longer than CUT_SECONDS is cut off, and its time extrapolated from what was done: a lower bound where work
// grows with the document.  Such figures stand in "cut".
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { hash, splitUpdates } from './bytes.mjs'

const REPEATS = 9
const REPEAT_MS = 400 // at most so long for what is repeated
const MERGED_PREFIX = 5000
const CLIENT = 1000001
const [peerName, directory, name, root, cutSeconds = '5'] = process.argv.slice(2)

const path = file => join(directory, `${name}.${file}.gz`)
const read = file => gunzipSync(readFileSync(path(file)))
const result = { cut: [] }

const state = new Uint8Array(read('v1'))
const text = read('txt').toString()
const updates = existsSync(path('updates')) ? splitUpdates(read('updates')) : []
const patches = existsSync(path('patches')) ? read('patches').toString().trimEnd().split('\n').map(line => JSON.parse(line)) : []

const must = (isTrue, what) => { if (!isTrue) throw new Error(`${peerName}: the ${what} is wrong`) }

// The median of some runs after one that warms up; the last result.  Others are disposed of outside of what is timed.
function repeated (key, work, dispose = () => {}) {
  const times = []
  let value = work()
  const end = performance.now() + REPEAT_MS
  do {
    dispose(value)
    const start = performance.now()
    value = work()
    times.push(performance.now() - start)
  } while (times.length < REPEATS && performance.now() < end)
  result[key] = times.sort((a, b) => a - b)[times.length >> 1]
  return value
}
function once (key, work) {
  const start = performance.now()
  const value = work()
  result[key] = performance.now() - start
  return value
}
// step(i) for all of count, or as many as time allows; true: all.
function through (key, count, step) {
  const start = performance.now()
  const end = start + Number(cutSeconds) * 1000
  let done = 0
  while (done < count) {
    step(done++)
    if (done % 64 === 0 && performance.now() > end) break
  }
  result[key] = (performance.now() - start) / done * count
  if (done < count) result.cut.push(key)
  return done === count
}
// What a document keeps: JavaScript's heap, and WebAssembly's memory (which grows in pages of 64 KiB).
async function kept (work, wasmBytes) {
  const now = async () => {
    await new Promise(resolve => setTimeout(resolve, 10)) // what a WeakRef has looked at lives as long as the task
    globalThis.gc()
    globalThis.gc()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external + wasmBytes()
  }
  const before = await now()
  const value = work()
  result.loadedBytes = await now() - before
  return value
}

async function yjs () {
  const Y = await import('yjs')
  const load = () => {
    const doc = new Y.Doc()
    Y.applyUpdate(doc, state)
    return doc
  }
  once('loadFirst', () => { load() })
  let doc = await kept(load, () => 0)
  doc = repeated('load', load)
  const v2 = repeated('encodeV2', () => Y.encodeStateAsUpdateV2(doc))
  result.encodeV2Hash = hash(v2)
  repeated('loadV2', () => Y.applyUpdateV2(new Y.Doc(), v2))
  must(Buffer.from(state).equals(repeated('encode', () => Y.encodeStateAsUpdate(doc))), 'state')
  must(repeated('text', () => doc.getText(root).toString()) === text, 'text')

  const known = new Map([...Y.decodeStateVector(Y.encodeStateVector(doc))].map(([client, clock]) => [client, Math.floor(clock * 9 / 10)]))
  const vector = Y.encodeStateVector(known)
  result.diffHash = hash(repeated('diff', () => Y.encodeStateAsUpdate(doc, vector)))
  repeated('diffUpdate', () => Y.diffUpdate(state, vector))
  if (updates.length === 0) return
  const applied = new Y.Doc()
  if (through('apply', updates.length, i => Y.applyUpdate(applied, updates[i]))) {
    must(Buffer.from(state).equals(repeated('encodeApplied', () => Y.encodeStateAsUpdate(applied))), 'state')
  }
  result.mergePrefixHash = hash(once('mergePrefix', () => Y.mergeUpdates(updates.slice(0, MERGED_PREFIX))))
  if (patches.length === 0) return
  const author = Object.assign(new Y.Doc(), { clientID: CLIENT })
  const content = author.getText(root)
  let sent = 0
  author.on('update', update => { sent += update.length })
  through('local', patches.length, i => {
    const [position, deleted, inserted] = patches[i]
    author.transact(() => {
      if (deleted > 0) content.delete(position, deleted)
      if (inserted) content.insert(position, inserted)
    })
  })
  must(sent > 0, 'replay')
}

async function ywasm () {
  const Y = createRequire(import.meta.url)('ywasm')
  const load = () => {
    const doc = new Y.YDoc({})
    Y.applyUpdate(doc, state, null)
    return doc
  }
  const doc = await kept(() => once('loadFirst', load), () => Y.__wasm.memory.buffer.byteLength)
  repeated('load', load, doc => doc.free())
  const v2 = repeated('encodeV2', () => Y.encodeStateAsUpdateV2(doc))
  repeated('loadV2', () => {
    const other = new Y.YDoc({})
    Y.applyUpdateV2(other, v2, null)
    return other
  }, doc => doc.free())
  must(repeated('encode', () => Y.encodeStateAsUpdate(doc)).length === state.length, 'state')
  const content = doc.getText(root)
  must(repeated('text', () => content.toString(undefined)) === text, 'text')
  const JS = await import('yjs')
  const known = new Map([...JS.decodeStateVector(Y.encodeStateVector(doc))].map(([client, clock]) => [client, Math.floor(clock * 9 / 10)]))
  const vector = JS.encodeStateVector(known)
  repeated('diff', () => Y.encodeStateAsUpdate(doc, vector))
  if (updates.length === 0) return
  const applied = new Y.YDoc({})
  if (through('apply', updates.length, i => Y.applyUpdate(applied, updates[i], null))) {
    must(repeated('encodeApplied', () => Y.encodeStateAsUpdate(applied)).length === state.length, 'state')
  }
  if (patches.length === 0) return
  const author = new Y.YDoc({ clientID: CLIENT })
  const typed = author.getText(root)
  let sent = 0
  author.onUpdate(update => { sent += update.length })
  through('local', patches.length, i => {
    const [position, deleted, inserted] = patches[i]
    const transaction = author.beginTransaction(null)
    if (deleted > 0) typed.delete(position, deleted, transaction)
    if (inserted) typed.insert(position, inserted, undefined, transaction)
    transaction.commit()
    transaction.free()
  })
  must(sent > 0, 'replay')
}

async function loro () {
  const { LoroDoc } = createRequire(import.meta.url)('loro-crdt')
  const author = new LoroDoc()
  const content = author.getText(root)
  const sent = []
  let version = author.version()
  author.setPeerId(String(CLIENT))
  const whole = through('local', patches.length, i => {
    const [position, deleted, inserted] = patches[i]
    if (deleted > 0) content.delete(position, deleted)
    if (inserted) content.insert(position, inserted)
    author.commit()
    sent.push(author.export({ mode: 'update', from: version }))
    version = author.version()
  })
  const reader = new LoroDoc()
  result.updateBytes = sent.reduce((sum, update) => sum + update.length, 0) / sent.length
  through('apply', sent.length, i => reader.import(sent[i]))
  if (!whole) return
  must(content.toString() === text, 'text')
  const snapshot = repeated('encode', () => author.export({ mode: 'snapshot' }))
  result.stateBytes = snapshot.length
  repeated('load', () => {
    const doc = new LoroDoc()
    doc.import(snapshot)
    return doc
  })
}

async function automerge () {
  const A = await import('@automerge/automerge')
  let author = A.from({ [root]: '' }, { actor: '00'.repeat(16) })
  const first = A.getLastLocalChange(author)
  const sent = []
  const whole = through('local', patches.length, i => {
    const [position, deleted, inserted] = patches[i]
    author = A.change(author, doc => { A.splice(doc, [root], position, deleted, inserted) })
    sent.push(A.getLastLocalChange(author))
  })
  let [reader] = A.applyChanges(A.init(), [first])
  result.updateBytes = sent.reduce((sum, update) => sum + update.length, 0) / sent.length
  through('apply', sent.length, i => { [reader] = A.applyChanges(reader, [sent[i]]) })
  if (!whole) return
  must(author[root] === text, 'text')
  const saved = repeated('encode', () => A.save(author))
  result.stateBytes = saved.length
  repeated('load', () => A.load(saved))
}

await { yjs, ywasm, loro, automerge }[peerName]()
console.log(JSON.stringify(result))
