// Limits and flow control: whoever goes too far is told why, and the others go on.
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { connect } from 'node:net'
import * as Y from 'yjs'

import {
  closeAll, message, metric, open, raw, sleep, startDatabase, startDetour, startRelay, until
} from './harness.mjs'

let database

before(async () => { database = await startDatabase() })
afterEach(closeAll)
after(async () => {
  closeAll()
  await database?.stop()
})

async function withRelay (flags, body, on = database) {
  const relay = await startRelay(on, { arguments: flags })
  try {
    await body(relay)
  } finally {
    closeAll()
    await relay.stop()
  }
}

// An update with a text of that size, and a message with it.
function textOf (size) {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, 'x'.repeat(size))
  return Y.encodeStateAsUpdate(doc)
}

const updateOf = size => message(0, 2, textOf(size))

// Two people who are not to notice anything.
async function bystanders (relay, name) {
  const ann = open(relay, name)
  const ben = open(relay, name)
  await Promise.all([ann.synced(), ben.synced()])
  let closes = 0
  for (const each of [ann, ben]) each.provider.on('connection-close', () => closes++)
  return {
    ann,
    ben,
    async goOn () {
      const before = ben.text.length
      ann.text.insert(0, 'unharmed ')
      await until(() => ben.text.length === before + 9)
      assert.equal(closes, 0)
    }
  }
}

test('a message that is too big closes its connection for good', { timeout: 30000 }, () =>
  withRelay(['--max-message', '20K'], async relay => {
    const others = await bystanders(relay, 'too-big')
    const eve = await raw(relay, '/too-big')
    eve.send(updateOf(30000))
    assert.deepEqual(await eve.closed, { code: 4413, reason: 'message too big' })
    // in fragments, too
    const mallory = await raw(relay, '/too-big')
    for (let i = 0; i < 6; i++) mallory.send(new Uint8Array(4000), { binary: true, fin: false })
    assert.deepEqual(await mallory.closed, { code: 4413, reason: 'message too big' })
    // an unmodified provider does not come back with the same again
    const carl = open(relay, 'too-big')
    await carl.synced()
    const closed = new Promise(resolve => carl.provider.on('closed', resolve))
    carl.text.insert(0, 'x'.repeat(30000))
    assert.equal((await closed).code, 4413)
    await others.goOn()
  }))

test('what clients say that they have is bounded together', { timeout: 30000 }, async () => {
  const detour = await startDetour(database)
  await withRelay(['--max-load-memory', '100K'], async relay => {
    const others = await bystanders(relay, 'vectors')
    detour.hold('sync')
    const sockets = []
    for (let i = 0; i < 3; i++) {
      sockets.push(await raw(relay, '/vectors'))
      sockets[i].send(message(0, 0, new Uint8Array(40000).fill(i + 1)))
      await sleep(50)
    }
    assert.equal((await sockets[2].closed).code, 1013)
    await others.goOn()
    detour.pass()
    for (const socket of sockets.slice(0, 2)) {
      await until(() => socket.received.some(([type, kind]) => type === 0 && kind === 1))
      socket.close()
    }
    const carl = open(relay, 'vectors')
    await carl.synced()
  }, detour)
  await detour.stop()
})

