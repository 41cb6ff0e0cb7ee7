// Attacks, one after the other: each gets its refusal, and after each two people go on as before.
//
// Not here, because it is elsewhere: every fault of a token ("bad tokens are refused …" and "a cookie counts …" in tokens.test.mjs: alg
// none, HS256 with the public key, another audience, expired, not yet valid, unknown kid, a cookie from another's page; test/token has
// the whole table), every fault of a frame and a handshake (test/wire), speaking for others (presence.test.mjs).
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

import { close, frame, fragments, OPCODE, ping, request, syncStep1, text } from '../wire/client.mjs'
import { closeAll, logged, message, metric, open, raw, residentBytes, sleep, startDatabase, startDetour, startRelay, until } from './harness.mjs'

const MB = 1 << 20
const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-attacks-'))
const secret = randomBytes(32)
const canary = 'canary' + randomBytes(6).toString('hex') // must be in no log
const base64url = bytes => Buffer.from(bytes).toString('base64url')

function token (claims) {
  const body = [{ alg: 'HS256' }, { exp: Math.floor(Date.now() / 1000) + 300, canary, ...claims }].map(part => base64url(JSON.stringify(part))).join('.')
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}
const bearer = claims => ({ authorization: `Bearer ${token(claims)}` })

let database, relay, people, silent

before(async () => {
  writeFileSync(join(directory, 'secret'), secret, { mode: 0o600 })
  mkdirSync(join(directory, 'pages'))
  writeFileSync(join(directory, 'pages', 'index.html'), 'a page')
  writeFileSync(join(directory, 'outside.txt'), canary)
  database = await startDatabase()
  await database.psql(`CREATE ROLE door LOGIN; SELECT ydoc.grant_relay('door');
    SELECT ydoc.grant_access('office/%', 'group:staff', 'write'), ydoc.grant_access('open/%', 'public', 'write'), ydoc.grant_access('attacked/%', 'authenticated', 'write')`)
  relay = await startRelay({ ...database, pooled: undefined, conninfo: database.conninfo.replace('user=postgres', 'user=door') }, {
    static: join(directory, 'pages'),
    arguments: ['--jwt-secret-file', join(directory, 'secret'), '--log-level', 'debug', '--max-connections', '1000', '--max-connections-per-address', '300', '--unlimited-networks', '', '--max-handshake-rate', '0', '--max-failure-rate', '0',
      '--max-message', '1M', '--max-reassembly', '8M']
  })
  people = await bystanders()
  silent = await openAndVanish()
})

after(async () => {
  closeAll()
  const ended = await relay.stop()
  const logs = relay.log + database.log()
  await database.stop()
  rmSync(directory, { recursive: true })
  assert.deepEqual(ended, { code: 0, signal: null }) // a sanitizer would say otherwise
  for (const part of [canary, base64url(canary).slice(0, -2), 'eyJ', secret.toString('hex'), secret.toString('base64')]) assert.equal(logs.includes(part), false, part)
})

// Two who work in one document, and are to notice nothing.
async function bystanders () {
  const [ann, ben] = ['ann', 'ben'].map(sub => open(relay, 'office/plan', { headers: bearer({ sub, groups: ['staff'] }) }))
  await Promise.all([ann.synced(), ben.synced()])
  let closes = 0
  for (const each of [ann, ben]) each.provider.on('connection-close', () => closes++)
  return {
    async goOn (most = 5000) {
      const before = ben.text.length
      const start = performance.now()
      ann.text.insert(0, 'on ')
      await until(() => ben.text.length === before + 3)
      const took = performance.now() - start
      assert.ok(took < most, `it took ${took} ms`)
      assert.equal(closes, 0, 'they were cut')
    }
  }
}

