// Who the relay runs as, what it gives up, and that it works all the same.  (What the filter lets through: test/sandbox.)
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'

import { closeAll, logged, open, relayProgram, startDatabase, startRelay, until } from './harness.mjs'

const isRoot = process.getuid() === 0
const isSanitized = /sanitize/.test(relayProgram) // sanitizers look into their own process: no filter there
const canary = 'canary-of-a-password'
const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-sandbox-'))
const user = { name: 'nobody', uid: Number(execFileSync('id', ['-u', 'nobody'])) }
let database

before(async () => {
  chmodSync(directory, 0o755)
  database = await startDatabase()
})
afterEach(closeAll)
after(async () => {
  await database?.stop()
  rmSync(directory, { recursive: true })
})

const statusOf = pid => Object.fromEntries(readFileSync(`/proc/${pid}/status`, 'utf8').split('\n').map(line => line.split(':\t')))
const childrenOf = pid => execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)]).toString().split('\n').map(Number).filter(Boolean)

// As people use it: type, read, load, ask by HTTP.
async function works (relay, name) {
  const [ann, ben] = [open(relay, name), open(relay, name, { version: 2 })]
  await Promise.all([ann.synced(), ben.synced()])
  ann.text.insert(0, 'typed ')
  await until(() => ben.text.toString().startsWith('typed '))
  await until(async () => (await database.text(name)).startsWith('typed '))
  assert.equal((await fetch(`${relay.http}/readyz`)).status, 200)
  closeAll()
}

async function withRelay (arguments_, body, more = {}) {
  const relay = await startRelay({ ...database, pooled: undefined, ...more.database }, { arguments: arguments_, ...more })
  try {
    await until(async () => (await fetch(`${relay.http}/readyz`)).status === 200)
    await body(relay)
  } finally {
    closeAll()
    assert.deepEqual(await relay.stop(), { code: 0, signal: null })
  }
  return relay.log
}

function confined (pid) {
  const status = statusOf(pid)
  assert.equal(status.NoNewPrivs, '1')
  assert.equal(status.Seccomp, isSanitized ? '0' : '2')
  assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /Max core file size +0 +0/)
}

test('a relay is confined, and does all that a relay does', { timeout: 60000 }, async () => {
  const pages = join(directory, 'pages')
  mkdirSync(pages, { recursive: true })
  writeFileSync(join(pages, 'index.html'), 'a page')
  writeFileSync(join(directory, 'secret'), 'x'.repeat(32), { mode: 0o600 })
  const said = await withRelay([], async relay => {
    confined(relay.child.pid)
    await works(relay, 'confined')
    assert.equal(await (await fetch(`${relay.http}/index.html`)).text(), 'a page')
    await database.halt('fast') // every connection to the database is begun anew
    await database.start()
    await until(async () => (await fetch(`${relay.http}/readyz`)).status === 200)
    await works(relay, 'confined')
  }, { static: pages })
  assert.doesNotMatch(said, /sandbox_failed/)
  await withRelay(['--jwt-secret-file', join(directory, 'secret'), '--log-level', 'info'], async relay => {
    await logged(relay, /key_loaded/)
    const loads = () => relay.log.split('key_loaded').length
    const before = loads()
    relay.child.kill('SIGHUP') // files are opened
    await until(() => loads() > before)
  })
})

test('hosts are looked up behind the filter', { timeout: 60000 }, async () => {
  // the database is to be reached by a name, over TCP, and only later: by then the filter is there
  const proxy = createServer(near => {
    import('node:net').then(({ connect }) => {
      const far = connect(join(database.socket, '.s.PGSQL.5432'))
      near.pipe(far).pipe(near)
      for (const socket of [near, far]) socket.on('error', () => near.destroy() && far.destroy())
    })
  })
  await new Promise(resolve => proxy.listen(0, '127.0.0.1', resolve))
  const sockets = new Set()
  proxy.on('connection', socket => sockets.add(socket))
  try {
    await withRelay([], async relay => {
      for (const socket of sockets) socket.destroy()
      await until(async () => (await fetch(`${relay.http}/readyz`)).status === 503)
      await until(async () => (await fetch(`${relay.http}/readyz`)).status === 200)
      await works(relay, 'looked up')
    }, { database: { conninfo: `host=localhost port=${proxy.address().port} user=postgres dbname=test` } })
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => proxy.close(resolve))
  }
})

test('without the filter, and with core dumps, if somebody asks for it', async () => {
  await withRelay(['--sandbox=false', '--core-dumps'], async relay => {
    assert.equal(statusOf(relay.child.pid).Seccomp, '0')
    assert.equal(statusOf(relay.child.pid).NoNewPrivs, '1')
    await works(relay, 'free')
  })
})

test('workers are confined, and so are those that take their place', { timeout: 60000 }, async () => {
  await withRelay(['--workers', '2', '--log-level', 'info'], async relay => {
    await logged(relay, /"event": "ready"/)
    const before = childrenOf(relay.child.pid)
    assert.equal(before.length, 2)
    before.forEach(confined)
    await works(relay, 'workers')
    relay.child.kill('SIGHUP')
    await logged(relay, /"event": "rolled"/, 30000)
    const now = childrenOf(relay.child.pid)
    now.forEach(confined)
    assert.equal(now.some(pid => before.includes(pid)), false)
    await works(relay, 'workers')
  })
})

