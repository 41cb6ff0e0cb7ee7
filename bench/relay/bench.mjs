// The relay beside its peers and its limit: `make -C bench/relay`, or `node bench.mjs SCENARIO ...`.
//
// Each scenario starts the servers it compares, one after the other, and prints a line for each, then what DESIGN
// asks for: target, measured, met; and keeps them in bench/results/relay.jsonl.  Several scenarios run in a process each, so
// that one that fails or hangs does not take the others along.  QUICK=1: shorter, and not all.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { openReport } from '../report.mjs'
import * as servers from './servers.mjs'
import { makeLarge, startTrace, store } from './documents.mjs'

const quick = Boolean(process.env.QUICK)
const LIMIT_SECONDS = 300 // for a scenario that is not meant to take longer
const seconds = quick ? 2 : 5
const report = openReport('relay')

// Starts each server in turn and measures it alone.  A peer that fails has a row that says so; ours comes first and must not.
async function each (starts, measure) {
  const rows = []
  for (const [i, start] of starts.entries()) {
    let server
    try {
      server = await start()
      process.stderr.write(`relay: ${server.name}\n`)
      rows.push({ server: server.name, ...await measure(server) })
    } catch (error) {
      if (i === 0 || server?.isOurs) throw error
      process.stderr.write(`relay: ${server?.name ?? start.name}: ${error.message}\n`)
      rows.push({ server: `${server?.name ?? start.name} (failed)` })
    } finally {
      await server?.stop()
    }
  }
  return rows
}

const ofBothProtocols = [servers.startOurs, servers.startOursForHocuspocus, servers.startYWebsocket, servers.startHocuspocus, servers.startCopier]
const everybody = [servers.startOurs, servers.startYWebsocket, servers.startHocuspocus, servers.startCopier]

const cost = (result, of) => ({
  'p50 ms': result.p50_ms,
  'p95 ms': result.p95_ms,
  'p99 ms': result.p99_ms,
  'deliveries/s': result.delivered / of.seconds,
  'CPU µs/update': result.serverCpu / result.sent * 1e6,
  'with database': (result.serverCpu + result.databaseCpu) / result.sent * 1e6,
  'WAL B/update': result.wal / result.sent,
  lost: result.undelivered
})

const bars = (rows, what) => rows.filter(row => row[what] > 0).map(row => ({ group: row.server, name: what, value: row[what] }))

