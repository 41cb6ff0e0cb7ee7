// Sets of (client, clock), as sorted runs: what somebody was shown, what a document has.
import * as Y from 'yjs'

export class IdSet {
  constructor () { this.clients = new Map() }

  add (client, from, to) {
    if (from >= to) return
    const runs = this.clients.get(client) ?? []
    let low = 0
    while (low < runs.length && runs[low][1] < from) low++
    let high = low
    while (high < runs.length && runs[high][0] <= to) {
      from = Math.min(from, runs[high][0])
      to = Math.max(to, runs[high][1])
      high++
    }
    runs.splice(low, high - low, [from, to])
    this.clients.set(client, runs)
  }

  addAll (other) {
    for (const [client, runs] of other.clients) for (const [from, to] of runs) this.add(client, from, to)
  }

  // The first run that is not in other, in words; undefined if all are.
  notIn (other) {
    for (const [client, runs] of this.clients) {
      for (const [from, to] of runs) {
        if (!(other.clients.get(client) ?? []).some(run => run[0] <= from && to <= run[1])) return `client ${client}, clocks ${from} to ${to - 1}`
      }
    }
  }
}

// The structs and the deletes of an update.
export function idsOf (update) {
  const { structs, ds } = Y.decodeUpdate(update)
  const inserted = new IdSet()
  const deleted = new IdSet()
  for (const { id, length, constructor } of structs) if (constructor.name !== 'Skip') inserted.add(id.client, id.clock, id.clock + length)
  for (const [client, items] of ds.clients) for (const { clock, len } of items) deleted.add(client, clock, clock + len)
  return { inserted, deleted }
}
