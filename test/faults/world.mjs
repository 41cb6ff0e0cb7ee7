// The world that faults happen to: a private PostgreSQL on a small disk, two relays, links between all of them,
// people and SQL sessions who edit many documents.
//
//     const world = await openWorld(seed)
//     world.work()                            everybody types, until world.rest()
//     await world.prove()                     an edit of each document reaches everybody and the database
//     const evidence = await world.collect()  what there is to be judged: checks.mjs
//
// Whatever is noted here is noted when it happens; nothing is judged here but that a proof arrives.
import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as Y from 'yjs'

import { sleep, startDatabase, startRelay, until } from '../relay/servers.mjs'
import { chance } from '../chance.mjs'
import { makeDisk } from './disk.mjs'
import { openLink } from './links.mjs'
import { Person } from './people.mjs'

const run = promisify(execFile)

const DOCUMENTS = 8
const PEOPLE = [4, 5, 6] // of a document
const DISK_MEGABYTES = 192
const WORKERS = [0, 2] // of the relays; 0: a single process
const EDIT_MS = 4
const SQL_MS = 300
const LOOK_MS = 500
const RECOVERY_MS = 60000
const PRESENCE_MS = 45000 // y-protocols forgets after 30 s who was not renewed
export const BROKEN = 'broken'

export async function openWorld (seed) {
  const world = new World(seed)
  await world.open()
  return world
}

class World {
  constructor (seed) {
    Object.assign(this, {
      seed,
      random: chance(seed, 'world'),
      disk: makeDisk(DISK_MEGABYTES),
      documents: Array.from({ length: DOCUMENTS }, (_, i) => `notes-${i + 1}`),
      people: [],
      gone: [],
      acknowledged: [], // {document, word}: edits in SQL that were reported done
      folds: [],
      crashes: [],
      samples: new Map(), // document and seq -> the log row as it was seen
      timers: [],
      proofs: 0
    })
  }

  async open () {
    this.database = await startDatabase({
      before: (data, owner) => this.disk.before(data, owner),
      initdb: ['--wal-segsize=1'],
      settings: `
        shared_preload_libraries = pg_ydoc
        ydoc.worker_databases = test
        ydoc.worker_naptime = 1s
        ydoc.compact_rows = 40
        max_wal_size = 24MB
        min_wal_size = 4MB
        max_connections = 80
      `
    })
    await this.database.psql("SELECT ydoc.set_retention('notes-%', gap => '0.2 seconds')")
    this.relays = []
    for (let i = 0; i < 2; i++) this.relays.push(await this.openRelay(i))
    this.either = await openLink({ to: () => ({ host: '127.0.0.1', port: this.random.pick(this.relays).port }) })
    for (const document of this.documents) for (let i = this.random.pick(PEOPLE); i > 0; i--) this.invite(document)
    await until(() => this.people.every(person => person.isConnected), RECOVERY_MS)
    await this.breakDocument()
  }

  // A relay, the way to it, and its way to the database.
  async openRelay (number) {
    const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-link-'))
    chmodSync(directory, 0o755)
    const path = join(directory, '.s.PGSQL.5432')
    const toDatabase = await openLink({ path, to: () => ({ path: join(this.database.socket, '.s.PGSQL.5432') }) })
    const relay = await startRelay({ conninfo: `host=${directory} user=postgres dbname=test application_name=relay-${number}` },
      { arguments: ['--workers', String(WORKERS[number])] })
    const port = Number(new URL(relay.url).port)
    const toPeople = await openLink({ to: () => ({ host: '127.0.0.1', port }) })
    const each = { number, relay, port, toDatabase, toPeople, directory, workers: WORKERS[number], mostResident: 0, exits: [], isExpectedToEnd: false }
    this.watch(each)
    return each
  }

  // A relay that ends by itself is a finding.
  watch (each) {
    const { child } = each.relay
    each.relay.ended.then(end => {
      if (each.isExpectedToEnd) each.exits.push(end)
      else this.crashes.push({ relay: each.number, ...end, log: each.relay.log.slice(-2000), pid: child.pid })
    })
  }

