// The HTTP API: documents for programs, and what is refused (relay/http/openapi.json describes it).
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import * as Y from 'yjs'

import { chance } from '../chance.mjs'
import { closeAll, logged, metric, open, sleep, startDatabase, startDetour, startRelay, until } from './harness.mjs'
import { keyring } from './keyring.mjs'

const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-api-'))
const keys = keyring('notes')
const base64url = bytes => Buffer.from(bytes).toString('base64url')
const token = (sub, more = {}) => keys.token(sub, { groups: ['team'], ...more })

let database, relay, checked

before(async () => {
  mkdirSync(join(directory, 'pages'))
  writeFileSync(join(directory, 'pages', 'index.html'), '<title>page</title>')
  database = await startDatabase()
  await database.psql(`CREATE ROLE door LOGIN; SELECT ydoc.grant_relay('door');
    SELECT ydoc.grant_access('team/%', 'group:team', 'write'), ydoc.grant_access('public/%', 'public', 'read')`)
  relay = await startRelay(database, { static: join(directory, 'pages') })
  checked = await startRelay(
    { ...database, pooled: undefined, conninfo: database.conninfo.replace('user=postgres', 'user=door') },
    { arguments: [...keys.flags, '--origins', 'https://app.example, https://other.example'] })
})

afterEach(closeAll)

after(async () => {
  closeAll()
  for (const each of [relay, checked]) assert.deepEqual(await each?.stop(), { code: 0, signal: null })
  await database?.stop()
  rmSync(directory, { recursive: true })
  keys.remove()
})

const at = (name, rest = '') => `/api/documents/${encodeURIComponent(name)}${rest}`
const ask = (path, { on = relay, ...options } = {}) => fetch(on.http + path, options)
const bytes = async answer => new Uint8Array(await answer.arrayBuffer())

// An update that types this into a document of its own.
function typed (text, root = 'content') {
  const doc = new Y.Doc()
  doc.getText(root).insert(0, text)
  return Y.encodeStateAsUpdate(doc)
}

async function post (name, update, options = {}) {
  return ask(at(name, '/update'), { method: 'POST', body: update, ...options })
}

// A problem of that status and code; says what it is about.
async function refused (answer, status, code) {
  const body = await answer.text()
  assert.equal(answer.status, status, body)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  const problem = JSON.parse(body)
  assert.deepEqual({ type: problem.type, status: problem.status }, { type: `urn:problem-type:ydoc:${code}`, status })
  assert.ok(problem.title.length > 0 && problem.detail.length > 0)
  return problem.detail
}

// What comes back for these bytes, until the relay closes; pieces are written one after the other.
function raw (pieces, { on = relay, pause = 20 } = {}) {
  return new Promise(resolve => {
    const url = new URL(on.http)
    const socket = connect({ host: url.hostname, port: Number(url.port) })
    const start = performance.now()
    let text = ''
    socket.on('connect', async () => {
      for (const piece of [pieces].flat()) {
        if (!socket.destroyed) socket.write(piece)
        await sleep(pause)
      }
    })
    socket.on('data', data => { text += data.toString('latin1') })
    socket.on('error', () => {})
    socket.on('close', () => resolve({ text, status: Number(text.split(' ')[1]), ms: performance.now() - start }))
  })
}

// Whatever came before, others are served.
async function servesOthers (on = relay) {
  const ann = open(on, 'bystander')
  const ben = open(on, 'bystander')
  await Promise.all([ann.synced(), ben.synced()])
  const length = ben.text.length
  ann.text.insert(0, 'x')
  await until(() => ben.text.length === length + 1)
  closeAll()
}

test('the description is OpenAPI 3.1, and names what there is', async () => {
  const answer = await ask('/api/openapi.json')
  assert.equal(answer.headers.get('content-type'), 'application/json')
  const description = await answer.json()
  const validator = new Validator()
  const { valid, errors } = await validator.validate(structuredClone(description))
  assert.ok(valid, JSON.stringify(errors))
  assert.equal(validator.version, '3.1')
  // every operation is there, and nothing else
  for (const [path, item] of Object.entries(description.paths)) {
    const allowed = (await ask(path.replaceAll(/[{}]/g, ''), { method: 'OPTIONS' })).headers.get('allow')
    const described = ['get', 'post', 'put', 'patch', 'delete'].filter(method => item[method] !== undefined)
    assert.equal(allowed, [...described.flatMap(method => method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]), 'OPTIONS'].join(', '), path)
  }
})

test('an update that is posted is committed before the answer, and open editors see it', async () => {
  const ann = open(relay, 'post/1')
  await ann.synced()
  ann.text.insert(0, 'typed')
  await until(async () => await database.text('post/1') === 'typed')
  const answer = await post('post/1', Y.encodeStateAsUpdate((doc => { doc.getText('more').insert(0, 'posted'); return doc })(new Y.Doc())))
  assert.equal(answer.status, 204)
  assert.equal(await answer.text(), '')
  assert.equal(await database.text('post/1', 'more'), 'posted')
  await until(() => ann.doc.getText('more').toString() === 'posted')
  assert.equal(ann.text.toString(), 'typed')
})

