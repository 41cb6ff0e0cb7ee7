// Several workers under one supervisor: sharing a port, dying, being replaced, draining.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import * as Y from 'yjs'

import { closeAll, open, raw, relayProgram, sleep, startDatabase, startPooler, startRelay, until } from './harness.mjs'
import { openMetrics, value } from './openmetrics.mjs'

let database

before(async () => {
  database = await startDatabase()
})

afterEach(closeAll)

after(async () => {
  closeAll()
  await database?.stop()
})

const scrape = async of => openMetrics(await (await fetch(`${of.http}/metrics`)).text())
const ready = of => until(async () => (await fetch(`${of.http}/readyz`)).status === 200)
const lines = of => of.log.trim().split('\n').map(line => JSON.parse(line))
const events = (of, event) => lines(of).filter(line => line.event === event)
const isAlive = pid => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const workers = of => execFileSync('ps', ['-o', 'pid=', '--ppid', String(of.child.pid)])
  .toString().split('\n').map(Number).filter(Boolean).sort((a, b) => a - b)

async function startWorkers (count, options = {}) {
  const relay = await startRelay(database,
    { ...options, arguments: ['--workers', String(count), ...options.arguments ?? []] })
  await ready(relay)
  return relay
}

// Each worker's share of a counter or gauge.
const shares = async (of, name) => (await scrape(of)).get(`ydoc_relay_${name}`).samples
  .map(sample => [sample.labels.worker, sample.value])

test('workers share one port and one document; any of them tells of all', async () => {
  const relay = await startWorkers(3)
  try {
    assert.equal(workers(relay).length, 3)
    const people = Array.from({ length: 24 }, () => open(relay, 'shared'))
    await Promise.all(people.map(one => one.synced()))
    const connections = await shares(relay, 'connections')
    assert.deepEqual(connections.map(([worker]) => worker), ['1', '2', '3'])
    // by chance, but not by that much
    for (const [worker, share] of connections) assert.ok(share > 0 && share < 24, `worker ${worker} has ${share}`)
    assert.equal(value(await scrape(relay), 'ydoc_relay_connections'), 24)

    people.forEach((one, i) => {
      one.text.insert(0, String(i % 10))
      one.provider.awareness.setLocalStateField('user', { name: `p${i}` })
    })
    await until(() => people.every(one => one.text.length === 24))
    await until(() => people.every(one => one.provider.awareness.getStates().size === 24))
    assert.equal(await database.text('shared'), people[0].text.toString())
    await until(async () => await database.psql("SELECT count(*) || ' of ' || count(DISTINCT relay) FROM ydoc.presence('shared')") === '24 of 3')
  } finally {
    closeAll()
    assert.deepEqual(await relay.stop(), { code: 0, signal: null })
  }
})

// Two people at different workers.
async function apart (relay, name) {
  const ann = open(relay, name)
  await ann.synced()
  for (;;) {
    const before = await shares(relay, 'connections')
    const ben = open(relay, name)
    await ben.synced()
    const now = await shares(relay, 'connections')
    const at = now.findIndex(([, share], i) => share > before[i][1])
    if (before[at][1] === 0) return { ann, ben, workerOfAnn: before.findIndex(([, share]) => share > 0) + 1 }
    ben.close()
    await until(async () => value(await scrape(relay), 'ydoc_relay_connections') === 1)
  }
}

