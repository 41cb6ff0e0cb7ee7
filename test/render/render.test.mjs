// HTML and Markdown of documents, read back by parsers that know nothing of us: the same text and the
// same structure, and nothing in a page that does not belong there.
//
//     SEED=7 COUNT=1000 node --test            the same documents again; how many of each kind
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Parser } from 'commonmark'
import MarkdownIt from 'markdown-it'
import { prosemirrorJSONToYXmlFragment } from 'y-prosemirror'
import * as Y from 'yjs'

import { chance } from '../chance.mjs'
import { startDatabase } from '../relay/servers.mjs'
import { complaint, image as imageOf, lineOf, linesOfHtml, linesOfModel, markdownLine, markdownOfNodes, markOfFormat, modelOfCommonmark, modelOfHtml, modelOfNodes, modelOfRead, modelOfTokens, safeImage, textOfHtml } from './model.mjs'
import { prosemirror, tiptap } from './schemas.mjs'
import { randomDelta, randomDocument, randomText, schema } from './random.mjs'

const seed = Number(process.env.SEED ?? Date.now() % 1000000)
const count = Number(process.env.COUNT ?? 300)
let database

before(async () => {
  database = await startDatabase()
  console.log(`# seed ${seed}`)
})

after(() => database?.stop())

const hex = bytes => Buffer.from(bytes).toString('hex')

// HTML and Markdown of root x of each document
async function render (documents) {
  const literals = documents.map(doc => `'\\x${hex(Y.encodeStateAsUpdate(doc))}'::bytea`)
  const rendered = []
  while (literals.length > 0) {
    const batch = [literals.pop()]
    // a command line has its limit
    while (literals.length > 0 && batch.join().length + literals.at(-1).length < 100000) batch.push(literals.pop())
    rendered.push(...JSON.parse(await database.psql(
      `SELECT json_agg(json_build_array(ydoc_html(doc, 'x'), ydoc_markdown(doc, 'x')) ORDER BY number)
         FROM unnest(ARRAY[${batch.join(',')}]) WITH ORDINALITY AS u (update, number), ydoc(update) doc`)))
  }
  return rendered.reverse()
}

function documentOf (json) {
  const doc = new Y.Doc()
  prosemirrorJSONToYXmlFragment(schema, json, doc.getXmlFragment('x'))
  return doc
}

const show = (json, html, markdown) => `\n${JSON.stringify(json)}\n${html}\n${markdown}`

test('HTML of a ProseMirror document has its structure, text and marks', async () => {
  const random = chance(seed)
  const documents = Array.from({ length: count }, () => randomDocument(random))
  const rendered = await render(documents.map(documentOf))
  rendered.forEach(([html, markdown], i) => {
    assert.equal(complaint(html), '', show(documents[i], html))
    assert.deepEqual(modelOfHtml(html), modelOfNodes(documents[i].content), show(documents[i], html))
  })
})

test('Markdown of a ProseMirror document is what markdown-it reads', async () => {
  const random = chance(seed + 1)
  const documents = Array.from({ length: count }, () => randomDocument(random))
  const rendered = await render(documents.map(documentOf))
  const reader = new MarkdownIt({ html: true })
  reader.validateLink = () => true
  rendered.forEach(([, markdown], i) => {
    assert.deepEqual(modelOfTokens(reader.parse(markdown, {})), markdownOfNodes(documents[i].content), show(documents[i], '', markdown))
  })
})

// without what CommonMark does not know
const plain = node => ({
  ...node,
  ...(node.content ? { content: node.content.filter(child => child.type !== 'table').map(plain) } : {}),
  ...(node.marks ? { marks: node.marks.filter(mark => mark.type !== 'strike') } : {})
})

test('and what commonmark.js reads', async () => {
  const random = chance(seed + 2)
  const documents = Array.from({ length: count }, () => plain(randomDocument(random))).filter(json => json.content.length > 0)
  const rendered = await render(documents.map(documentOf))
  rendered.forEach(([, markdown], i) => {
    assert.deepEqual(modelOfCommonmark(new Parser().parse(markdown)), markdownOfNodes(documents[i].content), show(documents[i], '', markdown))
  })
})

// ---- Quill ----

// The lines of a Delta: [what it is, its text with marks], written by write(runs, attributes).
function linesOfDelta (delta, write) {
  const lines = []
  let runs = []
  const end = attributes => {
    const kind = attributes['code-block'] ? 'code' : attributes.header ? 'heading' : 'line'
    lines.push([kind, kind === 'code' ? runs.map(run => run.text ?? '').join('') : write(runs, attributes)])
    runs = []
  }
  for (const { insert, attributes = {} } of delta) {
    const marks = Object.entries(attributes).map(([key, value]) => markOfFormat(key, value)).filter(name => name)
    if (insert.image !== undefined) {
      const src = safeImage(insert.image)
      runs.push(src ? { image: imageOf(src), marks } : { text: '', marks })
    } else {
      insert.split('\n').forEach((text, i) => {
        if (i > 0) end(attributes)
        if (text !== '') runs.push({ text, marks })
      })
    }
  }
  if (runs.length > 0) end({})
  return lines
}

