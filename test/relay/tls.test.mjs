// TLS on the relay's own port: people, programs, certificates that change, and peers that do not play along.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { after, afterEach, before, test } from 'node:test'
import { WebSocket } from 'ws'

import { closeAll, logged, open as openAt, relayProgram, sleep, startDatabase, startRelay, until, Y } from './harness.mjs'
import { keyring } from './keyring.mjs'

const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-tls-'))
const file = name => join(directory, name)

function makeCertificate (name) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)], { stdio: 'ignore' })
}

function install (name) {
  for (const kind of ['pem', 'key']) {
    copyFileSync(file(`${name}.${kind}`), file(`used.${kind}.new`))
    renameSync(file(`used.${kind}.new`), file(`used.${kind}`))
  }
}

let database, relay
const flags = ['--tls-certificate', file('used.pem'), '--tls-key', file('used.key'), '--log-level', 'debug']

before(async () => {
  for (const name of ['first', 'second']) makeCertificate(name)
  install('first')
  database = await startDatabase()
  relay = await startRelay(database, { arguments: flags })
})

afterEach(closeAll)

after(async () => {
  closeAll()
  assert.deepEqual(await relay?.stop(), { code: 0, signal: null })
  await database?.stop()
  rmSync(directory, { recursive: true })
})

const port = of => Number(new URL(of.http).port)
const ca = () => [readFileSync(file('first.pem')), readFileSync(file('second.pem'))]

class TrustingSocket extends WebSocket {
  constructor (url) {
    super(url, { ca: ca() })
  }
}

const open = (name, of = relay) => openAt({ url: `wss://127.0.0.1:${port(of)}` }, name, { Socket: TrustingSocket })

function ask (path, { body, headers = {}, method = body ? 'POST' : 'GET', of = relay, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: port(of), path, method, ca: ca(), agent: false, headers: { ...headers, ...(body ? { 'content-length': body.length } : {}) }, ...options }, async answer => {
      const certificate = answer.socket.getPeerCertificate?.().subject?.CN
      const chunks = []
      try {
        for await (const chunk of answer) chunks.push(chunk)
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks), certificate, protocol: answer.socket.getProtocol?.() })
      } catch (error) { reject(error) }
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

const update = text => {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, text)
  return Buffer.from(Y.encodeStateAsUpdate(doc))
}

test('people edit together, and programs ask', { timeout: 30000 }, async () => {
  const [ann, ben] = [open('tls/1'), open('tls/1')]
  await Promise.all([ann.synced(), ben.synced()])
  ann.text.insert(0, 'hello')
  await until(() => ben.text.toString() === 'hello')
  assert.equal((await ask('/api/documents/tls%2F1/update', { body: update('posted ') })).status, 204)
  await until(() => ann.text.toString().includes('posted') && ben.text.toString() === ann.text.toString())
  const read = await ask('/api/documents/tls%2F1/text')
  assert.equal(read.body.toString(), ann.text.toString())
  assert.equal(read.certificate, 'first')
  assert.equal(read.protocol, 'TLSv1.3')
  assert.equal((await ask('/healthz', { maxVersion: 'TLSv1.2' })).protocol, 'TLSv1.2')
  // a name is what the request says, here as without TLS
  const odd = open('a//b/../c')
  await odd.synced()
  odd.text.insert(0, 'x')
  await until(async () => await database.psql("SELECT count(*) FROM ydoc_data.document WHERE name IN ('a//b/../c', 'a//c')") === '1')
})

test('a large document goes both ways, also to who reads slowly', { timeout: 60000 }, async () => {
  const text = 'x'.repeat(5 << 20)
  assert.equal((await ask('/api/documents/tls%2Flarge/update', { body: update(text) })).status, 204)
  assert.equal((await ask('/api/documents/tls%2Flarge/text')).body.toString(), text)
  const ann = open('tls/large')
  await ann.synced()
  assert.equal(ann.text.length, text.length)
  ann.text.insert(0, 'y'.repeat(3 << 20))
  await until(async () => await database.psql("SELECT length(ydoc.text('tls/large', 'content'))") === String(8 << 20))
  const slow = await new Promise(resolve => {
    const socket = connectTls({ host: '127.0.0.1', port: port(relay), ca: ca() }, () => socket.write('GET /api/documents/tls%2Flarge/text HTTP/1.1\r\nHost: localhost\r\n\r\n'))
    let size = 0
    socket.on('data', data => {
      size += data.length
      socket.pause()
      setTimeout(() => socket.resume(), 1)
    })
    socket.on('end', () => resolve(size))
  })
  assert.ok(slow > 8 << 20, `${slow} bytes`)
})

