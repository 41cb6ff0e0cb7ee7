// One list of scenarios for every provider: Hocuspocus 2, 3 and 4, and y-websocket 2 and 3 where they can; then
// what only Hocuspocus has, and what no provider would send.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import * as Y from 'yjs'

import { closeAll, hocuspocusSocket, logged, metric as metricOf, open, openHocuspocus, raw, sleep, startDatabase, startRelay, until } from './harness.mjs'
import { keyring } from './keyring.mjs'

const keys = keyring('notes')
const { token } = keys
const seconds = () => Math.floor(Date.now() / 1000)

let database, relay, other, checked, checkedToo

before(async () => {
  database = await startDatabase()
  await database.psql(`CREATE ROLE nobody LOGIN; SELECT ydoc.grant_relay('nobody');
    SELECT ydoc.grant_access('team/%', 'group:team', 'write'), ydoc.grant_access('team/%', 'user:reader', 'read'),
      ydoc.grant_access('public/%', 'public', 'read')`)
  const asNobody = { ...database, pooled: undefined, conninfo: database.conninfo.replace('user=postgres', 'user=nobody') }
  const flags = [...keys.flags, '--log-level', 'debug']
  relay = await startRelay(database)
  other = await startRelay(database)
  checked = await startRelay(asNobody, { arguments: flags })
  checkedToo = await startRelay(asNobody, { arguments: [...flags, '--documents-per-connection', '5'] })
})

afterEach(closeAll)

after(async () => {
  closeAll()
  for (const each of [relay, other, checked, checkedToo]) {
    assert.deepEqual(await each?.stop(), { code: 0, signal: null }) // a sanitizer would say otherwise
  }
  await database?.stop()
  keys.remove()
})

const metric = (name, of = relay) => metricOf(of, name)
const grant = (documents, subject, level) => database.psql(`SELECT ydoc.grant_access('${documents}', 'user:${subject}', '${level}')`)
const revoke = (documents, subject) => database.psql(`SELECT ydoc.revoke_access('${documents}', 'user:${subject}')`)
const hasState = (client, id) => client.provider.awareness.getStates().has(id)
const texts = (...clients) => new Set(clients.map(client => client.text.toString()))

// ---- every provider ----

// A provider, in the words that all of them have.
const yWebsocket = version => ({
  name: `y-websocket ${version}`,
  open: (of, name, { as, ...more } = {}) => open(of, name, {
    version, ...(as === undefined ? {} : { headers: { authorization: `Bearer ${as}` } }), ...more
  }),
  leave: client => client.provider.disconnect(),
  comeBack: client => client.provider.connect(),
  isIn: client => client.provider.synced && client.provider.wsconnected,
  // its connection is closed, or it is told in another way that it is not let in
  refusals (client) {
    const told = []
    client.provider.on('connection-close', event => { if (event?.code >= 4400) told.push(String(event.reason)) })
    return told
  }
})

const hocuspocus = version => ({
  name: `Hocuspocus ${version}`,
  version,
  open: (of, name, { as, ...more } = {}) => openHocuspocus(of, name, { version, token: as, ...more }),
  leave: client => client.socket.disconnect(),
  comeBack: client => client.socket.connect(),
  isIn: client => client.provider.synced,
  refusals: client => client.told.denied
})

const hocuspoci = [hocuspocus(2), hocuspocus(3), hocuspocus(4)]
const everyProvider = [yWebsocket(2), yWebsocket(3), ...hocuspoci]

