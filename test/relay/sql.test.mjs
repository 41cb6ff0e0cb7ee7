// SQL as a collaborator: what editing functions do is what the real Yjs does, byte for byte where Yjs
// has the operation; and people who type meanwhile see it live.
//
// Invariant committed-reaches-all of doc/invariants.md.
//
//     SEED=7 TIME=60 node --test sql.test.mjs        the same operations again; seconds of live editing
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import * as Y from 'yjs'

import { chance } from '../chance.mjs'
import { closeAll, open, sleep, startDatabase, startRelay, until } from './harness.mjs'

const seed = Number(process.env.SEED ?? Date.now() % 1000000)
const seconds = Number(process.env.TIME ?? 5)
let database, relay

before(async () => {
  database = await startDatabase()
  relay = await startRelay(database)
  console.log(`# seed ${seed}`)
})

afterEach(closeAll)

after(async () => {
  closeAll()
  await relay?.stop()
  await database?.stop()
})

const literal = text => `'${text.replaceAll("'", "''")}'`
const json = value => literal(JSON.stringify(value))
// A row for each; not a statement for each, of which psql shows the last alone before 15.
const rowsOf = async queries => {
  const rows = (await database.psql(queries.join(' UNION ALL '))).split('\n')
  assert.equal(rows.length, queries.length)
  return rows
}
const hex = bytes => Buffer.from(bytes).toString('hex')

function randomJson ({ below, pick }, depth = 3) {
  const kind = below(depth > 0 ? 8 : 5)
  if (kind === 0) return null
  if (kind === 1) return below(2) === 0
  if (kind === 2) return pick([0, -1, 3.25, 1e300, 1e-7, 2 ** 53, -123456789, below(1e6) / 1000])
  if (kind < 5) return pick(['', 'a', 'é', '😀', "it's", 'line\nbreak', '{"no": "json"}', 'x'.repeat(below(300))])
  if (kind < 7) return Array.from({ length: below(4) }, () => randomJson(arguments[0], depth - 1))
  // in jsonb's order, which is how SQL hands them to Yjs's format
  return Object.fromEntries(['7', 'a', 'b', 'ü', 'key'].filter(() => below(3) === 0)
    .map(key => [key, randomJson(arguments[0], depth - 1)]))
}

// ---- the real Yjs as the judge ----

// An operation on the Yjs document, and the call that does the same in SQL.
function operation (random, doc) {
  const { below, pick } = random
  const text = doc.getText('t')
  const array = doc.getArray('a')
  const map = doc.getMap('m')
  const units = text.toDelta().flatMap(({ insert }) => typeof insert === 'string' ? insert.split('') : ['embed'])
  // inside a character Yjs's own document may come to read otherwise than those of all whom it tells
  const whole = index => /^[\udc00-\udfff]/.test(units[index] ?? '') ? index + 1 : index
  const index = whole(below(text.length + 1))
  const length = whole(index + below(Math.min(text.length - index, 8) + 1)) - index
  const word = pick(['a', 'bc', 'dé', '€', '😀', '\n', 'hello '])
  const attributes = pick([{ bold: true }, { bold: null }, { link: 'x' }, { bold: true, link: null }])
  switch (below(10)) {
    case 0: case 1: text.insert(index, word); return `text_insert('d', 't', ${index}, ${literal(word)})`
    case 2: text.insert(index, word, structuredClone(attributes)); return `text_insert('d', 't', ${index}, ${literal(word)}, ${json(attributes)})`
    case 3: text.delete(index, length); return `text_delete('d', 't', ${index}, ${length})`
    case 4: text.format(index, length, structuredClone(attributes)); return `text_format('d', 't', ${index}, ${length}, ${json(attributes)})`
    case 5: text.insertEmbed(index, { image: word }, {}); return `text_insert_embed('d', 't', ${index}, ${json({ image: word })}, '{}')`
    case 6: {
      const delta = [{ retain: index, attributes }, { insert: word }, { delete: length }].filter(op => op.retain !== 0 && op.delete !== 0)
      text.applyDelta(structuredClone(delta))
      return `text_apply_delta('d', 't', ${json(delta)})`
    }
    case 7: {
      const elements = Array.from({ length: 1 + below(3) }, () => randomJson(random, 2))
      const at = below(array.length + 1)
      if (below(3) === 0) {
        array.push(elements)
        return `array_push('d', 'a', ${json(elements)})`
      }
      array.insert(at, elements)
      return `array_insert('d', 'a', ${at}, ${json(elements)})`
    }
    case 8: {
      const at = below(array.length + 1)
      const count = below(Math.min(array.length - at, 3) + 1)
      array.delete(at, count)
      return `array_delete('d', 'a', ${at}, ${count})`
    }
    default: {
      const key = pick(['k', 'l', 'ü'])
      if (below(4) === 0) {
        map.delete(key)
        return `map_delete('d', 'm', ${literal(key)})`
      }
      const value = randomJson(random, 2)
      map.set(key, value)
      return `map_set('d', 'm', ${literal(key)}, ${json(value)})`
    }
  }
}

