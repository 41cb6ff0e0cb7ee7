// Who is here: across relays, when relays and connections die, within limits, and in SQL (doc/invariants.md:
// presence-converges).
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { decoding, encoding } from 'lib0'
import * as Y from 'yjs'

import { closeAll, logged, metric as metricOf, open, raw, sleep, startDatabase, startDetour, startRelay, until } from './harness.mjs'

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

const states = client => client.provider.awareness.getStates()
const sees = (ben, ann) => states(ben).has(ann.doc.clientID)
const nameOf = (ben, ann) => states(ben).get(ann.doc.clientID)?.user?.name
const call = (client, name) => client.provider.awareness.setLocalStateField('user', { name })
const metric = (name, of = relay) => metricOf(of, name)

// An awareness message as y-protocols frames it: entries [client, clock, state].
function awareness (...entries) {
  const update = encoding.createEncoder()
  encoding.writeVarUint(update, entries.length)
  for (const [client, clock, state] of entries) {
    encoding.writeVarUint(update, client)
    encoding.writeVarUint(update, clock)
    encoding.writeVarString(update, typeof state === 'string' ? state : JSON.stringify(state))
  }
  const message = encoding.createEncoder()
  encoding.writeVarUint(message, 1)
  encoding.writeVarUint8Array(message, encoding.toUint8Array(update))
  return encoding.toUint8Array(message)
}

// What awareness messages told this bare socket, newest last: [client, clock, state].
function told (socket) {
  const entries = []
  for (const message of socket.received) {
    if (message[0] !== 1) continue
    const decoder = decoding.createDecoder(message)
    decoding.readVarUint(decoder)
    const update = decoding.createDecoder(decoding.readVarUint8Array(decoder))
    for (let left = decoding.readVarUint(update); left > 0; left--) {
      entries.push([decoding.readVarUint(update), decoding.readVarUint(update), JSON.parse(decoding.readVarString(update))])
    }
  }
  return entries
}

// Two relays, Ann at one and Ben at the other, who sees her.
async function apart (name, { options = {} } = {}) {
  const other = await startRelay(database, options)
  const ann = open(other, name)
  const ben = open(relay, name)
  await Promise.all([ann.synced(), ben.synced()])
  call(ann, 'Ann')
  await until(() => nameOf(ben, ann) === 'Ann')
  return { other, ann, ben }
}

test('the last to leave a relay disappears from the others', async () => {
  const other = await startRelay(database)
  try {
    for (const cut of [true, false]) {
      const ann = open(relay, `left-${cut}`)
      const ben = open(other, `left-${cut}`)
      await Promise.all([ann.synced(), ben.synced()])
      call(ann, 'Ann')
      await until(() => sees(ben, ann))
      if (cut) {
        ann.provider.shouldConnect = false
        ann.provider.ws.terminate()
      } else {
        ann.close()
      }
      // well before Ben's provider would forget her by itself, after 30 s
      await until(() => !sees(ben, ann), 10000)
    }
  } finally {
    closeAll()
    await other.stop()
  }
})

for (const [how, signal] of [['is killed', 'SIGKILL'], ['stands still', 'SIGSTOP']]) {
  test(`the people of a relay that ${how} are gone from other relays within seconds`, async () => {
    const { other, ann, ben } = await apart(`dead ${signal}`)
    try {
      ann.provider.shouldConnect = false // she does not come back elsewhere
      const died = Date.now()
      other.child.kill(signal)
      await until(() => !sees(ben, ann), 10000)
      assert.ok(Date.now() - died < 6500, `it took ${Date.now() - died} ms`)
      if (signal === 'SIGSTOP') {
        // it goes on: she is here again, to those who were told that she is gone, before she moves
        other.child.kill('SIGCONT')
        await until(() => nameOf(ben, ann) === 'Ann', 8000)
      }
    } finally {
      closeAll()
      other.child.kill('SIGCONT')
      await other.kill9()
    }
  })
}