test('updates come as fetch and as sendBeacon send them, and twice', async () => {
  const update = typed('hello')
  for (const [body, headers] of [
    [update, { 'content-type': 'application/octet-stream' }],
    [new Blob([update], { type: 'text/plain' }), {}],
    [update, { 'content-type': 'text/plain;charset=UTF-8' }],
    [update, {}]
  ]) assert.equal((await post('post/2', body, { headers })).status, 204)
  assert.equal(await database.text('post/2'), 'hello')
  assert.equal(await database.psql("SELECT count(*) FROM ydoc_data.log WHERE document = 'post/2'"), '1')
})

test('many posts at once are all stored', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => post(`post/many/${i % 5}`, typed('x'))))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [204])
  for (let i = 0; i < 5; i++) assert.equal((await database.text(`post/many/${i}`)).length, 20)
})

test('an update that is none is refused, and nothing is stored', async () => {
  assert.match(await refused(await post('post/bad', new Uint8Array([1, 2, 3])), 422, 'malformed-bytes'), /^invalid update: .*byte 1/)
  await refused(await post('post/bad', new Uint8Array(0)), 400, 'malformed')
  await refused(await post('post/bad', typed('x'), { headers: { 'content-type': 'application/json' } }), 415, 'unsupported-type')
  await refused(await post('post/bad', typed('x'), { headers: { 'content-encoding': 'gzip' } }), 415, 'unsupported-type')
  assert.equal(await database.psql("SELECT count(*) FROM ydoc_data.log WHERE document = 'post/bad'"), '0')
  await servesOthers()
})

test('content is what Yjs has, in every kind', async () => {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, 'hällo <b>', {})
  await post('kinds/1', Y.encodeStateAsUpdate(doc))
  const get = async (rest, options) => (await ask(at('kinds/1', rest), options))
  for (const rest of ['', '/update']) {
    const answer = await get(rest)
    assert.equal(answer.headers.get('content-type'), 'application/octet-stream')
    assert.deepEqual(await bytes(answer), Y.encodeStateAsUpdate(doc))
  }
  assert.deepEqual(await bytes(await get('/state-vector')), Y.encodeStateVector(doc))
  assert.deepEqual(await bytes(await get('/update?format=2')), Y.encodeStateAsUpdateV2(doc))
  assert.deepEqual(await bytes(await get('/update?format=1')), Y.encodeStateAsUpdate(doc))
  assert.deepEqual(await (await get('/json')).json(), { content: 'hällo <b>' })
  assert.deepEqual(await (await get('/json?root=content')).json(), 'hällo <b>')
  assert.equal(await (await get('/text')).text(), 'hällo <b>')
  assert.equal(await (await get('/html?root=content')).text(), '<p>hällo &lt;b&gt;</p>')
  assert.match(await (await get('/markdown')).text(), /^hällo \\?<b\\?>/)
  // a difference
  const before = Y.encodeStateVector(doc)
  doc.getText('content').insert(0, 'more ')
  await post('kinds/1', Y.encodeStateAsUpdate(doc, before))
  const difference = await bytes(await get(`/update?state_vector=${base64url(before)}`))
  assert.deepEqual(difference, Y.encodeStateAsUpdate(doc, before))
  assert.deepEqual(await bytes(await get(`/update?format=2&state_vector=${base64url(before)}`)), Y.encodeStateAsUpdateV2(doc, before))
})

