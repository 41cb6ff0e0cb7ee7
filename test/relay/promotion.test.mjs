// A standby that lags is promoted: commits that people have seen are lost to the database, and their seqs are handed out
// again.  Relays follow, notice the new epoch, and get back from the clients what was lost (doc/invariants.md:
// committed-reaches-all, log-without-gap).
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'

import { bin, closeAll, open, startDatabase, startRelay, startStandby, until } from './harness.mjs'

const servers = []
after(async () => {
  closeAll()
  for (const server of servers.reverse()) await server.stop()
})

test('a standby is promoted while it lags; both relays and all clients agree again', { timeout: 120000 }, async () => {
  const primary = await startDatabase()
  servers.push(primary)
  const standby = await startStandby(primary)
  servers.push(standby)
  const either = { conninfo: `host=${primary.socket},${standby.socket} user=postgres dbname=test target_session_attrs=read-write` }
  // a name that was used before: what was told on another line of history is not mistaken for that document
  await primary.psql("SELECT ydoc.create('moved'), ydoc.purge('moved'), ydoc.create('moved')")
  const relays = [await startRelay(either), await startRelay(either)]
  servers.push(...relays)

  const [ann, ben] = [open(relays[0], 'moved'), open(relays[1], 'moved')]
  await Promise.all([ann.synced(), ben.synced()])
  ann.text.insert(0, 'before ')
  await until(() => ben.text.toString() === 'before ')
  await until(async () => await standby.text('moved') === 'before ')
  const [epoch, seq] = (await primary.psql("SELECT epoch, seq FROM ydoc.heads('{moved}')")).split('|')
  assert.equal((await standby.psql("SELECT epoch, seq FROM ydoc.heads('{moved}')")), `${epoch}|${seq}`, 'a standby tells the same')

  // the standby hears nothing any more
  process.kill(Number(await primary.psql('SELECT pid FROM pg_stat_replication')), 'SIGSTOP')
  ann.text.insert(7, 'lost ')
  ben.text.insert(0, '> ')
  await until(() => ann.text.toString() === '> before lost ' && ben.text.toString() === '> before lost ')
  await until(async () => await primary.text('moved') === '> before lost ')
  const lost = Number((await primary.psql("SELECT seq FROM ydoc.heads('{moved}')")))
  for (const relay of relays) relay.child.kill('SIGSTOP')
  await primary.kill9()
  assert.equal(await standby.text('moved'), 'before ', 'what was committed is not there')
  await standby.promote()

  // somebody else gets the lost seqs, and more, before the relays look
  for (let i = 0; i < 6; i++) await standby.psql("SELECT ydoc.text_append('moved', 'other', 'a')")
  assert.ok(Number((await standby.psql("SELECT seq FROM ydoc.heads('{moved}')"))) > lost)
  for (const relay of relays) relay.child.kill('SIGCONT')
  await until(async () => await standby.text('moved') === '> before lost ', 60000)
  await until(() => ann.doc.getText('other').toString() === 'aaaaaa' && ben.doc.getText('other').toString() === 'aaaaaa')
  assert.notEqual((await standby.psql("SELECT epoch FROM ydoc.heads('{moved}')")), epoch, 'the epoch is another one')
  ann.text.insert(0, 'after ')
  await until(() => ben.text.toString() === 'after > before lost ')
  await until(async () => await standby.text('moved') === 'after > before lost ')
  assert.equal(await standby.psql("SELECT count(*) FROM ydoc_data.log l WHERE document = 'moved' AND seq_from <> coalesce((SELECT max(e.seq) FROM ydoc_data.log e WHERE e.document = l.document AND e.seq < l.seq), 0) + 1"), '0')
})

