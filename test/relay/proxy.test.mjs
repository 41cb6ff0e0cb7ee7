// Limits per address, and whose address counts when proxies stand between.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import * as Y from 'yjs'

import { closeAll, logged, metric, open, raw, relayProgram, residentBytes, sleep, startDatabase, startRelay, until } from './harness.mjs'

let database
const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-proxy-'))

before(async () => {
  writeFileSync(join(directory, 'secret'), randomBytes(32), { mode: 0o600 })
  database = await startDatabase()
})
afterEach(closeAll)
after(async () => {
  await database?.stop()
  rmSync(directory, { recursive: true })
})

async function withRelay (flags, body) {
  const relay = await startRelay(database, { arguments: flags })
  try {
    await body(relay)
  } finally {
    closeAll()
    await relay.stop()
  }
}

// What a request from there is answered; it keeps its socket if so wished.
function status (relay, { from = '127.0.0.1', fields = [], path = '/healthz' } = {}) {
  return new Promise((resolve, reject) => {
    const url = new URL(relay.http)
    const socket = connect({ host: url.hostname, port: Number(url.port), localAddress: from })
    socket.on('connect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${fields.map(field => `${field}\r\n`).join('')}\r\n`))
    socket.on('data', data => {
      socket.destroy()
      resolve(Number(String(data).split(' ')[1]))
    })
    socket.on('error', error => error.code === 'ECONNRESET' ? resolve(status(relay, { from, fields, path })) : reject(error))
  })
}

const forwarded = address => ({ 'x-forwarded-for': address })
const trust = ['--trusted-proxy', '127.0.0.1, 10.0.0.0/8,2001:db8:1::/48', '--max-connections-per-address', '2']

// Is a third socket of this address, in these fields, one too many?
async function isLimited (relay, fields, from) {
  return await status(relay, { fields, from }) === 429
}

test('behind a proxy that is trusted, the client\'s address counts', { timeout: 30000 }, () => withRelay(trust, async relay => {
  for (const [held, same, others] of [
    ['192.0.2.1', ['X-Forwarded-For: 192.0.2.1', 'x-forwarded-for:  192.0.2.1 ', 'X-Forwarded-For: 192.0.2.1:4711', 'X-Forwarded-For: ::ffff:192.0.2.1',
      'X-Forwarded-For: 198.51.100.7, 192.0.2.1', 'X-Forwarded-For: 192.0.2.1, 10.1.2.3', 'X-Forwarded-For: evil, 192.0.2.1, 10.1.2.3, 10.0.0.1',
      // a quote that he leaves open does not swallow what the proxy appends
      'X-Forwarded-For: ", 192.0.2.1', 'X-Forwarded-For: "a, 192.0.2.1, 10.1.2.3'],
    ['X-Forwarded-For: 192.0.2.2', 'X-Forwarded-For: 192.0.2.1, 192.0.2.2', 'X-Forwarded-For: 192.0.2.2, 10.1.2.3', 'X-Forwarded-For: 10.1.2.3', 'X-Other: 192.0.2.1', 'Forwarded: for=192.0.2.1']],
    ['2001:db8:2:3::1', ['X-Forwarded-For: 2001:db8:2:3::1', 'X-Forwarded-For: 2001:db8:2:3:ffff::9', 'X-Forwarded-For: [2001:db8:2:3::1]:443', 'X-Forwarded-For: 2001:db8:2:3::1, 2001:db8:1:9::1'],
      ['X-Forwarded-For: 2001:db8:2:4::1']]
  ]) {
    const sockets = [await raw(relay, '/a', forwarded(held)), await raw(relay, '/a', forwarded(held))]
    await assert.rejects(raw(relay, '/a', forwarded(held)), /Unexpected server response: 429/)
    for (const field of same) assert.ok(await isLimited(relay, [field]), field)
    for (const field of others) assert.ok(!await isLimited(relay, [field]), field)
    // several lines are one list
    if (held === '192.0.2.1') {
      assert.ok(await isLimited(relay, ['X-Forwarded-For: 192.0.2.9', 'X-Forwarded-For: 192.0.2.1']))
      assert.ok(await isLimited(relay, ['X-Forwarded-For: 192.0.2.9, 192.0.2.1', 'X-Forwarded-For: 10.1.2.3']))
      assert.ok(!await isLimited(relay, ['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-For: 192.0.2.9']))
    }
    for (const socket of sockets) socket.close()
    await sockets[1].closed
    await until(async () => !await isLimited(relay, [`X-Forwarded-For: ${held}`]))
  }
  // what the proxy says that is no address counts for nobody, and stops nobody
  for (const odd of ['', 'unknown', '_hidden', '999.1.1.1', '192.0.2.1/8', ',,,', '1'.repeat(5000), '[::1', '"192.0.2.1']) {
    for (let i = 0; i < 3; i++) assert.equal(await status(relay, { fields: [`X-Forwarded-For: ${odd}`] }), 200, odd)
  }
}))

test('who is no proxy of ours cannot say who he is', { timeout: 30000 }, () => withRelay([...trust, '--unlimited-networks', ''], async relay => {
  const hold = async address => {
    const url = new URL(relay.http)
    const socket = connect({ host: url.hostname, port: Number(url.port), localAddress: '127.0.0.9' })
    socket.on('error', () => {})
    socket.write(`GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${address}\r\n`) // unfinished
    await sleep(50)
    return socket
  }
  const sockets = [await hold('192.0.2.1'), await hold('192.0.2.2')]
  assert.ok(await isLimited(relay, ['X-Forwarded-For: 192.0.2.3'], '127.0.0.9'))
  for (const socket of sockets) socket.destroy()
  assert.ok(!await isLimited(relay, ['X-Forwarded-For: 192.0.2.1'], '127.0.0.8'))
}))

test('Forwarded is read where it is configured, and the other header is not', { timeout: 30000 }, () => withRelay([...trust, '--proxy-header', 'Forwarded'], async relay => {
  const sockets = [await raw(relay, '/a', { forwarded: 'for=192.0.2.1' }), await raw(relay, '/a', { forwarded: 'For="192.0.2.1:80";proto=https' })]
  for (const value of ['for=192.0.2.1', 'proto=https; for=192.0.2.1;by=10.0.0.1', 'for="192.0.2.1"', 'for=unknown, for=192.0.2.1', 'for=192.0.2.9,for=192.0.2.1', 'for="[::ffff:192.0.2.1]:99"', 'for=192.0.2.1, for="10.2.3.4"',
    // what he wrote before it, or as the host that he asks, is not read as the proxy's
    'for=", for=192.0.2.1', 'for="\\"", for=192.0.2.1', 'for="_a,b, for="192.0.2.1:80"', 'host="x;for=192.0.2.9";for=192.0.2.1', 'host="x\\";for=192.0.2.9, for=192.0.2.9";for=192.0.2.1']) {
    assert.ok(await isLimited(relay, [`Forwarded: ${value}`]), value)
  }
  for (const value of ['for=192.0.2.1, for=192.0.2.9', 'for=unknown', 'by=192.0.2.1', 'for=192.0.2.1, for=_gazonk', 'for=', '192.0.2.1']) assert.ok(!await isLimited(relay, [`Forwarded: ${value}`]), value)
  assert.ok(!await isLimited(relay, ['X-Forwarded-For: 192.0.2.1']))
  for (const socket of sockets) socket.close()
}))

test('the log says from which address each update came, if that is wanted', { timeout: 30000 }, async () => {
  const posted = new Y.Doc()
  posted.getText('content').insert(0, 'posted')
  const write = async (relay, name) => {
    for (const address of ['192.0.2.7', '2001:db8:2:3::1']) {
      const client = open(relay, name, { headers: forwarded(address) })
      await client.synced()
      client.text.insert(0, address)
      await until(async () => (await database.text(name)).includes(address))
    }
    const { status } = await fetch(`${relay.http}/api/documents/${name}/update`, {
      method: 'POST', body: Y.encodeStateAsUpdate(posted), headers: forwarded('192.0.2.9')
    })
    assert.equal(status, 204)
  }
  const sources = name => database.psql(`SELECT string_agg(coalesce(source, '-'), ' ' ORDER BY first) FROM (
    SELECT source, min(seq) AS first FROM ydoc.audit('${name}') GROUP BY source) AS found`)
  await withRelay([...trust, '--log-addresses'], async relay => {
    await write(relay, 'sources')
    assert.equal(await sources('sources'), '192.0.2.7 2001:db8:2:3::/64 192.0.2.9')
  })
  await withRelay(trust, async relay => {
    await write(relay, 'none')
    assert.equal(await sources('none'), '-')
  })
})

test('who connects too often is told to wait, and others are not', { timeout: 30000 }, () => withRelay([...trust, '--max-handshake-rate', '5'], async relay => {
  const eve = { fields: ['X-Forwarded-For: 192.0.2.66'] }
  const answers = []
  for (let i = 0; i < 70; i++) answers.push(await status(relay, eve))
  assert.deepEqual([...new Set(answers.slice(0, 50))], [200]) // ten seconds' worth at once
  assert.equal(answers.at(-1), 429)
  for (let i = 0; i < 60; i++) assert.equal(await status(relay, { fields: [`X-Forwarded-For: 192.0.2.${100 + i}`] }), 200)
  await assert.rejects(raw(relay, '/a', forwarded('192.0.2.66')), /Unexpected server response: 429/)
  await until(async () => await status(relay, eve) === 200) // later it is let in again
  await logged(relay, /"event": "address_limited", "limit": "max-handshake-rate"/)
}))

test('who shows bad tokens too often is turned away, and others are not', { timeout: 30000 }, () => withRelay(
  [...trust, '--max-failure-rate', '10', '--jwt-secret-file', join(directory, 'secret')], async relay => {
    const guess = (address, path = '/api/documents') => status(relay, { path, fields: [`X-Forwarded-For: ${address}`, 'Authorization: Bearer a.b.c'] })
    const answers = []
    for (let i = 0; i < 15; i++) answers.push(await guess('192.0.2.66'))
    assert.deepEqual(answers, [...Array(10).fill(401), ...Array(5).fill(429)])
    assert.equal(await status(relay, { fields: ['X-Forwarded-For: 192.0.2.66'] }), 429)
    await assert.rejects(raw(relay, '/a', forwarded('192.0.2.66')), /Unexpected server response: 429/)
    // over WebSocket it is the same
    for (let i = 0; i < 10; i++) {
      const socket = await raw(relay, '/a', { ...forwarded('192.0.2.77'), authorization: 'Bearer a.b.c' })
      assert.equal((await socket.closed).code, 4401)
    }
    await assert.rejects(raw(relay, '/a', forwarded('192.0.2.77')), /Unexpected server response: 429/)
    assert.equal(await guess('192.0.2.88'), 401)
    await until(async () => await status(relay, { fields: ['X-Forwarded-For: 192.0.2.66'] }) === 200) // one comes back in 6 s
  }))

// a sanitizer keeps what was freed
test('what addresses did is remembered in little memory', { timeout: 120000, skip: relayProgram.includes('sanitize') }, () => withRelay([...trust, '--max-handshake-rate', '1', '--max-connections-per-address', '1'], async relay => {
  // one connection a request: many at once
  let next = 0
  const total = 30000
  const before = residentBytes(relay)
  await Promise.all(Array.from({ length: 50 }, async () => {
    for (let i = next++; i < total; i = next++) {
      assert.equal(await status(relay, { fields: [`X-Forwarded-For: 2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1`] }), 200)
    }
  }))
  const grown = residentBytes(relay) - before
  assert.ok(grown < 24 << 20, `${grown} bytes for ${total} addresses`)
  const ann = open(relay, 'memory')
  await ann.synced()
  assert.equal(await metric(relay, 'handshakes'), 0)
}))

test('programs on this machine have no limits, unless one says so', { timeout: 30000 }, () => withRelay(['--max-connections-per-address', '1', '--max-handshake-rate', '1'], async relay => {
  const sockets = []
  for (let i = 0; i < 20; i++) sockets.push(await raw(relay, '/local'))
  for (const socket of sockets) socket.close()
}))

test('metrics are for this machine and private networks, or for those that are named', { timeout: 30000 }, async () => {
  const watch = (relay, address, from) => status(relay, { path: '/metrics', from, fields: address ? [`X-Forwarded-For: ${address}`] : [] })
  await withRelay(['--trusted-proxy', '127.0.0.1'], async relay => {
    for (const inside of [undefined, '10.1.2.3', '172.31.0.1', '192.168.7.7', '::1', 'fd00::1', 'fe80::1', '::ffff:10.0.0.1']) assert.equal(await watch(relay, inside), 200, inside)
    for (const outside of ['198.51.100.7', '172.32.0.1', '192.169.0.1', '2001:db8::1', '::ffff:198.51.100.7', '10.1.2.3, 198.51.100.7']) assert.equal(await watch(relay, outside), 403, outside)
    assert.equal(await status(relay, { fields: ['X-Forwarded-For: 198.51.100.7'] }), 200) // health is for everybody
    assert.equal(await watch(relay, '198.51.100.7', '127.0.0.2'), 200) // who is no proxy says what he likes
  })
  await withRelay(['--trusted-proxy', '127.0.0.1', '--metrics-networks', '198.51.100.0/24'], async relay => {
    assert.equal(await watch(relay, '198.51.100.7'), 200)
    assert.equal(await watch(relay, '10.1.2.3'), 403)
    assert.equal(await watch(relay), 403)
  })
  await withRelay(['--metrics-networks', ''], async relay => assert.equal(await watch(relay), 403))
})

test('networks that are none are refused at the start', async () => {
  const check = (...flags) => new Promise(resolve => execFile(relayProgram, ['--check', ...flags], (error, stdout, stderr) => resolve([error?.code ?? 0, stderr])))
  for (const good of ['10.0.0.0/8', '::/0', '0.0.0.0/0', '192.0.2.1', '2001:db8::1/128, 10.1.1.1', '']) assert.deepEqual(await check('--trusted-proxy', good), [0, ''], good)
  for (const bad of ['10.0.0.0/33', '::/129', '10.0.0/8', 'localhost', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8x', '10.0.0.0/8;', Array(65).fill('10.0.0.1').join()]) {
    const [code, message] = await check('--trusted-proxy', bad)
    assert.equal(code, 78, bad)
    assert.match(message, /trusted-proxy must be/)
    assert.equal((await check('--unlimited-networks', bad))[0], 78)
    assert.equal((await check('--metrics-networks', bad))[0], 78)
  }
  assert.match((await check('--proxy-header', 'x-real-ip'))[1], /proxy-header must be/)
})
