// Does another CRDT the work of large.c on the files that it wrote; prints one JSON object by the same names.
// usage: node --expose-gc large.mjs PEER DIRECTORY STATE|DELETED
//
// STATE: the whole document, and merging.  DELETED: what is left of it, in a process of its own, for WebAssembly never gives
// memory back.  Memory is the process's: what it has resident after a collection, and the peak that the kernel noted (Linux: the mark is put
// back by /proc/self/clear_refs; where that is refused, peaks are missing), as multiples of the encoded bytes.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { hash, splitUpdates } from './bytes.mjs'

const ROUNDS = 3
const [peer, directory, which] = process.argv.slice(2)
const read = name => readFileSync(`${directory}/large.${name}`)

const Y = createRequire(import.meta.url)(peer)
const isWasm = peer === 'ywasm'
const load = bytes => {
  const doc = isWasm ? new Y.YDoc({}) : new Y.Doc()
  Y.applyUpdate(doc, bytes, null)
  return doc
}

const memory = name => Number(readFileSync('/proc/self/status', 'utf8').match(new RegExp(`${name}:\\s+(\\d+)`))[1]) * 1024
function settled () {
  globalThis.gc()
  globalThis.gc()
  return memory('VmRSS')
}
function peakOf (work) {
  const before = settled()
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    return { value: work() }
  }
  const value = work()
  return { value, before, peak: memory('VmHWM') - before }
}

const result = {}
function timed (key, work, dispose = () => {}) {
  const times = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    const value = work()
    times.push(performance.now() - start)
    dispose(value)
  }
  result[key] = times.sort((a, b) => a - b)[ROUNDS >> 1]
}
const free = doc => { if (isWasm) doc.free() }

// Memory first, in a process that has done nothing else.
function measureDocument (bytes, name) {
  const times = value => value === undefined ? undefined : Math.max(value, 0) / bytes.length
  const { value: doc, before, peak } = peakOf(() => load(bytes))
  result.loadPeak = times(peak)
  if (before !== undefined) result[`${name}Kept`] = times(settled() - before)
  result[`${name}Peak`] = times(peakOf(() => Y.encodeStateAsUpdate(doc)).peak)
  timed(name, () => Y.encodeStateAsUpdate(doc))
  free(doc)
}

if (which === 'DELETED') {
  measureDocument(new Uint8Array(read('deleted')), 'deletedEncode')
  delete result.loadPeak
} else {
  const state = new Uint8Array(read('state'))
  measureDocument(state, 'encode')
  timed('load', () => load(state), free)
  if (!isWasm) { // it exports neither
    const updates = [state, ...splitUpdates(read('updates'))]
    const merging = peakOf(() => Y.mergeUpdates(updates))
    result.mergeHash = hash(merging.value)
    if (merging.peak !== undefined) result.mergePeak = merging.peak / state.length
    timed('merge', () => Y.mergeUpdates(updates))
    timed('vector', () => Y.encodeStateVectorFromUpdate(state))
  }
}
console.log(JSON.stringify(result))