test('the update that an SQL edit logs is the one that Yjs makes', async () => {
  const random = chance(seed)
  const client = (await database.psql("SELECT ydoc.text_append('d', 't', ''); SELECT ydoc.text_append('d', 't', '.'); SELECT client FROM ydoc_data.client WHERE document = 'd'")).split('\n').at(-1)
  const doc = new Y.Doc()
  const updates = []
  doc.clientID = Number(client)
  doc.on('update', update => updates.push(update))
  doc.getText('t').insert(0, '.')
  const calls = ['.']
  const script = []
  for (let i = 0; i < 400; i++) {
    const before = updates.length
    const call = doc.transact(() => operation(random, doc))
    script.push(`BEGIN; SELECT ydoc.${call}; COMMIT;`)
    if (updates.length > before) calls.push(call)
  }
  for (let i = 0; i < script.length; i += 50) await database.psql(script.slice(i, i + 50).join('\n'))
  const rows = (await database.psql("SELECT encode(update, 'hex') FROM ydoc_data.log WHERE document = 'd' ORDER BY seq")).split('\n')
  assert.equal(rows.length, calls.length)
  for (let i = 0; i < calls.length; i++) assert.equal(rows[i], hex(updates[i]), `edit ${i}: ${calls[i]}`)
  const logged = new Y.Doc()
  for (const row of rows) Y.applyUpdate(logged, Buffer.from(row, 'hex'))
  assert.deepEqual(logged.getText('t').toDelta(), doc.getText('t').toDelta())
  assert.deepEqual(logged.getArray('a').toJSON(), doc.getArray('a').toJSON())
  assert.deepEqual(logged.getMap('m').toJSON(), doc.getMap('m').toJSON())
  assert.deepEqual(JSON.parse(await database.psql("SELECT ydoc_delta(ydoc.state('d'), 't')")), doc.getText('t').toDelta())
  assert.deepEqual(JSON.parse(await database.psql("SELECT ydoc.json('d', 'a')")), doc.getArray('a').toJSON())
})

test('JSON comes back as it went in, and as Yjs reads it', async () => {
  const random = chance(seed + 1)
  const values = Array.from({ length: 100 }, () => ({ root: { value: randomJson(random, 4) } }))
  const rows = await rowsOf(values.map(value =>
    `SELECT ydoc_json(doc) = ${json(value)}::jsonb, encode(doc::bytea, 'hex') FROM ydoc_from_json(${json(value)}) doc`))
  rows.forEach((row, i) => {
    const [same, bytes] = row.split('|')
    const doc = new Y.Doc()
    Y.applyUpdate(doc, Buffer.from(bytes, 'hex'))
    assert.equal(same, 't', JSON.stringify(values[i]))
    assert.deepEqual(doc.getMap('root').toJSON(), values[i].root)
  })
})

test('setting JSON and patching give what they promise, from any state', async () => {
  const random = chance(seed + 2)
  const pairs = Array.from({ length: 100 }, () => [randomJson(random, 3), randomJson(random, 3)])
  const rows = await rowsOf(pairs.map(([one, two]) =>
    `SELECT ydoc_json(ydoc_set(ydoc_from_json(${json({ root: { value: one } })}), ARRAY['root', 'value'], ${json(two)}))`))
  rows.forEach((row, i) => assert.deepEqual(JSON.parse(row), { root: { value: pairs[i][1] } }, JSON.stringify(pairs[i])))
})

// ---- the smallest edit ----

// A shortest edit script by the textbook's table, done by Yjs.
function optimalUpdate (state, before, after) {
  const doc = new Y.Doc()
  const a = [...before]
  const b = [...after]
  const cost = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0))
  for (let i = a.length; i >= 0; i--) {
    for (let j = b.length; j >= 0; j--) {
      if (i === a.length || j === b.length) cost[i][j] = a.length - i + b.length - j
      else cost[i][j] = a[i] === b[j] ? cost[i + 1][j + 1] : 1 + Math.min(cost[i + 1][j], cost[i][j + 1])
    }
  }
  Y.applyUpdate(doc, state)
  doc.clientID = 2 ** 52 + 1
  const text = doc.getText('t')
  const stateVector = Y.encodeStateVector(doc)
  doc.transact(() => {
    let index = 0
    for (let i = 0, j = 0; i < a.length || j < b.length;) {
      if (i < a.length && j < b.length && a[i] === b[j]) {
        index += a[i].length
        i++
        j++
      } else if (i < a.length && (j === b.length || cost[i + 1][j] <= cost[i][j + 1])) {
        text.delete(index, a[i++].length)
      } else {
        text.insert(index, b[j])
        index += b[j++].length
      }
    }
  })
  assert.equal(text.toString(), after)
  return Y.encodeStateAsUpdate(doc, stateVector).length
}

