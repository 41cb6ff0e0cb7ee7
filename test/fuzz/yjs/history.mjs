// A random history: who takes part, and step after step chosen by what the documents hold by then.
import * as Y from 'yjs'
import { base64, fromBase64, kindOf, root } from './tagged.mjs'
import { Random, edit, walk } from './random.mjs'
import { World } from './world.mjs'

const ROOTS = [{ t: 'text' }, { a: 'array' }, { m: 'map' }, { x: 'xmlfragment' }, { t: 'text', a: 'array' }, { t: 'text', m: 'map', x: 'xmlfragment' }, { a: 'array', m: 'map' }, { t: 'xmltext' }]

const chooseSetting = (random, name) => {
  const roots = random.pick(ROOTS)
  const clients = [...new Set(random.times(1, 4, () => random.weighted([[random.from(0, 200), 3], [random.next(), 2], [2 ** 53 - 1 - random.from(0, 9), 0.1]])))]
  const withUndo = random.chance(0.35)
  const undo = Object.fromEntries(clients.filter(() => withUndo && random.chance(0.7)).map((client) => [client, {
    scope: random.chance(0.7) ? Object.keys(roots) : [random.pick(Object.keys(roots))],
    captureTimeout: random.chance(0.5) ? 0 : 1e9,
    ...(random.chance(0.2) ? { ignoreRemoteMapChanges: true } : {}),
    ...(random.chance(0.3) ? { trackedOrigins: [null, 'one'] } : {})
  }]))
  return { name, roots, clients, undo, gcOff: clients.filter(() => random.chance(0.15)) }
}
const chooseProfile = (random) => ({
  strange: random.pick([0, 0.1, 0.4]),
  halves: random.chance(0.1) ? 0.15 : 0,
  nested: random.pick([0, 0.2, 0.4]),
  subdocuments: random.chance(0.2) ? 0.1 : 0,
  rich: random.pick([0, 1, 3]),
  deletes: random.pick([1, 3, 5])
})

export class History {
  constructor (seed, number) {
    const random = new Random((seed + number * 2654435761) >>> 0)
    this.random = random
    this.profile = chooseProfile(random)
    this.setting = chooseSetting(random, `history-${seed}-${number}`)
    this.world = new World(this.setting)
    this.sent = [] // [{ client, v1, v2 }]
    this.got = new Map(this.setting.clients.map((client) => [client, new Set()]))
    this.steps = []
    this.positions = []
  }

  run (step) {
    const done = this.world.step(step)
    if (!done) return
    this.steps.push(done)
    for (const event of done.emitted) if (!event.remote) this.sent.push({ client: step.client, v1: event.v1, v2: event.v2 })
  }

  chooseOps (who) {
    // each op is chosen for the document as it is before the transaction; those that no longer fit are dropped
    return this.random.times(1, this.random.chance(0.6) ? 1 : 4, () => edit(this.random, this.profile, who.doc, this.setting.roots))
  }

  chooseUpdates (who) {
    const { random, sent } = this
    const got = this.got.get(who.client)
    const others = sent.map((update, i) => [update, i]).filter(([update]) => update.client !== who.client)
    if (others.length === 0) return []
    const fresh = others.filter(([, i]) => !got.has(i))
    const from = random.chance(0.85) && fresh.length > 0 ? fresh : others
    const note = (list) => list.forEach(([, i]) => got.add(i))
    const one = ([update]) => random.chance(0.3) ? { v2: update.v2 } : { v1: update.v1 }
    return random.weighted([
      [() => { note(from.slice(0, 8)); return from.slice(0, 8).map(one) }, 5], // in order
      [() => { const list = random.shuffle(from).slice(0, 6); note(list); return list.map(one) }, 3], // out of order, some not yet
      [() => { const list = random.shuffle(from).slice(0, random.from(1, 12)); note(list); return [random.chance(0.5) ? { v1: base64(Y.mergeUpdates(list.map(([u]) => fromBase64(u.v1)))) } : { v2: base64(Y.mergeUpdatesV2(list.map(([u]) => fromBase64(u.v2)))) }] }, 2],
      [() => { note(from.slice(0, 3)); return [...from.slice(0, 3), ...from.slice(0, 3)].map(one) }, 1], // twice
      [() => this.chooseSync(who), 2]
    ])()
  }