test('the Accept field chooses', async () => {
  await post('accept', typed('hello'))
  for (const [accept, type] of [
    ['*/*', 'application/octet-stream'], ['application/json', 'application/json'], ['text/*', 'text/plain; charset=utf-8'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text/html; charset=utf-8'],
    ['text/markdown', 'text/markdown; charset=utf-8'], ['text/plain;q=0.1, application/*;q=0.5', 'application/octet-stream'],
    ['application/octet-stream;q=0, */*', 'application/json'], ['TEXT/HTML', 'text/html; charset=utf-8']
  ]) assert.equal((await ask(at('accept'), { headers: { accept } })).headers.get('content-type'), type, accept)
  for (const accept of ['image/png', 'text/plain;q=0', 'nonsense', ',,,', 'application/jso', '*']) {
    await refused(await ask(at('accept'), { headers: { accept } }), 406, 'not-acceptable')
  }
})

test('questions that make no sense are refused with their reason', async () => {
  await post('two', typed('a', 'a'))
  await post('two', typed('b', 'b'))
  assert.match(await refused(await ask(at('two', '/text')), 400, 'malformed'), /2 roots/)
  await refused(await ask(at('two', '/text?root=c')), 404, 'not-found')
  await refused(await ask(at('two', '/json?state_vector=AA')), 400, 'malformed')
  await refused(await ask(at('two', '/update?state_vector=!')), 400, 'malformed')
  await refused(await ask(at('two', '/update?state_vector=AA==')), 400, 'malformed')
  await refused(await ask(at('two', '/update?state_vector=_w')), 422, 'malformed-bytes')
  await refused(await ask(at('two', '/update?format=3')), 400, 'malformed')
  await refused(await ask(at('two', '/update?format=1&format=2')), 400, 'malformed')
  await refused(await ask(at('two', '/versions/none')), 404, 'no-version')
  await refused(await ask(at('none', '/versions')), 404, 'no-document')
  await refused(await ask(at('none', '/html')), 404, 'no-document')
  for (const limit of ['0', '1001', '-1', '1e3', '', '99999999999999999999', '10;']) {
    await refused(await ask(`/api/documents?limit=${limit}`), 400, 'malformed')
  }
})

test('deleted and renamed documents say so', async () => {
  await post('gone/1', typed('x'))
  await post('gone/2', typed('x'))
  await database.psql("SELECT ydoc.delete('gone/1'), ydoc.rename('gone/2', 'gone/3')")
  await refused(await ask(at('gone/1', '/text')), 410, 'document-deleted')
  assert.match(await refused(await ask(at('gone/2')), 410, 'document-moved'), /gone\/3/)
  await refused(await post('gone/1', typed('y')), 410, 'document-deleted')
  await refused(await post('gone/2', typed('y')), 410, 'document-moved')
})

test('an update does not meet another document that has taken the name', async () => {
  const epochOf = async () => (await (await ask('/api/documents?prefix=epoch/1')).json()).documents[0].epoch
  await post('epoch/1', typed('first'))
  const old = await epochOf()
  const send = (epoch, text) => ask(at('epoch/1', `/update?epoch=${epoch}`), { method: 'POST', body: typed(text) })
  assert.equal((await send(old, 'same ')).status, 204)
  await database.psql("SELECT ydoc.purge('epoch/1')")
  await database.psql("SELECT ydoc.create('epoch/1', ydoc_from_text('second', 'content'))")
  await refused(await send(old, 'late '), 410, 'document-deleted')
  assert.equal((await send(await epochOf(), 'new ')).status, 204)
  assert.equal([...await database.text('epoch/1')].sort().join(''), [...'secondnew '].sort().join(''))
  for (const odd of ['0', '-1', 'x', '1x', '99999999999999999999', '']) await refused(await send(odd, 'x'), 400, 'malformed')
})

test('versions are listed and read', async () => {
  await post('versions/1', typed('first'))
  await database.psql("SELECT ydoc.create_version('versions/1', 'a/b ?%', 'the note')")
  const state = await bytes(await ask(at('versions/1')))
  await post('versions/1', typed('second '))
  const { versions } = await (await ask(at('versions/1', '/versions'))).json()
  assert.equal(versions.length, 1)
  const { at: time, ...version } = versions[0]
  assert.deepEqual(version, { label: 'a/b ?%', seq: 1, actor: null, note: 'the note' })
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 600000)
  const path = at('versions/1', `/versions/${encodeURIComponent('a/b ?%')}`)
  assert.deepEqual(await bytes(await ask(path)), state)
  assert.equal(await (await ask(`${path}/text`)).text(), 'first')
  assert.equal(await (await ask(path, { headers: { accept: 'text/html' } })).text(), '<p>first</p>')
  assert.deepEqual(await (await ask(`${path}/json`)).json(), { content: 'first' })
})

test('what a client has is not sent again', async () => {
  await post('etag', typed('hello'))
  const first = await ask(at('etag', '/text'))
  const etag = first.headers.get('etag')
  const get = (path, tags) => ask(path, { headers: { 'if-none-match': tags } })
  assert.match(etag, /^"\d+\.1\.text"$/)
  assert.equal((await get(at('etag', '/text'), etag)).status, 304)
  assert.equal((await get(at('etag', '/text'), `"x", W/${etag}`)).status, 304)
  assert.equal((await get(at('etag', '/html'), etag)).status, 200) // another kind's
  for (const odd of ['*', '"', '"1.1.text"', '"..text"', `"${'9'.repeat(40)}.1.text"`, etag.slice(0, -1), '']) {
    assert.equal((await get(at('etag', '/text'), odd)).status, 200, odd)
  }
  await post('etag', typed('more '))
  const second = await get(at('etag', '/text'), etag)
  assert.equal(second.status, 200)
  assert.notEqual(second.headers.get('etag'), etag)
})

test('the list is paged by name', async () => {
  await database.psql("SELECT ydoc.text_append('page/' || lpad(n::text, 2, '0'), 't', 'x') FROM generate_series(1, 25) n")
  const names = []
  let pages = 0
  for (let after = ''; after !== null; pages++) {
    const page = await (await ask(`/api/documents?prefix=page/&limit=10&after=${encodeURIComponent(after)}`)).json()
    for (const { name, epoch, seq, level, created_at: time } of page.documents) {
      names.push(name)
      assert.match(epoch, /^\d+$/)
      assert.deepEqual({ seq, level }, { seq: 1, level: 'admin' })
      assert.ok(Date.parse(time) > 0)
    }
    after = page.next_after
  }
  assert.equal(pages, 3)
  assert.deepEqual(names, Array.from({ length: 25 }, (_, i) => `page/${String(i + 1).padStart(2, '0')}`))
})

