// Users: who a token says one is, what the database lets him do, and what becomes of it when that changes.
// Every letter of a token is test/token's; here are relays, providers and a database.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

import { closeAll, logged, metric as metricOf, open, openHocuspocus, raw, relayProgram, sleep, startDatabase, startRelay, until } from './harness.mjs'

const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-keys-'))
const keysFile = join(directory, 'jwks.json')
const secretFile = join(directory, 'secret')
const secret = randomBytes(32)
const canary = 'canary' + randomBytes(6).toString('hex')
const base64url = bytes => Buffer.from(bytes).toString('base64url')
const seconds = () => Date.now() / 1000

function makeKey (kid) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256' } }
}

function write (header, claims, signer) {
  const text = base64url(JSON.stringify(header)) + '.' + base64url(typeof claims === 'string' ? claims : JSON.stringify(claims))
  return text + '.' + base64url(signer(Buffer.from(text)))
}

const [first, second] = [makeKey('first'), makeKey('second')]
const standard = { aud: 'notes', canary }
const token = (sub, { key = first, exp = Math.floor(seconds()) + 300, ...more } = {}) => write(
  { alg: 'ES256', kid: key.kid }, { ...standard, ...(sub === null ? {} : { sub }), ...(exp === null ? {} : { exp }), ...more },
  text => sign('sha256', text, { key: key.privateKey, dsaEncoding: 'ieee-p1363' }))
const byFirst = text => sign('sha256', text, { key: first.privateKey, dsaEncoding: 'ieee-p1363' })
const secretToken = sub => write({ alg: 'HS256', typ: 'JWT' }, { ...standard, sub, exp: Math.floor(seconds()) + 300 },
  text => createHmac('sha256', secret).update(text).digest())
const bearer = (sub, more) => ({ authorization: `Bearer ${token(sub, more)}` })
const saveKeys = (...keys) => writeFileSync(keysFile, JSON.stringify({ keys: keys.map(key => key.jwk) }), { mode: 0o600 })

let database, relay, other
const flags = ['--jwt-keys', keysFile, '--jwt-secret-file', secretFile, '--jwt-audience', 'notes', '--jwt-leeway', '0', '--log-level', 'debug']

before(async () => {
  saveKeys(first)
  writeFileSync(secretFile, secret, { mode: 0o600 })
  database = await startDatabase()
  // a role that is nobody itself, and owns nothing
  await sql(`CREATE ROLE nobody LOGIN; SELECT ydoc.grant_relay('nobody');
    SELECT ydoc.grant_access('team/%', 'group:team', 'write'), ydoc.grant_access('public/%', 'public', 'read'),
      ydoc.grant_access('talk/%', 'authenticated', 'comment')`)
  relay = await start()
  other = await start()
})

afterEach(closeAll)

after(async () => {
  closeAll()
  const ended = await relay?.stop()
  await other?.stop()
  const logs = relay?.log + other?.log
  await database?.stop()
  rmSync(directory, { recursive: true })
  assert.deepEqual(ended, { code: 0, signal: null }) // a sanitizer would say otherwise
  // nothing of a token was logged: neither its letters nor what it says
  for (const part of [canary, base64url(canary).slice(0, -2), 'eyJ']) assert.equal(logs.includes(part), false, part)
})

const sql = statement => database.psql(statement)
// Debian's pgbouncer of the tests knows one user; who asks what is no matter of how it gets there
const start = (more = []) => startRelay(
  { ...database, pooled: undefined, conninfo: database.conninfo.replace('user=postgres', 'user=nobody') },
  { arguments: [...flags, ...more] })
const grant = (documents, subject, level) => sql(`SELECT ydoc.grant_access('${documents}', '${subject}', '${level}')`)
const revoke = (documents, subject) => sql(`SELECT ydoc.revoke_access('${documents}', '${subject}')`)
const metric = (name, of = relay) => metricOf(of, name)

function closeOf (client) {
  return new Promise(resolve => client.provider.on('connection-close', event => {
    if (event?.code >= 1001 && event.code !== 1006) resolve({ code: event.code, reason: String(event.reason) })
  }))
}

// What a provider is told: the reasons of "permission denied".
function denials (client) {
  const told = []
  client.provider.messageHandlers[2] = (encoder, decoder) => {
    decoder.pos++ // 0: permission denied
    told.push(new TextDecoder().decode(decoder.arr.slice(decoder.pos + 1)))
  }
  return told
}

