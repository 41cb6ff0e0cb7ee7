// A private PostgreSQL, relays, waiting.  Needs no packages, so the bench uses it too.
//
// Servers listen on a Unix socket in a directory of their own (PostgreSQL) or on a port that the
// kernel picks (the relay), and are stopped by their own process ids: by their stop(), and at the
// latest when this process ends, also when it ends by a signal.
import { execFile, execFileSync, spawn } from 'node:child_process'
import { appendFileSync, chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const top = new URL('../..', import.meta.url).pathname
export const bin = execFileSync(process.env.PG_CONFIG ?? 'pg_config', ['--bindir']).toString().trim()

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

// Waits for a condition; says which if it does not come.
export async function until (condition, ms = 20000) {
  const end = Date.now() + ms
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${condition}`)
    await sleep(10)
  }
}

// Waits until a relay has said this: its log comes by a pipe, so later than what it tells of.
export async function logged (relay, pattern, ms) {
  try {
    await until(() => pattern.test(relay.log), ms)
  } catch {
    throw new Error(`the relay did not say ${pattern}, but: ${relay.log}`)
  }
}

// PostgreSQL refuses to run as root: then it runs as user postgres.
const owner = process.getuid() === 0
  ? { uid: Number(execFileSync('id', ['-u', 'postgres'])), gid: Number(execFileSync('id', ['-g', 'postgres'])) }
  : {}

// What is to be undone when this process ends and nobody has: synchronous functions.
const leftovers = new Set()

process.on('exit', () => { for (const undo of leftovers) undo() })
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
  process.on(signal, () => process.exit(128 + number))
}

function signalTo (pid, signal) {
  try {
    process.kill(pid, signal)
    return true
  } catch { // it is gone
    return false
  }
}

// ---- PostgreSQL ----

// A server in a directory of its own; make fills its data directory.  before may put something else in its
// place first; what it returns undoes that, when nobody uses it any more.
async function startServer (make, before = () => () => {}) {
  const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-test-'))
  const socket = join(directory, 'socket')
  const data = join(directory, 'data')
  mkdirSync(socket)
  chmodSync(directory, 0o755)
  if (owner.uid !== undefined) {
    chownSync(directory, owner.uid, owner.gid)
    chownSync(socket, owner.uid, owner.gid)
  }
  const postmaster = () => {
    const file = join(data, 'postmaster.pid')
    return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : undefined
  }
  let undo = () => {}
  const remove = () => {
    undo()
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
  }
  const abandon = () => {
    const pid = postmaster()
    if (pid) signalTo(pid, 'SIGQUIT')
    remove()
  }
  leftovers.add(abandon)
  const options = { ...owner, cwd: directory, env: { ...process.env, HOME: directory } }
  undo = before(data, owner)
  await make(data, options)

  const start = () => run(join(bin, 'pg_ctl'), [
    '-D', data, '-w', '-l', join(socket, 'log'), '-o', `-k ${socket} -c listen_addresses=''`, 'start'
  ], { ...options, stdio: 'ignore' })
  await start()

  // a text is one transaction, an array of texts one session
  const psql = async (sql, name = 'test') => {
    const { stdout } = await run(join(bin, 'psql'),
      ['-h', socket, '-U', 'postgres', '-d', name, '-XAtq', '-v', 'ON_ERROR_STOP=1',
        ...[sql].flat().flatMap(each => ['-c', each])],
      { maxBuffer: 1 << 28 })
    return stdout.replace(/\n$/, '')
  }

  // psql that stays: `await session.ask('SELECT 1')`; an error ends it, and is thrown.
  const startSession = () => {
    const child = spawn(join(bin, 'psql'), ['-h', socket, '-U', 'postgres', '-d', 'test', '-XAtq', '-v', 'ON_ERROR_STOP=1'])
    const end = '-- answered --\n'
    let output = ''
    let complaints = ''
    let answer = () => {}
    const ended = new Promise(resolve => child.on('close', resolve))
    child.stdin.on('error', () => {}) // it has ended, which the answer says
    child.stderr.on('data', data => { complaints += data })
    child.stdout.setEncoding('utf8').on('data', data => {
      output += data
      if (output.endsWith(end)) answer()
    })
    return {
      async ask (sql) {
        output = ''
        const answered = new Promise(resolve => { answer = () => resolve(true) })
        child.stdin.write(`${sql};\n\\echo ${end}`)
        if (await Promise.race([answered, ended]) !== true) throw new Error(`${sql}: ${complaints}`)
        return output.slice(0, -end.length).trimEnd()
      },
      async stop () {
        child.stdin.end()
        await ended
      }
    }
  }

  return {
    conninfo: `host=${socket} user=postgres dbname=test`,
    socket,
    data,
    postmaster,
    log: () => readFileSync(join(socket, 'log'), 'utf8'),
    psql,
    startSession,
    text: (document, root = 'content') => psql(`SELECT ydoc.text('${document}', '${root}')`),
    start,
    promote: () => run(join(bin, 'pg_ctl'), ['-D', data, '-w', 'promote'], options),
    // as if the machine had lost power: no process gets to say goodbye
    async kill9 () {
      const pid = postmaster()
      const children = (await run('ps', ['-o', 'pid=', '--ppid', String(pid)])).stdout.split('\n').map(Number).filter(Boolean)
      for (const each of [pid, ...children]) signalTo(each, 'SIGKILL')
      await until(() => !signalTo(pid, 0))
    },
    async stop () {
      try {
        await run(join(bin, 'pg_ctl'), ['-D', data, '-m', 'immediate', '-w', 'stop'], options)
      } catch {} // it was not running
      remove()
      leftovers.delete(abandon)
    },
    // mode: smart, fast or immediate
    halt: mode => run(join(bin, 'pg_ctl'), ['-D', data, '-m', mode, '-w', 'stop'], options)
  }
}

// settings: lines of postgresql.conf.
export async function startDatabase ({ settings = '', before, initdb = [] } = {}) {
  const database = await startServer(async (data, options) => {
    await run(join(bin, 'initdb'),
      ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', ...initdb], options)
    appendFileSync(join(data, 'postgresql.conf'), settings)
  }, before)
  await database.psql('CREATE DATABASE test', 'postgres')
  await database.psql('CREATE EXTENSION pg_ydoc; SELECT ydoc.create_store()')
  if (process.env.YDOC_POOLED === undefined) return database
  const pooler = await startPooler(database)
  const stop = database.stop
  return Object.assign(database, {
    pooled: pooler.conninfo,
    async stop () {
      await pooler.stop()
      await stop()
    }
  })
}

// pgbouncer in transaction mode before a database: each transaction may meet another backend.
export async function startPooler (database) {
  const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-pooler-'))
  if (owner.uid !== undefined) chownSync(directory, owner.uid, owner.gid)
  writeFileSync(join(directory, 'ini'), `
[databases]
test = host=${database.socket} dbname=test user=postgres
[pgbouncer]
unix_socket_dir = ${directory}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_login_retry = 1
`)
  const child = spawn('pgbouncer', ['-q', join(directory, 'ini')], { ...owner, stdio: ['ignore', 'inherit', 'inherit'] })
  const abandon = () => {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  leftovers.add(abandon)
  await until(() => existsSync(join(directory, '.s.PGSQL.6432')))
  return {
    conninfo: `host=${directory} port=6432 user=postgres dbname=test`,
    async stop () {
      const ended = new Promise(resolve => child.on('exit', resolve))
      abandon()
      await ended
      leftovers.delete(abandon)
    }
  }
}

// An asynchronous standby of a database.
export function startStandby (primary) {
  return startServer((data, options) => run(join(bin, 'pg_basebackup'),
    ['-D', data, '-h', primary.socket, '-U', 'postgres', '-R', '-X', 'stream', '-c', 'fast'], options))
}

// A way to the database that can swallow its answers, hold them back, and break.
export async function startDetour (database) {
  const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-detour-'))
  const socketOf = host => join(host, '.s.PGSQL.5432')
  const pairs = new Set()
  let isSwallowing = false
  let held // [near, data] of answers; undefined: they pass
  let heldStatement
  let isAway = false
  leftovers.add(abandon)
  function abandon () {
    rmSync(directory, { recursive: true, force: true })
  }
  const server = createServer(near => {
    if (isAway) return near.destroy()
    const far = connect(socketOf(database.conninfo.match(/host=(\S+)/)[1]))
    const pair = [near, far]
    const end = () => {
      for (const socket of pair) socket.destroy()
      pairs.delete(pair)
    }
    pairs.add(pair)
    near.on('data', data => {
      if (held && data.includes(heldStatement)) pair.isHeld = true
      far.write(data)
    })
    far.on('data', data => {
      if (held && pair.isHeld) held.push([near, data])
      else if (!isSwallowing) near.write(data)
    })
    for (const socket of pair) socket.on('close', end).on('error', end)
  })
  await new Promise(resolve => server.listen(socketOf(directory), resolve))

  const cut = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
    isSwallowing = false
    held = undefined
  }
  return {
    ...database,
    pooled: undefined,
    conninfo: database.conninfo.replace(/host=\S+/, `host=${directory}`),
    swallow () { isSwallowing = true }, // statements arrive, their answers do not
    // answers on a connection that asks that from now on arrive when pass() is called
    hold (statement) {
      held = []
      heldStatement = `\0${statement}\0`
    },
    pass () {
      const late = held ?? []
      held = undefined
      for (const pair of pairs) pair.isHeld = false
      for (const [near, data] of late) if (!near.destroyed) near.write(data)
    },
    cut, // all connections; new ones work
    leave () { // as if the database were down
      isAway = true
      cut()
    },
    comeBack () { isAway = false },
    async stop () {
      cut()
      await new Promise(resolve => server.close(resolve))
      abandon()
      leftovers.delete(abandon)
    }
  }
}

// ---- the relay ----

export const relayProgram = process.env.YDOC_RELAY ?? join(top, 'build/ydoc-relay')

export async function startRelay (database,
  { static: pages, port = 0, arguments: more = [], env = {}, program = relayProgram } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-relay-'))
  const portFile = join(directory, 'port')
  const relay = { log: '' }
  const abandon = () => {
    relay.child?.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  leftovers.add(abandon)

  const launch = async () => {
    rmSync(portFile, { force: true })
    const child = spawn(program, [
      '--listen', `127.0.0.1:${port}`, '--port-file', portFile,
      ...(database.pooled ? ['--database', database.pooled, '--listen-database', database.conninfo] : ['--database', database.conninfo]),
      ...(pages ? ['--static', pages] : []), ...more
    ], { stdio: ['ignore', 'inherit', 'pipe'], env: { ...process.env, ...env } })
    child.stderr.on('data', chunk => { relay.log += chunk })
    relay.child = child
    relay.ended = new Promise(resolve => child.on('exit', (code, signal) => resolve({ code, signal })))
    relay.hasSaidAll = new Promise(resolve => child.on('close', resolve)) // it and its workers have ended
    await until(() => {
      if (child.exitCode !== null) throw new Error(`the relay ended with ${child.exitCode}: ${relay.log}`)
      return existsSync(portFile) && readFileSync(portFile, 'utf8').trim() !== ''
    })
    port = Number(readFileSync(portFile, 'utf8'))
    relay.url = `ws://127.0.0.1:${port}`
    relay.http = `http://127.0.0.1:${port}`
  }

  await launch()
  return Object.assign(relay, {
    launch, // again, on the same port
    async terminate () {
      relay.child.kill('SIGTERM')
      return await relay.ended
    },
    async stop () {
      const ended = await this.terminate()
      await relay.hasSaidAll
      if (/Sanitizer|runtime error/.test(relay.log)) throw new Error(relay.log)
      rmSync(directory, { recursive: true, force: true })
      leftovers.delete(abandon)
      return ended
    },
    async kill9 () {
      relay.child.kill('SIGKILL')
      await relay.ended
    }
  })
}