const scenarios = {
  // many small documents
  async steady ({ table, target, plot }) {
    const load = { documents: 100, editors: 2, rate: 10, seconds, warmup: 1 }
    const rows = await each(ofBothProtocols, async server => cost(await servers.load(server, load), load))
    table('100 documents x 2 editors x 10 updates/s', rows)
    target('keystroke to the other editor, p50', rows[0]['p50 ms'], 3, 'ms')
    target('keystroke to the other editor, p99', rows[0]['p99 ms'], 12, 'ms')
    target('CPU per update, relay', rows[0]['CPU µs/update'], 40, 'µs')
    target('CPU per update, with PostgreSQL', rows[0]['with database'], 100, 'µs')
    plot('relay-steady', 'CPU of the server for an update, µs, 100 documents x 2 editors x 10 a second', { unit: 'µs', bars: bars(rows, 'CPU µs/update') })
  },

  // the most that keeps p99 below 100 ms with everything delivered
  async most ({ table, target, plot }) {
    const rows = await each(everybody, async server => {
      let best = { sent: 0, p50_ms: 0, p99_ms: 0, serverCpu: 0, databaseCpu: 0, wal: 0 }
      const reached = async rate => {
        const load = { documents: 64, editors: 2, rate: Math.round(rate), seconds: quick ? 1 : 3, warmup: 1 }
        const result = await servers.load(server, load)
        const offered = 128 * load.rate * load.seconds
        if (result.p99_ms > 100 || result.undelivered > 0 || result.delivered < 0.97 * offered) return false
        best = { ...result, rate: result.delivered / load.seconds }
        return true
      }
      // up in large steps, each with a second try; then between the last two
      let rate = 30
      while (rate < 2000 && (await reached(rate) || await reached(rate))) rate *= 1.5
      await reached(rate / 1.2) || await reached(rate / 1.35)
      return {
        'updates/s': best.rate,
        'p50 ms': best.p50_ms,
        'p99 ms': best.p99_ms,
        'CPU µs/update': best.serverCpu / best.sent * 1e6,
        'with database': (best.serverCpu + best.databaseCpu) / best.sent * 1e6,
        'WAL B/update': best.wal / best.sent
      }
    })
    table('most updates/s, 64 documents x 2 editors, p99 at most 100 ms', rows)
    target('most durable updates/s', rows[0]['updates/s'], 22000, '/s', true)
    plot('relay-most', 'Most updates a second, 64 documents x 2 editors, p99 at most 100 ms', { unit: '/s', bars: bars(rows, 'updates/s') })
  },

  // one document, everybody in it
  async busy ({ table, target }) {
    const load = { documents: 1, editors: 100, rate: 10, seconds, warmup: 1 }
    const rows = await each(ofBothProtocols, async server => {
      const result = await servers.load(server, load)
      return { ...cost(result, load), 'CPU µs/delivery': result.serverCpu / (result.delivered * (1 + load.warmup / load.seconds)) * 1e6 }
    })
    table('1 document x 100 editors x 10 updates/s', rows)
    target('CPU per delivery', rows[0]['CPU µs/delivery'], 4, 'µs')
    target('busy document, p99', rows[0]['p99 ms'], 15, 'ms')
  },

  // writer and reader on different relays
  async apart ({ table, target }) {
    const load = { documents: 50, editors: 2, rate: 10, seconds, warmup: 1 }
    const rows = await each([() => servers.startOurs(2)], async server => {
      // when people type decides how many share a batch: the run in the middle
      const runs = []
      for (let i = 0; i < (quick ? 1 : 3); i++) runs.push(cost(await servers.load(server, load), load))
      return runs.sort((a, b) => a['with database'] - b['with database'])[runs.length >> 1]
    })
    table('50 documents x 2 editors on different relays x 10 updates/s', rows)
    target('two relays, p50', rows[0]['p50 ms'], 6, 'ms')
    target('two relays, p99', rows[0]['p99 ms'], 30, 'ms')
    target('two relays, CPU per update with PostgreSQL', rows[0]['with database'], 200, 'µs')
  },

  // one writes, many read, one document
  async fan_out ({ table, target, plot }) {
    const rows = []
    for (const readers of quick ? [10, 100, 1000] : [10, 100, 1000, 5000]) {
      const load = { documents: 1, editors: 1, readers, rate: 20, seconds: quick ? 2 : 3, warmup: 1 }
      rows.push(...(await each([servers.startOurs, servers.startYWebsocket, servers.startCopier], async server => {
        const result = await servers.load(server, load)
        return { readers, 'p50 ms': result.p50_ms, 'p99 ms': result.p99_ms, 'CPU µs/frame': result.serverCpu / result.frames_in * 1e6, lost: result.undelivered }
      })))
    }
    table('1 editor x 20 updates/s to many readers', rows)
    const [ours, copier] = [rows.at(-3), rows.at(-1)]
    target(`fan-out to ${ours.readers}, CPU per frame, as a multiple of the copier`, ours['CPU µs/frame'] / copier['CPU µs/frame'], 1.1, 'x')
    const names = [...new Set(rows.map(row => row.server))]
    plot('relay-fan-out', 'CPU of the server for a frame, by readers', {
      x: 'readers',
      y: 'µs',
      series: names.map(name => ({ name, points: rows.filter(row => row.server === name && row['CPU µs/frame'] > 0).map(row => [row.readers, row['CPU µs/frame']]) }))
    })
  },

  // presence of everybody
  async presence ({ table, target }) {
    const load = { documents: 1, editors: 1, readers: 1500, rate: 10, presence: 0.1, seconds: quick ? 4 : 8, warmup: quick ? 2 : 4 }
    const rows = await each([servers.startOurs, servers.startYWebsocket], async server => {
      const without = await servers.load(server, { ...load, presence: 0 })
      const result = await servers.load(server, load)
      return {
        'p50 ms': result.p50_ms,
        'p99 ms': result.p99_ms,
        'presence p99 ms': result.presence_p99_ms,
        'CPU %': result.serverCpu / (load.seconds + load.warmup) * 100,
        'presence, CPU µs/receiver': (result.serverCpu - without.serverCpu) / (result.frames_in - without.frames_in) * 1e6,
        lost: result.undelivered
      }
    })
    table('1 editor, 1,500 readers, presence of all every 10 s; CPU of a receiver: beyond that without presence, for each frame of it', rows)
    target('presence of all, CPU per receiver and frame (a tenth of what is published of a peer)', rows[0]['presence, CPU µs/receiver'], 14.4, 'µs')
    target('one writer, 1,500 readers, presence of all: p99', rows[0]['p99 ms'], 250, 'ms')
    target('one writer, 1,500 readers, presence of all: undelivered', rows[0].lost, 0, 'updates')
  },

  // one floods a document with 10,000 updates a second while others write elsewhere
  async flood ({ table, target }) {
    const others = { documents: 20, editors: 2, rate: 10, seconds: quick ? 2 : 4, warmup: 1 }
    const count = quick ? 1 : 3
    const flood = { documents: 1, editors: 1, rate: 10000, seconds: others.seconds + 2, warmup: 0 }
    const rows = []
    for (const start of [servers.startOurs, () => servers.startOurs(1, ['--max-message-rate', '0', '--max-byte-rate', '0'])]) {
      rows.push(...await each([start], async server => {
        const turns = { quiet: [], flooded: [], flood: [] }
        for (let turn = 0; turn < count; turn++) {
          turns.quiet.push(await servers.load(server, others))
          const flooding = servers.load(server, flood)
          turns.flooded.push(await servers.load(server, others))
          turns.flood.push(await flooding)
        }
        const median = (which, what) => turns[which].map(result => result[what]).sort((a, b) => a - b)[count >> 1]
        return {
          'rate limits': rows.length === 0 ? 'default' : 'none',
          'quiet p50 ms': median('quiet', 'p50_ms'),
          'quiet p99 ms': median('quiet', 'p99_ms'),
          'flooded p50 ms': median('flooded', 'p50_ms'),
          'flooded p99 ms': median('flooded', 'p99_ms'),
          'flood, updates/s': median('flood', 'sent') / flood.seconds,
          'times p99': median('flooded', 'p99_ms') / median('quiet', 'p99_ms'),
          lost: turns.flooded.reduce((sum, result) => sum + result.undelivered, 0)
        }
      }))
    }
    table('20 documents x 2 editors x 10 updates/s, while one client sends 10,000 updates/s to another document', rows)
    target('flood of another document, p99 as a multiple of that without', rows[0]['times p99'], 1.5, 'x')
  },

  // connections that do nothing
  async idle ({ table, target, plot }) {
    const rows = []
    for (const count of quick ? [1000] : [1000, 10000]) {
      const load = { documents: count / 10, editors: 0, readers: 10, seconds: 1, warmup: 0, rate: 0 }
      rows.push(...(await each([servers.startOurs, servers.startYWebsocket, servers.startHocuspocus, servers.startCopier], async server => {
        const [pid] = server.pids
        const [bytes, cpu] = [servers.residentBytes(pid), servers.cpuSeconds(pid)]
        const result = await servers.load(server, load, async () => ({
          bytes: servers.residentBytes(pid) - bytes,
          cpu: servers.cpuSeconds(pid) - cpu
        }))
        return {
          connections: count,
          'KiB each': result.bytes / count / 1024,
          'connected/s': count / result.connect_seconds,
          'CPU ms/connect': result.cpu / count * 1000,
          'p99 ms to connect': result.connect_p99_ms
        }
      })))
    }
    table('idle connections, 10 a document', rows)
    const most = rows.filter(row => row.connections === rows.at(-1).connections)
    const [ours] = most
    target(`${ours.connections.toLocaleString('en')} idle connections, memory of each`, ours['KiB each'], 4, 'KiB')
    plot('relay-idle', `Memory of a connection that does nothing, KiB, of ${ours.connections.toLocaleString('en')}`, { unit: 'KiB', bars: bars(most, 'KiB each') })
    target('connect and sync, CPU of the relay', ours['CPU ms/connect'], 0.15, 'ms')
  },

  // an unmodified provider loads 1 MB at 4 kB/s; it reconnects after 30 s without a message
  async slow ({ table, target }) {
    const { open, sleep, startSlowLine } = await import('../../test/relay/harness.mjs')
    const rows = []
    for (const [how, flags, most] of [['64 kB', [], 400], ['none', ['--slice', '16M', '--load-window', '16M'], 100]]) {
      rows.push(...await each([() => servers.startOurs(1, flags)], async server => {
        await server.database.psql("SELECT ydoc.\"create\"('slow', ydoc_from_text(repeat('lorem ipsum ', 1000000 / 12), 'content'))")
        const line = await startSlowLine({ http: `http://${server.urls[0]}` }, 4000)
        const reader = open(line, 'slow')
        let reconnections = 0
        reader.provider.on('connection-close', () => reconnections++)
        const start = performance.now()
        const seconds = () => (performance.now() - start) / 1000
        let first
        while (!reader.provider.synced && seconds() < most) {
          await sleep(100)
          if (reader.text.length > 0) first ??= seconds()
        }
        const result = { slices: how, 'first text s': first ?? '-', 'whole s': reader.provider.synced ? seconds() : `not in ${most}`, reconnections }
        reader.close()
        await line.stop()
        return result
      }))
    }
    table('an unmodified provider loads a document of 1 MB at 4 kB/s', rows)
    target('1 MB at 4 kB/s, reconnections', rows[0].reconnections, 0, '')
  },

  // a large document that nobody has open
  async cold ({ table, target, plot }) {
    const rows = await each([servers.startOurs, servers.startHocuspocus], async server => {
      const name = await startTrace(server, 'automerge-paper')
      const result = await servers.load(server, { name, documents: 1, editors: 0, readers: 50, connects: 50, seconds: 0, warmup: 0, rate: 0 })
      return { 'first ms': result.connect_first_ms, 'p50 ms': result.connect_p50_ms, 'last ms': result.connect_max_ms }
    })
    table('a document of 260,000 operations opened cold by 50', rows)
    target('cold open, first of 50', rows[0]['first ms'], 10, 'ms')
    target('cold open, last of 50', rows[0]['last ms'], 50, 'ms')
    plot('relay-cold', 'A document of 260,000 operations opened cold by 50, ms', { unit: 'ms', bars: [...bars(rows, 'first ms'), ...bars(rows, 'last ms')] })
  },

  // a very large one
  async joiners ({ table, target }) {
    const joiners = 150
    const bytes = quick ? 2e6 : 2e7
    const state = makeLarge(bytes)
    const rows = await each([servers.startOurs, servers.startHocuspocus], async server => {
      await store(server, 'large', state)
      const [pid] = server.pids
      const before = servers.residentBytes(pid)
      const result = await servers.load(server, { name: 'large', documents: 1, editors: 0, readers: joiners, connects: joiners, seconds: 0, warmup: 0, rate: 0 })
      return {
        'first ms': result.connect_first_ms,
        'p50 ms': result.connect_p50_ms,
        'last ms': result.connect_max_ms,
        'MB received': result.bytes_in / 1e6,
        'memory MiB, at most': (servers.peakResidentBytes(pid) - before) / 2 ** 20
      }
    })
    table(`a document of ${state.length.toLocaleString('en')} bytes opened cold by ${joiners} at once`, rows)
    target(`${joiners} joiners of a large document, last`, rows[0]['last ms'], 5000, 'ms')
    target(`${joiners} joiners of a large document, memory of the relay`, rows[0]['memory MiB, at most'], 300, 'MiB')
  }
}

// those that take minutes by themselves run when they are asked for
const usual = Object.keys(scenarios).filter(name => name !== 'slow' && !(quick && ['presence', 'flood'].includes(name)))
const wanted = process.argv.length > 2 ? process.argv.slice(2) : usual
for (const name of wanted) if (!(name in scenarios)) throw new Error(`no scenario ${name}; there are ${Object.keys(scenarios).join(' ')}`)

if (wanted.length === 1) {
  await report.scenario(wanted[0], scenarios[wanted[0]])
  process.exit(report.end() ? 0 : 1)
}
for (const name of wanted) {
  console.log(`\n-- relay: ${name}`)
  const { status, error } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), name], { stdio: 'inherit', timeout: (name === 'slow' ? 700 : LIMIT_SECONDS) * 1000 })
  if (error !== undefined) await report.scenario(name, () => { throw new Error(error.code === 'ETIMEDOUT' ? `took more than ${LIMIT_SECONDS} s` : error.message) })
  if (status !== 0) process.exitCode = 1
}