const login = { code: 4401, reason: 'log in to read this document' }
const forbidden = { code: 4403, reason: 'no right to read this document' }

// ---- who comes in ----

test('a member of the team writes, with each kind of key, and the log says who', async () => {
  const ann = open(relay, 'team/plan', { headers: bearer('ann', { groups: ['team'] }) })
  await ann.synced()
  ann.text.insert(0, 'ann ')
  await until(async () => await database.text('team/plan') === 'ann ')
  await grant('team/plan', 'user:ben', 'write')
  const ben = open(other, 'team/plan', { version: 2, headers: { authorization: `bearer  ${secretToken('ben')}` } })
  await ben.synced()
  assert.equal(ben.text.toString(), 'ann ')
  ben.text.insert(4, 'ben')
  await until(() => ann.text.toString() === 'ann ben')
  assert.equal(await sql("SELECT string_agg(DISTINCT actor, ' ' ORDER BY actor) FROM ydoc_data.log WHERE document = 'team/plan'"), 'ann ben')
})

test('who may not read is sent away for good, and who is nobody is asked to log in', async () => {
  await sql("SELECT ydoc.text_append('team/secret', 'content', 'secret')")
  const eve = open(relay, 'team/secret', { headers: bearer('eve') })
  const gaveUp = new Promise(resolve => eve.provider.on('closed', resolve))
  assert.deepEqual(await closeOf(eve), forbidden)
  await gaveUp
  assert.deepEqual(await closeOf(open(relay, 'team/secret')), login)
  // not even that it is deleted, or where it is now
  await sql("SELECT ydoc.rename('team/secret', 'team/hidden')")
  assert.deepEqual(await closeOf(open(relay, 'team/secret', { headers: bearer('eve') })), forbidden)
  assert.deepEqual(await closeOf(open(relay, 'nowhere', { headers: bearer('eve') })), forbidden)
  const member = open(relay, 'team/secret', { headers: bearer('ann', { groups: ['team'] }) })
  assert.deepEqual(await closeOf(member), { code: 4410, reason: 'team/hidden' })
})

test('nothing of a document reaches whoever may not read it, however fast he sends', async () => {
  await sql("SELECT ydoc.text_append('team/live', 'content', 'secret')")
  const ann = open(relay, 'team/live', { headers: bearer('ann', { groups: ['team'] }) })
  await ann.synced()
  ann.provider.awareness.setLocalStateField('user', { name: 'Ann' })
  const typing = setInterval(() => ann.text.insert(0, 'x'), 1)
  try {
    for (let i = 0; i < 10; i++) {
      const eve = await raw(relay, '/team/live', i % 2 ? bearer('eve') : {})
      eve.send(Uint8Array.of(0, 0, 1, 0)) // sync step 1 with an empty state vector
      eve.send(Uint8Array.of(3)) // query awareness
      eve.send(updateMessage('mine'))
      assert.equal((await eve.closed).code, i % 2 ? 4403 : 4401)
      assert.deepEqual(eve.received, [])
    }
  } finally {
    clearInterval(typing)
  }
  await until(async () => await database.text('team/live') === ann.text.toString())
  assert.match(ann.text.toString(), /^x+secret$/)
})