test('an older dump takes the place of the database; what it lacks comes back from the clients', { timeout: 120000 }, async () => {
  const database = await startDatabase()
  servers.push(database)
  const relays = [await startRelay(database), await startRelay(database)]
  servers.push(...relays)
  const [ann, ben] = [open(relays[0], 'dumped'), open(relays[1], 'dumped')]
  await Promise.all([ann.synced(), ben.synced()])
  ann.text.insert(0, 'before ')
  await until(async () => await database.text('dumped') === 'before ')
  const dump = join(database.socket, 'dump')
  const program = (name, ...more) => promisify(execFile)(join(bin, name), ['-h', database.socket, '-U', 'postgres', '-d', 'test', ...more])
  await program('pg_dump', '-Fc', '-f', dump)
  ann.text.insert(7, 'lost ')
  await until(() => ben.text.toString() === 'before lost ')
  const heads = "SELECT epoch, seq FROM ydoc.heads('{dumped}')"
  const [epoch, seq] = (await database.psql(heads)).split('|')

  for (const relay of relays) relay.child.kill('SIGSTOP')
  await database.psql('DROP DATABASE test WITH (FORCE)', 'postgres')
  await database.psql('CREATE DATABASE test', 'postgres')
  await program('pg_restore', '--exit-on-error', dump)
  assert.equal(await database.text('dumped'), 'before ')
  // the seqs are handed out again, and more, before the relays look
  for (let i = 0; i < 6; i++) await database.psql("SELECT ydoc.text_append('dumped', 'other', 'a')")
  const [epochNow, seqNow] = (await database.psql(heads)).split('|')
  for (const relay of relays) relay.child.kill('SIGCONT')
  assert.ok(Number(seqNow) > Number(seq))
  await until(async () => await database.text('dumped') === 'before lost ', 60000)
  await until(() => ann.doc.getText('other').toString() === 'aaaaaa' && ben.doc.getText('other').toString() === 'aaaaaa')
  ben.text.insert(0, 'after ')
  await until(() => ann.text.toString() === 'after before lost ')
  assert.notEqual(epochNow, epoch, 'the epoch is another one')
})

test('edits in SQL take another client id after a promotion', { timeout: 60000 }, async () => {
  const primary = await startDatabase()
  servers.push(primary)
  const standby = await startStandby(primary)
  servers.push(standby)
  const clients = database => database.psql("SELECT DISTINCT client FROM ydoc_data.log l, yupdate_inspect(l.update) WHERE l.document = 'sql' ORDER BY 1")

  await primary.psql("SELECT ydoc.text_append('sql', 't', 'a')")
  await until(async () => await standby.text('sql', 't') === 'a')
  process.kill(Number(await primary.psql('SELECT pid FROM pg_stat_replication')), 'SIGSTOP')
  await primary.psql("SELECT ydoc.text_append('sql', 't', 'b')")
  const before = await clients(primary)
  await primary.kill9()
  await standby.promote()
  await standby.psql("SELECT ydoc.text_append('sql', 't', 'c')")
  const after = (await clients(standby)).split('\n')
  assert.equal(after.length, 2)
  assert.ok(after.includes(before), 'the clock of b is not given to c')
})

test('a standby answers whoever reads, and refuses who writes', { timeout: 60000 }, async () => {
  const primary = await startDatabase()
  servers.push(primary)
  const standby = await startStandby(primary)
  servers.push(standby)
  await primary.psql("SELECT ydoc.create_search(); SELECT ydoc.text_append('read', 't', 'hello'); SELECT ydoc.text_append('read', 't', ' world'); SELECT ydoc.create_version('read', 'v'); SELECT ydoc.update_search()")
  await until(async () => await standby.psql('SELECT count(*) FROM ydoc.search($$hello$$)').catch(() => 'not there yet') === '1')
  for (const question of [
    "SELECT ydoc.text('read', 't'), ydoc.json('read'), ydoc.state('read')",
    "SELECT * FROM ydoc.sync('read', '\\x00')",
    "SELECT * FROM ydoc.changes('read', 1)",
    "SELECT * FROM ydoc.heads('{read}')",
    "SELECT * FROM ydoc.blame('read', 't')",
    "SELECT * FROM ydoc.history('read')",
    "SELECT ydoc.state_at('read', 1), ydoc.version_state('read', 'v')"
  ]) assert.equal(await standby.psql(question), await primary.psql(question), question)
  await assert.rejects(standby.psql("SELECT ydoc.text_append('read', 't', '!')"), /read-only transaction/)
  await assert.rejects(standby.psql("SELECT ydoc.apply('read', ARRAY['\\x0101020004010174017800'::bytea])"), /read-only transaction/)
})