test('replacing a text gives the new one by at most twice the smallest update', async () => {
  const random = chance(seed + 3)
  const words = ['the ', 'quick', 'brown ', 'fox\n', 'é', '😀', 'jumps', ' over', '\n', 'a', 'aa', '. ']
  const make = n => Array.from({ length: random.below(n) }, () => random.pick(words)).join('')
  const change = text => {
    const characters = [...text]
    for (let i = random.below(5); i >= 0; i--) {
      characters.splice(random.below(characters.length + 1), random.below(4), ...(random.below(3) > 0 ? [...random.pick(words)] : []))
    }
    return characters.join('')
  }
  const pairs = Array.from({ length: 200 }, () => {
    const before = make(40)
    return [before, random.below(8) > 0 ? change(before) : make(40)]
  })
  const rows = await rowsOf(pairs.map(([before, after]) =>
    `SELECT encode(doc::bytea, 'hex'), octet_length(ydoc_diff(new, ydoc_state_vector(doc))), encode(convert_to(ydoc_text(new, 't'), 'UTF8'), 'hex')
       FROM ydoc_from_text(${literal(before)}, 't') doc, ydoc_text_replace(doc, 't', ${literal(after)}) new`))
  rows.forEach((row, i) => {
    const [before, after] = pairs[i]
    const [state, size, text] = row.split('|')
    assert.equal(Buffer.from(text, 'hex').toString(), after)
    const optimal = optimalUpdate(Buffer.from(state, 'hex'), before, after)
    assert.ok(Number(size) <= 2 * optimal, `${size} bytes, ${optimal} would do: ${JSON.stringify(pairs[i])}`)
  })
})

// ---- live ----

test('SQL edits while people type: all converge, and cursors stay where they were', { timeout: (seconds + 60) * 1000 }, async () => {
  const random = chance(seed + 4)
  const ann = open(relay, 'live')
  const ben = open(relay, 'live')
  await Promise.all([ann.synced(), ben.synced()])
  ann.text.insert(0, 'ANN|\n')
  await until(() => ben.text.length > 0)
  ben.text.insert(ben.text.length, 'BEN|\n')
  await until(() => ann.text.toString().includes('BEN|'))
  // a cursor behind each name; nobody deletes those lines
  const cursorOf = (client, name) => Y.createRelativePositionFromTypeIndex(client.text, client.text.toString().indexOf(`${name}|`) + name.length, -1)
  const cursors = [cursorOf(ann, 'ANN'), cursorOf(ben, 'BEN')]
  const end = Date.now() + seconds * 1000
  let edits = 0
  const typing = client => (async () => {
    while (Date.now() < end) {
      const text = client.text.toString()
      client.text.insert(random.pick([0, text.indexOf('\n') + 1, text.length]), random.pick(['x', 'yz ', '\n', '😀']))
      await sleep(5)
    }
  })()
  const session = number => (async () => {
    while (Date.now() < end) {
      await database.psql(random.pick([
        `SELECT ydoc.text_append('live', 'content', 'sql${number} ')`,
        "SELECT ydoc.text_replace('live', 'content', replace(ydoc.text('live', 'content'), 'x', 'X'))",
        "SELECT ydoc.text_replace('live', 'content', regexp_replace(ydoc.text('live', 'content'), 'yz ', '', 'g'))",
        "BEGIN; SELECT ydoc.text_insert('live', 'content', 0, '> '); SELECT ydoc.text_delete('live', 'content', 0, 1); SELECT ydoc.map_set('live', 'meta', 'edited', to_jsonb(now())); COMMIT",
        "SELECT ydoc.text_format('live', 'content', 0, 3, '{\"bold\": true}')"
      ]))
      edits++
    }
  })()
  await Promise.all([typing(ann), typing(ben), session(1), session(2), session(3)])
  const settled = async () => ann.text.toString() === ben.text.toString() && ann.text.toString() === await database.text('live')
  await until(settled)
  assert.deepEqual(ann.text.toDelta(), ben.text.toDelta())
  assert.deepEqual(ann.text.toDelta(), JSON.parse(await database.psql("SELECT ydoc_delta(ydoc.state('live'), 'content')")))
  assert.ok(edits > 10, `${edits} edits`)
  for (const [i, name] of ['ANN', 'BEN'].entries()) {
    const place = Y.createAbsolutePositionFromRelativePosition(cursors[i], ann.doc)
    assert.equal(ann.text.toString().slice(0, place.index).endsWith(name), true, `${name}'s cursor is at ${place.index}`)
  }
})