test('what is sent in one packet with the request is answered all the same', async () => {
  await sql("SELECT ydoc.text_append('public/packet', 'content', 'there')")
  const length = size => size < 126 ? [0x80 | size] : [0xfe, size >> 8, size & 255]
  const frame = payload => Buffer.concat([Buffer.from([0x82, ...length(payload.length), 0, 0, 0, 0]), payload])
  const padding = Buffer.concat([Buffer.from([9]), Buffer.alloc(5000)]) // a message of a kind that is ignored
  for (const frames of [[[0, 0, 1, 0]], [[3], [0, 0, 1, 0], [3]], [padding, [0, 0, 1, 0]], [padding, padding, [0, 0, 1, 0], padding]]) {
    const socket = connect(Number(new URL(relay.http).port), '127.0.0.1')
    socket.write(Buffer.concat([
      Buffer.from('GET /public/packet HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`),
      ...frames.map(bytes => frame(Buffer.from(bytes)))
    ]))
    let received = Buffer.alloc(0)
    socket.on('data', data => { received = Buffer.concat([received, data]) })
    await until(() => received.includes('there'))
    socket.destroy()
  }
})

test('bad tokens are refused, and the relay serves others as before', async () => {
  const good = token('ann', { groups: ['team'] })
  const [head, payload, signature] = good.split('.')
  const claims = { ...standard, sub: 'ann', groups: ['team'], exp: Math.floor(seconds()) + 300 }
  const none = write({ alg: 'none' }, claims, () => '')
  const ann = open(relay, 'team/served', { headers: { authorization: `Bearer ${good}` } })
  await ann.synced()
  const refused = await metric('tokens_refused_total')
  const attacks = [
    ['no JSON', 'malformed', 'Bearer x'],
    ['nothing', 'malformed', 'Bearer '],
    ['words', 'malformed', 'Bearer let me in please'],
    ['alg none', 'algorithm refused', `Bearer ${none}`],
    ['another key', 'wrong signature', `Bearer ${token('ann', { key: { ...makeKey('first') }, groups: ['team'] })}`],
    ['an unknown kid', 'no such key', `Bearer ${token('ann', { key: second })}`],
    ['HS256 with the public key', 'wrong signature', `Bearer ${write({ alg: 'HS256' }, claims, text => createHmac('sha256', JSON.stringify(first.jwk)).update(text).digest())}`],
    ['expired', 'expired', `Bearer ${token('ann', { exp: Math.floor(seconds()) - 1 })}`],
    ['not yet valid', 'not yet valid', `Bearer ${token('ann', { nbf: Math.floor(seconds()) + 100 })}`],
    ['another audience', 'for another audience', `Bearer ${token('ann', { aud: 'mail' })}`],
    ['no audience', 'for another audience', `Bearer ${token('ann', { aud: undefined })}`],
    ['never expires', 'never expires', `Bearer ${token('ann', { exp: null })}`],
    ['sub with U+0000', 'malformed', `Bearer ${token('ann\0')}`],
    ['any claim with U+0000', 'malformed', `Bearer ${token('ann', { name: 'a\0' })}`],
    ['sub twice', 'malformed', `Bearer ${write({ alg: 'ES256', kid: 'first' }, JSON.stringify(claims).replace('"sub"', '"sub":"eve","sub"'), byFirst)}`],
    ['a signature of zeros', 'wrong signature', `Bearer ${head}.${payload}.${base64url(Buffer.alloc(64))}`],
    ['no signature', 'wrong signature', `Bearer ${head}.${payload}.`],
    ['a byte behind', 'malformed', `Bearer ${good}!`],
    ['too long', 'too long', `Bearer ${token('ann', { pad: 'x'.repeat(8000) })}`],
    ['dots', 'malformed', `Bearer ${'.'.repeat(5000)}`],
    ['not ASCII', 'wrong signature', `Bearer ${head}.\xe9\xff.${signature}`]
  ]
  for (const [name, reason, authorization] of attacks) {
    const socket = await raw(relay, '/team/served', { authorization })
    assert.deepEqual(await socket.closed, { code: 4401, reason: `token refused: ${reason}` }, name)
    assert.deepEqual(socket.received, [])
    const before = ann.text.length
    ann.text.insert(0, '.')
    await until(async () => (await database.text('team/served')).length === before + 1)
  }
  assert.equal(await metric('tokens_refused_total') - refused, attacks.length)
})

test('a document that is public is read without a token, but not with a bad one', async () => {
  await sql("SELECT ydoc.text_append('public/home', 'content', 'welcome')")
  const anybody = open(relay, 'public/home')
  await anybody.synced()
  assert.equal(anybody.text.toString(), 'welcome')
  const stale = open(relay, 'public/home', { headers: bearer('ann', { exp: Math.floor(seconds()) - 1 }) })
  assert.deepEqual(await closeOf(stale), { code: 4401, reason: 'token refused: expired' })
  const proxied = open(relay, 'public/home', { headers: { authorization: 'Basic YW5uOnNlY3JldA==' } })
  await proxied.synced()
})

// ---- where tokens are ----

test('a link lets somebody without an account in, to one document, until it ends', async () => {
  const link = (document, level, until = 'infinity') => sql(`SELECT ydoc.create_link('${document}', '${level}', '${until}')`)
  const bearer = token => ({ authorization: `Bearer ${token}` })
  await sql("SELECT ydoc.text_append('linked', 'content', 'hello'), ydoc.text_append('unlinked', 'content', 'hello')")
  const [toWrite, toRead, past] = [await link('linked', 'write'), await link('linked', 'read'), await link('linked', 'write')]
  await sql(`UPDATE ydoc_data.link SET expires_at = '2020-01-01' WHERE token_hash = sha256('${past}')`)

  // as a cookie that the page sets, as Hocuspocus' token, by plain HTTP
  const guest = open(relay, 'linked', { headers: { cookie: `ydoc_access=${toWrite}` } })
  const other = openHocuspocus(relay, 'linked', { token: toWrite })
  const reader = openHocuspocus(relay, 'linked', { token: toRead })
  await Promise.all([guest.synced(), other.synced(), reader.synced()])
  guest.text.insert(5, ', guest')
  await until(() => other.text.toString() === 'hello, guest' && reader.text.toString() === 'hello, guest')
  assert.equal(reader.provider.authorizedScope, 'readonly')
  assert.equal(await (await fetch(`${relay.http}/api/documents/linked/text`, { headers: bearer(toRead) })).text(), 'hello, guest')
  assert.equal(await sql("SELECT count(*) FROM ydoc_data.log WHERE document = 'linked' AND actor IS NOT NULL"), '0')

  // nothing else, and nothing by a link that has ended or was guessed
  assert.deepEqual(await closeOf(open(relay, 'unlinked', { headers: bearer(toWrite) })), forbidden)
  for (const bad of [past, 'ydoc_link_' + '0'.repeat(64)]) {
    assert.deepEqual(await closeOf(open(relay, 'linked', { headers: bearer(bad) })), { code: 4401, reason: 'token is not valid any more' })
    assert.equal((await fetch(`${relay.http}/api/documents/linked/text`, { headers: bearer(bad) })).status, 401)
  }
  assert.equal((await fetch(`${relay.http}/api/documents/linked/text`, { headers: bearer(toWrite + 'x') })).status, 401)

  // taken back, it ends what it has opened
  const closed = closeOf(guest)
  assert.equal(await sql(`SELECT ydoc.revoke_link('${toWrite}')`), 't')
  assert.equal((await closed).code, 4401)
  await until(() => other.told.denied.length > 0)
  reader.text.insert(0, 'x') // who has another link stays
  assert.equal(reader.provider.isAuthenticated, true)
  assert.equal(await database.text('linked'), 'hello, guest')
  assert.equal((relay.log + database.log()).includes(toWrite.slice(10)), false)
})

test('a cookie counts on our own pages and on listed ones, and never when it is there twice', async () => {
  const listed = await start(['--origins', 'https://other.example, https://app.example:8443'])
  try {
    const cookie = `a=b; ydoc_access=${token('ann', { groups: ['team'] })}; c=d`
    const own = `https://${new URL(listed.http).host}`
    for (const [code, headers] of [
      [0, { cookie }],
      [0, { cookie, origin: own }],
      [0, { cookie, origin: own.replace('https', 'http') }],
      [0, { cookie, origin: 'https://app.example:8443' }],
      [0, { cookie, origin: 'https://other.example' }],
      [0, { cookie: cookie.replace('ydoc_access=', 'ydoc_access="').replace('; c=', '"; c=') }],
      [0, { cookie: 'ydoc_access=rubbish', ...bearer('ann', { groups: ['team'] }) }],
      [4401, { cookie, origin: 'https://evil.example' }],
      [4401, { cookie, origin: 'https://app.example' }],
      [4401, { cookie, origin: 'https://app.example:8443.evil.example' }],
      [4401, { cookie, origin: 'https://evil.example/' + own }],
      [4401, { cookie, origin: 'null' }],
      [4401, { cookie, origin: '' + 'x'.repeat(400) }],
      [4401, { cookie: cookie.replace('ydoc_access', 'my_ydoc_access') }],
      [4401, { cookie: cookie.replace('ydoc_access', 'Ydoc_access') }],
      [4401, { cookie: 'ydoc_access=' }],
      [4401, { cookie: `ydoc_access=x; ${cookie}` }],
      [4401, { cookie: `${cookie}; ydoc_access=x` }]
    ]) {
      const socket = await raw(listed, '/team/cookie', headers)
      if (code === 0) {
        socket.send(Uint8Array.of(0, 0, 1, 0))
        await until(() => socket.received.length > 0)
        socket.close()
      } else {
        assert.equal((await socket.closed).code, code, JSON.stringify(headers).slice(-80))
      }
    }
  } finally {
    await listed.stop()
  }
})

test('another cookie, or none', async () => {
  for (const [name, code] of [['session', 1000], ['', 4401]]) {
    const named = await start(['--cookie', name])
    try {
      const socket = await raw(named, '/team/cookie', { cookie: `session=${token('ann', { groups: ['team'] })}; ydoc_access=x` })
      socket.send(Uint8Array.of(0, 0, 1, 0))
      until(() => socket.received.length > 0, 3000).then(() => socket.close(1000), () => {})
      assert.equal((await socket.closed).code, code)
    } finally {
      await named.stop()
    }
  }
})

test('a token in the URL counts only if it is asked for', async () => {
  const params = { token: token('ann', { groups: ['team'] }) }
  const refused = open(relay, 'team/url', { params })
  assert.deepEqual(await closeOf(refused), login)
  await logged(relay, /token_in_url_ignored/)
  const willing = await start(['--token-in-url'])
  try {
    const ann = open(willing, 'team/url', { params })
    await ann.synced()
    ann.text.insert(0, 'url')
    await until(async () => await database.text('team/url') === 'url')
    const twice = await raw(willing, `/team/url?token=${params.token}&x=y&token=${params.token}`)
    assert.deepEqual(await twice.closed, { code: 4401, reason: 'token refused: malformed' })
    const empty = await raw(willing, '/team/url?token=')
    assert.deepEqual(await empty.closed, login)
  } finally {
    closeAll()
    await willing.stop()
  }
  assert.doesNotMatch(willing.log, /eyJ/)
})

// ---- what one may do ----

function updateMessage (text) {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, text)
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, 0)
  encoding.writeVarUint(encoder, 2)
  encoding.writeVarUint8Array(encoder, Y.encodeStateAsUpdate(doc))
  return encoding.toUint8Array(encoder)
}

