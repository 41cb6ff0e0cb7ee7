// Documents that are deleted, renamed or replaced while people have them open: they are told so, for
// good, and nothing of what they hold comes back.
//
//     SEED=7 TIME=60 node --test deletion.test.mjs        the same random course of events; its seconds
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import * as encoding from 'lib0/encoding'
import { writeUpdate } from 'y-protocols/sync'
import * as Y from 'yjs'

import { chance } from '../chance.mjs'
import { closeAll, metric, open, raw, sleep, startDatabase, startRelay, until } from './harness.mjs'

let database, relay

before(async () => {
  database = await startDatabase()
  relay = await startRelay(database)
})

afterEach(closeAll)

after(async () => {
  closeAll()
  const ended = await relay?.stop()
  await database?.stop()
  assert.deepEqual(ended, { code: 0, signal: null }) // a sanitizer would say otherwise
})

const sql = statement => database.psql(statement)
const rows = name => sql(`SELECT count(*) FROM ydoc_data.log WHERE document = '${name}'`).then(Number)

// Two who have a document open, and what closed each of them.
async function pair (name, { on = relay, version = 3 } = {}) {
  const two = [open(on, name, { version }), open(on, name, { version })]
  for (const one of two) one.closed = closeOf(one)
  await Promise.all(two.map(one => one.synced()))
  two[0].text.insert(0, 'content ')
  await until(async () => await database.text(name) === 'content ' && two[1].text.toString() === 'content ')
  return two
}

function closeOf (client) {
  return new Promise(resolve => client.provider.on('connection-close', event => {
    if (event?.code >= 4000) resolve({ code: event.code, reason: String(event.reason) })
  }))
}

const deleted = { code: 4404, reason: 'document deleted' }

function updateMessage (text) {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, text)
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, 0)
  writeUpdate(encoder, Y.encodeStateAsUpdate(doc))
  return encoding.toUint8Array(encoder)
}

test('a document that is deleted while two type closes both, and nothing comes back', async () => {
  const [ann, ben] = await pair('typed')
  let typing = true
  const typed = (async () => {
    while (typing) {
      ann.text.insert(ann.text.length, 'a')
      ben.text.insert(0, 'b')
      await sleep(1)
    }
  })()
  await until(() => ann.text.length > 100)
  const ended = new Promise(resolve => ann.provider.on('closed', resolve)) // the provider gave up
  assert.equal(await sql("SELECT ydoc.delete('typed')"), 't')
  assert.deepEqual(await ann.closed, deleted)
  assert.deepEqual(await ben.closed, deleted)
  await ended
  typing = false
  await typed
  const stored = await rows('typed')
  await sleep(1000) // longer than a provider waits before it comes back
  assert.equal(ann.provider.wsconnected || ben.provider.wsconnected, false)
  assert.equal(await rows('typed'), stored)
  assert.equal(await database.text('typed'), '')

  // brought back, it is what it was, for whoever comes
  await sql("SELECT ydoc.undelete('typed')")
  const text = await database.text('typed')
  assert.match(text, /^b*content a*$/)
  const carl = open(relay, 'typed')
  await carl.synced()
  assert.equal(carl.text.toString(), text)
  // and who had unsaved edits may bring them now
  ann.provider.connect()
  await ann.synced()
  await until(() => carl.text.toString() === ann.text.toString())
  await until(async () => await database.text('typed') === ann.text.toString())
})

test('who comes to a deleted document is told, whatever he brings', async () => {
  const [ann, ben] = await pair('offline')
  ann.provider.disconnect()
  ann.text.insert(0, 'unsent ')
  await sql("SELECT ydoc.delete('offline')")
  assert.deepEqual(await ben.closed, deleted)
  ann.provider.connect()
  assert.deepEqual(await ann.closed, deleted)
  // also when it was removed for good, a month ago
  await sql("SELECT ydoc.purge('offline')")
  const late = open(relay, 'offline', { doc: ann.doc })
  assert.deepEqual(await closeOf(late), deleted)
  const pushy = await raw(relay, '/offline') // sends before it is told anything
  pushy.send(updateMessage('pushed'))
  assert.deepEqual(await pushy.closed, deleted)
  // a provider that does not know these codes goes on trying
  let refused = 0
  const stubborn = open(relay, 'offline', { version: 2, doc: ann.doc })
  stubborn.provider.on('connection-close', event => { refused += event?.code === 4404 })
  await until(() => refused >= 3)
  stubborn.close()
  assert.equal(await rows('offline'), 0)
  assert.equal(await database.text('offline'), '')
  assert.equal(relay.child.exitCode, null)
})

