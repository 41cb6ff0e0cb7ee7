// The relay with unmodified y-websocket providers (doc/invariants.md: shown-is-durable, documents-are-independent,
// presence-converges).
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { decoding, encoding } from 'lib0'
import { WebSocket } from 'ws'
import { writeUpdate } from 'y-protocols/sync'
import * as Y from 'yjs'

import { closeAll, metric, open, raw, sleep, startDatabase, startRelay, until } from './harness.mjs'

let database, relay

before(async () => {
  database = await startDatabase()
  relay = await startRelay(database)
})

afterEach(closeAll)

after(async () => {
  closeAll()
  await relay?.stop()
  await database?.stop()
})

const same = (...clients) => until(() => new Set(clients.map(client => client.text.toString())).size === 1)
const reads = (client, text) => until(() => client.text.toString() === text)
const metrics = async () => (await fetch(`${relay.http}/metrics`)).text()

for (const version of [2, 3]) {
  test(`two clients of y-websocket ${version} converge, and SQL sees what they see`, async () => {
    const name = `two-${version}`
    const ann = open(relay, name, { version })
    const ben = open(relay, name, { version })
    await Promise.all([ann.synced(), ben.synced()])
    for (let i = 0; i < 50; i++) {
      ann.text.insert(ann.text.length, 'a')
      ben.text.insert(0, 'b')
      if (i % 7 === 0) await sleep(1)
    }
    await until(() => ann.text.length === 100 && ben.text.length === 100)
    await same(ann, ben)
    assert.equal(await database.text(name), ann.text.toString())
  })
}

test('y-websocket 2 and 3 edit one document', async () => {
  const ann = open(relay, 'versions', { version: 2 })
  const ben = open(relay, 'versions', { version: 3 })
  await Promise.all([ann.synced(), ben.synced()])
  ann.text.insert(0, 'two')
  await reads(ben, 'two')
  ben.text.insert(3, ' and three')
  await reads(ann, 'two and three')
  ann.provider.awareness.setLocalStateField('user', { name: 'Ann' })
  await until(() => ben.provider.awareness.getStates().get(ann.doc.clientID)?.user?.name === 'Ann')
  ben.provider.awareness.setLocalStateField('user', { name: 'Ben' })
  await until(() => ann.provider.awareness.getStates().get(ben.doc.clientID)?.user?.name === 'Ben')
})

test('a third joins late and gets everything', async () => {
  const ann = open(relay, 'late')
  await ann.synced()
  ann.text.insert(0, 'written before')
  ann.doc.getMap('m').set('key', { nested: [1, 2, 3] })
  await until(async () => await database.text('late') === 'written before')
  const carl = open(relay, 'late')
  await reads(carl, 'written before')
  assert.deepEqual(carl.doc.getMap('m').toJSON(), { key: { nested: [1, 2, 3] } })
})

test('edits made while disconnected arrive after the connection is back', async () => {
  const ann = open(relay, 'away')
  const ben = open(relay, 'away')
  await Promise.all([ann.synced(), ben.synced()])
  ann.provider.disconnect()
  ann.text.insert(0, 'offline ')
  ben.text.insert(0, 'online ')
  await until(async () => await database.text('away') === 'online ')
  ann.provider.connect()
  await until(() => ben.text.toString().includes('offline') && ann.text.toString().includes('online '))
  await same(ann, ben)
})

test('who is here appears, and disappears with the connection', async () => {
  const ann = open(relay, 'presence')
  const ben = open(relay, 'presence')
  await Promise.all([ann.synced(), ben.synced()])
  ann.provider.awareness.setLocalStateField('user', { name: 'Ann' })
  await until(() => ben.provider.awareness.getStates().get(ann.doc.clientID)?.user?.name === 'Ann')
  // somebody who comes later is told at once
  const carl = open(relay, 'presence')
  await until(() => carl.provider.awareness.getStates().get(ann.doc.clientID)?.user?.name === 'Ann')
  ann.provider.ws.terminate()
  ann.provider.shouldConnect = false
  await until(() => !ben.provider.awareness.getStates().has(ann.doc.clientID))
})