test('kill -9 of a worker: another one takes its place, nothing is lost, counters go on', { timeout: 60000 }, async () => {
  const relay = await startWorkers(2)
  try {
    const { ann, ben, workerOfAnn } = await apart(relay, 'killed')
    ann.provider.awareness.setLocalStateField('user', { name: 'Ann' })
    await until(() => ben.provider.awareness.getStates().has(ann.doc.clientID))
    for (let i = 0; i < 30; i++) {
      ann.text.insert(0, 'a')
      await sleep(2)
    }
    const opened = value(await scrape(relay), 'ydoc_relay_connections_opened')
    const victim = events(relay, 'worker_started').find(line => line.worker === workerOfAnn).pid
    let benWasCut = false
    ben.provider.on('connection-close', () => { benWasCut = true })
    process.kill(victim, 'SIGKILL')
    const died = Date.now()
    ann.text.insert(0, 'after')
    await until(() => ben.text.toString().startsWith('after'))
    // as no other relay knew of the death, the place of the dead one tells of it
    await until(() => ben.provider.awareness.getStates().get(ann.doc.clientID)?.user?.name === 'Ann' && ann.provider.wsconnected)
    ann.provider.awareness.setLocalStateField('cursor', 5)
    await until(() => ben.provider.awareness.getStates().get(ann.doc.clientID)?.cursor === 5)
    assert.ok(Date.now() - died < 4000, `it took ${Date.now() - died} ms`)
    assert.equal(benWasCut, false)
    assert.equal(await database.text('killed'), ann.text.toString())
    assert.equal(ben.text.toString(), 'after' + 'a'.repeat(30))
    await ready(relay)
    const after = await scrape(relay)
    assert.equal(value(after, 'ydoc_relay_worker_failures'), 1)
    assert.ok(value(after, 'ydoc_relay_connections_opened') > opened)
    assert.equal(value(after, 'ydoc_relay_connections'), 2)
    assert.equal(events(relay, 'worker_ended')[0].signal, 9)
  } finally {
    closeAll()
    await relay.stop()
  }
})

test('a worker that dies again and again is started with pauses', async () => {
  const relay = await startWorkers(2)
  try {
    const starts = () => events(relay, 'worker_started').filter(line => line.worker === 2)
    const times = lines => lines.map(line => Date.parse(line.time))
    for (let i = 0; i < 5; i++) {
      await until(() => starts().length === i + 1)
      process.kill(starts()[i].pid, 'SIGKILL')
    }
    await until(() => starts().length === 6)
    const died = times(events(relay, 'worker_ended'))
    const pauses = times(starts().slice(1)).map((time, i) => time - died[i])
    // it was 0, 100, 200, 400 and 800 ms that they were to be
    assert.ok(pauses.every((pause, i) => pause >= [0, 90, 190, 390, 790][i]), `pauses ${pauses}`)
    assert.ok(pauses[0] < pauses[4], `pauses ${pauses}`)
    await ready(relay)
  } finally {
    await relay.stop()
  }
})

test('what is wrong with the configuration for one is so for all', async () => {
  const pooler = await startPooler(database)
  const relay = await startRelay({ conninfo: pooler.conninfo }, { arguments: ['--workers', '2'] })
  assert.equal((await relay.ended).code, 78) // a listener may not go through a pooler
  await pooler.stop()
})

for (const signal of ['SIGHUP', 'SIGUSR2']) {
  test(`${signal} replaces the workers one by one while people type`, { timeout: 90000 }, async () => {
    const relay = await startWorkers(2)
    try {
      const before = workers(relay)
      const people = Array.from({ length: 8 }, () => open(relay, `rolled ${signal}`))
      await Promise.all(people.map(one => one.synced()))
      people.forEach((one, i) => one.provider.awareness.setLocalStateField('user', { name: `p${i}` }))
      let typed = 0
      const refusals = []
      const odd = [] // of what two processes of a worker say of the same thing, a sum means nothing
      let blind = 0 // how long at most somebody was not seen by somebody
      let blindSince
      const codes = new Set()
      for (const one of people) one.provider.on('connection-close', event => event && codes.add(event.code))
      let isTyping = true
      const typing = (async () => {
        while (isTyping) {
          const one = people[typed % people.length]
          one.text.insert(one.text.length, String(typed++ % 10))
          const seesAll = people.every(each => each.provider.awareness.getStates().size === people.length)
          blindSince = seesAll ? undefined : blindSince ?? Date.now()
          if (blindSince) blind = Math.max(blind, Date.now() - blindSince)
          await sleep(5)
        }
      })()
      const asking = (async () => {
        while (isTyping) {
          await fetch(`${relay.http}/readyz`).then(answer => answer.status === 200 || refusals.push(answer.status),
            error => refusals.push(`${error} ${error.cause}`))
          for (const [worker, value] of await shares(relay, 'notifies')) {
            if (value > 1) odd.push(`notifies of worker ${worker}: ${value}`)
          }
          await sleep(20)
        }
      })()
      await sleep(500)
      blind = 0
      relay.child.kill(signal)
      await until(() => events(relay, 'rolled').length === 1, 30000)
      await until(() => people.every(one => one.provider.wsconnected && one.provider.synced))
      await sleep(500)
      isTyping = false
      await Promise.all([typing, asking])
      await until(() => people.every(one => one.text.length === typed))
      await until(async () => (await database.text(`rolled ${signal}`)).length === typed)
      assert.equal(new Set(people.map(one => one.text.toString())).size, 1)
      assert.deepEqual([...codes], [1001])
      assert.deepEqual(refusals, [])
      assert.deepEqual(odd, [])
      assert.ok(blind < 3000, `somebody was not seen for ${blind} ms`)
      const now = workers(relay)
      assert.equal(now.length, 2)
      assert.ok(now.every(pid => !before.includes(pid)))
      assert.equal(value(await scrape(relay), 'ydoc_relay_worker_failures'), 0)
    } finally {
      closeAll()
      assert.deepEqual(await relay.stop(), { code: 0, signal: null })
    }
  })
}

