// Seeded randomness, and random edits of what a document holds.
import * as Y from 'yjs'
import { generator } from '../../chance.mjs'
import { kindOf, root, tag } from './tagged.mjs'

export class Random {
  constructor (seed) {
    this.next = generator((seed >>> 0) || 1) // 32 bits
    for (let i = 0; i < 8; i++) this.next()
  }

  fraction () { return this.next() / 4294967296 }
  from (low, high) { return low + Math.floor(this.fraction() * (high - low + 1)) }
  chance (probability) { return this.fraction() < probability }
  pick (array) { return array[this.from(0, array.length - 1)] }
  times (low, high, make) { return Array.from({ length: this.from(low, high) }, make) }

  // [[value, weight], ...]
  weighted (pairs) {
    let left = this.fraction() * pairs.reduce((sum, pair) => sum + pair[1], 0)
    for (const [value, weight] of pairs) {
      left -= weight
      if (left < 0) return value
    }
    return pairs[0][0]
  }

  shuffle (array) {
    const copy = array.slice()
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.from(0, i);
      [copy[i], copy[j]] = [copy[j], copy[i]]
    }
    return copy
  }
}

// ---- contents ----

const WORDS = ['a', 'bc', 'word', ' ', 'two words ', '\n', 'x', 'The ', '0', 'lorem ipsum dolor ']
const STRANGE = ['é', 'ß', '漢字', '👍', '👩‍👧', '🇫🇷', 'e\u0301', '\u0000', '\ufeff', '\u2028', '𝔘𝔫', '\u{10ffff}', '\ufffd', 'שלום', '😀😃', '"\\\n\t\u0001']
const HALVES = ['\ud83d', '\ude00', 'a\ud800', '\udfffb', '\ud83d\ude00\ud83d']
const KEYS = ['a', 'b', 'title', '0', '17', '4294967295', '01', 'ключ', '', '$', 'long key with spaces']
const MARKS = [['bold', [true, null]], ['italic', [true, false, null]], ['link', [{ href: 'u1' }, { href: 'u2', title: 't' }, [1, 2], null]], ['color', ['red', 'blue', '', null]], ['7', [12, 14.5, 0, null]]]
const NODES = ['paragraph', 'heading', 'bulletList', 'Image', 'x']

const word = (random, profile) => random.weighted([[WORDS, 1 - profile.strange], [STRANGE, profile.strange], [HALVES, profile.halves]])
export const text = (random, profile) => random.times(1, 3, () => random.pick(word(random, profile))).join('')
const numbers = [0, 1, -1, 63, 64, -64, 127, 128, 8191, 8192, 2147483647, 2147483648, -2147483648, 9007199254740991, -9007199254740991, 0.5, -0.25, 0.1, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 16777217, 3.4028234663852886e38]
const scalar = (random, profile) => random.weighted([
  [() => random.from(-5, 300), 5], [() => text(random, profile), 5], [() => random.chance(0.5), 2], [() => null, 1], [() => random.pick(numbers), 3], [() => random.fraction() * 1e6, 1]
])()
export const value = (random, profile, depth = 2) => {
  if (depth > 0 && random.chance(0.2)) return random.times(0, 3, () => value(random, profile, depth - 1))
  if (depth > 0 && random.chance(0.25)) return Object.fromEntries(random.times(0, 3, () => [random.pick(KEYS), value(random, profile, depth - 1)]))
  return scalar(random, profile)
}
// what only a map's entry may be, in tagged form
const oddValue = (random) => random.pick([{ $: 'undefined' }, { $: 'bigint', v: '-9007199254740993' }, { $: 'bigint', v: '9223372036854775807' }, { $: 'num', v: '-0' }, { $: 'num', v: 'NaN' }, { $: 'num', v: '-Infinity' }, { $: 'bytes', v: 'AP8=' }])
const marks = (random, withNull = true) => Object.fromEntries(random.times(1, 2, () => {
  const [key, values] = random.pick(MARKS)
  return [key, random.pick(withNull ? values : values.filter((v) => v !== null))]
}))
const newText = (random, profile, kind) => random.chance(0.4)
  ? { $: 'new', kind, delta: [{ insert: tag(text(random, profile)) }, { insert: tag(text(random, profile)), attributes: marks(random, false) }, ...(random.chance(0.3) ? [{ insert: { image: 'i' } }] : [])] }
  : { $: 'new', kind, text: tag(text(random, profile)) }
