// What is measured: our relay (one or two, on PostgreSQL), a bare frame copier as the limit, y-websocket's server and
// Hocuspocus; the load; and what a server's processes cost.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { readFileSync, readdirSync } from 'node:fs'

import { startDatabase, startRelay } from '../../test/relay/servers.mjs'

const here = new URL('.', import.meta.url).pathname
const built = new URL('../../build/bench/', import.meta.url).pathname

// ---- processes ----

// What is to end when this process does, and has not by itself.
const children = new Set()
process.on('exit', () => { for (const child of children) child.kill('SIGKILL') })
function spawned (command, args, options) {
  const child = spawn(command, args, options)
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

function stat (pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
  return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]), childTicks: Number(fields[13]) + Number(fields[14]) }
}

// CPU seconds of a process's threads by the scheduler's clock, which is finer than ticks; by ticks where the kernel keeps none.
function ownSeconds (pid) {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    const nanoseconds = threads.reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]), 0)
    if (nanoseconds > 0) return nanoseconds / 1e9
  } catch {} // a thread that ended meanwhile, or no such file
  return stat(pid).ticks / 100
}

// CPU seconds of a process and its children, those that have ended too.
export function cpuSeconds (pid) {
  let seconds = 0
  try {
    seconds += ownSeconds(pid) + stat(pid).childTicks / 100
  } catch { return 0 }
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      if (stat(entry).parent === pid) seconds += ownSeconds(entry)
    } catch {} // it has ended
  }
  return seconds
}

const statusBytes = (pid, name) => Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`${name}:\\s+(\\d+)`))[1]) * 1024
export const residentBytes = pid => statusBytes(pid, 'VmRSS')
export const peakResidentBytes = pid => statusBytes(pid, 'VmHWM')

function program (command, args) {
  const child = spawned(command, args, { cwd: here, stdio: ['ignore', 'pipe', 'inherit'] })
  const port = new Promise((resolve, reject) => {
    child.stdout.once('data', data => resolve(Number(String(data))))
    child.once('exit', code => reject(new Error(`${command} ended: ${code}`)))
  })
  return { child, port, stop: () => new Promise(resolve => { child.once('exit', resolve); child.kill() }) }
}

// ---- servers: {name, protocol, urls, pids, database?, stop} ----

export async function startOurs (relays = 1, more = []) {
  const database = await startDatabase()
  const started = []
  for (let i = 0; i < relays; i++) started.push(await startRelay(database, { arguments: more }))
  return {
    isOurs: true,
    name: relays === 1 ? 'ydoc-relay' : `${relays} x ydoc-relay`,
    protocol: 'ywebsocket',
    urls: started.map(relay => relay.url.replace('ws://', '')),
    pids: started.map(relay => relay.child.pid),
    databasePid: Number(readFileSync(`${database.socket}/../data/postmaster.pid`, 'utf8').split('\n')[0]),
    database,
    async stop () {
      for (const relay of started) await relay.stop()
      await database.stop()
    }
  }
}

// The same, and the load comes by the protocol of Hocuspocus.
export async function startOursForHocuspocus () {
  return { ...await startOurs(), name: 'ydoc-relay by Hocuspocus', protocol: 'hocuspocus' }
}

async function startPeer (name, protocol, command, args, database) {
  const peer = program(command, args)
  return {
    name,
    protocol,
    urls: [`127.0.0.1:${await peer.port}`],
    pids: [peer.child.pid],
    database,
    databasePid: database && Number(readFileSync(`${database.socket}/../data/postmaster.pid`, 'utf8').split('\n')[0]),
    async stop () {
      await peer.stop()
      await database?.stop()
    }
  }
}

export const startCopier = () => startPeer('frame copier', 'ywebsocket', `${built}copier`, [])
export const startYWebsocket = () => startPeer('y-websocket', 'ywebsocket', process.execPath, ['peers/ywebsocket.mjs'])
export async function startHocuspocus () {
  const database = await startDatabase()
  // Hocuspocus 4 asks for Node 22
  return startPeer('Hocuspocus + PostgreSQL', 'hocuspocus', 'node_modules/.bin/node', ['peers/hocuspocus.mjs', database.socket], database)
}

// ---- the load ----

const walBytes = async server => server.database === undefined
  ? 0
  : Number(await server.database.psql("SELECT pg_current_wal_insert_lsn() - '0/0'"))

const costs = async server => ({
  server: server.pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
  database: server.databasePid === undefined ? 0 : cpuSeconds(server.databasePid),
  wal: await walBytes(server)
})

let runs = 0

// Runs the load against a server; what it prints, and what it cost.  held is called when all are connected.
export async function load (server, options, held = async () => ({})) {
  const args = ['--protocol', server.protocol, '--name', options.name ?? `run${++runs}`, '--hold', ...server.urls.flatMap(url => ['--url', url])]
  for (const [name, value] of Object.entries(options)) if (name !== 'name') args.push(`--${name}`, String(value))
  const child = spawned(`${built}load`, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`the load ended against ${server.name}: ${args.join(' ')}`)
    return value
  }
  await next() // ready
  const extra = await held()
  const before = await costs(server)
  child.stdin.end('\n')
  const result = JSON.parse(await next())
  const after = await costs(server)
  return {
    ...result,
    ...extra,
    serverCpu: after.server - before.server,
    databaseCpu: after.database - before.database,
    wal: after.wal - before.wal
  }
}