test('a second relay on the same database sees everything, presence too', async () => {
  const other = await startRelay(database)
  try {
    const ann = open(relay, 'two relays')
    const ben = open(other, 'two relays')
    await Promise.all([ann.synced(), ben.synced()])
    ann.text.insert(0, 'from one ')
    await reads(ben, 'from one ')
    ben.text.insert(9, 'from the other')
    await reads(ann, 'from one from the other')
    ann.provider.awareness.setLocalStateField('user', { name: 'Ann' })
    await until(() => ben.provider.awareness.getStates().get(ann.doc.clientID)?.user?.name === 'Ann')
    const carl = open(other, 'two relays') // is told of those on the other relay, too
    await until(() => carl.provider.awareness.getStates().get(ann.doc.clientID)?.user?.name === 'Ann')
    await reads(carl, 'from one from the other')
  } finally {
    closeAll()
    await other.stop()
  }
})

test('an update applied in SQL appears in the clients', async () => {
  const ann = open(relay, 'sql')
  await ann.synced()
  ann.text.insert(0, 'typed')
  await until(async () => await database.text('sql') === 'typed')
  const doc = new Y.Doc()
  doc.getText('content').insert(0, 'from SQL ')
  const update = Buffer.from(Y.encodeStateAsUpdate(doc)).toString('hex')
  await database.psql(`SELECT ydoc.apply('sql', ARRAY['\\x${update}'::bytea])`)
  await until(() => ann.text.toString().includes('from SQL'))
  assert.equal(await database.text('sql'), ann.text.toString())
})

test('names are percent-decoded and may hold slashes and any letter', async () => {
  const ann = open(relay, 'a/b%20c/%C3%A9')
  await ann.synced()
  ann.text.insert(0, 'x')
  await until(async () => await database.text('a/b c/é') === 'x')
  // the same document, with the letters as they are: the provider's WebSocket encodes them
  const ben = open(relay, 'a/b c/é', { params: { token: 'a/b' } })
  await reads(ben, 'x')
  const names = ['文書/7', '😀', '/leading', 'trailing/', 'a//b', 'a.b/../c', '100%25', "it's", 'x'.repeat(1024)]
  for (const name of names) {
    const path = name === '100%25' ? name : encodeURIComponent(name)
    const socket = await raw(relay, `/${path}`)
    const doc = new Y.Doc()
    doc.getText('content').insert(0, name)
    socket.send(updateMessage(Y.encodeStateAsUpdate(doc)))
    const stored = decodeURIComponent(path)
    await until(async () => await database.text(stored.replaceAll("'", "''")) === name)
    socket.close()
  }
})

test('names that are no text are refused', async () => {
  const paths = ['/%ff', '/%c0%af', '/%ed%a0%80', '/a%00b', '/a%0ab', '/a%7fb', '/a%', '/a%2', '/%zz',
    `/${'x'.repeat(1025)}`]
  for (const path of paths) {
    await assert.rejects(raw(relay, path), /Unexpected server response: 4\d\d/, path)
  }
})

test('messages of an unknown type are ignored and counted', async () => {
  const counted = () => metric(relay, 'messages_unknown')
  const before = await counted()
  const socket = await raw(relay, '/unknown')
  socket.send(new Uint8Array([99, 1, 2, 3]))
  socket.send(new Uint8Array([0, 9, 1, 0])) // a kind of sync message that there is not
  socket.send(new Uint8Array([3])) // query awareness: known
  socket.send(new Uint8Array([0, 0, 1, 0])) // sync step 1
  await until(() => socket.received.some(message => message[0] === 0 && message[1] === 1))
  assert.equal(socket.readyState, WebSocket.OPEN)
  assert.equal(await counted() - before, 2)
  socket.close()
})