test('names are any text, percent-encoded, in one segment', async () => {
  for (const name of ['a b', 'ä/ö', 'a%2Fb', '..', '../../etc/passwd', "'; DROP TABLE ydoc_data.log; --", '$1', '\\x00', 'a?b#c&d=e', '日本語', 'x'.repeat(1024), '"', '{}', 'update', 'api/documents']) {
    // of fetch's URL, dots would vanish
    const path = `/api/documents/${encodeURIComponent(name).replaceAll('.', '%2E')}`
    const update = typed(name)
    const posted = await raw([`POST ${path}/update HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${update.length}\r\n\r\n`, update])
    assert.equal(posted.status, 204, name)
    const { text } = await raw(`GET ${path}/text HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    assert.equal(Buffer.from(text.split('\r\n\r\n')[1], 'latin1').toString(), name)
    assert.equal(await database.psql(`SELECT ydoc.text(convert_from('\\x${Buffer.from(name).toString('hex')}', 'UTF8'), 'content')`), name)
  }
  for (const name of ['%00', '%0a', '%7f', '%ff', '%c0%af', '%ed%a0%80', '%2', '%', '%zz', 'x'.repeat(1025)]) {
    assert.equal((await raw(`GET /api/documents/${name}/text HTTP/1.1\r\nHost: localhost\r\n\r\n`)).status, 400, name)
  }
  for (const path of ['/api/documents/', '/api/documents//text', '/api/documents/a/b', '/api//documents', '/api/documents/a/text/', '/api', '/api/', '/API/documents']) {
    assert.equal((await raw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).status, 404, path)
  }
  await servesOthers()
})

test('SQL in every field is text', async () => {
  const sql = "'; DROP TABLE ydoc_data.document; SELECT '"
  const q = encodeURIComponent(sql)
  await post('sql', typed('x'))
  assert.deepEqual((await (await ask(`/api/documents?prefix=${q}&after=${q}`)).json()).documents, [])
  await refused(await ask(at('sql', `/text?root=${q}`)), 404, 'not-found')
  await refused(await ask(at('sql', `/versions/${q}`)), 404, 'no-version')
  await refused(await ask(at(sql, '/text')), 404, 'no-document')
  assert.equal((await ask(at('sql', '/text'), { headers: { 'if-none-match': sql, accept: `${sql}, */*` } })).status, 200)
  await refused(await ask(`/api/documents?limit=${q}`), 400, 'malformed')
  await refused(await ask(at('sql', `/update?state_vector=${q}`)), 400, 'malformed')
  assert.equal(await database.text('sql'), 'x')
})

test('every answer is private, of its type, and runs nothing', async () => {
  await post('headers', typed('<script>'))
  for (const [path, options] of [
    ['/healthz', {}], ['/readyz', {}], ['/metrics', {}], ['/api/openapi.json', {}], ['/api/documents', {}], [at('headers'), {}], [at('headers', '/html'), {}],
    [at('none'), {}], ['/nothing', {}], ['/api/documents', { method: 'POST', body: 'x' }], ['/api/documents', { method: 'OPTIONS' }],
    [at('headers', '/update'), { method: 'POST', body: typed('x') }]
  ]) {
    const { headers } = await ask(path, options)
    assert.equal(headers.get('cache-control'), 'private, no-store', path)
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
    assert.match(headers.get('content-security-policy'), /default-src 'none'; frame-ancestors 'none'/)
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin')
    assert.equal(headers.get('access-control-allow-origin'), null)
  }
  const page = await ask('/')
  assert.equal(await page.text(), '<title>page</title>')
  assert.match(page.headers.get('content-security-policy'), /frame-ancestors 'none'/)
})

test('HEAD is GET without content, OPTIONS says what there is, and no other method does', async () => {
  await post('methods', typed('hello'))
  const [get, head] = [await ask(at('methods', '/text')), await ask(at('methods', '/text'), { method: 'HEAD' })]
  assert.deepEqual([head.status, await head.text()], [200, ''])
  for (const field of ['content-length', 'content-type', 'etag']) assert.equal(head.headers.get(field), get.headers.get(field))
  for (const method of ['PUT', 'PATCH', 'DELETE', 'POST']) {
    const answer = await ask(at('methods', '/text'), { method, body: 'x' })
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS')
    await refused(answer, 405, 'method')
  }
  for (const method of ['BREW', 'CONNECT', 'TRACE', 'get']) {
    assert.equal((await raw(`${method} /api/documents HTTP/1.1\r\nHost: localhost\r\n\r\n`)).status, 501, method)
  }
  assert.equal(await database.text('methods'), 'hello')
})

test('heads that are no HTTP, or too large, are refused', async () => {
  const get = (path, fields = '') => raw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`)
  for (const fields of [
    'Host: y\r\n', 'Content-Length: 1\r\nContent-Length: 2\r\n', 'Content-Length: -1\r\n', 'Content-Length: 0x10\r\n', 'Content-Length: 1, 1\r\n',
    'Content-Length: 99999999999999999999\r\n', 'Authorization: Bearer a\r\nAuthorization: Bearer b\r\n', 'X-Bad : 1\r\n', 'X-Folded: 1\r\n 2\r\n', 'no colon\r\n', 'X: a\x01b\r\n'
  ]) assert.equal((await get('/api/documents', fields)).status, 400, fields)
  assert.equal((await get('/api/documents?' + 'a'.repeat(9000))).status, 414)
  assert.equal((await get('/api/documents', 'X-Large: ' + 'a'.repeat(17000) + '\r\n')).status, 431)
  assert.equal((await get('/api/documents', Array.from({ length: 150 }, (_, i) => `X-${i}: 1\r\n`).join(''))).status, 431)
  assert.equal((await get('/api/documents?' + Array.from({ length: 50 }, (_, i) => `p${i}=1`).join('&'))).status, 431)
  for (const line of ['GET  /api/documents HTTP/1.1', 'GET /api/documents', 'GET /api/documents HTTP/2.0', 'GET http://x/api/documents HTTP/1.1', 'GET * HTTP/1.1', '/api/documents', 'GET /api/documents#x HTTP/1.1']) {
    const { status } = await raw(`${line}\r\nHost: localhost\r\n\r\n`)
    assert.ok([400, 404, 501].includes(status), `${line}: ${status}`)
  }
  await servesOthers()
})

test('bodies are bounded, announced, and refused with an answer that arrives', async () => {
  const limited = await startRelay(database, { arguments: ['--max-message', '20K', '--max-reassembly', '30K'] })
  try {
    await refused(await post('large', new Uint8Array(30000), { on: limited }), 413, 'too-large')
    // while the client is still sending
    await refused(await post('large', new Uint8Array(8 << 20), { on: limited }), 413, 'too-large')
    await refused(await ask('/nothing', { on: limited, method: 'POST', body: new Uint8Array(8 << 20) }), 404, 'no-endpoint')
    // whoever writes a name with its slashes is told
    assert.match(await refused(await ask('/api/documents/notes/7', { on: limited }), 404, 'no-endpoint'), /%2F/)
    assert.equal((await raw(`POST ${at('large', '/update')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000000000\r\n\r\n`, { on: limited })).status, 413)
    assert.equal((await raw(`POST ${at('large', '/update')} HTTP/1.1\r\nHost: localhost\r\n\r\n`, { on: limited })).status, 411)
    const chunked = await raw(`POST ${at('large', '/update')} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\0\0\r\n0\r\n\r\n`, { on: limited })
    assert.equal(chunked.status, 411)
    for (const both of ['Transfer-Encoding: chunked\r\nContent-Length: 2\r\n', 'Content-Length: 2\r\nTransfer-Encoding: identity\r\n']) {
      assert.equal((await raw(`POST ${at('large', '/update')} HTTP/1.1\r\nHost: localhost\r\n${both}\r\n\0\0`, { on: limited })).status, 411)
    }
    assert.equal((await raw('GET /api/documents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc', { on: limited })).status, 400)
    // all bodies under way together
    const head = `POST ${at('large', '/update')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 19000\r\n\r\n`
    const [first, second] = [raw([head, Buffer.alloc(15000)], { on: limited }), sleep(200).then(() => raw([head, Buffer.alloc(18000)], { on: limited }))]
    assert.equal((await second).status, 503)
    assert.equal((await first).status, 408)
    await servesOthers(limited)
  } finally {
    closeAll()
    await limited.stop()
  }
})

test('a body that does not come is not waited for, and one in pieces is', { timeout: 30000 }, async () => {
  const update = typed('slowly')
  const head = `POST ${at('slow', '/update')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${update.length}\r\n\r\n`
  const stuck = raw([head, update.subarray(0, 5)])
  const stuckLarge = raw([head.replace(/Length: .*/, 'Length: 200000'), update.subarray(0, 5)])
  const trickle = raw([head, ...Array.from(update.subarray(0, 12), byte => Uint8Array.of(byte))], { pause: 1000 })
  const inPieces = await raw([head.slice(0, 10), head.slice(10), ...Array.from(update, byte => Uint8Array.of(byte))], { pause: 5 })
  assert.equal(inPieces.status, 204)
  assert.equal(await database.text('slow'), 'slowly')
  for (const each of [await stuck, await stuckLarge, await trickle]) {
    assert.equal(each.status, 408)
    assert.ok(each.ms > 9000 && each.ms < 15000, `${each.ms} ms`)
  }
  assert.equal(await metric(relay, 'handshakes'), 0)
})

