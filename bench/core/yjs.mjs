// Times the real Yjs on one editing trace; prints one JSON object of milliseconds (as core.c does).
// usage: node yjs.mjs TRACES_DIRECTORY NAME
import * as Y from 'yjs'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { join } from 'node:path'

const REPEATS = 9
const MERGED_PREFIX = 10000
const [directory, name] = process.argv.slice(2)

const read = file => gunzipSync(readFileSync(join(directory, `${name}.${file}.gz`)))
const stream = read('updates')
const state = read('v1')
const text = read('txt').toString()
const updates = []
for (let at = 0; at < stream.length;) {
  const length = stream.readUInt32LE(at)
  updates.push(new Uint8Array(stream.subarray(at + 4, at + 4 + length)))
  at += 4 + length
}

const once = work => {
  const start = performance.now()
  const result = work()
  return { ms: performance.now() - start, result }
}
const repeated = work => {
  work()
  const times = []
  let result
  for (let i = 0; i < REPEATS; i++) {
    const run = once(work)
    times.push(run.ms)
    result = run.result
  }
  return { ms: times.sort((a, b) => a - b)[REPEATS >> 1], result }
}
const must = (isTrue, what) => { if (!isTrue) throw new Error(`the ${what} is wrong`) }

const loadOnce = () => {
  const doc = new Y.Doc()
  Y.applyUpdate(doc, state)
  return doc
}
const loadFirst = once(loadOnce)
const load = repeated(loadOnce)
const apply = once(() => {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
})
const encode = repeated(() => Y.encodeStateAsUpdate(load.result))
const encodeApplied = repeated(() => Y.encodeStateAsUpdate(apply.result))
const toString = repeated(() => load.result.getText('content').toString())
const mergePrefix = once(() => Y.mergeUpdates(updates.slice(0, MERGED_PREFIX)))
must(state.equals(encode.result), 'state')
must(state.equals(encodeApplied.result), 'state')
must(toString.result === text, 'text')

console.log(JSON.stringify({
  apply: apply.ms,
  load: load.ms,
  loadFirst: loadFirst.ms,
  encode: encode.ms,
  encodeApplied: encodeApplied.ms,
  text: toString.ms,
  mergePrefix: mergePrefix.ms
}))
