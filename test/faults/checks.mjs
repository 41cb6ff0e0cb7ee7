// The invariants of doc/invariants.md, by name, and whether evidence (world.mjs) agrees with them.
//
//     for (const { name, count, what, problems } of check(evidence)) ...
//
// Whatever is compared with something of ours is compared with what the real Yjs makes of the same bytes.
import { createHash } from 'node:crypto'
import * as Y from 'yjs'

import { idsOf } from './idset.mjs'

const MOST_RESIDENT_MB = 64 // of a relay, whatever happened to it; an idle one has 8
const MOST_RESIDENT_SANITIZED_MB = 600
const MOST_PENDING_BYTES = 64 << 20 // --max-pending

const invariants = {
  'shown-is-durable': shownIsDurable,
  'acknowledged-is-committed': acknowledgedIsCommitted,
  'committed-reaches-all': committedReachesAll,
  'log-without-gap': logWithoutGap,
  'replica-is-prefix': replicaIsPrefix,
  'compaction-is-invisible': compactionIsInvisible,
  'documents-are-independent': documentsAreIndependent,
  'memory-is-bounded': memoryIsBounded,
  'presence-converges': presenceConverges,
  'comes-to-rest': comesToRest,
  'ends-in-order': endsInOrder
}

export const check = evidence => Object.keys(invariants).map(name => judgeOne(name, evidence))

export function judgeOne (name, evidence) {
  const verdict = { name, count: 0, what: '', problems: [] }
  invariants[name](evidence, verdict)
  return verdict
}

// What Yjs has after these updates; garbage collection is its own decision, so all documents compared went through it.
function loaded (updates) {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
}

const bytesOf = doc => Buffer.from(Y.encodeStateAsUpdate(doc))
const canonical = update => bytesOf(loaded([update]))

function contentOf (doc) {
  return {
    content: doc.getText('content').toDelta(),
    sql: doc.getText('sql').toString(),
    map: doc.getMap('map').toJSON(),
    array: doc.getArray('array').toJSON(),
    xml: doc.getXmlFragment('xml').toString(),
    proofs: doc.getMap('proofs').toJSON()
  }
}

const structsOf = update => Y.decodeUpdate(update).structs
  .map(({ id, length, constructor, content }) => `${id.client} ${id.clock} ${length} ${content?.constructor.name ?? constructor.name}`).join()

// Everything that anybody was shown of somebody else is in the database, whether he is still there or not.
function shownIsDurable ({ documents }, verdict) {
  verdict.what = 'updates shown'
  for (const { name, state, present, gone } of documents) {
    const stored = idsOf(state)
    for (const { number, shown } of [...present, ...gone]) {
      verdict.count += shown.updates
      for (const kind of ['inserted', 'deleted']) {
        const missing = shown[kind].notIn(stored[kind])
        if (missing) verdict.problems.push(`${name}: person ${number} was shown ${missing} ${kind}, which the database lacks`)
      }
    }
  }
}

// Edits in SQL that were reported done, and clocks that the server has said it has.
function acknowledgedIsCommitted ({ documents }, verdict) {
  verdict.what = 'edits in SQL, and clocks of state vectors'
  for (const { name, state, text, acknowledged, present, gone } of documents) {
    verdict.count += acknowledged.length
    for (const word of acknowledged) if (!text.includes(word)) verdict.problems.push(`${name}: the database has reported ${word} done and lacks it`)
    const stored = Y.decodeStateVector(Y.encodeStateVectorFromUpdate(state))
    for (const { number, promised } of [...present, ...gone]) {
      for (const [client, clock] of promised) {
        verdict.count++
        if ((stored.get(client) ?? 0) < clock) verdict.problems.push(`${name}: person ${number} was told that clock ${clock} of client ${client} is stored; ${stored.get(client)} are`)
      }
    }
  }
}

// All replicas are equal: content, and bytes once Yjs has loaded them.  As they are, bytes may differ: the order of clients
// in a delete set, which structs are merged in memory and which deleted ones collected follow from the order in which
// a replica saw things.
function committedReachesAll ({ documents }, verdict) {
  let sameStructs = 0
  for (const { name, state, present } of documents) {
    const expected = canonical(state)
    const content = JSON.stringify(contentOf(loaded([state])))
    const structs = structsOf(state)
    for (const { number, state: own } of present) {
      verdict.count++
      sameStructs += structsOf(own) === structs
      if (JSON.stringify(contentOf(loaded([own]))) !== content) verdict.problems.push(`${name}: person ${number} sees another document than the database`)
      else if (Buffer.compare(canonical(own), expected) !== 0) verdict.problems.push(`${name}: person ${number} has other bytes than the database`)
    }
  }
  verdict.what = `replicas, ${sameStructs} of them struct by struct as they are`
}