// While the attack goes on they are served, and after it as well; nothing is left of it.
function attack (name, body, { timeout = 60000 } = {}) {
  test(name, { timeout }, async t => {
    const before = residentBytes(relay)
    await body({ attacked: `attacked/${name}`.slice(0, 60), t })
    await people.goOn()
    await until(async () => await metric(relay, 'reassembly_bytes') === 0 && await metric(relay, 'pending_bytes') === 0)
    const grown = residentBytes(relay) - before
    if (!/sanitize/.test(process.env.YDOC_RELAY ?? '')) assert.ok(grown < 64 * MB, `the relay has grown by ${grown} bytes`)
  })
}

const updateMessage = update => message(0, 2, update)
const awareness = (client, clock, state) => message(1, message(1, client, clock, Buffer.from(JSON.stringify(state))))
const path = name => '/' + encodeURIComponent(name)
const asEve = { sub: 'eve' }

// Bytes on a socket of our own, from any address of this machine.  What comes back, until the end or what is waited for.
function tell (bytes, { localAddress = '127.0.0.1', isEnough = () => false, ms = 20000, slowly } = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(new URL(relay.http).port), host: '127.0.0.1', localAddress, noDelay: true })
    let got = Buffer.alloc(0)
    let drip
    const done = () => {
      clearTimeout(timer)
      clearInterval(drip)
      socket.destroy()
      resolve(got.toString('latin1'))
    }
    const timer = setTimeout(() => {
      clearInterval(drip)
      socket.destroy()
      reject(new Error(`nothing but ${JSON.stringify(got.toString('latin1').slice(0, 200))} in ${ms} ms`))
    }, ms)
    socket.on('data', data => {
      got = Buffer.concat([got, data])
      if (isEnough(got)) done()
    })
    socket.on('error', done)
    socket.on('close', done)
    socket.on('connect', () => {
      if (slowly === undefined) return socket.write(bytes)
      let at = 0
      drip = setInterval(() => at < bytes.length ? socket.write(bytes.slice(at, ++at)) : clearInterval(drip), slowly)
    })
  })
}
const upgradeOf = (name, claims, changes = {}) => request(encodeURIComponent(name), { changes: { Authorization: `Bearer ${token(claims)}`, ...changes } })
const statusOf = answer => Number(answer.split(' ')[1])
// The code in the last frame of what a server sent.
const closeCodeOf = answer => {
  const bytes = Buffer.from(answer, 'latin1')
  const at = bytes.lastIndexOf(0x88)
  return at < 0 || bytes.length < at + 4 ? undefined : bytes.readUInt16BE(at + 2)
}

// ---- before anybody knows who it is ----

attack('who has not said who he is gets nothing read, however much he sends', async () => {
  const claim = frame({ length: 1 << 30, payload: Buffer.alloc(60000), mask: [0, 0, 0, 0] })
  const answers = await Promise.all(Array.from({ length: 200 }, () =>
    tell(Buffer.concat([Buffer.from(request('office/plan')), claim, claim]), { localAddress: '127.0.0.9' })))
  for (const answer of answers) assert.match(answer, /101 Switching/)
  assert.ok(answers.filter(answer => closeCodeOf(answer) === 4401).length > 150) // some were cut while they still sent
})

attack('who waits to be let in waits 10 s or so, and nothing of him is read', async () => {
  const detour = await startDetour(database)
  const other = await startRelay(detour, { arguments: ['--jwt-secret-file', join(directory, 'secret')] })
  try {
    await until(async () => (await fetch(`${other.http}/readyz`)).status === 200)
    detour.leave() // nobody can tell what he may do
    const sockets = await Promise.all(Array.from({ length: 20 }, () => raw(other, path('attacked/waiting'), bearer(asEve))))
    const before = residentBytes(other)
    for (const socket of sockets) socket.send(Buffer.alloc(500000, 99))
    await sleep(1000)
    assert.equal(await metric(other, 'received_bytes'), 0)
    assert.ok(residentBytes(other) - before < 16 * MB)
    for (const socket of sockets) assert.deepEqual(await socket.closed, { code: 1013, reason: 'rights cannot be told now' })
  } finally {
    await other.stop()
    await detour.stop()
  }
})