test('certificates change while people type', { timeout: 60000 }, async () => {
  const [ann, ben] = [open('tls/reload'), open('tls/reload')]
  await Promise.all([ann.synced(), ben.synced()])
  let closes = 0
  for (const each of [ann, ben]) each.provider.on('connection-close', () => closes++)
  const type = async () => {
    const length = ben.text.length
    ann.text.insert(0, 'x')
    await until(() => ben.text.length === length + 1)
  }
  const loaded = () => relay.log.split('\n').filter(line => line.includes('"certificate_loaded"')).length
  const serves = async name => (await ask('/healthz')).certificate === name
  // when told
  install('second')
  relay.child.kill('SIGHUP')
  await until(() => serves('second'))
  await type()
  // a bad file changes nothing
  writeFileSync(file('used.pem'), 'no certificate')
  relay.child.kill('SIGHUP')
  await logged(relay, /"certificate_bad"/)
  assert.ok(await serves('second'))
  // a key that is another's neither
  copyFileSync(file('first.pem'), file('used.pem'))
  const before = relay.log.length
  relay.child.kill('SIGHUP')
  await until(() => relay.log.slice(before).includes('key values mismatch'))
  assert.ok(await serves('second'))
  // by itself, when the files change
  const count = loaded()
  install('first')
  await until(() => loaded() > count)
  await until(() => serves('first'))
  await type()
  assert.equal(closes, 0)
})

test('who speaks no TLS, or old TLS, or another protocol, gets nothing, and others are served', { timeout: 60000 }, async () => {
  const talk = bytes => new Promise(resolve => {
    const socket = connect(port(relay), '127.0.0.1')
    const got = []
    socket.on('connect', () => socket.write(bytes))
    socket.on('data', data => got.push(data))
    socket.on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(got)))
  })
  assert.equal((await talk('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')).toString('latin1').includes('HTTP/1.1 200'), false)
  await talk(Buffer.from([0x16, 3, 1, 0xff, 0xff, 1, 2, 3]))
  await talk(Buffer.alloc(5000, 0xa5))
  for (const options of [{ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }, { ALPNProtocols: ['h2'] }]) {
    await assert.rejects(ask('/healthz', options))
  }
  const alpn = await new Promise(resolve => {
    const socket = connectTls({ host: '127.0.0.1', port: port(relay), ca: ca(), ALPNProtocols: ['h2', 'http/1.1'] }, () => {
      resolve(socket.alpnProtocol)
      socket.destroy()
    })
  })
  assert.equal(alpn, 'http/1.1')
  const [ann, ben] = [open('tls/others'), open('tls/others')]
  await Promise.all([ann.synced(), ben.synced()])
  ann.text.insert(0, 'x')
  await until(() => ben.text.length === 1)
})

test('refusals arrive, whatever is still being sent', { timeout: 60000 }, async () => {
  const own = await startRelay(database, { arguments: [...flags, '--max-message', '20K'] })
  try {
    assert.equal((await ask('/api/documents/x/update', { of: own, body: Buffer.alloc(4 << 20) })).status, 413)
    assert.equal((await ask('/nothing', { of: own, body: Buffer.alloc(4 << 20) })).status, 404)
    assert.equal((await ask('/healthz', { of: own, headers: { 'x-large': 'x'.repeat(17000) } })).status, 431)
    assert.equal((await ask('/%zz', { of: own })).status, 400)
    // the head in pieces
    const inPieces = await new Promise(resolve => {
      let text = ''
      const socket = connectTls({ host: '127.0.0.1', port: port(own), ca: ca() }, async () => {
        for (const byte of 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n') {
          socket.write(byte)
          await sleep(2)
        }
      })
      socket.on('data', data => { text += data })
      socket.on('end', () => resolve(text))
    })
    assert.match(inPieces, /^HTTP\/1.1 200/)
    const silent = await new Promise(resolve => {
      let text = ''
      const start = performance.now()
      const socket = connectTls({ host: '127.0.0.1', port: port(own), ca: ca() }, () => socket.write('GET /healthz HTTP/1.1\r\n'))
      socket.on('data', data => { text += data })
      socket.on('close', () => resolve({ text, ms: performance.now() - start }))
    })
    assert.match(silent.text, /^HTTP\/1.1 408/)
    assert.ok(silent.ms > 9000 && silent.ms < 15000)
  } finally {
    await own.stop()
  }
})

test('handshakes that are left, and sockets that vanish, leave nothing behind', { timeout: 60000 }, async () => {
  const own = await startRelay(database, { arguments: flags })
  const descriptors = () => Number(execFileSync('sh', ['-c', `ls /proc/${own.child.pid}/fd | wc -l`]))
  try {
    await until(async () => (await ask('/readyz', { of: own })).status === 200)
    const before = descriptors()
    const half = Array.from({ length: 50 }, () => connect(port(own), '127.0.0.1').on('error', () => {}))
    await until(() => descriptors() >= before + 150) // the socket, and both ends of its pipe
    for (const socket of half) socket.destroy()
    for (let i = 0; i < 50; i++) {
      await new Promise(resolve => {
        const below = connect(port(own), '127.0.0.1').on('error', () => {})
        const socket = connectTls({ socket: below, host: '127.0.0.1', ca: ca() }, () => {
          if (i % 3 > 0) socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
          if (i % 2 > 0) below.resetAndDestroy()
          else socket.destroy()
          resolve()
        })
        socket.on('error', resolve)
      })
    }
    await until(() => descriptors() <= before + 2)
    const stuck = connect(port(own), '127.0.0.1').on('error', () => {})
    await new Promise(resolve => stuck.on('close', resolve)) // ten seconds are enough for a handshake
  } finally {
    await own.stop()
  }
})