  // Of a relay with workers: the supervisor, and these.
  async processesOf (each) {
    const { pid } = each.relay.child
    if (each.workers === 0) return [pid]
    const workers = await run('ps', ['-o', 'pid=', '--ppid', String(pid)]).catch(() => ({ stdout: '' }))
    return [pid, ...workers.stdout.split('\n').map(Number).filter(Boolean)]
  }

  async signalRelay (each, signal) {
    for (const pid of await this.processesOf(each)) {
      try { process.kill(pid, signal) } catch {} // it has gone meanwhile
    }
  }

  async endRelay (each, signal) {
    each.isExpectedToEnd = true
    each.relay.child.kill(signal)
    await each.relay.ended
  }

  // All of its processes at once; of a supervisor alone, the workers would go on for a while.
  async killRelay (each, all = true) {
    each.isExpectedToEnd = true
    if (all) await this.signalRelay(each, 'SIGKILL')
    else each.relay.child.kill('SIGKILL')
    await each.relay.ended
  }

  async launchRelay (each) {
    if (each.relay.child.exitCode === null && each.relay.child.signalCode === null) return
    each.isExpectedToEnd = false
    await each.relay.launch()
    this.watch(each)
  }

  invite (document) {
    const { random } = this
    const way = random.pick([this.relays[0].toPeople, this.relays[1].toPeople, this.either])
    const person = new Person(document, `ws://127.0.0.1:${way.port}`, random.pick([2, 3, 'Hocuspocus']), chance(this.seed, this.people.length + this.gone.length, 'person'))
    this.people.push(person)
    return person
  }

  dismiss (person) {
    person.leave()
    this.people.splice(this.people.indexOf(person), 1)
    this.gone.push(person)
  }

  peopleOf (document) { return this.people.filter(person => person.document === document) }

  // A document whose log cannot be decoded, with people who want it all the same.
  async breakDocument () {
    // two transactions: an edit's row is there when its own ends
    await this.database.psql([`SELECT ydoc.text_append('${BROKEN}', 'content', 'gone')`,
      `UPDATE ydoc_data.log SET update = '\\x0909' WHERE document = '${BROKEN}'`])
    this.unlucky = [this.relays[0], this.relays[1]].map(each =>
      new Person(BROKEN, `ws://127.0.0.1:${each.toPeople.port}`, 2, this.random))
  }

  // ---- work ----

  work () {
    this.isWorking = true
    this.every(EDIT_MS, () => {
      if (this.people.length > 0) this.random.pick(this.people).edit()
    })
    this.every(LOOK_MS, () => this.look())
    this.sql = this.editInSql()
    this.sampling = this.sampleLog()
  }

  every (milliseconds, act) { this.timers.push(setInterval(act, milliseconds)) }

  async rest () {
    this.isWorking = false
    for (const timer of this.timers) clearInterval(timer)
    this.timers = []
    await this.sql
    await this.sampling
  }

  async editInSql () {
    const random = chance(this.seed, 'sql')
    for (let number = 1; this.isWorking; number++) {
      const document = random.pick(this.documents)
      const word = `<${number}>`
      const more = random.pick([
        `ydoc.text_insert('${document}', 'content', 0, 'SQL ')`,
        `ydoc.map_set('${document}', 'map', 'key 1', '${number}')`,
        `ydoc.array_insert('${document}', 'array', 0, '[${number}]')`
      ])
      try {
        // one transaction: either the word is there in the end, or nothing was reported
        await this.database.psql(`SELECT ydoc.text_append('${document}', 'sql', '${word}'), ${more}`)
        this.acknowledged.push({ document, word })
      } catch (error) { // the server is away, or was killed meanwhile: then nobody knows
        this.refusals = (this.refusals ?? 0) + 1
        this.lastRefusal = String(error.stderr ?? error)
      }
      await sleep(SQL_MS)
    }
  }