async function renderDeltas (random) {
  const deltas = []
  const rendered = await render(Array.from({ length: count }, () => {
    const doc = new Y.Doc()
    doc.getText('x').applyDelta(randomDelta(random))
    deltas.push(doc.getText('x').toDelta())
    return doc
  }))
  return deltas.map((delta, i) => [delta, ...rendered[i]])
}

// An item without text looks like one that only holds a list.
const isSomething = ([, line]) => line.trim() !== ''

test('HTML of a Quill document has its lines in order, and its marks', async () => {
  for (const [delta, html] of await renderDeltas(chance(seed + 3))) {
    assert.equal(complaint(html), '', show(delta, html))
    assert.deepEqual(linesOfHtml(html).filter(isSomething), linesOfDelta(delta, lineOf).filter(isSomething), show(delta, html))
  }
})

test('and so does its Markdown', async () => {
  const boxes = { checked: '[x] ', unchecked: '[ ] ' }
  const write = (runs, attributes) => {
    const line = markdownLine(runs, attributes.header ? 'heading' : attributes.table && !attributes.list ? 'cell' : 'paragraph')
    const box = boxes[attributes.list]
    if (box === undefined || attributes['code-block'] || attributes.header) return line
    return line === '' ? box.trim() : box + (line.startsWith('⟦⟧') ? line.slice(2) : line)
  }
  const reader = new MarkdownIt({ html: true })
  reader.validateLink = () => true
  for (const [delta, html, markdown] of await renderDeltas(chance(seed + 4))) {
    assert.deepEqual(linesOfModel(modelOfTokens(reader.parse(markdown, {}))).filter(isSomething), linesOfDelta(delta, write).filter(isSomething), show(delta, html, markdown))
  }
})

// ---- what no editor would make ----

const names = [
  'paragraph', 'heading', 'codeBlock', 'code_block', 'blockquote', 'bulletList', 'ordered_list', 'listItem', 'list-item', 'table', 'tableRow', 'table_cell', 'tableHeader', 'horizontalRule', 'hardBreak',
  'blockContainer', 'blockGroup', 'bulletListItem', 'numberedListItem', 'image', 'doc', 'callout', 'footnote', 'script', 'SCRIPT', 'style', 'iframe', 'object', 'svg', 'math', 'noscript', 'template', 'a', 'p', 'plaintext',
  'img src=x onerror=alert(1)', '"><script>alert(1)</script>', "x' onload='alert(1)", '', 'constructor', '__proto__', '\u0000script', 'ſcript'
]
const attributeNames = ['level', 'start', 'colspan', 'rowspan', 'language', 'textAlign', 'dir', 'src', 'href', 'style', 'class', 'id', 'onclick', 'onerror', 'title', 'width', 'formaction', 'srcdoc', 'data-x', '"', 'x=y']
const values = [
  1, -1, 1e9, 1e300, NaN, true, null, '1', '7;', 'rtl', 'center', 'javascript:alert(1)', ' \u0001JavaScript:alert(1)', 'java\tscript:alert(1)', 'javascript&colon;alert(1)', 'data:text/html,<script>alert(1)</script>',
  'data:image/svg+xml;base64,AAAA', 'data:image/png;base64,"onerror=alert(1)', 'https://x/"onmouseover="alert(1)', '"><img src=x onerror=alert(1)>', "' onclick='alert(1)", '</style><script>', 'expression(alert(1))', 'red}</style><script>', 'x'.repeat(300), {}, [], { href: 'javascript:alert(1)' }
]

function randomElement (random, depth) {
  const element = new Y.XmlElement(random.pick(names))
  for (let i = random.below(4); i > 0; i--) element.setAttribute(random.pick(attributeNames), random.pick(values))
  element.insert(0, random.some(0, depth > 0 ? 4 : 1, () => depth > 0 && random.once(2) ? randomElement(random, depth - 1) : randomXmlText(random)))
  return element
}

function randomXmlText (random) {
  const text = new Y.XmlText()
  const delta = random.some(1, 3, () => ({ insert: randomText(random), attributes: Object.fromEntries(random.some(0, 3, () => [random.pick(['bold', 'link', 'color', 'highlight', 'textStyle', 'style', 'onclick', 'comment--abcdefgh', 'link--abcdefgh']), random.pick(values)])) }))
  text.applyDelta(delta)
  return text
}

const textOf = type => type instanceof Y.XmlText
  ? type.toDelta().map(({ insert }) => insert).join('')
  : type.toArray().map(textOf).join('')

