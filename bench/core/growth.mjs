// Times another CRDT on the session that growth.c wrote: microseconds an update in its second half, milliseconds for loading
// and encoding what it makes.  After CUT_SECONDS no more updates are applied, and those that were count.
// usage: node growth.mjs PEER FILE [CUT_SECONDS]
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { splitUpdates } from './bytes.mjs'

const [peer, file, cutSeconds = '2'] = process.argv.slice(2)
const updates = splitUpdates(readFileSync(file))
const half = updates.shift()

const Y = createRequire(import.meta.url)(peer)
const newDoc = () => peer === 'ywasm' ? new Y.YDoc({}) : new Y.Doc()
const timed = work => {
  work() // warms up
  const start = performance.now()
  const value = work()
  return { ms: performance.now() - start, value }
}

// small documents several times, so that code is compiled; the last ones count
const rounds = Math.ceil(50000 / updates.length)
let doc, us, end
let done = 0
for (let round = 0; round < rounds && !(performance.now() > end); round++) {
  doc = newDoc()
  Y.applyUpdate(doc, half, null)
  end ??= performance.now() + Number(cutSeconds) * 1000
  const start = performance.now()
  for (done = 0; done < updates.length && (done % 64 > 0 || performance.now() < end);) Y.applyUpdate(doc, updates[done++], null)
  if (done === updates.length || round === 0) us = (performance.now() - start) * 1e3 / done
}
const encoded = timed(() => Y.encodeStateAsUpdate(doc))
const loaded = timed(() => Y.applyUpdate(newDoc(), encoded.value, null))
console.log(JSON.stringify({ apply: us, encodeMs: encoded.ms, loadMs: loaded.ms, stateBytes: encoded.value.length, cut: done < updates.length }))
