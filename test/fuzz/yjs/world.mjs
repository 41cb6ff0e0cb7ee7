// Documents of several clients in the real Yjs.  A step is plain JSON; running it edits, sends or
// looks, and returns the step with all that our core must show after it.
import * as Y from 'yjs'
import { base64, fromBase64, kindOf, report, root, tag, tagDelta, untag } from './tagged.mjs'

const STATE_MOST_BYTES = 200000

// a key is not an index, though JavaScript would take "0" for one
const child = (type, part) => (typeof part === 'string') === (type instanceof Y.Map) ? type.get(part) : undefined
const at = (doc, roots, path) => path.slice(1).reduce(child, root(doc, path[0], roots[path[0]]))

const run = {
  insert: (t, op) => {
    if (!(t instanceof Y.Text)) t.insert(op.index, op.values.map(untag))
    else if (op.attrs === undefined) t.insert(op.index, untag(op.text))
    else t.insert(op.index, untag(op.text), untag(op.attrs))
  },
  embed: (t, op) => op.attrs === undefined ? t.insertEmbed(op.index, untag(op.value)) : t.insertEmbed(op.index, untag(op.value), untag(op.attrs)),
  delete: (t, op) => t.delete(op.index, op.length),
  format: (t, op) => t.format(op.index, op.length, untag(op.attrs)),
  delta: (t, op) => op.sanitize === undefined ? t.applyDelta(untag(op.delta)) : t.applyDelta(untag(op.delta), { sanitize: op.sanitize }),
  push: (t, op) => t.push(op.values.map(untag)),
  unshift: (t, op) => t.unshift(op.values.map(untag)),
  insertAfter: (t, op) => t.insertAfter(op.ref === null ? null : t.get(op.ref), op.values.map(untag)),
  set: (t, op) => t.set(op.key, untag(op.value)),
  unset: (t, op) => t.delete(op.key),
  clear: (t) => t.clear(),
  setAttr: (t, op) => t.setAttribute(op.key, untag(op.value)),
  removeAttr: (t, op) => t.removeAttribute(op.key)
}
const isText = (t) => t instanceof Y.Text
const isMap = (t) => t instanceof Y.Map
const isList = (t) => t instanceof Y.Array || t instanceof Y.XmlFragment
const takes = {
  insert: (t, op) => op.text === undefined ? isList(t) && (t instanceof Y.Array) === !op.xml : isText(t),
  embed: isText,
  format: isText,
  delta: isText,
  delete: (t) => isText(t) || isList(t),
  push: (t, op) => isList(t) && (t instanceof Y.Array) === !op.xml,
  unshift: (t) => t instanceof Y.Array,
  insertAfter: (t) => t instanceof Y.XmlFragment,
  set: isMap,
  unset: isMap,
  clear: isMap,
  setAttr: (t) => isText(t) || t instanceof Y.XmlElement,
  removeAttr: (t) => isText(t) || t instanceof Y.XmlElement
}
// may it be run: a history that lost steps may have nothing there any more, or another type
const fits = (t, op) => {
  if (!(t instanceof Y.AbstractType) || !t.doc || !takes[op.op](t, op)) return false
  const end = op.op === 'delete' || op.op === 'format' ? op.index + op.length : op.index
  if (end !== undefined && end > t.length) return false
  return op.ref == null || t.get(op.ref) instanceof Y.AbstractType
}

class Participant {
  constructor (client, roots, gc, undo) {
    this.client = client
    this.roots = roots
    this.doc = new Y.Doc({ gc, guid: `doc-${client}` })
    this.doc.clientID = client
    this.events = []
    this.snapshots = new Map()
    for (const [name, kind] of Object.entries(roots)) root(this.doc, name, kind)
    this.doc.on('update', (v1, origin, doc, transaction) => this.events.push({ v1: base64(v1), remote: !transaction.local }))
    this.doc.on('updateV2', (v2) => { this.events.at(-1).v2 = base64(v2) })
    if (undo) {
      this.undo = new Y.UndoManager(undo.scope.map((name) => root(this.doc, name, roots[name])), {
        captureTimeout: undo.captureTimeout,
        ignoreRemoteMapChanges: undo.ignoreRemoteMapChanges ?? false,
        ...(undo.trackedOrigins ? { trackedOrigins: new Set(undo.trackedOrigins) } : {})
      })
    }
  }

