// A pooler between the relay and PostgreSQL: whoever listens must not go through it, everybody else may.
// (YDOC_POOLED=1 runs the other tests of this room through one.)
import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { closeAll, logged, open, startDatabase, startPooler, startRelay, until } from './harness.mjs'

const servers = []
after(async () => {
  closeAll()
  for (const server of servers.reverse()) await server.stop()
})

test('a listener behind a pooler is refused at the start', { timeout: 60000 }, async () => {
  const database = await startDatabase()
  const pooler = await startPooler(database)
  servers.push(database, pooler)
  // it may be gone before its start is noticed
  const told = await startRelay({ conninfo: pooler.conninfo }).then(async relay => {
    const { code } = await relay.ended
    await logged(relay, /listener_is_pooled/)
    return `the relay ended with ${code}: ${relay.log}`
  }, error => error.message)
  assert.match(told, /^the relay ended with 78: [^]*listener_is_pooled.*--listen-database/)
})

test('with a listener of its own, all else goes through the pooler; other writers are heard of', { timeout: 60000 }, async () => {
  const database = await startDatabase()
  const pooler = await startPooler(database)
  servers.push(database, pooler)
  const relay = await startRelay({ conninfo: database.conninfo, pooled: pooler.conninfo })
  servers.push(relay)
  const [ann, ben] = [open(relay, 'pooled'), open(relay, 'pooled')]
  await Promise.all([ann.synced(), ben.synced()])
  for (let i = 0; i < 100; i++) {
    ann.text.insert(0, 'a')
    ben.text.insert(0, 'b')
    if (i % 10 === 0) await new Promise(resolve => setTimeout(resolve, 5))
  }
  await until(() => ann.text.length === 200 && ann.text.toString() === ben.text.toString())
  await database.psql("SELECT ydoc.text_append('pooled', 'content', ' from SQL')")
  await until(() => ann.text.toString().endsWith(' from SQL') && ben.text.toString().endsWith(' from SQL'))
  assert.equal(await database.text('pooled'), ann.text.toString())
  const backends = await database.psql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND query ~ '^LISTEN|relay_presence_key\\(|pg_notify\\(.ydoc_presence' AND pid <> pg_backend_pid()")
  assert.equal(backends, '1', 'one connection listens')
})
