// Prints examples.h: the updates that the unit tests are made of, written by the real Yjs.
// usage: npm install && npm run examples
//
// Ann is client 1, Ben client 2.  Each constant is what one of them sent, or what Yjs answers.
import * as Y from 'yjs'

const person = client => Object.assign(new Y.Doc({ guid: 'examples' }), { clientID: client })
const change = (doc, edit) => {
  let sent = null
  const remember = update => { sent = update }
  doc.on('update', remember)
  doc.transact(() => edit(doc))
  doc.off('update', remember)
  return sent
}
const give = (doc, ...updates) => updates.forEach(update => Y.applyUpdate(doc, update))

const print = (name, comment, bytes) => {
  const rows = []
  const hex = Array.from(bytes, byte => `0x${byte.toString(16).padStart(2, '0')},`)
  while (hex.length > 0) rows.push('\t' + hex.splice(0, 16).join(' '))
  console.log(`/* ${comment} */\nstatic const uint8_t ${name}[] = {\n${rows.join('\n')}\n};\n`)
}

console.log(`/*
 * examples.h: updates that the real Yjs 13.6.33 wrote.  Made by examples.mjs; do not edit.
 *
 * Ann is client 1, Ben client 2.
 */
#ifndef UNIT_EXAMPLES_H
#define UNIT_EXAMPLES_H

#include <stdint.h>

/* clang-format off */
`)

// ---- one text, two people
const ann = person(1)
const ben = person(2)
const annWritesCat = change(ann, doc => doc.getText('t').insert(0, 'cat'))
give(ben, annWritesCat)
const annAddsS = change(ann, doc => doc.getText('t').insert(3, 's'))
const benAddsBang = change(ben, doc => doc.getText('t').insert(3, '!'))
give(ann, benAddsBang)
give(ben, annAddsS)
const both = Y.encodeStateAsUpdate(ann)
const catVector = Y.encodeStateVectorFromUpdate(annWritesCat)
print('ann_writes_cat', 'Root "t": "cat".', annWritesCat)
print('ann_adds_s', '"s" behind the cat, not knowing of the "!".', annAddsS)
print('ben_adds_bang', '"!" behind the cat, not knowing of the "s".', benAddsBang)
print('cats_state', 'encodeStateAsUpdate once both have all three: "cats!".', both)
print('cats_state_v2', 'The same in V2.', Y.encodeStateAsUpdateV2(ann))
print('cats_state_vector', 'Its state vector.', Y.encodeStateVector(ann))
print('cat_state_vector', 'The state vector of someone who has the cat only.', catVector)
print('cats_since_cat', 'encodeStateAsUpdate for that one.', Y.encodeStateAsUpdate(ann, catVector))
print('cats_merged', 'mergeUpdates of the three, as they are listed here.', Y.mergeUpdates([annWritesCat, annAddsS, benAddsBang]))
print('cats_merged_since_cat', 'diffUpdate of that for the one who has the cat.', Y.diffUpdate(Y.mergeUpdates([annWritesCat, annAddsS, benAddsBang]), catVector))
const benDeletesC = change(ben, doc => doc.getText('t').delete(0, 1))
print('ben_deletes_c', 'Ben deletes the "c".', benDeletesC)

// ---- one map, two people
const annMap = person(1)
const benMap = person(2)
print('ann_sets_title', 'Root "m": title is "Ann\'s".', change(annMap, doc => doc.getMap('m').set('title', "Ann's")))
print('ben_sets_title', 'The same key at the same time: "Ben\'s".  The larger client wins.', change(benMap, doc => doc.getMap('m').set('title', "Ben's")))

// ---- a text that is more than ASCII
const unicode = person(1)
print('text_with_emoji', 'Root "t": "a", U+1F600, U+0000, "b".', change(unicode, doc => doc.getText('t').insert(0, 'a\u{1F600}\u0000b')))

// ---- a character whose halves are in two items
const halves = person(1)
halves.getArray('a').push([1])
halves.getText('t').insert(0, 'a\uD83D')
halves.getArray('a').push([2])
halves.getText('t').insert(2, '\uDE00b')
print('halves', 'Root "t": "a" and half of U+1F600, then the other half and "b"; V1 has no halves.', Y.encodeStateAsUpdate(halves))
print('halves_v2', 'The same in V2, whose column of strings holds the whole character.', Y.encodeStateAsUpdateV2(halves))

// ---- everything that a document can hold
const editor = person(1)
const reviewer = person(2)
const everything = change(editor, doc => {
  const text = doc.getText('text')
  text.insert(0, 'Hello world')
  text.format(0, 5, { bold: true })
  text.insertEmbed(11, { image: 'i.png' })
  doc.getArray('array').insert(0, [1, 'two', { three: [3, null] }, true, 2.5, new Uint8Array([1, 2]), new Y.Map([['k', 'v']])])
  const map = doc.getMap('map')
  map.set('list', Y.Array.from([1, 2]))
  map.set('note', new Y.Text('nested'))
  map.set('none', null)
  map.set('child', new Y.Doc({ guid: 'child-1' }))
  const paragraph = new Y.XmlElement('p')
  paragraph.setAttribute('class', 'intro')
  paragraph.insert(0, [new Y.XmlText('Read me')])
  doc.getXmlFragment('xml').insert(0, [paragraph])
})
give(reviewer, everything)
const review = change(reviewer, doc => {
  doc.getText('text').delete(3, 4)
  doc.getArray('array').delete(6, 1)
  doc.getMap('map').set('list', 'gone')
  doc.getXmlFragment('xml').get(0).get(0).insert(7, '!')
})
const afterReview = change(reviewer, doc => doc.getMap('map').set('none', 'some'))
const store = person(3) // declares no roots, as a server
give(store, everything, review, afterReview)
print('everything', 'Roots "text", "array", "map", "xml" with content of every kind.', everything)
print('review', 'Ben deletes from and adds to each of them.', review)
print('after_review', 'And sets the key "none" of the map, later.', afterReview)
print('everything_reviewed', 'encodeStateAsUpdate of a store that has all three.', Y.encodeStateAsUpdate(store))

print('everything_v2', 'The first of them in V2.', Y.convertUpdateFormatV1ToV2(everything))
print('everything_reviewed_v2', 'encodeStateAsUpdateV2 of the store.', Y.encodeStateAsUpdateV2(store))
const early = person(3)
give(early, review)
print('review_waits_v2', 'What waits if the review comes first: its structs,', early.store.pendingStructs.update)
print('review_deletes_wait_v2', 'and its deletes.', early.store.pendingDs)

console.log('/* clang-format on */\n\n#endif')