for (const kind of everyProvider) {
  const document = what => `${what} by ${kind.name}`

  test(`${kind.name}: two at different relays converge, with each other and with SQL`, async () => {
    const name = document('converging')
    const ann = kind.open(relay, name)
    const ben = kind.open(other, name)

    await until(() => kind.isIn(ann) && kind.isIn(ben))
    ann.text.insert(0, 'from ann. ')
    ben.text.insert(0, 'from ben. ')
    await until(() => ann.text.length === 20 && texts(ann, ben).size === 1)
    await until(async () => await database.text(name) === ann.text.toString())
    ben.text.delete(0, 5)
    await until(() => ann.text.length === 15 && texts(ann, ben).size === 1)
    const late = kind.open(relay, name)
    await until(() => texts(ann, late).size === 1)
  })

  test(`${kind.name}: edits on either side of a broken connection arrive`, async () => {
    const name = document('reconnecting')
    const ann = kind.open(relay, name)
    const ben = kind.open(relay, name)

    await until(() => kind.isIn(ann) && kind.isIn(ben))
    ann.text.insert(0, 'together. ')
    await until(() => texts(ann, ben).size === 1)
    kind.leave(ann)
    await until(() => !kind.isIn(ann))
    ann.text.insert(0, 'away. ')
    ben.text.insert(0, 'here. ')
    await sleep(50)
    kind.comeBack(ann)
    await until(() => ann.text.length === 22 && texts(ann, ben).size === 1)
  })

  test(`${kind.name}: who is here is seen, and is gone with the connection`, async () => {
    const name = document('presence')
    const ann = kind.open(relay, name)
    const ben = kind.open(other, name)

    await until(() => kind.isIn(ann) && kind.isIn(ben))
    ann.provider.awareness.setLocalStateField('user', { name: 'Ann' })
    await until(() => ben.provider.awareness.getStates().get(ann.doc.clientID)?.user?.name === 'Ann')
    ann.close()
    await until(() => !hasState(ben, ann.doc.clientID), 8000)
    const eve = kind.open(relay, name)
    await until(() => kind.isIn(eve))
    eve.provider.awareness.setLocalStateField('user', { name: 'Eve' })
    await until(() => hasState(ben, eve.doc.clientID))
    ;(eve.provider.ws ?? eve.socket.webSocket).terminate()
    if (kind.version === undefined) eve.provider.shouldConnect = false
    else eve.socket.shouldConnect = false
    await until(() => !hasState(ben, eve.doc.clientID), 8000)
  })

  test(`${kind.name}: who has no right is told so, and gets nothing`, async () => {
    const name = `team/${document('denied')}`
    const ann = kind.open(checked, name, { as: token('ann', { groups: ['team'] }) })
    await until(() => kind.isIn(ann))
    ann.text.insert(0, 'secret')
    await until(async () => await database.text(name) === 'secret')
    for (const as of [token('eve'), token('ann', { groups: ['team'], exp: seconds() - 10 }), 'rubbish', undefined]) {
      const eve = kind.open(checked, name, { as })
      const told = kind.refusals(eve)
      await until(() => told.length > 0)
      assert.equal(eve.text.length, 0)
      assert.equal(kind.isIn(eve), false)
      eve.close()
    }
    ann.text.insert(6, '!')
    await until(async () => await database.text(name) === 'secret!')
  })

  test(`${kind.name}: who may only read sees all and is seen, and his edits stay with him`, async () => {
    const name = `team/${document('reading')}`
    const ann = kind.open(checked, name, { as: token('ann', { groups: ['team'] }) })
    await until(() => kind.isIn(ann))
    ann.text.insert(0, 'content')
    const reader = kind.open(checkedToo, name, { as: token('reader') })
    await until(() => reader.text.toString() === 'content')
    reader.provider.awareness.setLocalStateField('cursor', 3)
    await until(() => hasState(ann, reader.doc.clientID))
    if (kind.version !== undefined) {
      assert.equal(reader.provider.authorizedScope, 'readonly')
      assert.equal(ann.provider.authorizedScope, 'read-write')
      // a deletion is part of everybody's answer to a sync step 1, and no edit of the reader's
      ann.text.delete(0, 1)
      await until(() => texts(ann, reader).size === 1)
      reader.provider.forceSync()
      await reader.saved()
      // nor does he tell everybody's application what it takes for its server's word
      reader.provider.sendStateless('{"type":"forged"}')
      reader.socket.webSocket.send(frame(name, 6, encoder => encoding.writeVarString(encoder, '{"type":"forged"}')))
      reader.provider.awareness.setLocalStateField('cursor', 4)
      await until(() => ann.provider.awareness.getStates().get(reader.doc.clientID)?.cursor === 4)
      ann.provider.sendStateless('{"type":"saved"}')
      await until(() => reader.told.stateless.length > 0 && ann.told.stateless.length > 0)
      assert.deepEqual([ann.told.stateless, reader.told.stateless], [['{"type":"saved"}'], ['{"type":"saved"}']])
    }
    reader.text.insert(0, 'mine ')
    if (kind.version !== undefined) {
      await until(() => reader.told.statuses.includes(0))
      assert.equal(reader.provider.hasUnsyncedChanges, true)
      reader.provider.forceSync() // now there is something that is not stored
      const answers = reader.told.statuses.length
      await until(() => reader.told.statuses.length > answers)
      assert.equal(reader.provider.hasUnsyncedChanges, true)
    }
    ann.text.insert(ann.text.length, '.')
    await until(() => reader.text.toString().endsWith('.'))
    assert.equal(ann.text.toString().includes('mine'), false)
    assert.equal((await database.text(name)).includes('mine'), false)
  })

  test(`${kind.name}: who loses the right to read is told within a second, and gets no more`, async () => {
    const name = `ours/${document('revoked')}`
    await grant(name, 'ann', 'write')
    const ann = kind.open(checked, name, { as: token('ann') })
    await until(() => kind.isIn(ann))
    ann.text.insert(0, 'mine')
    await until(async () => await database.text(name) === 'mine')
    const told = kind.refusals(ann)
    await revoke(name, 'ann')
    const before = Date.now()
    await until(() => told.length > 0)
    assert.ok(Date.now() - before < 1500, `${Date.now() - before} ms`)
    if (kind.version === 4) assert.equal(ann.provider.synced, false)
    await database.psql(`SELECT ydoc.text_insert('${name}', 'content', 0, 'later ')`)
    await sleep(300)
    assert.equal(ann.text.toString(), 'mine')
  })

  test(`${kind.name}: people go on when their relay is replaced`, async () => {
    const name = document('restarting')
    const mortal = await startRelay(database)
    const ann = kind.open(mortal, name)
    await until(() => kind.isIn(ann))
    ann.text.insert(0, 'before. ')
    await until(async () => await database.text(name) === 'before. ')
    await mortal.terminate()
    await until(() => !kind.isIn(ann))
    ann.text.insert(0, 'between. ')
    await mortal.launch()
    await until(async () => await database.text(name) === 'between. before. ')
    await until(() => kind.isIn(ann))
    ann.close()
    await mortal.stop()
  })
}

