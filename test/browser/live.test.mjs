// People type in two browsers, with real keys, while three SQL sessions edit the same document at
// random.  At every moment, everybody's cursor stands where he left it; in the end all see the same.
//
//     LIVE_SECONDS=60 SEED=7 node --test live.test.mjs
//
// Once with CodeMirror (the demo page, a shared text), once with Tiptap (XML).  What SQL does is in
// editing.sql; what "where he left it" means, in person.mjs.
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { build } from 'esbuild'

import { chance } from '../chance.mjs'
import { Y, closeAll, open, sleep, startDatabase, startRelay, until } from '../relay/harness.mjs'
import { launchChromium, openPage } from './chromium.mjs'
import { Person } from './person.mjs'

const here = new URL('.', import.meta.url).pathname
const seconds = Number(process.env.LIVE_SECONDS ?? 10)
const seed = Number(process.env.SEED ?? Date.now() % 1000000)
const limit = { timeout: (seconds + 120) * 1000 }
let database, browser

before(async () => {
  console.log(`# seed ${seed}`)
  database = await startDatabase()
  await database.psql(readFileSync(join(here, 'editing.sql'), 'utf8'))
  browser = await launchChromium()
})

afterEach(closeAll)

after(async () => {
  await browser?.close()
  await database?.stop()
})

// Two people at pages of the relay, typing for the time the test lasts, beside three sessions that
// call an editing function; then everybody stops.
async function live ({ relay, document, edit, look }) {
  const people = await Promise.all([['Ann', 'ABCDEFGHIJKLM'], ['Ben', 'NOPQRSTUVWXYZ']].map(async ([name, letters], i) => {
    const { page, context, complaints } = await openPage(browser, `${relay.http}/#${encodeURIComponent(document)}`, name)
    return Object.assign(new Person({ name, page, look, letters, random: chance(seed + i) }), { context, complaints })
  }))
  const kinds = {}
  let failed = false
  const forAsLong = async work => {
    try {
      for (const end = Date.now() + seconds * 1000; Date.now() < end && !failed;) await work()
    } catch (error) {
      failed = true
      throw error
    }
  }
  const typing = async person => {
    await person.page.locator('[contenteditable=true]').focus()
    await person.settle()
    await forAsLong(() => person.act())
  }
  const editing = async number => {
    const random = chance(seed + 10 + number)
    const session = database.startSession()
    try {
      await session.ask(`SELECT setseed(${random.below(1000) / 1000})`)
      await forAsLong(async () => {
        const kind = await session.ask(`SELECT live.${edit}('${document}')`)
        kinds[kind] = (kinds[kind] ?? 0) + 1
        await sleep(random.below(80)) // or people would drown
      })
    } finally {
      await session.stop()
    }
  }
  for (const result of await Promise.allSettled([...people.map(typing), editing(1), editing(2), editing(3)])) {
    if (result.status === 'rejected') throw result.reason
  }
  const [typed, checks] = ['typed', 'checks'].map(what => people.map(person => person[what]))
  console.log(`# ${document}: ${typed.join(' and ')} letters typed, ${checks.join(' and ')} looks at cursors; SQL: ${JSON.stringify(kinds)}`)
  for (const person of people) {
    assert.ok(person.typed > seconds, `${person.name} typed ${person.typed} letters`)
    assert.deepEqual(person.complaints, [])
  }
  assert.ok(Object.keys(kinds).length >= 5, JSON.stringify(kinds))
  return people
}

// The text before somebody's cursor, in its line or paragraph at least, as another client has it.
function textBeforeCursorOf (person, { doc, provider }) {
  const { cursor } = [...provider.awareness.getStates().values()].find(({ user }) => user?.name === person.name)
  const { type, index } = Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(cursor.head), doc)
  return type.toDelta().map(run => run.insert).join('').slice(0, index)
}

// In the end: everybody's cursor is where it was, in his own window and as others have it.
async function checkCursors (people, watcher) {
  for (const person of people) {
    await person.check('in the end')
    await until(() => {
      const before = textBeforeCursorOf(person, watcher)
      return before.endsWith(person.left.at(-1)) && person.left.endsWith(person.own(before))
    })
  }
}

const close = people => Promise.all(people.map(person => person.context.close()))