test('a page of the same name that came without TLS is one from elsewhere', { timeout: 60000 }, async () => {
  // whoever stands in the network may put what he likes into such a page; browsers add the cookie of the host to what it asks
  const keys = keyring('notes')
  await database.psql("SELECT ydoc.text_append('tls/own', 'content', 'secret'), ydoc.grant_access('tls/own', 'user:ann', 'write')")
  const own = await startRelay(database, { arguments: [...flags, ...keys.flags] })
  try {
    const cookie = `ydoc_access=${keys.token('ann')}`
    const answered = origin => new Promise((resolve, reject) => {
      const socket = new WebSocket(`wss://127.0.0.1:${port(own)}/tls/own`, { ca: ca(), headers: { host: 'notes.example', origin, cookie } })
      socket.on('open', () => socket.send(Uint8Array.of(0, 0, 1, 0)))
      socket.on('message', () => { resolve('read'); socket.close() })
      socket.on('close', code => resolve(code))
      socket.on('error', reject)
    })
    assert.equal(await answered('https://notes.example'), 'read')
    assert.equal(await answered('HTTPS://Notes.Example'), 'read')
    for (const origin of ['http://notes.example', 'ftp://notes.example', 'app://notes.example', 'x-https://notes.example']) {
      assert.equal(await answered(origin), 4401, origin)
      const posted = await ask('/api/documents/tls%2Fown/update', { of: own, servername: 'localhost', body: update('evil'), headers: { host: 'notes.example', origin, cookie } })
      assert.equal(posted.status, 403, origin)
    }
    assert.equal((await ask('/api/documents/tls%2Fown/text', { of: own, servername: 'localhost', headers: { host: 'notes.example', origin: 'https://notes.example', cookie } })).body.toString(), 'secret')
  } finally {
    assert.deepEqual(await own.stop(), { code: 0, signal: null })
    keys.remove()
  }
})

test('every worker speaks TLS, and takes up a new certificate by itself', { timeout: 60000 }, async () => {
  install('first')
  const own = await startRelay(database, { arguments: [...flags, '--workers', '2'] })
  try {
    const certificates = async () => new Set((await Promise.all(Array.from({ length: 12 }, () => ask('/readyz', { of: own })))).map(({ status, certificate }) => `${status} ${certificate}`))
    await until(async () => [...await certificates()].join() === '200 first')
    const ann = open('tls/workers', own)
    await ann.synced()
    let closes = 0
    ann.provider.on('connection-close', () => closes++)
    install('second')
    await until(async () => [...await certificates()].join() === '200 second')
    ann.text.insert(0, 'still here')
    await until(async () => await database.text('tls/workers') === 'still here')
    assert.equal(closes, 0)
  } finally {
    closeAll()
    await own.stop()
    install('first')
  }
})

test('a relay that stops sends people away with a reason', { timeout: 30000 }, async () => {
  const own = await startRelay(database, { arguments: flags })
  const ann = open('tls/stopping', own)
  await ann.synced()
  const closed = new Promise(resolve => ann.provider.once('connection-close', resolve))
  ann.text.insert(0, 'last words')
  await sleep(50)
  assert.deepEqual(await own.stop(), { code: 0, signal: null })
  assert.equal((await closed).code, 1001)
  ann.close()
  assert.equal(await database.text('tls/stopping'), 'last words')
})

test('files that cannot be used are refused at the start', { timeout: 30000 }, async () => {
  const check = (...more) => new Promise(resolve => execFile(relayProgram, ['--check', ...more], (error, stdout, stderr) => resolve([error?.code ?? 0, stderr])))
  assert.deepEqual(await check('--tls-certificate', file('first.pem'), '--tls-key', file('first.key')), [0, ''])
  for (const [certificate, key] of [[file('first.pem'), file('second.key')], [file('none'), file('first.key')], [file('first.pem'), file('none')], [file('first.key'), file('first.key')], [file('first.pem'), file('first.pem')], ['/dev/null', '/dev/null']]) {
    const [code, message] = await check('--tls-certificate', certificate, '--tls-key', key)
    assert.equal(code, 78)
    assert.match(message, /^ydoc-relay: TLS: ".*" cannot be used: ./)
  }
  assert.match((await check('--tls-certificate', file('none'), '--tls-key', file('first.key')))[1], /none" cannot be used: No such file/)
  // nobody is asked for a pass phrase: all who are connected would wait for the answer
  execFileSync('openssl', ['pkey', '-in', file('first.key'), '-aes128', '-passout', 'pass:secret', '-out', file('locked.key')])
  const [code, message] = await check('--tls-certificate', file('first.pem'), '--tls-key', file('locked.key'))
  assert.equal(code, 78)
  assert.match(message, /^ydoc-relay: TLS: ".*locked.key" cannot be used: it has a pass phrase/)
  for (const alone of [['--tls-key', file('first.key')], ['--tls-certificate', file('first.pem')]]) assert.match((await check(...alone))[1], /go together/)
})
