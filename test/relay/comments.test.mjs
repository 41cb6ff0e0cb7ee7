// Who may only comment: what he writes under the document's comment roots is stored, whatever else he
// sends is not.  The real Yjs says which is which; what it would never write is made by hand.
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

import { chance } from '../chance.mjs'
import { closeAll, open, startDatabase, startRelay, until } from './harness.mjs'
import { keyring } from './keyring.mjs'

let database, relay
const keys = keyring('notes')
const claims = '{"sub": "carl"}'
const sql = statement => database.psql(statement)
const hex = bytes => `'\\x${Buffer.from(bytes).toString('hex')}'::bytea`

before(async () => {
  database = await startDatabase()
  await sql(`CREATE ROLE nobody LOGIN; SELECT ydoc.grant_relay('nobody');
    SELECT ydoc.grant_access('%', 'user:carl', 'comment'), ydoc.grant_access('%', 'user:ann', 'write'),
      ydoc.set_comment_roots('%', '{comments,replies}'), ydoc.set_comment_roots('bare/%', '{}')`)
  relay = await startRelay(
    { ...database, pooled: undefined, conninfo: database.conninfo.replace('user=postgres', 'user=nobody') },
    { arguments: [...keys.flags] })
})
afterEach(closeAll)
after(async () => {
  closeAll()
  const ended = await relay?.stop()
  await database?.stop()
  keys.remove()
  assert.deepEqual(ended, { code: 0, signal: null })
})

// What the database says to updates that somebody sends: for each '' or SQLSTATE and message.
async function send (document, updates, who = claims) {
  const answer = await sql(`SELECT coalesce(sqlstate || ' ' || message, '')
    FROM ydoc.apply_batch_as(array_fill('${document}'::text, ARRAY[${updates.length}]),
      ARRAY[${updates.map(hex)}]::bytea[], array_fill('${who}'::text, ARRAY[${updates.length}])) ORDER BY ordinal`)
  return answer.split('\n')
}

async function stored (document) {
  const doc = new Y.Doc()
  Y.applyUpdate(doc, Buffer.from((await sql(`SELECT ydoc.state('${document}')::bytea`)).slice(2), 'hex'))
  return doc
}

const look = doc => ({
  body: doc.getText('body').toDelta(),
  comments: doc.getArray('comments').toJSON(),
  others: doc.getArray('others').toJSON(),
  replies: doc.getMap('replies').toJSON(),
  meta: doc.getMap('meta').toJSON(),
  vector: Y.decodeStateVector(Y.encodeStateVector(doc))
})

// ---- random edits of the real Yjs ----

function editText (text, random) {
  const length = text.length
  const at = random(length + 1)
  const kind = length === 0 ? 0 : random(4)
  if (kind <= 1) text.insert(at, 'text'.slice(random(4)))
  else if (kind === 2) text.delete(random(length), 1)
  else text.format(random(length), 1, { bold: random(2) === 0 ? true : null })
}

function editComments (list, random) {
  const kind = list.length === 0 ? 0 : random(6)
  if (kind <= 1) {
    const comment = new Y.Map()
    comment.set('text', new Y.Text('a comment'))
    comment.set('replies', new Y.Array())
    list.insert(random(list.length + 1), [comment])
  } else if (kind === 2) list.delete(random(list.length), 1)
  else {
    const comment = list.get(random(list.length))
    if (kind === 3) comment.set('done', random(2) === 0)
    else if (kind === 4) editText(comment.get('text'), random)
    else editComments(comment.get('replies'), random)
  }
}

const edits = [
  (doc, random) => editComments(doc.getArray('comments'), random),
  (doc, random) => editComments(doc.getArray('comments'), random),
  (doc, random) => doc.getMap('replies').set('key' + random(3), random(100)),
  (doc, random) => doc.getMap('replies').delete('key' + random(3)),
  (doc, random) => editText(doc.getText('body'), random),
  (doc, random) => editComments(doc.getArray('others'), random),
  (doc, random) => doc.getMap('meta').set('title', random(100))
]

function rootsOf (transaction) {
  const roots = new Set()
  for (let type of transaction.changed.keys()) {
    while (type._item !== null) type = type._item.parent
    for (const [name, root] of transaction.doc.share) if (root === type) roots.add(name)
  }
  return roots
}

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