test('all providers edit one document', async () => {
  const clients = everyProvider.map((kind, i) => kind.open(i % 2 ? relay : other, 'all of them'))
  await until(() => everyProvider.every((kind, i) => kind.isIn(clients[i])))
  for (const [i, client] of clients.entries()) client.text.insert(0, `${i}. `)
  await until(() => clients[0].text.length === 15 && texts(...clients).size === 1)
  for (const client of clients) client.provider.awareness.setLocalStateField('user', 'somebody')
  await until(() => clients.every(client => client.provider.awareness.getStates().size === clients.length))
})

// ---- Hocuspocus alone ----

for (const kind of hocuspoci) {
  const version = kind.version
  const document = what => `${what} by ${kind.name}`

  test(`${kind.name}: several documents on one socket, each for itself`, async () => {
    const socket = hocuspocusSocket(checked, { version })
    const as = token('ann', { groups: ['team'] })
    const names = ['one', 'two', 'three'].map(each => `team/${document(each)}`)
    const clients = names.map(name => openHocuspocus(checked, name, { socket, token: as }))
    const denied = openHocuspocus(checked, `private/${document('no')}`, { socket, token: as })
    const reading = openHocuspocus(checked, `team/${document('one more')}`, { socket, token: token('reader') })

    await Promise.all(clients.map(client => client.saved()))
    for (const [i, client] of clients.entries()) client.text.insert(0, `text ${i}`)
    for (const [i, name] of names.entries()) await until(async () => await database.text(name) === `text ${i}`)
    await Promise.all(clients.map(client => client.saved()))
    await until(() => denied.told.denied.length === 1)
    await until(() => reading.provider.authorizedScope === 'readonly')
    assert.equal(denied.provider.synced, false)

    // one is closed: the others go on
    const ben = openHocuspocus(checkedToo, names[0], { version, token: as })
    const eve = openHocuspocus(checkedToo, names[1], { version, token: as })
    clients[0].provider.awareness.setLocalStateField('user', 'ann')
    clients[1].provider.awareness.setLocalStateField('user', 'ann')
    await until(() => hasState(ben, clients[0].doc.clientID) && hasState(eve, clients[1].doc.clientID))
    clients[0].close()
    await until(() => !hasState(ben, clients[0].doc.clientID))
    clients[1].text.insert(0, 'still ')
    await until(() => eve.text.toString() === 'still text 1')
    assert.equal(hasState(eve, clients[1].doc.clientID), true)
    const closes = socket.closes.length
    // and it can be opened again
    const again = openHocuspocus(checked, names[0], { socket, token: as })
    await until(() => again.text.toString() === 'text 0')
    assert.equal(socket.closes.length, closes)
    assert.equal(denied.text.length, 0)
  })

  test(`${kind.name}: a document that is deleted ends alone`, async () => {
    const socket = hocuspocusSocket(relay, { version })
    const [kept, gone] = ['kept', 'gone'].map(each => openHocuspocus(relay, document(each), { socket }))
    await Promise.all([kept.saved(), gone.saved()])
    gone.text.insert(0, 'x')
    await gone.saved()
    await database.psql(`SELECT ydoc.delete('${document('gone')}')`)
    await until(() => gone.told.denied.length + gone.told.closes.length > 0)
    assert.deepEqual([...gone.told.denied, ...gone.told.closes.map(close => close.reason)], ['document deleted'])
    gone.text.insert(0, 'lost')
    kept.text.insert(0, 'kept')
    await kept.saved()
    assert.equal(socket.closes.length, 0)
    assert.equal(await metric('connections') > 0, true)
  })

  test(`${kind.name}: a document that cannot be read ends alone`, async () => {
    const as = token('ann', { groups: ['team'] })
    const name = `team/${document('broken')}`
    await database.psql([`SELECT ydoc.text_append('${name}', 'content', 'gone')`,
      `UPDATE ydoc_data.log SET update = '\\x0909' WHERE document = '${name}'`])
    const socket = hocuspocusSocket(checked, { version })
    const beside = openHocuspocus(checked, `team/${document('healthy')}`, { socket, token: as })
    const broken = openHocuspocus(checked, name, { socket, token: as })
    await beside.saved()
    await until(() => broken.told.denied.length + broken.told.closes.length > 0)
    assert.deepEqual([...broken.told.denied, ...broken.told.closes.map(close => close.reason)], ['the document cannot be read'])
    beside.text.insert(0, 'x')
    await beside.saved()
    assert.deepEqual(socket.closes, [])
  })

  // acknowledged-is-committed
  test(`${kind.name}: an update counts as saved when it is committed, and not before`, async () => {
    const name = document('committing')
    const ann = openHocuspocus(relay, name, { version })
    const ben = openHocuspocus(other, name, { version })
    await Promise.all([ann.saved(), ben.saved()])
    ann.text.insert(0, 'a')
    await ann.saved()
    const session = database.startSession()
    await session.ask(`BEGIN; SELECT 1 FROM ydoc_data.document WHERE name = '${name}' FOR UPDATE`)
    const told = ann.told.statuses.length
    for (const letter of 'bcd') ann.text.insert(1, letter)
    await sleep(500)
    assert.equal(ann.told.statuses.length, told)
    assert.equal(ann.provider.unsyncedChanges, 3)
    assert.equal(ben.text.toString(), 'a')
    await session.ask('COMMIT')
    await ann.saved()
    assert.equal(await database.text(name), 'adcb')
    assert.deepEqual(ann.told.statuses.slice(told), [1, 1, 1])
    await session.stop()
  })

  test(`${kind.name}: an update that is refused is said to be, and ends its document`, async () => {
    const socket = hocuspocusSocket(relay, { version })
    const ann = openHocuspocus(relay, document('refused'), { socket })
    const beside = openHocuspocus(relay, document('beside'), { socket })
    await Promise.all([ann.saved(), beside.saved()])
    socket.webSocket.send(frame(document('refused'), 0, encoder => {
      encoding.writeVarUint(encoder, 2)
      encoding.writeVarUint8Array(encoder, new Uint8Array([1, 1, 1]))
    }))
    await until(() => ann.told.denied.length + ann.told.closes.length > 0)
    assert.equal(ann.told.statuses.at(-1), 0)
    assert.match([...ann.told.denied, ...ann.told.closes.map(close => close.reason)][0], /^update refused: /)
    beside.text.insert(0, 'x')
    await beside.saved()
    assert.equal(socket.closes.length, 0)
  })

  test(`${kind.name}: stateless messages reach all who have the document, on every relay`, async () => {
    const name = document('stateless')
    const ann = openHocuspocus(relay, name, { version })
    const ben = openHocuspocus(relay, name, { version })
    const far = openHocuspocus(other, name, { version })
    const elsewhere = openHocuspocus(other, document('elsewhere'), { version })
    const old = open(relay, name, { version: 3 })
    await Promise.all([ann, ben, far, elsewhere, old].map(client => client.synced()))
    await until(async () => await metric('other_relays') > 0)
    const messages = ['{"type":"saved"}', 'é \0 😀', 'x'.repeat(16000)]
    const complaints = []
    const { error } = console
    console.error = (...words) => complaints.push(words.join(' '))
    for (const message of messages) ann.provider.sendStateless(message)
    await until(() => [ann, ben, far].every(client => client.told.stateless.length === 3))
    for (const client of [ann, ben, far]) assert.deepEqual(client.told.stateless, messages)
    ann.text.insert(0, 'x')
    await until(() => old.text.length === 1)
    console.error = error
    assert.deepEqual(complaints, []) // y-websocket knows no such messages, and gets none
    assert.deepEqual(elsewhere.told.stateless, [])
    ann.provider.sendStateless('x'.repeat(20000))
    await until(() => ann.told.denied.length + ann.told.closes.length > 0)
    ben.text.insert(0, 'y')
    await until(() => far.text.length === 2)
    assert.equal(ben.told.stateless.length, 3)
  })

  test(`${kind.name}: a token is replaced under way, or ends the document when it expires`, { timeout: 40000 }, async () => {
    let shown = 0
    const fresh = () => {
      shown++
      return token('ann', { groups: ['team'], exp: seconds() + 4 })
    }
    const socket = hocuspocusSocket(checked, { version })
    const ann = openHocuspocus(checked, `team/${document('refreshed')}`, { socket, token: fresh })
    const stale = openHocuspocus(checked, `team/${document('stale')}`, { socket, token: token('ann', { groups: ['team'], exp: seconds() + 4 }) })
    const lasting = openHocuspocus(checked, `team/${document('lasting')}`, { socket, token: token('ann', { groups: ['team'] }) })
    await Promise.all([ann.saved(), stale.saved(), lasting.saved()])
    await until(() => stale.told.denied.length > 0)
    assert.deepEqual(stale.told.denied, ['token expired'])
    if (version === 2) {
      // nobody can ask it for another one
      await until(() => ann.told.denied.length === 1)
    } else {
      await until(() => shown > 3 && ann.told.granted > 3)
      assert.deepEqual(ann.told.denied, [])
      ann.text.insert(0, 'goes on')
      await ann.saved()
      // and by its answer it is known to know of closed documents
      await database.psql(`SELECT ydoc.delete('team/${document('refreshed')}')`)
      await until(() => ann.told.closes.length > 0)
      assert.deepEqual([ann.told.closes[0].reason, ann.told.denied], ['document deleted', []])
    }
    lasting.text.insert(0, 'goes on')
    await lasting.saved()
    assert.equal(socket.closes.length, 0)
  })

  test(`${kind.name}: a large document comes in slices, and is synced when all is there`, async () => {
    const name = document('large')
    await database.psql(`DO $$ BEGIN FOR i IN 1 .. 400 LOOP
      PERFORM ydoc.text_insert('${name}', 'content', 0, repeat(md5(i::text), 60)); END LOOP; END $$`)
    const writes = await metric('writes')
    const ann = openHocuspocus(relay, name, { version })
    let sizeWhenSynced
    ann.provider.on('synced', () => { sizeWhenSynced ??= ann.text.length })
    await ann.saved()
    assert.equal(sizeWhenSynced, 400 * 60 * 32)
    assert.ok(await metric('writes') - writes > 10)
    assert.equal(ann.text.toString(), await database.text(name))
  })

  test(`${kind.name}: rights that change under way show in the scope`, async () => {
    const name = `ours/${document('scope')}`
    await grant(name, 'ann', 'read')
    const ann = openHocuspocus(checked, name, { version, token: token('ann') })
    await until(() => ann.provider.authorizedScope === 'readonly')
    await ann.saved()
    ann.text.insert(0, 'too early. ')
    await until(() => ann.told.statuses.includes(0))
    await grant(name, 'ann', 'write')
    await until(() => ann.provider.authorizedScope === 'read-write')
    // nothing of what was refused is lost
    await until(async () => await database.text(name) === 'too early. ')
    ann.text.insert(0, 'now. ')
    await until(async () => await database.text(name) === 'now. too early. ')
  })

  test(`${kind.name}: without a token the request's own credentials count`, async () => {
    const name = `team/${document('headers')}`
    const headers = { authorization: `Bearer ${token('ann', { groups: ['team'] })}` }
    const ann = openHocuspocus(checked, name, { version, headers })
    await ann.saved()
    ann.text.insert(0, 'by header')
    await ann.saved()
    const anybody = openHocuspocus(checked, `public/${document('open')}`, { version })
    await anybody.saved()
    assert.equal(anybody.provider.authorizedScope, 'readonly')
    // a bad token is no stranger's
    const bad = openHocuspocus(checked, `public/${document('open')}`, { version, token: 'rubbish' })
    await until(() => bad.told.denied.length === 1)
    await sleep(200)
    assert.deepEqual(bad.told.denied, ['token refused: malformed'])
    assert.equal(bad.told.granted, 0)
  })
}