test('nobody disappears while the database stands still', async () => {
  const { other, ann, ben } = await apart('stall')
  try {
    const backends = (await database.psql("SELECT pid FROM pg_stat_activity WHERE application_name = 'ydoc-relay'"))
      .split('\n').map(Number)
    for (const pid of backends) process.kill(pid, 'SIGSTOP')
    let gone = false
    const end = Date.now() + 7000
    while (Date.now() < end) {
      gone ||= !sees(ben, ann)
      await sleep(20)
    }
    for (const pid of backends) process.kill(pid, 'SIGCONT')
    await sleep(1500)
    assert.equal(gone || !sees(ben, ann), false)
  } finally {
    closeAll()
    await other.stop()
  }
})

test('people at several relays stay when the database comes back after a crash', { timeout: 60000 }, async () => {
  const { other, ann, ben } = await apart('database gone')
  try {
    call(ben, 'Ben')
    await until(() => nameOf(ann, ben) === 'Ben')
    await database.kill9()
    await sleep(3000)
    await database.start()
    await until(async () => (await fetch(`${other.http}/readyz`)).status === 200)
    const end = Date.now() + 13000 // doubts are judged after 10 s
    while (Date.now() < end) {
      assert.ok(sees(ben, ann) && sees(ann, ben))
      await sleep(50)
    }
    ann.provider.awareness.setLocalStateField('cursor', 1)
    await until(() => states(ben).get(ann.doc.clientID).cursor === 1)
  } finally {
    closeAll()
    await other.stop()
  }
})

test('who left while a relay could not listen is gone when it can again', async () => {
  const detour = await startDetour(database)
  const other = await startRelay(detour)
  try {
    const ann = open(relay, 'unheard')
    const carl = open(relay, 'unheard')
    const ben = open(other, 'unheard')
    await Promise.all([ann.synced(), carl.synced(), ben.synced()])
    call(ann, 'Ann')
    call(carl, 'Carl')
    await until(() => sees(ben, ann) && sees(ben, carl))
    detour.swallow()
    ann.close()
    await sleep(300)
    detour.cut()
    await until(() => !sees(ben, ann), 20000)
    assert.ok(sees(ben, carl))
  } finally {
    closeAll()
    await other.stop()
    await detour.stop()
  }
})

test('a state larger than a notification reaches the other relay', async () => {
  const { other, ann, ben } = await apart('large state')
  try {
    const list = Array.from({ length: 3000 }, (_, i) => i)
    ann.provider.awareness.setLocalStateField('selection', list)
    await until(() => states(ben).get(ann.doc.clientID)?.selection?.length === list.length)
    assert.deepEqual(states(ben).get(ann.doc.clientID).selection, list)
  } finally {
    closeAll()
    await other.stop()
  }
})

test('after a restart people see each other at once, before anybody has moved', async () => {
  const own = await startRelay(database)
  try {
    for (const how of ['kill9', 'terminate']) {
      const ann = open(own, `again ${how}`)
      const ben = open(own, `again ${how}`)
      await Promise.all([ann.synced(), ben.synced()])
      call(ann, 'Ann')
      call(ben, 'Ben')
      await until(() => nameOf(ben, ann) === 'Ann' && nameOf(ann, ben) === 'Ben')
      await own[how]()
      await until(() => !sees(ben, ann) && !sees(ann, ben))
      await own.launch()
      await until(() => nameOf(ben, ann) === 'Ann' && nameOf(ann, ben) === 'Ben', 5000)
      closeAll()
    }
  } finally {
    closeAll()
    await own.stop()
  }
})

test('states that change while the relay follows their clocks arrive as they are', async () => {
  const ann = open(relay, 'clocks')
  const ben = open(relay, 'clocks')
  await Promise.all([ann.synced(), ben.synced()])
  for (let round = 0; round < 20; round++) {
    ann.provider.ws.terminate() // she comes back and is introduced again, while she moves
    await until(() => !ann.provider.wsconnected)
    await until(() => ann.provider.wsconnected)
    for (let i = 0; i < 5; i++) {
      ann.provider.awareness.setLocalStateField('cursor', `${round}.${i}`)
      if (i % 2 === round % 2) await sleep(1)
    }
    await until(() => states(ben).get(ann.doc.clientID)?.cursor === `${round}.4`, 3000)
    await sleep(20)
    assert.equal(ann.provider.awareness.getLocalState().cursor, `${round}.4`)
  }
})