test(`of hundreds of random edits of Yjs those are taken that change comments alone (seed ${seed})`, async () => {
  const random = chance(seed).below
  const truth = new Y.Doc()
  for (let i = 0; i < 60; i++) edits[random(edits.length)](truth, random)
  await sql(`SELECT ydoc.apply('random', ARRAY[${hex(Y.encodeStateAsUpdate(truth))}])`)
  const counts = [0, 0]
  for (let batch = 0; batch < 120; batch++) {
    const updates = []
    const expected = []
    for (let i = 0; i < 5; i++) {
      const doc = new Y.Doc()
      Y.applyUpdate(doc, Y.encodeStateAsUpdate(truth))
      const vector = Y.encodeStateVector(doc)
      const roots = new Set()
      doc.on('afterTransaction', transaction => rootsOf(transaction).forEach(root => roots.add(root)))
      const edit = () => { for (let more = random(4); more >= 0; more--) edits[random(edits.length - (random(2) ? 3 : 0))](doc, random) }
      random(2) ? doc.transact(edit) : edit()
      // as somebody sends it who comes back: with all deletes that he knows
      const update = Y.encodeStateAsUpdate(doc, vector)
      const isComment = [...roots].every(root => root === 'comments' || root === 'replies')
      updates.push(update)
      expected.push(isComment)
      counts[Number(isComment)]++
      if (isComment) Y.applyUpdate(truth, update)
      doc.destroy()
    }
    const answers = await send('random', updates)
    answers.forEach((answer, i) => assert.equal(answer === '', expected[i], `batch ${batch}, update ${i}: "${answer}"`))
    answers.filter(answer => answer !== '').forEach(answer => assert.match(answer,
      /^42501 no right to write document "random" outside its comment roots: it (changes|deletes something under) root "(body|others|meta)" \(update \d+\)$/))
  }
  assert.ok(counts[0] > 100 && counts[1] > 100, String(counts))
  // the store, and its log merged, in which is nothing that was not checked
  const doc = await stored('random')
  const merged = new Y.Doc()
  Y.applyUpdate(merged, Buffer.from((await sql("SELECT ydoc_merge(update ORDER BY seq)::bytea FROM ydoc_data.log WHERE document = 'random'")).slice(2), 'hex'))
  assert.deepEqual(look(doc), look(truth))
  assert.deepEqual(look(merged), look(truth))
})

// ---- what no Yjs would send ----

const ANN = 1
const CARL = 7
const EVE = 9

const id = (client, clock) => ({ client, clock })

// An item of text: {origin, right, root, parent, key}, or {gc}, {skip}.
function writeStruct (out, { text = 'x', origin, right, root, parent, key, gc, skip, deleted }) {
  if (gc || skip) {
    encoding.writeUint8(out, gc ? 0 : 10)
    encoding.writeVarUint(out, gc ?? skip)
    return
  }
  encoding.writeUint8(out, (deleted ? 1 : 4) | (origin ? 0x80 : 0) | (right ? 0x40 : 0) | (key ? 0x20 : 0))
  for (const place of [origin, right]) {
    if (!place) continue
    encoding.writeVarUint(out, place.client)
    encoding.writeVarUint(out, place.clock)
  }
  if (!origin && !right) {
    encoding.writeVarUint(out, root ? 1 : 0)
    if (root) encoding.writeVarString(out, root)
    else {
      encoding.writeVarUint(out, parent.client)
      encoding.writeVarUint(out, parent.clock)
    }
    if (key) encoding.writeVarString(out, key)
  }
  if (deleted) encoding.writeVarUint(out, deleted)
  else encoding.writeVarString(out, text)
}

// blocks: [client, clock, struct...]; deletes: [client, clock, length].
function update (blocks, deletes = []) {
  const out = encoding.createEncoder()
  encoding.writeVarUint(out, blocks.length)
  for (const [client, clock, ...structs] of blocks) {
    encoding.writeVarUint(out, structs.length)
    encoding.writeVarUint(out, client)
    encoding.writeVarUint(out, clock)
    structs.forEach(struct => writeStruct(out, struct))
  }
  encoding.writeVarUint(out, deletes.length)
  for (const [client, clock, length] of deletes) {
    encoding.writeVarUint(out, client)
    encoding.writeVarUint(out, 1)
    encoding.writeVarUint(out, clock)
    encoding.writeVarUint(out, length)
  }
  return encoding.toUint8Array(out)
}