attack('slow handshakes are ended after 10 s, and keep nobody out', async () => {
  const slow = Array.from({ length: 150 }, (_, i) => tell(upgradeOf('attacked/slow', asEve).slice(0, -2), { localAddress: `127.0.0.${10 + i % 3}`, slowly: 100 }))
  await sleep(2000)
  const start = performance.now()
  const eve = await raw(relay, path('attacked/quick'), bearer(asEve))
  assert.ok(performance.now() - start < 5000)
  eve.close()
  await people.goOn()
  for (const answer of await Promise.all(slow)) assert.equal(statusOf(answer), 408)
  await until(async () => await metric(relay, 'handshakes') === 0)
})

attack('floods of headers are refused', async () => {
  const many = Array.from({ length: 5000 }, (_, i) => `X-Header-${i}: x\r\n`).join('')
  for (const bytes of [
    `GET /attacked HTTP/1.1\r\n${many}\r\n`, `GET /attacked HTTP/1.1\r\nCookie: ${'c'.repeat(100000)}\r\n\r\n`, `GET /${'u'.repeat(100000)} HTTP/1.1\r\n\r\n`,
    'G'.repeat(100000), '\r\n'.repeat(50000), ' '.repeat(100000), '\0'.repeat(100000)
  ]) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => tell(bytes, { localAddress: '127.0.0.20' })))
    for (const answer of answers) assert.ok(answer === '' || [400, 431].includes(statusOf(answer)), answer.slice(0, 100)) // '': the answer was lost in a reset
  }
})

attack('one address opens no more than its share, and others come in', async () => {
  const flood = await Promise.all(Array.from({ length: 800 }, () => tell(upgradeOf('attacked/flood', asEve), { localAddress: '127.0.0.30', isEnough: () => true })))
  assert.ok(flood.some(answer => /^HTTP\/1.1 429/.test(answer)))
  const port = Number(new URL(relay.http).port)
  const held = Array.from({ length: 400 }, () => connect({ port, host: '127.0.0.1', localAddress: '127.0.0.31' }).on('error', () => {}))
  await until(async () => await metric(relay, 'handshakes') >= 300)
  assert.equal(statusOf(await tell('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n', { localAddress: '127.0.0.31', isEnough: got => got.length > 20 })), 429)
  assert.equal(statusOf(await tell('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n', { localAddress: '127.0.0.32', isEnough: got => got.length > 20 })), 200)
  for (const socket of held) socket.destroy()
  await until(async () => await metric(relay, 'handshakes') === 0)
})

attack('who connects and leaves again and again leaves nothing', async () => {
  for (let round = 0; round < 10; round++) {
    const leaving = Array.from({ length: 100 }, (_, i) => tell(upgradeOf('attacked/churn', asEve), { localAddress: '127.0.0.40', isEnough: got => i % 2 === 0 || got.includes('\r\n\r\n') }))
    await Promise.all(leaving)
  }
  await until(async () => await metric(relay, 'rooms') <= 2)
})

attack('a second request on a connection, or one hidden in the body of another, is not answered', async () => {
  const second = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'
  for (const first of [
    'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n',
    `POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: ${second.length}\r\n\r\n`,
    'POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    `POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: ${second.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`
  ]) {
    let answer = ''
    await tell(first + second, { ms: 1500, isEnough: got => { answer = got.toString(); return false } }).catch(() => {})
    assert.equal(answer.includes('ydoc_relay_connections'), false)
  }
})

