// Measures the relay and the peer in turns and prints medians and ratios.
import { spawn } from 'node:child_process'
import { decoding, encoding } from 'lib0'
import { WebSocket } from 'ws'
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync'
import * as Y from 'yjs'

import { sleep, startDatabase, startRelay } from '../../test/relay/servers.mjs'

const rounds = Number(process.env.ROUNDS ?? 5)
const keystrokes = 400
const flood = 20000

// Looks more often than the tests' until(): what is measured ends here.
async function arrived (condition) {
  const end = performance.now() + 60000
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited a minute for ${condition}`)
    await sleep(1)
  }
}

async function startPeer () {
  const child = spawn(process.execPath, [new URL('peer.mjs', import.meta.url).pathname], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await new Promise(resolve => child.stdout.once('data', data => resolve(Number(String(data)))))
  return { url: `ws://127.0.0.1:${port}`, stop: () => child.kill() }
}

// An editor without a provider's timers: a document, a socket, the protocol.
async function editor (url, name) {
  const doc = new Y.Doc()
  const socket = new WebSocket(`${url}/${name}`)
  const send = write => {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, 0)
    write(encoder)
    socket.send(encoding.toUint8Array(encoder))
  }
  socket.on('message', data => {
    const decoder = decoding.createDecoder(new Uint8Array(data))
    if (decoding.readVarUint(decoder) !== 0) return
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, 0)
    readSyncMessage(decoder, encoder, doc, socket)
    if (encoding.length(encoder) > 1) socket.send(encoding.toUint8Array(encoder))
  })
  doc.on('update', (update, origin) => { if (origin !== socket) send(encoder => writeUpdate(encoder, update)) })
  await new Promise((resolve, reject) => { socket.on('open', resolve); socket.on('error', reject) })
  send(encoder => writeSyncStep1(encoder, doc))
  await sleep(100)
  return { doc, text: doc.getText('content'), socket }
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
const median = list => quantile([...list].sort((a, b) => a - b), 0.5)

async function latency (url, name) {
  const [ann, ben] = [await editor(url, name), await editor(url, name)]
  const sent = []
  const times = []
  ben.doc.on('update', () => {
    const now = performance.now()
    while (times.length < ben.text.length) times.push(now - sent[times.length])
  })
  for (let i = 0; i < keystrokes; i++) {
    sent.push(performance.now())
    ann.text.insert(i, 'x')
    await sleep(5)
  }
  await arrived(() => times.length >= keystrokes)
  ann.socket.close()
  ben.socket.close()
  times.sort((a, b) => a - b)
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}

async function throughput (url, name) {
  const [ann, ben] = [await editor(url, name), await editor(url, name)]
  const start = performance.now()
  for (let i = 0; i < flood; i++) {
    ann.text.insert(i, 'x')
    if (i % 200 === 0) await sleep(0)
  }
  await arrived(() => ben.text.length >= flood)
  const seconds = (performance.now() - start) / 1000
  ann.socket.close()
  ben.socket.close()
  return flood / seconds
}

const database = await startDatabase()
const servers = { ours: await startRelay(database), peer: await startPeer() }
const results = { ours: [], peer: [] }
try {
  for (let round = -1; round < rounds; round++) { // the first warms up
    for (const [who, server] of Object.entries(servers)) {
      const name = `bench-${round + 1}`
      const result = { ...await latency(server.url, `${name}-l`), rate: await throughput(server.url, `${name}-t`) }
      if (round >= 0) results[who].push(result)
    }
  }
} finally {
  await servers.peer.stop()
  await servers.ours.stop()
  await database.stop()
}

const of = (who, what) => median(results[who].map(result => result[what]))
const line = (label, what, digits, better) => {
  const [ours, peer] = [of('ours', what), of('peer', what)]
  console.log(label.padEnd(44), ours.toFixed(digits).padStart(9), peer.toFixed(digits).padStart(9),
    (better === 'less' ? peer / ours : ours / peer).toFixed(2).padStart(9))
}
console.log(`one document, two editors, ${rounds} rounds in turns, medians; node ${process.version}`)
console.log(''.padEnd(44), 'ours'.padStart(9), 'peer'.padStart(9), 'advantage')
line('keystroke to the other editor, p50, ms', 'p50', 2, 'less')
line('keystroke to the other editor, p99, ms', 'p99', 2, 'less')
line('updates a second, one editor to the other', 'rate', 0, 'more')
console.log('ours commits each update to PostgreSQL before anybody sees it, and merges those of one commit;')
console.log('the peer stores nothing and sends each by itself')