test('everybody moves fast, and where each stopped is seen by all', { timeout: 60000 }, async () => {
  const people = Array.from({ length: 8 }, () => open(relay, 'fast'))
  await Promise.all(people.map(one => one.synced()))
  for (let round = 0; round < 25; round++) {
    for (let i = 0; i < 40; i++) {
      for (const one of people) one.provider.awareness.setLocalStateField('cursor', `${round}.${i}`)
      await sleep(5)
    }
    // well before a state is renewed
    await until(() => people.every(one => people.every(other =>
      states(one).get(other.doc.clientID)?.cursor === `${round}.39`)), 3000)
  }
})

test('nobody speaks for another, who is there', async () => {
  const ann = open(relay, 'impostor')
  const ben = open(relay, 'impostor')
  await Promise.all([ann.synced(), ben.synced()])
  call(ann, 'Ann')
  await until(() => sees(ben, ann))
  const eve = await raw(relay, '/impostor')
  eve.send(awareness([ann.doc.clientID, 1000, { user: { name: 'Eve' } }]))
  eve.send(awareness([ann.doc.clientID, 1001, 'null']))
  eve.send(awareness([77, 5, { user: { name: 'Eve' } }]))
  await until(() => states(ben).get(77)?.user?.name === 'Eve')
  await sleep(4000) // Ann has been asked whether she is there
  assert.equal(nameOf(ben, ann), 'Ann')
  assert.equal(nameOf(ann, ann), 'Ann')
  eve.close()
})

for (const where of ['the same relay', 'another relay']) {
  test(`who comes back by ${where} takes over from a connection that is dead`, async () => {
    const other = await startRelay(database)
    try {
      const ben = open(relay, `half-open ${where}`)
      await ben.synced()
      // a socket that does not answer any more: its process has no network
      const old = await raw(relay, encodeURI(`/half-open ${where}`))
      old.send(awareness([4711, 3, { user: { name: 'old' } }]))
      await until(() => states(ben).get(4711)?.user.name === 'old')
      old.pause()
      const doc = new Y.Doc()
      doc.clientID = 4711
      const back = open(where === 'another relay' ? other : relay, `half-open ${where}`, { doc, connect: false })
      for (let clock = 1; clock <= 4; clock++) call(back, 'back') // as far as the relay had made it go
      back.provider.connect()
      await until(() => states(ben).get(4711)?.user?.name === 'back', 10000)
      old.terminate()
    } finally {
      closeAll()
      await other.stop()
    }
  })
}

test('what a connection may introduce is bounded, and so is a state', async () => {
  // every message counts here, however fast they come
  const own = await startRelay(database, { arguments: ['--max-presence-rate', '0'] })
  try {
    const ben = open(own, 'bounds')
    await ben.synced()
    const eve = await raw(own, '/bounds')
    for (let i = 1; i <= 200; i++) eve.send(awareness([i, 1, { n: i }]))
    await until(() => states(ben).has(32))
    const refused = await metric('presence_refused_total', own)
    eve.send(awareness([5000, 1, {}]))
    await until(async () => await metric('presence_refused_total', own) > refused)
    assert.ok([...states(ben).keys()].filter(client => client <= 200).length <= 34)

    const fred = await raw(own, '/bounds')
    fred.send(awareness([6000, 1, JSON.stringify('x'.repeat(70000))], [6001, 1, 'no JSON'], [6002, 1, '{"ok":true}']))
    await until(() => states(ben).has(6002))
    assert.equal(states(ben).has(6000) || states(ben).has(6001), false)
    // ids that come and go are bounded, too
    for (let i = 0; i < 100; i++) fred.send(awareness([7000 + i, 1, {}], [7000 + i, 2, 'null']))
    fred.send(awareness([6002, 2, '{"ok":2}']))
    await until(() => states(ben).get(6002).ok === 2)
    assert.ok(await metric('presence_refused_total', own) >= 230)
    eve.close()
    fred.close()
  } finally {
    closeAll()
    await own.stop()
  }
})