test('connections that have nothing to say stay, those that open nothing go', { timeout: 60000 }, async () => {
  const idler = await raw(relay, '/')
  const sockets = [2, 3, 4].map(version => hocuspocusSocket(relay, { version }))
  const clients = sockets.map(socket => openHocuspocus(relay, 'idle', { socket, awareness: null }))
  await Promise.all(clients.map(client => client.saved()))
  const pinged = []
  sockets[2].webSocket.addEventListener('message', ({ data }) => { if (data.byteLength === 1) pinged.push(new Uint8Array(data)[0]) })
  await sleep(33000)
  assert.deepEqual(sockets.map(socket => socket.closes), [[], [], []])
  assert.ok(pinged.length > 0 && pinged.every(type => type === 9))
  clients[0].text.insert(0, 'awake')
  await until(() => clients.every(client => client.text.toString() === 'awake'))
  assert.equal((await idler.closed).code, 4408)
})

test('a slow socket with many documents gets all of each', { timeout: 60000 }, async () => {
  const small = await startRelay(database, { arguments: ['--max-room-log', '64K'] })
  const names = Array.from({ length: 20 }, (_, i) => `slow ${i}`)
  const socket = hocuspocusSocket(small, { version: 4, messageReconnectTimeout: 60000 })
  const slow = names.map(name => openHocuspocus(small, name, { socket }))
  const quick = names.map(name => openHocuspocus(other, name))
  await Promise.all([...slow, ...quick].map(client => client.saved()))
  socket.webSocket._socket.pause()
  for (const i of slow.keys()) slow[i].text.insert(0, 'mine. ')
  // more than the kernel takes, and more than rooms keep
  for (let round = 0; round < 12; round++) {
    for (const client of quick) client.text.insert(client.text.length, randomBytes(8000).toString('hex'))
    await Promise.all(quick.map(client => client.saved()))
  }
  await until(async () => await metric('fell_behind', small) > 0)
  socket.webSocket._socket.resume()
  await Promise.all(slow.map(client => client.saved()))
  for (const i of slow.keys()) await until(() => texts(slow[i], quick[i]).size === 1)
  assert.ok(quick.every(client => client.text.toString().includes('mine. ')))
  assert.deepEqual(socket.closes, [])
  closeAll()
  await small.stop()
})