test('a rolling restart takes up a new program, and leaves all as it is if that does not start', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-program-'))
  const program = join(directory, 'ydoc-relay')
  copyFileSync(relayProgram, program)
  chmodSync(program, 0o755)
  const relay = await startWorkers(2, { program })
  try {
    const before = workers(relay)
    rmSync(program)
    writeFileSync(program, '#!/bin/sh\nexit 3\n', { mode: 0o755 })
    relay.child.kill('SIGHUP')
    await until(() => events(relay, 'rolling_failed').length === 1)
    assert.deepEqual(workers(relay), before)
    await ready(relay)
    // the next version is a good one: here the same one by another name, behind a script
    rmSync(program)
    writeFileSync(program, `#!/bin/sh\nPASSED=new exec "${execFileSync('realpath', [relayProgram]).toString().trim()}" "$@"\n`, { mode: 0o755 })
    relay.child.kill('SIGHUP')
    await until(() => events(relay, 'rolled').length === 1)
    const now = workers(relay)
    assert.ok(now.every(pid => !before.includes(pid)))
    for (const pid of now) {
      assert.match(execFileSync('cat', [`/proc/${pid}/environ`]).toString(), /PASSED=new/)
    }
    await ready(relay)
  } finally {
    await relay.stop()
    rmSync(directory, { recursive: true, force: true })
  }
})

test('when the supervisor is killed its workers drain and end', async () => {
  const relay = await startWorkers(2)
  const ann = open(relay, 'orphans')
  await ann.synced()
  ann.text.insert(0, 'stored')
  await until(async () => await database.text('orphans') === 'stored')
  const pids = workers(relay)
  let code
  ann.provider.on('connection-close', event => { code ??= event?.code })
  await relay.kill9()
  await until(() => !pids.some(isAlive), 10000)
  await until(() => code !== undefined)
  assert.equal(code, 1001)
})

for (const count of [0, 2]) {
  const who = count === 0 ? 'a relay' : `a supervisor of ${count} workers`
  test(`the connections of ${who} are sent away over the time one asks for; who is still there works on`, async () => {
    const relay = await startRelay(database, { arguments: ['--workers', String(count), '--drain', '3'] })
    await ready(relay)
    const sockets = []
    for (let i = 0; i < 30; i++) sockets.push(await raw(relay, `/drain-${count}`))
    const began = Date.now()
    const closes = sockets.map(async socket => ({ ...await socket.closed, after: Date.now() - began }))
    relay.child.kill('SIGTERM')
    await sleep(1000)
    const left = sockets.filter(socket => socket.readyState === socket.OPEN)
    assert.ok(left.length > 5 && left.length < 25, `${left.length} of 30 were left after a second of three`)
    await assert.rejects(raw(relay, '/late')) // nobody new
    // what one that is still there writes is stored
    const doc = new Y.Doc()
    doc.getText('content').insert(0, 'kept')
    const update = Y.encodeStateAsUpdate(doc)
    left[0].send(new Uint8Array([0, 2, update.length, ...update]))
    const told = await Promise.all(closes)
    assert.deepEqual([...new Set(told.map(close => close.code))], [1001])
    const times = told.map(close => close.after).sort((a, b) => a - b)
    assert.ok(times[0] < 1000 && times.at(-1) > 2000 && times.at(-1) < 5000, `closed after ${times} ms`)
    assert.deepEqual(await relay.ended, { code: 0, signal: null })
    assert.equal(await database.text(`drain-${count}`), 'kept')
  })
}