const newXml = (random, profile, depth = 2) => {
  if (depth === 0 || random.chance(0.3)) return newText(random, profile, 'xmltext')
  return {
    $: 'new',
    kind: 'xmlelement',
    name: random.pick(NODES),
    ...(random.chance(0.7) ? { children: random.times(1, 2, () => newXml(random, profile, depth - 1)) } : {}),
    ...(random.chance(0.5) ? { attrs: random.shuffle([['level', 2], ['class', 'c'], ['1', 'one'], ['textAlign', null]]).slice(0, random.from(1, 3)) } : {})
  }
}
const newShared = (random, profile, depth = 2) => random.weighted([
  [() => ({ $: 'new', kind: 'array', items: random.times(0, 3, () => element(random, profile, depth - 1)) }), 2],
  [() => ({ $: 'new', kind: 'map', entries: [...new Map(random.times(0, 3, () => [random.pick(KEYS), entry(random, profile, depth - 1)]))] }), 2],
  [() => newText(random, profile, 'text'), 1.5],
  [() => newXml(random, profile, 1), 1]
])()
const newSubdocument = (random) => ({ $: 'subdoc', guid: `sub-${random.next()}`, opts: random.pick([{}, { autoLoad: true }, { gc: false }, { meta: { a: 1, list: [1, 'x'] } }, { gc: false, autoLoad: true, meta: 'm' }]) })
const element = (random, profile, depth) => {
  if (depth > 0 && random.chance(profile.nested)) return newShared(random, profile, depth)
  if (random.chance(0.05)) return { $: 'bytes', v: Buffer.from(random.times(0, 5, () => random.from(0, 255))).toString('base64') }
  if (random.chance(profile.subdocuments)) return newSubdocument(random)
  return tag(value(random, profile))
}
const entry = (random, profile, depth) => random.chance(0.08) ? oddValue(random) : element(random, profile, depth)

// ---- edits ----

// all visible types: [path, type]
export const walk = (doc, roots, deepest = 4) => {
  const found = []
  const go = (path, type) => {
    found.push([path, type])
    if (path.length > deepest) return
    const kind = kindOf(type)
    if (kind === 'map') for (const [key, child] of type.entries()) { if (child instanceof Y.AbstractType) go([...path, key], child) }
    if (kind === 'array' || kind === 'xmlelement' || kind === 'xmlfragment') type.toArray().forEach((child, i) => { if (child instanceof Y.AbstractType) go([...path, i], child) })
  }
  for (const [name, kind] of Object.entries(roots)) go([name], root(doc, name, kind))
  return found
}