test('states of all rooms together are bounded', async () => {
  const own = await startRelay(database, { arguments: ['--max-presence', '100K'] })
  try {
    const eve = await raw(own, '/total')
    for (let i = 1; i <= 30; i++) eve.send(awareness([i, 1, JSON.stringify('x'.repeat(10000))]))
    await until(async () => await metric('presence_clients', own) > 5)
    eve.send(awareness([31, 1, '{}']))
    await until(() => told(eve).some(([client]) => client === 31))
    assert.ok(await metric('presence_bytes', own) < 102400)
    assert.ok(await metric('presence_refused_total', own) >= 20)
    eve.close()
    await until(async () => await metric('presence_clients', own) === 0)
  } finally {
    await own.stop()
  }
})

test('clocks that JavaScript cannot count are not passed on', async () => {
  const ben = await raw(relay, '/clocks too large')
  const eve = await raw(relay, '/clocks too large')
  for (const clock of [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1, 2 ** 52 + 1]) eve.send(awareness([1, clock, {}]))
  eve.send(awareness([2, 2 ** 52, { n: 1 }]))
  eve.send(awareness([2, 2 ** 52, { n: 2 }], [3, 1, {}]))
  await until(() => told(ben).some(([client]) => client === 3)) // lib0 would have thrown on the way
  assert.equal(told(ben).some(([client]) => client === 1), false)
  ben.close()
  eve.close()
})

test('a storm of movements is told in few messages, the last one wins', async () => {
  const ben = await raw(relay, '/storm')
  const eve = await raw(relay, '/storm')
  ben.send(awareness([1, 1, {}]))
  await until(() => told(ben).length > 0)
  const before = ben.received.length
  const started = Date.now()
  for (let i = 1; i <= 3000; i++) {
    eve.send(awareness([9, i, { i }]))
    if (i % 100 === 0) await sleep(5)
  }
  await until(() => told(ben).at(-1)[2]?.i === 3000)
  const messages = ben.received.length - before
  const ticks = (Date.now() - started) / 20
  assert.ok(messages <= ticks + 5, `${messages} messages in ${ticks} ticks`)
  ben.close()
  eve.close()
})

// ---- SQL ----

const presence = async (documents = '%') => JSON.parse(await database.psql(
  `SELECT coalesce(json_agg(p), '[]') FROM ydoc.presence('${documents}') AS p`))
const names = async documents => (await presence(documents)).map(row => row.user_name).sort()

test('SQL sees who is in which document, on every relay', async () => {
  const other = await startRelay(database)
  try {
    const ann = open(relay, 'sql/1')
    const ben = open(other, 'sql/1')
    const carl = open(other, 'sql/2')
    const viewer = open(other, 'sql/2')
    await Promise.all([ann.synced(), ben.synced(), carl.synced(), viewer.synced()])
    call(ann, 'Ann')
    call(ben, 'Ben')
    carl.provider.awareness.setLocalState({ name: 'Carl', cursor: { secret: 'where he is' } })
    viewer.provider.awareness.setLocalStateField('viewing', true)
    await until(async () => (await presence('sql/%')).length === 4 && (await names('sql/1')).length === 2)
    assert.deepEqual(await names('sql/1'), ['Ann', 'Ben'])
    assert.deepEqual(await names('sql/2'), ['Carl', null])
    const rows = await presence('sql/1')
    assert.deepEqual(rows.map(row => row.client).sort(), [ann.doc.clientID, ben.doc.clientID].sort())
    assert.notEqual(rows[0].relay, rows[1].relay)
    // nothing of the states is in a table
    assert.doesNotMatch(await database.psql('SELECT string_agg(p::text, \'\') FROM ydoc_data.presence p'), /secret/)

    call(ann, 'Anna')
    await until(async () => (await names('sql/1')).includes('Anna'))
    ann.close()
    await until(async () => (await presence('sql/1')).length === 1)
    await other.stop()
    await until(async () => (await presence('sql/%')).length === 0, 2000) // it says goodbye
    assert.equal(await database.psql("SELECT count(*) FROM ydoc_data.presence WHERE document LIKE 'sql/%'"), '0')
  } finally {
    closeAll()
    await other.stop()
  }
})

test('the people of a dead relay are gone from SQL within seconds, and a crash of PostgreSQL is healed', { timeout: 60000 }, async () => {
  const { other, ann, ben } = await apart('sql dead')
  call(ben, 'Ben')
  await until(async () => (await names('sql dead')).length === 2)
  ann.provider.shouldConnect = false
  await other.kill9()
  await until(async () => (await names('sql dead')).join() === 'Ben', 12000)

  await database.kill9()
  await database.start()
  await until(async () => (await names('sql dead')).join() === 'Ben')
})

