// Sessions over HTTP: cookies that a login assertion gives, that refresh themselves, and that nobody else's page may use.
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { request as httpRequest } from 'node:http'

import { closeAll, open, sleep, startDatabase, startRelay, until } from './harness.mjs'
import { keyring } from './keyring.mjs'

let database, relay, other, secure, without
const keys = keyring('notes')
const sql = statement => database.psql(statement)

before(async () => {
  database = await startDatabase()
  await sql(`CREATE ROLE nobody LOGIN; SELECT ydoc.grant_relay('nobody');
    SELECT ydoc.grant_access('%', 'user:ann', 'write'), ydoc.grant_access('shared/%', 'user:ben', 'write')`)
  const start = more => startRelay({ ...database, pooled: undefined, conninfo: database.conninfo.replace('user=postgres', 'user=nobody') },
    { arguments: [...keys.flags, '--log-level', 'debug', ...more] })
  relay = await start(['--sessions', '--secure-cookies=false', '--origins', 'https://app.example'])
  other = await start(['--sessions', '--secure-cookies=false'])
  secure = await start(['--sessions'])
  without = await start([])
})

afterEach(closeAll)

after(async () => {
  closeAll()
  for (const each of [relay, other, secure, without]) assert.deepEqual(await each?.stop(), { code: 0, signal: null })
  const logs = [relay, other, secure, without].map(each => each?.log)
  const databaseLog = database?.log()
  await database?.stop()
  keys.remove()
  for (const log of [...logs, databaseLog]) assert.doesNotMatch(log, /ydoc_(access|refresh|live)_[A-Za-z0-9]/) // no secret was logged
})