test('who may only read sees everything and is seen, and what he writes is refused, as he is told once', async () => {
  for (const [name, reader] of [['public/seen', {}], ['talk/seen', { headers: bearer('carl') }]]) {
    await grant(name, 'user:ann', 'write')
    const ann = open(other, name, { headers: bearer('ann') })
    await ann.synced()
    ann.text.insert(0, 'seen')
    const carl = open(relay, name, reader)
    const told = denials(carl)
    await carl.synced()
    await until(() => carl.text.toString() === 'seen')
    carl.provider.awareness.setLocalStateField('user', { name: 'Carl' })
    await until(() => ann.provider.awareness.getStates().get(carl.doc.clientID)?.user?.name === 'Carl')
    assert.deepEqual(told, []) // nobody is scolded for coming
    for (let i = 0; i < 5; i++) carl.text.insert(0, 'x')
    await until(() => told.length > 0)
    ann.text.insert(4, '!')
    await until(() => carl.text.toString() === 'xxxxxseen!')
    await sleep(100)
    assert.deepEqual(told, [name === 'talk/seen' ? 'no right to write this document but its comments' : 'no right to write this document'])
    assert.equal(await database.text(name), 'seen!')
    assert.equal(ann.text.toString(), 'seen!')
    assert.equal(carl.provider.wsconnected, true)
    // unsent edits of before are not asked for
    carl.provider.disconnect()
    carl.provider.connect()
    await carl.synced()
    assert.equal(await database.text(name), 'seen!')
    carl.close()
    ann.close()
  }
  assert.ok(await metric('updates_denied_total') >= 5)
  assert.ok(await metric('updates_refused_total') >= 5) // the database's word, of who may comment
})