test('Hocuspocus 4: sessions of one document on one socket are apart', async () => {
  const socket = hocuspocusSocket(relay, { version: 4 })
  const [one, two] = [1, 2].map(() => openHocuspocus(relay, 'sessions', { socket, sessionAwareness: true }))
  const third = openHocuspocus(relay, 'sessions', { socket })
  await Promise.all([one.saved(), two.saved(), third.saved()])
  one.text.insert(0, 'from one. ')
  two.text.insert(0, 'from two. ')
  await until(() => third.text.length === 20 && texts(one, two, third).size === 1)
  await Promise.all([one.saved(), two.saved()])
  one.provider.awareness.setLocalStateField('user', 'one')
  await until(() => hasState(two, one.doc.clientID) && hasState(third, one.doc.clientID))
  one.close()
  await until(() => !hasState(two, one.doc.clientID))
  two.provider.sendStateless('hello')
  await until(() => third.told.stateless.length === 1 && two.told.stateless.length === 1)
  assert.equal(await database.psql("SELECT string_agg(name, '|') FROM ydoc_data.document WHERE name LIKE 'sessions%'"), 'sessions')
})

test('Hocuspocus 4: updates of a while are one, answered once', async () => {
  const ann = openHocuspocus(relay, 'flushed', { version: 4, flushDelay: 60 })
  await ann.saved()
  const told = ann.told.statuses.length
  for (const letter of 'abc') ann.text.insert(0, letter)
  await ann.saved()
  assert.deepEqual(ann.told.statuses.slice(told), [1])
  assert.equal(await database.text('flushed'), 'cba')
})