const place = (random, length) => random.chance(0.25) ? length : random.chance(0.15) ? 0 : random.from(0, length)
const range = (random, length) => {
  const index = random.from(0, length - 1)
  return { index, length: random.from(1, Math.min(length - index, random.chance(0.8) ? 4 : 12)) }
}
const delta = (random, profile, length) => {
  const ops = []
  let left = length
  for (let i = random.from(1, 5); i > 0; i--) {
    const what = random.weighted([['insert', 3], ['embed', 0.4], ['retain', 3], ['delete', 1.5]])
    if (what === 'insert') ops.push({ insert: tag(text(random, profile)), ...(random.chance(0.5) ? { attributes: marks(random) } : {}) })
    else if (what === 'embed') ops.push({ insert: { image: random.from(0, 9) }, ...(random.chance(0.4) ? { attributes: marks(random) } : {}) })
    else if (left > 0) {
      const n = random.from(1, left)
      left -= n
      ops.push(what === 'delete' ? { delete: n } : { retain: n, ...(random.chance(0.5) ? { attributes: marks(random) } : {}) })
    } else if (random.chance(0.1)) ops.push({ retain: random.from(1, 3) }) // beyond the end: newlines
  }
  return ops
}
const editText = (random, profile, type, at) => {
  const some = type.length > 0
  return random.weighted([
    [() => ({ op: 'insert', at, index: place(random, type.length), text: tag(text(random, profile)) }), 6],
    [() => ({ op: 'insert', at, index: place(random, type.length), text: tag(text(random, profile)), attrs: random.chance(0.1) ? {} : marks(random) }), profile.rich],
    [() => ({ op: 'embed', at, index: place(random, type.length), value: random.chance(profile.nested) ? newShared(random, profile, 1) : { image: tag(value(random, profile, 1)) }, ...(random.chance(0.4) ? { attrs: marks(random) } : {}) }), profile.rich / 2],
    [() => ({ op: 'delete', at, ...range(random, type.length) }), some ? profile.deletes : 0],
    [() => ({ op: 'format', at, ...range(random, type.length), attrs: marks(random) }), some ? profile.rich * 2 : 0],
    [() => ({ op: 'delta', at, delta: delta(random, profile, type.length), ...(random.chance(0.2) ? { sanitize: false } : {}) }), profile.rich],
    [() => ({ op: 'setAttr', at, key: random.pick(KEYS), value: tag(value(random, profile, 1)) }), 0.3],
    [() => ({ op: 'removeAttr', at, key: random.pick(KEYS) }), 0.15]
  ])()
}
const editArray = (random, profile, type, at) => {
  const values = () => random.times(1, 4, () => element(random, profile, 2))
  return random.weighted([
    [() => ({ op: 'insert', at, index: place(random, type.length), values: values() }), 5],
    [() => ({ op: 'push', at, values: values() }), 2],
    [() => ({ op: 'unshift', at, values: values() }), 0.5],
    [() => ({ op: 'delete', at, ...range(random, type.length) }), type.length > 0 ? profile.deletes : 0]
  ])()
}
const editMap = (random, profile, type, at) => random.weighted([
  [() => ({ op: 'set', at, key: random.pick(KEYS), value: entry(random, profile, 2) }), 8],
  [() => ({ op: 'unset', at, key: random.pick(KEYS) }), 2],
  [() => ({ op: 'clear', at }), 0.2]
])()
const editXml = (random, profile, type, at) => {
  const isElement = kindOf(type) === 'xmlelement'
  return random.weighted([
    [() => ({ op: 'insert', xml: true, at, index: place(random, type.length), values: random.times(1, 2, () => newXml(random, profile)) }), 5],
    [() => ({ op: 'push', xml: true, at, values: [newXml(random, profile)] }), 1],
    [() => ({ op: 'insertAfter', at, ref: type.length === 0 || random.chance(0.2) ? null : random.from(0, type.length - 1), values: [newXml(random, profile, 1)] }), 1],
    [() => ({ op: 'delete', at, ...range(random, type.length) }), type.length > 0 ? profile.deletes / 2 : 0],
    [() => ({ op: 'setAttr', at, key: random.pick(['class', 'level', 'id', '10', '9']), value: random.pick(['v', 3, true, null, 'a"b<']) }), isElement ? 4 : 0],
    [() => ({ op: 'removeAttr', at, key: random.pick(['class', 'level', 'id']) }), isElement ? 1 : 0]
  ])()
}

export const edit = (random, profile, doc, roots) => {
  const [at, type] = random.pick(walk(doc, roots))
  const kind = kindOf(type)
  const make = kind === 'text' || kind === 'xmltext' ? editText : kind === 'array' ? editArray : kind === 'map' ? editMap : editXml
  return make(random, profile, type, at)
}