  // Log rows never change but by being folded into a longer one: so some are remembered.
  async sampleLog () {
    let since = 0
    while (this.isWorking) {
      try {
        const rows = await this.database.psql(`SELECT document, seq, md5(update), extract(epoch FROM at) FROM ydoc_data.log
          WHERE at > to_timestamp(${since}) AND document LIKE 'notes-%'`)
        for (const row of rows.split('\n').filter(Boolean)) {
          const [document, seq, hash, at] = row.split('|')
          this.samples.set(`${document}|${seq}`, hash)
          since = Math.max(since, Number(at))
        }
      } catch {} // the server is away
      await sleep(LOOK_MS)
    }
  }

  async look () {
    for (const each of this.relays) {
      for (const pid of await this.processesOf(each)) {
        try {
          const resident = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
          each.mostResident = Math.max(each.mostResident, resident / 1024)
        } catch {} // it is not running
      }
    }
  }

  // ---- recovery ----

  // One person of each document says something new, and everybody there must hear of it, and the database.
  async prove () {
    const started = Date.now()
    const proof = `proof ${++this.proofs}`
    const waiting = new Map(this.documents.map(document => [document, 'nobody is there']))
    const said = new Set()
    try {
      await until(async () => {
        for (const document of [...waiting.keys()]) {
          const people = this.peopleOf(document)
          if (!said.has(document) && people.length > 0) {
            said.add(document)
            this.random.pick(people).doc.getMap('proofs').set(proof, true) // a key of its own: nobody else can win
          }
          const deaf = people.filter(person => !person.doc.getMap('proofs').has(proof))
          waiting.set(document, deaf.map(person => `${person.number}${person.isConnected ? '' : ' (not connected)'}`).join(', '))
          if (said.has(document) && deaf.length === 0) waiting.delete(document)
        }
        return waiting.size === 0
      }, RECOVERY_MS)
      await until(async () => {
        try {
          const lacking = await this.database.psql(`SELECT count(*) FROM ydoc_data.document WHERE name LIKE 'notes-%' AND NOT ydoc.json(name, 'proofs') ? '${proof}'`)
          return lacking === '0'
        } catch { return false }
      }, RECOVERY_MS)
    } catch (error) {
      throw new Error(`no recovery: ${[...waiting].map(([document, who]) => `${document}: ${who}`).join('; ') || 'the database lacks it'}`, { cause: error })
    }
    return Date.now() - started
  }

  async startDatabase () {
    const pid = this.database.postmaster()
    if (pid !== undefined) {
      try {
        process.kill(pid, 0)
        await until(async () => {
          try { return await this.database.psql('SELECT 1') === '1' } catch { return false }
        }, 10000)
        return
      } catch {} // it does not run, or will not come up by itself
    }
    await until(async () => {
      try {
        await this.database.start()
        return true
      } catch (error) {
        if (await this.database.psql('SELECT 1').catch(() => '') === '1') return true
        this.lastRefusal = String(error.stderr ?? error)
        return false
      }
    }, RECOVERY_MS)
  }

  // Process ids of the backends of a relay; role: listener, or anything else.
  async backendsOf (each, role) {
    const rows = await this.database.psql(`SELECT pid FROM pg_stat_activity WHERE application_name = 'relay-${each.number}'
      AND backend_type = 'client backend' AND (query ~ '^LISTEN') = ${role === 'listener'}`)
    return rows.split('\n').filter(Boolean).map(Number)
  }

  // ---- the end ----

  // When all that is on its way has arrived, nothing changes any more.
  async converge () {
    const started = Date.now()
    let differences
    try {
      await until(async () => {
        differences = await this.differences()
        await sleep(200)
        return differences.length === 0
      }, RECOVERY_MS)
    } catch (error) {
      throw new Error(`no convergence: ${differences.join('; ')}`, { cause: error })
    }
    // states of those who are gone expire
    await until(() => this.documents.every(document => {
      const people = this.peopleOf(document)
      const here = String(people.map(person => person.number).sort())
      return people.every(person => String(person.knows()) === here)
    }), PRESENCE_MS).catch(() => {}) // then the check says who is wrong
    await sleep(1000)
    return Date.now() - started
  }