const textOfTokens = tokens => tokens.map(token => token.children ? textOfTokens(token.children) : token.type.startsWith('html') ? '?HTML?' : token.content).join('')
const visible = text => text.replace(/[\s\u0085\u0000]/gu, '')

test('what no editor would make keeps its text, and puts nothing else into a page', async () => {
  const random = chance(seed + 5)
  const texts = []
  const rendered = await render(Array.from({ length: count }, () => {
    const doc = new Y.Doc()
    const root = doc.getXmlFragment('x')
    root.insert(0, random.some(1, 4, () => random.once(8) ? randomXmlText(random) : randomElement(random, 5)))
    texts.push(textOf(root))
    return doc
  }))
  const reader = new MarkdownIt({ html: true, maxNesting: 1000 })
  reader.validateLink = () => true
  rendered.forEach(([html, markdown], i) => {
    assert.equal(complaint(html), '', html)
    assert.equal(textOfHtml(html).replaceAll('\n', ''), texts[i], html) // breaks in code
    assert.equal(visible(textOfTokens(reader.parse(markdown, {}))), visible(texts[i]), markdown)
  })
})

// ---- Markdown read by us ----

async function prosemirrorOf (markdowns, name) {
  const left = markdowns.map(markdown => `$markdown$${markdown}$markdown$`)
  const read = []
  while (left.length > 0) {
    const batch = [left.pop()]
    while (left.length > 0 && batch.join().length + left.at(-1).length < 50000) batch.push(left.pop())
    read.push(...JSON.parse(await database.psql(
      `SELECT json_agg(ydoc_markdown_to_prosemirror(markdown, '${name}') ORDER BY number) FROM unnest(ARRAY[${batch.join(',')}]) WITH ORDINALITY AS m (markdown, number)`)))
  }
  return read.reverse()
}

// It makes spaces of tabs where a line of code begins.
const withoutIndents = blocks => JSON.parse(JSON.stringify(blocks), (key, value) => value[0] === 'code' ? [...value.slice(0, -1), value.at(-1).replace(/^[ \t]+/gm, '')] : value)

test('Markdown that was written is read as what it was', async () => {
  const random = chance(seed + 6)
  const documents = Array.from({ length: count }, () => plain(randomDocument(random))).filter(json => json.content.length > 0)
  const markdowns = (await render(documents.map(documentOf))).map(([, markdown]) => markdown)
  const read = await prosemirrorOf(markdowns, 'prosemirror')
  const misread = []
  read.forEach(({ content }, i) => {
    // md4c 0.4.8 takes what follows an item's beginning that is empty, a rule or empty code, and a blank line, out of the lists around
    if (/^[\s>]*(([-*]|\d+[.)])\s+)*([-*]|\d+[.)])( ___| ```.*\n[\s>]*```)?$/m.test(markdowns[i])) return
    const expected = markdownOfNodes(documents[i].content)
    try {
      // a document without anything is one of an empty paragraph
      assert.deepEqual(withoutIndents(modelOfRead(content)), withoutIndents(expected.length > 0 ? expected : [['paragraph', '']]), show(documents[i], '', markdowns[i]))
    } catch (error) {
      misread.push(error)
    }
  })
  // once in many thousand it takes an underscore that follows a link's target with underscores for text; the other tests have what
  // we write read by others
  if (misread.length > Math.max(1, count / 1000)) throw misread[0]
})

test('any Markdown makes a document that the schemas take', async () => {
  const random = chance(seed + 7)
  const beginnings = ['', '', '', '> ', '- ', '* ', '1. ', '2) ', '- [ ] ', '- [x] ', '  ', '    ', '# ', '###### ', '```', '~~~ js', '| a | b |', '|---|:-:|', '---', '===', '\t', '<div>', '[a]: /b "c"']
  const pieces = ['![a](/b.png)', '![](javascript:x)', '[a](/b)', '[a](javascript:x)', '[a]', '<https://x.y>', 'https://x.y/z', '`', '``', '**', '*', '_', '~~', '\\', '&amp;', '&bogus;', '&#0;', '|', 'word', ' ', '  ', '<b>', '語', '😀', '!', ']', '(', ')']
  const markdowns = Array.from({ length: count }, () => random.some(0, 14, () => random.some(0, 3, () => random.pick(beginnings)).join('') + random.some(0, 6, () => random.pick(pieces)).join('')).join('\n'))
  for (const [name, rules] of [['tiptap', tiptap], ['prosemirror', prosemirror]]) {
    const read = await prosemirrorOf(markdowns, name)
    read.forEach((json, i) => {
      assert.doesNotThrow(() => rules.nodeFromJSON(json).check(), `${JSON.stringify(markdowns[i])}\n${JSON.stringify(json)}`)
      assert.doesNotMatch(JSON.stringify(json), /"(href|src)": ?"javascript/)
    })
  }
})