// Ann (client 1) wrote: clocks 0 to 3 "body", 4 to 6 a comment "fine"'s beginning, 7 a map in body's neighbour
// "meta", 8 a map under comments, 9 and 10 text in those.
function annsDocument () {
  const doc = new Y.Doc()
  doc.clientID = ANN
  doc.getText('body').insert(0, 'body') // 0..3
  doc.getText('comments').insert(0, 'fine') // 4..7
  doc.getMap('meta').set('inner', new Y.Map()) // 8
  doc.getMap('replies').set('inner', new Y.Map()) // 9
  doc.getMap('meta').get('inner').set('a', 1) // 10
  doc.getMap('replies').get('inner').set('a', 1) // 11
  const gone = new Y.Map()
  doc.getMap('replies').set('gone', gone) // 12
  gone.set('b', 1) // 13
  doc.getMap('replies').delete('gone')
  doc.getText('body').insert(4, '!') // 14
  return Y.encodeStateAsUpdate(doc)
}

let number = 0
async function annsNew () {
  const name = `hostile/${++number}`
  await sql(`SELECT ydoc.apply('${name}', ARRAY[${hex(annsDocument())}])`)
  return name
}

const changes = root => new RegExp(`it changes root "${root}"`)
const refusals = {
  'text in a root that is not for comments': [update([[CARL, 0, { root: 'body' }]]), changes('body')],
  'text in a root that nobody has': [update([[CARL, 0, { root: 'mine' }]]), changes('mine')],
  'a root whose name is no text': [update([[CARL, 0, { root: 'a\u0000b\u0007' }]]), /it changes root "a\?b\?"/],
  'a root with a long name': [update([[CARL, 0, { root: 'ä'.repeat(200) }]]), /it changes root "ä{39,40}\.\.\."/],
  'text behind text of another root': [update([[CARL, 0, { origin: id(ANN, 3) }]]), changes('body')],
  'text before text of another root': [update([[CARL, 0, { right: id(ANN, 0) }]]), changes('body')],
  'text between a comment and text of another root': [update([[CARL, 0, { origin: id(ANN, 5), right: id(ANN, 1) }]]), changes('body')],
  'text between text of another root and a comment': [update([[CARL, 0, { origin: id(ANN, 1), right: id(ANN, 5) }]]), changes('body')],
  'an entry of a map that is elsewhere': [update([[CARL, 0, { parent: id(ANN, 8), key: 'a' }]]), changes('meta')],
  'an entry behind one that is elsewhere': [update([[CARL, 0, { origin: id(ANN, 10), key: 'a' }]]), changes('meta')],
  'a parent that is text, elsewhere': [update([[CARL, 0, { parent: id(ANN, 1), key: 'a' }]]), changes('body')],
  'a comment, and then text behind it and before another root\'s': [update([[CARL, 0, { root: 'comments' }, { origin: id(CARL, 0), right: id(ANN, 2) }]]), changes('body')],
  'text in another root, and a comment of another client behind it': [update([[EVE, 0, { origin: id(CARL, 0) }], [CARL, 0, { root: 'body' }]]), changes('body')],
  'the same, the other way round': [update([[EVE, 0, { root: 'body' }], [CARL, 0, { origin: id(EVE, 0) }]]), changes('body')],
  'deleting text of another root': [update([], [[ANN, 1, 1]]), /it deletes something under root "body"/],
  'deleting a comment and more': [update([], [[ANN, 4, 5]]), /it deletes something under root "meta"/],
  'deleting everything': [update([], [[ANN, 0, 2 ** 40]]), /it deletes something under root "body"/],
  'a comment, and deleting what is elsewhere': [update([[CARL, 0, { root: 'comments' }]], [[ANN, 3, 1]]), /it deletes something under root "body"/],
  'deleting what nobody knows yet': [update([], [[EVE, 0, 3]]), /it needs updates that are missing/],
  'deleting what Ann will write next': [update([], [[ANN, 15, 10]]), /it needs updates that are missing/],
  'text that waits for a client nobody knows': [update([[CARL, 0, { origin: id(EVE, 5) }]]), /it needs updates that are missing/],
  'text that waits for Ann': [update([[CARL, 0, { root: 'comments' }, { origin: id(ANN, 15) }]]), /it needs updates that are missing/],
  'a comment behind a hole': [update([[CARL, 3, { root: 'comments' }]]), /it needs updates that are missing/],
  'a comment behind a Skip': [update([[CARL, 0, { skip: 3 }, { root: 'comments' }]]), /it needs updates that are missing/],
  'comments and a Skip between them': [update([[CARL, 0, { root: 'comments' }, { skip: 3 }, { root: 'comments' }]]), /it needs updates that are missing/],
  'going on as Ann, who has last written elsewhere': [update([[ANN, 15, { root: 'comments' }]]), /it goes on as a client that has last changed root "body"/],
  'taking Ann\'s next clocks with garbage': [update([[ANN, 15, { gc: 1000 }]]), /it goes on as a client that has last changed root "body"/],
  'a forged past of Ann\'s that goes on': [update([[ANN, 0, { root: 'comments', text: 'x'.repeat(20) }]]), /it goes on as a client that has last changed root "body"/],
  'two blocks of one client': [update([[CARL, 0, { root: 'comments' }], [CARL, 0, { root: 'comments', text: 'yy' }]]), /it has several blocks of structs of client 7/],
  'two blocks of one client, apart': [update([[CARL, 0, { root: 'comments' }], [EVE, 0, { root: 'comments' }], [CARL, 0, { root: 'comments', text: 'yy' }]]), /it has several blocks/],
  'a struct that refers to itself': [update([[CARL, 0, { origin: id(CARL, 0) }]]), /^22P03 invalid update: struct 0 of client 7 refers to itself/],
  'a cut-off update': [update([[CARL, 0, { root: 'comments' }]]).slice(0, -3), /^22P03 /],
  'a million claimed structs': [new Uint8Array([1, 0xc0, 0x84, 0x3d, 7, 0, 0]), /^22P03 /]
}