// An update message as y-protocols frames it.
function updateMessage (update) {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, 0)
  writeUpdate(encoder, update)
  return encoding.toUint8Array(encoder)
}

test('a malformed update is refused, and nobody else notices', async () => {
  const ann = open(relay, 'hostile')
  const ben = open(relay, 'hostile')
  await Promise.all([ann.synced(), ben.synced()])
  const eve = await raw(relay, '/hostile')
  eve.send(updateMessage(new Uint8Array([1, 1, 1, 0, 4, 1])))
  ann.text.insert(0, 'unharmed')
  await until(() => eve.readyState === WebSocket.CLOSED)
  assert.equal((await eve.closed).code, 4400) // a code after which providers do not come back
  await reads(ben, 'unharmed')
  assert.equal(ann.provider.wsconnected, true)
})

test('an update of format 2 is refused, not taken for an empty one', async () => {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, 'in format 2')
  const eve = await raw(relay, '/format')
  eve.send(updateMessage(Y.encodeStateAsUpdateV2(doc)))
  assert.equal((await eve.closed).code, 4400)
  const ann = await raw(relay, '/format')
  ann.send(updateMessage(Y.encodeStateAsUpdate(doc)))
  await until(async () => await database.text('format') === 'in format 2')
  // what a client sends that only deletes
  doc.getText('content').delete(0, 3)
  ann.send(updateMessage(Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc))))
  await until(async () => await database.text('format') === 'format 2')
  ann.close()
})

// A client that is bytes, with the document that they make.
async function reader (path) {
  const socket = await raw(relay, path)
  socket.doc = new Y.Doc()
  socket.on('message', data => {
    const decoder = decoding.createDecoder(new Uint8Array(data))
    if (decoding.readVarUint(decoder) === 0 && decoding.readVarUint(decoder) > 0) Y.applyUpdate(socket.doc, decoding.readVarUint8Array(decoder))
  })
  socket.send(new Uint8Array([0, 0, 1, 0])) // sync step 1
  await until(() => socket.received.some(message => message[0] === 0 && message[1] === 1))
  return socket
}

test('who has written an update is not sent it back, and everybody else is', async () => {
  const [ann, ben] = [await reader('/echo'), await reader('/echo')]
  const updates = ['one', 'two'].map(word => {
    const doc = new Y.Doc()
    doc.getText('content').insert(0, word)
    return Y.encodeStateAsUpdate(doc)
  })
  const has = (socket, update) => socket.received.some(message => Buffer.compare(message, updateMessage(update)) === 0)
  ann.send(updateMessage(updates[0]))
  await until(() => has(ben, updates[0]))
  ben.send(updateMessage(updates[1]))
  await until(() => has(ann, updates[1]))
  assert.equal(has(ann, updates[0]), false)
  ann.send(new Uint8Array([0, 0, 1, 0])) // whoever asks for it gets it
  await until(() => ann.doc.getText('content').length === 6)
  ann.close()
  ben.close()
})

test('what waited for an update comes to whoever sent that', async () => {
  const doc = new Y.Doc()
  const updates = []
  doc.on('update', update => updates.push(update))
  doc.getText('content').insert(0, 'first')
  doc.getText('content').insert(5, ' second')
  const [ann, ben, cas] = [await reader('/waiting'), await reader('/waiting'), await reader('/waiting')]
  ann.send(updateMessage(updates[1]))
  await until(async () => await database.psql("SELECT count(*) FROM ydoc.waiting() AS w WHERE w.document = 'waiting'") > 0)
  Y.applyUpdate(ben.doc, updates[0])
  ben.send(updateMessage(updates[0]))
  for (const socket of [ben, cas]) await until(() => socket.doc.getText('content').toString() === 'first second')
  for (const socket of [ann, ben, cas]) socket.close()
})