  // what another document has, by state vector, or all of it
  chooseSync (who) {
    const other = this.world.participants.get(this.random.pick(this.setting.clients))
    const vector = this.random.chance(0.8) ? Y.encodeStateVector(who.doc) : undefined
    if (other === who) return []
    return [this.random.chance(0.5) ? { v1: base64(Y.encodeStateAsUpdate(other.doc, vector)) } : { v2: base64(Y.encodeStateAsUpdateV2(other.doc, vector)) }]
  }

  chooseLook (who) {
    const { random } = this
    const step = { step: 'look', client: who.client }
    const texts = Object.keys(this.setting.roots).filter((name) => ['text', 'xmltext'].includes(this.setting.roots[name]))
    if (!who.doc.gc && !who.undo) { // README: what is not made
      const numbers = [...who.snapshots.keys()]
      if (random.chance(0.6)) step.take = { number: random.from(0, 7) }
      if (numbers.length > 0 && random.chance(0.7) && texts.length > 0) step.delta = { at: [random.pick(texts)], snapshot: random.pick(numbers), ...(random.chance(0.6) ? { previous: random.pick(numbers) } : {}) }
      if (numbers.length > 0 && random.chance(0.5)) step.restore = { snapshot: random.pick(numbers) }
    }
    if (random.chance(0.6)) {
      step.positions = random.times(1, 4, () => {
        if (this.positions.length > 0 && random.chance(0.4)) return { bytes: random.pick(this.positions) }
        const [path, type] = random.pick(walk(who.doc, this.setting.roots))
        return { at: path, index: kindOf(type) === 'map' ? 0 : random.from(0, type.length), assoc: random.pick([0, -1]) }
      })
    }
    if (this.sent.length > 0 && random.chance(0.6)) {
      const some = random.times(1, random.chance(0.9) ? 6 : 40, () => random.pick(this.sent))
      const other = this.world.participants.get(random.pick(this.setting.clients))
      if (random.chance(0.5)) some.push({ v1: base64(Y.encodeStateAsUpdate(other.doc)), v2: base64(Y.encodeStateAsUpdateV2(other.doc)) })
      step.updates = { v1: some.map((u) => u.v1), v2: some.map((u) => u.v2), sv: base64(Y.encodeStateVector(who.doc)) }
    }
    return step
  }

  chooseStep () {
    const { random } = this
    const who = this.world.participants.get(random.pick(this.setting.clients))
    const client = who.client
    const size = who.doc.store.clients.size === 0 ? 0 : [...who.doc.store.clients.values()].reduce((sum, structs) => sum + structs.length, 0)
    const state = random.chance(size < 40 ? 1 : size < 150 ? 0.35 : 0.05) ? (random.chance(0.3) ? 'snapshot' : true) : undefined
    return random.weighted([
      [() => ({ step: 'tx', client, ops: this.chooseOps(who), origin: random.weighted([[null, 4], ['one', 1], ['two', 0.5]]), state }), 10],
      [() => ({ step: 'recv', client, updates: this.chooseUpdates(who), state }), this.setting.clients.length > 1 ? 5 : 0],
      [() => ({ step: 'undo', client, state }), who.undo ? 2 : 0],
      [() => ({ step: 'redo', client, state }), who.undo ? 1.5 : 0],
      [() => ({ step: 'stopCapturing', client }), who.undo ? 0.5 : 0],
      [() => this.chooseLook(who), 1]
    ])()
  }

  // the whole case; undefined: Yjs threw, and its documents are in no state that means anything
  make () {
    try {
      return this.makeOrThrow()
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      return undefined
    }
  }

  makeOrThrow () {
    const length = this.random.weighted([[this.random.from(5, 40), 6], [this.random.from(40, 200), 3], [this.random.from(500, 2500), 0.08]])
    for (let i = 0; i < length; i++) {
      this.run(this.chooseStep())
      const last = this.steps.at(-1)
      for (const position of last?.positions ?? []) this.positions.push(position.bytes)
    }
    return { operations: this.world.operations, json: { group: 'fuzz', kind: 'ops', ...this.setting, steps: this.steps, final: this.world.final() } }
  }
}
export { root }