test('CodeMirror: people type while SQL edits', limit, async t => {
  const relay = await startRelay(database, { static: new URL('../../demo/dist', import.meta.url).pathname })
  t.after(() => relay.stop())
  await database.psql("SELECT ydoc.create('live/text', ydoc_from_text(repeat(E'one apple and a pear\\n', 12), 'content'))")
  const watcher = open(relay, 'live/text')
  const people = await live({
    relay,
    document: 'live/text',
    edit: 'edit_plain',
    look: page => page.evaluate(() => {
      const { view } = document.querySelector('.cm-content').cmTile.root
      const { doc, selection: { main: { head, empty } } } = view.state
      const { focusNode, focusOffset } = getSelection()
      return {
        before: doc.sliceString(0, head),
        after: doc.sliceString(head),
        canType: view.hasFocus && empty,
        canSplit: view.hasFocus && empty,
        shown: focusNode?.nodeType === Node.TEXT_NODE ? focusNode.data.slice(0, focusOffset) : ''
      }
    })
  })
  const late = open(relay, 'live/text')
  let texts
  await until(async () => {
    const seen = await Promise.all(people.map(person => person.look()))
    texts = [...seen.map(({ before, after }) => before + after), watcher.text.toString(), late.text.toString(), await database.text('live/text')]
    return new Set(texts).size === 1
  }).catch(() => {
    for (const each of texts) assert.equal(each, texts[0])
    throw new Error('they agreed in the end, but too late')
  })
  assert.deepEqual(watcher.text.toDelta(), JSON.parse(await database.psql("SELECT ydoc_delta(ydoc.state('live/text'), 'content')")))
  await checkCursors(people, watcher)
  await close(people)
})

test('Tiptap: people type while SQL edits', limit, async t => {
  const pages = mkdtempSync(join(tmpdir(), 'pg_ydoc-tiptap-'))
  t.after(() => rmSync(pages, { recursive: true }))
  await build({ entryPoints: [join(here, 'tiptap/main.js')], bundle: true, format: 'esm', outfile: join(pages, 'main.js') })
  copyFileSync(join(here, 'tiptap/index.html'), join(pages, 'index.html'))
  const relay = await startRelay(database, { static: pages })
  t.after(() => relay.stop())
  await database.psql(`SELECT ydoc.create('live/xml', ydoc_from_prosemirror(jsonb_build_object('type', 'doc', 'content',
    (SELECT jsonb_agg(live.block(true)) FROM generate_series(1, 10))), 'default'))`)
  const watcher = open(relay, 'live/xml')
  const people = await live({
    relay,
    document: 'live/xml',
    edit: 'edit_rich',
    look: page => page.evaluate(() => {
      const { doc, selection: { head, empty, $head } } = window.live.editor.state
      const { focusNode, focusOffset } = getSelection()
      return {
        before: doc.textBetween(0, head, '\n'),
        after: doc.textBetween(head, doc.content.size, '\n'),
        // SQL deletes lists and quotations as a whole
        canType: document.activeElement === window.live.editor.view.dom && empty && $head.parent.isTextblock && $head.depth === 1,
        // elsewhere the editor would write anew what is behind, which may be somebody's
        canSplit: empty && $head.depth === 1 && $head.parentOffset === $head.parent.content.size && !/[A-Z]/.test($head.parent.textContent),
        shown: focusNode?.nodeType === Node.TEXT_NODE ? focusNode.data.slice(0, focusOffset) : ''
      }
    })
  })
  const late = open(relay, 'live/xml')
  let views
  const sql = call => database.psql(`SELECT ${call}(ydoc.state('live/xml'), 'default')`)
  await until(async () => {
    const stored = await Promise.all(people.map(person => person.page.evaluate(() => window.live.xml())))
    const shown = await Promise.all(people.map(person => person.page.evaluate(() => window.live.editor.getJSON())))
    views = {
      xml: [...stored, ...[watcher, late].map(each => each.doc.getXmlFragment('default').toString()), await sql('ydoc_xml')],
      json: [...shown, JSON.parse(await sql('ydoc_prosemirror'))]
    }
    return new Set(views.xml).size === 1 && views.json.every(each => isDeepStrictEqual(each, views.json[0]))
  }).catch(() => {
    for (const each of views.xml) assert.equal(each, views.xml[0])
    for (const each of views.json) assert.deepEqual(each, views.json.at(-1), views.xml[0])
    throw new Error('they agreed in the end, but too late')
  })
  await checkCursors(people, watcher)
  await close(people)
})