test('what one user sends in a batch is his, and what another may not, is refused alone', async () => {
  await Promise.all([grant('mixed', 'user:ann', 'write'), grant('mixed', 'user:ben', 'write'), grant('mixed', 'user:eve', 'read')])
  const people = ['ann', 'ben', 'eve'].map(name => [name, open(relay, 'mixed', { headers: bearer(name) })])
  await Promise.all(people.map(([, client]) => client.synced()))
  for (let i = 0; i < 20; i++) for (const [name, { doc }] of people) doc.getMap('by').set(`${name}${i}`, name)
  await until(async () => await sql("SELECT count(*) FROM jsonb_object_keys(ydoc.json('mixed', 'by'))") === '40')
  assert.equal(await sql("SELECT string_agg(DISTINCT actor, ' ' ORDER BY actor) FROM ydoc_data.log WHERE document = 'mixed'"), 'ann ben')
})

// ---- when that changes ----

test('who loses the right to read is sent away from every relay within a second', async () => {
  await grant('club', 'user:ann', 'write')
  await grant('club', 'user:eve', 'write')
  const ann = open(relay, 'club', { headers: bearer('ann') })
  const eves = [open(relay, 'club', { headers: bearer('eve') }), open(other, 'club', { version: 2, headers: bearer('eve') })]
  const closed = eves.map(closeOf)
  await Promise.all([ann, ...eves].map(client => client.synced()))
  const began = Date.now()
  await revoke('club', 'user:eve')
  for (const one of closed) assert.deepEqual(await one, forbidden)
  const took = Date.now() - began
  assert.ok(took < 1000, `${took} ms`)
  for (const eve of eves) eve.provider.disconnect() // version 2 would try for ever
  ann.text.insert(0, 'alone')
  await until(async () => await database.text('club') === 'alone')
  assert.equal(eves[0].text.toString(), '')
})