  takeEvents () {
    return this.events.splice(0).map(({ v1, v2, remote }) => remote ? { v1, v2, remote } : { v1, v2 })
  }

  state (withSnapshot) {
    const doc = this.doc
    const { pendingStructs, pendingDs } = doc.store
    const snapshot = Y.snapshot(doc)
    return {
      sv: base64(Y.encodeStateVector(doc)),
      v1: base64(Y.encodeStateAsUpdate(doc)),
      v2: base64(Y.encodeStateAsUpdateV2(doc)),
      ...(withSnapshot ? { snapshot: base64(Y.encodeSnapshot(snapshot)), snapshotV2: base64(Y.encodeSnapshotV2(snapshot)) } : {}),
      ...(pendingStructs || pendingDs ? { pending: { structs: pendingStructs ? Object.fromEntries(pendingStructs.missing) : null, ds: pendingDs !== null } } : {}),
      ...(pendingStructs ? { pendingStructsUpdateV2: base64(pendingStructs.update) } : {}),
      ...(pendingDs ? { pendingDsUpdateV2: base64(pendingDs) } : {}),
      roots: report(doc, this.roots)
    }
  }
}

export class World {
  constructor (setting) {
    this.setting = setting
    this.participants = new Map(setting.clients.map((client) => [client, new Participant(client, setting.roots, !setting.gcOff.includes(client), setting.undo[client])]))
    this.operations = 0
  }

  // the step with what is expected after it; undefined: it cannot be run here
  step (step) {
    const who = this.participants.get(step.client)
    const expected = this[step.step](who, step)
    if (expected === undefined) return undefined
    const emitted = who.takeEvents()
    const state = step.state ? { state: who.state(step.state === 'snapshot') } : {}
    return { ...step, ...expected, emitted, state: undefined, ...state }
  }

  tx (who, step) {
    const ops = []
    who.doc.transact(() => {
      for (const op of step.ops) {
        let type
        try { type = at(who.doc, this.setting.roots, op.at) } catch { continue }
        if (!fits(type, op)) continue
        run[op.op](type, op)
        ops.push(op)
      }
    }, step.origin ?? null)
    this.operations += ops.length
    return { ops }
  }

  recv (who, step) {
    for (const update of step.updates) {
      if (update.v1) Y.applyUpdate(who.doc, fromBase64(update.v1), 'remote')
      else Y.applyUpdateV2(who.doc, fromBase64(update.v2), 'remote')
      this.operations++
    }
    // only a history that lost steps: somebody sends what this client would write next
    if (who.doc.clientID !== who.client) throw new Error('an update of the own client')
    return {}
  }

  undo (who) {
    if (!who.undo) return undefined
    who.undo.undo()
    this.operations++
    return {}
  }

  redo (who) {
    if (!who.undo) return undefined
    who.undo.redo()
    this.operations++
    return {}
  }

  stopCapturing (who) {
    if (!who.undo) return undefined
    who.undo.stopCapturing()
    return {}
  }

  look (who, step) {
    this.operations++
    return { ...this.lookAtSnapshots(who, step), ...this.lookAtPositions(who, step), ...this.lookAtUpdates(step) }
  }

