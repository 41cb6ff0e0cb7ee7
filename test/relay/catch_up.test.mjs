// What others committed is found: by its notification, by the gap that a lost one leaves, after any
// reconnection, and at the latest by the check.
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { closeAll, metric, open, sleep, startDatabase, startDetour, startRelay, until } from './harness.mjs'

const seldom = { arguments: ['--check-interval', '600'] }

let database

before(async () => { database = await startDatabase() })
afterEach(closeAll)
after(async () => {
  closeAll()
  await database?.stop()
})

// Commits an edit from SQL, and tells nobody.
const silently = (name, word) => database.psql(
  `SET ydoc.notify = off; SELECT ydoc.text_insert('${name}', 'content', 0, '${word} ')`)
const aloud = (name, word) => database.psql(`SELECT ydoc.text_insert('${name}', 'content', 0, '${word} ')`)

// Ends the relay's database connections whose last statement looks like that.
const cut = pattern => database.psql(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
  WHERE application_name = 'ydoc-relay' AND query ~ '${pattern}'`)

async function withRelay (options, body, start = startRelay) {
  const relay = await start(database, options)
  try {
    await body(relay)
  } finally {
    closeAll()
    await relay.stop()
  }
}

async function writer (relay, name) {
  const ann = open(relay, name)
  await ann.synced()
  ann.text.insert(0, 'typed')
  await until(async () => await database.text(name) === 'typed')
  return ann
}

test('a commit that nobody announced is noticed by the gap before the next one', { timeout: 30000 }, () =>
  withRelay(seldom, async relay => {
    const ann = await writer(relay, 'gap')
    await silently('gap', 'unheard')
    await sleep(300)
    assert.equal(ann.text.toString(), 'typed')
    await aloud('gap', 'heard')
    await until(() => ann.text.toString() === 'heard unheard typed', 5000)
    // by our own next commit as well
    await silently('gap', 'missed')
    ann.text.insert(0, 'own ')
    await until(() => ann.text.toString().includes('missed'), 5000)
    assert.equal(await database.text('gap'), ann.text.toString())
  }))

// Statements of readers that the server has logged.
const fetches = () => (database.log().match(/FROM ydoc\.changes\w*/g) ?? [])

test('what one transaction does to many documents is fetched by few statements, each where it was', { timeout: 60000 }, () =>
  withRelay(seldom, async relay => {
    const names = Array.from({ length: 100 }, (_, i) => `many-${i}`)
    const people = []
    for (const name of names) people.push(await writer(relay, name))
    await database.psql('ALTER SYSTEM SET log_statement = \'all\'')
    await database.psql('SELECT pg_reload_conf()')
    await until(async () => { await database.psql('SELECT 1'); return /statement: SELECT 1$/m.test(database.log()) })
    const before = fetches().length
    await database.psql("SELECT ydoc.text_insert('many-' || i, 'content', 0, i || ' ') FROM generate_series(0, 99) AS i")
    await until(() => people.every((ann, i) => ann.text.toString() === `${i} typed`), 10000)
    const made = fetches().slice(before)
    await database.psql('ALTER SYSTEM RESET log_statement')
    await database.psql('SELECT pg_reload_conf()')
    assert.ok(made.includes('FROM ydoc.changes_of'), made.join(', '))
    assert.ok(made.length < 20, made.join(', ')) // the notifications of a transaction may come in parts
  }))

test('a document that is gone keeps nobody from what the same transaction did to others', { timeout: 60000 }, () =>
  withRelay(seldom, async relay => {
    const people = []
    for (const i of [0, 1, 2, 3]) people.push(await writer(relay, `gone-${i}`))
    const closed = new Promise(resolve => people[2].provider.on('connection-close', event => resolve(event.code)))
    await database.psql(`SELECT ydoc.delete('gone-2');
      SELECT ydoc.text_insert('gone-' || i, 'content', 0, i || ' ') FROM unnest(ARRAY[0, 1, 3]) AS i`)
    assert.equal(await closed, 4404)
    await until(() => [0, 1, 3].every(i => people[i].text.toString() === `${i} typed`), 10000)
  }))

test('a commit that nobody announced is found by the check', { timeout: 30000 }, () =>
  withRelay({ arguments: ['--check-interval', '1'] }, async relay => {
    const ann = await writer(relay, 'check')
    await silently('check', 'unheard')
    await until(() => ann.text.toString() === 'unheard typed', 5000)
  }))

test('checks do not fall into step', { timeout: 60000 }, () =>
  withRelay({ arguments: ['--check-interval', '1'] }, async relay => {
    await writer(relay, 'jitter')
    const times = []
    let seen = await metric(relay, 'checks')
    while (times.length < 10) {
      const now = await metric(relay, 'checks')
      if (now > seen) times.push(performance.now())
      seen = now
      await sleep(5)
    }
    const pauses = times.slice(1).map((time, i) => time - times[i])
    assert.ok(Math.max(...pauses) - Math.min(...pauses) > 100, `pauses of ${pauses.map(Math.round)} ms`)
    assert.ok(pauses.every(pause => pause > 500 && pause < 5000), `pauses of ${pauses.map(Math.round)} ms`)
  }))

for (const [which, pattern] of [['listens', '^LISTEN|pg_notify|queue_usage|presence_key'], ['writes', 'apply_batch'], ['reads', 'sync_slices|changes|heads']]) {
  // what is behind a pooler is no connection of the relay's
  const skip = process.env.YDOC_POOLED !== undefined && which !== 'listens'
  test(`after the connection that ${which} was lost, all documents are compared`, { timeout: 30000, skip }, () =>
    withRelay(seldom, async relay => {
      const ann = await writer(relay, `lost-${which}`)
      await silently(`lost-${which}`, 'unheard')
      assert.notEqual(await cut(pattern), '0')
      await until(() => ann.text.toString() === 'unheard typed', 10000)
    }))
}

test('a check that was under way before the relay listened again does not count', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  const relay = await startRelay(detour, { arguments: ['--check-interval', '4', '--readers', '1'] })
  try {
    const ann = await writer(relay, 'stale')
    const before = await metric(relay, 'checks')
    detour.hold('heads')
    await until(async () => await metric(relay, 'checks') > before) // its answer is on the way
    await sleep(200)
    await cut('^LISTEN|pg_notify|queue_usage|presence_key')
    await silently('stale', 'unheard')
    await until(async () => await metric(relay, 'database_connections_up') === 4)
    await sleep(100)
    const start = performance.now()
    detour.pass()
    await until(() => ann.text.toString() === 'unheard typed', 10000)
    assert.ok(performance.now() - start < 2000, 'the next check found it, not the one that was due')
  } finally {
    closeAll()
    await relay.stop()
    await detour.stop()
  }
})