// Numbers follow one another, and a row never changes but by becoming part of a longer one.
function logWithoutGap ({ documents }, verdict) {
  verdict.what = 'log rows'
  for (const { name, log, head, samples } of documents) {
    let last = 0
    const hashes = new Map()
    for (const { from, seq, update } of log) {
      verdict.count++
      if (from !== last + 1 || seq < from) verdict.problems.push(`${name}: row ${from} to ${seq} follows on ${last}`)
      last = seq
      hashes.set(seq, { from, hash: createHash('md5').update(update).digest('hex') })
    }
    if (last !== head.seq) verdict.problems.push(`${name}: the log ends at ${last}, the document at ${head.seq}`)
    for (const { seq, hash } of samples) {
      const row = hashes.get(seq)
      if (row === undefined && !log.some(({ from, seq: to }) => from <= seq && seq < to)) verdict.problems.push(`${name}: row ${seq} was there and is gone`)
      // a row that holds its own seq only was never folded
      if (row !== undefined && row.hash !== hash && row.from === seq) verdict.problems.push(`${name}: row ${seq} is another one than it was`)
    }
  }
}

// The log's first n updates, merged by the real Yjs, are the document as of n; all of them are the document.
function replicaIsPrefix ({ documents }, verdict) {
  verdict.what = 'prefixes of logs'
  for (const { name, log, statesAt, state } of documents) {
    for (const { seq, state: stateAt } of [...statesAt, { seq: log.at(-1).seq, state }]) {
      verdict.count++
      const prefix = loaded(log.filter(row => row.seq <= seq).map(row => row.update))
      if (Buffer.compare(canonical(bytesOf(prefix)), canonical(stateAt)) !== 0) verdict.problems.push(`${name}: the log up to ${seq} is not the document as of ${seq}`)
      if (prefix.store.pendingStructs !== null && seq === log.at(-1).seq) verdict.problems.push(`${name}: structs wait for what was never stored`)
    }
  }
}

function compactionIsInvisible ({ folds }, verdict) {
  verdict.what = 'documents thinned'
  for (const { document, before, counts, after } of folds) {
    verdict.count++
    if (before !== after) verdict.problems.push(`${document}: another document after thinning ${counts}`)
  }
}

// Nobody is sent away, or not served, for what others do to another document or to this one.
function documentsAreIndependent ({ documents }, verdict) {
  verdict.what = 'connections of good clients that ended'
  for (const { name, present, gone } of documents) {
    for (const { number, closes } of [...present, ...gone]) {
      verdict.count += closes.length
      for (const code of closes) if (code === 1011 || (code >= 4400 && code < 4500)) verdict.problems.push(`${name}: person ${number} was sent away with ${code}`)
    }
  }
}

function memoryIsBounded ({ relays, isSanitized }, verdict) {
  const most = isSanitized ? MOST_RESIDENT_SANITIZED_MB : MOST_RESIDENT_MB
  verdict.count = relays.length
  verdict.what = `relays, at most ${Math.max(...relays.map(each => each.mostResident)).toFixed(0)} of ${most} MB`
  for (const { number, mostResident, metrics } of relays) {
    if (!(mostResident > 0 && mostResident <= most)) verdict.problems.push(`relay ${number} had ${mostResident} MB`)
    if (!(metrics.pending_bytes <= MOST_PENDING_BYTES)) verdict.problems.push(`relay ${number} holds ${metrics.pending_bytes} bytes of updates`)
  }
}

// Everybody knows of exactly those who are there.
function presenceConverges ({ documents }, verdict) {
  verdict.what = 'people'
  for (const { name, present } of documents) {
    const here = JSON.stringify(present.map(({ number }) => number).sort())
    for (const { number, known } of present) {
      verdict.count++
      if (JSON.stringify(known) !== here) verdict.problems.push(`${name}: person ${number} thinks that ${JSON.stringify(known)} are there, and ${here} are`)
    }
  }
}

// When nobody types, nothing is on its way any more.
function comesToRest ({ relays }, verdict) {
  verdict.what = 'relays'
  for (const { number, metrics, processes } of relays) {
    verdict.count++
    for (const gauge of ['pending_bytes', 'reassembly_bytes']) if (metrics[gauge] !== 0) verdict.problems.push(`relay ${number} says ${gauge} ${metrics[gauge]}`)
    if (metrics.database_connections_up !== 5 * processes) verdict.problems.push(`relay ${number} has ${metrics.database_connections_up} database connections`)
  }
}

// A relay ends when it is asked to or killed, never by itself, and with 0 when it was asked.
function endsInOrder ({ relays, crashes }, verdict) {
  verdict.what = 'ends of relays'
  for (const { number, exits, workerEnds } of relays) {
    for (const { status, signal } of workerEnds) {
      verdict.count++
      if (status !== 0 || ![0, 9].includes(signal)) verdict.problems.push(`a worker of relay ${number} ended with status ${status}, signal ${signal}`)
    }
    for (const { code, signal } of exits) {
      verdict.count++
      if (code !== 0 && signal !== 'SIGKILL') verdict.problems.push(`relay ${number} ended with ${code ?? signal}`)
    }
  }
  for (const { relay, code, signal, log } of crashes) verdict.problems.push(`relay ${relay} ended by itself with ${code ?? signal}: ${log}`)
}