  async differences () {
    const differences = []
    for (const document of this.documents) {
      const stored = await this.exported(document)
      const doc = new Y.Doc()
      Y.applyUpdate(doc, stored)
      const expected = Buffer.from(Y.encodeSnapshot(Y.snapshot(doc)))
      for (const person of this.peopleOf(document)) {
        if (!expected.equals(Buffer.from(Y.encodeSnapshot(Y.snapshot(person.doc))))) differences.push(`${document}: person ${person.number}${person.isConnected ? '' : ' (not connected)'}`)
      }
      doc.destroy()
    }
    return differences
  }

  async exported (document) {
    return Buffer.from(await this.database.psql(`SELECT encode(ydoc.export('${document}'), 'hex')`), 'hex')
  }

  async metrics (each) {
    const text = await (await fetch(`${each.relay.http}/metrics`)).text()
    const metrics = {} // of all workers together
    for (const [, name, value] of text.matchAll(/^ydoc_relay_(\w+)(?:\{worker="\d+"\})? (\d+)$/gm)) metrics[name] = (metrics[name] ?? 0) + Number(value)
    return metrics
  }

  async collect () {
    const documents = []
    await this.look()
    for (const document of this.documents) documents.push(await this.collectDocument(document))
    const relays = []
    for (const each of this.relays) {
      const workerEnds = each.relay.log.split('\n').filter(line => line.includes('"worker_ended"')).map(line => JSON.parse(line))
      relays.push({
        number: each.number,
        processes: each.workers || 1,
        mostResident: each.mostResident,
        metrics: await this.metrics(each),
        exits: each.exits,
        workerEnds: workerEnds.map(({ status, signal }) => ({ status, signal }))
      })
    }
    return { documents, relays, crashes: this.crashes, folds: this.folds, isSanitized: /sanitize/.test(process.env.YDOC_RELAY ?? '') }
  }

  async collectDocument (name) {
    const { psql } = this.database
    const describe = person => ({
      number: person.number,
      version: person.version,
      shown: person.shown,
      promised: person.promised,
      closes: person.closes,
      typed: person.typed
    })
    const log = (await psql(`SELECT seq_from, seq, encode(update, 'hex') FROM ydoc_data.log WHERE document = '${name}' ORDER BY seq`))
      .split('\n').filter(Boolean).map(row => row.split('|'))
      .map(([from, seq, hex]) => ({ from: Number(from), seq: Number(seq), update: Buffer.from(hex, 'hex') }))
    const [epochs, seq] = (await psql(`SELECT epoch, seq FROM ydoc_data.document WHERE name = '${name}'`)).split('|').map(Number)
    const statesAt = []
    for (let i = 0; i < 4; i++) {
      const row = i === 0 ? log.at(-1) : this.random.pick(log)
      statesAt.push({ seq: row.seq, state: Buffer.from(await psql(`SELECT encode(ydoc.state_at('${name}', ${row.seq})::bytea, 'hex')`), 'hex') })
    }
    return {
      name,
      present: this.peopleOf(name).map(person => ({
        ...describe(person),
        state: Y.encodeStateAsUpdate(person.doc),
        known: person.knows()
      })),
      gone: this.gone.filter(person => person.document === name).map(describe),
      state: await this.exported(name),
      text: await psql(`SELECT ydoc.text('${name}', 'sql')`),
      acknowledged: this.acknowledged.filter(each => each.document === name).map(each => each.word),
      log,
      head: { epoch: epochs, seq },
      samples: [...this.samples].filter(([key]) => key.startsWith(name + '|')).map(([key, hash]) => ({ seq: Number(key.split('|')[1]), hash })),
      statesAt
    }
  }

  async close () {
    await this.rest()
    for (const person of [...this.people, ...this.unlucky ?? []]) person.leave()
    for (const each of this.relays ?? []) {
      each.isExpectedToEnd = true
      await this.signalRelay(each, 'SIGCONT')
      each.exits.push(await each.relay.stop())
      await each.toPeople.close()
      await each.toDatabase.close()
      rmSync(each.directory, { recursive: true, force: true })
    }
    await this.either?.close()
    await this.database?.stop()
  }
}