test('while nobody is connected nothing is written', async () => {
  closeAll()
  await until(async () => await database.psql('SELECT count(*) FROM ydoc_data.relay WHERE renewed_at + lease > now()') === '0')
  const written = () => database.psql(`SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables
    WHERE schemaname = 'ydoc_data' AND relname IN ('relay', 'presence')`)
  await sleep(1500) // what was done before is counted by then
  const before = await written()
  await sleep(5000)
  assert.equal(await written(), before)
})

test('whoever may not see a document does not see its people', async () => {
  const ann = open(relay, 'secret/1')
  const ben = open(relay, 'open/1')
  await Promise.all([ann.synced(), ben.synced()])
  ann.text.insert(0, 'x')
  ben.text.insert(0, 'x')
  call(ann, 'Ann')
  call(ben, 'Ben')
  await until(async () => (await names('%/1')).length === 2)
  await database.psql(`
    CREATE ROLE reader;
    GRANT USAGE ON SCHEMA ydoc_data TO reader;
    GRANT SELECT ON ydoc_data.document, ydoc_data.presence, ydoc_data.relay TO reader;
    ALTER TABLE ydoc_data.document ENABLE ROW LEVEL SECURITY;
    CREATE POLICY open ON ydoc_data.document FOR SELECT TO reader USING (name LIKE 'open/%')`)
  assert.equal(await database.psql("SET ROLE reader; SELECT string_agg(user_name, ',') FROM ydoc.presence()"), 'Ben')
})

test('a relay without the right to report presence works all the same', async () => {
  await database.psql(`
    CREATE ROLE lesser LOGIN;
    GRANT USAGE ON SCHEMA ydoc_data TO lesser;
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA ydoc_data TO lesser;
    REVOKE ALL ON ydoc_data.presence, ydoc_data.relay, ydoc_data.relay_key FROM lesser;
    ALTER TABLE ydoc_data.document DISABLE ROW LEVEL SECURITY`)
  const own = await startRelay({ ...database, pooled: undefined, conninfo: database.conninfo.replace('user=postgres', 'user=lesser') })
  try {
    const ann = open(own, 'lesser')
    const ben = open(own, 'lesser')
    await Promise.all([ann.synced(), ben.synced()])
    call(ann, 'Ann')
    await until(() => nameOf(ben, ann) === 'Ann')
    ann.text.insert(0, 'works')
    await until(() => ben.text.toString() === 'works')
    await logged(own, /presence_not_reported/)
    await logged(own, /relay_key_missing/)
    await sleep(2500)
    assert.equal(own.log.match(/presence_not_reported/g).length, 1)
    assert.doesNotMatch(own.log, /database_down/)
  } finally {
    closeAll()
    await own.stop()
  }
})

test('nobody who may only log in hears or forges what relays tell each other', async () => {
  const { other, ann, ben } = await apart('sealed')
  try {
    await database.psql('CREATE ROLE stranger LOGIN')
    const heard = database.psql(['SET ROLE stranger', 'LISTEN ydoc_presence', 'SELECT pg_sleep(2)', 'SELECT 1'])
    call(ann, 'Ann of the secret name')
    await until(() => nameOf(ben, ann) === 'Ann of the secret name')
    assert.match(await heard, /ydoc_presence/)
    assert.doesNotMatch(await heard, /secret/)
    const foreign = await metric('notifications_foreign_total')
    await database.psql(`SET ROLE stranger; SELECT pg_notify('ydoc_presence', '00000000000000aa ' || encode('hforged message of some length', 'base64'));
      SELECT pg_notify('ydoc_presence', 'rubbish'), pg_notify('ydoc_presence', '1 ='), pg_notify('ydoc_presence', '')`)
    await until(async () => await metric('notifications_foreign_total') > foreign)
    assert.equal(await metric('other_relays'), 1)
    assert.equal(nameOf(ben, ann), 'Ann of the secret name')
  } finally {
    closeAll()
    await other.stop()
  }
})
