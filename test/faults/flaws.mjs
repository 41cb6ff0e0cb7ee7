// What a check must notice: evidence of a run that went well, spoiled in one place.
import { createHash } from 'node:crypto'
import * as Y from 'yjs'

// All of it, so that it can be spoiled.
export function copy (value) {
  if (Array.isArray(value)) return value.map(copy)
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, copy(each)]))
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value
  return Object.assign(Object.create(Object.getPrototypeOf(value)), Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copy(each)])))
}

const first = evidence => evidence.documents[0]
const middle = list => list[list.length >> 1]

function another (state) {
  const doc = new Y.Doc()
  Y.applyUpdate(doc, state)
  doc.getText('content').insert(0, '!')
  return Buffer.from(Y.encodeStateAsUpdate(doc))
}

export const flaws = [
  {
    invariant: 'shown-is-durable',
    what: 'a log that lacks what was shown',
    spoil (evidence) {
      const document = first(evidence)
      const doc = new Y.Doc()
      for (const { update } of document.log.slice(0, document.log.length >> 1)) Y.applyUpdate(doc, update)
      document.state = Buffer.from(Y.encodeStateAsUpdate(doc))
    }
  },
  {
    invariant: 'shown-is-durable',
    what: 'what somebody was shown who has gone since',
    spoil (evidence) {
      const document = first(evidence)
      const person = document.present.pop()
      person.shown.deleted.add(4711, 5, 6)
      document.gone.push(person)
    }
  },
  {
    invariant: 'acknowledged-is-committed',
    what: 'an edit in SQL that is not there',
    spoil (evidence) { first(evidence).acknowledged.push('<0>') }
  },
  {
    invariant: 'acknowledged-is-committed',
    what: 'a state vector that promised too much',
    spoil (evidence) { first(evidence).present[0].promised.set(4711, 3) }
  },
  {
    invariant: 'committed-reaches-all',
    what: 'a replica with a character more',
    spoil (evidence) { first(evidence).present[0].state = another(first(evidence).present[0].state) }
  },
  {
    invariant: 'log-without-gap',
    what: 'a row that is missing',
    spoil (evidence) {
      const { log } = first(evidence)
      log.splice(log.length >> 1, 1)
    }
  },
  {
    invariant: 'log-without-gap',
    what: 'a seq that was given out again',
    spoil (evidence) {
      const { log, head, samples } = first(evidence)
      const seq = ++head.seq
      log.push({ from: seq, seq, update: log.at(-1).update })
      samples.push({ seq, hash: createHash('md5').update('another update').digest('hex') })
    }
  },
  {
    invariant: 'log-without-gap',
    what: 'a row that is gone',
    spoil (evidence) { first(evidence).samples.push({ seq: first(evidence).head.seq + 1, hash: '' }) }
  },
  {
    invariant: 'replica-is-prefix',
    what: 'a row with other bytes',
    spoil (evidence) { middle(first(evidence).log).update = Buffer.of(0, 0) }
  },
  {
    invariant: 'replica-is-prefix',
    what: 'a state of another time',
    spoil (evidence) { first(evidence).statesAt[0].state = another(first(evidence).statesAt[0].state) }
  },
  {
    invariant: 'compaction-is-invisible',
    what: 'a document that changed meanwhile',
    spoil (evidence) { evidence.folds.push({ document: 'notes-1', before: '00', counts: '(9,1)', after: '01' }) }
  },
  {
    invariant: 'documents-are-independent',
    what: 'somebody who was sent away',
    spoil (evidence) { first(evidence).present[0].closes.push(4400) }
  },
  {
    invariant: 'memory-is-bounded',
    what: 'a relay that has grown',
    spoil (evidence) { evidence.relays[1].mostResident = 5000 }
  },
  {
    invariant: 'memory-is-bounded',
    what: 'too many updates that wait',
    spoil (evidence) { evidence.relays[0].metrics.pending_bytes = 1 << 27 }
  },
  {
    invariant: 'presence-converges',
    what: 'somebody who is thought to be there',
    spoil (evidence) { first(evidence).present[0].known.push(4711) }
  },
  {
    invariant: 'comes-to-rest',
    what: 'an update that still waits',
    spoil (evidence) { evidence.relays[0].metrics.pending_bytes = 12 }
  },
  {
    invariant: 'ends-in-order',
    what: 'an exit status',
    spoil (evidence) { evidence.relays[0].exits.push({ code: 1, signal: null }) }
  },
  {
    invariant: 'ends-in-order',
    what: 'a worker that crashed',
    spoil (evidence) { evidence.relays[1].workerEnds.push({ status: 0, signal: 11 }) }
  },
  {
    invariant: 'ends-in-order',
    what: 'a relay that ended by itself',
    spoil (evidence) { evidence.crashes.push({ relay: 0, code: null, signal: 'SIGSEGV', log: '' }) }
  }
]