// A way to the relay that takes only so many bytes a second from it; what clients send passes at once.
// The rest waits where it would with a slow reader: in the relay's socket.
export async function startSlowLine (relay, bytesPerSecond) {
  const target = new URL(relay.http)
  const pairs = new Set()
  const line = { bytesPerSecond, delivered: 0 }
  const server = createServer(near => {
    const far = connect({
      host: target.hostname,
      port: Number(target.port),
      onread: {
        buffer: Buffer.alloc(2048),
        callback (size, buffer) {
          line.delivered += size
          near.write(Buffer.from(buffer.subarray(0, size)))
          if (line.bytesPerSecond === Infinity) return true
          setTimeout(() => far.resume(), size / line.bytesPerSecond * 1000)
          return false
        }
      }
    })
    const pair = [near, far]
    pairs.add(pair)
    near.on('data', data => far.write(data))
    for (const socket of pair) {
      socket.on('error', () => {})
      socket.on('close', () => {
        for (const other of pair) other.destroy()
        pairs.delete(pair)
      })
    }
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(line, {
    url: `ws://127.0.0.1:${server.address().port}`,
    async stop () {
      for (const pair of pairs) for (const socket of pair) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    }
  })
}

// One of the relay's numbers, by its name without prefix and suffix.
export async function metric (relay, name) {
  const text = await (await fetch(`${relay.http}/metrics`)).text()
  return Number(new RegExp(`^ydoc_relay_${name}(?:_total)? (\\d+)$`, 'm').exec(text)[1])
}

// Resident memory of the relay, in bytes.
export function residentBytes (relay) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${relay.child.pid}/status`, 'utf8'))[1]) * 1024
}
