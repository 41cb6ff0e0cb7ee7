// Whose presence it is: what SQL says of who is here, and names that nobody can borrow (--stamp-user).
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { closeAll, open, startDatabase, startRelay, until } from './harness.mjs'
import { keyring } from './keyring.mjs'

let database, stamping, other, plain
const keys = keyring('notes')
const sql = statement => database.psql(statement)

before(async () => {
  database = await startDatabase()
  await sql(`CREATE ROLE nobody LOGIN; SELECT ydoc.grant_relay('nobody');
    SELECT ydoc.grant_access('%', 'authenticated', 'write'), ydoc.grant_access('open/%', 'public', 'read')`)
  const start = more => startRelay({ ...database, pooled: undefined, conninfo: database.conninfo.replace('user=postgres', 'user=nobody') },
    { arguments: [...keys.flags, ...more] })
  stamping = await start(['--stamp-user', 'user.name'])
  other = await start(['--stamp-user', 'user.name'])
  plain = await start([])
})
afterEach(closeAll)
after(async () => {
  closeAll()
  for (const each of [stamping, other, plain]) assert.deepEqual(await each?.stop(), { code: 0, signal: null })
  await database?.stop()
  keys.remove()
})

const seen = (by, of) => by.provider.awareness.getStates().get(of.doc.clientID)
const here = async document => sql(`SELECT string_agg(coalesce(user_name, '?'), ' ' ORDER BY user_name) FROM ydoc.presence('${document}')`)
const come = async (relay, document, sub, more) => {
  const client = open(relay, document, sub === undefined ? {} : { headers: keys.bearer(sub, more) })
  await client.synced()
  return client
}

test('whatever a client calls itself, everybody sees the name of the user, and so does it', async () => {
  const ann = await come(stamping, 'open/stamp', 'ann', { name: 'Ann Ä.' })
  const eve = await come(other, 'open/stamp', 'eve')
  const stranger = await come(other, 'open/stamp')
  ann.provider.awareness.setLocalState({ user: { name: 'Ann Ä.', color: '#f00' }, cursor: 3 })
  eve.provider.awareness.setLocalState({ user: { name: 'Ann Ä.', color: '#0f0' }, cursor: 1.5, big: 12345678901 })
  stranger.provider.awareness.setLocalState({ user: { name: 'Ann Ä.', color: '#00f' } })
  for (const by of [ann, eve, stranger]) {
    await until(() => seen(by, eve)?.user?.name === 'eve' && seen(by, ann)?.user?.name === 'Ann Ä.' && seen(by, stranger)?.user !== undefined)
    assert.deepEqual(seen(by, eve), { user: { name: 'eve', color: '#0f0' }, cursor: 1.5, big: 12345678901 })
    await until(() => !('name' in seen(by, stranger).user))
    assert.deepEqual(seen(by, ann), { user: { name: 'Ann Ä.', color: '#f00' }, cursor: 3 })
  }
  // and it stays so, in whatever form it is tried
  for (const user of ['Ann Ä.', { name: { toString: 'Ann Ä.' } }, [], null, { name: 'Ann Ä.\u0000' }, undefined]) {
    eve.provider.awareness.setLocalState({ user, tried: JSON.stringify(user) ?? 'nothing' })
    await until(() => seen(ann, eve)?.tried === (JSON.stringify(user) ?? 'nothing'))
    assert.equal(seen(ann, eve).user.name, 'eve')
    stranger.provider.awareness.setLocalState({ user, tried: JSON.stringify(user) ?? 'nothing' })
    await until(() => seen(ann, stranger)?.tried === (JSON.stringify(user) ?? 'nothing'))
    assert.equal(seen(ann, stranger).user?.name, undefined)
    assert.notEqual(seen(ann, stranger).user, 'Ann Ä.')
  }
  await until(async () => await here('open/stamp') === 'Ann Ä. eve ?' || await here('open/stamp') === 'eve Ann Ä. ?')
  // cursors move on, with no ping-pong of clocks
  const clock = () => ann.provider.awareness.meta.get(eve.doc.clientID).clock
  const before = clock()
  eve.provider.awareness.setLocalStateField('cursor', 7)
  await until(() => seen(ann, eve).cursor === 7)
  assert.ok(clock() - before <= 3, `${clock() - before}`)
})

test('without the option states are as clients send them, and SQL knows better all the same', async () => {
  const [ann, eve, stranger] = [await come(plain, 'open/plain', 'ann', { name: 'Ann' }), await come(plain, 'open/plain', 'eve'), await come(plain, 'open/plain')]
  for (const client of [ann, eve, stranger]) client.provider.awareness.setLocalState({ user: { name: 'Ann' } })
  await until(() => [ann, eve, stranger].every(each => seen(ann, each)?.user?.name === 'Ann'))
  await until(async () => (await here('open/plain')).split(' ').sort().join(' ') === '? Ann eve')
})