for (const count of [0, 2]) {
  const who = count === 0 ? 'a relay' : 'a supervisor of 2 workers'
  test(`${who} obeys signals from the moment its port is known`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-signals-'))
    try {
      for (let i = 0; i < 20; i++) {
        const file = join(directory, `port${i}`)
        const child = spawn(relayProgram,
          ['--listen', '127.0.0.1:0', '--port-file', file, '--database', database.conninfo, '--workers', String(count)],
          { stdio: ['ignore', 'ignore', 'pipe'] })
        let log = ''
        child.stderr.on('data', data => { log += data })
        const closed = new Promise(resolve => child.on('close', (code, signal) => resolve({ code, signal })))
        const end = Date.now() + 20000
        while (!existsSync(file) && Date.now() < end); // as soon as a process can see it
        child.kill('SIGHUP')
        child.kill('SIGTERM')
        assert.deepEqual(await closed, { code: 0, signal: null }, log)
        assert.match(log, /"event": "stopped"/)
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
}

test('a second signal does not wait', async () => {
  const relay = await startWorkers(2, { arguments: ['--drain', '600'] })
  for (let i = 0; i < 16; i++) await raw(relay, '/impatient')
  relay.child.kill('SIGTERM')
  await sleep(500)
  assert.ok(workers(relay).length > 0)
  relay.child.kill('SIGTERM')
  assert.deepEqual(await relay.ended, { code: 0, signal: null })
})

// What a service manager hears: datagrams on a Unix socket, which Node has not.
async function manager () {
  const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-manager-'))
  const path = join(directory, 'notify')
  const child = spawn('perl', ['-MIO::Socket::UNIX', '-e', `
    $| = 1;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die;
    print "listening\\n";
    while (defined $socket->recv(my $state, 4096)) { $state =~ s/\\n/;/g; print "$state\\n" }`, path])
  const heard = []
  let rest = ''
  child.stdout.on('data', data => {
    const parts = (rest + data).split('\n')
    rest = parts.pop()
    heard.push(...parts)
  })
  await until(() => heard.includes('listening'))
  return {
    env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '600000' },
    heard,
    stop () {
      child.kill()
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

for (const count of [0, 2]) {
  test(`the service manager is told what ${count === 0 ? 'a relay' : 'a supervisor'} does`, async () => {
    const service = await manager()
    const { heard } = service
    const relay = await startRelay(database, { arguments: ['--workers', String(count)], env: service.env })
    try {
      await until(() => heard.includes('READY=1'))
      assert.equal((await fetch(`${relay.http}/readyz`)).status, 200) // not before it is true
      const beats = () => heard.filter(state => state === 'WATCHDOG=1').length
      const before = beats()
      await sleep(2000)
      assert.ok(beats() - before >= 4, `${beats() - before} beats in 2 s`)
      if (count > 0) {
        relay.child.kill('SIGHUP')
        await until(() => heard.filter(state => state === 'READY=1').length === 2)
        assert.ok(heard.some(state => /^RELOADING=1;MONOTONIC_USEC=\d+$/.test(state)))
      }
      await relay.stop()
      assert.equal(heard.filter(state => state !== 'WATCHDOG=1').at(-1), 'STOPPING=1')
      assert.equal(heard.filter(state => state === 'STOPPING=1').length, 1)
    } finally {
      await relay.stop()
      service.stop()
    }
  })
}

test('a worker that stands still is replaced', { timeout: 90000 }, async () => {
  const relay = await startWorkers(2)
  try {
    const [victim] = workers(relay)
    process.kill(victim, 'SIGSTOP')
    await until(() => events(relay, 'worker_stuck').length > 0, 40000)
    await until(() => !isAlive(victim) && workers(relay).length === 2)
    await ready(relay)
  } finally {
    await relay.stop()
  }
})