test('who may write no more is told so and reads on; and when he may again, nothing is lost', async () => {
  await grant('desk', 'user:ann', 'write')
  await grant('desk', 'user:ben', 'write')
  const ann = open(relay, 'desk', { headers: bearer('ann') })
  const ben = open(other, 'desk', { headers: bearer('ben') })
  const told = denials(ben)
  await Promise.all([ann.synced(), ben.synced()])
  ben.text.insert(0, 'before ')
  await until(async () => await database.text('desk') === 'before ')
  await grant('desk', 'user:ben', 'read')
  await until(() => told.length === 1)
  ben.text.insert(7, 'between ')
  ann.text.insert(0, '> ')
  await until(() => ben.text.toString() === '> before between ')
  assert.equal(await database.text('desk'), '> before ')
  await grant('desk', 'user:ben', 'write')
  await until(async () => await database.text('desk') === '> before between ')
  ben.text.insert(ben.text.length, 'after')
  await until(() => ann.text.toString() === '> before between after')
  assert.equal(told.length, 1)
  assert.equal(ben.provider.wsconnected, true)
})

test('rights that change while nobody is told are found out by what is written', async () => {
  const silently = statement => sql(`SET session_replication_role = replica; ${statement}`)
  await grant('quiet', 'user:ann', 'write')
  await grant('quiet', 'user:ben', 'read')
  const ann = open(relay, 'quiet', { headers: bearer('ann') })
  const ben = open(relay, 'quiet', { headers: bearer('ben') })
  const told = denials(ann)
  await Promise.all([ann.synced(), ben.synced()])
  ann.text.insert(0, 'kept ')
  await until(() => ben.text.toString() === 'kept ')
  await silently("UPDATE ydoc_data.access SET level = 'read' WHERE documents = 'quiet' AND subject = 'user:ann'")
  await sleep(1100) // a session of the database keeps an answer for a second
  ann.text.insert(5, 'refused ')
  await until(() => told.length === 1)
  await sleep(1500)
  assert.equal(await database.text('quiet'), 'kept ')
  assert.equal(ben.text.toString(), 'kept ')
  assert.equal(ann.provider.wsconnected, true)
  await grant('quiet', 'user:ann', 'write')
  await until(() => ben.text.toString() === 'kept refused ')
})

test('a token that expires ends its connection, and a new one goes on', async () => {
  await grant('short', 'user:ann', 'write')
  const exp = Math.floor(seconds()) + 3
  const headers = { cookie: `ydoc_access=${token('ann', { exp })}` }
  const ann = open(relay, 'short', { headers })
  const closed = closeOf(ann).then(event => ({ ...event, at: seconds() }))
  ann.provider.on('closed', ({ code }) => { // as a page would do
    if (code !== 4401) return
    headers.cookie = `ydoc_access=${token('ann')}`
    ann.text.insert(4, 'two')
    ann.provider.connect()
  })
  await ann.synced()
  ann.text.insert(0, 'one ')
  const { at, ...event } = await closed
  assert.deepEqual(event, { code: 4401, reason: 'token expired' })
  assert.ok(at - exp > -0.1 && at - exp < 1, `${at - exp} s after it expired`)
  await until(async () => await database.text('short') === 'one two')
  await ann.synced()
})