test('the path says which protocol is spoken', { timeout: 60000 }, async () => {
  const moved = await startRelay(database, { arguments: ['--hocuspocus-path', '/collaboration'] })
  const ann = openHocuspocus({ url: `${moved.url}/collaboration` }, 'at a path')
  await ann.saved()
  await assert.rejects(raw(moved, '/'), /400/)
  const slash = openHocuspocus({ url: `${moved.url}/collaboration/` }, 'at a path', { socket: hocuspocusSocket({ url: `${moved.url}/collaboration/` }, { preserveTrailingSlash: true }) })
  await slash.saved()
  const ben = open(moved, 'at a path')
  ben.text.insert(0, 'x')
  await until(() => ann.text.length === 1)
  ann.close()
  ben.close()
  // a provider at another path gets no answer, so whoever runs the relay is told
  const lost = openHocuspocus({ url: `${moved.url}/elsewhere` }, 'at a path')
  await logged(moved, /"event": "unknown_message", "hint": ".*--hocuspocus-path/)
  lost.close()
  await moved.stop()
  // providers leave a slash at the end away, whoever writes options does not
  const slashed = await startRelay(database, { arguments: ['--hocuspocus-path', '/collaboration/'] })
  const eve = openHocuspocus({ url: `${slashed.url}/collaboration/` }, 'at a path')
  await eve.saved()
  eve.close()
  await slashed.stop()
  const without = await startRelay(database, { arguments: ['--hocuspocus-path', ''] })
  await assert.rejects(raw(without, '/'), /400/)
  await without.stop()
})

// ---- what no provider would send ----

function frame (address, type, write = () => {}) {
  return encoding.encode(encoder => {
    if (typeof address === 'string') encoding.writeVarString(encoder, address)
    else encoding.writeVarUint8Array(encoder, address)
    encoding.writeVarUint(encoder, type)
    write(encoder)
  })
}

const auth = (address, as) => frame(address, 2, encoder => {
  encoding.writeVarUint(encoder, 0)
  encoding.writeVarString(encoder, as)
})
const step1 = address => frame(address, 0, encoder => {
  encoding.writeVarUint(encoder, 0)
  encoding.writeVarUint8Array(encoder, new Uint8Array([0]))
})

// Address, type and what follows of a server's frame.
function read (bytes) {
  const decoder = decoding.createDecoder(bytes)
  const address = decoding.readVarString(decoder)
  const type = decoding.readVarUint(decoder)
  return { address, type, decoder }
}

// Of a frame whose address may be no text.
function typeOf (bytes) {
  const decoder = decoding.createDecoder(bytes)
  decoding.readVarUint8Array(decoder)
  return decoding.readVarUint(decoder)
}

const types = socket => socket.received.map(typeOf)

async function stillWorks (of = relay) {
  const name = `alive ${Math.random()}`
  const client = openHocuspocus(of, name, { token: token('ann', { groups: ['team'] }) })
  await client.saved()
  client.text.insert(0, 'x')
  await client.saved()
  client.close()
}

test('frames that are cut off anywhere close at most their own socket', async () => {
  const update = Y.encodeStateAsUpdate((() => {
    const doc = new Y.Doc()
    doc.getText('content').insert(0, 'x')
    return doc
  })())
  const frames = [
    auth('cut', 'token'), step1('cut'),
    frame('cut', 0, encoder => {
      encoding.writeVarUint(encoder, 2)
      encoding.writeVarUint8Array(encoder, update)
    }),
    frame('cut', 1, encoder => encoding.writeVarUint8Array(encoder, new Uint8Array([1, 1, 1, 2, 123, 125]))),
    frame('cut', 5, encoder => encoding.writeVarString(encoder, 'payload'))
  ]
  for (const whole of frames) {
    for (let size = 0; size < whole.length; size++) {
      const socket = await raw(relay, '/')
      socket.send(auth('cut', ''))
      socket.send(whole.slice(0, size))
      socket.send(step1('beside'))
      await until(() => socket.readyState !== 1 || socket.received.some(bytes => read(bytes).address === 'beside' && read(bytes).type === 0))
      socket.terminate()
    }
  }
  await stillWorks()
})

test('types that nobody knows are ignored, pings and pongs too', async () => {
  const socket = await raw(relay, '/')
  const unknown = await metric('messages_unknown')
  socket.send(auth('unknown types', ''))
  for (const type of [4, 8, 9, 10, 11, 127, 128, 2 ** 40]) socket.send(frame('unknown types', type))
  socket.send(new Uint8Array([9]))
  socket.send(new Uint8Array([10]))
  socket.send(step1('unknown types'))
  await until(() => types(socket).filter(type => type === 0).length === 2)
  assert.equal(await metric('messages_unknown') - unknown, 8)
  socket.close()
})

test('text that is none is passed on to nobody', async () => {
  const ann = openHocuspocus(relay, 'no text', { version: 2 }) // which would throw
  await ann.saved()
  const socket = await raw(relay, '/')
  socket.send(auth('no text', ''))
  socket.send(frame('no text', 5, encoder => encoding.writeVarUint8Array(encoder, new Uint8Array([0xff, 0xfe]))))
  // the answer to the token may be overtaken by this one
  await until(() => socket.received.some(bytes => Buffer.from(bytes).includes('malformed message')))
  assert.equal(read(socket.received.at(-1)).type, 2) // permission denied: it may be an old provider
  ann.text.insert(0, 'x')
  await ann.saved()
  assert.deepEqual(ann.told.stateless, [])
  socket.close()
})

test('names that no document can have are refused one by one', async () => {
  const socket = await raw(relay, '/')
  const bad = ['', '\0session', 'a\nb', 'x'.repeat(1025), new Uint8Array([0xc3, 0x28]), new Uint8Array([0xed, 0xa0, 0x80])]
  for (const name of bad) socket.send(auth(name, ''))
  socket.send(auth('a good one', ''))
  await until(() => types(socket).length === bad.length + 1)
  assert.deepEqual(new Set(types(socket)), new Set([2]))
  // what is longer than any name with a session breaks the protocol
  socket.send(auth('x'.repeat(1200), ''))
  assert.equal((await socket.closed).code, 4400)
  await stillWorks()
})

test('documents of a connection are bounded, and others can be opened when some are closed', async () => {
  const socket = await raw(checkedToo, '/')
  const as = token('ann', { groups: ['team'] })
  for (let i = 0; i < 8; i++) socket.send(auth(`team/many ${i}`, as))
  await until(() => types(socket).length === 8)
  const kinds = () => socket.received.map(read).filter(each => each.type === 2).map(({ decoder }) => decoding.readVarUint(decoder))
  assert.deepEqual(kinds().sort(), [1, 1, 1, 2, 2, 2, 2, 2])
  socket.send(frame('team/many 0', 7))
  await until(() => types(socket).includes(7))
  socket.send(auth('team/many 9', as))
  await until(() => kinds().length === 9)
  assert.equal(kinds()[8], 2)
  socket.close()
})

test('a stranger who names documents without end is cut off, and costs nobody else anything', { timeout: 60000 }, async () => {
  const rooms = await metric('rooms', checked)
  const questions = await metric('access_questions', checked)
  const socket = await raw(checked, '/')
  let sent = 0
  while (socket.readyState === 1 && sent < 1000000) {
    socket.send(sent % 2 ? step1(`team/none ${sent}`) : auth(`team/none ${sent}`, 'rubbish'))
    if (++sent % 100 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  assert.deepEqual(await socket.closed, { code: 4401, reason: 'too much before a document was opened' })
  assert.equal(await metric('rooms', checked), rooms)
  assert.ok(await metric('access_questions', checked) - questions < 200)
  await stillWorksFor(checked)
})

async function stillWorksFor (of) {
  const client = openHocuspocus(of, `team/alive ${Math.random()}`, { token: token('ann', { groups: ['team'] }) })
  await client.saved()
  client.close()
}

test('somebody who is in and names documents without end is read more slowly', { timeout: 60000 }, async () => {
  const socket = await raw(checked, '/')
  const as = token('ann', { groups: ['team'] })
  socket.send(auth('team/flood', as))
  for (let i = 0; i < 20000; i++) socket.send(auth(`team/flood ${i}`, 'rubbish'))
  await until(async () => await metric('throttled', checked) > 0)
  await stillWorksFor(checked)
  assert.ok(types(socket).length < 2000)
  socket.terminate()
})

test('a large message before anybody is let in is not kept', async () => {
  const socket = await raw(checked, '/')
  socket.send(frame('team/large', 0, encoder => {
    encoding.writeVarUint(encoder, 2)
    encoding.writeVarUint8Array(encoder, new Uint8Array(2 << 20))
  }))
  assert.ok([1009, 4401].includes((await socket.closed).code))
  assert.equal(await metric('reassembly_bytes', checked), 0)
})