// fetch hides cookies: a plain request, with a jar.
function ask (method, path, { on = relay, jar, csrf = jar?.csrf, headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const url = new URL(path, on.http)
    const cookies = jar ? Object.entries(jar.cookies).map(([name, value]) => `${name}=${value}`).join('; ') : ''
    const sent = httpRequest(url, {
      method,
      headers: { ...(cookies ? { cookie: cookies } : {}), ...(csrf ? { 'x-csrf-token': csrf } : {}), ...(body ? { 'content-type': 'application/json' } : {}), ...headers }
    }, answer => {
      let text = ''
      answer.on('data', part => { text += part })
      answer.on('end', () => {
        const set = answer.headers['set-cookie'] ?? []
        for (const line of jar ? set : []) {
          const [pair] = line.split(';')
          const [name, value] = pair.split('=')
          if (value === '') delete jar.cookies[name]
          else jar.cookies[name] = value
          if (name.endsWith('ydoc_csrf')) jar.csrf = value === '' ? undefined : value
        }
        resolve({ status: answer.statusCode, headers: answer.headers, set, json: text === '' ? null : JSON.parse(text) })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

async function login (sub = 'ann', { on = relay, ...more } = {}) {
  const jar = { cookies: {} }
  const answer = await ask('POST', '/api/session', { on, jar, headers: keys.bearer(sub), ...more })
  assert.equal(answer.status, 201, JSON.stringify(answer.json))
  return jar
}

const copy = jar => ({ cookies: { ...jar.cookies }, csrf: jar.csrf })
const cookieHeader = jar => Object.entries(jar.cookies).map(([name, value]) => `${name}=${value}`).join('; ')
const problem = answer => [answer.status, answer.json?.type?.replace('urn:problem-type:ydoc:', '')]
const closeOf = client => new Promise(resolve => client.provider.on('connection-close', event => event?.code > 4000 && resolve({ code: event.code, reason: String(event.reason) })))

// ---- the way it is meant ----

test('an assertion gives three cookies, of which a script may read one', async () => {
  const answer = await ask('POST', '/api/session', { headers: { ...keys.bearer('ann', { name: 'Ann' }), 'user-agent': 'a browser, Ä' } })
  assert.equal(answer.status, 201)
  assert.match(answer.json.session, /^[0-9a-f-]{36}$/)
  assert.equal(answer.headers['cache-control'], 'private, no-store')
  const [access, refresh, csrf] = answer.set
  assert.match(access, /^ydoc_access=ydoc_access_[\w-]{43}; Path=\/; Max-Age=\d+; SameSite=Strict; HttpOnly$/)
  assert.match(refresh, /^ydoc_refresh=ydoc_refresh_[\w-]{43}; Path=\/; Max-Age=\d+; SameSite=Strict; HttpOnly$/)
  assert.match(csrf, /^ydoc_csrf=[0-9a-f]{64}; Path=\/; Max-Age=\d+; SameSite=Strict$/)
  assert.ok(csrf.includes(answer.json.csrf_token))
  assert.equal(await sql("SELECT claims FROM ydoc_data.session ORDER BY created_at DESC LIMIT 1"), '{"sub": "ann", "name": "Ann"}')
  // in the body as well, and over TLS with the prefix
  const inBody = await ask('POST', '/api/session', { on: secure, body: JSON.stringify({ token: keys.token('ann') }) })
  assert.equal(inBody.status, 201)
  for (const line of inBody.set) assert.match(line, /^__Host-ydoc_\w+=.*; Path=\/; .*; Secure/)
})

test('the cookie opens documents on every relay, by WebSocket and by HTTP, and is the actor', async () => {
  const jar = await login('ann')
  const ann = open(relay, 'shared/cookie', { headers: { cookie: cookieHeader(jar) } })
  await ann.synced()
  ann.text.insert(0, 'typed')
  await until(async () => await database.text('shared/cookie') === 'typed')
  assert.equal(await sql("SELECT actor FROM ydoc_data.log WHERE document = 'shared/cookie'"), 'ann')
  const again = open(other, 'shared/cookie', { headers: { cookie: cookieHeader(jar) } })
  await again.synced()
  assert.equal(again.text.toString(), 'typed')
  const list = await ask('GET', '/api/documents', { on: other, jar })
  assert.deepEqual(list.json.documents.map(each => each.name), ['shared/cookie'])
  // with the prefix, no other cookie counts
  const prefixed = await login('ann', { on: secure })
  const good = open(secure, 'shared/cookie', { headers: { cookie: cookieHeader(prefixed) } })
  await good.synced()
  assert.equal((await closeOf(open(secure, 'shared/cookie', { headers: { cookie: cookieHeader(prefixed).replaceAll('__Host-', '') } }))).code, 4401)
})

test('refreshing gives the next pair, and a connection outlives the access token that opened it', async () => {
  await sql("SELECT ydoc.set_session_policy(access_lifetime => '1 second')")
  const jar = await login('ann')
  const first = copy(jar)
  const ann = open(relay, 'shared/long', { headers: { cookie: cookieHeader(jar) } })
  await ann.synced()
  await sleep(2500)
  ann.text.insert(0, 'later')
  await until(async () => await database.text('shared/long') === 'later')
  // to come back, it takes a fresh one
  assert.deepEqual(await closeOf(open(relay, 'shared/long', { headers: { cookie: cookieHeader(first) } })),
    { code: 4401, reason: 'token is not valid any more' })
  assert.deepEqual(problem(await ask('GET', '/api/documents', { jar: first })), [401, 'bad-token'])
  const answer = await ask('POST', '/api/session/refresh', { jar })
  assert.equal(answer.status, 200)
  assert.notEqual(jar.cookies.ydoc_access, first.cookies.ydoc_access)
  assert.notEqual(jar.cookies.ydoc_refresh, first.cookies.ydoc_refresh)
  assert.equal(jar.csrf, first.csrf)
  const back = open(relay, 'shared/long', { headers: { cookie: cookieHeader(jar) } })
  await back.synced()
  assert.equal(ann.provider.wsconnected, true)
  await sql('SELECT ydoc.set_session_policy()')
})

test('two tabs that refresh at once get the same pair', async () => {
  const jar = await login('ann')
  const tabs = [copy(jar), copy(jar)]
  const answers = await Promise.all([ask('POST', '/api/session/refresh', { jar: tabs[0] }), ask('POST', '/api/session/refresh', { on: other, jar: tabs[1] })])
  assert.deepEqual(answers.map(answer => answer.status), [200, 200])
  assert.deepEqual(tabs[0].cookies, tabs[1].cookies)
  assert.equal((await ask('POST', '/api/session/refresh', { jar: tabs[1] })).status, 200)
})

test('logging out closes what is open on every relay within a second; everywhere, all sessions', async () => {
  const [here, there] = [await login('ann'), await login('ann', { on: other })]
  const clients = [[relay, here], [other, here], [other, there]].map(([on, jar]) => open(on, 'shared/out', { headers: { cookie: cookieHeader(jar) } }))
  await Promise.all(clients.map(client => client.synced()))
  const closed = clients.map(closeOf)
  const list = await ask('GET', '/api/sessions', { jar: here })
  assert.equal(list.json.sessions.filter(each => each.is_this).length, 1)
  assert.ok(list.json.sessions.length >= 2)
  const began = Date.now()
  const answer = await ask('DELETE', '/api/session', { jar: here })
  assert.equal(answer.status, 204)
  assert.deepEqual(here.cookies, {})
  for (const line of answer.set) assert.match(line, /Max-Age=0/)
  for (const one of closed.slice(0, 2)) assert.equal((await one).code, 4401)
  assert.ok(Date.now() - began < 1000, `${Date.now() - began} ms`)
  assert.equal(clients[2].provider.wsconnected, true)
  assert.equal((await ask('DELETE', '/api/sessions', { jar: there })).status, 204)
  assert.equal((await closed[2]).code, 4401)
  assert.equal(await sql("SELECT count(*) FROM ydoc.sessions('ann')"), '0')
})

// ---- attacks ----

test('attack: a refresh token that was used, shown again later, ends the session for everybody', async () => {
  const jar = await login('ann')
  const stolen = copy(jar)
  assert.equal((await ask('POST', '/api/session/refresh', { jar })).status, 200)
  const ann = open(relay, 'shared/stolen', { headers: { cookie: cookieHeader(jar) } })
  await ann.synced()
  const closed = closeOf(ann)
  await sql("UPDATE ydoc_data.session_token SET used_at = used_at - interval '1 minute' WHERE used_at IS NOT NULL")
  const answer = await ask('POST', '/api/session/refresh', { on: other, jar: stolen })
  assert.deepEqual(problem(answer), [401, 'session-replayed'])
  assert.deepEqual(stolen.cookies, {})
  assert.equal((await closed).code, 4401)
  assert.deepEqual(problem(await ask('POST', '/api/session/refresh', { jar })), [401, 'session-ended'])
  assert.equal(await sql("SELECT event FROM ydoc_data.session_audit ORDER BY at DESC LIMIT 1"), 'replayed')
})

test('attack: cookies without the double submit change nothing', async () => {
  const jar = await login('ann')
  const tries = [
    { csrf: null }, { csrf: '' }, { csrf: 'x' }, { csrf: 'f'.repeat(64) }, { csrf: jar.csrf.slice(1) }, { csrf: jar.csrf + '0' },
    { csrf: jar.csrf.toUpperCase().replace(/^[0-9]+$/, 'F'.repeat(64)) === jar.csrf ? 'F'.repeat(64) : jar.csrf.toUpperCase() }]
  for (const { csrf } of tries) {
    for (const [method, path] of [['POST', '/api/session/refresh'], ['DELETE', '/api/session'], ['DELETE', '/api/sessions']]) {
      const answer = await ask(method, path, { jar: copy(jar), csrf })
      assert.deepEqual(problem(answer), [403, 'csrf'], `${method} ${path} ${csrf}`)
      assert.deepEqual(answer.set, [])
    }
  }
  // nor with a cookie that the attacker made up beside the header: of two, none counts
  const doubled = { ...copy(jar) }
  const header = `${cookieHeader(doubled)}; ydoc_csrf=${'0'.repeat(64)}`
  assert.equal((await ask('POST', '/api/session/refresh', { csrf: '0'.repeat(64), headers: { cookie: header } })).status, 401)
  assert.equal((await ask('POST', '/api/session/refresh', { jar })).status, 200)
})

test('attack: pages from elsewhere get nothing, whatever they send', async () => {
  const jar = await login('ann')
  for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }, { origin: relay.http + '.evil.example' }]) {
    for (const [method, path] of [['POST', '/api/session'], ['POST', '/api/session/refresh'], ['DELETE', '/api/session'], ['DELETE', '/api/sessions'], ['GET', '/api/sessions']]) {
      const answer = await ask(method, path, { jar: copy(jar), headers })
      assert.deepEqual(problem(answer), [403, 'cross-site'], `${method} ${path} ${JSON.stringify(headers)}`)
      assert.equal(answer.headers['access-control-allow-origin'], undefined)
    }
  }
  // cookies for TLS alone are of pages that came by TLS, wherever that ends
  const prefixed = await login('ann', { on: secure })
  const page = scheme => ask('POST', '/api/session/refresh', { on: secure, jar: prefixed, headers: { host: 'notes.example', origin: `${scheme}://notes.example` } })
  assert.deepEqual(problem(await page('http')), [403, 'cross-site'])
  assert.equal((await page('https')).status, 200)
  // the WebSocket of such a page comes without the cookie: it is a stranger's
  const evil = open(relay, 'shared/secret', { headers: { cookie: cookieHeader(jar), origin: 'https://evil.example' } })
  assert.deepEqual(await closeOf(evil), { code: 4401, reason: 'log in to read this document' })
  // a page that is listed may
  const listed = await ask('POST', '/api/session/refresh', { jar, headers: { origin: 'https://app.example' } })
  assert.equal(listed.status, 200)
  assert.equal(listed.headers['access-control-allow-origin'], 'https://app.example')
  const ours = open(relay, 'shared/secret', { headers: { cookie: cookieHeader(jar), origin: relay.http } })
  await ours.synced()
})

test('attack: what is no login assertion starts no session', async () => {
  const jar = await login('ann')
  const [head, body, signature] = keys.token('ann').split('.')
  const forged = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(body, 'base64url')), sub: 'eve' })).toString('base64url')
  const tries = {
    nothing: {},
    'an expired one': { headers: keys.bearer('ann', { exp: 1 }) },
    'for another audience': { headers: keys.bearer('ann', { aud: 'mail' }) },
    forged: { headers: { authorization: `Bearer ${head}.${forged}.${signature}` } },
    unsigned: { headers: { authorization: `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.` } },
    'an access token of a session': { headers: { authorization: `Bearer ${jar.cookies.ydoc_access}` } },
    'the cookies of a session': { jar: copy(jar) },
    'a refresh token': { headers: { authorization: `Bearer ${jar.cookies.ydoc_refresh}` } },
    'claims without a signature': { body: '{"token": {"sub": "ann"}}' },
    'no string': { body: '{"token": 1}' },
    'no JSON': { body: 'token' },
    'nested JSON': { body: '['.repeat(5000) },
    'an access token in the body': { body: JSON.stringify({ token: jar.cookies.ydoc_access }) },
    'a bad one in the body, beside a good one': { body: '{"token": "a.b.c"}', headers: keys.bearer('ann') }
  }
  const before = await sql('SELECT count(*) FROM ydoc_data.session')
  for (const [what, options] of Object.entries(tries)) {
    const answer = await ask('POST', '/api/session', options)
    assert.deepEqual([answer.status, answer.set], [401, []], `${what}: ${JSON.stringify(answer.json)}`)
  }
  assert.equal((await ask('POST', '/api/session', { body: 'x'.repeat(30000) })).status, 413)
  assert.equal((await ask('POST', '/api/session', { headers: { ...keys.bearer('ann'), 'content-type': 'text/plain' }, body: '{}' })).status, 415)
  // an assertion without a user
  assert.equal((await ask('POST', '/api/session', { headers: { authorization: `Bearer ${keys.token(undefined)}` } })).status, 401)
  assert.equal(await sql('SELECT count(*) FROM ydoc_data.session'), before)
})

