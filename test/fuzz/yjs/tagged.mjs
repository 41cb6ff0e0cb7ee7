// Values as the JSON of vector files: what JSON lacks is an object with a member $ (test/data/README.md).
import * as Y from 'yjs'

export const base64 = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
export const fromBase64 = (text) => new Uint8Array(Buffer.from(text, 'base64'))

const isWellFormed = (text) => {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0xd800 || unit > 0xdfff) continue
    const next = text.charCodeAt(i + 1)
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false
    i++
  }
  return true
}
const units = (text) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))

const tagNumber = (value) => {
  if (Number.isNaN(value)) return { $: 'num', v: 'NaN' }
  if (!Number.isFinite(value)) return { $: 'num', v: value > 0 ? 'Infinity' : '-Infinity' }
  return Object.is(value, -0) ? { $: 'num', v: '-0' } : value
}
const tagObject = (value) => {
  const keys = Object.keys(value)
  if (!keys.every(isWellFormed)) return { $: 'entries', v: keys.map((key) => [tag(key), tag(value[key])]) }
  const object = Object.fromEntries(keys.map((key) => [key, tag(value[key])]))
  return '$' in object ? { $: 'obj', v: object } : object
}

// any JavaScript value -> JSON
export const tag = (value) => {
  if (value === undefined) return { $: 'undefined' }
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') return isWellFormed(value) ? value : { $: 'utf16', v: units(value) }
  if (typeof value === 'number') return tagNumber(value)
  if (typeof value === 'bigint') return { $: 'bigint', v: String(value) }
  if (value instanceof Uint8Array) return { $: 'bytes', v: base64(value) }
  if (value instanceof Y.Doc) return { $: 'doc', guid: value.guid }
  if (value instanceof Y.AbstractType) return { $: 'type', kind: kindOf(value), state: stateOf(value) }
  return Array.isArray(value) ? value.map(tag) : tagObject(value)
}

// JSON -> JavaScript value; shared types and subdocuments are made
export const untag = (json) => {
  if (json === null || typeof json !== 'object') return json
  if (Array.isArray(json)) return json.map(untag)
  switch (json.$) {
    case undefined: return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, untag(value)]))
    case 'undefined': return undefined
    case 'num': return Number(json.v)
    case 'bigint': return BigInt(json.v)
    case 'bytes': return fromBase64(json.v)
    case 'utf16': return String.fromCharCode(...json.v)
    case 'obj': return Object.fromEntries(Object.entries(json.v).map(([key, value]) => [key, untag(value)]))
    case 'subdoc': return new Y.Doc({ guid: json.guid, ...untag(json.opts ?? {}) })
    case 'new': return makeType(json)
  }
  throw new Error(`tag ${json.$} is not known`)
}

const makeType = (json) => {
  const type = {
    array: () => new Y.Array(),
    map: () => new Y.Map(),
    text: () => new Y.Text(),
    xmltext: () => new Y.XmlText(),
    xmlelement: () => new Y.XmlElement(json.name),
    xmlfragment: () => new Y.XmlFragment()
  }[json.kind]()
  if (json.text) type.insert(0, untag(json.text))
  if (json.delta) type.applyDelta(untag(json.delta))
  if (json.items) type.insert(0, json.items.map(untag))
  if (json.children) type.insert(0, json.children.map(untag))
  for (const [key, value] of json.entries ?? []) type.set(key, untag(value))
  for (const [key, value] of json.attrs ?? []) type.setAttribute(key, untag(value))
  return type
}

// ---- what a type shows ----

const constructors = { array: Y.Array, map: Y.Map, text: Y.Text, xmltext: Y.XmlText, xmlfragment: Y.XmlFragment, xmlelement: Y.XmlElement }
export const root = (doc, name, kind) => doc.get(name, constructors[kind])

export const kindOf = (type) => {
  if (type instanceof Y.XmlText) return 'xmltext'
  if (type instanceof Y.Text) return 'text'
  if (type instanceof Y.Map) return 'map'
  if (type instanceof Y.Array) return 'array'
  if (type instanceof Y.XmlElement) return 'xmlelement'
  return 'xmlfragment'
}
const safely = (read) => {
  try { return read() } catch { return { $: 'throws' } }
}
export const tagDelta = (delta) => delta.map((op) => ({ insert: tag(op.insert), ...(op.attributes ? { attributes: tag(op.attributes) } : {}) }))

const attributesOf = (type) => {
  const attributes = type.getAttributes()
  return Object.keys(attributes).length > 0 ? { attrs: tag(attributes) } : {}
}

export const stateOf = (type) => {
  switch (kindOf(type)) {
    case 'text': return { text: tag(type.toString()), delta: tagDelta(type.toDelta()), length: type.length, ...attributesOf(type) }
    case 'xmltext': return { xml: tag(type.toString()), delta: tagDelta(type.toDelta()), length: type.length, ...attributesOf(type) }
    case 'array': return { items: type.toArray().map(tag), length: type.length }
    case 'map': return { entries: Object.fromEntries([...type.entries()].map(([key, value]) => [key, tag(value)])) }
    default: return { xml: safely(() => tag(type.toString())) }
  }
}
export const report = (doc, roots) => Object.fromEntries(Object.entries(roots).map(([name, kind]) => {
  const type = root(doc, name, kind)
  return [name, { kind, json: safely(() => tag(type.toJSON())), state: stateOf(type) }]
}))