test('a document does not grow beyond what the database allows', { timeout: 30000 }, async () => {
  await database.psql("ALTER DATABASE test SET ydoc.max_document_size = '100kB'")
  const relay = await startRelay(database)
  await until(async () => await metric(relay, 'database_connections_up') === 5)
  await database.psql('ALTER DATABASE test RESET ydoc.max_document_size')
  try {
    const others = await bystanders(relay, 'elsewhere')
    const { ann, ben } = await bystanders(relay, 'grown')
    ann.text.insert(0, 'x'.repeat(90000))
    await until(() => ben.text.length === 90000)
    const eve = await raw(relay, '/grown')
    eve.send(updateOf(30000))
    const { code, reason } = await eve.closed
    assert.equal(code, 4413)
    assert.match(reason, /^update refused: the document would have 1200\d\d bytes with update 1, ydoc.max_document_size is 100 kB/)
    // who stays below goes on, and may make room
    ann.text.insert(0, 'still ')
    await until(() => ben.text.length === 90006)
    ben.text.delete(0, 50000)
    await until(() => ann.text.length === 40006)
    ann.text.insert(0, 'y'.repeat(30000))
    await until(() => ben.text.length === 70006)
    await others.goOn()
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('an awareness message that is too big closes its connection', { timeout: 30000 }, () =>
  withRelay(['--max-presence-message', '2K'], async relay => {
    const others = await bystanders(relay, 'presence-size')
    const eve = await raw(relay, '/presence-size')
    eve.send(message(1, message(1, 7, 1, new TextEncoder().encode(JSON.stringify({ x: 'x'.repeat(3000) })))))
    assert.deepEqual(await eve.closed, { code: 4413, reason: 'awareness message too big' })
    await others.goOn()
  }))

test('who sends too many messages is read more slowly, and nothing is lost', { timeout: 60000 }, () =>
  withRelay(['--max-message-rate', '100'], async relay => {
    const others = await bystanders(relay, 'others')
    const eve = open(relay, 'messages')
    const reader = open(relay, 'messages')
    await Promise.all([eve.synced(), reader.synced()])
    const start = performance.now()
    for (let i = 0; i < 700; i++) eve.text.insert(i, String(i % 10))
    let times = 0
    while (reader.text.length < 700) { // meanwhile the others go on
      await others.goOn()
      times++
      await sleep(100)
    }
    // 200 at once, then 100 a second
    assert.ok(performance.now() - start > 4000, `${performance.now() - start} ms`)
    assert.ok(times > 10)
    assert.ok(await metric(relay, 'throttled') > 0)
    assert.equal(reader.text.toString(), eve.text.toString())
    assert.equal(await database.text('messages'), eve.text.toString())
  }))

test('who sends too many bytes is read more slowly, and nothing is lost', { timeout: 60000 }, () =>
  withRelay(['--max-byte-rate', '100K'], async relay => {
    const others = await bystanders(relay, 'others')
    const eve = open(relay, 'bytes')
    await eve.synced()
    const start = performance.now()
    for (let i = 0; i < 8; i++) eve.text.insert(0, 'x'.repeat(100000))
    await others.goOn()
    await until(async () => await database.psql("SELECT length(ydoc.text('bytes', 'content'))") === '800000', 30000)
    assert.ok(performance.now() - start > 4000, `${performance.now() - start} ms`)
  }))

// One keystroke an update, as frames for the wire: their mask is 0.
function keystrokes (count) {
  const doc = new Y.Doc()
  const frames = []
  doc.on('update', update => {
    const payload = message(0, 2, update)
    frames.push(Buffer.concat([Buffer.from([0x82, 0x80 | payload.length, 0, 0, 0, 0]), payload]))
  })
  for (let i = 0; i < count; i++) doc.getText('content').insert(i, 'x')
  return frames
}

// What came first does not go first: of a socket that is full, only a part is read before the others have their turn, and what
// waits for the database waits in a row of its own.  The relay stands still while all arrives, so that no clock decides.
test('a flood of one document does not go before what the others type', { timeout: 90000 }, async t => {
  const [turns, each, most] = [8, 8000, 3000] // a batch has 1,000; in the order of their coming it would be 8,000
  const frames = keystrokes(turns * each)
  await withRelay(['--max-message-rate', '0', '--max-byte-rate', '0'], async relay => {
    const ann = open(relay, 'letters')
    const ben = open(relay, 'letters')
    const eve = await raw(relay, '/flooded')
    await Promise.all([ann.synced(), ben.synced()])
    const stored = []
    for (let turn = 0; turn < turns; turn++) {
      relay.child.kill('SIGSTOP')
      eve._socket.write(Buffer.concat(frames.slice(turn * each, (turn + 1) * each)))
      stored.push(Number(await database.psql("SELECT coalesce(max(seq), 0) FROM ydoc_data.log WHERE document = 'flooded'")))
      ann.text.insert(turn, 'x')
      await until(() => ann.provider.ws.bufferedAmount === 0)
      relay.child.kill('SIGCONT')
      await until(() => ben.text.length === turn + 1)
    }
    await until(async () => Number(await database.psql("SELECT max(seq) FROM ydoc_data.log WHERE document = 'flooded'")) === turns * each, 60000)
    // transactions have numbers in the order in which they begin to write
    const before = (await database.psql(`SELECT coalesce(max(f.seq), 0) FROM ydoc_data.log l
        LEFT JOIN ydoc_data.log f ON f.document = 'flooded' AND f.xmin::text::bigint < l.xmin::text::bigint
      WHERE l.document = 'letters' GROUP BY l.seq ORDER BY l.seq`)).split('\n').map((seq, turn) => seq - stored[turn])
    t.diagnostic(`updates of the flood before each letter: ${before.join(', ')}`)
    assert.equal(before.length, turns)
    // on a busy machine the letter's transaction may be the slower of two writers' once or twice
    assert.ok(before.filter(count => count >= most).length <= 2, before.join(', '))
    eve.terminate()
  })
})

test('of awareness that comes too fast the newest counts', { timeout: 30000 }, () =>
  withRelay(['--max-presence-rate', '10'], async relay => {
    const ann = open(relay, 'awareness')
    const ben = open(relay, 'awareness')
    await Promise.all([ann.synced(), ben.synced()])
    let seen = 0
    ben.provider.awareness.on('update', ({ updated }) => { seen += updated.includes(ann.doc.clientID) })
    for (let i = 0; i <= 300; i++) {
      ann.provider.awareness.setLocalState({ cursor: i })
      if (i % 10 === 0) await sleep(5)
    }
    await until(() => ben.provider.awareness.getStates().get(ann.doc.clientID)?.cursor === 300, 2000)
    assert.ok(seen < 60, `${seen} of 300 were told`)
    assert.ok(await metric(relay, 'presence_coalesced') > 200)
    // edits are not held back by it
    ann.text.insert(0, 'at once')
    await until(() => ben.text.toString() === 'at once', 1000)
    // who leaves is gone, whatever was held
    ann.provider.awareness.setLocalState({ cursor: 301 })
    ann.close()
    await until(() => !ben.provider.awareness.getStates().has(ann.doc.clientID))
  }))

// What a request from that address is answered.
const status = (relay, localAddress) => new Promise((resolve, reject) => {
  const url = new URL(relay.http)
  const socket = connect({ host: url.hostname, port: Number(url.port), localAddress })
  socket.on('connect', () => socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'))
  socket.on('data', data => {
    socket.destroy()
    resolve(Number(String(data).split(' ')[1]))
  })
  // closed before our request was read, its answer may be lost
  socket.on('error', error => error.code === 'ECONNRESET' ? resolve(status(relay, localAddress)) : reject(error))
})

test('beyond the most connections a socket is told so at once', { timeout: 30000 }, () =>
  withRelay(['--max-connections', '5'], async relay => {
    const others = await bystanders(relay, 'connections')
    const more = [await raw(relay, '/connections'), await raw(relay, '/connections'), await raw(relay, '/connections')]
    await assert.rejects(raw(relay, '/connections'), /Unexpected server response: 503/)
    assert.equal(await status(relay), 503)
    await others.goOn()
    more[0].close()
    await more[0].closed
    await until(async () => await status(relay) === 200)
  }))

test('one address can take only so many connections, and others are let in', { timeout: 30000 }, () =>
  withRelay(['--max-connections-per-address', '3', '--unlimited-networks', ''], async relay => {
    const sockets = [await raw(relay, '/addresses'), await raw(relay, '/addresses'), await raw(relay, '/addresses')]
    await assert.rejects(raw(relay, '/addresses'), /Unexpected server response: 429/)
    for (let i = 2; i < 100; i++) assert.equal(await status(relay, `127.0.0.${i}`), 200)
    assert.equal(await status(relay), 429)
    sockets[1].close()
    await sockets[1].closed
    await until(async () => await status(relay) === 200)
  }))

const ready = async relay => (await fetch(`${relay.http}/readyz`)).status

test('when the database does not answer, updates are turned away until it does', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  await withRelay(['--max-wait', '1', '--log-level', 'info'], async relay => {
    const events = name => relay.log.split('\n').filter(line => line.includes(`"${name}"`)).length
    const { ann, ben } = await bystanders(relay, 'slow')
    ann.text.insert(0, 'before ')
    await until(async () => await database.text('slow') === 'before ')
    assert.equal(await ready(relay), 200)

    detour.hold('apply') // it is stored, but nobody says so
    ann.text.insert(0, 'waits ')
    await until(async () => await metric(relay, 'breakers_open') === 1, 5000)
    assert.equal(await ready(relay), 503)
    assert.ok(ann.provider.wsconnected, 'who waits keeps its connection')
    const eve = await raw(relay, '/slow')
    eve.send(updateOf(3))
    assert.deepEqual(await eve.closed, { code: 1013, reason: 'the database does not keep up; come back later' })
    const closed = new Promise(resolve => ben.provider.once('connection-close', event => resolve(event)))
    ben.text.insert(0, 'kept ')
    assert.equal((await closed).code, 1013)
    assert.ok(ben.provider.shouldConnect, 'the provider comes back')
    assert.equal(await metric(relay, 'updates_turned_away'), 2)
    assert.deepEqual([events('breaker_open'), events('breaker_half_open'), events('breaker_closed')], [1, 0, 0])

    detour.pass()
    await until(async () => await metric(relay, 'breakers_open') === 0)
    assert.equal(await ready(relay), 200)
    await ben.synced()
    await until(() => ann.text.toString() === ben.text.toString() && ann.text.toString().includes('kept'))
    assert.equal(await database.text('slow'), ann.text.toString())
    ann.text.insert(0, 'on ') // what was kept may have gone by another writer
    await until(() => events('breaker_closed') === 1)
    assert.deepEqual([events('breaker_open'), events('breaker_half_open')], [1, 1])
  }, detour)
  await detour.stop()
})

test('a database that is still slow is noticed by the first batch', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  await withRelay(['--max-wait', '4'], async relay => {
    const ann = open(relay, 'again')
    await ann.synced()
    detour.hold('apply')
    ann.text.insert(0, 'x')
    await until(async () => await metric(relay, 'breakers_open') === 1, 10000)
    detour.pass()
    await until(async () => await metric(relay, 'breakers_open') === 0)
    detour.hold('apply')
    ann.text.insert(0, 'x')
    const start = performance.now()
    await until(async () => await metric(relay, 'breakers_open') === 1, 10000)
    assert.ok(performance.now() - start < 3000, 'not after the whole time again')
    detour.pass()
  }, detour)
  await detour.stop()
})

test('one document that is locked does not close the relay to all others', { timeout: 60000 }, () =>
  withRelay(['--max-wait', '1', '--writers', '8'], async relay => {
    const others = []
    for (let i = 0; i < 8; i++) others.push(await bystanders(relay, `free-${i}`))
    const ann = open(relay, 'locked')
    await ann.synced()
    ann.text.insert(0, 'x')
    await until(async () => await database.text('locked') === 'x')
    const lock = database.psql("BEGIN; SELECT FROM ydoc_data.document WHERE name = 'locked' FOR UPDATE; SELECT pg_sleep(4)")
    await sleep(300)
    let isLocked = true
    const typing = Promise.allSettled(others.map(async (each, i) => {
      await sleep(20 * i) // each for himself: who writes in the same batch waits with it
      while (isLocked) {
        await each.goOn()
        await sleep(50)
      }
    }))
    await sleep(200)
    ann.text.insert(0, 'y')
    await until(async () => await metric(relay, 'breakers_open') === 1, 5000)
    assert.equal(await ready(relay), 200, 'other writers get through')
    await lock
    isLocked = false
    const wentOn = (await typing).filter(({ status }) => status === 'fulfilled').length
    assert.ok(wentOn >= 4, `${wentOn} of 8 documents were written meanwhile`) // the others share its batch
    await until(async () => await database.text('locked') === 'yx')
    await until(async () => await metric(relay, 'breakers_open') === 0)
  }))

test('who writes faster than the database stores is read more slowly', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  await withRelay(['--max-message', '64K', '--max-pending', '200K', '--max-wait', '600'], async relay => {
    const { ann, ben } = await bystanders(relay, 'faster')
    detour.hold('apply')
    ann.text.insert(0, 'first ')
    await sleep(100)
    const eve = await raw(relay, '/faster')
    for (let i = 0; i < 10; i++) eve.send(updateOf(50000))
    await until(async () => await metric(relay, 'pending_bytes') > 100000)
    await sleep(300)
    assert.ok(await metric(relay, 'pending_bytes') <= 200 * 1024) // the rest is left in the socket
    assert.equal(eve.readyState, 1)
    detour.pass()
    await until(() => ben.text.length === ann.text.length && ben.text.length === 500006)
    await until(async () => await metric(relay, 'pending_bytes') === 0)
  }, detour)
  await detour.stop()
})

test('what is posted leaves room for those who type', { timeout: 60000 }, async () => {
  // whoever posts need not even have the right to: only the database can tell
  const detour = await startDetour(database)
  await withRelay(['--max-message', '64K', '--max-pending', '400K', '--max-wait', '600'], async relay => {
    const { ann, ben } = await bystanders(relay, 'posted')
    detour.leave()
    await until(async () => await metric(relay, 'database_connections_up') === 0)
    const post = () => fetch(`${relay.http}/api/documents/posted/update`, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: textOf(50000) }).then(answer => answer.status)
    const posts = Array.from({ length: 12 }, post)
    const refused = []
    posts.forEach(answer => answer.then(status => status === 503 && refused.push(status)))
    await until(() => refused.length >= 10)
    assert.ok(await metric(relay, 'pending_bytes') <= 100 * 1024)
    const typist = await raw(relay, '/posted')
    for (let i = 0; i < 4; i++) typist.send(updateOf(50000))
    await until(async () => await metric(relay, 'pending_bytes') > 250000)
    assert.ok(ann.provider.wsconnected && typist.readyState === 1, 'who types is not turned away')
    detour.comeBack()
    await until(() => ben.text.length === 50000 * (4 + posts.length - refused.length))
    typist.close()
  }, detour)
  await detour.stop()
})

test('what waits while the database is away is bounded', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  await withRelay(['--max-message', '64K', '--max-pending', '200K', '--max-wait', '600'], async relay => {
    const { ann, ben } = await bystanders(relay, 'bounded')
    detour.leave()
    await until(async () => await metric(relay, 'database_connections_up') === 0)
    assert.equal(await ready(relay), 503)
    ann.text.insert(0, 'first ')
    const eve = await raw(relay, '/bounded')
    for (let i = 0; i < 10; i++) eve.send(updateOf(50000))
    assert.deepEqual(await eve.closed, { code: 1013, reason: 'the database does not keep up; come back later' })
    assert.ok(await metric(relay, 'pending_bytes') <= 200 * 1024)
    assert.ok(ann.provider.wsconnected, 'what fits waits')
    detour.comeBack()
    await until(async () => await metric(relay, 'pending_bytes') === 0)
    // of Eve's updates those that were taken are stored
    await until(() => ben.text.length === 200006 && ann.text.length === 200006)
    assert.ok(ben.text.toString().includes('first '))
    await until(async () => await ready(relay) === 200) // its other connections come back as well
  }, detour)
  await detour.stop()
})