test('attack: an assertion with a name starts one session', async () => {
  const headers = keys.bearer('ann', { jti: 'once' })
  assert.equal((await ask('POST', '/api/session', { headers })).status, 201)
  assert.deepEqual(problem(await ask('POST', '/api/session', { on: other, headers })), [401, 'assertion-used'])
})

test('attack: guessed and garbled cookies', async () => {
  const jar = await login('ann')
  const values = ['', 'x', 'ydoc_refresh_' + 'A'.repeat(43), 'ydoc_access_' + 'A'.repeat(43), jar.cookies.ydoc_access, "' OR 1=1 --", '%00', '"' + 'x'.repeat(150) + '"', 'y'.repeat(4000)]
  for (const value of values) {
    const answer = await ask('POST', '/api/session/refresh', { csrf: jar.csrf, headers: { cookie: `ydoc_csrf=${jar.csrf}; ydoc_refresh=${value}` } })
    assert.equal(answer.status, 401, value)
    const { code } = await closeOf(open(relay, 'shared/x', { headers: { cookie: `ydoc_access=${value.startsWith('ydoc_access') ? 'ydoc_access_' + 'B'.repeat(43) : value}` } }))
    assert.equal(code, 4401, value)
  }
  // two of one name: nobody can tell whose
  const both = `ydoc_access=${jar.cookies.ydoc_access}; ydoc_access=${(await login('ben')).cookies.ydoc_access}`
  assert.equal((await closeOf(open(relay, 'shared/x', { headers: { cookie: both } }))).code, 4401)
  assert.equal((await ask('POST', '/api/session/refresh', { jar })).status, 200)
})

test('without --sessions there are none, and methods that are not there are said so', async () => {
  for (const [method, path] of [['POST', '/api/session/refresh'], ['DELETE', '/api/session'], ['GET', '/api/sessions']]) {
    assert.deepEqual(problem(await ask(method, path, { on: without })), [404, 'no-endpoint'])
  }
  const jar = await login('ann')
  assert.equal((await closeOf(open(without, 'shared/x', { headers: { cookie: cookieHeader(jar) } }))).code, 4401)
  const answer = await ask('GET', '/api/session')
  assert.deepEqual(problem(answer), [405, 'method'])
  assert.match(answer.headers.allow, /POST/)
})