test('a document that is renamed says its new name, and goes on there', async () => {
  const [ann, ben] = await pair('old name')
  ben.provider.disconnect()
  ben.text.insert(0, 'unsent ')
  await sql("SELECT ydoc.rename('old name', 'new \"é\" name')")
  const moved = await ann.closed
  assert.deepEqual(moved, { code: 4410, reason: 'new "é" name' })
  const again = open(relay, encodeURIComponent(moved.reason), { doc: ann.doc })
  await again.synced()
  again.text.insert(0, 'renamed ')
  await until(async () => await database.text('new "é" name') === 'renamed content ')
  // who was away is told the present name, and takes along what he has
  await sql("SELECT ydoc.rename('new \"é\" name', 'third')")
  ben.provider.connect()
  assert.deepEqual(await ben.closed, { code: 4410, reason: 'third' })
  const late = open(relay, 'third', { doc: ben.doc })
  await until(async () => /^(unsent renamed|renamed unsent) content $/.test(await database.text('third')))
  await late.synced()
  // a name that a close frame has no room for is not cut
  const [carl] = await pair('short')
  await sql("SELECT ydoc.rename('short', repeat('é', 62))")
  assert.deepEqual(await carl.closed, { code: 4410, reason: '' })
  const [dora] = await pair('shorter')
  await sql("SELECT ydoc.rename('shorter', repeat('é', 61) || 'x')")
  assert.deepEqual(await dora.closed, { code: 4410, reason: 'é'.repeat(61) + 'x' })
})

test('a document that comes back to its name goes on', async () => {
  await pair('there')
  await sql("SELECT ydoc.rename('there', 'and'), ydoc.rename('and', 'there')")
  const carl = open(relay, 'there')
  await carl.synced()
  carl.text.insert(0, 'back ')
  await until(async () => await database.text('there') === 'back content ')
})

test('another document of the same name gets nothing of the one before', async () => {
  for (const silent of [false, true]) {
    const name = `reset ${silent}`
    const [ann, ben] = await pair(name)
    await sql(`SET ydoc.notify = ${silent ? 'off' : 'on'}; BEGIN; SELECT ydoc.purge('${name}');
      SELECT ydoc.create('${name}', ydoc_from_text('template', 'content')); COMMIT`)
    if (silent) ann.text.insert(0, 'late ') // is how the relay hears of it
    assert.deepEqual(await ann.closed, deleted)
    assert.deepEqual(await ben.closed, deleted)
    const carl = open(relay, name)
    await carl.synced()
    assert.equal(carl.text.toString(), 'template')
    carl.text.insert(8, '!')
    await until(async () => await database.text(name) === 'template!')
  }
})

test('who comes before the relay knows of another document is let in to that one', async () => {
  const [ann] = await pair('replaced')
  await sql(`SET ydoc.notify = off; BEGIN; SELECT ydoc.purge('replaced');
    SELECT ydoc.create('replaced', ydoc_from_text('template', 'content')); COMMIT`)
  const carl = open(relay, 'replaced')
  await until(() => carl.provider.synced)
  assert.equal(carl.text.toString(), 'template')
  assert.deepEqual(await ann.closed, deleted)
})

test('a deletion that nobody announced is found', async () => {
  const [ann, ben] = await pair('silent')
  await sql("SET ydoc.notify = off; SELECT ydoc.delete('silent')")
  ann.text.insert(0, 'late ') // is refused
  assert.deepEqual(await ann.closed, deleted)
  assert.deepEqual(await ben.closed, deleted)
  // nobody writes: the check of all open documents finds it, at the latest when the relay listens anew
  const [carl, dora] = await pair('quiet')
  const [eve] = await pair('untouched')
  await sql("SET ydoc.notify = off; SELECT ydoc.rename('quiet', 'quieter')")
  await sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN ydoc_presence'")
  assert.deepEqual(await carl.closed, { code: 4410, reason: 'quieter' })
  assert.deepEqual(await dora.closed, { code: 4410, reason: 'quieter' })
  assert.equal(eve.provider.wsconnected, true)
})