test('keys are exchanged while people work', async () => {
  await grant('keys', 'authenticated', 'write')
  const rotating = await start()
  const reload = async event => {
    const before = rotating.log.split(event).length
    rotating.child.kill('SIGHUP')
    await until(() => rotating.log.split(event).length > before)
  }
  try {
    const ann = open(rotating, 'keys', { headers: bearer('ann') })
    const eve = open(rotating, 'keys', { headers: { authorization: `Bearer ${secretToken('eve')}` } })
    const closed = closeOf(ann)
    await Promise.all([ann.synced(), eve.synced()])
    assert.equal((await closeOf(open(rotating, 'keys', { headers: bearer('ben', { key: second }) }))).code, 4401)
    // the issuer publishes the next key beside the present one
    saveKeys(first, second)
    await reload('"kid": "second"')
    const ben = open(rotating, 'keys', { headers: bearer('ben', { key: second }) })
    await ben.synced()
    ben.text.insert(0, 'ben')
    await until(() => ann.text.toString() === 'ben')
    // files that are bad change nothing
    for (const bad of ['', '{', '{"keys": []}', JSON.stringify({ keys: [{ kty: 'oct', k: 'AAAA' }] })]) {
      writeFileSync(keysFile, bad)
      await reload('keys_bad')
      const carl = open(rotating, 'keys', { headers: bearer('carl') })
      await carl.synced()
      carl.close()
    }
    assert.equal(ann.provider.wsconnected && ben.provider.wsconnected && eve.provider.wsconnected, true)
    // and then withdraws the old one: who came with it has to come anew
    saveKeys(second)
    rotating.child.kill('SIGHUP')
    assert.deepEqual(await closed, { code: 4401, reason: 'token is not valid any more' })
    assert.equal((await closeOf(open(rotating, 'keys', { headers: bearer('dora') }))).reason, 'token refused: no such key')
    eve.text.insert(0, 'still ')
    await until(() => ben.text.toString() === 'still ben')
    // everybody may read a secret: it is said, and works
    chmodSync(secretFile, 0o644)
    await reload('secret_is_readable')
  } finally {
    chmodSync(secretFile, 0o600)
    saveKeys(first)
    closeAll()
    await rotating.stop()
  }
})

// ---- when something is wrong ----

test('one user has only so many connections, wherever they come from, and others are let in', async () => {
  await grant('crowd/%', 'authenticated', 'write')
  await grant('crowd/open', 'public', 'read')
  const few = await start(['--max-connections-per-user', '3'])
  const socket = async (sub, document = 'crowd/1') => {
    const client = await raw(few, `/${document}`, sub === undefined ? {} : bearer(sub))
    client.send(new Uint8Array([0, 0, 1, 0])) // step 1, which is answered at once
    return client
  }
  const admitted = async client => { await until(() => client.received.length > 0); return client }
  const tooMany = { code: 1013, reason: 'too many connections of this user' }
  try {
    const own = []
    for (const document of ['crowd/1', 'crowd/1', 'crowd/2']) own.push(await admitted(await socket('ann', document)))
    assert.deepEqual(await (await socket('ann', 'crowd/3')).closed, tooMany)
    // a provider comes back until there is room; what one connection of Hocuspocus opens counts once
    const late = open(few, 'crowd/1', { headers: bearer('ann') })
    await until(async () => await metricOf(few, 'users_limited') > 1)
    assert.equal(late.provider.synced, false)
    const ben = openHocuspocus(few, 'crowd/1', { token: token('ben') })
    const benToo = openHocuspocus(few, 'crowd/2', { token: token('ben'), socket: ben.socket })
    await Promise.all([ben.synced(), benToo.synced(), socket('ben').then(admitted), socket('ben').then(admitted)])
    assert.deepEqual(await (await socket('ben')).closed, tooMany)
    // strangers are nobody in particular
    for (let i = 0; i < 5; i++) await admitted(await socket(undefined, 'crowd/open'))
    own[0].close()
    await late.synced()
    late.text.insert(0, 'in')
    await until(() => ben.text.toString() === 'in')
  } finally {
    closeAll()
    assert.deepEqual(await few.stop(), { code: 0, signal: null })
  }
})

