// Kill -9 of everything in turn: what another client has seen is never lost (doc/invariants.md: shown-is-durable,
// committed-reaches-all, ends-in-order).
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { closeAll, metric, open, sleep, startDatabase, startDetour, startRelay, until } from './harness.mjs'

let database

before(async () => { database = await startDatabase() })
afterEach(closeAll)
after(async () => {
  closeAll()
  await database?.stop()
})

// Two type while something dreadful happens in the middle; then all agree, and whatever either had
// seen of the other is there.
async function typeThrough (relay, name, dreadful) {
  const ann = open(relay, name)
  const ben = open(relay, name)
  await Promise.all([ann.synced(), ben.synced()])
  const seen = new Set()
  const note = client => {
    for (const word of client.text.toString().match(/<[ab]\d+>/g) ?? []) seen.add(word)
  }
  const type = async (from, to) => {
    for (let i = from; i < to; i++) {
      ann.text.insert(ann.text.length, `<a${i}>`)
      ben.text.insert(0, `<b${i}>`)
      note(ann)
      note(ben)
      await sleep(2)
    }
  }
  await type(0, 100)
  const disaster = dreadful()
  await type(100, 300)
  await disaster
  await type(300, 320)
  await until(() => ann.provider.synced && ben.provider.synced, 30000)
  await until(() => ann.text.toString() === ben.text.toString(), 30000)
  const text = ann.text.toString()
  await until(async () => await database.text(name) === text, 30000)
  assert.equal(text.match(/<[ab]\d+>/g).length, 640)
  for (const word of seen) assert.ok(text.includes(word), `${word} was seen and is lost`)
}

// One types, one reads, both are gone for good after the kill: no client is left to send again what
// the servers might have lost, so what was read must be in the database.
async function readThenKill (relay, name, kill, restart) {
  const ann = open(relay, name)
  const ben = open(relay, name)
  await Promise.all([ann.synced(), ben.synced()])
  let typing = true
  const typed = (async () => {
    for (let i = 0; typing; i++) {
      ann.text.insert(ann.text.length, `<${i}>`)
      await sleep(1)
    }
  })()
  try {
    await until(() => ben.text.length > 500)
    await kill()
  } finally {
    typing = false
    await typed
  }
  const read = ben.text.toString()
  closeAll()
  await restart()
  assert.ok((await database.text(name)).startsWith(read), 'something was read and is not in the database')
  const carl = open(relay, name)
  await carl.synced()
  assert.ok(carl.text.toString().startsWith(read), 'something was read and is not in the document')
}

test('kill -9 of the relay: what was read is in the database, without help of clients', { timeout: 90000 }, async () => {
  const relay = await startRelay(database)
  try {
    for (let round = 0; round < 5; round++) {
      await readThenKill(relay, `relay-read-${round}`, () => relay.kill9(), () => relay.launch())
    }
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('kill -9 of PostgreSQL: what was read is in the database, without help of clients', { timeout: 90000 }, async () => {
  const relay = await startRelay(database)
  try {
    for (let round = 0; round < 3; round++) {
      await readThenKill(relay, `database-read-${round}`, () => database.kill9(), () => database.start())
    }
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('kill -9 of the relay while two type loses nothing', { timeout: 90000 }, async () => {
  const relay = await startRelay(database)
  try {
    await typeThrough(relay, 'relay-killed', async () => {
      await relay.kill9()
      await sleep(300)
      await relay.launch()
    })
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('kill -9 of PostgreSQL while two type loses nothing', { timeout: 90000 }, async () => {
  const relay = await startRelay(database)
  try {
    await typeThrough(relay, 'database-killed', async () => {
      await database.kill9()
      await sleep(300)
      await database.start()
    })
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('a commit whose answer was lost reaches the others', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  const relay = await startRelay(detour)
  try {
    for (let i = 0; i < 3; i++) {
      const ann = open(relay, `unanswered-${i}`)
      const ben = open(relay, `unanswered-${i}`)
      await Promise.all([ann.synced(), ben.synced()])
      ann.text.insert(0, 'first ')
      await until(() => ben.text.toString() === 'first ')
      detour.swallow()
      let text = 'first '
      for (let word = 0; word <= i; word++) { // each a round, and all but the first a batch, of their own
        ann.text.insert(text.length, `lost${word} `)
        text += `lost${word} `
        await sleep(20)
      }
      await until(async () => (await database.text(`unanswered-${i}`)).includes('lost0'))
      detour.cut()
      ann.text.insert(text.length, 'last')
      await until(() => ben.text.toString() === text + 'last', 10000)
    }
  } finally {
    closeAll()
    await relay.stop()
    await detour.stop()
  }
})

test('what is committed while the relay cannot listen arrives afterwards', { timeout: 60000 }, async () => {
  const relay = await startRelay(database)
  try {
    const ann = open(relay, 'missed')
    await ann.synced()
    ann.text.insert(0, 'first ')
    await until(async () => await database.text('missed') === 'first ')
    // cut all the relay's database connections, and commit before it is back
    await database.psql(`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND backend_type = 'client backend';
      SELECT ydoc.apply('missed', ARRAY['\\x0101010004010763' '6f6e74656e740548656c6c6f00'::bytea])`
      .replace("' '", ''))
    await until(() => ann.text.toString().includes('Hello'))
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('what cannot be stored for now is tried less and less often, and stored when it can be', { timeout: 60000 }, async () => {
  const relay = await startRelay(database)
  const connects = () => metric(relay, 'database_connects')
  try {
    const ann = open(relay, 'disk-full')
    const ben = open(relay, 'disk-full')
    await Promise.all([ann.synced(), ben.synced()])
    await database.psql(`
      CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no space' USING ERRCODE = 'disk_full'; END $$;
      CREATE TRIGGER no_space BEFORE INSERT ON ydoc_data.log EXECUTE FUNCTION no_space()`)
    const before = await connects()
    ann.text.insert(0, 'kept')
    await sleep(3000)
    const tries = await connects() - before
    assert.ok(tries >= 3 && tries <= 12, `${tries} database connections in 3 s`)
    assert.equal(ben.text.toString(), '')
    await database.psql('DROP TRIGGER no_space ON ydoc_data.log; DROP FUNCTION no_space')
    await until(() => ben.text.toString() === 'kept', 10000)
    // an error of the moment does not make the next one slow
    ann.text.insert(4, '!')
    await until(() => ben.text.toString() === 'kept!', 1000)
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('SIGTERM ends the relay in order: what was read is stored, exit code 0', { timeout: 20000 }, async () => {
  const relay = await startRelay(database)
  let ended, ben
  try {
    const ann = open(relay, 'goodbye')
    ben = open(relay, 'goodbye')
    await Promise.all([ann.synced(), ben.synced()])
    for (let i = 0; i < 100; i++) ann.text.insert(i, String(i % 10))
    await until(() => ben.text.length > 0)
    ann.provider.shouldConnect = ben.provider.shouldConnect = false
  } finally {
    ended = await relay.stop()
  }
  assert.deepEqual(ended, { code: 0, signal: null })
  // what the relay had not read yet, the providers keep and send to the next one
  const stored = await database.text('goodbye')
  assert.ok(stored.startsWith(ben.text.toString()) && '0123456789'.repeat(10).startsWith(stored), stored)
})