  lookAtSnapshots (who, step) {
    const expected = {}
    if (step.take) {
      const snapshot = Y.snapshot(who.doc)
      who.snapshots.set(step.take.number, snapshot)
      expected.take = { number: step.take.number, v1: base64(Y.encodeSnapshot(snapshot)), v2: base64(Y.encodeSnapshotV2(snapshot)) }
    }
    if (step.delta) {
      const snapshot = who.snapshots.get(step.delta.snapshot)
      const previous = who.snapshots.get(step.delta.previous)
      const type = root(who.doc, step.delta.at[0], this.setting.roots[step.delta.at[0]])
      if ((step.delta.snapshot === undefined || snapshot) && (step.delta.previous === undefined || previous)) expected.delta = { ...step.delta, delta: tagDelta(type.toDelta(snapshot, previous)) }
      else expected.delta = undefined
      who.takeEvents()
    }
    if (step.restore) {
      const snapshot = who.snapshots.get(step.restore.snapshot)
      expected.restore = undefined
      if (snapshot && !who.doc.gc) {
        const restored = new Y.Doc()
        for (const [name, kind] of Object.entries(this.setting.roots)) root(restored, name, kind)
        Y.createDocFromSnapshot(who.doc, snapshot, restored)
        expected.restore = { snapshot: step.restore.snapshot, sv: base64(Y.encodeStateVector(restored)), v1: base64(Y.encodeStateAsUpdate(restored)), v2: base64(Y.encodeStateAsUpdateV2(restored)) }
      }
    }
    return expected
  }

  lookAtPositions (who, step) {
    const positions = []
    for (const { at: path, index, assoc, bytes } of step.positions ?? []) {
      const position = {}
      let relative
      if (path) {
        let type
        try { type = at(who.doc, this.setting.roots, path) } catch { continue }
        if (!(type instanceof Y.AbstractType) || index > type.length) continue
        relative = Y.createRelativePositionFromTypeIndex(type, index, assoc)
        Object.assign(position, { at: path, index, assoc, json: JSON.parse(JSON.stringify(Y.relativePositionToJSON(relative))) })
      } else relative = Y.decodeRelativePosition(fromBase64(bytes))
      position.bytes = base64(Y.encodeRelativePosition(relative))
      const absolute = Y.createAbsolutePositionFromRelativePosition(Y.decodeRelativePosition(fromBase64(position.bytes)), who.doc)
      const item = absolute?.type._item
      position.resolved = absolute === null
        ? null
        : { index: absolute.index, assoc: absolute.assoc, type: item ? { item: { client: item.id.client, clock: item.id.clock } } : { root: Y.findRootTypeKey(absolute.type) } }
      positions.push(position)
    }
    return step.positions ? { positions } : {}
  }

  lookAtUpdates (step) {
    if (!step.updates) return {}
    const v1 = step.updates.v1.map(fromBase64)
    const v2 = step.updates.v2.map(fromBase64)
    const sv = fromBase64(step.updates.sv)
    const last = v1.length - 1
    return {
      updates: {
        ...step.updates,
        mergeV1: base64(Y.mergeUpdates(v1)),
        mergeV2: base64(Y.mergeUpdatesV2(v2)),
        diffV1: base64(Y.diffUpdate(v1[last], sv)),
        diffV2: base64(Y.diffUpdateV2(v2[last], sv)),
        convertV1: base64(Y.convertUpdateFormatV2ToV1(v2[last])),
        convertV2: base64(Y.convertUpdateFormatV1ToV2(v1[last])),
        vectorOfV1: base64(Y.encodeStateVectorFromUpdate(v1[last])),
        vectorOfV2: base64(Y.encodeStateVectorFromUpdateV2(v2[last]))
      }
    }
  }

  final () {
    return Object.fromEntries([...this.participants.values()].map((who) => [who.client, who.state(true)]))
  }
}

// a whole case for the conformance program, from steps with or without expectations
export const play = (setting, steps) => {
  const world = new World(setting)
  const played = []
  for (const step of steps) {
    const done = world.step(step)
    if (done) played.push(done)
  }
  return { operations: world.operations, json: { group: 'fuzz', kind: 'ops', name: setting.name, ...setting, steps: played, final: world.final() } }
}
export { STATE_MOST_BYTES, kindOf, tag }