test('what fails when it is committed is shown to nobody, and keeps no other document from being stored', { timeout: 30000 }, async () => {
  await database.psql(`CREATE FUNCTION too_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'found at the end' USING ERRCODE = 'invalid_parameter_value'; END $$;
    CREATE CONSTRAINT TRIGGER too_late AFTER INSERT ON ydoc_data.log DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.document = 'refused at the end') EXECUTE FUNCTION too_late()`)
  const [ann, ben, cleo, dan] = ['refused at the end', 'refused at the end', 'in time', 'in time'].map(name => open(relay, name))
  await Promise.all([ann, ben, cleo, dan].map(client => client.synced()))
  const refused = new Promise(resolve => ann.provider.on('connection-close', event => resolve(event?.code)))
  ann.text.insert(0, 'never stored')
  for (let i = 0; i < 20; i++) cleo.text.insert(i, 'x')
  await reads(dan, 'x'.repeat(20))
  assert.equal(await refused, 4400)
  assert.equal(await database.text('in time'), 'x'.repeat(20))
  assert.equal(await database.psql("SELECT count(*) FROM ydoc_data.log WHERE document = 'refused at the end'"), '0')
  assert.equal(ben.text.toString(), '')
  await database.psql('DROP FUNCTION too_late CASCADE')
})

test('a broken frame closes only its own connection', async () => {
  const ann = open(relay, 'broken')
  await ann.synced()
  for (const frame of [[0, 2, 200], [0, 0], [1, 255, 255, 255], [128, 128]]) {
    const eve = await raw(relay, '/broken')
    eve.send(new Uint8Array(frame))
    await until(() => eve.readyState === WebSocket.CLOSED)
    assert.equal((await eve.closed).code, 4400, `after ${frame}`)
  }
  assert.equal(ann.provider.wsconnected, true)
  ann.text.insert(0, 'still here')
  await until(async () => await database.text('broken') === 'still here')
})

test('a large paste arrives whole', async () => {
  const ann = open(relay, 'large')
  const ben = open(relay, 'large')
  await Promise.all([ann.synced(), ben.synced()])
  const paste = 'lorem ipsum '.repeat(100000)
  ann.text.insert(0, paste)
  await until(() => ben.text.length === paste.length)
  assert.equal(ben.text.toString(), paste)
})

test('fifty editors of one document converge', async () => {
  const everybody = Array.from({ length: 50 }, () => open(relay, 'crowd'))
  await Promise.all(everybody.map(one => one.synced()))
  for (let round = 0; round < 4; round++) {
    everybody.forEach((one, i) => one.text.insert(Math.min(i, one.text.length), String(i % 10)))
    await sleep(5)
  }
  await until(() => everybody.every(one => one.text.length === 200))
  await same(...everybody)
})

test('a lone client keeps its connection, whether it does nothing or types', { timeout: 60000 }, async () => {
  const [ann, ben] = [open(relay, 'idle'), open(relay, 'alone')]
  let closes = 0
  for (const { provider } of [ann, ben]) provider.on('connection-close', () => closes++)
  await Promise.all([ann.synced(), ben.synced()])
  for (let seconds = 0; seconds < 36; seconds++) {
    ben.text.insert(0, 'x')
    await sleep(1000)
  }
  assert.equal(closes, 0)
})

test('what replaces workers ends no relay that has none', { timeout: 30000 }, async () => {
  const ann = open(relay, 'signals')
  await ann.synced()
  let closes = 0
  ann.provider.on('connection-close', () => closes++)
  for (const signal of ['SIGHUP', 'SIGUSR2']) {
    relay.child.kill(signal)
    ann.text.insert(0, 'x')
    await until(async () => await database.text('signals') === ann.text.toString())
  }
  assert.equal(closes, 0)
})

test('health and metrics are answered over HTTP', async () => {
  assert.equal((await fetch(`${relay.http}/healthz`)).status, 200)
  assert.equal((await fetch(`${relay.http}/readyz`)).status, 200)
  assert.match(await metrics(), /# EOF\n$/)
  assert.match(await metrics(), /^ydoc_relay_connections \d+$/m)
})