attack('who wants to fill the log gets few lines, and how many more there were is said', async () => {
  const other = await startRelay(database, { arguments: ['--log-level', 'info'] })
  try {
    const socket = text => new Promise(resolve => {
      const one = connect({ port: Number(new URL(other.http).port), host: '127.0.0.1' })
      one.on('close', resolve).on('error', resolve).on('data', data => { if (data.includes(0x88)) one.destroy() })
      one.write(text)
    })
    const start = performance.now()
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 100 }, () => socket(request('open/log', { changes: { Origin: 'https://evil.example' } }))))
    const seconds = (performance.now() - start) / 1000
    await sleep(1100)
    await socket(request('open/log', { changes: { Origin: 'https://evil.example' } }))
    await until(() => other.log.includes('"log_suppressed", "of": "origin_refused"'))
    const lines = other.log.split('\n').filter(line => line.includes('"origin_refused"') && !line.includes('log_suppressed'))
    const suppressed = [...other.log.matchAll(/"log_suppressed", "of": "origin_refused", "count": (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)
    assert.ok(lines.length <= 100 * (seconds + 3), `${lines.length} lines in ${seconds} s`)
    assert.equal(lines.length + suppressed, 2001)
  } finally {
    await other.stop()
  }
})

// ---- names ----

attack('a path leads to no file outside, whatever it is written with', async () => {
  for (const target of [
    '/../outside.txt', '/%2e%2e/outside.txt', '/%2e%2e%2foutside.txt', '/..%2foutside.txt', '/..%5coutside.txt', '/..\\outside.txt', '/.%2e/outside.txt',
    '/%252e%252e/outside.txt', '//../outside.txt', '/./../outside.txt', '/index.html/../../outside.txt', '/%c0%ae%c0%ae/outside.txt', '/%00/../../outside.txt',
    '/outside.txt', `/${directory}/outside.txt`, `//${directory}/outside.txt`, '/index.html%00.txt', '/....//outside.txt', '/..;/outside.txt',
    'file:///etc/passwd', 'http://x/../outside.txt', '/../../../../../../etc/passwd', '/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd'
  ]) {
    const answer = await tell(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`, { isEnough: got => got.length > 20, ms: 5000 })
    assert.equal(answer.includes(canary) || answer.includes('root:'), false, target)
  }
})

attack('a document\'s name is data: it opens that document and no other', async () => {
  await database.psql("SELECT ydoc.text_append('office/secret', 'content', 'secret')")
  for (const name of ['open/../office/secret', 'open/%2e%2e/office/secret', 'open/./../office/secret', 'open/..;/office/secret', 'open/\\..\\office\\secret',
    'open/*', 'open/%', 'open/_', 'OFFICE/secret', 'office/secret?x', 'office/secret#x', 'open/office/secret', 'office\u2215secret', 'office／secret', 'open/a\u0301', 'open/\u202etxt']) {
    const socket = await raw(relay, path(name))
    socket.send(Uint8Array.of(0, 0, 1, 0))
    if (name.startsWith('open/')) await until(() => socket.received.some(([type, kind]) => type === 0 && kind === 1))
    else assert.deepEqual(await socket.closed, { code: 4401, reason: 'log in to read this document' }, name)
    assert.equal(socket.received.some(bytes => Buffer.from(bytes).includes('secret')), false, name)
    socket.close()
  }
})

attack('names that are none are refused before anybody is asked', async () => {
  const questions = await metric(relay, 'access_questions')
  for (const target of ['/%00', '/a%00b', '/a%01', '/a%0d%0aSet-Cookie:%20x', '/a%1f', '/a%7f', '/a%c2%80', '/a%c2%9b31m', '/a%c2%9f', '/%80', '/%ff', '/%c0%af', '/%e0%80%af', '/%f0%80%80%af', '/%ed%a0%80', '/%f4%90%80%80',
    '/%f5%80%80%80', '/%', '/%4', '/%g0', '/a%u0041', `/${'x'.repeat(1025)}`, `/${'%41'.repeat(1025)}`]) {
    const answer = await tell(request('', { target, changes: { Authorization: `Bearer ${token(asEve)}` } }))
    assert.ok([400, 403].includes(statusOf(answer)), `${target}: ${answer.slice(0, 60)}`)
  }
  assert.equal(await metric(relay, 'access_questions'), questions)
})

attack('SQL is text wherever it stands: in names, claims, awareness, content', async () => {
  const tables = () => database.psql("SELECT string_agg(relname || ' ' || relkind::text, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'ydoc_data'::regnamespace")
  const grants = () => database.psql('SELECT count(*) FROM ydoc_data.access')
  const before = [await tables(), await grants()]
  const phrases = ["'; DROP TABLE ydoc_data.document; --", "' OR '1'='1", '$1', '$$; SELECT pg_sleep(10); $$', '\\x00', "E'\\'", '%s%n%s', '"', '}', '{"sub":"ann"}', '--', '/*', "'); SELECT ydoc.grant_access('%', 'public', 'admin'); --"]
  for (const phrase of phrases) {
    const name = `attacked/${phrase}`
    const claims = { sub: `eve${phrase}`, groups: [phrase, `staff${phrase}`], roles: [phrase], link: phrase, [phrase]: phrase }
    const socket = await raw(relay, path(name), bearer(claims))
    const doc = new Y.Doc()
    doc.getText('content').insert(0, phrase)
    doc.getMap(phrase).set(phrase, phrase)
    socket.send(updateMessage(Y.encodeStateAsUpdate(doc)))
    socket.send(awareness(7, 1, { user: { name: phrase }, [phrase]: phrase }))
    await until(async () => await database.psql(`SELECT ydoc.text(convert_from('\\x${Buffer.from(name).toString('hex')}', 'UTF8'), 'content')`) === phrase)
    assert.equal(await database.psql(`SELECT DISTINCT actor FROM ydoc_data.log WHERE document = convert_from('\\x${Buffer.from(name).toString('hex')}', 'UTF8')`), claims.sub)
    socket.close()
    const office = await raw(relay, '/office/plan', bearer(claims))
    assert.equal((await office.closed).code, 4403, phrase)
    assert.deepEqual(office.received, [])
  }
  assert.deepEqual([await tables(), await grants()], before)
})

// ---- pages from elsewhere ----

attack('a page from elsewhere cannot use the cookie of who looks at it', async () => {
  const cookie = `ydoc_access=${token({ sub: 'ann', groups: ['staff'] })}`
  const own = new URL(relay.http)
  const mine = await raw(relay, '/office/plan', { cookie, origin: own.origin })
  mine.send(Uint8Array.of(0, 0, 1, 0))
  await until(() => mine.received.length > 0)
  mine.close()
  for (const origin of ['https://evil.example', `${own.origin}.evil.example`, `https://evil.example/${own.host}`, 'null', 'file://', `http://user@evil.example:${own.port}`]) {
    const socket = await raw(relay, '/office/plan', { cookie, origin })
    assert.equal((await socket.closed).code, 4401, origin)
    assert.deepEqual(socket.received, [])
  }
})

attack('a page from elsewhere cannot use a relay that asks nobody who he is', async () => {
  const far = { code: 4403, reason: 'a page from elsewhere' }
  const trusting = await startRelay(database, { arguments: ['--origins', 'https://app.example:8443'] })
  const wide = await startRelay(database, { arguments: ['--listen', '0.0.0.0:0', '--origins', '*'] })
  const port = new URL(trusting.http).port
  try {
    const ask = async (at, headers) => {
      const socket = await raw(at, '/open/plan', headers)
      socket.send(Uint8Array.of(0, 0, 1, 0))
      socket.closed.then(event => { socket.event = event })
      await until(() => socket.received.length > 0 || socket.event)
      socket.close()
      return socket.event
    }
    for (const headers of [
      {}, { origin: `http://127.0.0.1:${port}` }, { origin: 'http://127.0.0.1:5173' }, { origin: 'http://localhost:5173', host: `localhost:${port}` },
      { origin: 'http://[::1]:3000', host: `[::1]:${port}` }, { origin: 'https://app.example:8443' }
    ]) assert.equal(await ask(trusting, headers), undefined, JSON.stringify(headers))
    for (const headers of [
      { origin: 'https://evil.example' }, { origin: 'null' }, { origin: 'https://app.example' }, { origin: 'http://127.0.0.1.evil.example' }, { origin: 'http://127.0.0.1@evil.example' },
      { origin: 'file://' }, { origin: 'localhost' }, { origin: `http://${'x'.repeat(400)}` },
      { origin: `http://evil.example:${port}`, host: `evil.example:${port}` } // a name of theirs that leads to this machine
    ]) assert.deepEqual(await ask(trusting, headers), far, JSON.stringify(headers))
    await logged(trusting, /"event": "origin_refused", "origin": "https:\/\/evil.example"/)
    assert.equal(await ask(wide, { origin: 'https://evil.example' }), undefined)
  } finally {
    await trusting.stop()
    await wide.stop()
  }
})

// ---- frames ----

attack('frames that must not be close their connection', async () => {
  const good = frame({ payload: syncStep1 })
  for (const [code, ...frames] of [
    [1002, frame({ payload: syncStep1, mask: null })], [1002, frame({ rsv: 4, payload: randomBytes(50) })], [1002, frame({ opcode: 3 })], [1002, frame({ opcode: OPCODE.continuation })],
    [1002, ping('x'.repeat(126))], [1002, ping('', { fin: false })], [1002, close(5000)], [1002, frame({ length: 2n ** 63n })], [1007, close(1000, [0xff])],
    [1003, text('text')], [1003, text([0xc0, 0xaf])], [4413, frame({ length: 2 ** 40 })]
  ]) {
    const answer = await tell(Buffer.concat([Buffer.from(upgradeOf('attacked/frames', asEve)), good, ...frames]), { isEnough: got => closeCodeOf(got) !== undefined })
    assert.equal(closeCodeOf(answer), code)
  }
})

attack('a compressed bomb is no message: nothing was agreed on', async () => {
  const { deflateRawSync } = await import('node:zlib')
  const bomb = deflateRawSync(Buffer.alloc(100 * MB))
  const answers = await Promise.all(Array.from({ length: 20 }, () => tell(Buffer.concat([
    Buffer.from(upgradeOf('attacked/bomb', asEve, { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' })), frame({ rsv: 4, payload: bomb })
  ]))))
  for (const answer of answers) {
    assert.doesNotMatch(answer, /sec-websocket-extensions/i)
    assert.equal(closeCodeOf(answer), 1002)
  }
})

attack('large messages that never end are bounded, one and all together', async () => {
  const half = [frame({ payload: Buffer.alloc(900000), fin: false })]
  const sockets = await Promise.all(Array.from({ length: 20 }, () => raw(relay, path('attacked/half'), bearer(asEve))))
  for (const socket of sockets) socket._socket.write(Buffer.concat(half))
  const codes = []
  for (const socket of sockets) socket.closed.then(({ code }) => codes.push(code))
  await until(() => codes.length >= 11) // 8 MB hold eight of them
  assert.ok(codes.every(code => code === 1013))
  await people.goOn()
  const more = sockets.find(socket => socket.readyState === 1)
  more._socket.write(frame({ payload: Buffer.alloc(200000), opcode: OPCODE.continuation, fin: false }))
  assert.ok([4413, 1013].includes((await more.closed).code))
  for (const socket of sockets) socket.terminate()
})

attack('frames a byte at a time, from many at once', async () => {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, 'a byte at a time')
  const bytes = Buffer.concat(fragments(Buffer.from(updateMessage(Y.encodeStateAsUpdate(doc))), 1))
  const sockets = await Promise.all(Array.from({ length: 50 }, (_, i) => raw(relay, path(`attacked/bytes-${i}`), bearer(asEve))))
  for (const byte of bytes) {
    for (const socket of sockets) socket._socket.write(Buffer.of(byte))
    await new Promise(resolve => setImmediate(resolve))
  }
  await people.goOn()
  for (const i of [0, 49]) await until(async () => await database.text(`attacked/bytes-${i}`) === 'a byte at a time')
  for (const socket of sockets) socket.close()
})

attack('floods of pings and of empty fragments are read more slowly', async () => {
  const throttled = await metric(relay, 'throttled')
  const pings = await raw(relay, path('attacked/pings'), bearer(asEve))
  const empties = await raw(relay, path('attacked/empties'), bearer(asEve))
  pings._socket.write(Buffer.concat(Array.from({ length: 10000 }, () => ping('x'))))
  empties._socket.write(Buffer.concat([frame({ payload: [3], fin: false }), ...Array.from({ length: 10000 }, () => frame({ opcode: OPCODE.continuation, fin: false }))]))
  for (let i = 0; i < 5; i++) {
    await people.goOn()
    await sleep(100)
  }
  assert.ok(await metric(relay, 'throttled') - throttled >= 2)
  pings.terminate()
  empties.terminate()
})

// ---- what the protocol above carries ----

attack('awareness from many at once, with ids without end', async ({ attacked }) => {
  const sockets = await Promise.all(Array.from({ length: 20 }, () => raw(relay, path(attacked), bearer(asEve))))
  for (let round = 0; round < 50; round++) {
    sockets.forEach((socket, i) => {
      for (let k = 0; k < 10; k++) socket.send(awareness(i * 100000 + round * 100 + k, 1, { user: { name: 'x'.repeat(1000) } }))
    })
    await sleep(5)
  }
  await people.goOn()
  assert.ok(await metric(relay, 'presence_clients') < 20 * 40)
  for (const socket of sockets) socket.terminate()
  await until(async () => await metric(relay, 'presence_clients') <= 2)
})

attack('awareness that is malformed, or nested without end', async () => {
  for (const bytes of [
    message(1, Uint8Array.of(255, 255, 255, 255, 15)), message(1, message(1000000, 1)), Uint8Array.of(1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1),
    message(1, message(1, 1, 1)), Uint8Array.of(1)
  ]) {
    const socket = await raw(relay, path('attacked/awareness'), bearer(asEve))
    socket.send(bytes)
    assert.equal((await socket.closed).code, 4400)
  }
  const deep = await raw(relay, path('attacked/deep'), bearer(asEve))
  deep.send(message(1, message(1, 1, 1, Buffer.from('['.repeat(30000) + ']'.repeat(30000)))))
  deep.send(Uint8Array.of(0, 0, 1, 0))
  await until(() => deep.received.some(([type, kind]) => type === 0 && kind === 1) || deep.readyState === 3)
  deep.close()
})

attack('updates that claim more than they hold are refused, and cost what they hold', async () => {
  const far = [255, 255, 255, 255, 255, 255, 255, 15] // 2^53 - 1
  const updates = {
    'a million structs': message(1, 1000000, 7, 0),
    'a million clients': message(1000000),
    '2^53 - 1 structs': Uint8Array.of(1, ...far, 7, 0),
    'a text of 2^53 - 1 bytes': Uint8Array.of(1, 1, 7, 0, 4, 1, 1, 0x74, ...far),
    'an array of 2^31 values': Uint8Array.of(1, 1, 7, 0, 8, 1, 1, 0x74, 255, 255, 255, 255, 7),
    'a million delete ranges': Uint8Array.of(0, 1, 7, ...[192, 132, 61]),
    'a delete range beyond 2^53': Uint8Array.of(0, 1, 7, 1, ...far, ...far),
    'values nested 100,000 deep': Buffer.concat([Buffer.from([1, 1, 7, 0, 8, 1, 1, 0x74, 1]), Buffer.alloc(200000, Buffer.from([117, 1])), Buffer.from([126, 0])]),
    'nothing but 255': Buffer.alloc(10000, 255)
  }
  for (const [what, update] of Object.entries(updates)) {
    const socket = await raw(relay, path('attacked/claims'), bearer(asEve))
    const start = performance.now()
    socket.send(updateMessage(update))
    const { code, reason } = await socket.closed
    assert.ok(code === 4400 || code === 4413, `${what}: ${code}`) // malformed, or beyond a limit
    assert.match(reason, /^update refused: /, what)
    assert.ok(performance.now() - start < 2000, what)
  }
  assert.equal(await database.psql("SELECT count(*) FROM ydoc_data.log WHERE document = 'attacked/claims'"), '0')
})

attack('an update that is a million structs is taken, or refused, in its own time', async () => {
  const structs = 300000 // as many as 1 MB holds
  const encoder = encoding.createEncoder()
  for (const value of [1, structs, 7, 0]) encoding.writeVarUint(encoder, value)
  for (let i = 0; i < structs; i++) {
    encoding.writeUint8(encoder, 0) // GC
    encoding.writeVarUint(encoder, 1)
  }
  encoding.writeVarUint(encoder, 0)
  const socket = await raw(relay, path('attacked/structs'), bearer(asEve))
  socket.send(updateMessage(encoding.toUint8Array(encoder)))
  socket.send(Uint8Array.of(0, 0, 1, 0))
  await people.goOn(5000)
  await until(() => socket.readyState === 3 || socket.received.some(([type, kind]) => type === 0 && kind === 1), 30000)
  socket.close()
})

attack('an update that takes the square of its size is refused, alone and soon', async () => {
  const crowd = 16000 // each of them has to be told from all others: 250 million steps
  const encoder = encoding.createEncoder()
  const write = (...values) => { for (const value of values) encoding.writeVarUint(encoder, value) }
  write(crowd + 1)
  for (let i = crowd; i > 0; i--) write(1, 1 + i, 0, 0x44, 1, crowd - i, 1, 0x78)
  write(1, 1, 0, 4, 1, 1, 0x74)
  encoding.writeVarString(encoder, 'b'.repeat(crowd))
  write(0)
  const socket = await raw(relay, path('attacked/crowd'), bearer(asEve))
  const start = performance.now()
  socket.send(updateMessage(encoding.toUint8Array(encoder)))
  await people.goOn(10000)
  const { code, reason } = await socket.closed
  assert.equal(code, 4413)
  assert.match(reason, /^update refused: .*too many concurrent items at one place/)
  assert.ok(performance.now() - start < 10000)
  assert.equal(await database.psql("SELECT count(*) FROM ydoc_data.log WHERE document = 'attacked/crowd'"), '0')
})

attack('questions without end are answered once at a time', async () => {
  await database.psql("SELECT ydoc.text_append('attacked/asked', 'content', repeat('x', 500000))")
  const sockets = await Promise.all(Array.from({ length: 10 }, () => raw(relay, path('attacked/asked'), bearer(asEve))))
  for (const socket of sockets) for (let i = 0; i < 500; i++) socket.send(Uint8Array.of(0, 0, 1, 0))
  await people.goOn(5000)
  await sleep(500)
  for (const socket of sockets) {
    const steps = socket.received.filter(([type, kind]) => type === 0 && kind === 1).length
    assert.ok(steps < 100, `${steps} answers to 500 questions`)
    socket.terminate()
  }
})

// ---- the silent ----

// Sockets that were there, and do not even answer pings: nobody will ever say that they are gone.
async function openAndVanish () {
  const sockets = await Promise.all(Array.from({ length: 20 }, () => raw(relay, path('attacked/vanished'), bearer(asEve))))
  for (const socket of sockets) socket.pause()
  return { sockets, at: performance.now() }
}

attack('half-open connections are given up after a minute or so', async () => {
  assert.ok(silent.sockets.length > 0)
  await until(async () => await metric(relay, 'connections') <= 2, 100000 - (performance.now() - silent.at))
  for (const socket of silent.sockets) socket.terminate()
}, { timeout: 120000 })