test('who asks whether to send a body is told', async () => {
  const update = typed('expected')
  const { text } = await raw([`POST ${at('expect', '/update')} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${update.length}\r\n\r\n`, update], { pause: 200 })
  assert.match(text, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 204 /)
  assert.equal(await database.text('expect'), 'expected')
  const large = await raw(`POST ${at('expect', '/update')} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 99000000\r\n\r\n`)
  assert.equal(large.status, 413)
})

test('one socket serves one request: what follows it is not read', async () => {
  await post('pipelined', typed('kept'))
  const one = `GET ${at('pipelined', '/text')} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const update = typed('smuggled ')
  const smuggled = `POST ${at('pipelined', '/update')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${update.length}\r\n\r\n`
  for (const pieces of [[one + one + one], [one + smuggled, update], [one, one], [Buffer.concat([Buffer.from(one + smuggled), update])]]) {
    const { text } = await raw(pieces)
    assert.equal(text.match(/HTTP\/1\.1 /g).length, 1, text)
    assert.match(text, /kept$/)
  }
  // a body longer than announced
  const own = typed('own ')
  const { text } = await raw([`POST ${at('pipelined', '/update')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${own.length}\r\n\r\n`, Buffer.concat([own, Buffer.from(smuggled), update])])
  assert.equal(text.match(/HTTP\/1\.1 /g).length, 1, text)
  await sleep(100)
  assert.equal((await database.text('pipelined')).includes('smuggled'), false)
  await servesOthers()
})

test('who goes before the answer leaves nothing behind', async () => {
  const detour = await startDetour(database)
  const own = await startRelay(detour, { arguments: ['--max-wait', '60'] })
  try {
    await until(async () => await metric(own, 'database_connections_up') === 5)
    detour.hold('apply')
    const update = typed('posted')
    const url = new URL(own.http)
    const socket = connect({ host: url.hostname, port: Number(url.port) })
    socket.on('error', () => {})
    socket.write(`POST ${at('left', '/update')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${update.length}\r\n\r\n`)
    socket.write(update)
    await until(async () => await metric(own, 'pending_bytes') > 0)
    socket.destroy()
    await sleep(100)
    detour.pass()
    await until(async () => await metric(own, 'pending_bytes') === 0)
    assert.equal(await database.text('left'), 'posted')
    assert.equal(await metric(own, 'rooms'), 0)
    // and a reader who goes
    await post('left', typed('x'.repeat(3 << 20)), { on: own })
    for (let i = 0; i < 20; i++) {
      const reader = connect({ host: url.hostname, port: Number(url.port) })
      reader.on('error', () => {})
      reader.write(`GET ${at('left', '/update')} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      await sleep(i % 7)
      reader.destroy()
    }
    assert.equal((await (await ask(at('left', '/text'), { on: own })).text()).length, (3 << 20) + 6)
  } finally {
    await own.stop()
    await detour.stop()
  }
})

test('while the database is away, whoever asks is told to come back', { timeout: 60000 }, async () => {
  const detour = await startDetour(database)
  const own = await startRelay(detour, { arguments: ['--max-wait', '1', '--max-pending', '64K', '--max-message', '64K'] })
  try {
    await until(async () => await metric(own, 'database_connections_up') === 5)
    detour.leave()
    await until(async () => await metric(own, 'database_connections_up') === 0)
    const waiting = [post('away', typed('kept'), { on: own }), ask(at('away', '/text'), { on: own })]
    await until(async () => await metric(own, 'breakers_open') > 0)
    const answer = await post('away', typed('refused'), { on: own })
    assert.equal(answer.headers.get('retry-after'), '5')
    await refused(answer, 503, 'overloaded')
    detour.comeBack()
    const [posted, read] = await Promise.all(waiting) // they waited
    assert.equal(posted.status, 204)
    assert.ok([200, 404].includes(read.status))
    assert.equal(await database.text('away'), 'kept')
  } finally {
    await own.stop()
    await detour.stop()
  }
})

test('who reads slowly, or not at all, holds up nobody and little memory', { timeout: 120000 }, async t => {
  const own = await startRelay(database, { arguments: ['--max-load-memory', '16M'] })
  try {
    await post('huge', typed('x'.repeat(8 << 20)), { on: own })
    assert.equal((await (await ask(at('huge', '/text'), { on: own })).text()).length, 8 << 20)
    const url = new URL(own.http)
    const start = performance.now()
    const readers = Array.from({ length: 20 }, () => {
      const socket = connect({ host: url.hostname, port: Number(url.port) })
      socket.pause()
      socket.on('error', () => {})
      socket.ended = new Promise(resolve => socket.on('close', resolve))
      socket.write(`GET ${at('huge', '/update')} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      return socket
    })
    await until(async () => await metric(own, 'http_answer_bytes') > 16 << 20)
    await servesOthers(own)
    await sleep(1000)
    // so many, and one for each reader of the database
    assert.ok(await metric(own, 'http_answer_bytes') <= (16 + 3 * 8) << 20)
    // the others are told, and who does not read is cut
    await until(async () => await metric(own, 'http_answer_bytes') < 1 << 20, 60000)
    t.diagnostic(`cut after ${Math.round(performance.now() - start)} ms`)
    assert.ok(performance.now() - start > 25000)
    for (const reader of readers) reader.destroy()
    assert.equal((await (await ask(at('huge', '/text'), { on: own })).text()).length, 8 << 20)
    await until(async () => await metric(own, 'http_answer_bytes') === 0)
  } finally {
    closeAll()
    await own.stop()
  }
})

test('documents and updates larger than the database allows are refused', { timeout: 30000 }, async () => {
  await database.psql("ALTER DATABASE test SET ydoc.max_document_size = '100kB'; ALTER DATABASE test SET ydoc.max_update_size = '60kB'")
  const own = await startRelay({ ...database, pooled: undefined }) // a pooler keeps sessions that know nothing of it
  try {
    await until(async () => await metric(own, 'database_connections_up') === 5)
    await database.psql('ALTER DATABASE test RESET ydoc.max_document_size; ALTER DATABASE test RESET ydoc.max_update_size')
    await refused(await post('sizes', typed('x'.repeat(70000)), { on: own }), 413, 'too-large')
    assert.equal((await post('sizes', typed('x'.repeat(50000)), { on: own })).status, 204)
    assert.match(await refused(await post('sizes', typed('x'.repeat(55000)), { on: own }), 413, 'too-large'), /max_document_size/)
    assert.equal((await post('sizes', typed('y'), { on: own })).status, 204)
    assert.equal((await database.text('sizes')).length, 50001)
  } finally {
    await own.stop()
  }
})

test('a relay without keys may do what its role may', { timeout: 30000 }, async () => {
  await database.psql("CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA ydoc_data TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO reader; CREATE ROLE nobody LOGIN; SELECT ydoc.text_append('roles', 'content', 'x')")
  const startAs = role => startRelay({ ...database, pooled: undefined, conninfo: database.conninfo.replace('user=postgres', `user=${role}`) })
  const reading = await startAs('reader')
  try {
    await until(async () => (await ask('/readyz', { on: reading })).status === 200)
    for (const path of [at('roles', '/text'), '/api/documents', at('roles', '/versions')]) assert.equal((await ask(path, { on: reading })).status, 200, path)
  } finally {
    await reading.stop()
  }
  // one that may do nothing is not ready, and is told what to do
  const idle = await startAs('nobody')
  try {
    await logged(idle, /"rights_missing".*ydoc\.grant_relay/)
    assert.equal((await ask('/readyz', { on: idle })).status, 503)
  } finally {
    await idle.stop()
  }
})

test('rubbish harms nobody', { timeout: 60000 }, async t => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
  t.diagnostic(`SEED=${seed}`)
  const { below: random, pick } = chance(seed)
  const parts = ['GET ', 'POST ', 'OPTIONS ', 'HEAD ', '/api/documents', '/api/documents/a%2Fb', '/update', '/versions/x', '?limit=', '&root=', '%2e%2e', '%00', '%', '//', ' HTTP/1.1', ' HTTP/1.0', '\r\n', '\n', '\r', '\r\n\r\n',
    'Host: localhost', 'Content-Length: 3', 'Content-Length: 18446744073709551616', 'Transfer-Encoding: chunked', 'Expect: 100-continue', 'Accept: text/*;q=', 'Cookie: ydoc_access=', 'Authorization: Bearer ', 'Upgrade: websocket', 'Connection: upgrade',
    'If-None-Match: "1.1.', 'Origin: null', ': ', ';', ',', '\0', '\xff\xfe', 'a'.repeat(300), '0\r\n\r\n']
  for (let i = 0; i < 400; i++) {
    let text = random(3) > 0 ? `${pick(['GET', 'POST', 'HEAD'])} ${pick(['/api/documents', at('rubbish', '/update'), at('rubbish')])} HTTP/1.1\r\nHost: localhost\r\n` : ''
    for (let n = random(8); n > 0; n--) text += pick(parts) + (random(2) ? '\r\n' : '')
    if (random(2)) text += '\r\n\r\n'
    const { hostname, port } = new URL(pick([relay, checked]).http)
    await new Promise(resolve => {
      const socket = connect({ host: hostname, port: Number(port) })
      socket.on('error', () => {})
      socket.on('close', resolve)
      socket.write(Buffer.from(text, 'latin1'))
      setTimeout(() => socket.destroy(), 5 + random(10))
    })
  }
  for (const each of [relay, checked]) {
    assert.equal((await ask('/healthz', { on: each })).status, 200)
    await until(async () => await metric(each, 'handshakes') === 0 && await metric(each, 'http_body_bytes') === 0)
  }
  await servesOthers()
})

// ---- users ----

const as = (sub, more = {}) => ({ on: checked, headers: { authorization: `Bearer ${token(sub, more)}` } })

test('a user gets what the database lets him have', async () => {
  assert.equal((await post('team/plan', typed('plan'), as('ann'))).status, 204)
  assert.equal(await database.psql("SELECT actor FROM ydoc_data.log WHERE document = 'team/plan'"), 'ann')
  await database.psql("SELECT ydoc.text_append('public/page', 'content', 'seen by all'), ydoc.text_append('secret', 'content', 'secret')")
  await database.psql("SELECT ydoc.create_version('team/plan', 'v')")
  const team = as('ann')
  const eve = as('eve', { groups: [] })
  const nobody = { on: checked }
  assert.equal(await (await ask(at('team/plan', '/text'), team)).text(), 'plan')
  for (const rest of ['', '/update', '/text', '/html', '/json', '/state-vector', '/versions', '/versions/v', '/versions/v/text']) {
    assert.equal((await ask(at('team/plan', rest), team)).status, 200, rest)
    if (rest !== '/versions') { // that of a document that one may not read is no list
      await refused(await ask(at('team/plan', rest), eve), 403, 'forbidden')
      const answer = await ask(at('team/plan', rest), nobody)
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
      await refused(answer, 401, 'unauthorized')
      // nobody learns that there is no such document
      await refused(await ask(at('team/none', rest), eve), 403, 'forbidden')
    }
  }
  for (const one of [eve, nobody]) assert.ok([403, 401, 404].includes((await ask(at('team/plan', '/versions'), one)).status))
  for (const one of [team, eve, nobody]) assert.equal(await (await ask(at('public/page', '/text'), one)).text(), 'seen by all')
  await refused(await post('public/page', typed('x'), as('ann')), 403, 'forbidden')
  await refused(await post('public/page', typed('x'), nobody), 401, 'unauthorized')
  await refused(await post('team/plan', typed('x'), eve), 403, 'forbidden')
  assert.equal(await database.text('team/plan'), 'plan')
  const list = async one => (await (await ask('/api/documents', one)).json()).documents.map(({ name, level }) => `${name} ${level}`)
  assert.deepEqual(await list(team), ['public/page read', 'team/plan write'])
  assert.deepEqual(await list(eve), ['public/page read'])
  assert.deepEqual(await list(nobody), ['public/page read'])
})

test('who may see little of much gets it in pages that may be empty', async () => {
  await database.psql("INSERT INTO ydoc_data.document (name) SELECT 'crowd/' || n FROM generate_series(1, 2500) n; SELECT ydoc.text_append('zz/public', 't', 'x'), ydoc.grant_access('zz/%', 'public', 'read')")
  const names = []
  let empty = 0
  for (let after = 'crowd'; after !== null;) {
    const page = await (await ask(`/api/documents?after=${encodeURIComponent(after)}`, { on: checked })).json()
    names.push(...page.documents.map(({ name }) => name))
    empty += page.documents.length === 0
    after = page.next_after
  }
  assert.ok(empty >= 2)
  assert.deepEqual(names, ['public/page', 'zz/public'])
  await database.psql("DELETE FROM ydoc_data.document WHERE name LIKE 'crowd/%'")
})

test('bad tokens are refused before anything is read', async () => {
  const others = keyring('notes')
  others.remove()
  for (const bad of [others.token('ann'), token('ann', { exp: 1 }), 'x', 'a.b.c', 'x'.repeat(9000)]) {
    const answer = await ask(at('team/plan'), { on: checked, headers: { authorization: `Bearer ${bad}` } })
    await refused(answer, 401, 'bad-token')
  }
  // a token in the address is not looked at, unless configured
  await refused(await ask(at('team/plan', `?token=${token('ann')}`), { on: checked }), 401, 'unauthorized')
})

test('a cookie counts on pages of ours alone', async () => {
  assert.equal((await post('team/cookie', typed('plan'), as('ann'))).status, 204)
  const cookie = `ydoc_access=${token('ann')}`
  const get = (headers, options = {}) => ask(at('team/cookie', '/text'), { on: checked, headers: { cookie, ...headers }, ...options })
  const host = new URL(checked.http).host
  assert.equal((await get({})).status, 200)
  assert.equal((await get({ origin: `http://${host}` })).status, 200)
  const listed = await get({ origin: 'https://app.example' })
  assert.equal(listed.status, 200)
  assert.equal(listed.headers.get('access-control-allow-origin'), 'https://app.example')
  assert.equal(listed.headers.get('access-control-allow-credentials'), 'true')
  assert.match(listed.headers.get('vary'), /Origin/)
  for (const headers of [
    { origin: 'https://evil.example' }, { origin: 'null' }, { origin: `http://${host}.evil.example` }, { origin: 'https://app.example.evil' }, { origin: 'app.example' },
    { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }
  ]) {
    const answer = await raw(`GET ${at('team/cookie', '/text')} HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`, { on: checked })
    assert.equal(answer.status, 403, JSON.stringify(headers))
    assert.equal(/access-control-allow/i.test(answer.text), false)
    const written = await raw([`POST ${at('team/cookie', '/update')} HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`, Buffer.alloc(2)], { on: checked })
    assert.equal(written.status, 403)
  }
  // health is for everybody's eyes
  assert.equal((await ask('/healthz', { on: checked, headers: { origin: 'https://evil.example' } })).status, 200)
})

test('pages of listed origins may ask beforehand what they may', async () => {
  const preflight = origin => ask(at('team/plan', '/update'), {
    on: checked, method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' }
  })
  const answer = await preflight('https://other.example')
  assert.equal(answer.status, 204)
  assert.equal(answer.headers.get('access-control-allow-origin'), 'https://other.example')
  assert.equal(answer.headers.get('access-control-allow-methods'), 'GET, HEAD, POST, OPTIONS')
  assert.match(answer.headers.get('access-control-allow-headers'), /Authorization, Content-Type/)
  await refused(await preflight('https://evil.example'), 403, 'cross-site')
})

test('a relay without keys believes no name but its machine\'s', async () => {
  const named = (host, more = '', on = relay) => raw(`GET /api/documents HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`, { on })
  for (const host of ['localhost', 'localhost:1234', '127.0.0.1', '[::1]:80']) assert.equal((await named(host)).status, 200, host)
  // a name that somebody else gives out may be made to lead here
  for (const host of ['evil.example', 'evil.example:80', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1']) {
    assert.equal((await named(host)).status, 403, host)
    assert.equal((await named(host, `Origin: http://${host}\r\n`)).status, 403, host)
  }
  assert.equal((await named('evil.example', '', checked)).status, 200) // there, tokens say who asks
  const own = await startRelay(database, { arguments: ['--origins', 'https://notes.example'] })
  try {
    assert.equal((await named('notes.example', '', own)).status, 200)
    assert.equal((await named('other.example', '', own)).status, 403)
  } finally {
    await own.stop()
  }
})

test('a relay that stops answers whoever has asked', async () => {
  const own = await startRelay(database)
  const answers = []
  let isStopping = false
  const asking = Promise.all(Array.from({ length: 5 }, async () => {
    while (!isStopping) answers.push((await post('stopping', typed('x'), { on: own }).catch(error => ({ status: error.cause?.code }))).status)
  }))
  await until(() => answers.length > 50)
  const ended = own.stop()
  await sleep(300)
  isStopping = true
  await asking
  await ended
  const odd = answers.filter(status => status !== 204 && status !== 'ECONNREFUSED')
  assert.deepEqual(odd.filter(status => status !== 503 && status !== 'ECONNRESET'), [])
  assert.ok(Number(await database.psql("SELECT length(ydoc.text('stopping', 'content'))")) >= answers.filter(status => status === 204).length)
})