for (const [what, [bytes, reason]] of Object.entries(refusals)) {
  test(`refused: ${what}`, async () => {
    const name = await annsNew()
    const before = await sql(`SELECT ydoc.state('${name}'), (SELECT seq FROM ydoc_data.document WHERE name = '${name}')`)
    // beside others of one batch, which are unharmed
    const [first, answer, last] = await send(name, [update([[100, 0, { root: 'comments' }]]), bytes, update([[101, 0, { root: 'comments' }]])])
    assert.deepEqual([first, last], ['', ''])
    assert.match(answer, reason)
    if (!answer.startsWith('22P03')) assert.match(answer, /^42501 no right to write document "hostile/)
    const alone = await annsNew()
    assert.match((await send(alone, [bytes]))[0], reason)
    assert.equal(await sql(`SELECT ydoc.state('${alone}'), (SELECT seq FROM ydoc_data.document WHERE name = '${alone}')`), before)
  })
}

const accepted = {
  'a comment': update([[CARL, 0, { root: 'comments' }]]),
  'text behind and before comments': update([[CARL, 0, { origin: id(ANN, 4), right: id(ANN, 5) }]]),
  'an entry in a map under a root for comments': update([[CARL, 0, { parent: id(ANN, 9), key: 'b' }]]),
  'taking the place of an entry there': update([[CARL, 0, { origin: id(ANN, 11), key: 'a' }]]),
  'deleting comments of others': update([], [[ANN, 4, 4]]),
  'deleting what is deleted already': update([[CARL, 0, { root: 'comments' }]], [[ANN, 12, 2]]),
  'text that was deleted at once': update([[CARL, 0, { root: 'comments', text: 'abc' }]], [[CARL, 1, 1]]),
  'an answer to what is garbage, which becomes garbage': update([[CARL, 0, { parent: id(ANN, 12), key: 'c' }]]),
  'garbage of one\'s own': update([[CARL, 0, { gc: 3 }, { root: 'comments' }]]),
  'comments of several clients that refer to each other': update([[EVE, 0, { origin: id(CARL, 0) }], [CARL, 0, { root: 'comments' }]])
}

for (const [what, bytes] of Object.entries(accepted)) {
  test(`taken: ${what}`, async () => {
    const name = await annsNew()
    const oracle = new Y.Doc()
    Y.applyUpdate(oracle, annsDocument())
    Y.applyUpdate(oracle, bytes)
    assert.deepEqual(await send(name, [bytes]), [''])
    assert.deepEqual(Y.encodeStateAsUpdate(await stored(name)), Y.encodeStateAsUpdate(oracle))
    // again it is no news
    const seq = await sql(`SELECT seq FROM ydoc_data.document WHERE name = '${name}'`)
    assert.deepEqual(await send(name, [bytes]), [''])
    assert.equal(await sql(`SELECT seq FROM ydoc_data.document WHERE name = '${name}'`), seq)
  })
}

test('a forged past beside a comment gets into nothing that others read', async () => {
  const name = await annsNew()
  // clocks 0 to 3 are known as "body": whoever merges log rows would meet both
  const forged = update([[CARL, 0, { root: 'comments' }], [ANN, 0, { root: 'body', text: 'EVIL' }]])
  assert.deepEqual(await send(name, [forged]), [''])
  assert.equal(await sql(`SELECT bool_or(position('EVIL'::bytea IN update) > 0) FROM ydoc_data.log WHERE document = '${name}' AND seq > 1`), 'f')
  const merged = new Y.Doc()
  const rows = (await sql(`SELECT update FROM ydoc_data.log WHERE document = '${name}' ORDER BY seq DESC`)).split('\n')
  Y.applyUpdate(merged, Y.mergeUpdates(rows.map(row => Buffer.from(row.slice(2), 'hex'))))
  assert.equal(merged.getText('body').toString(), 'body!')
  assert.equal(merged.getText('comments').toString().length, 5)
})

test('a part of an update that is known already takes the rest of it along, behind what is there', async () => {
  const name = await annsNew()
  assert.deepEqual(await send(name, [update([[CARL, 0, { root: 'comments', text: 'ab' }]])]), [''])
  // the second half pretends that the first one is elsewhere
  assert.deepEqual(await send(name, [update([[CARL, 0, { root: 'body', text: 'abcd' }]])]), [''])
  const doc = await stored(name)
  assert.equal(doc.getText('body').toString(), 'body!')
  assert.match(doc.getText('comments').toString(), /abcd/)
  assert.equal(await sql(`SELECT (SELECT ydoc_merge(l.update ORDER BY l.seq) FROM ydoc_data.log l WHERE document = '${name}') = ydoc.state('${name}')`), 't')
})

test('what waits for others already is no news, and cannot be exchanged for something else', async () => {
  const name = await annsNew()
  const waiting = update([[EVE, 0, { origin: id(50, 0), text: 'late' }]])
  await sql(`SELECT ydoc.apply('${name}', ARRAY[${hex(waiting)}])`)
  const forged = update([[EVE, 0, { origin: id(50, 0), text: 'EVIL' }], [CARL, 0, { root: 'comments' }]])
  assert.deepEqual(await send(name, [forged]), [''])
  await sql(`SELECT ydoc.apply('${name}', ARRAY[${hex(update([[50, 0, { origin: id(ANN, 14) }]]))}])`)
  assert.equal(await sql(`SELECT ydoc.text('${name}', 'body')`), 'body!xlate')
})

test('who may comment makes no documents, and where no root is for comments he only reads', async () => {
  const comment = update([[CARL, 0, { root: 'comments' }]])
  assert.deepEqual(await send('made', [comment]), ['42501 no right to write document "made"'])
  assert.equal(await sql("SELECT count(*) FROM ydoc_data.document WHERE name = 'made'"), '0')
  await sql(`SELECT ydoc.apply('bare/1', ARRAY[${hex(annsDocument())}])`)
  assert.match((await send('bare/1', [comment]))[0], /^42501 no right to write document "bare\/1" outside its comment roots: it changes root "comments"/)
  // what says nothing new is no offence
  assert.deepEqual(await send('bare/1', [annsDocument(), update([], [[ANN, 12, 2]])]), ['', ''])
})

// ---- with a relay ----

test('a commenter\'s comments reach everybody, his other edits nobody, and he is told once', async () => {
  const ann = open(relay, 'live', { headers: keys.bearer('ann') })
  await ann.synced()
  ann.text.insert(0, 'text')
  await until(async () => await database.text('live') === 'text')
  const carl = open(relay, 'live', { headers: keys.bearer('carl') })
  const told = []
  carl.provider.messageHandlers[2] = (encoder, decoder) => {
    decoder.pos++
    told.push(new TextDecoder().decode(decoder.arr.slice(decoder.pos + 1)))
  }
  await carl.synced()
  carl.doc.getArray('comments').push([new Y.Map([['text', 'nice']])])
  await until(() => ann.doc.getArray('comments').get(0)?.get('text') === 'nice')
  assert.equal(await sql("SELECT actor FROM ydoc_data.log WHERE document = 'live' ORDER BY seq DESC LIMIT 1"), 'carl')
  carl.doc.getArray('comments').get(0).set('text', 'very nice')
  await until(() => ann.doc.getArray('comments').get(0).get('text') === 'very nice')
  for (let i = 0; i < 3; i++) carl.text.insert(0, 'x')
  await until(() => told.length > 0)
  ann.text.insert(4, '!')
  await until(() => carl.text.toString() === 'xxxtext!')
  assert.equal(ann.text.toString(), 'text!')
  assert.equal(carl.provider.wsconnected, true)
  assert.deepEqual(told, ['no right to write this document but its comments'])
  // what he writes while he is away is asked for
  const dora = open(relay, 'live', { headers: keys.bearer('carl') })
  await dora.synced()
  dora.provider.disconnect()
  dora.doc.getArray('comments').push(['away'])
  dora.provider.connect()
  await until(() => ann.doc.getArray('comments').get(1) === 'away')
  assert.equal(await database.text('live'), 'text!')
})