test('a rule that fails for one user turns him away for now, and nobody else', async () => {
  await sql(`CREATE OR REPLACE FUNCTION ydoc_data.access_level(document text, claims jsonb) RETURNS ydoc.level LANGUAGE plpgsql STABLE AS $$
    BEGIN
      IF claims ->> 'sub' = 'odd' THEN PERFORM 1 / 0; END IF;
      IF claims ->> 'sub' = 'lost' THEN PERFORM * FROM nowhere; END IF;
      RETURN 'write';
    END $$`)
  try {
    const people = ['ann', 'odd', 'ben', 'lost', 'carl'].map(name => [name, open(relay, 'rule', { headers: bearer(name) })])
    await Promise.all(people.map(async ([name, client]) => {
      if (name === 'odd' || name === 'lost') assert.deepEqual(await closeOf(client), { code: 1013, reason: 'rights cannot be told now' })
      else await client.synced()
    }))
    people[0][1].text.insert(0, 'goes on')
    await until(() => people[2][1].text.toString() === 'goes on')
  } finally {
    closeAll()
    await sql('DROP FUNCTION ydoc_data.access_level(text, jsonb); SELECT ydoc.upgrade_store()')
  }
})

test('while the database is away nobody is let in, and nobody who is in is sent away', async () => {
  await grant('patient', 'authenticated', 'write')
  const ann = open(relay, 'patient', { headers: bearer('ann') })
  await ann.synced()
  await database.kill9()
  const ben = open(relay, 'patient', { headers: bearer('ben') })
  await until(() => ben.provider.wsconnected)
  ann.text.insert(0, 'meanwhile')
  await sleep(500)
  assert.equal(ben.provider.synced, false)
  await database.start()
  await until(() => ben.text.toString() === 'meanwhile')
  assert.equal(ann.provider.wsconnected, true)
})

test('a grant is asked about once for all who come at once', async () => {
  await grant('crowd', 'authenticated', 'write')
  const before = await metric('access_questions_total')
  const crowd = Array.from({ length: 60 }, (_, i) => open(relay, 'crowd', { headers: bearer(`user${i}`) }))
  await Promise.all(crowd.map(client => client.synced()))
  const asked = await metric('access_questions_total') - before
  assert.ok(asked < 50, `${asked} questions for 60 connections`)
})

function ends (...arguments_) {
  return new Promise(resolve => execFile(relayProgram, ['--listen', '127.0.0.1:0', ...arguments_], { timeout: 20000 },
    (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stderr: stderr + stdout })))
}

test('a configuration that would let the wrong ones in is refused at the start', async () => {
  const bad = join(directory, 'bad')
  writeFileSync(bad, 'too short', { mode: 0o600 })
  for (const [message, ...more] of [
    [/jwt-keys or jwt-secret-file, and neither is given/, '--jwt-audience', 'notes'],
    [/jwt-keys or jwt-secret-file, and neither is given/, '--jwt-issuer', 'i'],
    [/jwt-keys or jwt-secret-file, and neither is given/, '--token-in-url'],
    [/bad: is too weak: a secret has 32 bytes at least, this one has 9/, '--jwt-secret-file', bad],
    [/bad: is neither JSON \(a JWKS\) nor PEM/, '--jwt-keys', bad],
    [/nowhere: No such file/, '--jwt-keys', join(directory, 'nowhere')],
    [/keys: Is a directory|Is a directory/, '--jwt-keys', directory],
    [/no secret/, '--jwt-secret-file', keysFile],
    [/jwt-leeway .* must be a number/, '--jwt-keys', keysFile, '--jwt-leeway', '-1'],
    [/jwt-require-exp .* must be true or false/, '--jwt-keys', keysFile, '--jwt-require-exp=perhaps']
  ]) {
    const { code, stderr } = await ends('--check', ...more)
    assert.equal(code, 78, stderr)
    assert.match(stderr, message)
  }
  const fine = await ends('--check', '--jwt-keys', keysFile, '--jwt-secret-file', secretFile, '--jwt-require-exp=false', '--cookie', '')
  assert.deepEqual([fine.code, fine.stderr], [0, 'configuration is fine\n'])
})

test('a relay that asks nobody says so, unless it is alone on its machine', async () => {
  const logOf = async more => {
    const relay = await startRelay({ ...database, pooled: undefined }, { arguments: more })
    await relay.stop()
    assert.match(relay.log, /"event": "stopped"/)
    return relay.log
  }
  assert.doesNotMatch(await logOf([]), /users_unchecked/)
  assert.match(await logOf(['--listen', '0.0.0.0:0']), /"level": "warning", "event": "users_unchecked"/)
})