test('started as root it goes on as the user that it is told, and may still not go back', { skip: !isRoot, timeout: 60000 }, async () => {
  const nobodyHas = pid => {
    const status = statusOf(pid)
    assert.deepEqual(status.Uid.split('\t').map(Number), [user.uid, user.uid, user.uid, user.uid])
    assert.equal(status.Groups.trim().split(/\s+/).includes('0'), false)
    return status
  }
  const said = await withRelay(['--user', user.name, '--init'], async relay => {
    assert.equal(Number.parseInt(nobodyHas(relay.child.pid).CapPrm, 16), 0)
    await works(relay, 'as nobody')
  })
  assert.doesNotMatch(said, /runs_as_root/)
  await withRelay(['--user', user.name, '--workers', '2', '--log-level', 'info'], async relay => {
    await logged(relay, /"event": "ready"/)
    assert.equal(Number.parseInt(nobodyHas(relay.child.pid).CapPrm, 16), 1 << 10) // CAP_NET_BIND_SERVICE alone
    for (const pid of childrenOf(relay.child.pid)) assert.equal(Number.parseInt(nobodyHas(pid).CapPrm, 16), 0)
    await works(relay, 'as nobody')
  })
  assert.match(await withRelay([], () => {}), /runs_as_root/)
})

function ends (arguments_, env = {}) {
  return new Promise(resolve => execFile(relayProgram, arguments_, { timeout: 20000, env: { ...process.env, ...env } },
    (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stderr + stdout })))
}

test('a user that there is not is no user', { skip: !isRoot }, async () => {
  const { code, output } = await ends(['--listen', '127.0.0.1:0', '--user', 'nobody-of-that-name'])
  assert.equal(code, 78)
  assert.match(output, /user: there is no "nobody-of-that-name"/)
})

test('a password is in files alone, and what is wrong is said without it', async () => {
  for (const conninfo of [`host=x password=${canary}`, `postgres://door:${canary}@x/mine`, `host=x sslpassword=${canary}`, `host=x password='${canary}`, `${canary}`, `postgres://door:${canary}@x/mine?nothing=1`]) {
    for (const flag of ['--database', '--listen-database']) {
      const { code, output } = await ends(['--check', flag, conninfo])
      assert.equal(code, 78, conninfo)
      assert.match(output, /passfile=FILE|is no connection string/)
      assert.equal(output.includes(canary), false, output)
    }
  }
  // in a file it may be, and is not told by any error of the database
  const config = join(directory, 'config.json')
  writeFileSync(config, JSON.stringify({ 'log-level': 'debug' }), { mode: 0o600 })
  const passfile = join(directory, 'passfile')
  writeFileSync(passfile, `*:*:*:*:${canary}\n`, { mode: 0o600 })
  await database.psql(`CREATE ROLE refused LOGIN PASSWORD 'another'`)
  for (const more of [
    { arguments: ['--config', config], database: { conninfo: database.conninfo.replace('user=postgres', `user=nobody_knows passfile=${passfile}`) } },
    { env: { YDOC_RELAY_DATABASE: database.conninfo.replace('user=postgres', `user=nobody_knows password=${canary}`) }, arguments: ['--config', config] }
  ]) {
    const { log } = await logOf(more)
    assert.match(log, /database_down/)
    assert.equal(log.includes(canary), false)
  }
})

// Of a relay that does not reach its database.
async function logOf ({ arguments: more, env = {}, database: on }) {
  const child = execFile(relayProgram, ['--listen', '127.0.0.1:0', ...(on ? ['--database', on.conninfo] : []), ...more], { env: { ...process.env, ...env } })
  let log = ''
  child.stderr.on('data', chunk => { log += chunk })
  const ended = new Promise(resolve => child.on('exit', resolve))
  await until(() => log.includes('database_down') || child.exitCode !== null)
  child.kill('SIGTERM')
  await ended
  return { log }
}

test('the unit for systemd gives the relay little to do harm with', { skip: !hasSystemd() }, () => {
  const unit = new URL('../../relay/ydoc-relay.service', import.meta.url).pathname
  execFileSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', '--no-pager', unit]) // of 100
  const wrong = execFileSync('sh', ['-c', `systemd-analyze verify ${unit} 2>&1 || true`]).toString().split('\n')
    .filter(line => line.includes('ydoc-relay') && !line.includes('is not executable'))
  assert.deepEqual(wrong, [])
})

test('make install puts the unit beside the program that it starts', () => {
  const root = join(directory, 'root')
  execFileSync('make', ['-s', '-C', new URL('../../relay', import.meta.url).pathname, 'install', `DESTDIR=${root}`, 'UNITDIR=/units'], { stdio: 'pipe' })
  const [, program] = /^ExecStart=(\S+)/m.exec(readFileSync(join(root, 'units/ydoc-relay.service'), 'utf8'))
  assert.match(execFileSync(join(root, program), ['--version']).toString(), /^ydoc-relay /)
})

function hasSystemd () {
  try {
    return /--offline/.test(execFileSync('systemd-analyze', ['--help']).toString())
  } catch {
    return false
  }
}