test('every relay closes it, and every way of deleting', async () => {
  const other = await startRelay(database)
  try {
    for (const [statement, expected] of [
      ["ydoc.delete('everywhere')", deleted],
      ["ydoc.purge('everywhere')", deleted],
      ["ydoc.purge('everywhere', forget => true)", deleted],
      ["ydoc.rename('everywhere', 'elsewhere')", { code: 4410, reason: 'elsewhere' }]
    ]) {
      await sql("SELECT ydoc.purge('everywhere', forget => true), ydoc.purge('elsewhere', forget => true)")
      const [ann] = await pair('everywhere')
      const ben = open(other, 'everywhere')
      const closed = closeOf(ben)
      await ben.synced()
      await sql(`SELECT ${statement}`)
      assert.deepEqual(await ann.closed, expected)
      assert.deepEqual(await closed, expected)
      assert.equal(await database.text('everywhere'), '')
      closeAll()
    }
  } finally {
    closeAll()
    await other.stop()
  }
})

test('nobody is sent away by a notification alone', async () => {
  const [ann, ben] = await pair('slandered')
  await sql("NOTIFY ydoc, '1 0 slandered'; NOTIFY ydoc, '99999999999999999 0 slandered'; NOTIFY ydoc, '1 -1 slandered'")
  await sql("BEGIN; SELECT ydoc.delete('slandered'); ROLLBACK")
  await sql("BEGIN; SELECT ydoc.delete('slandered'); SELECT ydoc.undelete('slandered'); COMMIT")
  ann.text.insert(0, 'still ')
  await until(() => ben.text.toString() === 'still content ')
  assert.equal(ann.provider.wsconnected && ben.provider.wsconnected, true)
})

test('deleted documents leave no rooms behind', async () => {
  closeAll()
  await until(async () => await metric(relay, 'rooms') === 0)
  const before = await metric(relay, 'rooms_closed')
  for (let i = 0; i < 20; i++) {
    const [ann] = await pair('again')
    await sql("SELECT ydoc.delete('again')")
    assert.deepEqual(await ann.closed, deleted)
    closeAll()
    await sql("SELECT ydoc.purge('again'), ydoc.create('again')")
  }
  await until(async () => await metric(relay, 'rooms') === 0)
  assert.equal(await metric(relay, 'rooms_closed') - before, 20)
})

test('documents that come and go at random while many type', { timeout: 600000 }, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1000000)
  const end = Date.now() + Number(process.env.TIME ?? 5) * 1000
  console.log(`# seed ${seed}`)
  const { below } = chance(seed)
  const names = ['chance/1', 'chance/2', 'chance/3']
  const pick = () => names[below(names.length)]
  let closes = 0
  let done = false
  const typist = async number => {
    while (!done) {
      const client = open(relay, pick(), { version: 2 + number % 2 })
      closeOf(client).then(() => { client.isClosed = true; closes++ })
      for (let i = 0; i < 20 + below(50) && !client.isClosed && !done; i++) {
        client.text.insert(below(client.text.length + 1), `<${number}>`)
        await sleep(below(10))
      }
      client.close()
    }
  }
  const typists = Array.from({ length: 6 }, (_, number) => typist(number))
  while (Date.now() < end) {
    const [one, other] = [pick(), pick()]
    const silent = below(4) === 0 ? 'SET ydoc.notify = off; ' : ''
    const statement = [
      `ydoc.delete('${one}')`, `ydoc.undelete('${one}')`, `ydoc.undelete('${one}')`,
      `ydoc.purge('${one}'), ydoc.create('${one}', ydoc_from_text('anew', 'content'))`,
      `ydoc.create('${one}')`, `ydoc.rename('${one}', '${other}')`
    ][below(6)]
    await sql(`${silent}SELECT ${statement}`).catch(error => {
      assert.match(error.stderr, /exists already|was deleted|is gone|has moved to|there is no document|deadlock/)
    })
    await sleep(below(50))
  }
  done = true
  await Promise.all(typists)
  assert.ok(closes > 5, `only ${closes} were sent away`)

  // when all is quiet, who comes gets what is stored, or is told where it has gone
  let stored
  await until(async () => {
    const before = stored
    await sleep(200)
    stored = await sql('SELECT sum(seq) FROM ydoc_data.document')
    return stored === before
  })
  for (const name of names) {
    const is = await sql(`SELECT CASE WHEN deleted_at IS NULL THEN 'there' WHEN moved_to IS NULL THEN 'deleted'
      ELSE moved_to END FROM ydoc_data.document WHERE name = '${name}'`)
    const client = open(relay, name)
    const closed = closeOf(client)
    if (is !== 'there') {
      assert.ok([4404, 4410].includes((await closed).code), `${name}: ${is}`)
      continue
    }
    await until(() => client.provider.synced)
    assert.equal(client.text.toString(), await database.text(name), name)
  }
})
